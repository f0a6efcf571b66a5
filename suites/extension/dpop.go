package extension

import (
	"strings"

	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/mint"
	"github.com/mcpauth/conformance/suites/internal/oauth"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// RFC 9449 section 5.
func binding() { Must("AS-DPOP-BINDING", bindsTokensToKeys) }

func bindsTokensToKeys(t *T) {
	algorithms := t.AS.DPoPAlgorithms()
	if len(algorithms) == 0 {
		t.NotApplicable("the metadata has no dpop_signing_alg_values_supported: DPoP is not offered")
	}
	key := ProofKey(algorithms)
	bound(t, key)
	proving := Attempt[ProofEdit]{Name: "a redemption with a proof", Good: expect.IssueTokens(), Send: func(edits ...ProofEdit) any {
		g := t.AS.MustAuthorize()
		ex := t.AS.RedeemWithProof(g, key, edits...)
		t.AS.Tokens(ex, g.Client)
		return ex
	}}
	Refuses(t, proving, wrongProofs(t), expect.RefuseGrant("invalid_dpop_proof"))
	t.Expect(proving.Send(proofClaim("htm", "post")), "htm in lower case").Ideally(expect.RefuseGrant("invalid_dpop_proof"))
	Refuses(t, sendingFields(t, key), wrongFields(t, key, ProofKey(algorithms)), expect.RefuseGrant("invalid_dpop_proof"))
	usesProofsOnce(t, key)
	bindsRefreshTokens(t, key, algorithms)
}

// bound redeems a code with an ordinary proof, and judges that the token is bound to its key.
func bound(t *T, key *mint.Key) *oauth.Tokens {
	g := t.AS.MustAuthorize()
	ex := t.AS.RedeemWithProof(g, key)
	tokens := t.AS.Tokens(ex, g.Client)
	if !t.Expect(ex, "a code redeemed with a DPoP proof").To(expect.IssueTokens()) {
		t.Inconclusive("nothing more can be seen without a token")
	}
	if kind := tokens.Body.String("token_type"); !strings.EqualFold(kind, "DPoP") {
		t.NotApplicable("a token requested with a proof is not bound, as token_type %q says, and as RFC 9449 section 5 allows", kind)
	}
	if _, claims := oauth.Claims(tokens.Access); claims != nil {
		t.Expect(claims.Object("cnf").String("jkt"), "cnf.jkt (RFC 9449 section 6.1)").SeenIn(ex).To(beThumbprint(key))
	}
	return tokens
}

var beThumbprint = expect.Family("beThumbprint", func(key *mint.Key) expect.Matcher {
	return expect.That("the thumbprint of the proof's key", func(is string) string {
		switch is {
		case key.Thumbprint():
			return ""
		case "":
			return "cnf.jkt is absent"
		}
		return is
	})
})

// fields are the DPoP fields of a request, with a nonce if the server asks for one.
type fields func(nonce string) Edit

// ordinaryFields are one proof of a key.
func ordinaryFields(t *T, key *mint.Key) fields {
	return func(nonce string) Edit { return proofField(t.Mint.Proof(key, "POST", t.AS.Server().Token, "", nonce)) }
}

// sendingFields is a redemption with an ordinary proof; an edit replaces its fields.
func sendingFields(t *T, key *mint.Key) Attempt[fields] {
	return Attempt[fields]{Name: "a redemption with a proof", Good: expect.IssueTokens(), Send: func(edits ...fields) any {
		g := t.AS.MustAuthorize()
		ex := t.AS.RedeemWithNonce(g, append(edits, ordinaryFields(t, key))[0])
		t.AS.Tokens(ex, g.Client)
		return ex
	}}
}

func proofField(proof string) Edit { return Header(mcp.Field("DPoP", proof)) }

func proofClaim(name string, v any) ProofEdit {
	return func(_ mint.Header, c mint.Claims) {
		if c[name] = v; v == nil {
			delete(c, name)
		}
	}
}

func made(seconds int64) ProofEdit {
	return func(_ mint.Header, c mint.Claims) { at, _ := c["iat"].(int64); c["iat"] = at + seconds }
}

// wrongProofs have one part that must not be accepted, and the signature of the right key (RFC 9449 section 4.3).
func wrongProofs(t *T) Cases[ProofEdit] {
	private := func(h mint.Header, _ mint.Claims) {
		if jwk, ok := h["jwk"].(map[string]any); ok {
			jwk["d"] = mint.Base64([]byte("a private part of thirty-two byt"))
		}
	}
	return Cases[ProofEdit]{
		{"htm GET", proofClaim("htm", "GET")},
		{"no htm", proofClaim("htm", nil)},
		{"htu of another", proofClaim("htu", Attacker+"token")},
		{"htu of another endpoint", proofClaim("htu", t.AS.Server().Authorization)},
		{"no htu", proofClaim("htu", nil)},
		{"made an hour ago", made(-3600)},
		{"made in an hour", made(3600)},
		{"no iat", proofClaim("iat", nil)},
		{"no jti", proofClaim("jti", nil)},
		{"typ JWT", func(h mint.Header, _ mint.Claims) { h["typ"] = "JWT" }},
		{"a private part", private},
	}
}

// wrongFields are proofs that are wrong in another way. One with a shared secret is complete: its key is the one in its header. All have
// the nonce that the server asks for, which must not be the only reason to refuse them.
func wrongFields(t *T, key, other *mint.Key) Cases[fields] {
	proof := func(k *mint.Key, nonce string) string { return t.Mint.Proof(k, "POST", t.AS.Server().Token, "", nonce) }
	claims := func(nonce string) mint.Claims {
		c := mint.ProofClaims("POST", t.AS.Server().Token, "", Random(12))
		if nonce != "" {
			c["nonce"] = nonce
		}
		return c
	}
	secret := []byte("a shared secret of mcpauth, of 32")
	shared := key.ProofHeader().With("jwk", map[string]any{"kty": "oct", "k": mint.Base64(secret)})
	return Cases[fields]{
		{"two proofs", func(n string) Edit { return Edits(proofField(proof(key, n)), proofField(proof(key, n))) }},
		{"an unsigned proof", func(n string) Edit {
			return proofField(mint.Unsigned(key.ProofHeader().With("alg", "none"), claims(n)))
		}},
		{"alg HS256, with the secret as jwk", func(n string) Edit {
			return proofField(mint.HMACToken("HS256", shared, claims(n), secret))
		}},
		{"signed by another key", func(n string) Edit {
			parts, foreign := strings.Split(proof(key, n), "."), strings.Split(proof(other, n), ".")
			return proofField(parts[0] + "." + parts[1] + "." + foreign[2])
		}},
	}
}

// usesProofsOnce sends one proof with two codes.
func usesProofsOnce(t *T, key *mint.Key) {
	const again = "a second code with the same proof"
	var sent Edit
	first, g := ordinaryFields(t, key), t.AS.MustAuthorize()
	ex := t.AS.RedeemWithNonce(g, func(nonce string) Edit { sent = first(nonce); return sent })
	if t.AS.Tokens(ex, g.Client) == nil {
		t.Leave(again, "the first one is answered with "+expect.Describe(ex))
		return
	}
	t.Expect(t.AS.Redeem(t.AS.MustAuthorize(), sent), again).Ideally(expect.RefuseGrant())
}

// bindsRefreshTokens judges that a public client's refresh token works with its key only. That of a confidential client is bound
// to the client (RFC 9449 section 5).
func bindsRefreshTokens(t *T, key *mint.Key, algorithms []string) {
	tokens := bound(t, key) // a server may have ended the earlier grants of this client and user
	if tokens.Refresh == "" || !tokens.Client.Public() {
		return
	}
	next := t.AS.RefreshWithProof(tokens, key)
	if !t.Expect(next, "a refresh with the proof of its key").Ideally(expect.IssueTokens()) {
		return
	}
	if renewed := t.AS.Tokens(next, tokens.Client); renewed.Refresh != "" {
		tokens = renewed
	}
	codes := []string{"invalid_grant", "invalid_dpop_proof"}
	other := t.AS.RefreshWithProof(tokens, ProofKey(algorithms))
	t.Expect(other, "a refresh with the proof of another key").To(expect.RefuseGrant(codes...))
	t.Expect(t.AS.Refresh(bound(t, key)), "a refresh without a proof").To(expect.RefuseGrant(codes...))
}
