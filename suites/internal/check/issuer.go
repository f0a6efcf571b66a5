package check

import (
	"encoding/base64"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/mint"
	"github.com/mcpauth/conformance/suites/internal/nearmiss"
	"github.com/mcpauth/conformance/suites/target"
)

// Declarations of the user; see the package target.
type (
	Issuer    = target.Issuer
	KeyServer = target.KeyServer
	Tool      = target.Tool
)

// callable returns the declared tool with a name, if it may be called.
func (t MCPServer) callable(name string) (tool Tool, ok bool) {
	i := slices.IndexFunc(t.Tools, func(tool Tool) bool { return tool.Name == name && !tool.DeniedOnly })
	if i < 0 {
		return Tool{}, false
	}
	return t.Tools[i], true
}

// HandleTools are a declared tool that returns a handle, and one that accepts it.
type HandleTools struct{ Makes, Takes Tool }

// HandleTools returns the declared tools that accept a handle, each with the one that returns it.
func (t MCPServer) HandleTools() (out []HandleTools) {
	for _, takes := range t.Special {
		if makes, ok := t.callable(takes.HandleFrom); ok && !takes.DeniedOnly {
			out = append(out, HandleTools{makes, takes})
		}
	}
	return out
}

// EffectiveTool returns a declared tool with a scope, and the tool that shows its effect.
func (t MCPServer) EffectiveTool() (tool, shows Tool, ok bool) {
	for _, tool := range t.ScopedTools() {
		if shows, ok := t.callable(tool.Effect); ok {
			return tool, shows, true
		}
	}
	return Tool{}, Tool{}, false
}

// UnscopedEffect returns a declared tool that needs only a token, and the tool that shows its effect.
func (t MCPServer) UnscopedEffect() (tool, shows Tool, ok bool) {
	for _, tool := range t.Tools {
		if shows, ok := t.callable(tool.Effect); ok && !tool.DeniedOnly && len(tool.Scopes())+len(shows.Scopes()) == 0 {
			return tool, shows, true
		}
	}
	return Tool{}, Tool{}, false
}

// Includes reports whether the held scope is enough where another is needed: it is the same, or declared to imply it.
func (t MCPServer) Includes(held, needed string) bool {
	return held == needed || slices.Contains(t.Implies[held], needed)
}

// Permits reports whether the held scopes are enough for a tool.
func (t MCPServer) Permits(held []string, tool Tool) bool { return tool.Permitted(held, t.Includes) }

// Without returns the scopes of a list that imply none of the others.
func (t MCPServer) Without(scopes, others []string) []string {
	return slices.DeleteFunc(slices.Clone(scopes), func(held string) bool {
		return slices.ContainsFunc(others, func(s string) bool { return t.Includes(held, s) })
	})
}

// OrdinaryScopes returns the scopes of an ordinary minted token: enough for every tool that may be called.
func (t MCPServer) OrdinaryScopes() []string {
	out := slices.Clone(t.Base)
	for _, tool := range t.Tools {
		if !tool.DeniedOnly {
			out = Union(out, tool.Scopes())
		}
	}
	if len(out) == 0 {
		if d := t.Survey.Resource(); d != nil {
			out, _ = d.Object.Strings("scopes_supported")
		}
	}
	return out
}

// Union returns a list with the missing elements of another.
func Union(list, more []string) []string {
	out := slices.Clone(list)
	for _, s := range more {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// Header returns the header of an ordinary token that the target accepts.
func (t Minter) Header() mint.Header { return mint.Header(t.Issuer.Header()) }

// Claims returns the claims of an ordinary token, with changes; nil removes a claim.
func (t Minter) Claims(changes map[string]any) mint.Claims {
	c := mint.Claims(t.Issuer.Claims("alice", t.MCP.OrdinaryScopes()))
	for k, v := range changes {
		if k == "scope" {
			k, v = t.scopeClaim(v)
		}
		if c[k] = v; v == nil {
			delete(c, k)
		}
	}
	return c
}

// scopeClaim returns the claim where the issuer puts scopes, which is not always "scope", and the value in its form.
func (t Minter) scopeClaim(value any) (string, any) {
	const probe = "mcpauth-probe"
	for name, v := range t.Issuer.Claims("alice", []string{probe}) {
		if name == "scope" {
			break
		}
		switch list := v.(type) {
		case string:
			if list == probe {
				return name, value
			}
		case []string:
			if text, ok := value.(string); ok && slices.Contains(list, probe) {
				return name, strings.FieldsFunc(text, func(r rune) bool { return r == ' ' })
			} else if slices.Contains(list, probe) {
				return name, value
			}
		}
	}
	return "scope", value
}

// Null is the value of a claim that is null; nil would remove the claim.
var Null = mint.Raw("null")

// Token signs an ordinary token with the trusted key, with changed claims.
func (t Minter) Token(changes map[string]any) string {
	return t.Seal(mint.Input(t.Header(), t.Claims(changes)))
}

// TokenWith signs a token with the trusted key and another header.
func (t Minter) TokenWith(h mint.Header, changes map[string]any) string {
	return t.Seal(mint.Input(h, t.Claims(changes)))
}

// Seal signs a signing input with the trusted key, and keeps the signature out of reports.
func (t Minter) Seal(input string) string {
	signature, err := t.Issuer.Signature([]byte(input))
	if err != nil {
		t.Inconclusive("the issuer cannot sign: %v", err)
	}
	s := base64.RawURLEncoding.EncodeToString(signature)
	t.Secrets.Add("signature", s)
	return input + "." + s
}

// Control is the control for minted tokens: an ordinary one is accepted.
func (t Minter) Control() {
	ex := t.MCP.Use(t.Token(nil))
	if !t.MCP.Served(ex) {
		t.Inconclusive("this proves nothing: an ordinary token of the issuer is answered with %s", expect.Describe(ex))
	}
	t.controlledBy(ex, t.MCP.Serve())
}

// Trusted reports whether the target accepts tokens of an issuer that mcpauth runs. A run tries it once.
func (t Minter) Trusted() bool {
	w := t.World
	if w.Issuer == nil {
		return false
	}
	w.trust.Do(func() {
		signature, err := w.Issuer.Signature([]byte("probe"))
		if err != nil || len(signature) == 0 {
			w.distrusted = "the issuer given cannot sign"
			return
		}
		ex := t.MCP.Use(t.Token(nil))
		for tries := 1; failure(ex) != "" && tries < triesOfTrust; tries++ { // one failure says nothing, and all checks rely on this
			ex = t.MCP.Use(t.Token(nil))
		}
		switch asked := "an ordinary token of the issuer given is answered with " + expect.Describe(ex); {
		case failure(ex) != "":
			w.distrusted, w.trustIsOpen = asked+": whether the target trusts it is not seen", true
		case !t.MCP.Served(ex):
			w.distrusted = asked + ": the target does not trust it" + t.unfetched()
		}
	})
	return w.distrusted == ""
}

// unfetched says that the target has not fetched the issuer's keys, often because it is configured with another address.
func (t Minter) unfetched() string {
	if t.KeyServer() == nil || t.hasFetched() {
		return ""
	}
	return ", and has not fetched its key set: the metadata of " + t.Issuer.Identifier() + " names the address as jwks_uri"
}

// mustKnowTrust ends the check if no answer shows whether the target trusts the issuer given: the user need not give anything more.
func (t *T) mustKnowTrust() {
	if !t.Mint.Trusted() && t.trustOpen() {
		t.Inconclusive("%s", t.distrusted)
	}
}

// trustOpen reports whether the question if the target trusts the issuer given was asked, and not answered.
func (w *World) trustOpen() bool { return w.Issuer != nil && w.trustIsOpen }

// triesOfTrust is how often a token is presented whose answer fails.
const triesOfTrust = 3

// Distrusted says why the tokens of the given issuer are not usable; empty if they are accepted, or if no check has tried. Call it after
// all checks.
func (w *World) Distrusted() string { return w.distrusted }

// SameSet reports whether two lists have the same members, in any order.
func SameSet(a, b []string) bool {
	in := func(x, y []string) bool {
		return !slices.ContainsFunc(x, func(v string) bool { return !slices.Contains(y, v) })
	}
	return in(a, b) && in(b, a)
}

// ScopedTools returns the declared tools that need a scope and may be called with it.
func (t MCPServer) ScopedTools() []Tool {
	return slices.DeleteFunc(slices.Clone(t.Tools), func(tool Tool) bool { return len(tool.Scopes()) == 0 || tool.DeniedOnly })
}

// OwnedTools returns the declared tools whose result only the first user may see, if they may be called.
func (t MCPServer) OwnedTools() []Tool {
	return slices.DeleteFunc(slices.Clone(t.Tools), func(tool Tool) bool { return tool.Private == "" || tool.DeniedOnly })
}

// CallTool calls a tool with a token, in a session of that token if the wire has sessions. If the session does not open, it returns that
// answer.
func (t MCPServer) CallTool(token string, tool Tool) *reports.Exchange {
	return t.CallToolAs(tool, mcp.Bearer(token))
}

// CallToolAs is CallTool with any credentials.
func (t MCPServer) CallToolAs(tool Tool, credentials ...reports.Field) *reports.Exchange {
	call, refused := t.SessionAs(credentials...)
	if refused != nil {
		return refused
	}
	return t.Send(call.Method("tools/call", tool.Params()).With(credentials...))
}

// Caller calls tools with the same credentials, in one session if the wire has sessions.
type Caller struct {
	server      MCPServer
	credentials []reports.Field
	session     *mcp.Call // nil before the first call
}

// Caller returns a caller with credentials.
func (t MCPServer) Caller(credentials ...reports.Field) *Caller {
	return &Caller{server: t, credentials: credentials}
}

// CallTool calls a tool. A session that the target ended, perhaps because of the call before, says nothing about this call: it is tried
// again in a new one. If the session does not open, that answer is returned.
func (c *Caller) CallTool(tool Tool) *reports.Exchange {
	if c.session != nil {
		if ex := c.send(tool); !slices.Contains([]int{400, 404}, expect.Status(ex)) {
			return ex
		}
	}
	session, refused := c.server.SessionAs(c.credentials...)
	if refused != nil {
		return refused
	}
	c.session = &session
	return c.send(tool)
}

func (c *Caller) send(tool Tool) *reports.Exchange {
	return c.server.Send(c.session.Method("tools/call", tool.Params()).With(c.credentials...))
}

// SessionOf opens a session with a token; refused is the answer if that fails.
func (t MCPServer) SessionOf(token string) (call mcp.Call, refused *reports.Exchange) {
	return t.SessionAs(mcp.Bearer(token))
}

// MustOpenSession returns a session for calls with a token; the check ends if none opens.
func (t MCPServer) MustOpenSession(token string) mcp.Call {
	call, refused := t.SessionOf(token)
	if refused != nil {
		t.Inconclusive("no session opens: %s", expect.Describe(refused))
	}
	return call.With(mcp.Bearer(token))
}

// ListedTools returns the tools in the target's list; the check ends if it refuses the list.
func (t MCPServer) ListedTools(credentials ...reports.Field) []*document.Object {
	list := t.List("tools/list", credentials...)
	if !expect.Accepted(list.First()) {
		t.Inconclusive("tools/list is answered with %s", expect.Describe(list.First()))
	}
	return list.Entries("tools")
}

// List requests a list page by page, in a session if the wire has them. If the session does not open, that answer is the only page.
func (t MCPServer) List(method string, credentials ...reports.Field) mcp.List {
	return t.ListAt(t.Survey.Endpoint, method, credentials...)
}

// ListAt is List at another endpoint, in a separate session.
func (t MCPServer) ListAt(endpoint, method string, credentials ...reports.Field) mcp.List {
	call, refused := t.sessionAt(endpoint, nil, credentials)
	if refused != nil {
		return mcp.List{Pages: []*reports.Exchange{refused}}
	}
	return mcp.ReadList(call.Method(method, nil).With(credentials...), t.Send)
}

// SessionAs is SessionOf with any credentials.
func (t MCPServer) SessionAs(credentials ...reports.Field) (call mcp.Call, refused *reports.Exchange) {
	return t.session(nil, credentials)
}

func (t MCPServer) session(capabilities map[string]any, credentials []reports.Field) (call mcp.Call, refused *reports.Exchange) {
	return t.sessionAt(t.Survey.Endpoint, capabilities, credentials)
}

func (t MCPServer) sessionAt(endpoint string, capabilities map[string]any, credentials []reports.Field) (call mcp.Call,
	refused *reports.Exchange,
) {
	if t.wire() == mcp.Stateless {
		return mcp.Call{Endpoint: endpoint, Revision: t.statelessRevision(), Mirrored: t.Survey.Mirrored}, nil
	}
	revision := t.Revision
	if mcp.WireOf(revision) != mcp.Stateful {
		revision = mcp.NewestStateful
	}
	init := mcp.Initialize(endpoint, revision)
	if capabilities != nil {
		init.Params["capabilities"] = capabilities
	}
	return t.opened(init, credentials)
}

// opened is a session that a handshake opens.
func (t MCPServer) opened(init mcp.Call, credentials []reports.Field) (call mcp.Call, refused *reports.Exchange) {
	ex := t.Send(init.With(credentials...))
	if !expect.Accepted(ex) {
		return mcp.Call{}, ex
	}
	id := expect.Header(ex, "Mcp-Session-Id")
	t.Secrets.Add("session_id", id)
	call = mcp.Call{Endpoint: init.Endpoint, Revision: init.Revision}.InSession(id)
	t.Send(call.Method("notifications/initialized", nil).With(credentials...))
	return call, nil
}

// CallAs is Call by a client of this name. If anybody may open a session, such a client opens one for it, which may be refused.
func (t MCPServer) CallAs(client string) (call mcp.Call, refused *reports.Exchange) {
	call = t.Call()
	if t.wire() == mcp.Stateless || call.RPC == "initialize" || !t.PublicHandshake("initialize") {
		return call.Named(client), nil
	}
	session, refused := t.opened(mcp.Initialize(call.Endpoint, call.Revision).Named(client), nil)
	return call.InSession(session.SessionID), refused
}

func (t MCPServer) statelessRevision() string {
	if mcp.WireOf(t.Revision) == mcp.Stateless {
		return t.Revision
	}
	return mcp.NewestStateless
}

// CallMethod calls a JSON-RPC method with a token, in a session if the wire has them.
func (t MCPServer) CallMethod(token, method string) *reports.Exchange {
	return t.CallMethodAs(method, mcp.Bearer(token))
}

// CallMethodAs is CallMethod with any credentials.
func (t MCPServer) CallMethodAs(method string, credentials ...reports.Field) *reports.Exchange {
	call, refused := t.SessionAs(credentials...)
	if refused != nil {
		return refused
	}
	return t.Send(call.Method(method, nil).With(credentials...))
}

// FirstToken returns a token of the first user: a new one if possible.
func (t MCPServer) FirstToken() string {
	switch {
	case t.Mint.Trusted():
		return t.Mint.Token(nil)
	case t.Session != nil && t.Session.Ready:
		return t.AS.MustGetTokens().Access
	}
	return t.Token()
}

// TokenBeside returns a token of the first user that ends none of the check's other tokens, if the server lets two be valid at a time.
func (t MCPServer) TokenBeside() string {
	if t.Mint.Trusted() || t.Session == nil || !t.Session.Ready {
		return t.FirstToken()
	}
	return t.AS.MustGetTokens(t.AS.apart()).Access
}

// apart sends the request as a client of its own if a login ends the earlier grants of a client.
func (t AuthorizationServer) apart() Edit { return As(t.Session.Apart(t.ctx)) }

// SecondToken returns a token of the second user.
func (t MCPServer) SecondToken() string {
	if t.Mint.Trusted() {
		return t.Mint.Token(map[string]any{"sub": "bob"})
	}
	return t.AS.MustGetTokens(By(1)).Access
}

// Namesakes are tokens of other users: of users whose names resemble that of the first user (RFC 7519 section 4.1.2: "sub" is
// case-sensitive) or are a pattern of it, and of the second user with the first user's name in another claim. An answer may repeat such
// a name, so there are none of it where private, which only the first user may see, contains it. Without an issuer that the target trusts
// there are none at all, and what is noted as not tried.
func (t MCPServer) Namesakes(check *T, what, private string) (rows Cases[string]) {
	if !t.Mint.Trusted() {
		Untried(check, what+" for users of similar names", ATrustedIssuer)
		return nil
	}
	for _, miss := range nearmiss.Of(firstUser, nearmiss.LetterCase, nearmiss.Unicode, nearmiss.Shorter, nearmiss.Pattern) {
		if !strings.Contains(miss.Value, firstUser) {
			rows = rows.And("a user of the name with "+miss.Name, t.Mint.Token(map[string]any{"sub": miss.Value}))
		}
	}
	if private != "" && strings.Contains(private, firstUser) {
		check.Note("%s for another user with the first user's name in a claim: not tried, since the answer may repeat that name", what)
		return rows
	}
	for _, claim := range profileClaims {
		rows = rows.And("another user with the first user's name in "+claim, t.Mint.Token(map[string]any{"sub": "bob", claim: firstUser}))
	}
	acting := map[string]any{"sub": "bob", "act": map[string]any{"sub": firstUser}}
	return rows.And("another user for whom the first user acts", t.Mint.Token(acting))
}

// firstUser is the sub of the first user, where mcpauth issues the tokens.
const firstUser = "alice"

// profileClaims describe a user, who often may change them. A client "MUST NOT rely upon" the first two "being unique" (OpenID Connect Core
// section 5.1), and sub and iss together are the only stable identifier (section 5.7).
var profileClaims = []string{"email", "preferred_username", "name", "nickname", "upn", "unique_name"}
