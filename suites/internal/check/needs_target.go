package check

import (
	"maps"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
)

const (
	ofCredentials = "credentials in the target file"
	ofTools       = "tools in the target file"
)

// always is met: a run without it does not start, or the check says itself what it left out.
func always(*T) *lack { return nil }

// needsOfTheTarget are needs of the MCP server, and of what it accepts.
var needsOfTheTarget = map[string]need{
	"mcp-endpoint":    {met: always},
	"raw-socket":      {met: always},
	"declared-public": {met: always},
	"effect":          {signsIn: true, met: always},
	"callback":        {met: always},
	"prm": {met: has(func(t *T) bool { return t.Survey.Resource() != nil },
		"no protected resource metadata document was found (RS-DISC-PRM-PUBLISHED)")},
	"challenge": {met: (*T).isChallenged},
	"oauth":     {after: []string{"challenge"}, met: (*T).authorizesByOAuth},
	"protected": {met: func(t *T) *lack {
		if i := slices.IndexFunc(t.tokenWires(), t.open); i >= 0 {
			return t.unguarded(t.Survey.Refused[t.tokenWires()[i]])
		}
		return nil
	}},
	"protected-wire": {met: func(t *T) *lack {
		if t.open(t.wire()) {
			return t.unguarded(t.Survey.Refused[t.wire()])
		}
		return nil
	}},
	"tls": {met: has(func(t *T) bool { return t.Survey.URL.Scheme == "https" && !t.MCP.Loopback() },
		"the target is on loopback or not reached by https")},
	"session": {give: "--token-env", after: []string{"token-given"}, met: unlessFailed(func(t *T) bool {
		return expect.Header(t.Survey.Handshake, "Mcp-Session-Id") != ""
	}, "the target assigns no session id", func(t *T) []*reports.Exchange { return []*reports.Exchange{t.Survey.Handshake} })},
	"dual-era": {met: unlessFailed(func(t *T) bool { return len(t.spokenWires()) > 1 },
		"the target speaks only one of the protocols with and without sessions",
		func(t *T) []*reports.Exchange {
			if len(t.Survey.WithToken) > 0 {
				return slices.Collect(maps.Values(t.Survey.WithToken))
			}
			return slices.Collect(maps.Values(t.Survey.Anonymous))
		})},
	"modern-wire": {met: has(speaks(mcp.Stateless), "the target does not speak the protocol without sessions (2026-07-28)")},
	"legacy-wire": {met: has(speaks(mcp.Stateful), "the target does not speak the protocol with sessions (until 2025-11-25)")},
	"same-host":   {met: has(func(t *T) bool { return t.MCP.Loopback() }, "the target is not on this machine's loopback")},
	"dpop": {met: has(func(t *T) bool { return len(t.MCP.DPoPAlgorithms()) > 0 || t.MCP.DPoPRequired() },
		"the metadata does not offer DPoP")},
	"mtls": {met: has(func(t *T) bool { return t.MCP.MutualTLS() },
		"the metadata does not offer tokens that are bound to certificates")},
	"declared-screening": {give: "target.screening in the target file", met: has(func(t *T) bool { return len(t.Screening) > 0 },
		"no text is declared that the target refuses in arguments (target.screening in the target file)")},
	"declared-block": {give: "target.address_block in the target file", met: has(func(t *T) bool { return t.BlockAfter > 0 },
		"the target is not declared to block addresses (target.address_block in the target file)")},
	"scope-hierarchy": {give: "scopes.implies in the target file", met: has(func(t *T) bool { return len(t.Implies) > 0 },
		"no scope is declared to imply another (scopes.implies in the target file)")},
}

func speaks(wire mcp.Wire) func(*T) bool {
	return func(t *T) bool { _, ok := t.Survey.Newest(wire); return ok }
}

// open reports whether anonymous callers are served on a wire.
func (t *T) open(wire mcp.Wire) bool { return expect.Accepted(t.Survey.Refused[wire]) }

func (t *T) spokenWires() []mcp.Wire {
	var out []mcp.Wire
	for _, st := range t.Survey.Status {
		w := mcp.Wire(st.Wire)
		if (st.Status == "spoken" || st.Status == "declared") && !slices.Contains(out, w) {
			out = append(out, w)
		}
	}
	return out
}

// judgedWires returns the wires of the judged revisions, the stateful one first.
func (t *T) judgedWires() []mcp.Wire {
	var out []mcp.Wire
	for _, rev := range t.Survey.Judged() {
		if w := mcp.WireOf(rev); !slices.Contains(out, w) {
			out = append(out, w)
		}
	}
	return out
}

// tokenWires returns the wires on which a token must be accepted.
func (t *T) tokenWires() []mcp.Wire {
	if t.Wire != "" {
		return []mcp.Wire{t.Wire}
	}
	return t.spokenWires()
}

// isChallenged finds out whether anonymous requests are answered with 401.
func (t *T) isChallenged() *lack {
	s, wires := t.Survey, []mcp.Wire{t.Wire}
	if t.Wire == "" {
		wires = t.judgedWires()
	}
	open := true
	for _, w := range wires {
		if expect.Status(s.Refused[w]) == 401 {
			return nil
		}
		open = open && t.open(w)
		if s.InTools[w] && !strings.HasPrefix(t.id, "RS-CHALLENGE-") && !strings.HasPrefix(t.id, "RS-DISC-") {
			return nil // it is protected anyway
		}
	}
	ex := s.Refused[wires[0]]
	t.transcript = append(t.transcript, ex)
	switch {
	case open:
		return t.unguarded(ex)
	case slices.ContainsFunc(wires, func(w mcp.Wire) bool { return s.InTools[w] }):
		return missing("there is no 401 to look at: tools refuse inside their results (RS-CHALLENGE-NO-AUTH-ERROR-IN-200)")
	}
	return unusable("the anonymous request is not answered 401 but with %s (RS-CHALLENGE-401-STATUS)", expect.Describe(ex))
}

func loopbackURL(s string) bool {
	u, err := document.ParseURL(s)
	return err == nil && document.LoopbackHost(u.Hostname())
}
