// Package abuse holds the checks on what a server gives away, and bears.
package abuse

import (
	"regexp"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// Register registers the area.
func Register() {
	Describe("MCP Tools: Security Considerations", output)
	Describe("RFC 9110 section 5.5: values in fields", injection)
	Describe("MCP Resources: Security Considerations", resources)
	Describe("OWASP Denial of Service Cheat Sheet: what a server bears", load)
	Describe("MCP Tools: Security Considerations, inputs", inputs)
	Describe("OWASP Injection Prevention Cheat Sheet: screening", screening)
	Describe("OWASP Denial of Service Cheat Sheet: blocks by address", blocking)
	Describe("OWASP Denial of Service Cheat Sheet: a validator that hangs", validator)
	Describe("RFC 8725 section 3.10: keys fetched on the word of a token", amplification)
}

// tokenShaped are texts that are credentials by their form.
var tokenShaped = map[string]*regexp.Regexp{
	"a JWT":            regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{16,}`),
	"a secret key":     regexp.MustCompile(`\b(sk|rk)-[A-Za-z0-9_-]{24,}`),
	"a GitHub token":   regexp.MustCompile(`\b(gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{40,})`),
	"an AWS key":       regexp.MustCompile(`\bAKIA[0-9A-Z]{16}\b`),
	"an Authorization": regexp.MustCompile(`(?i)authorization["']?\s*[:=]\s*["']?bearer\s+[A-Za-z0-9._~+/-]{16,}`),
}

func output() {
	Must("RS-ABUSE-SECRETS-IN-OUTPUT", func(t *T) {
		own := map[string]string{"the access token": t.MCP.Token()}
		if i := strings.LastIndexByte(t.MCP.Token(), '.'); i > 0 && len(t.MCP.Token())-i > 16 {
			own["the access token's signature"] = t.MCP.Token()[i+1:]
		}
		for _, c := range t.Credentials {
			own[c.Name] = c.Value
		}
		for _, ex := range everything(t) {
			if ex.Response == nil {
				continue
			}
			for about, secret := range Sorted(own) {
				if len(secret) >= 8 && strings.Contains(ex.Response.Body, secret) {
					t.Finding(ex, about, "no credential in an answer", "it is in the answer to "+asked(ex))
				}
			}
			for about, form := range Sorted(tokenShaped) {
				for _, found := range form.FindAllString(ex.Response.Body, 3) {
					if t.Hide(found); found != t.MCP.Token() {
						t.Advise(ex, "no credential in an answer", "%s, or what looks like one, is in the answer to %s", about, asked(ex))
					}
				}
			}
		}
	})

	Practice("RS-ABUSE-DEBUG-TOOLS", func(t *T) {
		for _, listed := range t.MCP.ListedTools(t.MCP.BearerField()) {
			name := listed.String("name")
			if !slices.ContainsFunc(debugging, func(w string) bool { return strings.Contains(" "+strings.Join(words(name), " ")+" ", " "+w+" ") }) {
				continue
			}
			i := slices.IndexFunc(t.Tools, func(tool Tool) bool { return tool.Name == name && !tool.DeniedOnly })
			if i < 0 {
				t.Advise(nil, "no tools for debugging on a server that others use", "the tool %q is listed; what it shows was not looked at", name)
			} else if ex := t.MCP.CallTool(t.MCP.Token(), t.Tools[i]); environment.MatchString(Text(ex)) {
				t.Hide(environment.FindString(Text(ex)))
				t.Finding(ex, name, "nothing of the server's environment", "its result looks like environment variables")
			}
		}
	})

	Should("RS-ABUSE-SENSITIVE-PARAMETERS", func(t *T) {
		tools := t.MCP.ListedTools(t.MCP.BearerField())
		if len(tools) == 0 {
			t.NotApplicable("no tools are listed")
		}
		for _, tool := range tools {
			properties := tool.Object("inputSchema").Object("properties")
			for _, name := range properties.Names() {
				if !credentialLike(name) {
					continue
				}
				about := "the parameter " + name + " of " + tool.String("name")
				if mirrored := properties.Object(name).String("x-mcp-header"); mirrored != "" && t.Since("2026-07-28") {
					t.Finding(nil, about, "no credential mirrored into a header field", "x-mcp-header: "+mirrored)
				} else {
					t.Advise(nil, "credentials in the Authorization field, or asked for by URL elicitation", "%s takes one, by its name", about)
				}
			}
		}
	})
}

// debugging are words of tools that show what is behind the server. Words that many an honest tool has, such as inspect
// or env, are not among them.
var debugging = []string{"debug", "debugger", "environ", "impersonate", "echo headers", "inspect request", "dump env", "print env"}

// environment is the beginning of what every process has.
var environment = regexp.MustCompile(`(?m)(^|[\s"{,;])(PATH|HOME|PWD)"?\s*[:=].{0,200}`)

// credentialLike judges a parameter's name by whole words. Cursors are called tokens too.
func credentialLike(name string) bool {
	words := words(name)
	joined := strings.Join(words, " ")
	if slices.ContainsFunc([]string{"next", "page", "cursor", "continuation", "max", "tokens", "count", "limit", "id", "sync"}, func(w string) bool { return slices.Contains(words, w) }) {
		return false
	}
	return slices.ContainsFunc([]string{"token", "password", "passwd", "secret", "credential", "credentials", "pat", "cookie", "ssn"}, func(w string) bool { return slices.Contains(words, w) }) ||
		strings.Contains(joined, "api key") || strings.Contains(joined, "apikey") || strings.Contains(joined, "private key")
}

var wordBoundary = regexp.MustCompile(`([a-z0-9])([A-Z])`)

// words splits a name at its case changes and separators.
func words(name string) []string {
	return strings.FieldsFunc(strings.ToLower(wordBoundary.ReplaceAllString(name, "$1 $2")), func(r rune) bool { return strings.ContainsRune(" _-./:", r) })
}

// everything an ordinary client asks for, and some mistakes.
func everything(t *T) []*reports.Exchange {
	call := t.MCP.MustOpenSession(t.MCP.Token())
	out := []*reports.Exchange{t.Send(t.MCP.Call().With(t.MCP.BearerField()))}
	for method, params := range Sorted(map[string]map[string]any{
		"tools/list": nil, "resources/list": nil, "prompts/list": nil, "resources/templates/list": nil, "logging/setLevel": {"level": "debug"},
		"mcpauth/no-such-method": nil, "resources/read": {"uri": "mcpauth://no-such-resource"}, "prompts/get": {"name": "mcpauth_no_such_prompt"},
	}) {
		out = append(out, t.Send(call.Method(method, params)))
	}
	for _, tool := range append(slices.Clone(t.Tools), Tool{Name: "mcpauth_no_such_tool"}) {
		if !tool.DeniedOnly {
			out = append(out, t.Send(call.Method("tools/call", tool.Params())), t.Send(call.Method("tools/call", map[string]any{"name": tool.Name, "arguments": "no object"})))
		}
	}
	return out
}

// asked names what an exchange asked for.
func asked(ex *reports.Exchange) string {
	o, _, err := document.ParseObject(ex.Request.Body)
	if err != nil {
		return "the request"
	}
	if name := o.Object("params").String("name"); name != "" {
		return o.String("method") + " of " + name
	}
	return o.String("method")
}
