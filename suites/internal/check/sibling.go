package check

import (
	"net/url"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/wire"
)

// Sibling is another protected resource of the same authorization server, as the user has declared it: an MCP endpoint, or any resource
// that answers GET.
type Sibling struct {
	Endpoint string
	// Plain says that it is not an MCP endpoint: it answers GET with a token.
	Plain bool
	// Resource is its identifier: the published one, or else its endpoint.
	Resource string
	// Metadata is its protected resource metadata at the path-inserted location (RFC 9728 section 3.1), or nil.
	Metadata *document.Object
	Fetched  *reports.Exchange
}

// Any surveys the other endpoint, once in a run.
func (t Siblings) Any() Sibling {
	s := Once(t.T, "sibling", func() Sibling {
		s := Sibling{Endpoint: t.OtherResource, Resource: t.OtherResource}
		if u, err := url.Parse(t.OtherResource); err == nil {
			s.Fetched = t.Get(u.Scheme + "://" + u.Host + "/.well-known/oauth-protected-resource" + strings.TrimSuffix(u.Path, "/"))
		}
		if expect.Status(s.Fetched) == 200 {
			s.Metadata = oauth.Object(s.Fetched)
		}
		if r := s.Metadata.String("resource"); r != "" {
			s.Resource = r
		}
		s.Plain = expect.Status(t.Use(s, "")) != 401 && expect.Status(t.Get(s.Endpoint)) == 401
		return s
	})
	t.Cite(s.Fetched)
	return s
}

// Separate is Any for checks on the audience of a token; it ends them if both endpoints are one resource.
func (t Siblings) Separate() Sibling {
	s := t.Any()
	if s.Resource == t.MCP.Identifier() {
		t.NotApplicable("both endpoints publish the resource identifier %s: they are one resource", s.Resource)
	}
	return s
}

// Use sends the protected request to the other endpoint, in a session if it needs one. Without a token it is anonymous.
func (t Siblings) Use(s Sibling, token string) *reports.Exchange {
	if s.Plain {
		req := wire.Request{Method: "GET", URL: s.Endpoint}
		if token != "" {
			req.Header = []reports.Field{mcp.Bearer(token)}
		}
		return t.Do(req)
	}
	call := t.MCP.Call()
	call.Endpoint = s.Endpoint
	if token != "" {
		call = call.With(mcp.Bearer(token))
	}
	if call.SessionID == "" {
		return t.Send(call)
	}
	opening := mcp.Probe(s.Endpoint, call.Revision)
	opening.Header = call.Header
	ex := t.Send(opening)
	if !expect.Accepted(ex) {
		return ex
	}
	id := expect.Header(ex, "Mcp-Session-Id")
	t.Secrets.Add("session_id", id)
	return t.Send(call.InSession(id))
}

// Served reports whether the other resource served a request.
func (t Siblings) Served(s Sibling, ex *reports.Exchange) bool {
	if s.Plain {
		return expect.Succeeded(ex)
	}
	return t.MCP.Served(ex)
}

// MustBeGuarded ends the check unless the other endpoint refuses anonymous callers: its answers would show nothing.
func (t Siblings) MustBeGuarded(s Sibling) {
	if ex := t.Use(s, ""); expect.Status(ex) != 401 {
		t.Inconclusive("the other endpoint answers an anonymous request with %s, so what it serves shows nothing", expect.Describe(ex))
	}
}

// TokensFor completes a flow for a resource, which both requests name; nil if it is refused. A refusal that does not name the resource
// counts only if it repeats and an ordinary flow succeeds.
func (t AuthorizationServer) TokensFor(resource string, edits ...Edit) (*Grant, *oauth.Tokens) {
	g, tokens, why := t.tokensFor(resource, edits)
	if tokens != nil || why == "invalid_target" || why == "invalid_request" {
		return g, tokens
	}
	t.MustGetTokens(edits...)
	g, tokens, _ = t.tokensFor(resource, edits)
	return g, tokens
}

// tokensFor also returns the error code of the endpoint that refuses.
func (t AuthorizationServer) tokensFor(resource string, edits []Edit) (g *Grant, tokens *oauth.Tokens, why string) {
	g = t.MustReachDecision(t.Authorize(append([]Edit{With("resource", resource)}, edits...)...))
	if g.Code() == "" {
		return g, nil, g.Error()
	}
	ex := t.Redeem(g, With("resource", resource))
	return g, t.Tokens(ex, g.Client), oauth.ErrorCode(ex)
}

// Audience returns the audience of a token, by its claims or by introspection; seen is false if neither names it.
func (t AuthorizationServer) Audience(tokens *oauth.Tokens) (audience []string, seen bool) {
	_, claims := oauth.Claims(tokens.Access)
	isJWT := claims != nil
	if !isJWT && t.Server().Introspection != "" && tokens.Client != nil { // a public client may introspect its own tokens
		if ex := t.Introspect(tokens.Client, tokens.Access); expect.Status(ex) == 200 {
			claims = oauth.Object(ex)
		}
		if active, _ := claims.Bool("active"); !active {
			return nil, false
		}
	}
	if list, ok := claims.Strings("aud"); ok {
		return list, true
	}
	if aud := claims.String("aud"); aud != "" {
		return []string{aud}, true
	}
	return nil, isJWT // an introspection response need not name the audience (RFC 7662 section 2.2)
}

// TokenFor is a token that was requested for another resource than the target, and its effect.
type TokenFor struct {
	Asked    string
	Tokens   *oauth.Tokens // nil if none was issued
	Grant    *Grant
	Audience []string
	Seen     bool              // the audience is visible
	At       *reports.Exchange // the target's answer to it
	Served   bool
}

// Present requests a token for another resource, and sends it to the target.
func (t AuthorizationServer) Present(resource string) TokenFor {
	p := TokenFor{Asked: resource}
	if p.Grant, p.Tokens = t.TokensFor(resource); p.Tokens == nil {
		return p
	}
	p.Audience, p.Seen = t.Audience(p.Tokens)
	p.At = t.MCP.Use(p.Tokens.Access)
	p.Served = t.MCP.Served(p.At)
	return p
}

// Ours reports whether the token is meant for the target although it was requested for another resource: the authorization server ignores
// the requested one.
func (p TokenFor) Ours(identifier string) bool { return p.Seen && Names(p.Audience, identifier) }

// Names reports whether an audience contains a resource, with or without a trailing slash.
func Names(audience []string, resource string) bool {
	return slices.ContainsFunc(audience, func(a string) bool { return strings.TrimSuffix(a, "/") == strings.TrimSuffix(resource, "/") })
}

// Attacker is a resource that is not registered.
const Attacker = "https://attacker.example/mcp"

// Apart ends a check of the authorization server if the other resource accepts an ordinary token for this one: a token then says nothing
// about the requested resource.
func (t Siblings) Apart() Sibling {
	s := t.Separate()
	if !t.Session.SendResource {
		t.NotApplicable("the authorization server does not accept a resource parameter (AS-RES-ACCEPTED)")
	}
	t.MustBeGuarded(s)
	ordinary := t.AS.MustGetTokens()
	if ex := t.Use(s, ordinary.Access); t.Served(s, ex) {
		if audience, seen := t.AS.Audience(ordinary); !seen || Names(audience, s.Resource) {
			t.Inconclusive("an ordinary token for %s works at %s too: the audience does not distinguish them (AS-RES-AUDIENCE-BOUND)",
				t.MCP.Identifier(), s.Resource)
		}
	}
	return s
}

// Within expects a token request for another resource than that of the grant to be refused, or to yield a token that is not meant for it.
func (t Siblings) Within(s Sibling, ex *reports.Exchange, by *oauth.Client, about, asked string) {
	tokens := t.AS.Tokens(ex, by)
	if tokens == nil {
		t.citeFirstFlow(t.Expect(ex, "%s", about).To(expect.RefuseGrant("invalid_target")))
		return
	}
	audience, seen := t.AS.Audience(tokens)
	observed := ""
	switch {
	case !seen && asked != s.Resource:
		t.Inconclusive("a token for %s is issued, and what it is meant for cannot be seen; %s", asked, t.AS.ToSeeTokens())
	case Names(audience, asked):
		observed = "the token's audience is " + strings.Join(audience, " ")
	case asked == s.Resource && t.Served(s, t.Use(s, tokens.Access)):
		observed = "the token is served at " + s.Endpoint
	}
	expected := "error invalid_target, or a token for " + t.MCP.Identifier() + " only"
	t.Expect(ex, "%s", about).To(expect.Refusing(expected, func(*reports.Exchange) string { return observed }))
}
