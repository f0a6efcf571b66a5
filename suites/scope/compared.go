package scope

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mint"
	"github.com/mcpauth/conformance/suites/internal/nearmiss"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// How a server reads the scopes of a token, and compares them with those that a tool needs.
func compared() {
	Must("RS-SCOPE-HIERARCHY", honoursBroaderScopes)
	Must("RS-SCOPE-NO-SUBSTRING", comparesWholeScopes)
	Practice("RS-SCOPE-STRING-OR-ARRAY", readsScopeStrictly)
	Must("RS-SCOPE-EMPTY", grantsNothingForNoScope)
	Practice("RS-SCOPE-DOWNSCOPED-OK", worksWithFewerScopes)
}

// scoped is a call of a tool with a minted token. Its edits change the token.
func scoped(t *T, tool Tool, scopes []string) Attempt[TokenEdit] {
	return Attempt[TokenEdit]{Name: tool.Name + " with " + list(scopes), Good: expect.Run(), Send: func(edits ...TokenEdit) any {
		h, c := maps.Clone(t.Mint.Header()), maps.Clone(t.Mint.Claims(map[string]any{"scope": list(scopes)}))
		for _, e := range edits {
			e(h, c)
		}
		return t.MCP.CallTool(t.Mint.Seal(mint.Input(h, c)), tool)
	}}
}

// scopeClaim replaces the scopes of a token, in the claim in which this issuer has them; nil leaves the claim out.
func scopeClaim(t *T, value any) TokenEdit {
	return func(_ mint.Header, c mint.Claims) {
		clear(c)
		maps.Copy(c, t.Mint.Claims(map[string]any{"scope": value}))
	}
}

// instead replaces one of the scopes that the tool needs by another text, and keeps the others.
func instead(used []string, of, text string) string {
	rest := slices.DeleteFunc(slices.Clone(used), func(s string) bool { return s == of })
	return strings.TrimSpace(strings.Join(rest, " ") + " " + text)
}

func comparesWholeScopes(t *T) {
	tool, used := runnable(t)
	s := tool.Scopes()[0]
	rows := Cases[TokenEdit]{}
	for _, near := range nearScopes(s) {
		if !t.MCP.Permits(strings.Fields(instead(used, s, near.Value)), tool) {
			rows = rows.And(fmt.Sprintf("%s: %q instead of %q", near.Name, near.Value, s), scopeClaim(t, instead(used, s, near.Value)))
		}
	}
	Refuses(t, scoped(t, tool, Union([]string{"mcpauth:other"}, append(slices.Clone(used), "mcpauth:more"))), rows, expect.NotRun())
}

// nearScopes are other scopes that resemble one (RFC 6749 section 3.3: case-sensitive strings, separated by spaces).
// RS-SCOPE-STRING-OR-ARRAY judges white space around a scope, and RS-SCOPE-EMPTY a token without scopes.
func nearScopes(s string) (out Cases[string]) {
	for _, m := range nearmiss.Of(s, nearmiss.Except(nearmiss.Space, nearmiss.Empty)...) {
		out = out.And(m.Name, m.Value)
	}
	half := max(1, len(s)/2)
	return slices.Concat(out, Cases[string]{
		{"an ending", s + "_all"},
		{"within a word", "pre" + s + "post"},
		{"after not", "not" + s},
		{"a suffix", s + ":deny"},
		{"after another prefix and a slash", "evil/" + s},
		{"after another prefix and a colon", "evil:" + s},
		{"in two halves", s[:half] + " " + s[half:]},
	})
}

// In RFC 8693 section 4.2, scope is a string. Vendors use lists and other claims: a server may read these.
func readsScopeStrictly(t *T) {
	tool, used := runnable(t)
	s := strings.Join(used, " ")
	good := scoped(t, tool, append([]string{"mcpauth:other"}, used...))
	Each(t, Cases[string]{
		{"scope: among others", "mcpauth:other " + s},
		{"scope: two spaces before it", "mcpauth:other  " + s},
	}, func(t *T, text string) { t.Expect(good.Send(scopeClaim(t, text))).To(expect.Run()) })
	Refuses(t, good, Cases[TokenEdit]{
		{"scope: an object", scopeClaim(t, map[string]any{s: true})},
		{"scope: a list with a string of two", scopeClaim(t, []any{"mcpauth:other " + s})},
		{"scope: a list in a list", scopeClaim(t, []any{[]any{s}})},
		{"scope: a semicolon", scopeClaim(t, "mcpauth:other;"+s)},
		{"scope: a plus", scopeClaim(t, "mcpauth:other+"+s)},
		{"scope: %20", scopeClaim(t, "mcpauth:other%20"+s)},
		{"scope: a line feed", scopeClaim(t, "mcpauth:other\n"+s)},
	}, expect.NotRun())
	Each(t, Cases[TokenEdit]{
		{"a comma", scopeClaim(t, "mcpauth:other,"+s)},
		{"a tab", scopeClaim(t, "mcpauth:other\t"+s)},
	}, func(t *T, edit TokenEdit) { t.Expect(good.Send(edit)).Ideally(expect.NotRun()) })
}

// A token without a scope is valid, but gives no permission that needs a scope.
func grantsNothingForNoScope(t *T) {
	tool, used := runnable(t)
	Refuses(t, scoped(t, tool, used), Cases[TokenEdit]{
		{"no scope", scopeClaim(t, nil)},
		{"an empty scope", scopeClaim(t, "")},
		{"a space", scopeClaim(t, " ")},
		{"null", scopeClaim(t, Null)},
		{"an empty list", scopeClaim(t, []any{})},
	}, expect.NotRun())
}

// MCP 2026-07-28: a server must take hierarchies into account. A narrower scope never implies a broader one.
func honoursBroaderScopes(t *T) {
	tried := 0
	for _, small := range t.MCP.ScopedTools() {
		for _, broad := range slices.Sorted(maps.Keys(t.Implies)) {
			for _, needed := range impliedBy(t.Implies[broad], small) {
				tried++
				Each(t, Cases[Tool]{{fmt.Sprintf("%s with %s, which implies %s", small.Name, broad, needed), small}}, func(t *T, tool Tool) {
					runsWithTheBroader(t, tool, needed, broad)
				})
			}
		}
	}
	if tried == 0 {
		t.NotTested("it needs a tool with a scope that another scope implies (tools and scopes.implies in the target file)")
	}
}

// impliedBy are the scopes of a tool that a broader one implies. Of alternatives, only the first counts: another one may be enough.
func impliedBy(implied []string, tool Tool) []string {
	return slices.DeleteFunc(tool.Scopes(), func(needed string) bool { return !slices.Contains(implied, needed) })
}

func runsWithTheBroader(t *T, tool Tool, needed, broad string) {
	ex, used := allowed(t, tool)
	t.Expect(ex, "%s with %s", tool.Name, list(used)).AsControl(expect.Run())
	if !slices.Contains(used, needed) {
		t.Inconclusive("%s runs with %s, without %s: that it runs with %s, too, shows nothing", tool.Name, list(used), needed, broad)
	}
	t.Expect(t.MCP.CallTool(t.MCP.TokenWithScopes(strings.Fields(instead(used, needed, broad))...), tool)).To(expect.Run())
	impliesNothingUpwards(t, used, needed, broad)
}

// impliesNothingUpwards calls the tools that need the broader scope with the narrower one. A tool that runs with any token shows
// nothing about implied scopes.
func impliesNothingUpwards(t *T, used []string, needed, broad string) {
	for _, big := range t.Tools {
		if !slices.Contains(big.Scopes(), broad) || t.MCP.Permits(used, big) {
			continue
		}
		neutral, _ := t.MCP.TokenWithout(broad, needed)
		if expect.Ran(t.MCP.CallTool(neutral, big)) {
			continue
		}
		t.Expect(t.MCP.CallTool(t.MCP.TokenWithScopes(used...), big), "%s, which needs the broader %s, with %s", big.Name, broad,
			list(used)).To(expect.NotRun())
	}
}

// A tool must work without some of the published scopes. It may need those that every request needs.
func worksWithFewerScopes(t *T) {
	published := publishedScopes(t)
	if len(published) < 2 {
		t.NotApplicable("there is one scope only")
	}
	for _, tool := range t.MCP.ScopedTools() {
		ex, used := allowed(t, tool)
		if expect.Ran(ex) && len(t.MCP.Without(published, used)) > 0 {
			t.Expect(t.MCP.CallMethod(t.MCP.TokenWithScopes(used...), "tools/list"), "the list of tools with %s",
				list(used)).Ideally(expect.Accept())
			return
		}
	}
	needsAll(t, published)
}

// needsAll judges the first tool that runs with all scopes. Where none does, the number of scopes is not why.
func needsAll(t *T, published []string) {
	all := t.MCP.TokenWithScopes(published...)
	var last *reports.Exchange
	for _, tool := range t.MCP.ScopedTools() {
		if last = t.MCP.CallTool(all, tool); expect.Ran(last) {
			t.Expect(last, "%s with every published scope", tool.Name).AsControl(expect.Run())
			t.Expect(t.MCP.CallTool(t.MCP.TokenWithScopes(tool.Scopes()...), tool), "%s with %s", tool.Name, tool.Needs()).To(expect.Run())
			return
		}
	}
	t.Inconclusive("this proves nothing: no tool runs with every published scope either; the last is answered with %s", expect.Describe(last))
}

// publishedScopes are those in the metadata, or those that tools need by declaration.
func publishedScopes(t *T) []string {
	if d := t.Survey.Resource(); d != nil {
		if scopes, _ := d.Object.Strings("scopes_supported"); len(scopes) > 0 {
			return scopes
		}
	}
	return t.MCP.OrdinaryScopes()
}
