package extension

import (
	"strings"

	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/login"
	"github.com/mcpauth/conformance/suites/internal/oauth"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func pushedRequests() {
	Must("AS-PAR-BASIC", func(t *T) {
		endpoint := t.AS.Endpoint("pushed_authorization_request_endpoint")
		if endpoint == "" {
			t.NotApplicable("the metadata names no pushed_authorization_request_endpoint")
		}
		c, pair := t.AS.AnyClient(), oauth.NewPKCE(43)
		push := func(edits ...Edit) string {
			ex := t.AS.Push(endpoint, c, pair, edits...)
			uri := oauth.Object(ex).String("request_uri")
			if uri == "" {
				t.Inconclusive("an ordinary request cannot be pushed: %s %s", expect.Describe(ex), oauth.ErrorCode(ex))
			}
			if seconds, ok := oauth.Seconds(oauth.Object(ex)); expect.Status(ex) != 201 || !ok || seconds <= 0 {
				t.Unmet(ex, "HTTP 201 with request_uri and expires_in (RFC 9126 section 2.2)", "%s, expires_in is %v", expect.Describe(ex), seconds)
			}
			return uri
		}
		begin := func(by *oauth.Client, uri string, edits ...Edit) *Grant {
			return t.AS.Authorize(append([]Edit{As(by), Pair(pair), Instead(oauth.Form{{Name: "client_id", Value: by.ID}, {Name: "request_uri", Value: uri}})}, edits...)...)
		}
		used := push()
		g := t.AS.MustReachDecision(begin(c, used))
		if g.Code() == "" {
			t.Unmet(g.Exchange, "a code for a request that was pushed", "%s", g.Describe())
			return
		}
		g.RedirectURI = c.RedirectURI
		if ex := t.AS.Redeem(g); t.AS.Tokens(ex, c) == nil {
			t.Inconclusive("the code of a pushed request cannot be redeemed: %s %s", expect.Describe(ex), oauth.ErrorCode(ex))
		}
		t.Controlled()
		if again := begin(c, used); again.Code() != "" {
			t.Advise(again.Exchange, "a request_uri that brings one code (RFC 9126 section 7.3)", "it brings a second one")
		}
		if other, _ := t.Session.Client(t.Context(), "second public"); other != nil && other.RedirectURI == c.RedirectURI {
			if g := begin(other, push()); g.Code() != "" || g.Stage == login.AtConsent {
				t.Finding(g.Exchange, "the request_uri of another client", "a refusal (RFC 9126 section 2.2)", g.Describe())
			} else {
				t.RefusedBy(g.Exchange)
			}
		} else {
			t.Note("without a second client, whether a request_uri belongs to its client was not tried")
		}
		for about, edit := range Sorted(map[string]Edit{
			"a redirect URI that is not registered": With("redirect_uri", "https://attacker.example/cb"), "a request_uri within the request": With("request_uri", "urn:ietf:params:oauth:request_uri:x"), "an unknown response_type": With("response_type", "mcpauth"),
		}) {
			t.RefusedWith(t.AS.Push(endpoint, c, pair, edit), about, "invalid_request", "invalid_redirect_uri", "unsupported_response_type", "invalid_client", "request_uri_not_supported")
		}
		overrides(t, begin(c, push(With("state", "mcpauth-pushed")), With("state", "mcpauth-query")))
		overrides(t, begin(c, push(), With("redirect_uri", "https://attacker.example/cb"), AnswersAt(c.RedirectURI)))
		if required, _ := t.AS.Server().Metadata.Bool("require_pushed_authorization_requests"); required {
			t.NoCode(t.AS.Authorize(As(c)), "a plain request where pushed ones are required", "invalid_request")
		}
	})
}

// overrides judges a pushed request with a query that says otherwise: it is refused, or the query is ignored.
func overrides(t *T, g *Grant) {
	const want = "the pushed parameters, whatever the query says (RFC 9126 section 4)"
	switch {
	case strings.Contains(g.Location, "attacker.example"):
		t.Finding(g.Exchange, "a query that contradicts the pushed request", want, "the browser is sent to "+g.Location)
	case g.Params.Get("state") == "mcpauth-query":
		t.Finding(g.Exchange, "a query that contradicts the pushed request", want, "state is that of the query")
	default:
		t.RefusedBy(g.Exchange)
	}
}
