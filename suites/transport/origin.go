package transport

import (
	"net"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// foreignOrigins are origins of other sites. A server that compares only the beginning, the end or a part of its own accepts one.
func foreignOrigins(t *T) Cases[string] {
	host, scheme := t.Survey.URL.Hostname(), t.Survey.URL.Scheme
	before, domain := wordBefore(host)
	rows := Cases[string]{
		{"another site", evil},
		{"another site over http", "http://evil.example"},
		{"another site with a port", "http://evil.example:80"},
		{"another site in upper case", "HTTPS://EVIL.EXAMPLE"},
		{"the own host with a domain at its end", scheme + "://" + host + ".evil.example"},
		{before, scheme + "://" + domain},
		{"the opaque origin null", "null"},
		{"a file", "file://"},
	}
	if port := t.Survey.URL.Port(); port != "" { // a page that rebinds its name has the port of the server
		rows = rows.And("another site at the own port", scheme+"://evil.example:"+port)
	} else {
		rows = rows.And(atTheEnd(t))
	}
	return rows
}

// wordBefore is a foreign host that ends like the own one. Its own domain may belong to the owner, who may allow all hosts below it: then
// only a word before the domain makes another site.
func wordBefore(host string) (name, other string) {
	domain, err := publicsuffix.EffectiveTLDPlusOne(host)
	if err != nil || domain == host || net.ParseIP(host) != nil {
		return "the own host with a word before it", "evil-" + host
	}
	return "the own domain with a word before it", "evil-" + domain
}

func atTheEnd(t *T) (name, origin string) {
	return "the own origin with a domain at its end", document.Origin(t.Survey.URL) + ".evil.example"
}

// impossibleOrigins are not origins, and no browser sends them. If one is accepted, the server compares only its beginning.
func impossibleOrigins(t *T) Cases[string] {
	rows := Cases[string]{{"the own origin as user information", document.Origin(t.Survey.URL) + "@evil.example"}}
	if t.Survey.URL.Port() != "" { // the foreign domain comes after the port
		rows = rows.And(atTheEnd(t))
	}
	return rows
}

// sameHostOrigins are origins that a policy may allow on purpose: DNS rebinding cannot use them.
func sameHostOrigins(t *T) Cases[string] {
	other := map[string]string{"http": "https", "https": "http"}[t.Survey.URL.Scheme]
	out := Cases[string]{
		{"the own host at another port", t.Survey.URL.Scheme + "://" + t.Survey.URL.Hostname() + ":1"},
		{"the own host by the other scheme", other + "://" + t.Survey.URL.Host},
	}
	if t.MCP.Loopback() { // pages of this machine, such as an inspector, may be allowed
		out = out.And("localhost at another port", "http://localhost:1").And("127.0.0.1 at another port", "http://127.0.0.1:1")
	}
	return out
}

func from(origin string) CallEdit {
	return func(c mcp.Call) mcp.Call { return c.With(mcp.Field("Origin", origin)) }
}

// ownCall is the protected request, with the user's token if there is one.
func ownCall(t *T) Attempt[CallEdit] {
	return Attempt[CallEdit]{Name: "the protected request without an Origin", Good: t.MCP.Serve(), Send: func(edits ...CallEdit) any {
		c := t.MCP.Authorized(t.MCP.Call())
		for _, e := range edits {
			c = e(c)
		}
		return t.Send(c)
	}}
}

// 2025-11-25: "If the Origin header is present and invalid, servers MUST respond with HTTP 403".
func refusesForeignOrigins(t *T) {
	rows := Cases[CallEdit]{}
	for _, r := range foreignOrigins(t) {
		rows = rows.And(r.Name+", Origin: "+r.Value, from(r.Value))
	}
	Refuses(t, ownCall(t), rows, refuseOrigin(t))
	if t.MCP.Loopback() {
		refusesRebound(t)
	}
	for _, r := range impossibleOrigins(t) {
		t.Expect(t.Send(from(r.Value)(t.MCP.Authorized(t.MCP.Call()))), "%s, Origin: %s", r.Name, r.Value).Ideally(expect.RefuseAnyway())
	}
	Each(t, sameHostOrigins(t), func(t *T, origin string) {
		t.Expect(t.Send(from(origin)(t.MCP.Authorized(t.MCP.Call()))), "Origin: %s", origin).Ideally(expect.RefuseAnyway())
	})
}

// refusesRebound sends what a page sends that has rebound its name: Host and Origin name the same foreign site. A server that compares
// Origin with Host alone accepts it.
func refusesRebound(t *T) {
	u := *t.Survey.URL
	if u.Host = "evil.example"; t.Survey.URL.Port() != "" {
		u.Host += ":" + t.Survey.URL.Port()
	}
	good := Attempt[string]{Name: "the protected request without an Origin", Good: t.MCP.Serve(), Send: func(origins ...string) any {
		req := t.MCP.Authorized(t.MCP.Call()).Request()
		for _, origin := range origins {
			req.Host, req.Header = u.Host, append(req.Header, mcp.Field("Origin", origin))
		}
		return t.Do(req)
	}}
	Refuses(t, good, Cases[string]{{"a foreign site in Origin and in Host", document.Origin(&u)}}, expect.RefuseAnyway())
}

// refuseOrigin expects 403 from 2025-11-25 on, where 400 and 401 are a warning; before, any refusal.
var refuseOrigin = expect.Family("refuseOrigin", func(t *T) expect.Matcher {
	if !t.Since("2025-11-25") {
		return expect.RefuseAnyway()
	}
	return expect.Advised(expect.Refuse(400, 401, 403), "HTTP 403", func(ex *reports.Exchange) bool { return expect.Status(ex) == 403 })
})

// refusesForeignHosts sends the valid token, so that only the Host is wrong.
func refusesForeignHosts(t *T) {
	if !t.MCP.Loopback() {
		t.NotApplicable("the target is not on this machine; there, virtual hosting decides")
	}
	if !t.MCP.HasToken() && !expect.Accepted(t.MCP.Anonymous()) {
		t.NotTestedWithout("token-given",
			"without a token, a refusal does not say whether the Host or the missing token is refused: give one (--token-env)")
	}
	rows := foreignHosts(t)
	Refuses(t, addressed(t, func(t *T) mcp.Call { return t.MCP.Call() }), rows, expect.RefuseAnyway())
	Each(t, Cases[string]{{"GET", "GET"}, {"DELETE", "DELETE"}}, func(t *T, verb string) {
		good := addressed(t, func(t *T) mcp.Call { return inOwnSession(t).Using(verb) })
		if ex, _ := good.Send().(*reports.Exchange); expect.NoAnswer(ex) == "" && expect.Status(ex) >= 400 {
			t.NotApplicable("it is not offered: with its own Host it is answered with %s", expect.Describe(ex))
		}
		Refuses(t, good, rows[:1], expect.RefuseAnyway())
	})
}

// foreignHosts are names of others, at the port of the server.
func foreignHosts(t *T) (rows Cases[string]) {
	port := ""
	if p := t.Survey.URL.Port(); p != "" {
		port = ":" + p
	}
	hosts := []string{"evil.example" + port, "localhost.evil.example" + port, "127.0.0.1.nip.io" + port}
	if port != "" {
		hosts = append(hosts, "evil.example")
	}
	for _, host := range hosts {
		rows = rows.And("Host: "+host, host)
	}
	return rows
}

// addressed is a request with the valid token and another Host; without one, it has its own.
func addressed(t *T, build func(t *T) mcp.Call) Attempt[string] {
	return Attempt[string]{Name: "the same request with its own Host", Good: serveOrOpen(t), Send: func(hosts ...string) any {
		req := t.MCP.Authorized(build(t)).Request()
		req.Host = strings.Join(hosts, "")
		return t.Do(req)
	}}
}

// A client that is not a browser sends no Origin: the clause is about an Origin that is present and invalid.
func acceptsAllowedOrigins(t *T) {
	t.Expect(t.Send(t.MCP.Authorized(t.MCP.Call())), "without Origin").To(t.MCP.Serve())
	var declared Cases[CallEdit]
	for _, origin := range t.Origins {
		declared = declared.And("the declared Origin "+origin, from(origin))
	}
	Each(t, declared, func(t *T, e CallEdit) { t.Expect(t.Send(e(t.MCP.Authorized(t.MCP.Call())))).To(t.MCP.Serve()) })
	own := from(document.Origin(t.Survey.URL))
	t.Expect(t.Send(own(t.MCP.Authorized(t.MCP.Call()))), "its own Origin").Ideally(t.MCP.Serve())
}

// "Servers MUST validate the Origin header on all incoming connections"
func refusesForeignOriginsByEveryMethod(t *T) {
	Each(t, Cases[func(t *T) mcp.Call]{
		{"GET", func(t *T) mcp.Call { return inOwnSession(t).Using("GET") }},
		{"DELETE", func(t *T) mcp.Call { return inOwnSession(t).Using("DELETE") }},
		{"a notification", func(t *T) mcp.Call {
			return inOwnSession(t).Method("notifications/cancelled", map[string]any{"requestId": "mcpauth-none"})
		}},
		{"POST as text/plain", func(t *T) mcp.Call { return t.MCP.Call().With(mcp.Field("Content-Type", "text/plain")) }},
	}, func(t *T, build func(t *T) mcp.Call) {
		good := Attempt[CallEdit]{Name: "the same request without an Origin", Good: serveOrOpen(t), Send: func(edits ...CallEdit) any {
			c := t.MCP.Authorized(build(t))
			for _, e := range edits {
				c = e(c)
			}
			return t.Send(c)
		}}
		switch ex, _ := good.Send().(*reports.Exchange); {
		case offersNone(ex):
			t.NotApplicable("it is not offered: without an Origin it is answered with %s", expect.Describe(ex))
		case expect.Status(ex) == 401 && !t.MCP.HasToken():
			t.NotTestedWithout("token-given", "it needs a valid access token: without one, this request is answered with %s", expect.Describe(ex))
		}
		Refuses(t, good, Cases[CallEdit]{{"Origin: " + evil, from(evil)}}, refuseOrigin(t))
	})
}

// serveOrOpen expects a request to be served, or a stream to stay open: an answer without a header yet is not a refusal.
func serveOrOpen(t *T) expect.Matcher {
	return expect.Either(expect.ServedBy(expect.OpenedSilently), t.MCP.Serve())
}

// inOwnSession is a call in a new session, if there are sessions: the target may refuse a request without one for that reason.
func inOwnSession(t *T) mcp.Call {
	if t.Wire == mcp.Stateful {
		return OpenSession(t)
	}
	return t.MCP.Call()
}

// offersNone reports an answer that refuses a method or a media type.
func offersNone(ex *reports.Exchange) bool {
	return slices.Contains([]int{400, 404, 405, 406, 415, 501}, expect.Status(ex))
}
