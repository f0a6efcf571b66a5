package check

import (
	"slices"
	"strings"
	"unicode"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/target"
)

// Credential is a static credential of the target: a bearer token, or an API key in its own header field.
type Credential struct{ target.Credential }

// CredentialOf returns a bearer token that may call these tools; nil: all.
func CredentialOf(name, token string, tools []string) Credential {
	return Credential{target.Credential{Name: name, Value: token, Tools: tools}}
}

// refusable reports whether the target must not accept the credential.
func (c Credential) refusable() bool { return c.Withdrawn || c.Foreign }

// Metered returns the credentials with a known limit.
func (t MCPServer) Metered() []Credential {
	var out []Credential
	for _, c := range t.Credentials {
		if !c.refusable() && c.Limit > 0 {
			out = append(out, c)
		}
	}
	return out
}

// Field returns the header field with the credential.
func (c Credential) Field() reports.Field { return c.With(c.Value) }

// With returns the header field with another value instead of the credential.
func (c Credential) With(value string) reports.Field {
	if c.Header == "" {
		return mcp.Bearer(value)
	}
	return mcp.Field(c.Header, value)
}

// StaticTokens returns the static bearer tokens that the target should accept.
func (t MCPServer) StaticTokens() []Credential {
	return t.credentials(func(c Credential) bool { return c.Header == "" && !c.refusable() })
}

// APIKeys returns the API keys that the target should accept.
func (t MCPServer) APIKeys() []Credential {
	return t.credentials(func(c Credential) bool { return c.Header != "" && !c.refusable() })
}

// LimitedKeys returns the API keys that may not call every tool.
func (t MCPServer) LimitedKeys() []Credential {
	return t.credentials(func(c Credential) bool { return c.Header != "" && !c.refusable() && c.Tools != nil })
}

// Withdrawn returns the credentials that the target must refuse.
func (t MCPServer) Withdrawn() []Credential {
	return t.credentials(func(c Credential) bool { return c.Withdrawn })
}

// ForeignTokens returns tokens of another provider than the target's authorization server.
func (t MCPServer) ForeignTokens() []Credential {
	return t.credentials(func(c Credential) bool { return c.Foreign })
}

func (t *T) credentials(wanted func(Credential) bool) []Credential {
	var out []Credential
	for _, c := range t.Credentials {
		if wanted(c) && c.Limit == 0 {
			out = append(out, c)
		}
	}
	return out
}

// ControlOf shows that the target accepts a credential, so that the refusal of others counts.
func (t MCPServer) ControlOf(c Credential) {
	ex := t.Send(t.CallFor(c).With(c.Field()))
	if !t.Served(ex) {
		t.Inconclusive("this proves nothing: %s is answered with %s", c.Name, expect.Describe(ex))
	}
	t.controlledBy(ex, t.Serve())
}

// CallFor is Call for the bearer of a credential, in its own session if Call needs one.
func (t MCPServer) CallFor(c Credential) mcp.Call {
	call := t.Call()
	if call.SessionID == "" {
		return call
	}
	own, refused := t.SessionAs(c.Field())
	if refused != nil {
		t.Inconclusive("no session opens for %s: %s", c.Name, expect.Describe(refused))
	}
	return call.InSession(own.SessionID)
}

// Bearers returns the credentials for a request with a bearer token: a static token, or else the user's access token.
func (t MCPServer) Bearers() []Credential {
	if tokens := t.StaticTokens(); len(tokens) > 0 {
		return tokens
	}
	if t.HasToken() {
		return []Credential{CredentialOf("the access token", t.Token(), nil)}
	}
	return nil
}

// WhoAmI returns the declared tool that identifies its caller, if it may be called.
func (t MCPServer) WhoAmI() (Tool, bool) {
	for _, tool := range t.Tools {
		if tool.TellsCaller && !tool.DeniedOnly {
			return tool, true
		}
	}
	return Tool{}, false
}

// Text returns the text of a tool result, its text blocks joined.
func Text(ex *reports.Exchange) string {
	var out []string
	for _, block := range mcp.Read(ex).Objects("content") {
		out = append(out, block.String("text"))
	}
	return strings.Join(out, "\n")
}

// Words returns the words of a tool result, for a comparison word by word: some may be times or numbers, which do not identify a caller.
func Words(ex *reports.Exchange) []string {
	return strings.FieldsFunc(Text(ex), func(c rune) bool {
		return !unicode.IsLetter(c) && !unicode.IsDigit(c) && !strings.ContainsRune("@._-", c)
	})
}

// Apart returns the words that are in both answers to one caller, and in no answer to the other.
func Apart(one, other [2][]string) []string {
	var out []string
	for _, w := range one[0] {
		if slices.Contains(one[1], w) && !slices.Contains(other[0], w) && !slices.Contains(other[1], w) {
			out = append(out, w)
		}
	}
	return out
}
