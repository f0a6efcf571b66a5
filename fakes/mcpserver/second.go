package mcpserver

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"math/big"
	"mime"
	"net/http"
	"strings"
)

// VerifyAccepts is the verify endpoint's answer for a good token.
const VerifyAccepts = `{"valid":true,"user":"alice","scope":"notes:read notes:write"}`

// bySecond verifies a token of the second issuer with that issuer's key; is says whether the token names that issuer.
func (s *Server) bySecond(r *http.Request, parts []string, alg string) (who *caller, is bool) {
	var c struct{ Iss string }
	if s.Second == nil || !decodeSegment(parts[1], &c) || !s.isSecond(c.Iss) &&
		!(!s.Policy.has(KeysPerIssuer) && c.Iss == s.Issuer && alg == "ES256") {
		return nil, false
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	sig, err := base64.RawURLEncoding.Strict().DecodeString(parts[2])
	good := err == nil && alg == "ES256" && len(sig) == 64 &&
		ecdsa.Verify(s.Second.Key, sum[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:]))
	if !s.Policy.has(KeysPerIssuer) { // the flaw: any key of any issuer
		if !good && c.Iss == s.Issuer {
			return nil, false
		}
		good = good || alg == "RS256" && rsa.VerifyPKCS1v15(s.Key, crypto.SHA256, sum[:], sig) == nil
	}
	if !good {
		return nil, true
	}
	return s.claims(r, parts[1]), true
}

// isSecond reports whether a token names the second issuer.
func (s *Server) isSecond(issuer string) bool {
	return s.Second != nil && (issuer == s.Second.Issuer || s.Policy.TakesSecond != nil && s.Policy.TakesSecond(issuer, s.Second.Issuer))
}

// whereNobodyKnows returns the caller of a token for which the verification endpoint gives no answer.
func (p *Policy) whereNobodyKnows() *caller {
	if p.has(VerifyFailClosed) {
		return nil
	}
	return &caller{user: "alice", scopes: []string{"notes:read"}} // the flaw
}

// remotelyVerified sends {"token": ...} to a proprietary endpoint, which answers {"valid": true, "user": ...}.
func (s *Server) remotelyVerified(r *http.Request, token string) *caller {
	p := &s.Policy
	body, _ := json.Marshal(map[string]string{"token": token}) // a string always marshals
	req, err := http.NewRequestWithContext(r.Context(), http.MethodPost, s.VerifyURL, bytes.NewReader(body))
	if err != nil {
		return nil
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Service-Key", s.ServiceKey)
	client := s.questioner()
	if !p.has(VerifyNoRedirects) {
		client = &http.Client{Timeout: client.Timeout}
	}
	resp, err := client.Do(req)
	if err != nil {
		return p.whereNobodyKnows()
	}
	defer resp.Body.Close()
	if !p.has(ReadVerification) && resp.StatusCode < 300 {
		return &caller{user: "alice", scopes: []string{"notes:read"}}
	}
	if resp.StatusCode >= 300 {
		return p.whereNobodyKnows()
	}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	var answer struct {
		Valid       any
		User, Scope string
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil || resp.StatusCode != http.StatusOK || kind != "application/json" || json.Unmarshal(b, &answer) != nil {
		return nil
	}
	valid := answer.Valid == true
	if !p.has(ValidIsTrue) {
		valid = answer.Valid != nil && answer.Valid != false
	}
	if !valid || answer.User == "" {
		return nil
	}
	return &caller{user: answer.User, scopes: strings.Fields(answer.Scope)}
}
