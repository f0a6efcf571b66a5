package reports

import (
	"cmp"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/fixtures/profiles"
)

// Standing summarizes the verdicts of several requirements.
type Standing string

// The standings.
const (
	Met          Standing = "met"          // everything that applies passed
	SoFar        Standing = "so-far"       // everything judged passed, and more could be judged
	Partly       Standing = "partly"       // there are warnings
	Unmet        Standing = "unmet"        // a MUST failed
	Undetermined Standing = "undetermined" // nothing passed, or something is undecided
	Irrelevant   Standing = "irrelevant"   // none of it applies to this target
)

// tally counts the verdicts of some requirements. Baselines do not change it: an accepted finding is still a finding.
type tally struct {
	passed, untested, undecided, absent int
	failed, warned                      []string // ids
}

func (c *tally) add(r *Result) {
	note := func(list *[]string) {
		if !slices.Contains(*list, r.ID) {
			*list = append(*list, r.ID)
		}
	}
	switch r.unaccepted() {
	case Pass:
		c.passed++
	case Fail:
		note(&c.failed)
	case Warn:
		note(&c.warned)
	case NotTested:
		c.untested++
	case NotApplicable:
		c.absent++
	default:
		c.undecided++
	}
}

func (c *tally) standing() Standing {
	switch {
	case len(c.failed) > 0:
		return Unmet
	case len(c.warned) > 0:
		return Partly
	case c.undecided > 0, c.passed == 0 && c.untested > 0:
		return Undetermined
	case c.passed == 0:
		return Irrelevant
	case c.untested > 0:
		return SoFar
	}
	return Met
}

// ThreatStanding is the result of a run for a threat: Met means that it is mitigated.
type ThreatStanding struct {
	profiles.Threat
	Standing       Standing
	Failed, Warned []string // ids
	Passed         int
	Untested       int // verdicts that a deeper run would have
}

// Threats returns what an attacker can do, according to the run.
func (r *Run) Threats() []ThreatStanding {
	var out []ThreatStanding
	for _, threat := range profiles.Threats() {
		var c tally
		for i := range r.Results {
			if threat.Covers(r.Results[i].ID) {
				c.add(&r.Results[i])
			}
		}
		t := ThreatStanding{Threat: threat, Standing: c.standing(), Failed: c.failed, Warned: c.warned, Passed: c.passed, Untested: c.untested}
		if shown := r.shown(&threat); shown != "" {
			t.Standing, t.Says = Unmet, shown
		}
		out = append(out, t)
	}
	return out
}

// shown returns the run's own sentence about a threat: that a server is open to anybody. Empty for nearly all.
func (r *Run) shown(threat *profiles.Threat) string {
	if r.Open != "" && threat.Covers(anonymous) {
		return r.Open
	}
	for i := range r.Results {
		if res := &r.Results[i]; res.Verdict == Fail && res.Headline != "" && threat.Covers(res.ID) {
			return res.Headline
		}
	}
	return ""
}

// anonymous is the requirement that requests without credentials are refused.
const anonymous = "RS-CHALLENGE-401-STATUS"

// ClientStanding says whether a well-known client can connect.
type ClientStanding struct {
	profiles.Client
	Standing Standing
	Unmet    []profiles.Need // unmet needs
	Open     []profiles.Need // needs that the run did not see
}

// ClientStandings returns which clients can connect, according to the run.
func (r *Run) ClientStandings() []ClientStanding {
	verdicts := map[string][]Verdict{}
	for i := range r.Results {
		verdicts[r.Results[i].ID] = append(verdicts[r.Results[i].ID], r.Results[i].unaccepted())
	}
	var out []ClientStanding
	for _, client := range profiles.Clients() {
		s := ClientStanding{Client: client, Standing: Met}
		for _, need := range client.Needs {
			switch standingOf(need.Any, verdicts) {
			case Unmet:
				s.Unmet = append(s.Unmet, need)
			case Undetermined:
				s.Open = append(s.Open, need)
			}
		}
		switch {
		case len(s.Unmet) > 0:
			s.Standing = Unmet
		case len(s.Open) > 0:
			s.Standing = Undetermined
		}
		out = append(out, s)
	}
	return out
}

// standingOf returns whether one of some requirements is met.
func standingOf(anyOf []string, verdicts map[string][]Verdict) Standing {
	out := Undetermined
	for _, id := range anyOf {
		if slices.Contains(verdicts[id], Pass) {
			return Met
		}
		if slices.Contains(verdicts[id], Fail) || slices.Contains(verdicts[id], Warn) {
			out = Unmet
		}
	}
	return out
}

// ProfileStanding is the result of a run for a frozen set of requirements.
type ProfileStanding struct {
	profiles.Set
	Standing Standing
	// Of the MUSTs of the set: passed, failed, legitimately absent, and undecided or not tested.
	Passed, Absent, Open int
	Failed               []string
	// ShouldsWarned are the SHOULDs of the set with findings.
	ShouldsWarned []string
	// NotScored is the number of judged requirements that the set lacks because they are newer.
	NotScored int
}

// hinges are the requirements that show whether the target has the role of a profile: if one does not apply, it does not.
var hinges = map[string][]string{
	"resource-server":        {"RS-CHALLENGE-401-STATUS", "RS-DISC-PRM-PUBLISHED"},
	"authorization-server":   {"AS-TOKEN-SUCCESS-SHAPE"},
	"server-with-bundled-as": {"RS-CHALLENGE-401-STATUS", "RS-DISC-PRM-PUBLISHED", "AS-TOKEN-SUCCESS-SHAPE"},
}

// Profiles returns the result of a run for each frozen set of the judged revisions. It omits sets of a role that the target does not have.
func (r *Run) Profiles() []ProfileStanding {
	var out []ProfileStanding
	for _, set := range profiles.Current() {
		if s, any := r.profile(set); any {
			out = append(out, s)
		}
	}
	return out
}

// Standing returns the result of a run for one set; any is false if the target does not have the role.
func (r *Run) Standing(set profiles.Set) (s ProfileStanding, any bool) { return r.profile(set) }

func (r *Run) profile(set profiles.Set) (s ProfileStanding, any bool) {
	s.Set = set
	absent := false
	seen := map[string]bool{}
	for i := range r.Results {
		res := &r.Results[i]
		if !slices.Contains(res.Revisions, set.Revision) || !r.judged(set.Revision) {
			continue
		}
		if slices.Contains(set.Musts, res.ID) {
			seen[res.ID] = true
			any = any || res.Verdict != NotApplicable && res.Verdict != NotTested
			absent = absent || res.unaccepted() == NotApplicable && slices.Contains(hinges[set.Profile], res.ID)
		}
		s.count(res)
	}
	for _, id := range set.Musts { // a partial run says nothing about the rest
		if !seen[id] {
			s.Open++
		}
	}
	switch {
	case len(s.Failed) > 0:
		s.Standing = Unmet
	case s.Open > 0:
		s.Standing = Undetermined
	default:
		s.Standing = Met
	}
	return s, any && !absent
}

// count counts a result for the set's entry of its requirement.
func (s *ProfileStanding) count(res *Result) {
	switch {
	case slices.Contains(s.Set.Musts, res.ID):
		s.countMust(res)
	case slices.Contains(s.Set.Shoulds, res.ID):
		if v := res.unaccepted(); (v == Warn || v == Fail) && !slices.Contains(s.ShouldsWarned, res.ID) { // the catalogue may say MUST by now
			s.ShouldsWarned = append(s.ShouldsWarned, res.ID)
		}
	case res.Level == "MUST" && (s.Set.Profile == res.Role || s.Set.Profile == "server-with-bundled-as"):
		s.NotScored++
	}
}

func (s *ProfileStanding) countMust(res *Result) {
	switch res.unaccepted() {
	case Pass, Warn: // a MUST that is met in a risky way is met
		s.Passed++
	case Fail:
		if !slices.Contains(s.Failed, res.ID) {
			s.Failed = append(s.Failed, res.ID)
		}
	case NotApplicable:
		s.Absent++
	default:
		s.Open++
	}
}

// judged reports whether a revision was judged at all.
func (r *Run) judged(revision string) bool {
	return slices.ContainsFunc(r.Revisions, func(s RevisionStatus) bool {
		return s.Revision == revision && (s.Status == "spoken" || s.Status == "declared" || s.Status == "assumed")
	})
}

// Cause is a common reason of several results.
type Cause struct {
	Reason string
	Count  int
}

// Causes returns the reasons of the results with a verdict, the most common first.
func (r *Run) Causes(v Verdict) []Cause {
	n := map[string]int{}
	for i := range r.Results {
		if r.Results[i].Verdict == v {
			n[r.Results[i].Reason]++
		}
	}
	var out []Cause
	for why, count := range n {
		out = append(out, Cause{why, count})
	}
	slices.SortFunc(out, func(a, b Cause) int { return cmp.Or(b.Count-a.Count, strings.Compare(a.Reason, b.Reason)) })
	return out
}
