package check

import (
	"fmt"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/session"
	"github.com/mcpauth/conformance/suites/internal/wire"
)

// aboutKnownClients is the requirement that a server fails whose processes do not share their clients.
const aboutKnownClients = "AS-DCR-CLIENT-USABLE"

// mayForget reports whether an answer may come from a process of the authorization server that does not know the client.
func (t *T) mayForget(ex *reports.Exchange) bool {
	if ex == nil || t.Session == nil || !strings.HasPrefix(t.id, "AS-") || t.id == aboutKnownClients {
		return false
	}
	status, page := expect.Status(ex), endpoint(ex.Request.URL) == endpoint(t.Session.Server.Authorization)
	return oauth.ErrorCode(ex) == "invalid_client" || page && status >= 400 && status <= 499
}

// instanceTries is how often a client or a token is tried, each time on a connection of its own.
const instanceTries = 8

// forgetful says that the authorization server does not always know its clients; empty if it does. Then no refusal shows anything else.
func (t *T) forgetful() string {
	return Once(t, "clients that are known by turns", func() string {
		c, _ := t.Session.Client(t.ctx, session.Public)
		if c == nil {
			return ""
		}
		var known, unknown int
		for range instanceTries {
			req := t.AS.BuildTokenRequest(c, With("grant_type", "authorization_code"), With("code", "mcpauth-made-up"),
				With("redirect_uri", c.RedirectURI), With("code_verifier", oauth.NewPKCE(43).Verifier))
			req.Fresh = true
			switch ex := t.Do(req); {
			case oauth.ErrorCode(ex) == "invalid_client":
				unknown++
			case failure(ex) == "":
				known++
			}
		}
		if known == 0 || unknown == 0 {
			return ""
		}
		return fmt.Sprintf("the server does not know its own client at %d of %d tries (%s): fix that first", unknown, known+unknown,
			aboutKnownClients)
	})
}

// aboutKnownTokens is the requirement that a server fails whose instances do not share their tokens.
const aboutKnownTokens = "RS-TRANSPORT-CONNECTION-IDENTITY"

// mayMiss reports whether an answer may come from an instance of the MCP server that does not know the token.
func (t *T) mayMiss(ex *reports.Exchange) bool {
	return ex != nil && t.id != aboutKnownTokens && t.MCP.HasToken() && expect.Status(ex) == 401 &&
		endpoint(ex.Request.URL) == endpoint(t.Survey.Endpoint) && wire.Get(ex.Request.Header, "Authorization") != ""
}

// unsteady says that the MCP server does not always serve the valid token; empty if it does. Then no refusal shows anything else.
func (t *T) unsteady() string {
	return Once(t, "a token that is known by turns", func() string {
		var served, refused int
		for i := range instanceTries {
			if i == instanceTries/2 { // where requests go to two instances in turn, and each try sends two
				t.Send(t.MCP.Call().OnFreshConnection())
			}
			switch ex := t.Send(t.MCP.Call().With(t.MCP.BearerField()).OnFreshConnection()); {
			case t.MCP.Served(ex):
				served++
			case expect.Status(ex) == 401:
				refused++
			}
		}
		if served == 0 || refused == 0 {
			return ""
		}
		return fmt.Sprintf("the valid token is refused at %d of %d tries (%s): fix that first", refused, served+refused, aboutKnownTokens)
	})
}

// byTurns says that an answer may come from an instance that does not know what others know; empty if that is not so.
func (t *T) byTurns(ex *reports.Exchange) string {
	switch {
	case t.mayForget(ex):
		return t.forgetful()
	case t.mayMiss(ex):
		return t.unsteady()
	}
	return ""
}
