// Package abuse contains the checks on what a server reveals, and on large and many requests.
package abuse

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// Register registers the area.
func Register() {
	Describe("MCP Tools: Security Considerations", output)
	Describe("RFC 9110 section 5.5: values in fields", injection)
	Describe("MCP Resources: Security Considerations", resources)
	Describe("OWASP Denial of Service Cheat Sheet: large and many requests", load)
	Describe("MCP Tools: Security Considerations, inputs", inputs)
	Describe("OWASP Injection Prevention Cheat Sheet: screening", screening)
	Describe("OWASP Denial of Service Cheat Sheet: blocks by address", blocking)
	Describe("OWASP Denial of Service Cheat Sheet: a validator that hangs", validator)
	Describe("RFC 8725 section 3.10: keys fetched on the word of a token", amplification)
}

// tokenShaped matches texts with the form of a credential.
var tokenShaped = Cases[*regexp.Regexp]{
	{"a JWT", regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{16,}`)},
	{"a secret key", regexp.MustCompile(`\b(sk|rk)-[A-Za-z0-9_-]{24,}`)},
	{"a GitHub token", regexp.MustCompile(`\b(gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{40,})`)},
	{"an AWS key", regexp.MustCompile(`\bAKIA[0-9A-Z]{16}\b`)},
	{"an Authorization field", regexp.MustCompile(`(?i)authorization["']?\s*[:=]\s*["']?bearer\s+[A-Za-z0-9._~+/-]{16,}`)},
}

func output() {
	Must("RS-ABUSE-SECRETS-IN-OUTPUT", keepsSecretsOut)
	Practice("RS-ABUSE-DEBUG-TOOLS", offersNoDebugTools)
	Should("RS-ABUSE-SENSITIVE-PARAMETERS", asksForNoCredentials)
}

func keepsSecretsOut(t *T) {
	secrets := ownSecrets(t)
	if len(t.Tools) == 0 {
		Untried(t, "the results of tools", "tools that may be called (tools in the target file)")
	}
	Each(t, everything(t), func(t *T, c mcp.Call) {
		for _, ex := range pagesOf(t, c) {
			t.Expect(ex).To(expect.Show("no credential in an answer", func(ex *reports.Exchange) string { return secretIn(ex, secrets) }))
			t.Expect(ex).Ideally(expect.Show("no credential in an answer", func(ex *reports.Exchange) string { return lookAlikeIn(t, ex, secrets) }))
		}
	})
}

// pagesOf are the answers to a request: those with each page, if it is for a list.
func pagesOf(t *T, c mcp.Call) []*reports.Exchange {
	if strings.HasSuffix(c.RPC, "/list") {
		return mcp.ReadList(c, t.Send).Pages
	}
	return []*reports.Exchange{t.Send(c)}
}

// ownSecrets are the credentials that the user gave. A value of fewer than 8 characters may be in an answer by chance.
func ownSecrets(t *T) Cases[string] {
	token := t.MCP.Token()
	all := Cases[string]{{"the access token", token}}
	if i := strings.LastIndexByte(token, '.'); i > 0 && len(token)-i > 16 {
		all = all.And("the signature of the access token", token[i+1:])
	}
	for _, c := range t.Credentials {
		all = all.And(c.Name, c.Value)
	}
	return all.Where(func(secret string) bool { return len(secret) >= 8 })
}

// secretIn returns the name of the first secret that an answer contains, in its header fields or in its body.
func secretIn(ex *reports.Exchange, secrets Cases[string]) string {
	text := ex.Response.Body
	for _, f := range ex.Response.Header {
		text += "\n" + f.Value
	}
	for _, s := range secrets {
		if strings.Contains(text, s.Value) {
			return s.Name + " is in the answer"
		}
	}
	return ""
}

// lookAlikeIn returns the first text in the body of an answer that has the form of a credential and that the user did not give.
func lookAlikeIn(t *T, ex *reports.Exchange, secrets Cases[string]) string {
	for _, form := range tokenShaped {
		for _, found := range form.Value.FindAllString(ex.Response.Body, 3) {
			t.Hide(found)
			if !slices.ContainsFunc(secrets, func(s struct{ Name, Value string }) bool { return strings.Contains(found, s.Value) }) {
				return form.Name + ", or what looks like one, is in the answer"
			}
		}
	}
	return ""
}

func offersNoDebugTools(t *T) {
	Each(t, toolsOf(t).Where(forDebugging), func(t *T, listed *document.Object) {
		name := listed.String("name")
		i := slices.IndexFunc(t.Tools, func(tool Tool) bool { return tool.Name == name && !tool.DeniedOnly })
		if i < 0 {
			t.Expect(name).Ideally(noDebugTool)
			return
		}
		ex := t.MCP.CallTool(t.MCP.Token(), t.Tools[i])
		t.Hide(environment.FindString(Text(ex)))
		t.Expect(ex).To(showNoEnvironment)
	})
}

var showNoEnvironment = expect.Show("nothing of the environment of the server", func(ex *reports.Exchange) string {
	if !environment.MatchString(Text(ex)) {
		return ""
	}
	return "its result looks like environment variables"
})

var noDebugTool = expect.That("no tool for debugging on a server that others use", func(name string) string {
	return fmt.Sprintf("the tool %q is listed, and not declared: what it shows was not looked at", name)
})

// toolsOf are the tools that the target lists for the user's token.
func toolsOf(t *T) (out Cases[*document.Object]) {
	for _, listed := range t.MCP.ListedTools(t.MCP.BearerField()) {
		out = out.And("the tool "+listed.String("name"), listed)
	}
	return out
}

func forDebugging(listed *document.Object) bool {
	name := " " + strings.Join(words(listed.String("name")), " ") + " "
	return slices.ContainsFunc(debugging, func(w string) bool { return strings.Contains(name, " "+w+" ") })
}

func asksForNoCredentials(t *T) {
	tools := toolsOf(t)
	if len(tools) == 0 {
		t.NotApplicable("no tools are listed")
	}
	Each(t, tools, func(t *T, tool *document.Object) {
		for _, p := range parametersOf(tool.Object("inputSchema"), "", 5) {
			if mirrored := p.schema.String("x-mcp-header"); mirrored != "" && t.Since("2026-07-28") {
				t.Expect(p, "the parameter %s", p.path).To(notMirrored)
			} else {
				t.Expect(p, "the parameter %s", p.path).Ideally(noCredential)
			}
		}
	})
}

// parameter is a parameter of a tool with its schema; path has the names of the objects in which it is.
type parameter struct {
	name, path string
	schema     *document.Object
}

// parametersOf are the parameters in the schema of an object, and in those of the objects and lists in it.
func parametersOf(schema *document.Object, within string, depth int) (out []parameter) {
	if schema == nil || depth == 0 {
		return nil
	}
	properties := schema.Object("properties")
	for _, name := range properties.Names() {
		p := parameter{name, strings.TrimPrefix(within+"."+name, "."), properties.Object(name)}
		out = append(append(out, p), parametersOf(p.schema, p.path, depth-1)...)
	}
	return append(out, parametersOf(schema.Object("items"), within, depth-1)...)
}

var notMirrored = expect.That("no credential mirrored into a header field", func(p parameter) string {
	if !credentialLike(p.name) {
		return ""
	}
	return "x-mcp-header: " + p.schema.String("x-mcp-header")
})

var noCredential = expect.That("credentials in the Authorization field, or asked for by URL elicitation", func(p parameter) string {
	if !credentialLike(p.name) {
		return ""
	}
	return "by its name, the parameter is a credential"
})

// debugging are words in names of tools that show the internals of the server. Words that many ordinary tools use, such as inspect or
// env, are not among them.
var debugging = []string{"debug", "debugger", "environ", "impersonate", "echo headers", "inspect request", "dump env", "print env"}

// environment matches environment variables that every process has.
var environment = regexp.MustCompile(`(?m)(^|[\s"{,;])(PATH|HOME|PWD)"?\s*[:=].{0,200}`)

// credentialLike judges a parameter's name by whole words. Many servers call a cursor a token too.
func credentialLike(name string) bool {
	words := words(name)
	has := func(of []string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return slices.Contains(of, w) })
	}
	joined := strings.Join(words, " ")
	return !has(harmless) && (has(secretWords) || strings.Contains(joined, "api key") || strings.Contains(joined, "apikey") ||
		strings.Contains(joined, "private key"))
}

var (
	harmless    = []string{"next", "page", "cursor", "continuation", "max", "tokens", "count", "limit", "id", "sync"}
	secretWords = []string{"token", "password", "passwd", "secret", "credential", "credentials", "pat", "cookie", "ssn"}
)

var wordBoundary = regexp.MustCompile(`([a-z0-9])([A-Z])`)

// words splits a name at its case changes and separators.
func words(name string) []string {
	separated := strings.ToLower(wordBoundary.ReplaceAllString(name, "$1 $2"))
	return strings.FieldsFunc(separated, func(r rune) bool { return strings.ContainsRune(" _-./:", r) })
}

// everything are the requests of an ordinary client, and some mistakes.
func everything(t *T) Cases[mcp.Call] {
	call := t.MCP.MustOpenSession(t.MCP.Token())
	out := Cases[mcp.Call]{
		{"the protected request", t.MCP.Call().With(t.MCP.BearerField())},
		{"logging/setLevel", call.Method("logging/setLevel", map[string]any{"level": "debug"})},
		{"an unknown method", call.Method("mcpauth/no-such-method", nil)},
		{"an unknown resource", call.Method("resources/read", map[string]any{"uri": "mcpauth://no-such-resource"})},
		{"an unknown prompt", call.Method("prompts/get", map[string]any{"name": "mcpauth_no_such_prompt"})},
		{"an unknown tool", call.Method("tools/call", map[string]any{"name": "mcpauth_no_such_tool", "arguments": map[string]any{}})},
	}
	for _, list := range []string{"tools/list", "resources/list", "resources/templates/list", "prompts/list"} {
		out = out.And(list, call.Method(list, nil))
	}
	for _, tool := range t.Tools {
		if tool.DeniedOnly {
			continue
		}
		noObject := map[string]any{"name": tool.Name, "arguments": "no object"}
		out = out.And("the tool "+tool.Name, call.Method("tools/call", tool.Params())).
			And("the tool "+tool.Name+", with a text for its arguments", call.Method("tools/call", noObject))
	}
	return out
}
