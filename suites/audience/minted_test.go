package audience

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// A slash at the end need not make it another identifier, so neither form is a look-alike of the other.
func TestNoLookalikeDiffersInTheSlashAtItsEnd(t *testing.T) {
	for _, own := range []string{"https://mcp.example/", "https://mcp.example", "https://mcp.example/mcp/", "https://mcp.example/mcp"} {
		u, _ := url.Parse(own)
		same := func(v string) bool { return strings.TrimSuffix(v, "/") == strings.TrimSuffix(own, "/") }
		for _, miss := range lookalikes(own) {
			assert.False(t, same(miss.Value), "%s: %s", own, miss.Name)
		}
		for _, r := range resembling(own, u) {
			assert.False(t, same(r.Value), "%s: %s", own, r.Name)
		}
	}
}

func TestWrongAudiences(t *testing.T) {
	const issuer, origin, client = "https://as.example", "https://mcp.example", "client-1"
	others := []string{"a UUID", "account", "another server", "api://", "the origin's userinfo"}
	for own, more := range map[string][]string{
		origin + "/mcp": {"the client", "the issuer"},
		issuer:          {"the client"}, // a resource with the name of its issuer
		client:          {"the issuer"},
	} {
		want := slices.Sorted(slices.Values(append(slices.Clone(others), more...)))
		assert.Equal(t, want, names(wrong(own, issuer, origin, client)), own)
	}
	assert.NotContains(t, names(wrong(origin, issuer, origin, nil)), "the client")
}

func TestDerivedAudiences(t *testing.T) {
	const https, http = "https://evil.example", "http://evil.example"
	for own, want := range map[string][]string{
		"https://mcp.example/mcp":  {https + "/mcp", http + "/mcp"},
		"https://mcp.example":      {https + "/mcp", http + "/mcp", https, http},
		"https://mcp.example:8443": {https + "/mcp", http + "/mcp", https, http},
		"https://mcp.example/":     {https + "/mcp", http + "/mcp", https + "/", http + "/"},
		"api://notes/all":          {https + "/mcp", http + "/mcp", https + "/all", http + "/all"},
		"fastmcp-server":           {https + "/mcp", http + "/mcp"},
	} {
		var got []string
		for _, r := range derived([]string{own}, "/mcp") {
			got = append(got, r.Value)
		}
		assert.Equal(t, want, got, own)
	}
	assert.Len(t, derived(nil, "/mcp"), 2, "tokens need not have an audience")
	assert.Len(t, derived([]string{"https://mcp.example", "https://as.example/userinfo"}, "/mcp"), 6)
}

func names(rows Cases[any]) []string {
	var out []string
	for _, r := range rows {
		out = append(out, r.Name)
	}
	slices.Sort(out)
	return out
}
