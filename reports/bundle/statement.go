package bundle

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mcpauth/conformance/fixtures/profiles"
	"github.com/mcpauth/conformance/reports"
)

// The types of the statement (in-toto Statement v1, with the test-result predicate).
const (
	StatementType = "https://in-toto.io/Statement/v1"
	PredicateType = "https://in-toto.io/attestation/test-result/v0.1"
	PayloadType   = "application/vnd.in-toto+json"
)

// Statement says, about the manifest of a bundle, what was tested, and the result.
type Statement struct {
	Type          string       `json:"_type"`
	Subject       []Descriptor `json:"subject"`
	PredicateType string       `json:"predicateType"`
	Predicate     Predicate    `json:"predicate"`
}

// Descriptor names something by its digest.
type Descriptor struct {
	Name   string            `json:"name"`
	Digest map[string]string `json:"digest"`
}

// Predicate is a test result, with this tool's own data under one name.
type Predicate struct {
	Result        string        `json:"result"` // PASSED, or WARNED if a SHOULD is unmet
	Configuration []Descriptor  `json:"configuration"`
	PassedTests   []string      `json:"passedTests"`
	WarnedTests   []string      `json:"warnedTests"`
	FailedTests   []string      `json:"failedTests"`
	Certification Certification `json:"https://github.com/mcpauth/conformance/certification/v1"`
}

// Certification is the content of a certificate.
type Certification struct {
	Product  Product          `json:"product"`
	Profile  string           `json:"profile"`
	Revision string           `json:"revision"`
	Set      string           `json:"set"`
	Target   string           `json:"target"` // the URL
	Identity reports.Identity `json:"identity"`
	Image    string           `json:"image,omitempty"`
	Tool     Tool             `json:"tool"`
	// Catalogue is the digest of the requirement catalogue.
	Catalogue string    `json:"catalogue"`
	Started   time.Time `json:"started"`
	Finished  time.Time `json:"finished"`
	Expires   time.Time `json:"expires"`
	// NotApplicable are the MUSTs and SHOULDs of the set that do not apply, with the evidence: features that the target refuses or lacks.
	NotApplicable []Absent `json:"not_applicable"`
	// NotScored are requirements of the profile outside the set, with the reason.
	NotScored map[string]string `json:"not_scored,omitempty"`
	Rejudged  Counts            `json:"rejudged"`
}

// Tool is the build that made a certificate.
type Tool struct {
	Name      string `json:"name"`
	Version   string `json:"version"`
	Commit    string `json:"commit,omitempty"`
	ModuleSum string `json:"module_sum,omitempty"`
	Digest    string `json:"sha256"` // of the binary
	Go        string `json:"go"`
	OS        string `json:"os"`
	Arch      string `json:"arch"`
}

// Absent is a requirement that does not apply.
type Absent struct {
	ID          string `json:"id"`
	Level       string `json:"level"`
	Why         string `json:"why"`
	Observation string `json:"observation"`
}

// Counts say how many verdicts can be judged again from the bundle.
type Counts struct {
	Whole      int `json:"judged_again"`
	Partly     int `json:"partly_judged_again"`
	Attested   int `json:"attested_not_rejudged"`
	Steps      int `json:"judgements"`
	Recomputed int `json:"judgements_made_again"`
	Own        int `json:"exchanges_of_checks"`
	Looked     int `json:"exchanges_judged_again"`
}

func countsOf(r reports.Rejudged) Counts {
	return Counts{len(r.Whole), len(r.Partly), len(r.Attested), r.Steps, r.Recomputed, r.Own, r.Looked}
}

// Validity is the lifetime of a certificate, and Freshness its maximum age at submission.
const (
	Validity  = 365 * 24 * time.Hour
	Freshness = 90 * 24 * time.Hour
)

// verdicts groups the tests of a run by verdict. A test is a requirement at a level, on a wire if wires are judged separately.
func verdicts(run *reports.Run, set *profiles.Set) (passed, warned, failed []string, absent []Absent) {
	passed, warned, failed, absent = []string{}, []string{}, []string{}, []Absent{}
	for i := range run.Results {
		r := &run.Results[i]
		if !set.Holds(r.ID) {
			continue
		}
		name := r.ID
		if r.Wire != "" {
			name += " (" + r.Wire + ")"
		}
		switch r.Verdict {
		case reports.Pass:
			passed = append(passed, name)
		case reports.Warn:
			warned = append(warned, name)
		case reports.NotApplicable:
			absent = append(absent, Absent{r.ID, r.Level, r.Reason, r.Observation})
		case reports.NotTested: // a SHOULD: it is neither
		default:
			failed = append(failed, name)
		}
	}
	return passed, warned, failed, absent
}

// Blocks says what prevents a certificate, with what to supply or to fix: a text for each cause, with all requirements that it blocks.
func Blocks(run *reports.Run, set *profiles.Set) []string {
	var out []string
	var musts obstacles
	add := func(format string, args ...any) {
		out = append(out, reports.OneLine(fmt.Sprintf(format, args...), 600))
	}
	for _, why := range append([]string{run.Unreachable, run.Doubt, run.Open}, run.NotWorking...) {
		if why != "" {
			add("%s.", unended(why))
		}
	}
	switch {
	case run.Interrupted:
		add("The run was interrupted: let it end.")
	case run.Shard != nil:
		add("The run is a shard: a certificate needs a whole run.")
	case run.Unreachable != "":
		return out
	}
	if standing, any := run.Standing(*set); !any && standing.Standing != reports.Unmet {
		add("The target has no part that the profile %s is about: choose another profile.", set.Profile)
	}
	results := map[string][]*reports.Result{}
	for i := range run.Results {
		results[run.Results[i].ID] = append(results[run.Results[i].ID], &run.Results[i])
	}
	for _, id := range set.Musts {
		if len(results[id]) == 0 {
			musts.add(id, id+" was not run: certify runs the whole set.")
		}
		for _, r := range results[id] {
			musts.add(id, reports.OneLine(blocks(r), 600))
		}
	}
	out = append(out, musts.texts()...)
	for _, id := range set.Shoulds {
		if len(results[id]) == 0 {
			add("%s was not run: certify runs the whole set.", id)
		}
		for _, r := range results[id] {
			if r.Verdict == reports.Errored || r.Verdict == reports.Suppressed {
				add("%s is %s: %s.", id, r.Verdict, unended(r.Reason))
			}
		}
	}
	return slices.Compact(out)
}

// unended is a reason without the period at its end: a sentence goes on, or ends, after it.
func unended(reason string) string {
	if quoted, is := strings.CutSuffix(reason, `."`); is {
		return quoted + `"`
	}
	return strings.TrimRight(reason, ". ")
}

// blocks says what to do about an unmet MUST; empty if it is met.
func blocks(r *reports.Result) string {
	reason := unended(r.Reason)
	switch r.Verdict {
	case reports.Pass:
		return ""
	case reports.NotApplicable:
		if r.Observation == "" {
			return fmt.Sprintf("%s does not apply, and nothing that was observed shows it: %s. Declare what the server does not have "+
				"(target.without in the target file).", r.ID, reason)
		}
		return ""
	case reports.NotTested:
		if r.Missing != "" && !strings.Contains(reason, r.Missing) {
			return fmt.Sprintf("%s was not tested: add %s (%s).", r.ID, r.Missing, reason)
		}
		return fmt.Sprintf("%s was not tested: %s.%s", r.ID, reason, remedy(r))
	case reports.Inconclusive:
		return fmt.Sprintf("%s could not be decided: %s.%s", r.ID, reason, remedy(r))
	case reports.Review:
		return fmt.Sprintf("A person must look at %s: %s.", r.ID, reason)
	case reports.Warn:
		return fmt.Sprintf("%s is met in a way that is risky: %s.", r.ID, reason)
	}
	return fmt.Sprintf("%s is not met (%s): %s.", r.ID, r.Verdict, reason)
}
