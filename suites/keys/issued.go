package keys

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/fixtures/vectors"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mint"
	"github.com/mcpauth/conformance/suites/internal/oauth"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// issued is a JWT of a token response.
type issued struct {
	kind           string
	text           string
	header, claims *document.Object
	tokens         *oauth.Tokens
}

// Evidence is the exchange with the token.
func (i issued) Evidence() *reports.Exchange { return i.tokens.Exchange }

func (i issued) alg() string { return i.header.String("alg") }

func (i issued) isSymmetric() bool { return strings.HasPrefix(i.alg(), "HS") }

// eachIssuedJWT judges the JWTs of an ordinary flow, of one with the scope openid where the server offers it, of a refresh, and of a client
// that acts for itself.
func eachIssuedJWT(t *T, judge func(t *T, j issued)) {
	flow := func(edits ...Edit) func(t *T) *oauth.Tokens {
		return func(t *T) *oauth.Tokens { return t.AS.MustGetTokens(edits...) }
	}
	grants := Cases[func(t *T) *oauth.Tokens]{{"an ordinary flow", flow()}}
	if t.AS.Lists("scopes_supported", "openid") {
		grants = grants.And("a flow with openid", flow(Scope(append(slices.Clone(t.Session.RequestedScopes()), "openid")...)))
	}
	grants = grants.And("a refresh", refreshed)
	switch {
	case len(t.Session.Machines()) > 0:
		grants = grants.And("client_credentials", forItself)
	case t.AS.Lists("grant_types_supported", "client_credentials"):
		Untried(t, "the tokens of client_credentials", "a client that acts for itself (machine in the target file)")
	}
	Each(t, grants, func(t *T, tokens func(t *T) *oauth.Tokens) {
		jwts := jwtsOf(tokens(t))
		if len(jwts) == 0 {
			t.NotApplicable("all tokens are opaque")
		}
		Each(t, jwts, judge)
	})
}

// refreshed are the tokens that a refresh brings.
func refreshed(t *T) *oauth.Tokens {
	return t.AS.MustRefresh(t.AS.MustGetRefreshToken())
}

// forItself are the tokens of a client that acts for itself.
func forItself(t *T) *oauth.Tokens {
	c := t.Session.Machines()[0]
	ex := t.AS.RequestForItself(c)
	tokens := t.AS.Tokens(ex, c)
	if tokens == nil {
		t.NotApplicable("client_credentials are answered with %s (AS-CC-SECRET-FLOW)", expect.Describe(ex))
	}
	return tokens
}

func jwtsOf(tokens *oauth.Tokens) Cases[issued] {
	var out Cases[issued]
	for _, j := range []issued{
		{kind: accessToken, text: tokens.Access}, {kind: idToken, text: tokens.ID}, {kind: refreshToken, text: tokens.Refresh},
	} {
		if j.header, j.claims = oauth.Claims(j.text); j.header != nil {
			j.tokens = tokens
			out = out.And(j.kind, j)
		}
	}
	return out
}

const accessToken, idToken, refreshToken = "the access token", "the ID token", "the refresh token"

// Only the server itself reads a refresh token: it may protect one in any way, as long as others cannot make one.
func signsVerifiably(t *T) {
	eachIssuedJWT(t, func(t *T, j issued) {
		if !t.Expect(j).To(beSigned()) || j.kind == refreshToken {
			return
		}
		verified := verify(t, j)
		switch {
		case j.kind == idToken:
			t.Expect(j).To(useNoSecretOfPublicClient(), haveGenuineSignature(verified))
			t.Expect(j).Ideally(nameNoKeyItself(), useListedAlgorithm(t.AS.Surveyed().Merged()))
		case j.isSymmetric():
			t.Expect(j).Ideally(useNoSharedSecret())
		case isProfiled(j) && t.AS.Surveyed().JWKS.Found(): // RFC 9068 section 4: verified by the keys of the server
			t.Expect(j).To(haveGenuineSignature(verified))
		default:
			t.Expect(j).Ideally(haveGenuineSignature(verified))
		}
	})
}

// isProfiled reports that an access token claims the profile of RFC 9068.
func isProfiled(j issued) bool {
	return strings.EqualFold(strings.TrimPrefix(strings.ToLower(j.header.String("typ")), "application/"), "at+jwt")
}

// verify verifies a signature with the published keys, and fetches them again if that fails, because keys rotate.
func verify(t *T, j issued) error {
	if j.isSymmetric() {
		if j.tokens.Client.Secret == "" || guess(j.text, j.alg(), []string{j.tokens.Client.Secret}) >= 0 {
			return nil
		}
		return errors.New("the client's secret does not verify it (OpenID Connect Core section 10.1)")
	}
	set := t.AS.Surveyed().JWKS
	if set.URL == "" {
		return verifyUnlisted(t, j)
	}
	err := mint.Verify(t.Context(), j.text, expect.Keys(set.Object))
	if err != nil {
		fresh, _, problem := document.ParseObject(expect.Body(t.Get(set.URL)))
		if problem != nil {
			t.Inconclusive("the key set cannot be read: %v (AS-KEYS-JWKS-SHAPE)", problem)
		}
		err = mint.Verify(t.Context(), j.text, expect.Keys(fresh))
	}
	if errors.Is(err, mint.ErrUntried) {
		t.Inconclusive("the signature cannot be judged: %v", err)
	}
	return err
}

// verifyUnlisted verifies a signature where the metadata has no jwks_uri, with the key at the usual place that the token names. A set there
// shows something about a token only if iss is the issuer, and kid a key of the set.
func verifyUnlisted(t *T, j issued) error {
	unknown := errors.New("the metadata has no jwks_uri, so the key cannot be found")
	issuer, kid := t.AS.Server().Issuer, j.header.String("kid")
	if kid == "" || j.claims.String("iss") != issuer {
		return unknown
	}
	ex := t.Get(strings.TrimSuffix(issuer, "/") + placesOfKeys[0])
	if why := expect.NoAnswer(ex); why != "" {
		t.Inconclusive("the metadata has no jwks_uri, and the usual place of keys gives no answer: %s", why)
	}
	set, _, problem := document.ParseObject(expect.Body(ex))
	if expect.Status(ex) != 200 || problem != nil {
		return unknown
	}
	named := slices.DeleteFunc(expect.Keys(set), func(k *document.Object) bool { return k.String("kid") != kid })
	if len(named) == 0 {
		return unknown
	}
	err := mint.Verify(t.Context(), j.text, named)
	switch {
	case errors.Is(err, mint.ErrUntried):
		t.Inconclusive("the signature cannot be judged: %v", err)
	case err == nil:
		t.Note("the metadata has no jwks_uri: a key at %s, where clients do not look for it, verifies %s", placesOfKeys[0], j.kind)
	}
	return err
}

// ofToken is a matcher of an issued JWT.
func ofToken(expected string, problem func(j issued) string) expect.Matcher {
	return expect.That(expected, problem)
}

func beSigned() expect.Matcher {
	return ofToken("a signed token (RFC 8725 section 3.2)", func(j issued) string {
		if strings.EqualFold(j.alg(), "none") || strings.HasSuffix(j.text, ".") {
			return fmt.Sprintf("alg is %q, and the signature is empty or means nothing: anybody can make such tokens", j.alg())
		}
		return ""
	})
}

var haveGenuineSignature = expect.Family("haveGenuineSignature", func(verified error) expect.Matcher {
	return ofToken("a signature by a key of jwks_uri", func(issued) string {
		if verified != nil {
			return verified.Error()
		}
		return ""
	})
})

// OpenID Connect Core section 10.1: "Symmetric signatures MUST NOT be used by public (non-confidential) Clients".
func useNoSecretOfPublicClient() expect.Matcher {
	return ofToken("a signature that a public client can verify (OpenID Connect Core section 10.1)", func(j issued) string {
		if j.isSymmetric() && j.tokens.Client.Secret == "" {
			return "alg is " + j.alg() + ", and the client has no secret"
		}
		return ""
	})
}

// RFC 9068 section 2.1: "use of asymmetric cryptography is RECOMMENDED".
func useNoSharedSecret() expect.Matcher {
	return ofToken("a signature that a public key verifies (RFC 9068 section 2.1)", func(j issued) string {
		return "alg is " + j.alg() + ": every resource server has to hold the secret with which tokens are made"
	})
}

// OpenID Connect Core section 2: these SHOULD NOT be in an ID token.
func nameNoKeyItself() expect.Matcher {
	return ofToken("no jku, jwk, x5u or x5c (OpenID Connect Core section 2)", func(j issued) string {
		for _, name := range []string{"jku", "jwk", "x5u", "x5c"} {
			if _, present := j.header.Get(name); present {
				return "the header has " + name
			}
		}
		return ""
	})
}

var useListedAlgorithm = expect.Family("useListedAlgorithm", func(metadata *document.Object) expect.Matcher {
	list, _ := metadata.Strings("id_token_signing_alg_values_supported")
	return ofToken("an algorithm of id_token_signing_alg_values_supported", func(j issued) string {
		if len(list) > 0 && !slices.Contains(list, j.alg()) {
			return fmt.Sprintf("alg is %q, and %q is listed", j.alg(), list)
		}
		return ""
	})
})

func signsWithNoGuessableSecret(t *T) {
	eachIssuedJWT(t, func(t *T, j issued) {
		if !j.isSymmetric() {
			t.NotApplicable("it is not signed with a shared secret")
		}
		t.Expect(j).To(useNoneOf(guesses(t, j)))
	})
}

// A client knows its own secret, and could forge access tokens of others with it. A server may sign ID tokens with that secret.
func guesses(t *T, j issued) []string {
	out := strings.Split(strings.TrimSpace(vectors.WeakSecrets), "\n")
	out = append(out, "", j.tokens.Client.ID, t.AS.Server().Issuer, t.Survey.URL.Host, t.Survey.URL.Hostname())
	if j.kind != idToken && j.tokens.Client.Secret != "" {
		out = append(out, j.tokens.Client.Secret)
	}
	for _, k := range expect.Keys(t.AS.Surveyed().JWKS.Object) {
		for _, s := range mint.Spellings(k) {
			out = append(out, string(s.Secret))
		}
	}
	return out
}

var useNoneOf = expect.Family("useNoneOf", func(secrets []string) expect.Matcher {
	return ofToken("a secret that cannot be guessed (RFC 8725 section 3.5)", func(j issued) string {
		if guess(j.text, j.alg(), secrets) >= 0 {
			return "alg is " + j.alg() + ", and the secret is one of guides and examples, or is public: anybody can make tokens"
		}
		return ""
	})
})

// guess returns the number of the secret with which a token is signed, or -1. Nothing is sent.
func guess(token, alg string, secrets []string) int {
	i := strings.LastIndexByte(token, '.')
	signature, err := base64.RawURLEncoding.DecodeString(token[i+1:])
	function, known := map[string]func() hash.Hash{"HS256": sha256.New, "HS384": sha512.New384, "HS512": sha512.New}[alg]
	if err != nil || !known {
		return -1
	}
	return slices.IndexFunc(secrets, func(secret string) bool {
		m := hmac.New(function, []byte(secret))
		m.Write([]byte(token[:i]))
		return hmac.Equal(m.Sum(nil), signature)
	})
}

// OpenID Connect Core section 2 and section 3.1.3.7.
func issuesRightIDToken(t *T) {
	nonce := Random(18)
	id := t.AS.IDToken(With("nonce", nonce))
	seen := t.Expect(id, "the ID token")
	if !seen.To(expect.BeJWT()) {
		return
	}
	seen.To(
		expect.HaveClaim("iss", t.AS.Server().Named()),
		expect.IncludeAudience(id.Client),
		expect.HaveClaim("nonce", nonce),
		expect.HaveClaim("sub", expect.NotEmpty),
		expect.HaveClaim("iat", expect.ANumber),
		expect.ExpireLater(),
		hashItsAccessToken(),
	)
	seen.Ideally(nameItsClient())
	t.Expect(t.AS.IDToken(), "the ID token of a request without a nonce, which is optional").To(expect.BeJWT())
}

// OpenID Connect Core section 3.1.3.6: at_hash is the left half of the hash, by the hash algorithm of alg. No specification says which
// one for EdDSA.
var hashItsAccessToken = expect.Family("hashItsAccessToken", func() expect.Matcher {
	return expect.That("an at_hash of the access token, if there is one", func(id expect.JWT) string {
		claimed := id.Claims.String("at_hash")
		alg := id.Header.String("alg")
		function, known := map[string]func() hash.Hash{"256": sha256.New, "384": sha512.New384, "512": sha512.New}[alg[max(0, len(alg)-3):]]
		tokens := oauth.ReadTokens(id.From)
		if claimed == "" || !known || tokens == nil {
			return ""
		}
		h := function()
		h.Write([]byte(tokens.Access))
		if sum := h.Sum(nil); claimed != base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2]) {
			return "at_hash is not the hash of the access token"
		}
		return ""
	})
})

// OpenID Connect Core section 3.1.3.7: if azp is there, clients SHOULD verify that it is their client_id.
var nameItsClient = expect.Family("nameItsClient", func() expect.Matcher {
	return expect.That("the client_id in azp, if there is an azp", func(id expect.JWT) string {
		if azp := id.Claims.String("azp"); azp != "" && azp != id.Client {
			return "azp is " + azp
		}
		return ""
	})
})
