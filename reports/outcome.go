package reports

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// The exit codes of the command line tool.
const (
	ExitConformant  = 0
	ExitFindings    = 1
	ExitUsage       = 2
	ExitUndecided   = 3
	ExitToolFailed  = 4
	ExitInterrupted = 130
)

// FailOn is the weakest level at which an unmet requirement makes the run fail.
type FailOn string

// The thresholds.
const (
	FailOnMust     FailOn = "must"
	FailOnShould   FailOn = "should"   // SHOULD findings too
	FailOnPractice FailOn = "practice" // MAY and best practice findings too
	FailOnNone     FailOn = "none"
)

// Rule says which results make a run fail.
type Rule struct {
	FailOn FailOn `json:"fail_on,omitempty"` // must if empty
	// RequireComplete says that every selected MUST must be tested.
	RequireComplete bool `json:"require_complete,omitempty"`
	// Named are the requirements that the user selected by id. If one of them is not tested at all, the run is undecided.
	Named []string `json:"named,omitempty"`
}

// Held returns the run with another rule. If the rule names no requirements, those of the run stay.
func Held(redacted Redacted, rule Rule) Redacted {
	if rule.Named == nil {
		rule.Named = redacted.run.Rule.Named
	}
	redacted.run.Rule = rule
	return redacted
}

// Kind is the outcome of a run as a word for programs.
type Kind string

// The kinds of outcome. Only Conformant and PassedTested are a success.
const (
	Conformant   Kind = "conformant"             // every selected MUST is met or does not apply
	PassedTested Kind = "passed-what-was-tested" // the same for what was tested; some MUSTs were not
	Tolerated    Kind = "tolerated"              // MUSTs are unmet, and the user accepts that
	Findings     Kind = "findings"
	Undecided    Kind = "undecided"
	Broken       Kind = "failed" // the tool, not the target
	Interrupted  Kind = "interrupted"
	Nothing      Kind = "nothing-selected"
)

// Kinds are all outcomes.
var Kinds = []Kind{Conformant, PassedTested, Tolerated, Findings, Undecided, Broken, Interrupted, Nothing}

// Outcome is the result of a whole run. The exit code and the headline of every report come from it, so that no report
// contradicts another.
type Outcome struct {
	Code     int    `json:"code"`
	Kind     Kind   `json:"kind"`
	Headline string `json:"headline"` // one sentence
	// Colour is that of a badge.
	Colour string `json:"colour"`
}

// Outcome judges the run by its rule, from the results alone. If several reasons apply, the most serious counts: a failure of the tool, an
// interruption, findings, then undecided requirements.
func (r *Run) Outcome() Outcome {
	s := r.sum()
	switch on := cmp.Or(r.Rule.FailOn, FailOnMust); {
	case r.Doubt != "":
		return Outcome{ExitToolFailed, Broken, "NO VERDICT CAN BE TRUSTED: " + r.Doubt, "lightgrey"}
	case s.errored > 0:
		return Outcome{ExitToolFailed, Broken, fmt.Sprintf("THE TOOL FAILED: %s ended in an error", Count(s.errored, "check")), "lightgrey"}
	case r.Interrupted:
		return Outcome{ExitInterrupted, Interrupted, "INTERRUPTED" + r.reached() + ": the report is partial", "lightgrey"}
	case on != FailOnNone && len(s.unmet) > 0:
		return Outcome{ExitFindings, Findings, "FAILED: " + s.failures(), "red"}
	case s.warned(on) > 0:
		return Outcome{ExitFindings, Findings, fmt.Sprintf("FAILED: %s at or above the level %s", Count(s.warned(on), "finding"), on), "red"}
	case len(r.Stale) > 0:
		return Outcome{ExitFindings, Findings, "FAILED: the baseline no longer holds: " + r.Stale[0], "red"}
	case len(r.Results) == 0 && r.Unreachable == "":
		return Outcome{ExitUsage, Nothing, "NOTHING WAS TESTED: no requirement was selected", "lightgrey"}
	}
	if r.Unreachable != "" {
		return Outcome{ExitUndecided, Undecided, "NOTHING WAS TESTED: " + r.Unreachable, "lightgrey"}
	}
	if why := r.undecided(s); why != "" {
		return Outcome{ExitUndecided, Undecided, "UNDECIDED: " + why, "lightgrey"}
	}
	if len(s.unmet) > 0 {
		return Outcome{ExitConformant, Tolerated, "TOLERATED: " + s.failures(), "red"}
	}
	return s.success()
}

// NotReached is the reason for requirements that an interrupted run did not judge.
const NotReached = "the run was interrupted before this was judged"

// reached says how far an interrupted run came.
func (r *Run) reached() string {
	all := map[string]bool{}
	for i := range r.Results {
		all[r.Results[i].ID] = true
	}
	most := max(r.Selected, len(all))
	if most == 0 {
		return ""
	}
	return fmt.Sprintf(" after %d of %s", len(all)-len(r.NotReached()), Count(most, "check"))
}

// NotReached returns the requirements that an interrupted run did not judge.
func (r *Run) NotReached() map[string]bool {
	left := map[string]bool{}
	for i := range r.Results {
		if r.Results[i].Reason == NotReached {
			left[r.Results[i].ID] = true
		}
	}
	return left
}

// undecided says why the results are not a success although nothing failed; empty if they are.
func (r *Run) undecided(s sums) string {
	switch {
	case r.Open != "":
		return r.Open + "; if that is meant, declare it (target.public in the target file)"
	case len(r.NotWorking) > 0:
		return strings.Join(r.NotWorking, "; ")
	case s.open(Inconclusive) > 0:
		return fmt.Sprintf("%s could not be decided", Count(s.open(Inconclusive), "MUST"))
	case s.open(Review) > 0:
		return fmt.Sprintf("a person must look at %s", Count(s.open(Review), "MUST"))
	case s.open(Flaky) > 0:
		return fmt.Sprintf("%s had another verdict at another attempt", Count(s.open(Flaky), "MUST"))
	case len(s.named) > 0:
		return "you asked for " + strings.Join(s.named, ", ") + ", not tested" + s.advice()
	case s.decided == 0:
		return "nothing that was selected could be judged" + s.advice()
	case r.Rule.RequireComplete && s.open(NotTested) > 0:
		return fmt.Sprintf("%s not tested, and all are required%s", Count(s.open(NotTested), "MUST"), s.advice())
	}
	return ""
}

// sums counts the results of a run by requirement: one that is judged on two wires counts once, with its worst verdict.
type sums struct {
	musts   map[string]Verdict // the worst verdict of each MUST
	unmet   map[string]bool    // the MUSTs that failed
	warns   map[string][]string
	missing []want
	named   []string // selected by id, and not tested
	// headline is the headline of the most serious failure.
	headline string
	// decided counts the results that say something about the target: those of MUSTs if there are any, else all.
	decided, errored int
}

// want is something that the user could add, with the number of MUSTs that it would let be tested.
type want struct {
	option string
	ids    []string
}

func (r *Run) sum() sums {
	s := sums{musts: map[string]Verdict{}, unmet: map[string]bool{}, warns: map[string][]string{}}
	decidedMusts, decidedAll, hasMust := 0, 0, false
	for i := range r.Results {
		res := &r.Results[i]
		must := res.Level == "MUST"
		hasMust = hasMust || must
		switch res.Verdict {
		case Pass, Warn, Fail, Suppressed:
			decidedAll++
			if must {
				decidedMusts++
			}
		case Errored:
			s.errored++
		case NotTested:
			if slices.Contains(r.Rule.Named, res.ID) && !slices.Contains(s.named, res.ID) {
				s.named = append(s.named, res.ID)
			}
		}
		switch {
		case res.Verdict == Fail:
			s.unmet[res.ID] = true
			s.headline = cmp.Or(s.headline, res.Headline)
		case res.Verdict == Warn && !slices.Contains(s.warns[res.Level], res.ID):
			s.warns[res.Level] = append(s.warns[res.Level], res.ID)
		}
		if must {
			s.add(res)
		}
	}
	s.headline = cmp.Or(s.headline, r.Open)
	if s.decided = decidedMusts; !hasMust {
		s.decided = decidedAll
	}
	return s
}

func (s *sums) add(res *Result) {
	if worst, ok := s.musts[res.ID]; !ok || severity(res.Verdict) > severity(worst) {
		s.musts[res.ID] = res.Verdict
	}
	if res.Verdict != NotTested || res.Missing == "" {
		return
	}
	for i := range s.missing {
		if s.missing[i].option == res.Missing {
			if !slices.Contains(s.missing[i].ids, res.ID) {
				s.missing[i].ids = append(s.missing[i].ids, res.ID)
			}
			return
		}
	}
	s.missing = append(s.missing, want{res.Missing, []string{res.ID}})
}

// severity orders verdicts, the worst last.
func severity(v Verdict) int {
	return slices.Index([]Verdict{NotApplicable, Pass, Warn, Suppressed, NotTested, Flaky, Review, Inconclusive, Fail, Errored}, v)
}

// open counts the MUSTs whose worst verdict is v.
func (s *sums) open(v Verdict) int {
	n := 0
	for _, worst := range s.musts {
		if worst == v {
			n++
		}
	}
	return n
}

// warned counts the findings below FAIL that a threshold makes count.
func (s *sums) warned(on FailOn) int {
	n := 0
	for level, ids := range s.warns {
		if on == FailOnPractice || on == FailOnShould && (level == "SHOULD" || level == "MUST") {
			n += len(ids)
		}
	}
	return n
}

func (s *sums) failures() string {
	text := Count(len(s.unmet), "MUST") + map[bool]string{true: " is not met", false: " are not met"}[len(s.unmet) == 1]
	if s.headline != "" {
		text = s.headline + "; " + text
	}
	return text
}

// success returns the outcome if nothing failed and nothing is undecided.
func (s *sums) success() Outcome {
	passed, all := s.open(Pass)+s.open(Warn)+s.open(Suppressed), len(s.musts)-s.open(NotApplicable)
	o := Outcome{ExitConformant, Conformant, fmt.Sprintf("PASSED: %d of %s that apply", passed, Count(all, "MUST")), "brightgreen"}
	if all == 0 {
		o.Headline = "PASSED: everything that was selected is met (it holds no MUST)"
	}
	warnings := 0
	for _, ids := range s.warns {
		warnings += len(ids)
	}
	extra := ""
	if n := s.open(Suppressed); n > 0 {
		extra += fmt.Sprintf(", %d of them unmet and accepted by the baseline", n)
	}
	if warnings > 0 {
		extra += ", with " + Count(warnings, "warning")
	}
	if extra != "" {
		o.Colour = "yellow"
	}
	o.Headline += extra
	if s.open(NotTested) > 0 {
		o.Kind, o.Colour = PassedTested, "yellow"
		if extra == "" {
			o.Colour = "green"
		}
		o.Headline = fmt.Sprintf("PASSED what was tested: %d of %s%s%s", passed, Count(all, "MUST"), extra, s.advice())
	}
	return o
}

// Advice says what the user could add to test more, if the outcome does not say it; otherwise it is empty.
func (r *Run) Advice() string {
	s := r.sum()
	if r.Outcome().Kind != Findings || r.Open != "" || s.open(NotTested) == 0 {
		return ""
	}
	return strings.TrimPrefix(s.advice(), "; ")
}

// mostAdvice bounds the options that a headline names.
const mostAdvice = 4

// advice says what the user could add, the most useful first.
func (s *sums) advice() string {
	slices.SortStableFunc(s.missing, func(a, b want) int { return len(b.ids) - len(a.ids) })
	var parts []string
	for i, w := range s.missing {
		if i == mostAdvice {
			parts = append(parts, "or see what else the report names")
			break
		}
		more := ""
		if i == 0 {
			more = " more"
		}
		parts = append(parts, fmt.Sprintf("%s to test %d%s", w.option, len(w.ids), more))
	}
	if len(parts) == 0 {
		return ""
	}
	return "; add " + strings.Join(parts, ", ")
}

// Count returns a number with its noun.
func Count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
