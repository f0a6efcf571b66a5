package login

import (
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mcpauth/conformance/suites/internal/login"
	"github.com/mcpauth/conformance/suites/internal/oauth"
)

func TestOnlyAnIssuedTokenIsATokenInACookie(t *testing.T) {
	at := &url.URL{Scheme: "http", Host: "127.0.0.1"}
	tokens := &oauth.Tokens{Access: "issued"} // no refresh token
	for value, met := range map[string]bool{"issued": false, "": true, "other": true} {
		judged := holdNoToken(tokens, at).Judge(cookie{Cookie: login.Cookie{Name: "c", Value: value}})
		assert.Equal(t, met, judged.Met, "a cookie with the value %q", value)
	}
}
