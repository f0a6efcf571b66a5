// Package credentials holds the checks on static tokens and API keys.
package credentials

import (
	"strings"

	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"

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
	Should("RS-STATIC-NOAUTH-EXPOSURE", func(t *T) {
		ex := t.MCP.Anonymous()
		if !expect.Accepted(ex) {
			if s := expect.Status(ex); s >= 400 && s < 500 || t.MCP.RefusedInside(ex) {
				t.Refused()
				return
			}
			t.Inconclusive("the anonymous request is answered with %s", expect.Describe(ex))
		}
		methods := strings.Join(t.Survey.Public[t.Wire], ", ")
		switch host := t.Survey.URL.Hostname(); {
		case document.LoopbackHost(host):
			t.Note("anonymous callers may use %s; the server is reached on loopback", methods)
		case document.PrivateHost(host):
			t.Advise(ex, "authentication, or a server on loopback only", "anonymous callers may use %s on a private address", methods)
		default:
			t.Advise(ex, "authentication of all connections, unless the server is public on purpose", "anonymous callers may use %s on a public address", methods)
		}
	})

	// Sample credentials are copied into production.
	Practice("RS-STATIC-DEFAULT-CREDENTIALS", func(t *T) {
		var variants []Variant
		for i, sample := range samples {
			for _, f := range []string{"Authorization", "X-API-Key"} {
				value := sample
				if f == "Authorization" {
					value = "Bearer " + sample
				}
				variants = append(variants, Call(t.MCP.Call().With(mcp.Field(f, value)), "well-known sample number %d in %s", i+1, f))
			}
		}
		t.ExpectAll(variants, expect.RefuseAnyway())
	})
}

var samples = []string{
	"admin-token-123", "user-token-456", "readonly-token-789", "user123", "user456", "key-123", "sk-prod-1234567890abcdef",
	"sk-dev-abcdef1234567890", "sk-ro-fedcba0987654321", "your-secure-api-key-here", "your-bearer-token", "your-token-here",
	"test", "secret", "changeme",
}
