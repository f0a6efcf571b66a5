package reports

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/fixtures/requirements"
)

// Group has the results of one requirement with one verdict: on both wires, and at all revisions.
type Group struct {
	Results  []*Result             // at least one
	Severity requirements.Severity // of what was found, which may be less than that of the requirement
	Why      string                // the consequence, and for whom; empty if the catalogue does not say
}

// First returns a representative result of the group.
func (g *Group) First() *Result { return g.Results[0] }

// Groups returns the results with a verdict, by requirement: the most serious first, then by level.
func (r *Run) Groups(v Verdict) []Group {
	var out []Group
	place := map[string]int{}
	for i := range r.Results {
		res := &r.Results[i]
		if res.Verdict != v {
			continue
		}
		if at, ok := place[res.ID]; ok {
			out[at].Results = append(out[at].Results, res)
			continue
		}
		place[res.ID] = len(out)
		out = append(out, Group{Results: []*Result{res}})
	}
	for i := range out {
		if entry, ok := requirements.Lookup(out[i].First().ID); ok {
			out[i].Severity, out[i].Why = out[i].found(entry.Severity), entry.Why
		}
	}
	slices.SortStableFunc(out, func(a, b Group) int {
		return cmp.Or(headlined(a)-headlined(b), severityRank(a.Severity)-severityRank(b.Severity), force(a.First().Level)-force(b.First().Level))
	})
	return out
}

// found returns the severity of what was found. That of the requirement is for one that is not met: it is at most medium where nobody is
// let in, and where a MUST is met in a risky way.
func (g *Group) found(whole requirements.Severity) requirements.Severity {
	lesser := false
	for _, res := range g.Results {
		for _, f := range res.Findings {
			if lesser = f.Minor || f.Advice && res.Level == string(requirements.Must); !lesser {
				return whole
			}
		}
	}
	if lesser && severityRank(whole) < severityRank(requirements.Medium) {
		return requirements.Medium
	}
	return whole
}

// Severity returns the severity of what was found about a requirement, the worst of its verdicts.
func (r *Run) Severity(id string) requirements.Severity {
	worst := requirements.Severity("")
	for _, v := range []Verdict{Fail, Warn, Suppressed} {
		for _, g := range r.Groups(v) {
			if g.First().ID == id && (worst == "" || severityRank(g.Severity) < severityRank(worst)) {
				worst = g.Severity
			}
		}
	}
	return worst
}

// Requirements counts the requirements with each verdict. One with several verdicts, at different revisions, counts for each.
func (r *Run) Requirements() map[Verdict]int {
	out := map[Verdict]int{}
	for _, v := range Verdicts {
		if n := len(r.Groups(v)); n > 0 {
			out[v] = n
		}
	}
	return out
}

// ToFix returns the failed requirements, the most serious first. A server that is open to everybody without a declaration comes before
// them: everything else depends on it.
func (r *Run) ToFix() []Group {
	failed := r.Groups(Fail)
	if r.Open == "" {
		return failed
	}
	for _, g := range r.Groups(Inconclusive) {
		if g.First().ID == anonymous {
			return append([]Group{g}, failed...)
		}
	}
	return failed
}

// Doubt says of a group of ToFix that it is not decided whether it has to be fixed; empty for a finding.
func (g *Group) Doubt() string {
	if g.First().Verdict != Inconclusive {
		return ""
	}
	return "undecided: fix it, or declare target.public in the target file"
}

// Worst returns the worst verdict of each requirement.
func (r *Run) Worst() map[string]Verdict {
	out := map[string]Verdict{}
	for i := range r.Results {
		res := &r.Results[i]
		if worst, ok := out[res.ID]; !ok || severity(res.Verdict) > severity(worst) {
			out[res.ID] = res.Verdict
		}
	}
	return out
}

// headlined returns 0 for a group at the beginning of every report.
func headlined(g Group) int {
	if slices.ContainsFunc(g.Results, func(r *Result) bool { return r.Headline != "" }) {
		return 0
	}
	return 1
}

func severityRank(s requirements.Severity) int {
	order := []requirements.Severity{requirements.Critical, requirements.High, requirements.Medium, requirements.Low}
	if i := slices.Index(order, s); i >= 0 {
		return i
	}
	return len(order)
}

func force(level string) int {
	return slices.Index([]string{string(requirements.Must), string(requirements.Should), string(requirements.May),
		string(requirements.Practice)}, level)
}

// Scope says in words where the group was judged: "MUST at every revision, in both protocols".
func (g *Group) Scope() string {
	var parts []string
	for _, level := range []string{string(requirements.Must), string(requirements.Should), string(requirements.May),
		string(requirements.Practice)} {
		if revisions := g.revisionsAt(level); len(revisions) > 0 {
			parts = append(parts, level+" at "+listRevisions(revisions))
		}
	}
	wires := map[string]bool{}
	for _, res := range g.Results {
		if res.Wire != "" {
			wires[res.Wire] = true
		}
	}
	scope := strings.Join(parts, ", ")
	switch {
	case len(wires) > 1:
		scope += ", in both protocols"
	case len(wires) == 1:
		scope += ", in the protocol " + WireWords(slices.Collect(maps.Keys(wires))[0])
	}
	return scope
}

// revisionsAt returns the revisions at which the group was judged with a level.
func (g *Group) revisionsAt(level string) map[string]bool {
	out := map[string]bool{}
	for _, res := range g.Results {
		if res.Level == level {
			for _, rev := range res.Revisions {
				out[rev] = true
			}
		}
	}
	return out
}

// WireWords says how the protocol of a wire differs from the other: revisions before 2026-07-28 have sessions.
func WireWords(wire string) string {
	switch wire {
	case "stateful":
		return "with sessions"
	case "stateless":
		return "without sessions"
	}
	return wire
}

func listRevisions(revisions map[string]bool) string {
	var named []string
	for _, rev := range requirements.Revisions {
		if revisions[rev] {
			named = append(named, rev)
		}
	}
	switch n := len(named); {
	case n == len(requirements.Revisions):
		return "every revision"
	case n > 1:
		return strings.Join(named[:n-1], ", ") + " and " + named[n-1]
	case n == 1:
		return named[0]
	}
	return "no revision"
}

// Findings returns the findings of all results of the group, those that decide the verdict first; equal ones on both wires are included
// once.
func (g *Group) Findings() []Finding {
	var out []Finding
	for _, res := range g.Results {
		for _, f := range res.Findings {
			same := func(o Finding) bool {
				return o.Expected == f.Expected && o.Observed == f.Observed && o.About == f.About && o.Advice == f.Advice
			}
			if !slices.ContainsFunc(out, same) {
				out = append(out, f)
			}
		}
	}
	return GravestFirst(out)
}

// GravestFirst returns findings with small ones behind what is not met, and advice behind both: most reports show the first ones only.
func GravestFirst(findings []Finding) []Finding {
	out := slices.Clone(findings)
	slices.SortStableFunc(out, func(a, b Finding) int { return rank(a) - rank(b) })
	return out
}

func rank(f Finding) int {
	switch {
	case f.Advice:
		return 2
	case f.Minor:
		return 1
	}
	return 0
}

// Reason is a reason that several requirements with a verdict share.
type Reason struct {
	Text string
	IDs  []string // without duplicates, in the order of the results
}

// Reasons returns the reasons of a verdict, by the number of requirements.
func (r *Run) Reasons(v Verdict) []Reason {
	var out []Reason
	place := map[string]int{}
	for i := range r.Results {
		res := &r.Results[i]
		if res.Verdict != v {
			continue
		}
		at, ok := place[res.Reason]
		if !ok {
			at = len(out)
			place[res.Reason] = at
			out = append(out, Reason{Text: res.Reason})
		}
		if !slices.Contains(out[at].IDs, res.ID) {
			out[at].IDs = append(out[at].IDs, res.ID)
		}
	}
	slices.SortStableFunc(out, func(a, b Reason) int { return len(b.IDs) - len(a.IDs) })
	return out
}
