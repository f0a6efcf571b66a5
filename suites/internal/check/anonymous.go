package check

import (
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/target"
)

// noAuthorization is the requirement that a server without authorization does not meet. All that follows from it is folded
// into its verdict.
const noAuthorization = "RS-CHALLENGE-401-STATUS"

// DeclaredPublic reports whether the owner of the target declares a JSON-RPC method to be for everybody.
func (w *World) DeclaredPublic(method string) bool {
	return slices.Contains(w.PublicMethods, method) || slices.Contains(w.PublicMethods, target.EveryMethod)
}

// Meant says why the target is meant to authorize its callers; empty where nothing suggests it: authorization is optional in
// MCP.
func (w *World) Meant() string {
	switch s := w.Survey; {
	case s.Resource() != nil:
		return "it publishes protected resource metadata"
	case len(s.Servers) > 0:
		return "it names an authorization server"
	case s.Token != "" || len(w.Credentials) > 0:
		return "you gave a credential for it"
	case w.Issuer != nil || len(w.Users) > 0 || len(w.Clients) > 0: // also where no authorization server is found to sign in at
		return "you gave an issuer, a user or a client for it"
	}
	return ""
}

// undeclared returns the methods that anybody may use on a wire, though nobody declared that; without the handshake.
func (w *World) undeclared(on mcp.Wire) []string {
	return slices.DeleteFunc(slices.Clone(w.Survey.Public[on]), func(method string) bool {
		return slices.Contains(handshake, method) || w.DeclaredPublic(method)
	})
}

// onlyHandshake reports whether anybody may begin a conversation on a wire, which nobody declared, and that nothing in it is known to be
// served or refused.
func (w *World) onlyHandshake(on mcp.Wire) bool {
	declared := w.DeclaredPublic
	return len(w.undeclared(on)) == 0 && len(slices.DeleteFunc(slices.Clone(w.Survey.Public[on]), declared)) > 0
}

// Open says what anybody may do without authorization, though nobody declared that; empty where nothing. It names the tools.
func (w *World) Open() string {
	for _, on := range []mcp.Wire{mcp.Stateful, mcp.Stateless} {
		if _, judged := w.Survey.Newest(on); judged && expect.Accepted(w.Survey.Refused[on]) && len(w.undeclared(on)) > 0 {
			return w.openTo(on)
		}
	}
	return ""
}

// mostNames bounds the tools that a headline names.
const mostNames = 8

func (w *World) openTo(on mcp.Wire) string {
	tools := w.Survey.Listed
	if len(tools) == 0 {
		return "No authorization: anyone can use " + strings.Join(w.undeclared(on), ", ")
	}
	can := "list"
	if w.Survey.AnyoneCalls[on] {
		can = "call"
	}
	return "No authorization: anyone can " + can + " " + reports.Count(len(tools), "tool") + " (" + listed(tools) + ")"
}

// AnyoneCan makes what anybody can do the first sentence of every report, if the check fails. It names at most mostNames.
func (t MCPServer) AnyoneCan(do string, names []string) {
	if len(names) > 0 {
		t.headline = "No authorization: anyone can " + do + " " + listed(names)
	}
}

func listed(names []string) string {
	if len(names) > mostNames {
		return strings.Join(names[:mostNames], ", ") + ", ..."
	}
	return strings.Join(names, ", ")
}

// ServesAnyone judges a target that serves what should be protected: it ends the check, unless that is a finding.
func (t MCPServer) ServesAnyone(ex *reports.Exchange) {
	switch {
	case t.onlyHandshake(t.wire()):
		t.Inconclusive("%s is served without a token, and what follows it is neither served nor refused with 401", t.Handshake())
	case len(t.undeclared(t.wire())) == 0:
		t.NotApplicable("the owner declares that what is served without a token is public (target.public in the target file)")
	case t.Meant() == "":
		t.Inconclusive("%s, and nothing says whether that is intended: if it is, declare it (target.public in the target file)",
			t.openTo(t.wire()))
	}
	t.headline = t.openTo(t.wire())
	expected := "HTTP 401 without a token, because authorization is intended: " + t.Meant()
	public := strings.Join(t.Survey.Public[t.wire()], ", ")
	t.Expect(ex).To(expect.That(expected, func(ex *reports.Exchange) string {
		return expect.Describe(ex) + "; served without a token: " + public
	}))
}

// Unguarded ends a check that needs a refusal, where anonymous callers are served.
func (t MCPServer) Unguarded(ex *reports.Exchange) {
	s := t.unguarded(ex)
	t.end(verdictOf("protected", s), "%s", s.why)
}

// unguarded says why there is nothing to look at while anonymous callers are served.
func (t *T) unguarded(ex *reports.Exchange) *lack {
	t.Cite(ex)
	t.folded = true
	switch {
	case t.onlyHandshake(t.wire()):
		return withheld("%s is served without a token, and no request is known to be refused without one (%s)",
			t.MCP.Handshake(), noAuthorization)
	case len(t.undeclared(t.wire())) == 0:
		return missing("the owner declares that what is served without a token is public (target.public in the target file)")
	case t.Meant() != "":
		return withheld("nothing can be said about tokens while the target serves anybody (%s)", noAuthorization)
	}
	return missing("the target serves anybody, and nothing suggests that authorization is meant")
}
