package reports

import "slices"

// Change is a result with its earlier one. Old is nil if the earlier run did not have it, and New if the later one does not.
type Change struct{ Old, New *Result }

// Difference is the difference of two runs.
type Difference struct {
	// Regressed results have a new finding, or a more serious one.
	Regressed []Change
	// Accepted results have a new finding that the baseline accepts.
	Accepted []Change
	// Undecided results are no longer judged, which does not fix a finding.
	Undecided []Change
	Still     []Change // findings of both runs
	Gone      []Change // findings whose requirement does not apply any more: fixed, or only without a feature or a declaration
	Fixed     []Change // findings whose requirement is now met
}

// Diff compares two runs by requirement, wire and revision.
func Diff(before, after Redacted) Difference {
	was, older := byRevision(&before.run)
	is, order := byRevision(&after.run)
	var d Difference
	told := map[Change]bool{}
	for _, at := range append(order, older...) {
		c := Change{Old: was[at], New: is[at]}
		if told[c] {
			continue
		}
		told[c] = true
		switch before, after := gravity(c.Old), gravity(c.New); {
		case after > 0 && after > before && c.New.Verdict == Suppressed:
			d.Accepted = append(d.Accepted, c)
		case after > 0 && after > before:
			d.Regressed = append(d.Regressed, c)
		case after > 0:
			d.Still = append(d.Still, c)
		case after < 0 && before >= 0:
			d.Undecided = append(d.Undecided, c)
		case after == 0 && before > 0 && c.New.Verdict == NotApplicable:
			d.Gone = append(d.Gone, c)
		case after == 0 && before > 0:
			d.Fixed = append(d.Fixed, c)
		}
	}
	return d
}

// place is where a requirement is judged.
type place struct{ id, wire, revision string }

// byRevision distributes the results over their revisions, in the order of the run.
func byRevision(run *Run) (map[place]*Result, []place) {
	results, order := map[place]*Result{}, []place{}
	for i := range run.Results {
		r := &run.Results[i]
		revisions := r.Revisions
		if len(revisions) == 0 {
			revisions = []string{""}
		}
		for _, revision := range revisions {
			at := place{r.ID, r.Wire, revision}
			results[at], order = r, append(order, at)
		}
	}
	return results, order
}

// gravity returns 2 for a failure, 1 for a warning, 0 for a requirement that is met or does not apply, and -1 if nothing was decided. An
// accepted finding keeps its gravity: accepting it fixes nothing.
func gravity(r *Result) int {
	if r == nil {
		return -1
	}
	switch r.Verdict {
	case Fail:
		return 2
	case Warn:
		return 1
	case Pass, NotApplicable:
		return 0
	case Suppressed:
		switch {
		case len(r.Findings) == 0:
			return -1
		case r.Level == "MUST" && slices.ContainsFunc(r.Findings, func(f Finding) bool { return !f.Advice }):
			return 2
		}
		return 1
	}
	return -1
}

// ExitCode returns 1 for a regression, and 3 if a MUST is no longer judged.
func (d Difference) ExitCode() int {
	if len(d.Regressed) > 0 {
		return ExitFindings
	}
	for _, c := range d.Undecided {
		if c.Old.Level == "MUST" {
			return ExitUndecided
		}
	}
	return ExitConformant
}
