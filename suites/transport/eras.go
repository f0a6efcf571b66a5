package transport

import (
	"net"
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// pair is the answers to one kind of request in the two protocols.
type pair struct{ stateful, stateless *reports.Exchange }

// kinds are the two kinds of request that a server may answer.
var kinds = map[mcp.Wire]string{mcp.Stateful: "in a session (until 2025-11-25)", mcp.Stateless: "without a session (2026-07-28)"}

// protectsBothWiresAlike: "MCP servers MUST validate access tokens", whichever protocol the request uses.
func protectsBothWiresAlike(t *T) {
	anonymous := pair{t.Cite(t.Survey.Refused[mcp.Stateful]), t.Cite(t.Survey.Refused[mcp.Stateless])}
	if expect.Accepted(anonymous.stateful) && expect.Accepted(anonymous.stateless) {
		t.MCP.Unguarded(anonymous.stateless)
	}
	foreign := func(w mcp.Wire) *reports.Exchange { return t.Send(from(evil)(t.MCP.Authorized(t.Survey.Protected[w]))) }
	Each(t, Cases[func() pair]{
		{"without credentials", func() pair { return anonymous }},
		{"with a bad token", func() pair { return pair{t.Cite(t.Survey.Bogus[mcp.Stateful]), t.Cite(t.Survey.Bogus[mcp.Stateless])} }},
		{"from a foreign Origin", func() pair { return pair{foreign(mcp.Stateful), foreign(mcp.Stateless)} }},
	}, func(t *T, send func() pair) {
		p := send()
		t.Expect(p.stateful, "%s", kinds[mcp.Stateful]).To(refuseWhatTheOtherRefuses(t, mcp.Stateful, p.stateless))
		t.Expect(p.stateless, "%s", kinds[mcp.Stateless]).To(refuseWhatTheOtherRefuses(t, mcp.Stateless, p.stateful))
	})
}

// refuseWhatTheOtherRefuses expects a request to be refused in one protocol if it is refused in the other.
var refuseWhatTheOtherRefuses = expect.Family("refuseWhatTheOtherRefuses", func(t *T, on mcp.Wire, other *reports.Exchange) expect.Matcher {
	opposite := map[mcp.Wire]mcp.Wire{mcp.Stateful: mcp.Stateless, mcp.Stateless: mcp.Stateful}[on]
	return expect.Unless(expect.Refusing("a refusal, because the same request "+kinds[opposite]+" is refused",
		func(ex *reports.Exchange) string {
			if t.Survey.Served(on, ex) && expect.NoAnswer(other) == "" && !t.Survey.Served(opposite, other) {
				return expect.Describe(ex) + "; " + kinds[opposite] + ": " + expect.Describe(other)
			}
			return ""
		}), func(*reports.Exchange) string {
		if why := expect.NoAnswer(other); why != "" {
			return "the same request " + kinds[opposite] + " gets no answer that decides: " + why
		}
		return ""
	})
})

// "When running locally, servers SHOULD bind only to localhost (127.0.0.1) rather than all network interfaces (0.0.0.0)"
func listensOnLoopbackOnly(t *T) {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Inconclusive("the addresses of this machine cannot be learned: %v", err)
	}
	var rows Cases[string]
	for _, a := range addresses {
		if ip, ok := a.(*net.IPNet); ok && !ip.IP.IsLoopback() && !ip.IP.IsLinkLocalUnicast() {
			at := net.JoinHostPort(ip.IP.String(), portOf(t))
			rows = rows.And(at, at)
		}
	}
	if len(rows) == 0 {
		t.NotApplicable("this machine has no address beyond loopback")
	}
	Each(t, rows, func(t *T, at string) { t.Expect(at).To(notListen) })
}

func portOf(t *T) string {
	if port := t.Survey.URL.Port(); port != "" {
		return port
	}
	return map[string]string{"http": "80", "https": "443"}[t.Survey.URL.Scheme]
}

var notListen = expect.That("a local server that listens on loopback only", func(at string) string {
	c, err := net.DialTimeout("tcp", at, time.Second)
	if err != nil {
		return ""
	}
	_ = c.Close()
	return "the server can be reached at this address"
})

// The header of the protocol version selects rules for messages, not whether a token is needed.
func guardsEveryVersion(t *T) {
	naming := func(versions ...string) mcp.Call { return saying("MCP-Protocol-Version", versions...)(t.MCP.Call()) }
	rows := Cases[mcp.Call]{
		{"2024-11-05, without credentials", naming("2024-11-05")},
		{"2025-03-26, without credentials", naming("2025-03-26")},
		{"2025-06-18, without credentials", naming("2025-06-18")},
		{"2025-11-25, without credentials", naming("2025-11-25")},
		{"1900-01-01, without credentials", naming("1900-01-01")},
		{"draft, without credentials", naming("draft")},
		{"two fields, without credentials", naming("2025-06-18", "2024-11-05")},
	}
	if call := protectedInSession(t); call.SessionID != "" {
		rows = rows.And("no version in a session, without credentials", lacking("MCP-Protocol-Version")(call))
	}
	Each(t, rows, func(t *T, c mcp.Call) { t.Expect(t.Send(c)).To(expect.RefuseAnyway()) })
	if t.MCP.HasToken() && t.Since("2025-06-18") {
		refusesUnsupportedVersions(t)
	}
}

// protectedInSession is the protected request, or a list where that is the handshake, in a session of the valid token.
func protectedInSession(t *T) mcp.Call {
	protected := t.MCP.Call()
	if protected.RPC == "initialize" {
		return t.MCP.CallInSession().Method("tools/list", nil)
	}
	return t.MCP.CallInSession().Method(protected.RPC, protected.Params)
}

// "If the server receives a request with an invalid or unsupported MCP-Protocol-Version, it MUST respond with 400 Bad Request."
func refusesUnsupportedVersions(t *T) {
	call := t.MCP.Call()
	if t.Wire == mcp.Stateful {
		call = OpenSession(t).Method("tools/list", nil)
	}
	rows := Cases[CallEdit]{
		{"1900-01-01, with the valid token", saying("MCP-Protocol-Version", "1900-01-01")},
		{"draft, with the valid token", saying("MCP-Protocol-Version", "draft")},
	}
	if t.Wire == mcp.Stateless { // _meta has the same value: otherwise the contradiction may be the reason for the refusal
		rows = Cases[CallEdit]{{"2099-01-01, with the valid token", func(c mcp.Call) mcp.Call {
			c.Revision = "2099-01-01"
			return c
		}}}
	}
	Refuses(t, withToken(t, call, t.MCP.Serve()), rows, expect.WithToken(expect.Refuse(400)))
}
