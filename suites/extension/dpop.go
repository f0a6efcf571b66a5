package extension

import (
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/mint"
	"github.com/mcpauth/conformance/suites/internal/oauth"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// RFC 9449 section 5.
func binding() {
	Must("AS-DPOP-BINDING", func(t *T) {
		algorithms := t.AS.DPoPAlgorithms()
		if len(algorithms) == 0 {
			t.NotApplicable("the metadata has no dpop_signing_alg_values_supported: DPoP is not offered")
		}
		key := ProofKey(algorithms)
		tokens := bound(t, key)
		for about, edit := range Sorted(wrongProofs()) {
			t.RefusedWith(t.AS.RedeemWithProof(t.AS.MustAuthorize(), key, edit), about, "invalid_dpop_proof")
		}
		for about, proofs := range Sorted(wrongFields(t, key, ProofKey(algorithms))) {
			t.RefusedWith(t.AS.Redeem(t.AS.MustAuthorize(), proofs...), about, "invalid_dpop_proof", "use_dpop_nonce")
		}
		again := t.Mint.Proof(key, "POST", t.AS.Server().Token, "", "")
		if first := t.AS.Redeem(t.AS.MustAuthorize(), proofField(again)); t.AS.Tokens(first, tokens.Client) != nil {
			if second := t.AS.Redeem(t.AS.MustAuthorize(), proofField(again)); t.AS.Tokens(second, tokens.Client) != nil {
				t.Advise(second, "a proof to be used once", "a second code is redeemed with the same proof")
			}
		}
		refreshes(t, key, tokens, algorithms)
	})
}

// bound redeems a code with an ordinary proof, and judges that the token is bound to its key.
func bound(t *T, key *mint.Key) *oauth.Tokens {
	g := t.AS.MustAuthorize()
	ex := t.AS.RedeemWithProof(g, key)
	tokens := t.AS.Tokens(ex, g.Client)
	if tokens == nil {
		t.Unmet(ex, "a token for a code redeemed with a DPoP proof", "%s %s", expect.Describe(ex), oauth.ErrorCode(ex))
		t.Inconclusive("nothing more can be seen without a token")
	}
	t.Controlled()
	if kind := tokens.Body.String("token_type"); !strings.EqualFold(kind, "DPoP") {
		t.NotApplicable("a token requested with a proof is not bound, as token_type %q says, and as RFC 9449 section 5 allows", kind)
	}
	if _, claims := oauth.Claims(tokens.Access); claims != nil {
		if is := claims.Object("cnf").String("jkt"); is != key.Thumbprint() {
			t.Unmet(ex, "the thumbprint of the proof's key in cnf.jkt (RFC 9449 section 6.1)", "%q", is)
		}
	}
	return tokens
}

func proofField(proof string) Edit { return Header(mcp.Field("DPoP", proof)) }

// wrongProofs have one part that must not be accepted, signed with the right key (RFC 9449 section 4.3).
func wrongProofs() map[string]ProofEdit {
	return map[string]ProofEdit{
		"htm GET":          func(_ mint.Header, c mint.Claims) { c["htm"] = "GET" },
		"htu of another":   func(_ mint.Header, c mint.Claims) { c["htu"] = Attacker + "token" },
		"made an hour ago": func(_ mint.Header, c mint.Claims) { made, _ := c["iat"].(int64); c["iat"] = made - 3600 },
		"typ JWT":          func(h mint.Header, _ mint.Claims) { h["typ"] = "JWT" },
		"alg HS256":        func(h mint.Header, _ mint.Claims) { h["alg"] = "HS256" },
		"a private part": func(h mint.Header, _ mint.Claims) {
			if jwk, ok := h["jwk"].(map[string]any); ok {
				jwk["d"] = mint.Base64([]byte("a private part of thirty-two byt"))
			}
		},
	}
}

// wrongFields are proofs that are wrong in another way.
func wrongFields(t *T, key, other *mint.Key) map[string][]Edit {
	proof := func(k *mint.Key) string { return t.Mint.Proof(k, "POST", t.AS.Server().Token, "", "") }
	parts := strings.Split(proof(key), ".")
	foreign := strings.Split(proof(other), ".")
	return map[string][]Edit{
		"two proofs":            {proofField(proof(key)), proofField(proof(key))},
		"an unsigned proof":     {proofField(mint.Unsigned(key.ProofHeader().With("alg", "none"), mint.ProofClaims("POST", t.AS.Server().Token, "", Random(12))))},
		"signed by another key": {proofField(parts[0] + "." + parts[1] + "." + foreign[2])},
	}
}

// refreshes judges that a public client's refresh token works with its key only.
func refreshes(t *T, key *mint.Key, tokens *oauth.Tokens, algorithms []string) {
	if tokens.Refresh == "" || !tokens.Client.Public() {
		return // the refresh token of a confidential client is bound to the client (RFC 9449 section 5)
	}
	if next := t.AS.Tokens(t.AS.RefreshWithProof(tokens, key), tokens.Client); next != nil && next.Refresh != "" {
		tokens = next
	}
	judge := func(about string, ex *reports.Exchange) {
		t.RefusedWith(ex, about, "invalid_grant", "invalid_dpop_proof")
	}
	judge("a refresh with the proof of another key", t.AS.RefreshWithProof(tokens, ProofKey(algorithms)))
	fresh := bound(t, key)
	judge("a refresh without a proof", t.AS.Refresh(fresh))
}
