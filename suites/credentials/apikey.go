package credentials

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func apiKeys() {
	// Field names do not depend on case (RFC 9110 section 5.1).
	Practice("RS-APIKEY-ACCEPTED", func(t *T) {
		for _, c := range t.MCP.APIKeys() {
			call := t.MCP.CallFor(c)
			for _, name := range []string{c.Header, strings.ToLower(c.Header), strings.ToUpper(c.Header)} {
				t.Expect(t.MCP.ServedOrControl(RawCall(t, call, name+": "+c.Value+"\r\n"), func() { t.MCP.ControlOf(c) }), "%s in %s", c.Name, name).To(t.MCP.Serve())
			}
			later(t, c)
			identity(t, c)
		}
	})

	Must("RS-APIKEY-REJECTED", func(t *T) {
		c := t.MCP.APIKeys()[0]
		t.MCP.ControlOf(c)
		call := t.MCP.CallFor(c)
		var variants []Variant
		for about, value := range Sorted(wrongKeys(c.Value)) {
			if len(value) >= len(c.Value)-1 && !strings.Contains(value, c.Value) {
				t.Hide(value) // all but a little of the key
			}
			variants = append(variants, Call(call.With(c.With(value)), "%s", about))
		}
		for _, name := range []string{"api_key", "apikey", "key"} {
			variants = append(variants, Call(call.WithQuery(name, c.Value), "the key in the query, as %s", name))
		}
		variants = append(variants, Variant{About: "bytes that are not ASCII", Request: RawCall(t, call, c.Header+": \xc3\xa4\xff\xfe\r\n")})
		for i, ex := range t.All(variants) {
			wrongKey(t, ex, variants[i].About)
		}
		if ex := t.Do(RawCall(t, call, c.Header+": wrong\r\n"+c.Header+": "+c.Value+"\r\n")); t.MCP.Served(ex) {
			t.Advise(ex, "one key in a request", "of two %s fields, the second counts", c.Header)
		}
		if ex := t.Send(call.With(mcp.Bearer(c.Value))); t.MCP.Served(ex) {
			t.Advise(ex, "the key in its own field only", "it is accepted as a bearer token too")
		}
	})

	Must("RS-APIKEY-TOOL-PERMISSIONS", func(t *T) { permissions(t, t.MCP.APIKeys()) })

	Practice("RS-APIKEY-WILDCARDS", func(t *T) {
		n := 0
		for _, c := range t.MCP.LimitedKeys() {
			for _, pattern := range c.Tools {
				if prefix, wild := strings.CutSuffix(pattern, "*"); wild && prefix != "" {
					n++
					wildcard(t, c, prefix)
				}
			}
		}
		if n == 0 {
			t.NotApplicable("no key given has a wildcard among its tools")
		}
	})
}

// wrongKeys are what might be taken for a key, and is none.
func wrongKeys(v string) map[string]string {
	out := map[string]string{
		"an empty key": "", "another key": "invalid-key", "without its last character": v[:len(v)-1], "twice, with a comma": v + ", " + v,
		"the name default": "default", "the name production": "production", "a query for any key": `{"$ne":""}`,
	}
	if swapped := swapCase(v); swapped != v {
		out["its case inverted"] = swapped
	}
	return out
}

func wrongKey(t *T, ex *reports.Exchange, about string) {
	switch s := expect.Status(ex); {
	case t.MCP.RefusedInside(ex):
		t.Refused()
	case t.MCP.Served(ex), expect.Crashed(ex), s < 300:
		t.Finding(ex, about, "a refusal with HTTP 401", expect.Describe(ex))
	case !slices.Contains([]int{400, 401}, s):
		t.Advise(ex, "a refusal with HTTP 401", "%s: %s", about, expect.Describe(ex))
	default:
		t.Refused()
	}
}

// wildcard calls tools by names that match a key's prefix only where it is not compared literally.
func wildcard(t *T, c Credential, prefix string) {
	var own, foreign string
	var arguments map[string]any // of the tool that must not run: without them it might not, whoever calls it
	for _, tool := range t.Tools {
		switch {
		case !c.Permits(tool.Name) && foreign == "":
			foreign, arguments = tool.Name, tool.Marked("mcpauth").Arguments
		case strings.HasPrefix(tool.Name, prefix) && !tool.DeniedOnly:
			own = tool.Name
			if ex := t.MCP.CallToolAs(tool, c.Field()); !expect.Ran(ex) {
				t.Inconclusive("the control failed: %s calls %s and is answered with %s", c.Name, tool.Name, expect.Describe(ex))
			}
		}
	}
	if own == "" || foreign == "" {
		t.NotTested("it needs a tool that begins with %s, and one that %s may not call (tools in the target file)", prefix, c.Name)
	}
	t.Controlled()
	var real []string // names that the key may well call
	for _, tool := range t.MCP.ListedTools(c.Field()) {
		real = append(real, tool.String("name"))
	}
	for _, name := range []string{prefix, prefix + "*", strings.TrimRight(prefix, "_-:./"), prefix + "/../" + foreign, prefix + "\x00" + foreign, prefix + " " + foreign, foreign + "?" + prefix, foreign + "#" + prefix} {
		if c.Permits(name) && slices.Contains(real, name) {
			continue
		}
		if ex := t.MCP.CallToolAs(Tool{Name: name, Arguments: arguments}, c.Field()); expect.Ran(ex) || expect.Crashed(ex) {
			t.Finding(ex, fmt.Sprintf("the name %q", name), "only tools whose whole name is permitted to run", expect.Describe(ex))
		} else {
			t.Refused()
		}
	}
	for _, name := range []string{strings.ToUpper(own), " " + own} {
		if ex := t.MCP.CallToolAs(Tool{Name: name}, c.Field()); expect.Ran(ex) {
			t.Advise(ex, "names compared exactly", "%q runs", name)
		}
	}
}
