package expect

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/onsi/gomega/types"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/oauth"
)

// Kind is the meaning of a satisfied matcher.
type Kind int

const (
	// Look means only that something is as expected.
	Look Kind = iota
	// Refusal means that the target refused something. It counts only with a control.
	Refusal
	// Control means that the target served what it should, so that a refusal counts.
	Control
)

// Matcher is a Gomega matcher that states separately what it expects, what it observes, and what a match means.
type Matcher interface {
	types.GomegaMatcher
	Judge(actual any) Judgement
	Kind() Kind
}

// Judgement is the judgement of a matcher about a value.
type Judgement struct {
	Met                bool
	Expected, Observed string
	// Undecided says why the value decides nothing: a server error is neither a refusal nor a defect.
	Undecided string
	// Untried says that no request was sent because the user did not supply something.
	Untried bool
	// Advice is what is risky or unusual in a value that matches; nil if nothing is.
	Advice *Advice
	// Minor says that nobody gains access: the target refused with another status, or was sent a valid token.
	Minor bool
}

// Advice is a finding that is at most a warning.
type Advice struct{ Expected, Observed string }

// Evidence is a value that comes from an exchange.
type Evidence interface{ Evidence() *reports.Exchange }

// ExchangeOf returns the exchange that shows a value, or nil.
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

// Asked is a matcher that must know what the target serves: whether the error for an unknown tool counts.
type Asked interface {
	Ask(unknownTool bool) Matcher
}

type matcher struct {
	kind  Kind
	judge func(actual any) Judgement
	of    reflect.Type // of the judged value, if it has one type
}

func (m *matcher) Kind() Kind                 { return m.kind }
func (m *matcher) Judge(actual any) Judgement { return m.judge(actual).bounded() }

// bounded limits the length of the texts of a judgement, which may quote long values.
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
	return "came: " + j.Observed + "; should be: " + j.Expected
}

func (m *matcher) NegatedFailureMessage(actual any) string {
	return "should be anything but: " + m.judge(actual).Expected
}

// onExchange makes a matcher for an exchange.
func onExchange(expected string, kind Kind, match func(ex *reports.Exchange) bool) Matcher {
	return &matcher{kind: kind, judge: func(actual any) Judgement {
		ex := ExchangeOf(actual)
		if ex == nil {
			return Judgement{Expected: expected, Observed: "nothing was sent"}
		}
		return Judgement{Met: match(ex), Expected: expected, Observed: Describe(ex)}
	}}
}

// That makes a matcher from a function of a check: it returns "" if the value is as expected, or else what was observed.
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

// Refusing is That for something that must not happen: if the value is as expected, the target has refused.
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

// Serving is That for something that the target should serve: if the value is as expected, a refusal counts.
func Serving[V any](expected string, problem func(v V) string) Matcher {
	return declared(&matcher{Control, that(expected, problem).Judge, reflect.TypeFor[V]()}, expected)
}

// Either matches if one of two matchers does. Its expectation and its kind are those of the second.
func Either(first, second Matcher) Matcher {
	return named(&matcher{kind: second.Kind(), judge: func(actual any) Judgement {
		if j := first.Judge(actual); j.Met {
			return j
		}
		return second.Judge(actual)
	}}, "Either", first, second)
}

// NoAnswer says why an exchange is not evidence: no answer came, the target limits requests, or it failed; empty for a usable answer.
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

// Show is That for an exchange that is searched for something forbidden: without an answer nothing was seen. A server error is an answer,
// which may disclose as much as any other.
func Show(expected string, problem func(ex *reports.Exchange) string) Matcher {
	m := that(expected, problem)
	return declared(&matcher{kind: Look, judge: func(actual any) Judgement {
		if ex := ExchangeOf(actual); ex != nil && ex.Response == nil {
			return Judgement{Expected: expected, Undecided: NoAnswer(ex)}
		}
		return m.Judge(actual)
	}}, expected)
}

// Unless returns a matcher whose match counts only without a doubt: the function returns the doubt, or "".
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

// inDoubt returns the name of the package variable with such a matcher; empty if the matcher has no name.
func inDoubt(m Matcher) string {
	if c := CallOf(m); c != nil {
		return c.Name + ", unless in doubt"
	}
	return ""
}
