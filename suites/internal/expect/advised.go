package expect

import "github.com/mcpauth/conformance/reports"

// Advised returns a matcher that warns if an additional condition is not met: a refusal that is not ideal.
func Advised(m Matcher, ideal string, met func(ex *reports.Exchange) bool) Matcher {
	return &matcher{kind: m.Kind(), judge: func(actual any) Judgement {
		j := m.Judge(actual)
		if ex := ExchangeOf(actual); j.Met && !met(ex) {
			j.Advice = &Advice{ideal, Describe(ex)}
		}
		return j
	}}
}

// AdvisedOf is Advised for any value: observed returns what is not ideal, or "".
func AdvisedOf[V any](m Matcher, ideal string, observed func(v V) string) Matcher {
	return &matcher{kind: m.Kind(), judge: func(actual any) Judgement {
		j := m.Judge(actual)
		if v, ok := actual.(V); ok && j.Met {
			if seen := observed(v); seen != "" {
				j.Advice = &Advice{ideal, seen}
			}
		}
		return j
	}}
}

// WithToken returns a matcher for requests with a valid token: what it finds is minor, since it lets nobody in.
func WithToken(m Matcher) Matcher {
	return named(&matcher{kind: m.Kind(), judge: func(actual any) Judgement {
		j := m.Judge(actual)
		j.Minor = true
		return j
	}}, "WithToken", m)
}

// AtMostAdvised returns a matcher that warns where another is not met: what that expects is not demanded everywhere.
func AtMostAdvised(m Matcher) Matcher {
	return named(&matcher{kind: m.Kind(), judge: func(actual any) Judgement {
		j := m.Judge(actual)
		if !j.Met && j.Undecided == "" {
			j.Met, j.Advice = true, &Advice{j.Expected, j.Observed}
		}
		return j
	}}, "AtMostAdvised", m)
}
