package expect

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/oauth"
)

// Ending is the end of an authorization request.
type Ending interface {
	Evidence
	// Code and Error are the values that the client gets, or "".
	Code() string
	Error() string
	Describe() string
	// IssuesToken reports whether the client gets an access token without a token request.
	IssuesToken() bool
	// AsksUser reports whether the request ended at a consent page: the server has accepted it.
	AsksUser() bool
	// Undecided says why the server did not decide, and whether a login would help; empty if it did.
	Undecided() (why string, login bool)
}

// Flow is an authorization request, with the token request after it if there was one.
type Flow interface {
	Ending
	TokenResponse() *reports.Exchange
}

// IssueTokens expects a successful token response: 200 with an access token (OAuth 2.1 section 3.2.3).
func IssueTokens() Matcher {
	const expected = "HTTP 200 with an access token"
	return named(&matcher{kind: Control, judge: func(actual any) Judgement {
		if flow, ok := actual.(Flow); ok && flow.TokenResponse() == nil {
			return Judgement{Expected: "a code", Observed: flow.Describe()}
		}
		ex := tokenResponse(actual)
		return Judgement{Met: Status(ex) == 200 && member(ex, "access_token") != "", Expected: expected, Observed: Describe(ex)}
	}}, "IssueTokens")
}

func tokenResponse(actual any) *reports.Exchange {
	if flow, ok := actual.(Flow); ok {
		return flow.TokenResponse()
	}
	return ExchangeOf(actual)
}

// RefuseGrant expects that a token request is refused (OAuth 2.1 section 3.2.4). Another error code is a warning.
func RefuseGrant(codes ...string) Matcher {
	return named(&matcher{kind: Refusal, judge: func(actual any) Judgement {
		ex := tokenResponse(actual)
		status := Status(ex)
		switch {
		case member(ex, "access_token") != "":
			return Judgement{Expected: "a refusal", Observed: "an access token is issued"}
		case NoAnswer(ex) != "":
			return Judgement{Expected: "a refusal", Undecided: NoAnswer(ex)}
		case status < 400:
			return Judgement{Expected: "a refusal with HTTP 400 or 401", Observed: Describe(ex), Minor: oauth.ErrorCode(ex) != ""}
		}
		return Judgement{Met: true, Advice: codeOfBody(codes, ex)}
	}}, "RefuseGrant", codes)
}

// codeOfBody returns the advice about an error response (OAuth 2.1 section 3.2.4) with another code than the listed ones.
func codeOfBody(codes []string, ex *reports.Exchange) *Advice {
	absent := "the response has no error member"
	if _, has := oauth.Object(ex).Get("error"); has {
		absent = "the error member has no code"
	}
	return otherCode(codes, ex, oauth.ErrorCode(ex), absent)
}

// otherCode returns the advice about a code that is not listed; absent describes a missing code.
func otherCode(codes []string, ex *reports.Exchange, code, absent string) *Advice {
	observed := fmt.Sprintf("HTTP %d with error %q", Status(ex), code)
	if code == "" {
		observed = fmt.Sprintf("HTTP %d, and %s", Status(ex), absent)
	}
	if len(codes) == 0 || slices.Contains(codes, code) {
		return nil
	}
	return &Advice{"error " + strings.Join(codes, " or "), observed}
}

// EndWithoutCode expects that an authorization request ends without a code (OAuth 2.1 section 4.1.2.1). Another error code for the client
// is a warning.
func EndWithoutCode(codes ...string) Matcher {
	return named(&matcher{kind: Refusal, judge: func(actual any) Judgement {
		g, ok := actual.(Ending)
		if !ok {
			return Judgement{Expected: "where an authorization request ended", Observed: fmt.Sprintf("a value of type %T", actual)}
		}
		why, login := g.Undecided()
		switch {
		case g.Code() != "" || g.IssuesToken():
			return Judgement{Expected: "an error, no code", Observed: g.Describe()}
		case g.AsksUser():
			return Judgement{Expected: "an error", Observed: "the consent page is shown"}
		case why != "":
			return Judgement{Expected: "an error, no code", Undecided: why, Untried: login}
		case g.Error() == "" || len(codes) == 0 || slices.Contains(codes, g.Error()):
			return Judgement{Met: true}
		}
		return Judgement{Met: true, Advice: &Advice{"error " + strings.Join(codes, " or "), fmt.Sprintf("error %q", g.Error())}}
	}}, "EndWithoutCode", codes)
}

// EndWithCode expects an authorization request to end with a code.
func EndWithCode() Matcher {
	return named(&matcher{kind: Control, judge: func(actual any) Judgement {
		g, ok := actual.(Ending)
		if !ok {
			return Judgement{Expected: "a code", Observed: fmt.Sprintf("a value of type %T", actual)}
		}
		return Judgement{Met: g.Code() != "", Expected: "a code", Observed: g.Describe()}
	}}, "EndWithCode")
}

// Proceed expects that a flow continues as far as possible: to tokens, to a code, or to a login or consent page.
func Proceed() Matcher {
	return named(&matcher{kind: Control, judge: func(actual any) Judgement {
		if flow, ok := actual.(Flow); ok && flow.TokenResponse() != nil {
			return IssueTokens().Judge(actual)
		}
		j := EndWithCode().Judge(actual)
		if g, ok := actual.(Ending); ok {
			_, login := g.Undecided()
			j.Met = j.Met || login || g.AsksUser()
		}
		return j
	}}, "Proceed")
}

// GiveNoTokens expects that either endpoint refuses a flow: no code, with one of the listed errors, or a code that cannot be redeemed.
func GiveNoTokens(codes ...string) Matcher {
	return named(&matcher{kind: Refusal, judge: func(actual any) Judgement {
		if flow, ok := actual.(Flow); ok && flow.TokenResponse() == nil {
			return EndWithoutCode(codes...).Judge(actual)
		}
		return RefuseGrant().Judge(actual)
	}}, "GiveNoTokens", codes)
}

// IssueNothing is GiveNoTokens with a warning for a code, even if it cannot be redeemed.
func IssueNothing(codes ...string) Matcher {
	return named(&matcher{kind: Refusal, judge: func(actual any) Judgement {
		j := GiveNoTokens(codes...).Judge(actual)
		if flow, ok := actual.(Flow); ok && j.Met && flow.Code() != "" {
			j.Advice = &Advice{"no code", "a code is issued, which cannot be redeemed"}
		}
		return j
	}}, "IssueNothing", codes)
}

// Redirecting is an authorization request that may have redirected the browser.
type Redirecting interface {
	Ending
	// Redirected is the address of a client or an attacker to which the browser was redirected, or "".
	Redirected() string
}

// NotRedirect expects that an authorization request ends at the authorization server, without a question to the user, as it must if the
// client and the redirect URI are not known to belong together (OAuth 2.1 section 4.1.2.1).
func NotRedirect() Matcher {
	const expected = "an error page and no redirect, because client and redirect URI are not known to belong together"
	return named(&matcher{kind: Refusal, judge: func(actual any) Judgement {
		g, ok := actual.(Redirecting)
		if !ok {
			return Judgement{Expected: "where an authorization request ended", Observed: fmt.Sprintf("a value of type %T", actual)}
		}
		why, login := g.Undecided()
		switch to := g.Redirected(); {
		case to != "":
			return Judgement{Expected: expected, Observed: "the browser is sent to " + to + ": " + g.Describe()}
		case g.AsksUser():
			return Judgement{Expected: expected, Observed: "the request is accepted: the consent page is shown"}
		case why != "":
			return Judgement{Expected: expected, Undecided: why, Untried: login}
		}
		return Judgement{Met: true}
	}}, "NotRedirect")
}

// NameError expects an error with one of these codes.
func NameError(codes ...string) Matcher {
	return named(&matcher{kind: Look, judge: func(actual any) Judgement {
		code := oauth.ErrorCode(ExchangeOf(actual))
		if g, ok := actual.(Ending); ok {
			code = g.Error()
		}
		observed := "the answer has no error code"
		if code != "" {
			observed = fmt.Sprintf("error %q", code)
		}
		return Judgement{Met: slices.Contains(codes, code), Expected: "error " + strings.Join(codes, " or "), Observed: observed}
	}}, "NameError", codes)
}

// BeRegistered expects that a registration is confirmed (RFC 7591 section 3.2.1).
func BeRegistered() Matcher {
	return named(onExchange("HTTP 201 with a client_id", Control, func(ex *reports.Exchange) bool {
		return (Status(ex) == 201 || Status(ex) == 200) && member(ex, "client_id") != ""
	}), "BeRegistered")
}

// RefuseRegistration expects that a registration is refused (RFC 7591 section 3.2.2). Another error code is a warning.
func RefuseRegistration(codes ...string) Matcher {
	return named(&matcher{kind: Refusal, judge: func(actual any) Judgement {
		ex := ExchangeOf(actual)
		switch status := Status(ex); {
		case status < 300 && member(ex, "client_id") != "":
			return Judgement{Expected: "a refusal", Observed: "the client is registered"}
		case NoAnswer(ex) != "":
			return Judgement{Expected: "a refusal", Undecided: NoAnswer(ex)}
		case status < 400:
			return Judgement{Expected: "a refusal with HTTP 400", Observed: Describe(ex)}
		default:
			return Judgement{Met: true, Advice: codeOfBody(codes, ex)}
		}
	}}, "RefuseRegistration", codes)
}

// ConfirmRevocation expects that a revocation is confirmed (RFC 7009 section 2.2). 204 is a warning: the clause names 200.
func ConfirmRevocation() Matcher {
	return named(&matcher{kind: Control, judge: func(actual any) Judgement {
		ex := ExchangeOf(actual)
		j := Judgement{Met: Status(ex) == 200 || Status(ex) == 204, Expected: "HTTP 200", Observed: Describe(ex)}
		if Status(ex) == 204 {
			j.Advice = &Advice{"HTTP 200", "HTTP 204"}
		}
		return j
	}}, "ConfirmRevocation")
}

// BeActive expects an introspection response for an active token (RFC 7662 section 2.2).
func BeActive() Matcher {
	return named(onExchange("active: true", Control, func(ex *reports.Exchange) bool {
		active, _ := oauth.Object(ex).Bool("active")
		return Status(ex) == 200 && active
	}), "BeActive")
}

// BeInactive expects an introspection response that says only that a token is not active (RFC 7662 section 2.2).
func BeInactive() Matcher {
	return named(&matcher{kind: Refusal, judge: func(actual any) Judgement {
		ex := ExchangeOf(actual)
		active, said := oauth.Object(ex).Bool("active")
		switch {
		case active:
			return Judgement{Expected: "active: false", Observed: "active: true"}
		case NoAnswer(ex) != "":
			return Judgement{Expected: "active: false", Undecided: NoAnswer(ex)}
		case !said:
			return Judgement{Expected: "active: false", Observed: Describe(ex)}
		}
		return Judgement{Met: true}
	}}, "BeInactive")
}
