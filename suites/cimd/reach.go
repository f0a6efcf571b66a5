package cimd

import (
	"encoding/json"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/mcpauth/conformance/fixtures/seeded"
	"github.com/mcpauth/conformance/reports"
	jsondoc "github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/documents"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/survey"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// "The authorization server MUST NOT automatically follow HTTP redirects when retrieving the client registration information." (draft 01,
// section 4; draft 00, which MCP names, is silent)
func followsNoRedirect(t *T) {
	usable(t)
	own := "https://" + t.Documents.Host()
	rows := Cases[edit]{
		{"a redirect with 301", redirected(t, 301, own)},
		{"a redirect with 302", redirected(t, 302, own)},
		{"a redirect with 303", redirected(t, 303, own)},
		{"a redirect with 307", redirected(t, 307, own)},
		{"a redirect with 308", redirected(t, 308, own)},
		{"a redirect with 302 to http", redirected(t, 302, "http://"+t.Documents.Host())},
	}
	if host, port, err := net.SplitHostPort(t.Documents.Host()); err == nil && jsondoc.LoopbackHost(host) {
		rows = rows.And("a redirect with 302 to 0.0.0.0", redirected(t, 302, "https://0.0.0.0:"+port))
	}
	Refuses(t, document(t), rows, expect.Unless(expect.Refusing("no redirect followed to a document", func(r *request) string {
		if n := r.second.Hits(); n > 0 || accepted(r.Grant) {
			return reports.Count(n, "request") + " at the address in Location: " + r.Describe()
		}
		return ""
	}), (*request).Unjudged))
}

// redirected moves the document to another URL, at an origin, and makes its own URL redirect there.
func redirected(t *T, status int, origin string) edit {
	return func(d *draft) {
		body, _ := json.Marshal(d.members) // plain values can always be encoded
		d.second = t.Documents.Put(documents.Answer{Type: "application/json", Body: string(body)})
		at := origin + strings.TrimPrefix(d.second.URL, "https://"+t.Documents.Host())
		answered(func(a *documents.Answer) { a.Status, a.Location, a.Body = status, at, "" })(d)
	}
}

// "Authorization servers SHOULD avoid fetching any URLs using private or loopback addresses" (section 6.5). 0.0.0.0 and [::] lead to
// the loopback interface, too. The exception for the tester's documents is their own address, or the loopback interface that both sides
// share (draft 01), so the check tries others.
func fetchesFromNoSpecialAddress(t *T) {
	usable(t)
	l := listenEverywhere(t)
	name, _, _ := strings.Cut(t.Documents.Host(), ":")
	good := Attempt[string]{Name: "the document at " + name + ", on the same port", Good: beServed(), Send: func(hosts ...string) any {
		host, before := name, l.Connections()
		for _, host = range hosts {
		}
		r := ask(t, newDraft(t, acceptedRedirect(t), atHost(host, l.Port())))
		r.reached = l.Connections() - before
		return r
	}}
	hosts := specialHosts(t, l)
	if len(hosts) == 0 {
		t.NotTested("no special-use address of this machine leads to a listener of mcpauth")
	}
	Refuses(t, good, hosts, expect.Refusing("no connection to a special-use address", func(r *request) string {
		if r.reached > 0 { // what is accepted unread is a finding of AS-CIMD-FETCH-FAILURE
			return fmt.Sprintf("%s for the client_id %s: %s", reports.Count(r.reached, "connection"), r.Client.ID, r.Describe())
		}
		return ""
	}))
}

// atHost puts the document at the same path of another host and port.
func atHost(host, port string) edit {
	return func(d *draft) {
		asID("https://" + host + ":" + port + d.id[strings.Index(d.id, "/clients/"):])(d)
	}
}

// specialHosts are the special-use addresses of this machine that lead to the listener.
func specialHosts(t *T, l *documents.Everywhere) Cases[string] {
	var rows Cases[string]
	addresses := Cases[string]{{"0.0.0.0", "0.0.0.0"}, {"[::]", "::"}}
	if ip := documents.OwnPrivate(); ip != nil {
		addresses = addresses.And("a private address of the machine", ip.String())
	}
	for _, a := range addresses {
		if l.Reaches(a.Value) {
			rows = rows.And(a.Name, bracketed(a.Value))
		}
	}
	host, _, err := net.SplitHostPort(t.Documents.Host())
	if err == nil && jsondoc.LoopbackHost(host) || survey.LoopbackIssuer(t.AS.Server().Issuer) {
		return rows
	}
	for _, spelling := range []string{
		"127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]",
	} {
		rows = rows.And(spelling, spelling)
	}
	return rows
}

func bracketed(ip string) string {
	if strings.Contains(ip, ":") {
		return "[" + ip + "]"
	}
	return ip
}

// listenEverywhere serves the documents at a further port until the check ends.
func listenEverywhere(t *T) *documents.Everywhere {
	_, port, _ := net.SplitHostPort(seeded.Suites.Address()) // the address always has a port
	n, _ := strconv.Atoi(port)
	l, err := t.Documents.ListenEverywhere(n)
	if err != nil {
		t.Inconclusive("no listener could be opened: %v", err)
	}
	t.Cleanup(l.Close)
	return l
}

// rebound is how many names are tried.
const rebound = 5

// rebindings counts what the server did with names that first resolve to the address of the documents, and then to a private one.
type rebindings struct{ asked, fetched, caught int }

// "DNS Resolution Considerations: ... pin DNS resolution results between check and use" (MCP security best practices)
func connectsToTheAddressItChecked(t *T) {
	usable(t)
	var seen rebindings
	for range rebound {
		name := t.Rebinding.Name()
		host, port, _ := net.SplitHostPort(name) // the name always has a port
		r := ask(t, newDraft(t, acceptedRedirect(t), atHost(host, port)))
		seen.asked += t.Rebinding.Asked(name)
		if hits := r.page.Hits(); hits > 0 { // the server used the first address; for a later fetch it may resolve and check the name again
			seen.fetched += hits
			continue
		}
		seen.caught += t.Rebinding.Caught(name)
	}
	t.Expect(seen).SeenIn(t.Last()).To(expect.Unless(expect.Refusing("a connection to the address that was checked",
		func(s rebindings) string {
			if s.caught > 0 {
				return fmt.Sprintf("%s to the private address that %d names resolve to the second time",
					reports.Count(s.caught, "connection"), rebound)
			}
			return ""
		}), notRebound))
}

// notRebound says why no server connected: one that has fetched a document from the first address had the chance to resolve the name
// again.
func notRebound(s rebindings) string {
	switch {
	case s.asked == 0:
		return "the authorization server asked for none of the names: it does not ask mcpauth's name server, or fetches from known hosts only"
	case s.fetched == 0:
		return "the authorization server asked for the names, and fetched from neither address: it may not reach them, or check each answer"
	}
	return ""
}
