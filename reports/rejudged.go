package reports

// Rejudged is the result of judging the verdicts of a report again.
type Rejudged struct {
	Whole    []string // ids of verdicts that were judged again: each judgement that they rest on was made again
	Partly   []string // some judgements were made again
	Attested []string // nothing could be judged again
	// Because says of verdicts that were not judged again as a whole why, by their ids.
	Because map[string]string
	// Steps are the judgements of all verdicts, and Recomputed those that were made again.
	Steps, Recomputed int
	// Own are the exchanges that the checks themselves sent, and Looked those that a judgement which was made again looks at: the others
	// prepare (logins, registrations), or were read by the code of a check alone.
	Own, Looked int
	// Contradictions are the verdicts that do not follow from what the report holds.
	Contradictions []Contradiction
}

// Contradiction is a verdict that does not follow from what the report holds.
type Contradiction struct {
	ID, Says string
	// OtherJudge says that the code which judged then is not the one that judges now, so that either may be the reason.
	OtherJudge bool
}
