package check

import (
	"context"
	"net/url"

	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/survey"
)

// known is what judges read from a T about the target, and all that a report keeps of a T. A recalled T sends nothing.
type known struct {
	ID, Revision, Endpoint string
	Wire                   mcp.Wire
	// AsksForUnknownTool and InTools come from the survey of the wire.
	AsksForUnknownTool, InTools bool
}

func init() { expect.Codec(knownTo, recalledFrom) }

func knownTo(t *T) known {
	w := t.wire()
	return known{t.id, t.Revision, t.Survey.Endpoint, w, t.Survey.AsksForUnknownTool(w), t.Survey.InTools[w]}
}

func recalledFrom(k known) *T {
	s := &survey.Survey{Input: survey.Input{Endpoint: k.Endpoint}, Protected: map[mcp.Wire]mcp.Call{},
		InTools: map[mcp.Wire]bool{k.Wire: k.InTools}}
	s.URL, _ = url.Parse(k.Endpoint)
	if k.AsksForUnknownTool {
		s.Protected[k.Wire] = mcp.Call{RPC: "tools/call"}
	}
	return newT(context.Background(), &World{Survey: s}, k.ID, k.Wire, k.Revision)
}
