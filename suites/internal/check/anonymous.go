package check

import (
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/target"
)

// noAuthorization is the requirement that a server without authorization fails. Its verdict covers everything that follows from that.
const noAuthorization = "RS-CHALLENGE-401-STATUS"

// DeclaredPublic reports whether the owner of the target declares a JSON-RPC method public.
func (w *World) DeclaredPublic(method string) bool {
	return slices.Contains(w.PublicMethods, method) || slices.Contains(w.PublicMethods, target.EveryMethod)
}

// Meant returns the evidence that the target is meant to authorize its callers; empty if there is none, because authorization is optional
// in MCP.
func (w *World) Meant() string {
	switch s := w.Survey; {
	case s.Resource() != nil:
		return "it publishes protected resource metadata"
	case len(s.Servers) > 0:
		return "it names an authorization server"
	case s.Token != "" || len(w.Credentials) > 0:
		return "you gave a credential for it"
	case w.Issuer != nil || len(w.Users) > 0 || len(w.Clients) > 0: // also if no authorization server is found where they could sign in
		return "you gave an issuer, a user or a client for it"
	}
	return ""
}

// signsOfOAuth reports whether anything but a challenge suggests that the target authorizes by OAuth.
func (w *World) signsOfOAuth() bool {
	s := w.Survey
	return s.Resource() != nil || s.Origin.Found() || len(s.Servers) > 0 || s.Token != "" || w.Issuer != nil || w.SharedSecret.Value != "" ||
		w.Introspector != nil || w.Verifier != nil || len(w.Users) > 0 || len(w.Clients) > 0 ||
		slices.ContainsFunc(w.Credentials, func(c Credential) bool { return c.Header == "" })
}

// ownSchemes are the schemes with which HTTP itself authenticates people.
var ownSchemes = []string{"basic", "digest", "negotiate"}

// authorizesItself returns what shows that the target authorizes in a way of its own, by API keys or by HTTP authentication; nil if nothing
// does. MCP allows that: "clients and servers MAY negotiate their own custom authentication and authorization strategies".
func (t *T) authorizesItself() *reports.Exchange {
	ex := t.MCP.Anonymous()
	all := expect.Challenges(ex)
	if len(all) == 0 || t.signsOfOAuth() {
		return nil
	}
	for _, c := range all {
		scheme := strings.ToLower(c.Scheme)
		_, names := c.Param("resource_metadata")
		if names || !strings.Contains(scheme, "key") && !slices.Contains(ownSchemes, scheme) {
			return nil
		}
	}
	return ex
}

// authorizesByOAuth finds out whether the authorization of the target is the one that MCP describes.
func (t *T) authorizesByOAuth() *lack {
	ex := t.authorizesItself()
	if ex == nil {
		return nil
	}
	t.Cite(ex)
	if failed, _ := t.failedOf(t.lookedForOAuth()); failed != nil {
		return unusable("the challenge is %s, and whether metadata speaks of OAuth is open: %s is answered with %s",
			strings.Join(expect.HeaderValues(ex, "WWW-Authenticate"), ", "), failed.Request.URL, expect.Describe(failed))
	}
	t.folded = true
	return missing("the target authorizes in a way of its own, which MCP allows: its challenge is %s, and nothing else speaks of OAuth",
		strings.Join(expect.HeaderValues(ex, "WWW-Authenticate"), ", "))
}

// lookedForOAuth returns the answers that came instead of metadata.
func (w *World) lookedForOAuth() (answers []*reports.Exchange) {
	answers = append(answers, w.Survey.Origin.Exchange)
	for i := range w.Survey.Resources {
		answers = append(answers, w.Survey.Resources[i].Exchange)
	}
	return answers
}

// undeclared returns the methods, except the handshake, that work without authorization on a wire and are not declared public.
func (w *World) undeclared(on mcp.Wire) []string {
	return slices.DeleteFunc(slices.Clone(w.Survey.Public[on]), func(method string) bool {
		return slices.Contains(handshake, method) || w.DeclaredPublic(method)
	})
}

// onlyHandshake reports whether an undeclared handshake works without authorization, and no other request on the wire is known to be served
// or refused.
func (w *World) onlyHandshake(on mcp.Wire) bool {
	declared := w.DeclaredPublic
	return len(w.undeclared(on)) == 0 && len(slices.DeleteFunc(slices.Clone(w.Survey.Public[on]), declared)) > 0
}

// Open describes what works without authorization and is not declared public, with the names of the tools; empty if nothing does.
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

// AnyoneCan makes this the first sentence of every report if the check fails. It names at most mostNames tools.
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

// ServesAnyone judges a target that serves anonymous callers what should be protected: it ends the check, unless that is a finding.
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

// Unguarded ends a check that needs a refusal, if anonymous callers are served.
func (t MCPServer) Unguarded(ex *reports.Exchange) {
	s := t.unguarded(ex)
	t.end(verdictOf("protected", s), "%s", s.why)
}

// unguarded returns the reason why a check cannot judge a target that serves anonymous callers.
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
