package expect

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/onsi/gomega/types"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/oauth"
)

// Kind is what it means that a matcher is satisfied.
type Kind int

const (
	// Look says only that something looks as it should.
	Look Kind = iota
	// Refusal says that the target refused something. It counts only beside a control.
	Refusal
	// Control says that the target served what it should, so that a refusal beside it means something.
	Control
)

// Matcher is a Gomega matcher that says what it expects and sees, apart, and what it means to satisfy it.
type Matcher interface {
	types.GomegaMatcher
	Judge(actual any) Judgement
	Kind() Kind
}

// Judgement is what a matcher makes of a value.
type Judgement struct {
	Met                bool
	Expected, Observed string
	// Undecided says why the value decides nothing: a server error is not a refusal, and no defect either.
	Undecided string
	// Untried says that the target was not even asked, because the user did not give something.
	Untried bool
	// Advice is what is risky, or unusual, in a value that satisfies the matcher; nil if nothing is.
	Advice *Advice
}

// Advice is a finding that is at most a warning.
type Advice struct{ Expected, Observed string }

// Evidence is a value that comes from an exchange.
type Evidence interface{ Evidence() *reports.Exchange }

// ExchangeOf returns the exchange that shows a value; nil if none does.
func ExchangeOf(actual any) *reports.Exchange {
	switch v := actual.(type) {
	case *reports.Exchange:
		return v
	case *oauth.Tokens:
		if v != nil {
			return v.Exchange
		}
	case Evidence:
		return v.Evidence()
	}
	return nil
}

// Asked is a matcher that has to ask what the target serves: whether the complaint that a tool does not exist counts.
type Asked interface {
	Ask(unknownTool bool) Matcher
}

type matcher struct {
	kind  Kind
	judge func(actual any) Judgement
	of    reflect.Type // of what is judged, where that is one type
}

func (m *matcher) Kind() Kind                 { return m.kind }
func (m *matcher) Judge(actual any) Judgement { return m.judge(actual).bounded() }

// bounded returns a judgement whose texts are of a length to be read, whatever it quotes.
func (j Judgement) bounded() Judgement {
	j.Expected, j.Observed, j.Undecided = reports.AtMost(mostQuoted, j.Expected), reports.AtMost(mostQuoted, j.Observed),
		reports.AtMost(mostQuoted, j.Undecided)
	if j.Advice != nil {
		j.Advice = &Advice{reports.AtMost(mostQuoted, j.Advice.Expected), reports.AtMost(mostQuoted, j.Advice.Observed)}
	}
	return j
}

func (m *matcher) Match(actual any) (bool, error) {
	j := m.judge(actual)
	if j.Undecided != "" {
		return false, errors.New(j.Undecided)
	}
	return j.Met, nil
}

func (m *matcher) FailureMessage(actual any) string {
	j := m.judge(actual)
	return "expected " + j.Expected + ", observed " + j.Observed
}

func (m *matcher) NegatedFailureMessage(actual any) string {
	return "expected anything but " + m.judge(actual).Expected
}

// onExchange makes a matcher of an exchange that is or is not as expected.
func onExchange(expected string, kind Kind, match func(ex *reports.Exchange) bool) Matcher {
	return &matcher{kind: kind, judge: func(actual any) Judgement {
		ex := ExchangeOf(actual)
		if ex == nil {
			return Judgement{Expected: expected, Observed: "nothing was sent"}
		}
		return Judgement{Met: match(ex), Expected: expected, Observed: Describe(ex)}
	}}
}

// That makes a matcher of what a check looks at itself: problem is empty where all is well, and else what was observed.
func That[V any](expected string, problem func(v V) string) Matcher {
	return declared(that(expected, problem), expected)
}

func that[V any](expected string, problem func(v V) string) Matcher {
	return &matcher{Look, func(actual any) Judgement {
		v, ok := actual.(V)
		if !ok {
			return Judgement{Expected: expected, Observed: fmt.Sprintf("a value of type %T", actual)}
		}
		observed := problem(v)
		return Judgement{Met: observed == "", Expected: expected, Observed: observed}
	}, reflect.TypeFor[V]()}
}

// Refusing returns That for what must not come about: where the value is as expected, the target has refused.
func Refusing[V any](expected string, problem func(v V) string) Matcher {
	m := that(expected, problem)
	return declared(&matcher{Refusal, func(actual any) Judgement {
		j := m.Judge(actual)
		if ex := ExchangeOf(actual); j.Met && ex != nil && NoAnswer(ex) != "" {
			return Judgement{Expected: expected, Undecided: NoAnswer(ex)}
		}
		return j
	}, reflect.TypeFor[V]()}, expected)
}

// Serving returns That for what the target should serve: where the value is as expected, a refusal beside it means something.
func Serving[V any](expected string, problem func(v V) string) Matcher {
	return declared(&matcher{Control, that(expected, problem).Judge, reflect.TypeFor[V]()}, expected)
}

// Either returns satisfied by what satisfies one of two matchers. What it expects, and what it means to satisfy it, are those of
// the second.
func Either(first, second Matcher) Matcher {
	return named(&matcher{kind: second.Kind(), judge: func(actual any) Judgement {
		if j := first.Judge(actual); j.Met {
			return j
		}
		return second.Judge(actual)
	}}, "Either", first, second)
}

// NoAnswer says why an answer is evidence of nothing: it never came, the target limits requests, or it failed. Empty if it
// is an answer.
func NoAnswer(ex *reports.Exchange) string {
	switch s := Status(ex); {
	case s == 0:
		return Describe(ex)
	case s == 429:
		return "the target limits requests: " + Describe(ex)
	case s >= 500:
		return Describe(ex) + ", a server error, which is not a refusal"
	}
	return ""
}

// Show returns That for an exchange which was looked at for something that must not be in it: without an answer nothing was seen. A
// server error is an answer, which may show as much as any other.
func Show(expected string, problem func(ex *reports.Exchange) string) Matcher {
	m := that(expected, problem)
	return declared(&matcher{kind: Look, judge: func(actual any) Judgement {
		if ex := ExchangeOf(actual); ex != nil && ex.Response == nil {
			return Judgement{Expected: expected, Undecided: NoAnswer(ex)}
		}
		return m.Judge(actual)
	}}, expected)
}

// Unless returns a matcher whose satisfaction counts only where nothing speaks against it: doubt says what does, or is empty.
func Unless[V any](m Matcher, doubt func(v V) string) Matcher {
	of := judgedType(m)
	if of == nil {
		of = reflect.TypeFor[V]()
	}
	return declared(&matcher{m.Kind(), func(actual any) Judgement {
		j := m.Judge(actual)
		if v, ok := actual.(V); ok && j.Met {
			if why := doubt(v); why != "" {
				return Judgement{Expected: j.Expected, Undecided: why}
			}
		}
		return j
	}, of}, inDoubt(m))
}

// inDoubt returns what the variable of a package is called that holds a matcher with a doubt; empty where the matcher has no name.
func inDoubt(m Matcher) string {
	if c := CallOf(m); c != nil {
		return c.Name + ", unless in doubt"
	}
	return ""
}
