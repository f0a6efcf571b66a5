package check

import (
	"net/url"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/login"
	"github.com/mcpauth/conformance/suites/internal/wire"
)

// UpstreamRequest is the request with which a proxy redirects a browser to its upstream, a third-party authorization server.
type UpstreamRequest struct {
	*Grant
	// Upstream is the address of that request, Query its parameters, and Callback the proxy's redirect URI in it.
	Upstream, Callback string
	Query              url.Values
}

// IsRequest reports whether an address is an authorization request to another origin than the authorization server's own, with an answer to
// the authorization server.
func (t UpstreamSide) IsRequest(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Query().Get("client_id") == "" {
		return false
	}
	callback, err := document.ParseURL(u.Query().Get("redirect_uri"))
	return err == nil && !t.ownOrigin(u) && t.ownOrigin(callback)
}

// ownOrigin reports whether a URL has the origin of the authorization server or of one of its endpoints.
func (t UpstreamSide) ownOrigin(u *url.URL) bool {
	for _, own := range []string{t.AS.Server().Issuer, t.AS.Server().Authorization, t.AS.Server().Token} {
		if o, err := document.ParseURL(own); err == nil && document.Origin(o) == document.Origin(u) {
			return true
		}
	}
	return false
}

// Until ends a request before the browser opens an address.
func Until(stop func(address string) bool) Edit { return func(d *draft) { d.route.Until = stop } }

// RequestOf returns the upstream request at which a request ended, or nil.
func (t UpstreamSide) RequestOf(g *Grant) *UpstreamRequest {
	if g.Stage != login.Elsewhere || !t.IsRequest(g.Location) {
		return nil
	}
	u, _ := url.Parse(g.Location) // it was parsed before
	return &UpstreamRequest{Grant: g, Upstream: g.Location, Query: u.Query(), Callback: u.Query().Get("redirect_uri")}
}

// MustReach approves a request on the proxy's own pages until it redirects the browser to the upstream.
func (t UpstreamSide) MustReach(edits ...Edit) *UpstreamRequest {
	g := t.AS.Authorize(append([]Edit{SignedOut(), Until(t.IsRequest)}, edits...)...)
	leg := t.RequestOf(t.AS.MustReachDecision(g))
	if leg == nil {
		t.Inconclusive("the browser is not sent to the upstream: %s", g.Describe())
	}
	return leg
}

// SignIn signs the user in at the upstream, in a browser with these cookies, and returns the callback with the upstream's answer. The proxy
// does not get it yet.
func (t UpstreamSide) SignIn(l *UpstreamRequest, jar *login.Jar) string {
	o := t.Session.Carry(t.ctx, t.Pages.agent(jar), l.Upstream, login.Route{RedirectURI: l.Callback}, false)
	if o.Stage != login.Answered || o.Params.Get("code") == "" {
		t.Inconclusive("the user could not sign in upstream: the request ended %s: %s", o.Stage, o.Why)
	}
	return o.Location
}

// Return sends a callback to the proxy in a browser with these cookies, and continues until the client gets an answer. The decision is for
// a page after the callback.
func (t UpstreamSide) Return(l *UpstreamRequest, callback string, jar *login.Jar, d login.Decision) *login.Outcome {
	return t.Pages.Continue(t.Pages.agent(jar), wire.Request{Method: "GET", URL: callback},
		login.Route{RedirectURI: l.RedirectURI, Decision: d})
}

// Submit sends a form in a browser with these cookies, and continues until the browser is redirected to the upstream.
func (t UpstreamSide) Submit(l *Grant, req wire.Request, jar *login.Jar) (*login.Outcome, *UpstreamRequest) {
	agent := &login.Agent{Jar: jar, Secrets: t.Secrets, Send: t.Do}
	o := t.Pages.Continue(agent, req, login.Route{RedirectURI: l.RedirectURI, Decision: login.Leave, Until: t.IsRequest})
	g := *l
	g.Outcome, g.Jar = o, jar
	return o, t.RequestOf(&g)
}

func (t Pages) agent(jar *login.Jar) *login.Agent {
	return &login.Agent{Jar: jar, User: t.Session.Identity(0).User, Secrets: t.Secrets, Send: t.Do,
		Record: func(ex *reports.Exchange) { t.browsed(ex) }}
}

// SameCookies reports whether two jars have the same cookies for an address.
func SameCookies(a, b *login.Jar, address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	text := func(j *login.Jar) string {
		var parts []string
		for _, c := range j.Cookies(u) {
			parts = append(parts, c.Name+"="+c.Value)
		}
		return strings.Join(parts, ";")
	}
	return text(a) == text(b)
}
