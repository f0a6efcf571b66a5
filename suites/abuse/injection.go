package abuse

import (
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

const script = "<script>mcpauth(1)</script>"

func injection() {
	Practice("RS-ABUSE-HEADER-INJECTION", func(t *T) {
		lines := "a\r\nX-Injected: 1"
		variants := []Variant{
			{About: "line breaks in the path", Request: wire.Request{Method: "GET", URL: t.Survey.Endpoint + "/%0d%0aX-Injected:%201"}},
			{About: "line breaks in the query", Request: t.Call().WithQuery("state", lines).Request()},
			Call(t.Call().With(mcp.Bearer(`x", error_description="`+script)), "quotes in the credential"),
			Call(t.Call().With(mcp.Bearer(script)), "HTML in the credential"),
			Call(t.Call().With(mcp.Field("Origin", "http://"+script)), "HTML in Origin"),
			Call(t.Call().With(mcp.Field("MCP-Protocol-Version", `"`+script)), "HTML in MCP-Protocol-Version"),
			{About: "HTML in the path", Request: wire.Request{Method: "GET", URL: t.Survey.Endpoint + "/" + url.PathEscape(script)}},
			Call(t.Call().Method("tools/call", map[string]any{"name": lines, "arguments": map[string]any{}}), "line breaks in a tool's name"),
			Call(t.Call().Method(script, nil), "HTML in the method"),
		}
		if t.Trusted() {
			for about, changes := range Sorted(map[string]map[string]any{"line breaks in sub": {"sub": lines}, "quotes in scope": {"scope": `x" y="` + script}}) {
				variants = append(variants, Call(t.Call().With(mcp.Bearer(t.Mint(changes))), "%s", about))
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
	if err := unreadable(ex); err != nil && unreadable(t.Bogus()) == nil {
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
		call, refused := t.SessionOf(t.Token())
		if refused != nil {
			t.Inconclusive("no session opens: %s", expect.Describe(refused))
		}
		call = call.With(mcp.Bearer(t.Token()))
		uris := readable(t, call)
		if len(uris) == 0 {
			t.NotApplicable("no resources are listed")
		}
		if ex := t.Send(call.Method("resources/read", map[string]any{"uri": uris[0]})); !expect.Accepted(ex) {
			t.Inconclusive("the control failed: the listed resource %s is answered with %s", uris[0], expect.Describe(ex))
		}
		t.Controlled()
		for _, uri := range escapes(uris[0]) {
			ex := t.Send(call.Method("resources/read", map[string]any{"uri": uri}))
			if found := passwd.FindString(body(ex)); found != "" {
				t.Hide(found)
				t.Finding(ex, uri, "an error", "a file of the system is shown")
				return
			}
			if expect.Crashed(ex) {
				t.Finding(ex, uri, "a JSON-RPC error", expect.Describe(ex))
			} else {
				t.Refused()
			}
		}
	})
}

func body(ex *reports.Exchange) string {
	if ex.Response == nil {
		return ""
	}
	return ex.Response.Body
}

// readable are the URIs of the listed resources.
func readable(t *T, call mcp.Call) []string {
	ex := t.Send(call.Method("resources/list", nil))
	result := mcp.Read(ex).Result
	if result == nil {
		return nil
	}
	v, _ := result.Get("resources")
	list, _ := v.([]any)
	var out []string
	for _, v := range list {
		if o, ok := v.(*document.Object); ok && o.String("uri") != "" {
			out = append(out, o.String("uri"))
		}
	}
	return out
}

// escapes are URIs that lead out of a resource's root where they are joined to a path unlooked at.
func escapes(uri string) []string {
	const up = "../../../../../../../../"
	out := []string{"file:///etc/passwd", "file://localhost/etc/passwd", "/etc/passwd"}
	at := strings.LastIndexByte(uri, '/') + 1
	for _, path := range []string{up + "etc/passwd", strings.ReplaceAll(up, "../", "%2e%2e%2f") + "etc%2fpasswd", strings.ReplaceAll(up, "../", "..%252f") + "etc%252fpasswd", strings.ReplaceAll(up, "../", "....//") + "etc/passwd", up + "etc/passwd\x00.txt", strings.ReplaceAll(up, "/", `\`) + `etc\passwd`} {
		out = append(out, uri[:at]+path)
		if i := strings.Index(uri, "://"); i >= 0 {
			out = append(out, uri[:i+3]+path, uri+"/"+path)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
