package mcpserver

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/mcpauth/conformance/fakes/dpop"
)

// proven returns the caller of a token that comes with a DPoP proof (RFC 9449 section 7.1).
func (s *Server) proven(r *http.Request, token string) (*caller, string) {
	p := &s.Policy
	who := s.verify(r, token)
	if who == nil || who.thumbprint == "" {
		return nil, "invalid"
	}
	if !p.has(DPoPNeedsProof) && r.Header.Get("DPoP") == "" {
		return who, ""
	}
	proof := dpop.Request{
		Method: r.Method, URL: s.endpoint.Scheme + "://" + s.endpoint.Host + r.URL.Path, Token: token, Now: s.now(),
		Lacks: p.DPoPLacks, Seen: s.seenProof, Believes: p.BelievesProof,
	}
	if p.DPoPNonce != "" {
		proof.Nonce = s.acceptsNonce
	}
	key, err := proof.Verify(r.Header)
	switch {
	case errors.Is(err, dpop.ErrNonce):
		return nil, "nonce"
	case err != nil:
		return nil, "proof"
	case key != who.thumbprint && p.DPoPLacks != "key":
		return nil, "invalid"
	}
	return who, ""
}

func (s *Server) seenProof(jti string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := s.proofs[jti]
	s.proofs[jti] = true
	return seen
}

// nonce returns the nonce that a proof should have: it changes every minute, and the previous one is still accepted.
func (s *Server) nonce(before int) string {
	minute := time.Now().Unix()/60 - int64(before)
	switch s.Policy.DPoPNonce {
	case "counted":
		return fmt.Sprint(minute) // the flaw
	case "once":
		return s.newNonce()
	}
	sum := sha256.Sum256([]byte(fmt.Sprint(s.ServiceKey, s.SharedSecret, minute)))
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}

// newNonce returns a nonce that is good for one proof.
func (s *Server) newNonce() string {
	nonce := RandomID()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.proofs["nonce "+nonce] = true
	return nonce
}

func (s *Server) acceptsNonce(nonce string) bool {
	if s.Policy.DPoPNonce == "once" {
		s.mu.Lock()
		defer s.mu.Unlock()
		known := s.proofs["nonce "+nonce]
		delete(s.proofs, "nonce "+nonce)
		return known
	}
	return s.Policy.DPoPNonce != "never" && (nonce == s.nonce(0) || nonce == s.nonce(1))
}

// holds reports whether the caller has the key or certificate to which the token is bound (RFC 9449 section 7.2, RFC 8705 section 3).
func (s *Server) holds(r *http.Request, who *caller) bool {
	p := &s.Policy
	switch {
	case p.DPoP && who.thumbprint != "" && p.has(BoundNeedsProof), p.DPoPRequired && who.thumbprint == "" && who.static == nil &&
		p.has(BoundNeedsProof):
		return false
	case who.certificate == "" || !s.mutualTLS() || !p.has(BoundNeedsCertificate):
		return true
	case p.TakesCertificate != nil && p.TakesCertificate(r):
		return true // a flaw
	}
	if text, err := url.QueryUnescape(r.Header.Get("X-SSL-Client-Cert")); err == nil && text != "" && !p.has(NoCertificateHeader) {
		return certificateIn(text) == who.certificate // the flaw: anybody can send this field
	}
	if len(r.TLS.PeerCertificates) == 0 {
		return false
	}
	return thumbprint(r.TLS.PeerCertificates[0].Raw) == who.certificate
}

// mutualTLS reports whether the server supports tokens that are bound to certificates.
func (s *Server) mutualTLS() bool { return s.Policy.MutualTLS && s.endpoint.Scheme == "https" }

func thumbprint(der []byte) string {
	sum := sha256.Sum256(der)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// certificateIn returns the thumbprint of a certificate in PEM.
func certificateIn(pem string) string {
	body := strings.NewReplacer("-----BEGIN CERTIFICATE-----", "", "-----END CERTIFICATE-----", "", "\n", "", " ", "").Replace(pem)
	der, err := base64.StdEncoding.DecodeString(body)
	if err != nil {
		return ""
	}
	return thumbprint(der)
}

// confirmation reads the key or certificate to which a token is bound (RFC 7800 section 3.1), and the authentication context.
func (c *caller) confirmation(claims map[string]any) *caller {
	cnf, _ := claims["cnf"].(map[string]any)
	c.thumbprint, _ = cnf["jkt"].(string)
	c.certificate, _ = cnf["x5t#S256"].(string)
	c.acr, _ = claims["acr"].(string)
	return c
}

// dpopChallenge returns the DPoP challenge (RFC 9449 section 7.1).
func (s *Server) dpopChallenge(w http.ResponseWriter, r *http.Request, metadata, cause string) string {
	field := fmt.Sprintf(`DPoP algs="%s", resource_metadata="%s"`, s.Policy.DPoPAlgorithms, metadata)
	scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	code := map[string]string{"invalid": "invalid_token", "proof": "invalid_dpop_proof", "nonce": "use_dpop_nonce"}[cause]
	if strings.EqualFold(scheme, "DPoP") && code != "" {
		field += fmt.Sprintf(`, error="%s"`, code)
	}
	if s.Policy.DPoPNonce != "" {
		w.Header().Set("DPoP-Nonce", s.nonce(0))
	}
	return field
}
