package registration

import (
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/listener"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/mint"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// registersByPostOnly asks the endpoint for a client, without the client's own registration_access_token.
func registersByPostOnly(t *T) {
	name := t.AS.ClientName(", unlisted " + Random(9))
	c, endpoint := client(t, changing{"client_name": name}), t.AS.Server().Registration
	Each(t, Cases[string]{
		{"GET", endpoint},
		{"GET with client_id in the query", endpoint + "?client_id=" + c.ID},
		{"GET with client_id in the path", strings.TrimSuffix(endpoint, "/") + "/" + c.ID},
	}, func(t *T, address string) {
		if address == c.Registered.String("registration_client_uri") {
			t.NotApplicable("it is the client configuration endpoint (AS-DCRM-TOKEN-REQUIRED)")
		}
		ex := t.Get(address)
		t.Expect(ex).To(tellNothing(c, name, strings.Contains(address, c.ID)))
	})
	Each(t, Cases[string]{{"PUT", "PUT"}}, func(t *T, method string) {
		r := post(t, endpoint, mint.JSON(t.AS.ClientMetadata()))
		r.Method = method
		t.Expect(decided(t, t.Do(r))).Ideally(refuse)
	})
	registersFromBrowsers(t, endpoint)
}

// registersFromBrowsers sends what a browser sends for the page of a client.
func registersFromBrowsers(t *T, endpoint string) {
	const inspector = "http://localhost:6274"
	origin := mcp.Field("Origin", inspector)
	preflight := wire.Request{Method: "OPTIONS", URL: endpoint, Header: []reports.Field{
		origin, mcp.Field("Access-Control-Request-Method", "POST"),
		mcp.Field("Access-Control-Request-Headers", "content-type,mcp-protocol-version"),
	}}
	t.Expect(decided(t, t.Do(preflight)), "OPTIONS").Ideally(expect.AllowPreflight(inspector, "POST", "content-type"))
	t.Expect(decided(t, t.Do(post(t, endpoint, mint.JSON(t.AS.ClientMetadata()), origin))), "POST with Origin").Ideally(
		expect.BeReadable(inspector))
}

// tellNothing expects an answer without values that only the client and the server know. It may quote what was sent.
var tellNothing = expect.Family("tellNothing", func(c *oauth.Client, name string, sent bool) expect.Matcher {
	return expect.Show("nothing about any client", func(ex *reports.Exchange) string {
		body := expect.Body(ex)
		token := c.Registered.String("registration_access_token")
		switch {
		case c.Secret != "" && strings.Contains(body, c.Secret), token != "" && strings.Contains(body, token):
			return "the answer holds a client's credential"
		case strings.Contains(body, name), !sent && strings.Contains(body, c.ID):
			return "the answer shows a registered client"
		}
		return ""
	})
})

// fetching is a registration that names an address of mcpauth.
type fetching struct {
	member string
	secure bool
}

// fetchesNothingFromInside has a listener for each member. A server on this machine may have reasons to fetch from loopback.
func fetchesNothingFromInside(t *T) {
	rows := Cases[fetching]{}
	for _, member := range []string{"jwks_uri", "logo_uri", "sector_identifier_uri", "policy_uri", "tos_uri", "request_uris"} {
		rows = rows.And(member+" by http", fetching{member, false}).And(member+" by https", fetching{member, true})
	}
	Each(t, rows, func(t *T, f fetching) {
		l := Listen(t)
		c, ex := t.AS.Register(changing{f.member: addressed(l, f)})
		if c != nil && !f.secure {
			t.AS.Authorize(As(c), Leaving()) // the pages may show what is registered
		}
		if own, err := document.ParseURL(t.AS.Server().Issuer); arrivedAt(l) > 0 && err == nil && document.LoopbackHost(own.Hostname()) {
			t.Inconclusive("the authorization server is on loopback itself, and may fetch from there on purpose: %d connections arrived",
				arrivedAt(l))
		}
		fetched := t.Expect(l)
		if arrivedAt(l) == 0 || expect.NoAnswer(ex) == "" { // a server that has fetched may fail at what it gets
			fetched = fetched.SeenIn(decided(t, ex))
		}
		fetched.To(stayAway)
	})
}

func addressed(l *listener.Listener, f fetching) any {
	address := l.URL("/" + f.member)
	if f.secure {
		address = "https" + strings.TrimPrefix(address, "http")
	}
	if f.member == "request_uris" {
		return []string{address}
	}
	return address
}

// arrivedAt counts the connections, except those of a browser that shows a page.
func arrivedAt(l *listener.Listener) int {
	n := l.Connections()
	for _, r := range l.Seen() {
		if r.Header.Get("Sec-Fetch-Mode") != "" {
			n--
		}
	}
	return max(n, 0)
}

var stayAway = expect.That("no connection to a loopback address in the metadata of a registration", func(l *listener.Listener) string {
	if n := arrivedAt(l); n > 0 {
		return reports.Count(n, "connection")
	}
	return ""
})

// unknownMethod reports that a method is not offered at an address.
func unknownMethod(ex *reports.Exchange) bool {
	return slices.Contains([]int{404, 405, 501}, expect.Status(ex))
}
