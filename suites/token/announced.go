package token

import (
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/login"
	"github.com/mcpauth/conformance/suites/internal/oauth"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// announcement is what the server has issued with a lifetime of its own (expires_in), and what must come of its use afterwards.
type announcement struct {
	lifetime time.Duration
	used     func(t *T) any
	refused  expect.Matcher
	must     bool       // a clause demands the refusal
	renewed  func(t *T) // the control: the same with a new one
}

// announced are a device code and a pushed request, as far as the server offers them.
func announced(t *T) (out Cases[announcement]) {
	if a := approvedDevice(t); a != nil {
		out = out.And("a device code that its user has approved", *a)
	}
	if a := pushedRequest(t); a != nil {
		out = out.And("a pushed request", *a)
	}
	return out
}

// approvedDevice is a device code for which no device has polled yet; nil if there is none. It has a lifetime, and an error says that this
// is over (RFC 8628 sections 3.2 and 3.5), but no sentence demands the refusal.
func approvedDevice(t *T) *announcement {
	if t.AS.Endpoint("device_authorization_endpoint") == "" {
		return nil
	}
	d, ex := t.AS.Device(t.AS.AnyClient())
	lifetime, ok := oauth.Seconds(oauth.Object(ex))
	code := ""
	if ok {
		code = t.AS.ApprovedDevice(d)
	}
	if code == "" {
		t.Note("the end of a device code was not tried, since none was issued with a lifetime and approved: %s", expect.Describe(ex))
		return nil
	}
	return &announcement{
		lifetime: seconds(lifetime),
		used: func(t *T) any {
			late := t.AS.Poll(d, code)
			t.AS.Tokens(late, d.Client) // those of a server with the defect are secrets, too
			return late
		},
		refused: expect.RefuseGrant("expired_token", "invalid_grant"),
		renewed: func(t *T) { t.Expect(t.AS.DeviceRedemption(d).Send()).AsControl(expect.IssueTokens()) },
	}
}

// pushedRequest is a request_uri that no browser has used yet (RFC 9126 sections 2.2 and 4); nil if there is none.
func pushedRequest(t *T) *announcement {
	endpoint := t.AS.Endpoint("pushed_authorization_request_endpoint")
	if endpoint == "" {
		return nil
	}
	c, pair := t.AS.AnyClient(), oauth.NewPKCE(43)
	push := func() *reports.Exchange { return t.AS.Push(endpoint, c, pair) }
	open := func(t *T, ex *reports.Exchange) *Grant {
		query := oauth.Form{{Name: "client_id", Value: c.ID}, {Name: "request_uri", Value: oauth.Object(ex).String("request_uri")}}
		return t.AS.Authorize(As(c), Pair(pair), Instead(query), Unpushed())
	}
	ex := push()
	lifetime, ok := oauth.Seconds(oauth.Object(ex))
	if !ok || oauth.Object(ex).String("request_uri") == "" {
		t.Note("the end of a pushed request was not tried, since none was accepted with a lifetime: %s", expect.Describe(ex))
		return nil
	}
	return &announcement{
		lifetime: seconds(lifetime),
		used:     func(t *T) any { return open(t, ex) },
		refused:  beRefused,
		must:     true,
		renewed:  func(t *T) { t.Expect(open(t, push())).AsControl(expect.Proceed()) },
	}
}

func seconds(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }

var beRefused = expect.Unless(expect.Refusing("a refusal (RFC 9126 section 4)", func(g *Grant) string {
	if g.Code() != "" || g.Stage == login.AtConsent {
		return g.Describe()
	}
	return ""
}), func(g *Grant) string { why, _ := g.Undecided(); return why })

// end lets the rest of the lifetime pass, and expects a refusal. What has passed already counts.
func (a announcement) end(t *T, passed time.Duration) {
	if rest := a.lifetime + leeway - passed; rest > 0 {
		t.Elapse(rest)
	}
	late := a.used(t)
	a.renewed(t)
	after := t.Expect(late, "after its lifetime of "+expect.Span(a.lifetime))
	if a.must {
		after.To(a.refused)
	} else {
		after.Ideally(a.refused)
	}
}
