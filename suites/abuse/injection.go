package abuse

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

const (
	script = "<script>mcpauth(1)</script>"
	// breakout adds a parameter to a challenge that quotes the text without escaping it.
	breakout = `x", mcpauth="1`
)

func injection() { Practice("RS-ABUSE-HEADER-INJECTION", reflectsNothing) }

func reflectsNothing(t *T) {
	if !t.Mint.Trusted() {
		Untried(t, "line breaks in claims", ATrustedIssuer)
	}
	readable := unreadable(t.MCP.Bogus()) == nil // otherwise RS-CHALLENGE-GRAMMAR reports it
	Each(t, injections(t), func(t *T, r wire.Request) {
		ex := t.Do(r)
		t.Expect(ex).To(haveNoInjectedField, haveNoInjectedParameter, escapeHTML)
		if readable {
			t.Expect(ex).To(haveReadableChallenge)
		}
	})
}

const lineBreaks = "a\r\nX-Injected: 1"

// injections are requests with texts that have a meaning in a header field or in a page.
func injections(t *T) Cases[wire.Request] {
	get := func(path string) wire.Request {
		return wire.Request{Method: "GET", URL: t.Survey.Endpoint + "/" + path}
	}
	with := func(name, value string) wire.Request { return t.MCP.Call().With(mcp.Field(name, value)).Request() }
	tool := map[string]any{"name": lineBreaks, "arguments": map[string]any{}}
	out := Cases[wire.Request]{
		{"line breaks in the path", get("%0d%0aX-Injected:%201")},
		{"line breaks in the query", t.MCP.Call().WithQuery("state", lineBreaks).Request()},
		{"quotes in the credential", t.MCP.Call().With(mcp.Bearer(breakout)).Request()},
		{"HTML in the credential", t.MCP.Call().With(mcp.Bearer(script)).Request()},
		{"HTML in Origin", with("Origin", "http://"+script)},
		{"HTML in MCP-Protocol-Version", with("MCP-Protocol-Version", `"`+script)},
		{"HTML in the path", get(url.PathEscape(script))},
		{"HTML in the query", t.MCP.Call().WithQuery("state", script).Request()},
		{"line breaks in a tool's name", t.MCP.Call().Method("tools/call", tool).Request()},
		{"HTML in the method", t.MCP.Call().Method(script, nil).Request()},
	}
	if t.Mint.Trusted() {
		out = out.And("line breaks in sub", t.MCP.Call().With(mcp.Bearer(t.Mint.Token(map[string]any{"sub": lineBreaks}))).Request()).
			And("quotes in scope", t.MCP.Call().With(mcp.Bearer(t.Mint.Token(map[string]any{"scope": breakout}))).Request())
	}
	return out
}

var haveNoInjectedField = expect.Show("no header field that the caller makes", func(ex *reports.Exchange) string {
	if expect.Header(ex, "X-Injected") == "" {
		return ""
	}
	return "X-Injected is in the answer"
})

var haveNoInjectedParameter = expect.Show("a challenge with no parameter that the caller makes", func(ex *reports.Exchange) string {
	v, broken := expect.Param(ex, "mcpauth")
	if !broken {
		return ""
	}
	return fmt.Sprintf("mcpauth=%q is in the challenge", v)
})

var haveReadableChallenge = expect.Show("a challenge that can be parsed", func(ex *reports.Exchange) string {
	if err := unreadable(ex); err != nil {
		return err.Error()
	}
	return ""
})

var escapeHTML = expect.Show("HTML with the caller's text escaped", func(ex *reports.Exchange) string {
	if !strings.Contains(expect.MediaType(ex), "html") || !strings.Contains(ex.Response.Body, script) {
		return ""
	}
	return "the text is in the page as it was sent"
})

// unreadable is the error of a challenge that does not parse.
func unreadable(ex *reports.Exchange) error {
	for _, field := range expect.HeaderValues(ex, "WWW-Authenticate") {
		if _, _, err := document.ParseChallenges(field); err != nil {
			return err
		}
	}
	return nil
}

// passwd matches the beginning of /etc/passwd. The check looks for nothing else in the file, and stores nothing of it.
var passwd = regexp.MustCompile(`root:[^:"]*:0:0:[^"]*`)

func resources() { Must("RS-ABUSE-RESOURCE-TRAVERSAL", readsNoFiles) }

func readsNoFiles(t *T) {
	call := t.MCP.MustOpenSession(t.MCP.Token())
	read := func(uri string) *reports.Exchange {
		return t.Send(call.Method("resources/read", map[string]any{"uri": uri}))
	}
	uris := texts(mcp.ReadList(call.Method("resources/list", nil), t.Send).Entries("resources"), "uri")
	listed := mcp.ReadList(call.Method("resources/templates/list", nil), t.Send)
	templates := texts(listed.Entries("resourceTemplates"), "uriTemplate")
	if len(uris)+len(templates) == 0 {
		t.NotApplicable("no resources are listed, and no templates")
	}
	if uri, ex := readable(uris, read); ex != nil {
		t.Expect(ex, "the listed resource %s", uri).AsControl(expect.Accept())
	} else { // a server need not serve a template: the check looks for a file of the system
		t.Expect(listed.First(), "the list of templates").AsControl(expect.Accept())
	}
	Each(t, escapes(onePerRoot(uris), onePerRoot(templates)), func(t *T, uri string) {
		t.Expect(read(uri)).To(expect.Refusing("an error", func(ex *reports.Exchange) string {
			found := passwd.FindString(contents(ex))
			if found == "" {
				return ""
			}
			t.Hide(found)
			return "a file of the system is shown"
		}))
	})
}

// readable is the first of the listed resources that the user can read, with the answer; if there is none, the last that was tried.
func readable(uris []string, read func(uri string) *reports.Exchange) (uri string, ex *reports.Exchange) {
	const most = 5
	for _, uri = range uris[:min(len(uris), most)] {
		if ex = read(uri); expect.Accepted(ex) {
			break
		}
	}
	return uri, ex
}

// contents are the body of an answer, and its decoded base64 values.
func contents(ex *reports.Exchange) string {
	out := []string{expect.Body(ex)}
	for _, c := range mcp.Read(ex).Objects("contents") {
		if blob, err := base64.StdEncoding.DecodeString(c.String("blob")); err == nil {
			out = append(out, string(blob))
		}
	}
	return strings.Join(out, "\n")
}

// onePerRoot are the first URIs of each scheme and authority, three at most.
func onePerRoot(uris []string) (out []string) {
	seen := map[string]bool{}
	for _, uri := range uris {
		scheme, rest, _ := strings.Cut(uri, "://")
		authority, _, _ := strings.Cut(rest, "/")
		if root := scheme + "://" + authority; !seen[root] && len(out) < 3 {
			seen[root], out = true, append(out, uri)
		}
	}
	return out
}

// texts are the string values that one member has in each object of a list.
func texts(list []*document.Object, member string) []string {
	var out []string
	for _, o := range list {
		if v := o.String(member); v != "" {
			out = append(out, v)
		}
	}
	return out
}

const up = "../../../../../../../../"

// upwards are paths to a file of the system, for a server that appends them to a folder without a check.
var upwards = Cases[string]{
	{"as it is", up + "etc/passwd"},
	{"percent-encoded", strings.ReplaceAll(up, "../", "%2e%2e%2f") + "etc%2fpasswd"},
	{"percent-encoded twice", strings.ReplaceAll(up, "../", "..%252f") + "etc%252fpasswd"},
	{"as ....//", strings.ReplaceAll(up, "../", "....//") + "etc/passwd"},
	{"with NUL", up + "etc/passwd\x00.txt"},
	{"with backslashes", strings.ReplaceAll(up, "/", `\`) + `etc\passwd`},
}

var templateVariable = regexp.MustCompile(`\{[^}]*\}`)

// escapes are URIs outside the roots of resources and of templates.
func escapes(uris, templates []string) Cases[string] {
	out := Cases[string]{
		{"file:///etc/passwd", "file:///etc/passwd"},
		{"file://localhost/etc/passwd", "file://localhost/etc/passwd"},
		{"/etc/passwd", "/etc/passwd"},
	}
	for _, path := range upwards {
		for _, uri := range uris {
			out = out.And("instead of the last segment of "+uri+", "+path.Name, uri[:strings.LastIndexByte(uri, '/')+1]+path.Value)
			if i := strings.Index(uri, "://"); i >= 0 {
				out = out.And("behind the scheme of "+uri+", "+path.Name, uri[:i+3]+path.Value).And("behind "+uri+", "+path.Name, uri+"/"+path.Value)
			}
		}
		for _, template := range templates {
			out = out.And("in the template "+template+", "+path.Name, templateVariable.ReplaceAllLiteralString(template, path.Value))
		}
	}
	return out
}
