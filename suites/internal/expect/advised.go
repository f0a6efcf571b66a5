package expect

import "github.com/mcpauth/conformance/reports"

// Advised returns a matcher of an exchange that warns where a further condition is not met: what is refused, but not ideally.
func Advised(m Matcher, ideal string, met func(ex *reports.Exchange) bool) Matcher {
	return &matcher{kind: m.Kind(), judge: func(actual any) Judgement {
		j := m.Judge(actual)
		if ex := ExchangeOf(actual); j.Met && !met(ex) {
			j.Advice = &Advice{ideal, Describe(ex)}
		}
		return j
	}}
}

// AdvisedOf returns Advised for any value: observed is what is not ideal in it, or empty.
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
