package audience

import (
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestWrongAudiences(t *testing.T) {
	const issuer, origin, client = "https://as.example", "https://mcp.example", "client-1"
	others := []string{"a UUID", "account", "another server", "api://", "the origin's userinfo"}
	for own, more := range map[string][]string{
		origin + "/mcp": {"the client", "the issuer"},
		issuer:          {"the client"}, // a resource that goes by the name of its issuer
		client:          {"the issuer"},
	} {
		want := slices.Sorted(slices.Values(append(slices.Clone(others), more...)))
		assert.Equal(t, want, slices.Sorted(maps.Keys(wrong(own, issuer, origin, client))), own)
	}
	assert.NotContains(t, wrong(origin, issuer, origin, nil), "the client")
}
