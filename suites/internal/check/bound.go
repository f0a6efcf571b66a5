package check

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/mcpauth/conformance/fixtures/seeded"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/mint"
	"github.com/mcpauth/conformance/suites/internal/oauth"
)

// Bound is an access token that is bound to a key of mcpauth (RFC 9449 section 6).
type Bound struct {
	Token string
	Key   *mint.Key
	Nonce string // that the target requires in proofs; empty if it requires none
}

// ProofEdit changes an ordinary DPoP proof before it is signed.
type ProofEdit func(h mint.Header, c mint.Claims)

// ProofKey returns a new key for an algorithm in a server's list; for ES256 if it lists no known one.
func ProofKey(algorithms []string) *mint.Key {
	if !slices.Contains(algorithms, "ES256") && slices.Contains(algorithms, "RS256") {
		return &mint.Key{Signer: mint.NewRSA()}
	}
	return mint.NewKey("")
}

// DPoPAlgorithms returns the algorithms for proofs in the target's metadata; nil without DPoP.
func (t MCPServer) DPoPAlgorithms() []string {
	d := t.Survey.Resource()
	if d == nil {
		return nil
	}
	out, _ := d.Object.Strings("dpop_signing_alg_values_supported")
	return out
}

// DPoPRequired reports whether the target accepts only bound tokens (RFC 9728 section 2).
func (t MCPServer) DPoPRequired() bool {
	d := t.Survey.Resource()
	if d == nil {
		return false
	}
	required, _ := d.Object.Bool("dpop_bound_access_tokens_required")
	return required
}

// CanBind reports whether a token bound to a key of mcpauth is available: minted, or from a login at a server that binds tokens.
func (t Minter) CanBind() bool {
	return t.Trusted() || t.Session != nil && t.Session.Ready && len(t.AS.DPoPAlgorithms()) > 0
}

// DPoPAlgorithms returns the algorithms for proofs in the authorization server's metadata.
func (t AuthorizationServer) DPoPAlgorithms() []string {
	if t.Session == nil {
		return nil
	}
	out, _ := t.Session.Server.Metadata.Strings("dpop_signing_alg_values_supported")
	return out
}

// BoundToken returns a token of the first user, bound to a new key.
func (t Minter) BoundToken() *Bound {
	if !t.CanBind() {
		t.mustKnowTrust()
		t.NotTested("it needs a token that is bound to a key of mcpauth: a login at an authorization server that offers DPoP, or a target " +
			"that trusts an issuer run by mcpauth")
	}
	b := &Bound{Key: ProofKey(t.MCP.DPoPAlgorithms())}
	if t.Trusted() {
		b.Token = t.Token(map[string]any{"cnf": map[string]any{"jkt": b.Key.Thumbprint()}})
		return b
	}
	g := t.AS.MustAuthorize()
	tokens := t.AS.Tokens(t.AS.RedeemWithProof(g, b.Key), g.Client)
	if tokens == nil {
		t.Inconclusive("a code is not redeemed with a DPoP proof (AS-DPOP-BINDING)")
	}
	b.Token = tokens.Access
	return b
}

// Proof returns a DPoP proof of a key for a request, with edits.
func (t Minter) Proof(key *mint.Key, method, url, token, nonce string, edits ...ProofEdit) string {
	h, c := key.ProofHeader(), mint.ProofClaims(method, url, token, Random(12))
	if url == t.Survey.Endpoint {
		c["iat"] = t.MCP.Now().Unix()
	}
	if nonce != "" {
		c["nonce"] = nonce
	}
	for _, e := range edits {
		e(h, c)
	}
	return key.Seal(h, c)
}

// Present sends a bound token under a scheme, with fields that contain proofs, or none.
func (t Minter) Present(b *Bound, scheme string, proofs ...string) *reports.Exchange {
	call := t.MCP.Call().With(mcp.Field("Authorization", scheme+" "+b.Token))
	for _, p := range proofs {
		call = call.With(mcp.Field("DPoP", p))
	}
	return t.Send(call)
}

// PresentWithProof sends a bound token with an ordinary proof, with edits. If the target asks for a nonce, the request is sent again with
// it, as the protocol says (RFC 9449 section 9).
func (t Minter) PresentWithProof(b *Bound, edits ...ProofEdit) *reports.Exchange {
	return t.PresentProofs(b, "DPoP", func(nonce string) []string {
		return []string{t.Proof(b.Key, "POST", t.Survey.Endpoint, b.Token, nonce, edits...)}
	})
}

// PresentProofs is PresentWithProof with other proofs, or none. They contain the nonce, if the target asks for one: the nonce must not be
// the only reason to refuse a wrong proof.
func (t Minter) PresentProofs(b *Bound, scheme string, proofs func(nonce string) []string) *reports.Exchange {
	for again := false; ; again = true {
		ex := t.Present(b, scheme, proofs(b.Nonce)...)
		nonce := expect.Header(ex, "DPoP-Nonce")
		if again || nonce == "" || nonce == b.Nonce || !WantsNonce(ex) {
			return ex
		}
		b.Nonce = nonce
	}
}

// WantsNonce reports whether an answer asks for another nonce.
func WantsNonce(ex *reports.Exchange) bool {
	for _, c := range expect.Challenges(ex) {
		if code, _ := c.Param("error"); code == "use_dpop_nonce" {
			return true
		}
	}
	return oauth.ErrorCode(ex) == "use_dpop_nonce"
}

// RedeemWithProof sends the token request of a grant with a proof, and again if the server asks for a nonce.
func (t AuthorizationServer) RedeemWithProof(g *Grant, key *mint.Key, edits ...ProofEdit) *reports.Exchange {
	return t.proving(key, func(proof Edit) *reports.Exchange { return t.Redeem(g, proof) }, edits)
}

// RefreshWithProof is Refresh with a proof.
func (t AuthorizationServer) RefreshWithProof(tokens *oauth.Tokens, key *mint.Key) *reports.Exchange {
	return t.proving(key, func(proof Edit) *reports.Exchange { return t.Refresh(tokens, proof) }, nil)
}

// RedeemWithNonce is Redeem with an edit that contains a nonce. The nonce is empty, until the server asks for one: then the request is sent
// again with it.
func (t AuthorizationServer) RedeemWithNonce(g *Grant, edit func(nonce string) Edit) *reports.Exchange {
	return withNonce(func(proof Edit) *reports.Exchange { return t.Redeem(g, proof) }, edit)
}

func (t *T) proving(key *mint.Key, send func(Edit) *reports.Exchange, edits []ProofEdit) *reports.Exchange {
	return withNonce(send, func(nonce string) Edit {
		return Header(mcp.Field("DPoP", t.Mint.Proof(key, "POST", t.AS.Server().Token, "", nonce, edits...)))
	})
}

func withNonce(send func(Edit) *reports.Exchange, edit func(nonce string) Edit) *reports.Exchange {
	ex := send(edit(""))
	if nonce := expect.Header(ex, "DPoP-Nonce"); nonce != "" && WantsNonce(ex) {
		return send(edit(nonce))
	}
	return ex
}

// Certificate returns a new self-signed client certificate (RFC 8705 section 2.2).
func Certificate() *tls.Certificate {
	key := seeded.Suites.Key()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "mcpauth"},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err) // the template is complete
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// CertificateThumbprint returns the x5t#S256 of a certificate (RFC 8705 section 3.1).
func CertificateThumbprint(c *tls.Certificate) string {
	sum := sha256.Sum256(c.Certificate[0])
	return mint.Base64(sum[:])
}

// MutualTLS reports whether the target accepts tokens that are bound to certificates (RFC 9728 section 2).
func (t MCPServer) MutualTLS() bool {
	d := t.Survey.Resource()
	if d == nil {
		return false
	}
	offered, _ := d.Object.Bool("tls_client_certificate_bound_access_tokens")
	return offered
}

// UseWithCertificate sends a token on a connection with a client certificate; nil: without one.
func (t MCPServer) UseWithCertificate(c *tls.Certificate, token string, fields ...reports.Field) *reports.Exchange {
	r := t.Call().With(mcp.Bearer(token)).With(fields...).Request()
	r.Certificate, r.Fresh = c, true
	return t.Do(r)
}

// CertificateBoundToken returns a token that is bound to a certificate: minted, or from a server that binds tokens to the certificate of
// the connection (RFC 8705 section 3).
func (t Minter) CertificateBoundToken(c *tls.Certificate) string {
	if t.Trusted() {
		return t.Token(map[string]any{"cnf": map[string]any{"x5t#S256": CertificateThumbprint(c)}})
	}
	var binds bool
	if t.Session != nil {
		binds, _ = t.Session.Server.Metadata.Bool("tls_client_certificate_bound_access_tokens")
	}
	if !binds || !t.Session.Ready {
		t.mustKnowTrust()
		t.NotTested("it needs a token that is bound to a certificate of mcpauth: a login at an authorization server that binds tokens to " +
			"certificates, or a target that trusts an issuer run by mcpauth")
	}
	g := t.AS.MustAuthorize()
	r := t.AS.BuildRedeem(g)
	r.Certificate, r.URL = c, t.mutualTLSEndpoint(r.URL)
	tokens := t.AS.Tokens(t.Do(r), g.Client)
	if tokens == nil {
		t.Inconclusive("a code is not redeemed over mutual TLS")
	}
	if _, claims := oauth.Claims(tokens.Access); claims != nil && claims.Object("cnf").String("x5t#S256") != CertificateThumbprint(c) {
		t.Inconclusive("the authorization server does not bind the token to the certificate that it was shown (no cnf with x5t#S256)")
	}
	return tokens.Access
}

// mutualTLSEndpoint returns the token endpoint for clients with a certificate: the one in the metadata, or the usual one (RFC 8705 section
// 5).
func (t Minter) mutualTLSEndpoint(usual string) string {
	at := usual
	if alias := t.Session.Server.Metadata.Object("mtls_endpoint_aliases").String("token_endpoint"); alias != "" {
		if !t.Session.Server.Trusts(alias) {
			t.NotTested("the token_endpoint of mtls_endpoint_aliases is on another origin than the issuer, so no secret and no token goes there; "+
				"if it is right, add --trust-endpoint %s", alias)
		}
		at = alias
	}
	if !strings.HasPrefix(at, "https:") {
		t.NotTested("the token endpoint is reached without TLS, so no client can show it a certificate")
	}
	return at
}

// InPEM returns a certificate in PEM.
func InPEM(c *tls.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]}))
}
