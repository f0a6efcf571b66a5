package expect

import (
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/mcp"
)

// Run expects that a tool runs.
func Run() Matcher { return named(onExchange("a tool that runs", Control, Ran), "Run") }

// NotRun expects that a call is refused before the tool runs, in any way.
func NotRun() Matcher {
	return named(&matcher{kind: Refusal, judge: func(actual any) Judgement {
		ex := ExchangeOf(actual)
		switch {
		case Ran(ex):
			return Judgement{Expected: "a refusal of the call", Observed: "the tool runs: " + Describe(ex)}
		case NoAnswer(ex) != "":
			return Judgement{Expected: "a refusal of the call", Undecided: NoAnswer(ex)}
		}
		return Judgement{Met: true}
	}}, "NotRun")
}

// BeForbidden expects that a call is refused for a missing scope, with HTTP 403 (OAuth 2.1 section 5.3.2).
func BeForbidden() Matcher {
	return named(&matcher{kind: Refusal, judge: func(actual any) Judgement {
		j := NotRun().Judge(actual)
		if ex := ExchangeOf(actual); j.Met && (Status(ex) != 403 || mcp.Read(ex).Result != nil) {
			return Judgement{Expected: "a refusal with HTTP 403", Observed: Describe(ex), Minor: refusedAnyway(ex)}
		}
		return j
	}}, "BeForbidden")
}

// NameInChallenge expects an error code in a challenge (RFC 6750 section 3.1).
func NameInChallenge(code string) Matcher {
	return named(&matcher{kind: Look, judge: func(actual any) Judgement {
		ex := ExchangeOf(actual)
		got, named := Param(ex, "error")
		observed := "error=\"" + got + "\""
		if !named {
			observed = "the challenge names no error"
		}
		return Judgement{Met: got == code, Expected: "error=\"" + code + "\" in the challenge", Observed: observed}
	}}, "NameInChallenge", code)
}

// HaveChallengeParam expects a parameter in any challenge of the answer.
func HaveChallengeParam(name string) Matcher {
	return named(onExchange(name+" in the challenge", Look, func(ex *reports.Exchange) bool {
		_, has := Param(ex, name)
		return has
	}), "HaveChallengeParam", name)
}

// HaveChallengeParamOf expects a parameter of a challenge with a value.
func HaveChallengeParamOf(name, want string) Matcher {
	return named(onExchange(name+" "+want+" in the challenge", Look, func(ex *reports.Exchange) bool {
		got, _ := Param(ex, name)
		return got == want
	}), "HaveChallengeParamOf", name, want)
}
