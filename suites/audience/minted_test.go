package audience

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

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

func names(rows Cases[any]) []string {
	var out []string
	for _, r := range rows {
		out = append(out, r.Name)
	}
	slices.Sort(out)
	return out
}
