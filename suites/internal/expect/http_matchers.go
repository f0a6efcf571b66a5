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
	return named(onExchange("HTTP "+list(statuses), Look, func(ex *reports.Exchange) bool { return slices.Contains(statuses, Status(ex)) }),
		"HaveStatus", statuses)
}

// HaveMediaType expects a Content-Type of a media type, whatever its parameters.
func HaveMediaType(want string) Matcher {
	return named(&matcher{kind: Look, judge: func(actual any) Judgement {
		ex := ExchangeOf(actual)
		return Judgement{Met: MediaType(ex) == want, Expected: want, Observed: "Content-Type " + Header(ex, "Content-Type")}
	}}, "HaveMediaType", want)
}

// HaveHeader expects a response header field with a value: a Value, or a text.
func HaveHeader(name string, want any) Matcher {
	v := valueOf(want)
	return named(&matcher{kind: Look, judge: func(actual any) Judgement {
		expected := wanted(name, v)
		values := HeaderValues(ExchangeOf(actual), name)
		if len(values) == 0 {
			return Judgement{Expected: expected, Observed: name + " is absent"}
		}
		met := slices.ContainsFunc(values, func(s string) bool { return v.ok(s) })
		return Judgement{Met: met, Expected: expected, Observed: fmt.Sprintf("%q", strings.Join(values, " | "))}
	}}, "HaveHeader", name, want)
}

// HaveChallenge expects a WWW-Authenticate field; with parameters, a Bearer challenge that has all of them (RFC 6750 section 3).
func HaveChallenge(params ...string) Matcher {
	if len(params) == 0 {
		return named(onExchange("a WWW-Authenticate field with a challenge (RFC 9110 section 15.5.2)", Look, func(ex *reports.Exchange) bool {
			return slices.ContainsFunc(HeaderValues(ex, "WWW-Authenticate"), func(v string) bool { return strings.Trim(v, " \t,") != "" })
		}), "HaveChallenge", params)
	}
	return named(onExchange("a Bearer challenge with "+strings.Join(params, " and "), Look, func(ex *reports.Exchange) bool {
		return slices.ContainsFunc(Bearer(ex), func(c document.Challenge) bool {
			return !slices.ContainsFunc(params, func(name string) bool { _, ok := c.Param(name); return !ok })
		})
	}), "HaveChallenge", params)
}

// HaveChallengeOf expects a challenge of a scheme.
func HaveChallengeOf(scheme string) Matcher {
	return named(onExchange("WWW-Authenticate: "+scheme, Look, func(ex *reports.Exchange) bool {
		return slices.ContainsFunc(Challenges(ex), func(c document.Challenge) bool { return strings.EqualFold(c.Scheme, scheme) })
	}), "HaveChallengeOf", scheme)
}

// BeServed expects a protected request to get past authorization.
func BeServed() Matcher {
	return &asked{named(onExchange("acceptance of the request", Control, Accepted), "BeServed"), BeServedOrUnknown}
}

type asked struct {
	Matcher
	ask func(unknownTool bool) Matcher
}

func (a *asked) Ask(unknownTool bool) Matcher { return a.ask(unknownTool) }

// BeServedOrUnknown is BeServed that also accepts the error for an unknown tool: the protected request calls a tool that does not exist.
func BeServedOrUnknown(tool bool) Matcher {
	return named(onExchange("acceptance of the request", Control, func(ex *reports.Exchange) bool {
		return Accepted(ex) || tool && UnknownTool(ex)
	}), "BeServedOrUnknown", tool)
}

// UnknownTool reports whether an answer is the error for an unknown tool.
func UnknownTool(ex *reports.Exchange) bool {
	code := mcp.Read(ex).Code
	return Succeeded(ex) && !RefusedInside(ex) && (code == "-32602" || code == "-32601")
}

// BeRefused expects that a protected request is refused with an HTTP status. Another error code in the challenge is a warning (RFC 6750
// section 3.1).
func BeRefused(status int, codes ...string) Matcher {
	expected := fmt.Sprintf("a refusal with HTTP %d", status)
	return named(&matcher{kind: Refusal, judge: func(actual any) Judgement {
		ex := ExchangeOf(actual)
		switch {
		case mcp.Read(ex).Result != nil:
			return Judgement{Expected: expected, Observed: Describe(ex)}
		case NoAnswer(ex) != "":
			return Judgement{Expected: expected, Undecided: NoAnswer(ex)}
		case Status(ex) != status:
			return Judgement{Expected: expected, Observed: Describe(ex), Minor: refusedAnyway(ex)}
		}
		code, _ := Param(ex, "error")
		return Judgement{Met: true, Advice: otherCode(codes, ex, code, "the challenge has no error parameter")}
	}}, "BeRefused", status, codes)
}

// LooksUpTool reports whether an answer says that a tool does not exist. Complaints about a message, which a server may have before it
// looks at the caller, have the same codes, but do not speak of a tool.
func LooksUpTool(ex *reports.Exchange) bool {
	said := strings.ToLower(mcp.Read(ex).Message)
	for _, method := range []string{"tools/call", "tools/list"} {
		said = strings.ReplaceAll(said, method, "")
	}
	return UnknownTool(ex) && strings.Contains(said, "tool")
}

// HaveMember expects a member in a JSON object, or in an answer that is one: a Value, or a plain value.
func HaveMember(name string, want any) Matcher {
	v := valueOf(want)
	return named(&matcher{kind: Look, judge: func(actual any) Judgement { return has(objectOf(actual), name, v) }}, "HaveMember", name, want)
}

// ForbidFraming expects a page that no other site can put into a frame (RFC 9700 section 4.16).
func ForbidFraming() Matcher {
	return named(&matcher{kind: Look, judge: func(actual any) Judgement {
		ex := ExchangeOf(actual)
		return Judgement{Met: FramingForbidden(ex), Expected: "X-Frame-Options, or frame-ancestors in Content-Security-Policy",
			Observed: Describe(ex) + " with " + framing(ex)}
	}}, "ForbidFraming")
}

// framing returns the header fields of a page about framing.
func framing(ex *reports.Exchange) string {
	for _, policy := range HeaderValues(ex, "Content-Security-Policy") {
		if v := Directive(policy, "frame-ancestors"); v != "" {
			return "frame-ancestors " + v + ", which allows any site"
		}
	}
	if v := Header(ex, "X-Frame-Options"); v != "" {
		return "X-Frame-Options: " + v + ", which browsers ignore"
	}
	return "neither X-Frame-Options nor frame-ancestors"
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
	o, _, _ := document.ParseObject(ex.Response.Body) // nil if it is not one
	return o
}

// wanted describes the expected value of a member or a field.
func wanted(name string, want Value) string {
	if want.what == "" {
		return name + " present"
	}
	return name + ": " + want.what
}

func has(o *document.Object, name string, want Value) Judgement {
	expected := wanted(name, want)
	if o == nil {
		return Judgement{Expected: expected, Observed: "the answer has no JSON object"}
	}
	v, ok := o.Get(name)
	if !ok {
		return Judgement{Expected: expected, Observed: name + " is absent"}
	}
	return Judgement{Met: want.ok(v), Expected: expected, Observed: name + ": " + document.Text(v)}
}
