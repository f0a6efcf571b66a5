package idp

import (
	"errors"
	"net/http"
	"strings"

	"github.com/mcpauth/conformance/fakes/dpop"
)

// proofKey returns the thumbprint of the key of a token request's proof, or "" (RFC 9449 section 5).
func (s *Server) proofKey(r *http.Request) (string, *oauthError) {
	b := &s.Behaviour
	if len(r.Header.Values("DPoP")) == 0 || !b.has(DPoPOnRequest) {
		return "", nil
	}
	proof := dpop.Request{Method: r.Method, URL: strings.TrimSuffix(s.Issuer, "/") + "/token", Now: s.now(), Lacks: b.DPoPLacks,
		Seen: s.seenProof, Believes: b.BelievesProof}
	if b.ProofNonce {
		proof.Nonce = func(nonce string) bool { return nonce == s.proofNonce() }
	}
	key, err := proof.Verify(r.Header)
	switch {
	case errors.Is(err, dpop.ErrNonce):
		return "", refuse("use_dpop_nonce", "the proof needs a nonce")
	case err != nil:
		return "", refuse("invalid_dpop_proof", "the proof is not valid")
	}
	return key, nil
}

// writeProofNonce tells the client the nonce that its proof lacks (RFC 9449 section 8).
func (s *Server) writeProofNonce(w http.ResponseWriter, e *oauthError) {
	if e.code == "use_dpop_nonce" {
		w.Header().Set("DPoP-Nonce", s.proofNonce())
	}
}

// proofNonce is the nonce that proofs must have.
func (s *Server) proofNonce() string { return s.seal("dpop nonce") }

func (s *Server) seenProof(jti string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := s.assertions["dpop "+jti]
	s.assertions["dpop "+jti] = true
	return seen
}

// bind binds a grant to the key of a request's proof. Refresh tokens of a public client stay bound to their key.
func (s *Server) bind(r *http.Request, c *client, g *grant, refreshing bool) *oauthError {
	key, e := s.proofKey(r)
	if e != nil {
		return e
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if refreshing && c.public() && g.key != "" && g.key != key && s.Behaviour.has(DPoPRefresh) {
		return refuse("invalid_grant", "the refresh token is bound to another key")
	}
	g.key = key
	return nil
}

// boundKey returns the thumbprint of the key to which a grant's next access token is bound, or "".
func (s *Server) boundKey(g *grant) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return g.key
}
