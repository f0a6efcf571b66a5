package reports

// Rejudged is what comes of judging the verdicts of a report again.
type Rejudged struct {
	Whole    []string // ids of verdicts that were judged again: each answer to the check's own requests was
	Partly   []string // some judgements were made again; the code of the check looked at more by itself
	Attested []string // nothing could be judged again
	// Steps are the judgements of all verdicts, and Recomputed those that were made again.
	Steps, Recomputed int
	// Contradictions are the verdicts that do not follow from what the report holds.
	Contradictions []Contradiction
}

// Contradiction is a verdict that does not follow from what the report holds.
type Contradiction struct{ ID, Says string }
