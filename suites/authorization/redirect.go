package authorization

import (
	"net/url"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/login"
	"github.com/mcpauth/conformance/suites/internal/nearmiss"
	"github.com/mcpauth/conformance/suites/internal/oauth"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func redirects() {
	Must("AS-AUTHZ-REDIRECT-UNREGISTERED", refusesUnregisteredRedirects)
	Must("AS-AUTHZ-REDIRECT-EXACT", comparesRedirectsAsStrings)
	Must("AS-AUTHZ-REDIRECT-VERBATIM", keepsTheQueryOfTheRedirect)
	Must("AS-AUTHZ-REDIRECT-OMITTED", choosesNoRedirectItself)
	Must("AS-AUTHZ-LOOPBACK-PORT", acceptsAnyLoopbackPort)
	Must("AS-AUTHZ-LOOPBACK-STRICT", variesNothingButTheLoopbackPort)
}

func refusesUnregisteredRedirects(t *T) {
	elsewhere := With("redirect_uri", attacker)
	rows := Cases[Edit]{{"a redirect_uri that is not registered", elsewhere}}
	faults := Cases[Edit]{
		{"an unknown response_type", With("response_type", "mcpauth_bogus")},
		{"an unknown scope", Scope("mcpauth:unknown")},
		{"no code_challenge", Without("code_challenge", "code_challenge_method")},
		{"prompt=none", With("prompt", "none")},
	}
	for _, fault := range faults { // a server that finds this fault first must not send the error to the unregistered URI
		rows = rows.And("a redirect_uri that is not registered, and "+fault.Name, Edits(elsewhere, fault.Value))
	}
	const ofAnother = attacker + "/of-another-client"
	if other, _ := t.AS.Register(map[string]any{"redirect_uris": []string{ofAnother}}); other != nil {
		rows = rows.And("the redirect_uri of another client", With("redirect_uri", ofAnother))
	}
	Refuses(t, t.AS.AuthorizationRequest(), rows, expect.NotRedirect())
	if c := t.AS.Confidential(); c != nil && c != t.AS.AnyClient() { // RFC 6749 section 3.1.2.2 demanded registration of public clients only
		Refuses(t, t.AS.AuthorizationRequest(As(c)), Cases[Edit]{
			{"a redirect_uri that is not registered, of a client with a secret", elsewhere},
		}, expect.NotRedirect())
	}
	const byPost = "a redirect_uri that is not registered, in a request by POST"
	if posted := t.AS.AuthorizationRequest(Posted()); Offers(t, posted, byPost) { // POST is optional (OAuth 2.1 section 3.1)
		Refuses(t, posted, Cases[Edit]{{byPost, elsewhere}}, expect.NotRedirect())
	}
}

// atClient is an authorization request of a client, followed to the consent page or the redirect URI, or to the login page if no user
// can sign in.
func atClient(t *T, c *oauth.Client) Attempt[Edit] {
	return Attempt[Edit]{
		Name: "the request with the registered redirect URI",
		Good: expect.That("the login page, the consent page, or a code at the redirect URI", func(g *Grant) string {
			base, _, _ := strings.Cut(c.RedirectURI, "?") // AS-AUTHZ-REDIRECT-VERBATIM judges the query
			sent := strings.HasPrefix(g.Location, base) && strings.Contains(g.Location, "code=")
			if _, login := g.Undecided(); login || sent || g.AsksUser() || g.Code() != "" {
				return ""
			}
			return g.Describe()
		}),
		Send: func(edits ...Edit) any { return t.AS.Authorize(append([]Edit{As(c), Leaving()}, edits...)...) },
	}
}

// requesting are rows that ask for each near miss of the registered redirect URI.
func requesting(misses []nearmiss.Miss) Cases[Edit] {
	var rows Cases[Edit]
	for _, m := range misses {
		rows = rows.And(m.Name+" ("+m.Value+")", With("redirect_uri", m.Value))
	}
	return rows
}

func comparesRedirectsAsStrings(t *T) {
	const plain, withQuery = "https://client.example/app/cb", "https://client.example/app/cb?k=v"
	different := nearmiss.Except(nearmiss.Equivalent, nearmiss.Space)
	c := registering(t, withQuery)
	Refuses(t, atClient(t, c), requesting(nearmiss.OfURL(withQuery, different...)), expect.NotRedirect())
	if second, _ := t.AS.Register(map[string]any{"redirect_uris": []string{plain}}); second != nil { // a "/" at its end
		Refuses(t, atClient(t, second), requesting(nearmiss.OfURL(plain, nearmiss.Slash, nearmiss.Query)), expect.NotRedirect())
	}
	Each(t, MissesOf(nearmiss.OfURL(withQuery, nearmiss.Equivalent, nearmiss.Space)), func(t *T, v string) {
		g := t.AS.Authorize(As(c), With("redirect_uri", v), Leaving())
		t.Expect(g).To(endAtHome(withQuery, v))
		t.Expect(g).Ideally(compareStrings)
	})
}

// endAtHome expects that a redirect URI that is equal after normalization leads to the registered one, or to no redirect.
var endAtHome = expect.Family("endAtHome", func(registered, requested string) expect.Matcher {
	return expect.That("no redirect to another address than the registered one", func(g *Grant) string {
		home := strings.HasPrefix(g.Location, registered+"&") ||
			strings.TrimSpace(requested) == requested && strings.HasPrefix(g.Location, requested+"&")
		if (g.Code() != "" || g.Stage == login.Elsewhere) && !home {
			return "the browser is sent to " + g.Location
		}
		return ""
	})
})

var compareStrings = expect.That("redirect_uri compared as a string (OAuth 2.1 section 2.3.1)", func(g *Grant) string {
	if g.AsksUser() || g.Code() != "" || g.Stage == login.Elsewhere {
		return "the redirect_uri is accepted, although it equals the registered one only after normalization"
	}
	return ""
})

func keepsTheQueryOfTheRedirect(t *T) {
	uri := strings.Replace(t.Session.Callback, "/callback", "/cb?keep=a%20b&x=%2F", 1)
	g := t.AS.MustReachDecision(t.AS.Authorize(As(registering(t, uri))))
	base, _, _ := strings.Cut(uri, "?")
	if g.Code() == "" && !(g.Stage == login.Elsewhere && strings.HasPrefix(g.Location, base)) {
		t.Inconclusive("an ordinary authorization request gives no code: %s", g.Describe())
	}
	if g.Stage == login.Elsewhere {
		t.Expect(g).Ideally(appendTo(uri))
		t.Expect(g).To(keepParametersOf(uri))
		return
	}
	t.Expect(g).To(appendTo(uri))
}

// appendTo expects the answer to be appended, with &, to the redirect URI as the client wrote it.
var appendTo = expect.Family("appendTo", func(uri string) expect.Matcher {
	return expect.That("the answer appended with & to the redirect URI as it was written", func(g *Grant) string {
		rest, same := strings.CutPrefix(g.Location, uri)
		query, fragment, _ := strings.Cut(rest, "#")
		if same && strings.HasPrefix(query, "&") && !strings.Contains(query, "?") && slices.Contains([]string{"", "_=_", "_"}, fragment) {
			return ""
		}
		return "the browser is sent to " + g.Location
	})
})

// keepParametersOf expects all parameters of the redirect URI, however they are encoded.
var keepParametersOf = expect.Family("keepParametersOf", func(uri string) expect.Matcher {
	return expect.That("the query of the redirect URI kept", func(g *Grant) string {
		registered, err1 := url.Parse(uri)
		address, err2 := url.Parse(g.Location)
		kept := err1 == nil && err2 == nil && strings.Count(g.Location, "?") == 1
		for name, values := range registered.Query() {
			kept = kept && slices.Equal(values, address.Query()[name])
		}
		if kept {
			return ""
		}
		return "the browser is sent to " + g.Location
	})
})

func choosesNoRedirectItself(t *T) {
	base := t.Session.Callback
	two := registering(t, base, base+"/second")
	Refuses(t, atClient(t, two), Cases[Edit]{
		{"no redirect_uri, of a client that registered two", Without("redirect_uri")},
		{"an empty redirect_uri, of a client that registered two", With("redirect_uri", "")},
	}, expect.NotRedirect())
}

func acceptsAnyLoopbackPort(t *T) {
	Each(t, Cases[string]{
		{"127.0.0.1", "127.0.0.1:53111"},
		{"[::1]", "[::1]:53111"},
		{"127.0.0.1, registered without a port", "127.0.0.1"},
	}, func(t *T, host string) {
		t.Expect(atOtherPort(t, host)).To(acceptOtherPort)
	})
	Each(t, Cases[string]{{"localhost", "localhost:53111"}}, func(t *T, host string) {
		t.Expect(atOtherPort(t, host)).Ideally(acceptOtherPort)
	})
}

// atOtherPort is the result for a native client that asks for another port than it registered. If the server refuses, the registered
// address is the control: the refusal may have another cause.
func atOtherPort(t *T, registered string) *Grant {
	uri := "http://" + registered + "/callback"
	c, ex := native(t, uri)
	if c == nil {
		t.NotApplicable("%s cannot be registered: %s", uri, expect.Describe(ex))
	}
	other := "http://" + strings.TrimSuffix(registered, ":53111") + ":53222/callback"
	g := t.AS.MustReachDecision(t.AS.Authorize(As(c), With("redirect_uri", other)))
	if g.Code() == "" {
		t.AS.MustAuthorize(As(c))
	}
	return g
}

var acceptOtherPort = expect.That("any port for a loopback redirect URI (OAuth 2.1 section 8.4.2)", func(g *Grant) string {
	if g.Code() == "" {
		return g.Describe()
	}
	return ""
})

func variesNothingButTheLoopbackPort(t *T) {
	const registered = "http://127.0.0.1:53111/callback"
	c, ex := native(t, registered)
	if c == nil {
		t.NotTested("a client with the redirect URI %s cannot be registered: %s", registered, expect.Describe(ex))
	}
	different := nearmiss.Except(nearmiss.Port, nearmiss.Equivalent, nearmiss.Space)
	Refuses(t, atClient(t, c), requesting(nearmiss.OfURL(registered, different...)), expect.NotRedirect())
	localhost := t.AS.Authorize(As(c), With("redirect_uri", "http://localhost:53111/callback"))
	t.Expect(localhost, "localhost instead of 127.0.0.1").Ideally(getNoCode)
	if web, _ := t.AS.Register(map[string]any{"redirect_uris": []string{"https://client.example/cb"}}); web != nil {
		Refuses(t, atClient(t, web), Cases[Edit]{
			{"another port of a host that is not loopback", With("redirect_uri", "https://client.example:8443/cb")},
		}, expect.NotRedirect())
	}
}

var getNoCode = expect.That("a refusal: it is another host", func(g *Grant) string {
	if g.Code() != "" {
		return "a code is sent to the other host"
	}
	return ""
})

// native registers a client with a loopback redirect URI: as a native one, or without application_type if the server refuses that.
func native(t *T, uri string) (c *oauth.Client, ex *reports.Exchange) {
	for _, kind := range []any{"native", nil} {
		if c, ex = t.AS.Register(map[string]any{"redirect_uris": []string{uri}, "application_type": kind}); c != nil {
			break
		}
	}
	return c, ex
}

// registering registers a client with redirect URIs.
func registering(t *T, uris ...string) *oauth.Client {
	c, ex := t.AS.Register(map[string]any{"redirect_uris": uris})
	if c == nil {
		t.NotTested("a client with the redirect URIs %s cannot be registered: %s", strings.Join(uris, " "), expect.Describe(ex))
	}
	return c
}
