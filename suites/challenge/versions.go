package challenge

import (
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
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
	answers := map[string]*reports.Exchange{}
	for _, path := range otherVersions(t.Survey.URL) {
		if ex := t.MCP.ListedAt(document.Origin(t.Survey.URL) + path); expect.Accepted(ex) {
			open, answers[path] = append(open, path), ex
		}
	}
	if len(open) == 0 {
		return
	}
	guarded := guardedList(t)
	for _, path := range open {
		switch {
		case len(guarded) > 0:
			t.Expect(answers[path], "%s", path).To(listOther(guarded))
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
	return definitions(t.MCP.CallMethod(t.MCP.Token(), "tools/list"))
}

// definitions are listed tools, by their names, parameters and descriptions: servers write the rest in any order.
func definitions(ex *reports.Exchange) (out []string) {
	for _, tool := range mcp.Read(ex).Objects("tools") {
		parameters := slices.Sorted(slices.Values(tool.Object("inputSchema").Object("properties").Names()))
		out = append(out, tool.String("name")+" "+strings.Join(parameters, " ")+" "+tool.String("description"))
	}
	return out
}

var listOther = expect.Family("listOther", func(guarded []string) expect.Matcher {
	return expect.Refusing("no list that has every tool of the guarded endpoint", func(ex *reports.Exchange) string {
		listed := definitions(ex)
		if slices.ContainsFunc(guarded, func(tool string) bool { return !slices.Contains(listed, tool) }) {
			return ""
		}
		return "anybody is shown all tools of the guarded endpoint: " + expect.Describe(ex)
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
