package abuse

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
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
	// breakout adds a parameter to a challenge that quotes it as it is.
	breakout = `x", mcpauth="1`
)

func injection() {
	Practice("RS-ABUSE-HEADER-INJECTION", func(t *T) {
		lines := "a\r\nX-Injected: 1"
		variants := []Variant{
			{About: "line breaks in the path", Request: wire.Request{Method: "GET", URL: t.Survey.Endpoint + "/%0d%0aX-Injected:%201"}},
			{About: "line breaks in the query", Request: t.MCP.Call().WithQuery("state", lines).Request()},
			Call(t.MCP.Call().With(mcp.Bearer(breakout)), "quotes in the credential"),
			Call(t.MCP.Call().With(mcp.Bearer(script)), "HTML in the credential"),
			Call(t.MCP.Call().With(mcp.Field("Origin", "http://"+script)), "HTML in Origin"),
			Call(t.MCP.Call().With(mcp.Field("MCP-Protocol-Version", `"`+script)), "HTML in MCP-Protocol-Version"),
			{About: "HTML in the path", Request: wire.Request{Method: "GET", URL: t.Survey.Endpoint + "/" + url.PathEscape(script)}},
			Call(t.MCP.Call().Method("tools/call", map[string]any{"name": lines, "arguments": map[string]any{}}), "line breaks in a tool's name"),
			Call(t.MCP.Call().Method(script, nil), "HTML in the method"),
		}
		if t.Mint.Trusted() {
			for about, changes := range Sorted(map[string]map[string]any{"line breaks in sub": {"sub": lines}, "quotes in scope": {"scope": breakout}}) {
				variants = append(variants, Call(t.MCP.Call().With(mcp.Bearer(t.Mint.Token(changes))), "%s", about))
			}
		}
		for i, ex := range t.All(variants) {
			reflected(t, ex, variants[i].About)
		}
		t.Controlled()
	})
}

func reflected(t *T, ex *reports.Exchange, about string) {
	if expect.Header(ex, "X-Injected") != "" {
		t.Finding(ex, about, "no header field of the caller's making", "X-Injected is in the answer")
	}
	if v, broken := expect.Param(ex, "mcpauth"); broken {
		t.Finding(ex, about, "a challenge with no parameter of the caller's making", fmt.Sprintf("mcpauth=%q is in it", v))
	}
	if err := unreadable(ex); err != nil && unreadable(t.MCP.Bogus()) == nil {
		t.Finding(ex, about, "a challenge that can be parsed", err.Error())
	}
	if strings.Contains(expect.MediaType(ex), "html") && strings.Contains(ex.Response.Body, script) {
		t.Finding(ex, about, "HTML with the caller's text escaped", "the text is in the page as it was sent")
	}
}

// unreadable is the error of a challenge that does not parse.
func unreadable(ex *reports.Exchange) error {
	for _, field := range expect.HeaderValues(ex, "WWW-Authenticate") {
		if _, _, err := document.ParseChallenges(field); err != nil {
			return err
		}
	}
	return nil
}

// passwd is what /etc/passwd begins with; nothing more of it is looked for, or kept.
var passwd = regexp.MustCompile(`root:[^:"]*:0:0:[^"]*`)

func resources() {
	Must("RS-ABUSE-RESOURCE-TRAVERSAL", func(t *T) {
		call := t.MCP.MustOpenSession(t.MCP.Token())
		read := func(uri string) *reports.Exchange {
			return t.Send(call.Method("resources/read", map[string]any{"uri": uri}))
		}
		uris := texts(mcp.Read(t.Send(call.Method("resources/list", nil))), "resources", "uri")
		templates := texts(mcp.Read(t.Send(call.Method("resources/templates/list", nil))), "resourceTemplates", "uriTemplate")
		if len(uris)+len(templates) == 0 {
			t.NotApplicable("no resources are listed, and no templates")
		}
		if len(uris) > 0 {
			if ex := read(uris[0]); !expect.Accepted(ex) {
				t.Inconclusive("the control failed: the listed resource %s is answered with %s", uris[0], expect.Describe(ex))
			}
		}
		t.Controlled() // that templates are served at all is not needed: what is looked for is a file of the system
		for _, uri := range escapes(uris, templates) {
			switch ex := read(uri); {
			case passwd.MatchString(expect.Body(ex)):
				t.Hide(passwd.FindString(expect.Body(ex)))
				t.Finding(ex, uri, "an error", "a file of the system is shown")
				return
			case expect.Crashed(ex): // no refusal, but nothing that got out either
				t.Advise(ex, "a JSON-RPC error", "%s: %s", uri, expect.Describe(ex))
			default:
				t.Refused()
			}
		}
	})
}

// texts are the texts under a member of each object in a list.
func texts(a mcp.Answer, list, member string) []string {
	var out []string
	for _, o := range a.Objects(list) {
		if v := o.String(member); v != "" {
			out = append(out, v)
		}
	}
	return out
}

const up = "../../../../../../../../"

// upwards are paths to a file of the system for who joins them to a folder unlooked at.
var upwards = []string{
	up + "etc/passwd", strings.ReplaceAll(up, "../", "%2e%2e%2f") + "etc%2fpasswd", strings.ReplaceAll(up, "../", "..%252f") + "etc%252fpasswd",
	strings.ReplaceAll(up, "../", "....//") + "etc/passwd", up + "etc/passwd\x00.txt", strings.ReplaceAll(up, "/", `\`) + `etc\passwd`,
}

var templateVariable = regexp.MustCompile(`\{[^}]*\}`)

// escapes are URIs that lead out of the first resource's root, and out of the first template's.
func escapes(uris, templates []string) []string {
	out := []string{"file:///etc/passwd", "file://localhost/etc/passwd", "/etc/passwd"}
	for _, path := range upwards {
		if len(uris) > 0 {
			uri := uris[0]
			out = append(out, uri[:strings.LastIndexByte(uri, '/')+1]+path)
			if i := strings.Index(uri, "://"); i >= 0 {
				out = append(out, uri[:i+3]+path, uri+"/"+path)
			}
		}
		if len(templates) > 0 {
			out = append(out, templateVariable.ReplaceAllLiteralString(templates[0], path))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
