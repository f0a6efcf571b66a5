package introspection

import (
	"encoding/base64"
	"strings"

	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/nearmiss"
	"github.com/mcpauth/conformance/suites/internal/oauth"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// unknownTokens were never issued.
func unknownTokens() Cases[string] {
	return Cases[string]{
		{"a token that was never issued", "mcpauth-" + Random(24)},
		{"a made-up JWT", "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.AAAA"},
	}
}

// changedTokens are near misses of an access token. The bits that base64url leaves unused in the last character are not part of it.
func changedTokens(t *T, tokens *oauth.Tokens) (out Cases[string]) {
	for _, m := range nearmiss.Of(tokens.Access, nearmiss.Changed, nearmiss.Shorter, nearmiss.Longer, nearmiss.LetterCase) {
		if !sameBytes(m.Value, tokens.Access) {
			out = out.And("an access token, "+m.Name, t.Hide(m.Value))
		}
	}
	return out
}

func sameBytes(a, b string) bool {
	i, j := strings.LastIndexByte(a, '.'), strings.LastIndexByte(b, '.')
	x, errX := base64.RawURLEncoding.DecodeString(a[i+1:])
	y, errY := base64.RawURLEncoding.DecodeString(b[j+1:])
	return errX == nil && errY == nil && a[:i+1] == b[:j+1] && string(x) == string(y)
}

// deadTokens were issued to a client, and are not access tokens in force.
func deadTokens(t *T, c *oauth.Client) Cases[string] {
	owner := As(c)
	var out Cases[string]
	if spent := t.AS.MustGetTokens(owner, t.AS.ForRefresh()); spent.Refresh != "" {
		if next := t.AS.MustRefresh(spent); next.Refresh != spent.Refresh && t.AS.Tokens(t.AS.Refresh(spent), spent.Client) == nil {
			out = out.And("a used refresh token", spent.Refresh)
		}
	}
	if t.AS.Server().Revocation != "" {
		dead := t.AS.MustGetTokens(owner)
		if ex := t.AS.Revoke(dead, dead.Access); expect.Confirmed(ex) {
			out = out.And("a revoked access token", dead.Access)
		}
	}
	return out
}

// revokedRefreshToken is a refresh token that was revoked, and is refused since; no row without one.
func revokedRefreshToken(t *T, c *oauth.Client) (out Cases[string]) {
	if t.AS.Server().Revocation == "" {
		return nil
	}
	gone := t.AS.MustGetTokens(As(c), t.AS.ForRefresh())
	if gone.Refresh == "" || !expect.Confirmed(t.AS.Revoke(gone, gone.Refresh)) || t.AS.Tokens(t.AS.Refresh(gone), c) != nil {
		return nil
	}
	return out.And("a revoked refresh token", gone.Refresh)
}
