package scope

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// denied calls a tool with a token that lacks its scope, beside a call that is served.
func denied(t *T) (Tool, []string, *reports.Exchange) {
	tool, narrow := t.MCP.NarrowTool()
	if ex := t.MCP.CallTool(t.MCP.TokenWithScopes(append(slices.Clone(narrow), tool.Scope)...), tool); !expect.Ran(ex) {
		t.Inconclusive("the control failed: %s with the scope %s is answered with %s", tool.Name, tool.Scope, expect.Describe(ex))
	}
	t.Controlled()
	return tool, narrow, t.MCP.CallTool(t.MCP.TokenWithScopes(narrow...), tool)
}

// challenged is denied with a 403, which the checks on its challenge need.
func challenged(t *T) (Tool, []string, *reports.Exchange) {
	tool, narrow, ex := denied(t)
	if expect.Status(ex) != 403 {
		t.NotApplicable("no 403 could be provoked (RS-SCOPE-403-STATUS): %s", expect.Describe(ex))
	}
	return tool, narrow, ex
}

func enforced() {
	Must("RS-SCOPE-403-STATUS", func(t *T) {
		_, _, ex := denied(t)
		t.Expect(ex, "a tool without its scope").To(expect.Refuse(403))
	})

	Should("RS-SCOPE-403-CHALLENGE", func(t *T) {
		_, _, ex := challenged(t)
		code, _ := expect.Param(ex, "error")
		switch {
		case len(expect.Bearer(ex)) == 0:
			t.Unmet(ex, "WWW-Authenticate: Bearer", "it is absent")
		case code == "":
			t.Advise(ex, `error="insufficient_scope"`, "the challenge names no error")
		case code != "insufficient_scope":
			t.Unmet(ex, `error="insufficient_scope"`, "error=%q", code)
		}
	})

	Should("RS-SCOPE-403-SCOPES", func(t *T) {
		tool, _, ex := challenged(t)
		v, ok := expect.Param(ex, "scope")
		switch {
		case !ok:
			t.Advise(ex, "scope in the challenge, so that the client knows what to ask for", "it is absent")
		case !slices.Contains(strings.Fields(v), tool.Scope):
			t.Unmet(ex, "a scope in the challenge that enables the tool: "+tool.Scope, "scope=%q", v)
		}
	})

	Should("RS-SCOPE-403-RESOURCE-METADATA", func(t *T) {
		_, _, ex := challenged(t)
		before, had := expect.Param(t.MCP.Anonymous(), "resource_metadata")
		now, has := expect.Param(ex, "resource_metadata")
		switch {
		case !had && !has:
			t.NotApplicable("the 401 names no resource_metadata either")
		case !has:
			t.Unmet(ex, "resource_metadata in the challenge", "it is absent")
		case had && now != before:
			t.Advise(ex, "the resource_metadata of the 401, "+before, "%s", now)
		}
	})

	Should("RS-SCOPE-403-COMPLETE", func(t *T) {
		tool, narrow, ex := challenged(t)
		v, ok := expect.Param(ex, "scope")
		if !ok {
			t.NotApplicable("the 403 names no scope (RS-SCOPE-403-SCOPES)")
		}
		union := slices.Clone(narrow)
		for _, s := range strings.Fields(v) {
			if !slices.Contains(union, s) {
				union = append(union, s)
			}
		}
		if again := t.MCP.CallTool(t.MCP.TokenWithScopes(union...), tool); !expect.Ran(again) {
			t.Unmet(again, "the challenged scopes, added to those of before, to be enough", "with %s the call is answered with %s", strings.Join(union, " "), expect.Describe(again))
		}
	})

	Should("RS-SCOPE-CHALLENGE-CONSISTENT", func(t *T) {
		tool, narrow, first := challenged(t)
		want, _ := expect.Param(first, "scope")
		for range 3 {
			ex := t.MCP.CallTool(t.MCP.TokenWithScopes(narrow...), tool)
			if got, _ := expect.Param(ex, "scope"); !sameWords(got, want) {
				t.Unmet(ex, "the same scopes for the same call: "+want, "%s", got)
				return
			}
		}
	})

	Practice("RS-SCOPE-CHALLENGE-NOT-CATALOGUE", func(t *T) {
		_, _, ex := challenged(t)
		var all []string
		for _, tool := range t.Tools {
			if tool.Scope != "" && !slices.Contains(all, tool.Scope) {
				all = append(all, tool.Scope)
			}
		}
		v, _ := expect.Param(ex, "scope")
		asked := strings.Fields(v)
		omnibus := slices.ContainsFunc(asked, expect.Omnibus)
		if omnibus || len(all) > 2 && !slices.ContainsFunc(all, func(s string) bool { return !slices.Contains(asked, s) }) {
			t.Advise(ex, "the scopes that the call needs", "every scope there is: %s", v)
		}
	})

	Must("RS-SCOPE-EVERY-TOOL", func(t *T) {
		var ownError []string
		for _, tool := range t.Tools {
			if tool.Scope == "" {
				continue
			}
			ex := t.MCP.CallTool(t.MCP.TokenWithScopes(t.MCP.Lacking(tool.Scope)...), tool)
			switch {
			case expect.Ran(ex):
				t.Finding(ex, tool.Name, "a refusal without the scope "+tool.Scope, "it runs")
			case expect.Status(ex) >= 500 || ex.Response == nil:
				t.Finding(ex, tool.Name, "a refusal without the scope "+tool.Scope, expect.Describe(ex))
			default:
				t.Refused()
			}
			if tool.DeniedOnly {
				continue
			}
			switch ex := t.MCP.CallTool(t.MCP.TokenWithScopes(tool.Scope), tool); {
			case expect.Ran(ex):
			case expect.Accepted(ex):
				ownError = append(ownError, tool.Name)
			default:
				t.Finding(ex, tool.Name, "the scope "+tool.Scope+" to be enough, as declared", expect.Describe(ex))
			}
		}
		t.Controlled()
		if len(ownError) > 0 && t.Unmistaken() {
			t.Inconclusive("%s: a result with isError even with the scope, so a refusal cannot be told from it; give arguments that work", strings.Join(ownError, ", "))
		}
	})

	Must("RS-SCOPE-HIERARCHY", func(t *T) {
		tried := 0
		for _, small := range t.MCP.ScopedTools() {
			for broad, implied := range Sorted(t.Implies) {
				if !slices.Contains(implied, small.Scope) {
					continue
				}
				if ex := t.MCP.CallTool(t.MCP.TokenWithScopes(small.Scope), small); !expect.Ran(ex) {
					t.Inconclusive("the control failed: %s with its own scope %s is answered with %s", small.Name, small.Scope, expect.Describe(ex))
				}
				tried++
				if ex := t.MCP.CallTool(t.MCP.TokenWithScopes(broad), small); !expect.Ran(ex) {
					t.Finding(ex, small.Name, "the scope "+broad+" to be enough, which implies "+small.Scope, expect.Describe(ex))
				}
				for _, big := range t.Tools {
					if big.Scope != broad || expect.Ran(t.MCP.CallTool(t.MCP.TokenWithScopes("mcpauth:other"), big)) {
						continue // what runs with any token says nothing about scopes that imply each other
					}
					if ex := t.MCP.CallTool(t.MCP.TokenWithScopes(small.Scope), big); expect.Ran(ex) {
						t.Finding(ex, big.Name, "the scope "+small.Scope+" not to imply the broader "+broad, "the tool runs")
					} else {
						t.RefusedBy(ex)
					}
				}
			}
		}
		if tried == 0 {
			t.NotTested("it needs a tool that takes a scope which another one implies (tools in the target file)")
		}
		t.Controlled()
	})

	Must("RS-SCOPE-NO-SUBSTRING", func(t *T) {
		tool := t.MCP.ScopedTools()[0]
		s := tool.Scope
		if ex := t.MCP.CallTool(t.MCP.TokenWithScopes("other", s, "more"), tool); !expect.Ran(ex) {
			t.Inconclusive("the control failed: %s among other scopes is answered with %s", s, expect.Describe(ex))
		}
		t.Controlled()
		for _, near := range []string{s + "_all", "x" + s, s + "s", strings.ToUpper(s), s[:len(s)-1], "pre" + s + "post", "not" + s, s + "\u200b", s + ":deny"} {
			if ex := t.MCP.CallTool(t.MCP.TokenWithScopes(near), tool); expect.Ran(ex) {
				t.Finding(ex, fmt.Sprintf("%q in place of %q", near, s), "scopes compared as whole words", "the tool runs")
			} else {
				t.RefusedBy(ex)
			}
		}
	})

	Practice("RS-SCOPE-STRING-OR-ARRAY", func(t *T) {
		tool := t.MCP.ScopedTools()[0]
		s := tool.Scope
		call := func(changes map[string]any) *reports.Exchange { return t.MCP.CallTool(t.Mint.Token(changes), tool) }
		if ex := call(map[string]any{"scope": "other " + s}); !expect.Ran(ex) {
			t.Unmet(ex, "a string of names, separated by spaces, to be understood", "%s", expect.Describe(ex))
		}
		for about, v := range Sorted(map[string]any{"an object": map[string]any{s: true}, "a list with a string of two": []any{"other " + s}, "a list in a list": []any{[]any{s}}, "a semicolon": "other;" + s, "a plus": "other+" + s, "%20": "other%20" + s}) {
			if ex := call(map[string]any{"scope": v}); expect.Crashed(ex) {
				t.Finding(ex, "scope as "+about, "an answer below 500", expect.Describe(ex))
			} else if expect.Ran(ex) {
				t.Finding(ex, "scope as "+about, "no scope granted by it", "the tool runs")
			}
		}
		for about, changes := range Sorted(map[string]map[string]any{"a list": {"scope": []any{"other", s}}, "a comma": {"scope": "other," + s}, "a tab": {"scope": "other\t" + s}}) {
			if ex := call(changes); expect.Ran(ex) {
				t.Advise(ex, "scope as a string of names, separated by spaces", "%s is understood too", about)
			}
		}
	})

	Must("RS-SCOPE-EMPTY", func(t *T) {
		tool := t.MCP.ScopedTools()[0]
		for about, v := range Sorted(map[string]any{"no scope": nil, "an empty scope": "", "a space": " ", "null": Null, "an empty list": []any{}}) {
			if ex := t.MCP.CallTool(t.Mint.Token(map[string]any{"scope": v}), tool); expect.Ran(ex) {
				t.Finding(ex, about, "a refusal with HTTP 403", "the tool runs")
			} else if expect.Crashed(ex) {
				t.Finding(ex, about, "a refusal with HTTP 403", expect.Describe(ex))
			} else {
				t.Refused()
			}
		}
		t.Mint.Control()
	})

	Practice("RS-SCOPE-DOWNSCOPED-OK", func(t *T) {
		tool := t.MCP.ScopedTools()[0]
		token := t.MCP.TokenWithScopes(tool.Scope)
		ex := t.MCP.CallTool(token, tool)
		if !expect.Ran(ex) {
			t.Unmet(ex, "a token with the one scope of a tool to get as far as that tool", "%s", expect.Describe(ex))
			return
		}
		if list := t.MCP.CallMethod(token, "tools/list"); expect.Status(list) == 403 {
			t.Advise(list, "the list of tools for a token with one scope", "%s", expect.Describe(list))
		}
	})
}

func sameWords(a, b string) bool {
	x, y := strings.Fields(a), strings.Fields(b)
	slices.Sort(x)
	slices.Sort(y)
	return slices.Equal(x, y)
}
