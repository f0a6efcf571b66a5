package login

import (
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/suites/target"
)

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		glob, address string
		want          bool
	}{
		{"https://idp.example.com/login", "https://idp.example.com/login", true},
		{"https://idp.example.com/login*", "https://idp.example.com/login.html", true},
		{"https://idp.example.com/login*", "https://idp.example.com/login/2", false},
		{"https://idp.example.com/**/allow", "https://idp.example.com/a/b/allow", true},
		{"https://*.example.com/**", "https://idp.example.com/", true},
		{"https://*.example.com/**", "https://idp.example.com.evil.example/", false},
		{"https://*.example.com/**", "https://evil.example/?.example.com/", false},
		{"https://idp.example.com/a.b", "https://idp.example.com/aXb", false},
		{"", "https://idp.example.com/", false},
	} {
		assert.Equal(t, c.want, Matches(c.glob, c.address), "%s %s", c.glob, c.address)
	}
}

func TestTheRecipePageOfAnAddress(t *testing.T) {
	at, err := url.Parse("https://idp.example.com/login?state=x")
	require.NoError(t, err)
	r := &target.Recipe{Pages: []target.RecipePage{{Match: "https://idp.example.com/login", Text: "second factor", Line: 1},
		{Match: "https://idp.example.com/login", Line: 2}}}
	assert.Equal(t, 2, pageOf(r, at, "Sign in").Line)
	assert.Equal(t, 1, pageOf(r, at, "Your second factor").Line)
	at.Host = "other.example"
	assert.Nil(t, pageOf(r, at, "Sign in"))
	assert.Nil(t, pageOf(nil, at, "Sign in"))
}
