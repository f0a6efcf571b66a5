package check

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/wire"
)

// spread has further tokens of the user, for a target that limits the requests of a token: all checks together send more than an ordinary
// client.
type spread struct {
	turn    sync.Mutex
	current string // empty: that of the survey
	made    int
}

// mostTokens bounds the user's logins for further tokens.
const mostTokens = 50

// Token returns the user's access token: the same for one check, unless it meets a limit.
func (t MCPServer) Token() string {
	if t.token == "" {
		t.spread.turn.Lock()
		t.token = t.spread.current
		t.spread.turn.Unlock()
	}
	if t.token == "" {
		t.token = t.Survey.Token
	}
	return t.token
}

// anotherToken returns a token that has not met a limit; empty if the user cannot sign in for one.
func (w *World) anotherToken(ctx context.Context, used string) string {
	w.spread.turn.Lock()
	defer w.spread.turn.Unlock()
	if w.spread.current != "" && w.spread.current != used {
		return w.spread.current
	}
	if w.Session == nil || !w.Session.Ready || w.Survey.Token != w.Session.Tokens.Access || w.spread.made == mostTokens {
		return ""
	}
	another := w.Session.Another(ctx)
	if another == nil {
		return ""
	}
	w.spread.made++
	w.spread.current = another.Access
	return another.Access
}

// withAnother replaces the token of a request that has met a limit with another one of the user; ok is false if it has none of those, or if
// there is no other.
func (t *T) withAnother(req wire.Request, limit *reports.Exchange) (wire.Request, bool) {
	if expect.Status(limit) != 429 || !t.replaceable(req) {
		return req, false
	}
	i := slices.IndexFunc(req.Header, isAuthorization)
	next := t.anotherToken(t.ctx, strings.TrimPrefix(req.Header[i].Value, "Bearer "))
	if next == "" {
		return req, false
	}
	t.token = next
	req.Header = slices.Clone(req.Header)
	req.Header[i] = mcp.Bearer(next)
	return req, true
}

// replaceable reports whether a request has a token for which another one of the user may do.
func (t *T) replaceable(req wire.Request) bool {
	i := slices.IndexFunc(req.Header, isAuthorization)
	if i < 0 || t.Session == nil || t.MCP.T == nil {
		return false
	}
	used, bearer := strings.CutPrefix(req.Header[i].Value, "Bearer ")
	return bearer && (used == t.token || used == t.Survey.Token)
}

func isAuthorization(f reports.Field) bool { return strings.EqualFold(f.Name, "Authorization") }
