package challenge

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// guardsOtherVersions lists the tools at paths where other versions of the endpoint may be. A public endpoint there may be another
// resource: it is the same one without its guard only if it lists everything that the guarded endpoint lists to the user.
func guardsOtherVersions(t *T) {
	if t.MCP.Public("tools/list") || t.DeclaredPublic("tools/list") {
		return
	}
	var open []string
	lists := map[string]mcp.List{}
	for _, path := range otherVersions(t.Survey.URL) {
		if l := t.MCP.ListAt(document.Origin(t.Survey.URL)+path, "tools/list"); expect.Accepted(l.First()) {
			open, lists[path] = append(open, path), l
		}
	}
	if len(open) == 0 {
		return
	}
	guarded := guardedList(t)
	for _, path := range open {
		switch {
		case len(guarded) > 0:
			t.Expect(lists[path], "%s", path).SeenIn(lists[path].First()).To(listOther(guarded))
		case !t.MCP.HasToken():
			LeaveWithout(t, "token-given", path, "anybody may list tools there: a token shows whether they are those of the endpoint")
		}
	}
}

// guardedList are the tools that the endpoint lists to the user.
func guardedList(t *T) []string {
	if !t.MCP.HasToken() {
		return nil
	}
	l := t.MCP.List("tools/list", t.MCP.BearerField())
	if !l.Whole && expect.Accepted(l.First()) {
		why := fmt.Sprintf("their list has more than %d pages, or its next page fails: %s", mcp.MostPages, expect.Describe(l.Last()))
		t.Leave("the tools of the endpoint", why)
		return nil
	}
	return definitions(l)
}

// definitions are listed tools, by their names, parameters and descriptions: servers write the rest in any order.
func definitions(l mcp.List) (out []string) {
	for _, tool := range l.Entries("tools") {
		parameters := slices.Sorted(slices.Values(tool.Object("inputSchema").Object("properties").Names()))
		out = append(out, tool.String("name")+" "+strings.Join(parameters, " ")+" "+tool.String("description"))
	}
	return out
}

var listOther = expect.Family("listOther", func(guarded []string) expect.Matcher {
	return expect.Refusing("no list that has every tool of the guarded endpoint", func(l mcp.List) string {
		listed := definitions(l)
		if slices.ContainsFunc(guarded, func(tool string) bool { return !slices.Contains(listed, tool) }) {
			return ""
		}
		return "anybody is shown all tools of the guarded endpoint: " + expect.Describe(l.First())
	})
})

var versionSegment = regexp.MustCompile(`^v\d+$`)

// otherVersions are paths at which other versions of the endpoint at a path may be.
func otherVersions(u *url.URL) []string {
	path := strings.TrimSuffix(u.EscapedPath(), "/")
	segments := strings.Split(path, "/")
	var out []string
	if i := slices.IndexFunc(segments, versionSegment.MatchString); i > 0 {
		for _, version := range []string{"v1", "v2", "v3"} {
			out = append(out, strings.Join(slices.Concat(segments[:i], []string{version}, segments[i+1:]), "/"))
		}
		out = append(out, strings.Join(slices.Concat(segments[:i], segments[i+1:]), "/"))
	} else {
		for _, prefix := range []string{"/v1", "/v2", "/api", "/internal"} {
			out = append(out, prefix+path)
		}
		out = append(out, path+"/v1", path+"/v2")
	}
	return slices.DeleteFunc(out, func(other string) bool { return other == path || other == "" })
}
