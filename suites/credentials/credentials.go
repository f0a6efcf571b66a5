// Package credentials contains the checks on static tokens and API keys.
package credentials

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/target"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// Register registers the area.
func Register() {
	Describe("MCP Transports: authentication for all connections", exposure)
	Describe("Static bearer tokens", static)
	Describe("API keys", apiKeys)
	Describe("API keys and bearer tokens at once", both)
	Describe("OWASP Authentication Cheat Sheet: comparing secrets", timing)
}

func exposure() {
	Should("RS-STATIC-NOAUTH-EXPOSURE", authenticatesCallers)
	Practice("RS-STATIC-DEFAULT-CREDENTIALS", refusesSamples)
}

func authenticatesCallers(t *T) {
	ex := t.MCP.Anonymous()
	switch s := expect.Status(ex); {
	case t.MCP.RefusedInside(ex), s >= 400 && s < 500:
		t.Expect(ex).To(expect.NotBypass())
		return
	case !expect.Accepted(ex):
		t.Inconclusive("the anonymous request is answered with %s", expect.Describe(ex))
	}
	methods := strings.Join(t.Survey.Public[t.Wire], ", ")
	if host := t.Survey.URL.Hostname(); document.LoopbackHost(host) {
		t.Note("anonymous callers may use %s; the server is reached on loopback", methods)
	} else {
		t.Expect(exposed{methods, document.PrivateHost(host)}).SeenIn(ex).Ideally(beOnLoopback)
	}
}

// exposed are the methods that anybody may use, and where.
type exposed struct {
	methods string
	private bool
}

var beOnLoopback = expect.That("authentication of all callers, unless the server is public on purpose", func(e exposed) string {
	if e.private {
		return "anonymous callers may use " + e.methods + " on a private address"
	}
	return "anonymous callers may use " + e.methods + " on a public address"
})

// Developers copy sample credentials into production.
func refusesSamples(t *T) {
	fields := []Credential{{}, {Credential: target.Credential{Header: "X-API-Key"}}}
	for _, c := range t.MCP.APIKeys() {
		if !slices.ContainsFunc(fields, func(f Credential) bool { return strings.EqualFold(f.Header, c.Header) }) {
			fields = append(fields, c)
		}
	}
	rows := Cases[mcp.Call]{}
	for i, sample := range samples {
		for _, f := range fields {
			place := cmp.Or(f.Header, "Authorization")
			rows = rows.And(fmt.Sprintf("well-known sample number %d in %s", i+1, place), t.MCP.Call().With(f.With(sample)))
		}
	}
	Each(t, rows, func(t *T, c mcp.Call) { t.Expect(t.Send(c)).To(expect.RefuseAnyway()) })
}

var samples = []string{
	"admin-token-123", "user-token-456", "readonly-token-789", "user123", "user456", "key-123", "sk-prod-1234567890abcdef",
	"sk-dev-abcdef1234567890", "sk-ro-fedcba0987654321", "your-secure-api-key-here", "your-bearer-token", "your-token-here",
	"test", "secret", "changeme",
}
