package expect

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/mcp"
)

// HaveStatus expects one of the HTTP statuses.
func HaveStatus(statuses ...int) Matcher {
	return onExchange("HTTP "+list(statuses), Look, func(ex *reports.Exchange) bool { return slices.Contains(statuses, Status(ex)) })
}

// HaveMediaType expects a Content-Type of a media type, whatever its parameters.
func HaveMediaType(want string) Matcher {
	return &matcher{Look, func(actual any) Judgement {
		ex := ExchangeOf(actual)
		return Judgement{Met: MediaType(ex) == want, Expected: want, Observed: "Content-Type " + Header(ex, "Content-Type")}
	}}
}

// HaveHeader expects a response header field with a value: a Value, or the text itself.
func HaveHeader(name string, want any) Matcher {
	v := valueOf(want)
	return &matcher{Look, func(actual any) Judgement {
		expected := name + ": " + v.what
		values := HeaderValues(ExchangeOf(actual), name)
		if len(values) == 0 {
			return Judgement{Expected: expected, Observed: "it is absent"}
		}
		met := slices.ContainsFunc(values, func(s string) bool { return v.ok(s) })
		return Judgement{Met: met, Expected: expected, Observed: fmt.Sprintf("%q", strings.Join(values, " | "))}
	}}
}

// HaveChallenge expects a WWW-Authenticate field; with parameters, a Bearer challenge that has them all (RFC 6750 section 3).
func HaveChallenge(params ...string) Matcher {
	if len(params) == 0 {
		return onExchange("a WWW-Authenticate field (RFC 9110 section 15.5.2)", Look, func(ex *reports.Exchange) bool {
			return len(HeaderValues(ex, "WWW-Authenticate")) > 0
		})
	}
	return onExchange("a Bearer challenge with "+strings.Join(params, " and "), Look, func(ex *reports.Exchange) bool {
		return slices.ContainsFunc(Bearer(ex), func(c document.Challenge) bool {
			return !slices.ContainsFunc(params, func(name string) bool { _, ok := c.Param(name); return !ok })
		})
	})
}

// HaveChallengeOf expects a challenge of a scheme.
func HaveChallengeOf(scheme string) Matcher {
	return onExchange("WWW-Authenticate: "+scheme, Look, func(ex *reports.Exchange) bool {
		return slices.ContainsFunc(Challenges(ex), func(c document.Challenge) bool { return strings.EqualFold(c.Scheme, scheme) })
	})
}

// BeServed expects a protected request to get past authorization.
func BeServed() Matcher {
	return &asked{onExchange("the request to be served", Control, Accepted).(*matcher)}
}

type asked struct{ *matcher }

func (*asked) Ask(served func(*reports.Exchange) bool) Matcher { return ServedBy(served) }

// BeRefused expects a protected request to be refused with an HTTP status. Another error code in the challenge than the
// listed ones is a warning (RFC 6750 section 3.1).
func BeRefused(status int, codes ...string) Matcher {
	expected := fmt.Sprintf("refusal with HTTP %d", status)
	return &matcher{Refusal, func(actual any) Judgement {
		ex := ExchangeOf(actual)
		switch {
		case mcp.Read(ex).Result != nil:
			return Judgement{Expected: expected, Observed: Describe(ex)}
		case NoAnswer(ex) != "":
			return Judgement{Expected: expected, Undecided: NoAnswer(ex)}
		case Status(ex) != status:
			return Judgement{Expected: expected, Observed: Describe(ex)}
		}
		code, _ := Param(ex, "error")
		return Judgement{Met: true, Advice: otherCode(codes, code, fmt.Sprintf("HTTP %d with ", status))}
	}}
}

// HaveMember expects a member in a JSON object, or in an answer that is one: a Value, or the value itself.
func HaveMember(name string, want any) Matcher {
	v := valueOf(want)
	return &matcher{Look, func(actual any) Judgement { return has(objectOf(actual), name, v) }}
}

// ForbidFraming expects a page that no other site can put into a frame (RFC 9700 section 4.16).
func ForbidFraming() Matcher {
	return onExchange("X-Frame-Options, or frame-ancestors in Content-Security-Policy", Look, FramingForbidden)
}

func objectOf(actual any) *document.Object {
	switch v := actual.(type) {
	case *document.Object:
		return v
	case JWT:
		return v.Claims
	}
	ex := ExchangeOf(actual)
	if ex == nil || ex.Response == nil {
		return nil
	}
	o, _, _ := document.ParseObject(ex.Response.Body) // nil where it is none
	return o
}

func has(o *document.Object, name string, want Value) Judgement {
	expected := name + ": " + want.what
	if o == nil {
		return Judgement{Expected: expected, Observed: "there is no JSON object"}
	}
	v, ok := o.Get(name)
	if !ok {
		return Judgement{Expected: expected, Observed: name + " is absent"}
	}
	return Judgement{Met: want.ok(v), Expected: expected, Observed: fmt.Sprintf("%s: %v", name, v)}
}
