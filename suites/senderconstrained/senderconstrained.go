// Package senderconstrained holds the checks on access tokens that are bound to a key or a certificate of their client.
package senderconstrained

import (
	"net/url"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/mint"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// Register registers the area.
func Register() {
	Describe("RFC 9449: DPoP", possession)
	Describe("RFC 8705: certificate-bound access tokens", certificates)
}

func possession() {
	// RFC 9449 section 7.2: a server that supports both schemes must reject a DPoP-bound token received as a bearer token.
	Must("RS-DPOP-DOWNGRADE", func(t *T) {
		b := proven(t)
		proof := func() string { return t.Mint.Proof(b.Key, "POST", t.Survey.Endpoint, b.Token, b.Nonce) }
		t.Expect(t.Mint.Present(b, "Bearer"), "the bound token as Bearer, without a proof").To(expect.Refuse(401))
		t.Expect(t.Mint.Present(b, "Bearer", proof()), "the bound token as Bearer, with a proof").To(expect.Refuse(401))
		t.Expect(t.Mint.Present(b, "DPoP"), "the bound token without a proof").To(expect.Refuse(400, 401))
		if t.MCP.DPoPRequired() && t.Mint.Trusted() {
			t.Expect(t.MCP.Use(t.Mint.Token(nil)), "an unbound token where dpop_bound_access_tokens_required is true").To(expect.Refuse(401))
		}
	})

	// RFC 9449 section 4.3.
	Must("RS-DPOP-PROOF", func(t *T) {
		b := proven(t)
		for about, edit := range Sorted(wrongProofs(t)) {
			t.Expect(t.Mint.PresentWithProof(b, edit), "%s", about).To(expect.Refuse(400, 401))
		}
		for about, proofs := range Sorted(wrongFields(t, b)) {
			t.Expect(t.Mint.Present(b, "DPoP", proofs...), "%s", about).To(expect.Refuse(400, 401))
		}
		if t.Mint.Trusted() {
			expired := &Bound{Key: b.Key, Nonce: b.Nonce, Token: t.Mint.Token(map[string]any{"cnf": map[string]any{"jkt": b.Key.Thumbprint()}, "exp": 1})}
			t.Expect(t.Mint.PresentWithProof(expired), "an expired token with a fresh proof").To(expect.Refuse(401))
		}
		again := t.Mint.Proof(b.Key, "POST", t.Survey.Endpoint, b.Token, b.Nonce)
		if ex := t.Mint.Present(b, "DPoP", again); t.MCP.Served(ex) {
			t.Expect(t.Mint.Present(b, "DPoP", again), "the same proof twice").Ideally(expect.Refuse(400, 401))
		}
		if host := upper(t.Survey.Endpoint); host != t.Survey.Endpoint {
			t.Expect(t.Mint.PresentWithProof(b, claim("htu", host)), "htu with the host in other case").Ideally(t.MCP.Serve())
		}
	})

	Should("RS-DPOP-CHALLENGE", func(t *T) {
		anonymous := t.MCP.Anonymous()
		c, ok := dpop(anonymous)
		if !ok {
			t.Unmet(anonymous, "a DPoP challenge beside others (RFC 9449 section 7.1)", "none")
			return
		}
		if code, has := c.Param("error"); has {
			t.Unmet(anonymous, "no error where no token was presented", "error=%q", code)
		}
		algorithms(t, anonymous, c)
		nonces(t, anonymous)
		b := t.Mint.BoundToken()
		ex := t.Mint.PresentWithProof(b)
		nonces(t, ex)
		if WantsNonce(ex) {
			t.Unmet(ex, "a proof with the nonce that was asked for to be accepted", "another one is asked for")
			return
		}
		if !t.MCP.Served(ex) {
			t.Inconclusive("a bound token with an ordinary proof is answered with %s", expect.Describe(ex))
		}
		stranger := ProofKey(t.MCP.DPoPAlgorithms())
		wrong := t.Mint.PresentWithProof(b, claim("ath", mint.Base64([]byte("the hash of some other token 32b"))))
		if t.MCP.Served(wrong) {
			return // RS-DPOP-PROOF
		}
		if c, ok := dpop(wrong); !ok {
			t.Unmet(wrong, "a DPoP challenge for a wrong proof", "none, with %s", expect.Describe(wrong))
		} else if code, _ := c.Param("error"); code != "invalid_token" && code != "invalid_dpop_proof" {
			t.Advise(wrong, "error=invalid_dpop_proof or invalid_token for a wrong proof", "error=%q", code)
		}
		nonces(t, t.Mint.Present(b, "DPoP", t.Mint.Proof(stranger, "POST", t.Survey.Endpoint, b.Token, b.Nonce)))
	})
}

// proven is a bound token that the target takes with an ordinary proof.
func proven(t *T) *Bound {
	b := t.Mint.BoundToken()
	if ex := t.Mint.PresentWithProof(b); !t.MCP.Served(ex) {
		t.Inconclusive("the control failed: a bound token with an ordinary proof is answered with %s", expect.Describe(ex))
	}
	t.Controlled()
	return b
}

func claim(name string, value any) ProofEdit {
	return func(_ mint.Header, c mint.Claims) {
		if c[name] = value; value == nil {
			delete(c, name)
		}
	}
}

func header(name string, value any) ProofEdit {
	return func(h mint.Header, _ mint.Claims) { h[name] = value }
}

// wrongProofs have one part that must not be accepted, signed with the right key.
func wrongProofs(t *T) map[string]ProofEdit {
	hour := func(way int64) ProofEdit {
		return func(_ mint.Header, c mint.Claims) {
			made, _ := c["iat"].(int64)
			c["iat"] = made + way*3600
		}
	}
	return map[string]ProofEdit{
		"typ JWT":                       header("typ", "JWT"),
		"htm GET":                       claim("htm", "GET"),
		"htu of another path":           claim("htu", t.Survey.Endpoint+"/other"),
		"htu of another host":           claim("htu", "https://attacker.example"+t.Survey.URL.Path),
		"made an hour ago":              hour(-1),
		"made an hour ahead":            hour(1),
		"without ath":                   claim("ath", nil),
		"ath of another token":          claim("ath", mint.Base64([]byte("the hash of some other token 32b"))),
		"without jti":                   claim("jti", nil),
		"jwk with its private part":     private(),
		"alg none, with a signature":    header("alg", "none"),
		"alg HS256, signed by the key":  header("alg", "HS256"),
		"without iat":                   claim("iat", nil),
		"without htu":                   claim("htu", nil),
		"htm in the wrong type":         claim("htm", []string{"POST"}),
		"jwk of another key":            header("jwk", mint.NewKey("").PublicJWK()),
		"jwk as a text":                 header("jwk", "https://attacker.example/key"),
		"without jwk":                   func(h mint.Header, _ mint.Claims) { delete(h, "jwk") },
		"an unknown critical extension": func(h mint.Header, _ mint.Claims) { h["crit"], h["mcpauth"] = []string{"mcpauth"}, true },
	}
}

// private puts a private member into the key of the header (RFC 9449 section 4.3, item 7).
func private() ProofEdit {
	return func(h mint.Header, _ mint.Claims) {
		if jwk, ok := h["jwk"].(map[string]any); ok {
			jwk["d"] = mint.Base64([]byte("a private part of thirty-two byt"))
		}
	}
}

// wrongFields are proofs that are wrong in another way than by one claim.
func wrongFields(t *T, b *Bound) map[string][]string {
	proof := func(key *mint.Key) string { return t.Mint.Proof(key, "POST", t.Survey.Endpoint, b.Token, b.Nonce) }
	good := proof(b.Key)
	parts := strings.SplitN(proof(b.Key), ".", 3)
	h := b.Key.ProofHeader().With("alg", "none")
	nested := mint.JSON(map[string]any{"protected": parts[0], "payload": parts[1], "signature": parts[2]})
	return map[string][]string{
		"a proof by another key":               {proof(ProofKey(t.MCP.DPoPAlgorithms()))},
		"two proofs":                           {good, proof(b.Key)},
		"an unsigned proof":                    {mint.Unsigned(h, mint.ProofClaims("POST", t.Survey.Endpoint, b.Token, Random(12)))},
		"a proof with another one's signature": {strings.Join([]string{parts[0], parts[1], good[strings.LastIndexByte(good, '.')+1:]}, ".")},
		"a proof in JSON":                      {nested},
		"no JWT for a proof":                   {"mcpauth"},
	}
}

// upper is an address with its host in upper case.
func upper(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	u.Host = strings.ToUpper(u.Host)
	return u.String()
}

// dpop is the DPoP challenge of an answer.
func dpop(ex *reports.Exchange) (c document.Challenge, ok bool) {
	for _, c := range expect.Challenges(ex) {
		if strings.EqualFold(c.Scheme, "DPoP") {
			return c, true
		}
	}
	return c, false
}

func algorithms(t *T, ex *reports.Exchange, c document.Challenge) {
	named, has := c.Param("algs")
	if !has {
		t.Advise(ex, "algs in the DPoP challenge", "it is absent")
	}
	for _, a := range strings.Fields(named) {
		switch {
		case a == "none" || strings.HasPrefix(a, "HS"):
			t.Unmet(ex, "asymmetric algorithms only (RFC 9449 section 4.3)", "%s in algs", a)
		case len(t.MCP.DPoPAlgorithms()) > 0 && !slices.Contains(t.MCP.DPoPAlgorithms(), a):
			t.Unmet(ex, "in algs what dpop_signing_alg_values_supported lists", "%s", a)
		}
	}
}

// nonces judges the DPoP-Nonce fields of an answer (RFC 9449 section 8).
func nonces(t *T, ex *reports.Exchange) {
	values := expect.HeaderValues(ex, "DPoP-Nonce")
	if len(values) > 1 {
		t.Unmet(ex, "one DPoP-Nonce field", "%d", len(values))
	}
	for _, v := range values {
		if strings.Trim(v, "0123456789") == "" {
			t.Unmet(ex, "a nonce that cannot be predicted", "it is a bare number")
		}
	}
	if control := strings.ToLower(expect.Header(ex, "Cache-Control")); len(values) > 0 && !strings.Contains(control, "no-store") && !strings.Contains(control, "no-cache") && expect.Status(ex) == 200 {
		t.Advise(ex, "an answer with a nonce that is not cached", "Cache-Control %q", control)
	}
}

func certificates() {
	// RFC 8705 section 3: "the protected resource ... MUST verify that the certificate matches".
	Must("RS-MTLS-BINDING", func(t *T) {
		own, other := Certificate(), Certificate()
		token := t.Mint.CertificateBoundToken(own)
		if ex := t.MCP.UseWithCertificate(own, token); !t.MCP.Served(ex) {
			t.Inconclusive("the control failed: a bound token over its own certificate is answered with %s", expect.Describe(ex))
		}
		t.Controlled()
		t.Expect(t.MCP.UseWithCertificate(other, token), "over another certificate").To(expect.Refuse(401))
		t.Expect(t.MCP.UseWithCertificate(nil, token), "without a certificate").To(expect.Refuse(401))
		pem := InPEM(own)
		for about, field := range Sorted(map[string]reports.Field{
			"X-SSL-Client-Cert":       mcp.Field("X-SSL-Client-Cert", url.QueryEscape(pem)),
			"X-Forwarded-Client-Cert": mcp.Field("X-Forwarded-Client-Cert", `Cert="`+url.QueryEscape(pem)+`"`),
			"Client-Cert":             mcp.Field("Client-Cert", ":"+strings.Join(strings.Split(pem, "\n")[1:len(strings.Split(pem, "\n"))-2], "")+":"),
			"X-Client-Cert":           mcp.Field("X-Client-Cert", url.QueryEscape(pem)),
		}) {
			t.Expect(t.MCP.UseWithCertificate(nil, token, field), "with the certificate in %s only", about).To(expect.Refuse(401))
			t.Expect(t.MCP.UseWithCertificate(other, token, field), "over another certificate, with its own in %s", about).To(expect.Refuse(401))
		}
	})
}
