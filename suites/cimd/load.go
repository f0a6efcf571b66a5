package cimd

import (
	"github.com/mcpauth/conformance/suites/internal/documents"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/login"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// strangers is how many requests of nobody name a document each.
const strangers = 30

// rebound is how many names are tried.
const rebound = 5

func load() {
	Practice("AS-CIMD-SSRF-REBIND", func(t *T) {
		supported(t)
		control(t)
		caught, asked := 0, 0
		for range rebound {
			name := t.Rebinding.Name()
			g := t.AS.Authorize(As(client(t, "https://"+name+"/client.json")), Leaving())
			if g.Stage == login.AtConsent || g.Code() != "" {
				t.Unmet(g.Exchange, "no client from a name that changes its address", "%s", g.Describe())
			}
			asked, caught = asked+t.Rebinding.Asked(name), caught+t.Rebinding.Caught(name)
		}
		switch {
		case caught > 0:
			t.Unmet(t.Last(), "a connection to the address that was checked", "%d of %d names led to the private address that their second answer held", caught, rebound)
		case asked == 0:
			t.Inconclusive("the authorization server asked for none of the names: it does not look where we answer, or fetches from known hosts only")
		default:
			t.Refused()
		}
	})

	Practice("AS-CIMD-FETCH-ABUSE", func(t *T) {
		supported(t)
		control(t)
		var pages []*documents.Page
		var requests []wire.Request
		for range strangers {
			page, c := publish(t, nil)
			pages = append(pages, page)
			requests = append(requests, wire.Request{Method: "GET", URL: oauth.AtQuery(t.AS.Server().Authorization, t.Session.Request(c, oauth.NewPKCE(43)))})
		}
		answers := t.AllIgnoringLimits(requests)
		fetched := 0
		for _, p := range pages {
			fetched += p.Hits()
		}
		for _, ex := range answers {
			if expect.Crashed(ex) && expect.Status(ex) != 503 {
				t.RefusedBy(ex)
				return
			}
		}
		if fetched >= strangers {
			t.Advise(answers[0], "fewer fetches than requests where nobody is signed in", "%d requests of strangers make it fetch %d documents", strangers, fetched)
			return
		}
		t.Refused()
	})
}
