package check

import (
	"context"

	"github.com/mcpauth/conformance/suites/internal/mcp"
)

// The facets of a T: the actions of a check on each side. Each facet has the whole T, so that one can use another.
type (
	// AuthorizationServer sends the requests of a client to the authorization server.
	AuthorizationServer struct{ *T }
	// MCPServer sends the requests of a client to the target itself: calls, sessions, streams.
	MCPServer struct{ *T }
	// Minter makes tokens, proofs and assertions of an issuer that mcpauth runs and the target trusts.
	Minter struct{ *T }
	// Pages opens login, consent and other pages in a browser.
	Pages struct{ *T }
	// UpstreamSide is behind the target: the APIs that its tools call, and the upstream where the users of a proxy sign in.
	UpstreamSide struct{ *T }
	// Siblings are other resources of the same authorization server.
	Siblings struct{ *T }
)

// newT makes the T of one execution of a check.
func newT(ctx context.Context, w *World, id string, on mcp.Wire, revision string) *T {
	t := &T{World: w, ctx: ctx, id: id, Wire: on, Revision: revision}
	t.AS, t.MCP, t.Mint = AuthorizationServer{t}, MCPServer{t}, Minter{t}
	t.Pages, t.Upstream, t.Sibling = Pages{t}, UpstreamSide{t}, Siblings{t}
	return t
}
