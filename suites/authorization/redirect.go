package authorization

import (
	"net/url"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/login"
	"github.com/mcpauth/conformance/suites/internal/oauth"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func redirects() {
	Must("AS-AUTHZ-REDIRECT-UNREGISTERED", func(t *T) {
		notSent(t, t.AS.Authorize(With("redirect_uri", attacker)), "a redirect_uri that is not registered")
	})

	Must("AS-AUTHZ-REDIRECT-EXACT", func(t *T) {
		const registered = "https://client.example/app/cb?k=v"
		c := registering(t, registered)
		control(t, c)
		for _, v := range []string{
			"https://client.example/app/cb/?k=v", "https://client.example/app/cb", "https://client.example/app/cb?k=v&x=1", "https://client.example/app/cb?x=1&k=v",
			"https://client.example/app/cb/../evil?k=v", "https://client.example/app/cb/..%2fevil?k=v", "https://client.example/app/CB?k=v",
			"https://client.example.attacker.example/app/cb?k=v", "https://client.example@attacker.example/app/cb?k=v",
			"https://attacker.example/?https://client.example/app/cb?k=v", "https://sub.client.example/app/cb?k=v", "http://client.example/app/cb?k=v",
			"https://client.example/app%2Fcb?k=v", "https://client.example/app/cb?k=v\x00",
			"https://client.example\\@attacker.example/app/cb?k=v",
		} {
			bound(t, c, v)
		}
		for _, v := range []string{"HTTPS://client.example/app/cb?k=v", "https://CLIENT.example/app/cb?k=v", "https://client.example:443/app/cb?k=v", registered + " ", registered + "\t"} {
			g := t.AS.Authorize(As(c), With("redirect_uri", v), Leaving())
			home := strings.HasPrefix(g.Location, registered+"&") || strings.HasPrefix(g.Location, v+"&") && strings.TrimSpace(v) == v
			if (g.Code() != "" || g.Stage == login.Elsewhere) && !home {
				t.Unmet(g.Exchange, "no redirect, since client and redirect URI are not known to belong together", "the browser is sent to %s", g.Location)
				continue
			}
			if g.Stage == login.AtConsent || g.Code() != "" || g.Stage == login.Elsewhere {
				t.Advise(g.Exchange, "redirect_uri compared as a string (OAuth 2.1 section 2.3.1)", "%q, which is equal only after normalization, is accepted", v)
			}
		}
	})

	Must("AS-AUTHZ-REDIRECT-VERBATIM", func(t *T) {
		uri := strings.Replace(t.AS.AnyClient().RedirectURI, "/callback", "/cb?keep=a%20b&x=%2F", 1)
		g := t.AS.MustReachDecision(t.AS.Authorize(As(registering(t, uri))))
		if base, _, _ := strings.Cut(uri, "?"); g.Stage == login.Elsewhere && strings.HasPrefix(g.Location, base) {
			if sameQuery(uri, g.Location) {
				t.Advise(g.Exchange, "the query of the redirect URI kept as it was written", "it is encoded anew: %s", g.Location)
				return
			}
			t.Unmet(g.Exchange, "the query of the redirect URI kept", "the browser is sent to %s", g.Location)
			return
		}
		if g.Code() == "" {
			t.Inconclusive("an ordinary authorization request gives no code: %s", g.Describe())
		}
		rest, _ := strings.CutPrefix(g.Location, uri)
		query, fragment, _ := strings.Cut(rest, "#")
		if !strings.HasPrefix(query, "&") || strings.Contains(query, "?") {
			t.Unmet(g.Exchange, "the answer appended to the query with &", "the browser is sent to %s", g.Location)
		}
		if fragment != "" && fragment != "_=_" && fragment != "_" {
			t.Unmet(g.Exchange, "no fragment", "the browser is sent to %s", g.Location)
		}
	})

	Must("AS-AUTHZ-REDIRECT-OMITTED", func(t *T) {
		base := t.AS.AnyClient().RedirectURI
		two := registering(t, base, base+"/second")
		for about, edit := range Sorted(map[string]Edit{"no redirect_uri": Without("redirect_uri"), "an empty redirect_uri": With("redirect_uri", "")}) {
			g := t.AS.Authorize(As(two), edit)
			if g.Stage == login.Answered || g.Stage == login.AtConsent || g.Stage == login.Elsewhere {
				t.Finding(g.Exchange, about, "an error page, since the client has registered two redirect URIs", g.Describe()+" "+g.Location)
				continue
			}
			t.AS.MustReachDecision(g)
			t.Refused()
		}
	})

	Must("AS-AUTHZ-LOOPBACK-PORT", func(t *T) {
		for _, host := range []string{"127.0.0.1", "[::1]", "localhost"} {
			c, ex := t.AS.Register(map[string]any{"redirect_uris": []string{"http://" + host + ":53111/callback"}})
			if c == nil {
				t.Note("http://%s cannot be registered: %s", host, expect.Describe(ex))
				continue
			}
			g := t.AS.MustReachDecision(t.AS.Authorize(As(c), With("redirect_uri", "http://"+host+":53222/callback")))
			switch {
			case g.Code() != "":
			case host == "localhost":
				t.Advise(g.Exchange, "any port for a loopback redirect URI", "another port of localhost: %s", g.Describe())
			default:
				t.Unmet(g.Exchange, "any port for a loopback redirect URI (OAuth 2.1 section 8.4.2)", "another port of %s: %s", host, g.Describe())
			}
		}
	})

	Must("AS-AUTHZ-LOOPBACK-STRICT", func(t *T) {
		const port = ":53111"
		c := registering(t, "http://127.0.0.1"+port+"/callback")
		control(t, c)
		for _, v := range []string{
			"http://127.0.0.1" + port + "/other", "http://127.0.0.1" + port + "/callback?x=1", "http://127.0.0.1" + port + "@attacker.example/callback",
			"http://attacker.example" + port + "/callback", "http://127.0.0.1.attacker.example" + port + "/callback", "https://127.0.0.1" + port + "/callback",
		} {
			bound(t, c, v)
		}
		if g := t.AS.Authorize(As(c), With("redirect_uri", "http://localhost"+port+"/callback")); g.Code() != "" {
			t.Advise(g.Exchange, "localhost to be another host than 127.0.0.1", "a code is sent there")
		}
		web, ex := t.AS.Register(map[string]any{"redirect_uris": []string{"https://client.example/cb"}})
		if web == nil {
			t.Note("https redirect URIs cannot be registered: %s", expect.Describe(ex))
			return
		}
		bound(t, web, "https://client.example:8443/cb")
	})
}

// sameQuery reports that an address has all parameters of another one, however they are encoded.
func sameQuery(registered, address string) bool {
	a, err1 := url.Parse(registered)
	b, err2 := url.Parse(address)
	if err1 != nil || err2 != nil {
		return false
	}
	for name, values := range a.Query() {
		if !slices.Equal(values, b.Query()[name]) {
			return false
		}
	}
	return strings.Count(address, "?") == 1
}

// registering registers a client with redirect URIs.
func registering(t *T, uris ...string) *oauth.Client {
	c, ex := t.AS.Register(map[string]any{"redirect_uris": uris})
	if c == nil {
		t.NotTested("a client with the redirect URIs %s cannot be registered: %s", strings.Join(uris, " "), expect.Describe(ex))
	}
	return c
}

// control expects that the registered redirect URI itself is served.
func control(t *T, c *oauth.Client) {
	g := t.AS.MustReachDecision(t.AS.Authorize(As(c), Leaving()))
	base, _, _ := strings.Cut(c.RedirectURI, "?") // AS-AUTHZ-REDIRECT-VERBATIM judges what becomes of the query
	if g.Stage != login.AtConsent && g.Code() == "" && !(strings.HasPrefix(g.Location, base) && strings.Contains(g.Location, "code=")) {
		t.Inconclusive("the control failed: the registered redirect URI itself is refused: %s", g.Describe())
	}
	t.Controlled()
}

// bound expects that a redirect URI that differs from the registered one is refused.
func bound(t *T, c *oauth.Client, v string) {
	notSent(t, t.AS.Authorize(As(c), With("redirect_uri", v)), v)
}
