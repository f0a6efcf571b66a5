// Package senderconstrained contains the checks on access tokens that are bound to a key or a certificate of their client.
package senderconstrained

import (
	"crypto/tls"
	"net/url"
	"slices"
	"strconv"
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
	Must("RS-DPOP-DOWNGRADE", refusesDowngrade)
	Must("RS-DPOP-PROOF", checksWholeProof)
	Should("RS-DPOP-CHALLENGE", challengesForProofs)
}

func certificates() { Must("RS-MTLS-BINDING", bindsToCertificate) }

// presentation is a way to send a bound token.
type presentation func(b *Bound) *reports.Exchange

// bound is the protected request with a bound token and an ordinary proof; an edit replaces the way in which the token is sent.
func bound(t *T, b *Bound) Attempt[presentation] {
	t.Mint.PresentWithProof(b) // mcpauth learns the nonce here, if the server asks for one
	return Attempt[presentation]{Name: "a bound token with an ordinary proof", Good: expect.BeServed(), Send: func(edits ...presentation) any {
		for _, present := range edits {
			return present(b)
		}
		return t.Mint.PresentWithProof(b)
	}}
}

// under sends the token under a scheme, with proofs that contain a nonce.
func under(t *T, scheme string, proofs ...func(nonce string) string) presentation {
	return func(b *Bound) *reports.Exchange {
		return t.Mint.PresentProofs(b, scheme, func(nonce string) (out []string) {
			for _, proof := range proofs {
				out = append(out, proof(nonce))
			}
			return out
		})
	}
}

// proofBy is an ordinary proof of a key.
func proofBy(t *T, b *Bound, key *mint.Key) func(nonce string) string {
	return func(nonce string) string { return t.Mint.Proof(key, "POST", t.Survey.Endpoint, b.Token, nonce) }
}

// RFC 9449 section 7.2: a server that supports both schemes must reject a DPoP-bound token received as a bearer token.
func refusesDowngrade(t *T) {
	b := t.Mint.BoundToken()
	good := bound(t, b)
	Refuses(t, good, Cases[presentation]{
		{"the bound token as Bearer, without a proof", under(t, "Bearer")},
		{"the bound token as Bearer, with a proof", under(t, "Bearer", proofBy(t, b, b.Key))},
	}, expect.Refuse(401))
	Refuses(t, good, Cases[presentation]{{"the bound token without a proof", under(t, "DPoP")}}, expect.Refuse(400, 401))
	if t.MCP.DPoPRequired() && t.Mint.Trusted() {
		t.Expect(t.MCP.Use(t.Mint.Token(nil)), "an unbound token where dpop_bound_access_tokens_required is true").To(expect.Refuse(401))
	}
}

// RFC 9449 section 4.3.
func checksWholeProof(t *T) {
	b := t.Mint.BoundToken()
	good := bound(t, b)
	rows := wrongFields(t, b)
	for _, r := range wrongProofs(t) {
		rows = rows.And(r.Name, func(b *Bound) *reports.Exchange { return t.Mint.PresentWithProof(b, r.Value) })
	}
	Refuses(t, good, rows, expect.Refuse(400, 401))
	if t.Mint.Trusted() {
		late := map[string]any{"cnf": map[string]any{"jkt": b.Key.Thumbprint()}, "exp": 1}
		expired := &Bound{Key: b.Key, Nonce: b.Nonce, Token: t.Mint.Token(late)}
		t.Expect(t.Mint.PresentWithProof(expired), "an expired token with a fresh proof").To(expect.Refuse(401))
	}
	again := ""
	first := under(t, "DPoP", func(nonce string) string { again = proofBy(t, b, b.Key)(nonce); return again })
	if t.MCP.Served(first(b)) {
		t.Expect(t.Mint.Present(b, "DPoP", again), "the same proof twice").Ideally(expect.Refuse(400, 401))
	}
	if host := upper(t.Survey.Endpoint); host != t.Survey.Endpoint {
		t.Expect(t.Mint.PresentWithProof(b, claim("htu", host)), "htu with the host in other case").Ideally(t.MCP.Serve())
	}
}

func challengesForProofs(t *T) {
	anonymous := t.MCP.Anonymous()
	if !t.Expect(anonymous, "without a token").To(expect.HaveChallengeOf("DPoP")) {
		return
	}
	t.Expect(anonymous, "without a token").To(nameNoError)
	algorithms(t, anonymous)
	nonces(t, anonymous)
	b := t.Mint.BoundToken()
	ex := t.Mint.PresentWithProof(b)
	nonces(t, ex)
	if !t.Expect(ex, "a proof with the nonce that was asked for").To(askForNoOtherNonce) {
		return
	}
	if !t.MCP.Served(ex) {
		t.Inconclusive("a bound token with an ordinary proof is answered with %s", expect.Describe(ex))
	}
	challengesForWrongProofs(t, b)
}

func challengesForWrongProofs(t *T, b *Bound) {
	wrong := t.Mint.PresentWithProof(b, claim("ath", mint.Base64([]byte("the hash of some other token 32b"))))
	if t.MCP.Served(wrong) {
		t.Note("a proof for another token is served, which RS-DPOP-PROOF judges")
		return
	}
	if t.Expect(wrong, "a proof for another token").To(expect.HaveChallengeOf("DPoP")) {
		t.Expect(wrong, "a proof for another token").Ideally(nameProofError)
	}
	stranger := ProofKey(t.MCP.DPoPAlgorithms())
	nonces(t, t.Mint.Present(b, "DPoP", t.Mint.Proof(stranger, "POST", t.Survey.Endpoint, b.Token, b.Nonce)))
}

// RFC 6750 section 3.1: no error code where no token was presented.
var nameNoError = expect.That("a challenge without error", func(ex *reports.Exchange) string {
	c, _ := dpop(ex)
	if code, has := c.Param("error"); has {
		return "error=" + strconv.Quote(code)
	}
	return ""
})

var nameProofError = expect.That("error=invalid_dpop_proof or invalid_token", func(ex *reports.Exchange) string {
	c, _ := dpop(ex)
	if code, _ := c.Param("error"); code != "invalid_token" && code != "invalid_dpop_proof" {
		return "error=" + strconv.Quote(code)
	}
	return ""
})

var askForNoOtherNonce = expect.That("the proof accepted, or refused for another reason", func(ex *reports.Exchange) string {
	if WantsNonce(ex) {
		return "another nonce is asked for"
	}
	return ""
})

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

// madeLater moves the time at which a proof was made, by seconds.
func madeLater(seconds int64) ProofEdit {
	return func(_ mint.Header, c mint.Claims) {
		made, _ := c["iat"].(int64)
		c["iat"] = made + seconds
	}
}

// wrongProofs have one part that must not be accepted, and the signature of the right key.
func wrongProofs(t *T) Cases[ProofEdit] {
	return Cases[ProofEdit]{
		{"typ JWT", header("typ", "JWT")},
		{"htm GET", claim("htm", "GET")},
		{"htm as a list", claim("htm", []string{"POST"})},
		{"htu of another path", claim("htu", t.Survey.URL.Scheme+"://"+t.Survey.URL.Host+t.Survey.URL.EscapedPath()+"/other")},
		{"htu of another host", claim("htu", t.Survey.URL.Scheme+"://attacker.example"+t.Survey.URL.Path)},
		{"without htu", claim("htu", nil)},
		{"made an hour ago", madeLater(-3600)},
		{"made an hour ahead", madeLater(3600)},
		{"without iat", claim("iat", nil)},
		{"without ath", claim("ath", nil)},
		{"ath of another token", claim("ath", mint.Base64([]byte("the hash of some other token 32b")))},
		{"without jti", claim("jti", nil)},
		{"jwk with its private part", private()},
		{"jwk of another key", header("jwk", mint.NewKey("").PublicJWK())},
		{"jwk as a text", header("jwk", "https://attacker.example/key")},
		{"without jwk", func(h mint.Header, _ mint.Claims) { delete(h, "jwk") }},
		{"alg none, with a signature", header("alg", "none")},
		{"alg HS256, signed by the key", header("alg", "HS256")},
		{"an unknown critical extension", func(h mint.Header, _ mint.Claims) { h["crit"], h["mcpauth"] = []string{"mcpauth"}, true }},
	}
}

// private adds a private member to the key of the header (RFC 9449 section 4.3, item 7).
func private() ProofEdit {
	return func(h mint.Header, _ mint.Claims) {
		if jwk, ok := h["jwk"].(map[string]any); ok {
			jwk["d"] = mint.Base64([]byte("a private part of thirty-two byt"))
		}
	}
}

// wrongFields are proofs that are wrong in another way than by one claim.
func wrongFields(t *T, b *Bound) Cases[presentation] {
	proof := proofBy(t, b, b.Key)
	split := func(nonce string) []string { return strings.SplitN(proof(nonce), ".", 3) }
	other := ProofKey(t.MCP.DPoPAlgorithms())
	return Cases[presentation]{
		{"a proof by another key", under(t, "DPoP", proofBy(t, b, other))},
		{"two proofs", under(t, "DPoP", proof, proof)},
		{"an unsigned proof", under(t, "DPoP", unsigned(t, b))},
		{"a proof with the signature of another one", under(t, "DPoP", func(nonce string) string {
			one, another := split(nonce), split(nonce)
			return one[0] + "." + one[1] + "." + another[2]
		})},
		{"a proof in JSON", under(t, "DPoP", func(nonce string) string {
			parts := split(nonce)
			return mint.JSON(map[string]any{"protected": parts[0], "payload": parts[1], "signature": parts[2]})
		})},
		{"a proof that is not a JWT", under(t, "DPoP", func(string) string { return "mcpauth" })},
	}
}

// unsigned is a proof with alg none.
func unsigned(t *T, b *Bound) func(nonce string) string {
	return func(nonce string) string {
		c := mint.ProofClaims("POST", t.Survey.Endpoint, b.Token, Random(12))
		if nonce != "" {
			c["nonce"] = nonce
		}
		return mint.Unsigned(b.Key.ProofHeader().With("alg", "none"), c)
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

func algorithms(t *T, ex *reports.Exchange) {
	c, _ := dpop(ex)
	named, has := c.Param("algs")
	t.Expect(has).SeenIn(ex).Ideally(nameAlgorithms)
	for _, a := range strings.Fields(named) {
		t.Expect(a, "algs in the DPoP challenge").SeenIn(ex).To(beListed(t.MCP.DPoPAlgorithms()))
	}
}

var nameAlgorithms = expect.That("algs in the DPoP challenge (RFC 9449 section 7.1)", func(has bool) string {
	if has {
		return ""
	}
	return "algs is absent"
})

// RFC 9449 section 4.3: an asymmetric algorithm; section 7.1: one that is supported.
var beListed = expect.Family("beListed", func(listed []string) expect.Matcher {
	return expect.That("asymmetric algorithms that dpop_signing_alg_values_supported lists", func(a string) string {
		if a == "none" || strings.HasPrefix(a, "HS") || len(listed) > 0 && !slices.Contains(listed, a) {
			return a
		}
		return ""
	})
})

// nonces checks the DPoP-Nonce fields of an answer (RFC 9449 section 8).
func nonces(t *T, ex *reports.Exchange) {
	values := expect.HeaderValues(ex, "DPoP-Nonce")
	t.Expect(values, "the DPoP-Nonce fields of an answer").SeenIn(ex).To(beUnpredictable)
	if len(values) > 0 && expect.Status(ex) == 200 {
		t.Expect(ex, "an answer with a nonce").Ideally(forbidCaching)
	}
}

var beUnpredictable = expect.That("at most one DPoP-Nonce field, with more than a number", func(nonces []string) string {
	if len(nonces) > 1 {
		return strconv.Itoa(len(nonces)) + " DPoP-Nonce fields"
	}
	for _, v := range nonces {
		if strings.Trim(v, "0123456789") == "" {
			return "the nonce is the number " + v
		}
	}
	return ""
})

var forbidCaching = expect.That("Cache-Control: no-store or no-cache", func(ex *reports.Exchange) string {
	control := strings.ToLower(expect.Header(ex, "Cache-Control"))
	if strings.Contains(control, "no-store") || strings.Contains(control, "no-cache") {
		return ""
	}
	return "Cache-Control " + strconv.Quote(control)
})

// overTLS is the certificate of a connection, with header fields.
type overTLS struct {
	certificate *tls.Certificate
	fields      []reports.Field
}

// RFC 8705 section 3: "the protected resource ... MUST verify that the certificate matches".
func bindsToCertificate(t *T) {
	own, other := Certificate(), Certificate()
	token := t.Mint.CertificateBoundToken(own)
	good := Attempt[overTLS]{Name: "a bound token over its own certificate", Good: expect.BeServed(), Send: func(edits ...overTLS) any {
		for _, e := range edits {
			return t.MCP.UseWithCertificate(e.certificate, token, e.fields...)
		}
		return t.MCP.UseWithCertificate(own, token)
	}}
	rows := Cases[overTLS]{{"over another certificate", overTLS{other, nil}}, {"without a certificate", overTLS{nil, nil}}}
	for _, f := range certificateFields(InPEM(own)) {
		rows = rows.And("without a certificate, the right one in "+f.Name, overTLS{nil, []reports.Field{f}}).
			And("over another certificate, the right one in "+f.Name, overTLS{other, []reports.Field{f}})
	}
	Refuses(t, good, rows, expect.Refuse(401))
}

// certificateFields are the header fields in which proxies name the certificate of a client.
func certificateFields(pem string) []reports.Field {
	lines := strings.Split(pem, "\n")
	escaped, bare := url.QueryEscape(pem), strings.Join(lines[1:len(lines)-2], "")
	return []reports.Field{
		mcp.Field("X-SSL-Client-Cert", escaped), mcp.Field("X-Forwarded-Client-Cert", `Cert="`+escaped+`"`),
		mcp.Field("Client-Cert", ":"+bare+":"),
		mcp.Field("X-Client-Cert", escaped), mcp.Field("X-Amzn-Mtls-Clientcert", escaped),
		mcp.Field("Ssl-Client-Cert", escaped), mcp.Field("X-Forwarded-Tls-Client-Cert", bare), mcp.Field("X-Arr-Clientcert", bare),
	}
}
