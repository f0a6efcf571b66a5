package check

import (
	"maps"

	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mint"
)

// RefusedOfSecond expects the target to refuse tokens of the second issuer with each edit, where it serves an ordinary one. A server may
// verify the tokens of each issuer in code of its own. Without a second issuer there is nothing to expect.
func (t Minter) RefusedOfSecond(rows Cases[TokenEdit]) {
	if t.SecondIssuer != nil {
		Refuses(t.T, t.ofSecond(t.bySecond), rows, expect.Refuse(401))
	}
}

// RefusedUnsignedOfSecond is RefusedOfSecond for a token without a signature.
func (t Minter) RefusedUnsignedOfSecond(row string) {
	if t.SecondIssuer == nil {
		if len(t.Survey.Servers) > 1 {
			Untried(t.T, "a token of another issuer", "a second issuer that the target trusts (second_idp in the target file)")
		}
		return
	}
	good := t.ofSecond(func(h mint.Header, c mint.Claims) string {
		if h["alg"] == "none" {
			return mint.Unsigned(h, c)
		}
		return t.bySecond(h, c)
	})
	Refuses(t.T, good, Cases[TokenEdit]{{row, HeaderParameter("alg", "none")}}, expect.Refuse(401))
}

// ofSecond returns the protected request with an ordinary token of the second issuer.
func (t Minter) ofSecond(sign func(h mint.Header, c mint.Claims) string) Attempt[TokenEdit] {
	return Attempt[TokenEdit]{Name: "an ordinary token of the second issuer", Good: expect.BeServed(), Send: func(edits ...TokenEdit) any {
		h := mint.Header(maps.Clone(t.SecondIssuer.Header()))
		c := mint.Claims(maps.Clone(t.SecondIssuer.Claims("alice", t.MCP.OrdinaryScopes())))
		for _, e := range edits {
			e(h, c)
		}
		return t.MCP.Use(sign(h, c))
	}}
}

// bySecond signs a token with the key of the second issuer.
func (t Minter) bySecond(h mint.Header, c mint.Claims) string {
	return t.SignedByIssuer(t.SecondIssuer, h, c)
}

// SignedByIssuer returns a token signed by an issuer, and keeps the signature out of reports.
func (t Minter) SignedByIssuer(issuer Issuer, h mint.Header, c mint.Claims) string {
	input := mint.Input(h, c)
	signature, err := issuer.Signature([]byte(input))
	if err != nil {
		t.Inconclusive("an issuer cannot sign: %v", err)
	}
	s := mint.Base64(signature)
	t.Secrets.Add("signature", s)
	return input + "." + s
}
