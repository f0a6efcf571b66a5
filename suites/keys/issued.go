package keys

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"hash"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/fixtures/vectors"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mint"
	"github.com/mcpauth/conformance/suites/internal/oauth"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// jwts are the JWTs of a flow, by what they are.
func jwts(t *T) (map[string]string, *oauth.Tokens) {
	scopes := slices.Clone(t.Session.RequestedScopes())
	if supported, _ := t.AS.Server().Metadata.Strings("scopes_supported"); slices.Contains(supported, "openid") {
		scopes = append(scopes, "openid")
	}
	tokens := t.AS.MustGetTokens(Scope(scopes...))
	out := map[string]string{}
	for about, v := range map[string]string{"the access token": tokens.Access, "the ID token": tokens.ID, "the refresh token": tokens.Refresh} {
		if h, _ := oauth.Claims(v); h != nil {
			out[about] = v
		}
	}
	if len(out) == 0 {
		t.NotApplicable("all tokens are opaque")
	}
	return out, tokens
}

func issued() {
	Must("AS-KEYS-JWT-SIGNATURE", func(t *T) {
		found, tokens := jwts(t)
		for about, v := range Sorted(found) {
			h, _ := oauth.Claims(v)
			alg := h.String("alg")
			switch {
			case strings.EqualFold(alg, "none"):
				t.Finding(tokens.Exchange, about, "a signed token", "alg none: anybody can make one")
			case strings.HasPrefix(alg, "HS"):
				t.Advise(tokens.Exchange, "a signature that a public key verifies", "%s: %s, whose secret every resource server must share", about, alg)
			case t.AS.Surveyed().JWKS.Object == nil:
				t.Finding(tokens.Exchange, about, "a jwks_uri with the key of the signature", "no key set was found")
			default:
				err := mint.Verify(t.Context(), v, expect.Keys(t.AS.Surveyed().JWKS.Object))
				if errors.Is(err, mint.ErrUntried) {
					t.Inconclusive("the signature of %s cannot be judged: %v", about, err)
				}
				if err != nil {
					t.Finding(tokens.Exchange, about, "a signature by a published key", err.Error())
				}
			}
		}
	})

	Must("AS-KEYS-NO-WEAK-HMAC", func(t *T) {
		found, tokens := jwts(t)
		any := false
		for about, v := range Sorted(found) {
			h, _ := oauth.Claims(v)
			if !strings.HasPrefix(h.String("alg"), "HS") {
				continue
			}
			any = true
			if n := guess(v, h.String("alg"), guesses(t, tokens)); n >= 0 {
				t.Finding(tokens.Exchange, about, "a secret that nobody can guess", "it is signed with a well-known one: anybody can make tokens")
			}
		}
		if !any {
			t.NotApplicable("no token is signed with a shared secret")
		}
	})

	Must("AS-KEYS-ID-TOKEN", issuesRightIDToken)
}

// OpenID Connect Core section 2 and section 3.1.3.7.
func issuesRightIDToken(t *T) {
	nonce := Random(18)
	id := t.AS.IDToken(With("nonce", nonce))
	if !t.Expect(id, "the ID token").To(expect.BeJWT()) {
		return
	}
	t.Expect(id, "the ID token").To(
		expect.HaveClaim("iss", t.AS.Server().Metadata.String("issuer")),
		expect.IncludeAudience(id.Client),
		expect.HaveClaim("nonce", nonce),
		expect.HaveClaim("sub", expect.NotEmpty),
		expect.ExpireLater(),
	)
}

// guesses are secrets that an attacker would try first.
func guesses(t *T, tokens *oauth.Tokens) []string {
	out := strings.Split(strings.TrimSpace(vectors.WeakSecrets), "\n")
	return append(out, "", tokens.Client.ID, tokens.Client.Secret, t.AS.Server().Issuer, t.Survey.URL.Host, t.Survey.URL.Hostname())
}

// guess returns the number of the secret with which a token is signed, or -1. Nothing is sent.
func guess(token, alg string, secrets []string) int {
	i := strings.LastIndexByte(token, '.')
	signature, err := base64.RawURLEncoding.DecodeString(token[i+1:])
	if err != nil {
		return -1
	}
	function, ok := map[string]func() hash.Hash{"HS256": sha256.New, "HS384": sha512.New384, "HS512": sha512.New}[alg]
	if !ok {
		return -1
	}
	return slices.IndexFunc(secrets, func(secret string) bool {
		m := hmac.New(function, []byte(secret))
		m.Write([]byte(token[:i]))
		return hmac.Equal(m.Sum(nil), signature)
	})
}
