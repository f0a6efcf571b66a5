package reports

import (
	"fmt"
	"slices"
	"time"
)

// Accepted is a finding that its owner has accepted, with the reason.
type Accepted struct {
	ID, Reason, Issue string
	// Verdict is what is accepted: FAIL (or empty: every finding), WARN (no FAIL), or INCONCLUSIVE (no finding).
	Verdict Verdict
	// Expires is the last day on which the entry counts; zero: it does not expire.
	Expires time.Time
	// Where is the place of the entry for people: file and line.
	Where string
}

// unaccepted returns the verdict without a baseline. Reports of older versions do not contain it: there the level says what an accepted
// finding was.
func (r *Result) unaccepted() Verdict {
	switch {
	case r.Verdict != Suppressed:
		return r.Verdict
	case r.Was != "":
		return r.Was
	case r.Level == "MUST":
		return Fail
	}
	return Warn
}

// accepts reports whether an entry names a verdict.
func (a *Accepted) accepts(v Verdict) bool {
	switch a.Verdict {
	case Warn, Inconclusive:
		return v == a.Verdict
	}
	return v == Fail || v == Warn
}

// Accept applies a baseline: findings of the accepted requirements become SUPPRESSED and stay visible. An expired entry is not applied, and
// an entry whose requirement was judged without a finding is stale: both are listed in Run.Stale, and fail the run.
func Accept(redacted Redacted, baseline []Accepted, now time.Time) Redacted {
	run := redacted.run
	run.Results = slices.Clone(run.Results)
	for _, a := range baseline {
		if !a.Expires.IsZero() && now.After(a.Expires.AddDate(0, 0, 1)) {
			run.Stale = append(run.Stale, fmt.Sprintf("%s: %s was accepted until %s", a.Where, a.ID, a.Expires.Format(time.DateOnly)))
			continue
		}
		was := map[Verdict]bool{}
		applied := false
		for i := range run.Results {
			if r := &run.Results[i]; r.ID == a.ID {
				was[r.unaccepted()] = true
				applied = r.suppress(&a) || applied
			}
		}
		if why := a.unneeded(was); why != "" && !applied {
			run.Stale = append(run.Stale, fmt.Sprintf("%s: %s %s: take the entry out", a.Where, a.ID, why))
		}
	}
	return Redacted{run}
}

// unneeded says why an entry that was not applied accepts nothing, from all verdicts of its requirement; empty if a later run may need it.
func (a *Accepted) unneeded(was map[Verdict]bool) string {
	decided, found := was[Pass] || was[NotApplicable], was[Fail] || was[Warn]
	switch {
	case was[Inconclusive]:
	case a.Verdict == Inconclusive && (decided || found):
		return "is decided now"
	case a.Verdict != Inconclusive && decided && !found:
		return "has no finding any more"
	}
	return ""
}

// suppress marks a result as accepted, if the entry names its verdict.
func (r *Result) suppress(a *Accepted) bool {
	if !a.accepts(r.Verdict) {
		return false
	}
	reason := "accepted: " + a.Reason
	if a.Issue != "" {
		reason += " (" + a.Issue + ")"
	}
	r.Reason = reason + "; it was " + string(r.Verdict) + ": " + r.Reason
	r.Was, r.Verdict = r.Verdict, Suppressed
	return true
}
