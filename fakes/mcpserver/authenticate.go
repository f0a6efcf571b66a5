package mcpserver

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"time"
)

type caller struct {
	user   string
	scopes []string
}

// authenticate finds and verifies the credential of a request. The cause of a refusal is "missing",
// "malformed" or "invalid".
func (s *Server) authenticate(r *http.Request, body []byte) (*caller, string) {
	p := &s.Policy
	fields := r.Header.Values("Authorization")
	if p.OneCredential && len(fields) > 1 {
		return nil, "malformed"
	}
	cause := "missing"
	for _, f := range fields {
		token, ok := s.token(f)
		if !ok {
			continue
		}
		if who := s.verify(token); who != nil {
			s.mu.Lock()
			s.known[r.RemoteAddr] = true
			s.mu.Unlock()
			return who, ""
		}
		cause = "invalid"
	}
	var elsewhere []string
	if !p.OnlyHeader {
		elsewhere = append(elsewhere, r.URL.Query().Get("access_token"), r.URL.Query().Get("token"))
	}
	if !p.NoBodyToken {
		var m message
		_ = json.Unmarshal(body, &m)
		auth, _ := m.Params["auth"].(map[string]any)
		t, _ := auth["access_token"].(string)
		elsewhere = append(elsewhere, t)
	}
	if !p.NoCookieToken {
		if c, err := r.Cookie("access_token"); err == nil {
			elsewhere = append(elsewhere, c.Value)
		}
	}
	if p.CookieAuth {
		if c, err := r.Cookie("sid"); err == nil && c.Value == "session-cookie-1" {
			return &caller{user: "alice"}, ""
		}
	}
	for _, t := range elsewhere {
		if t != "" {
			if who := s.verify(t); who != nil {
				return who, ""
			}
		}
	}
	return nil, cause
}

// token takes the token out of an Authorization field.
func (s *Server) token(field string) (string, bool) {
	p := &s.Policy
	scheme, token, found := strings.Cut(field, " ")
	switch {
	case p.OnlyBearer && !found:
		return "", false
	case !p.OnlyBearer:
		if !found {
			return field, true
		}
		if scheme == "Basic" {
			b, _ := base64.StdEncoding.DecodeString(token)
			return strings.Trim(string(b), ":"), true
		}
	case !p.SchemeAnyCase && scheme != "Bearer", !strings.EqualFold(scheme, "Bearer"):
		return "", false
	}
	token = strings.TrimLeft(token, " ")
	if !p.StrictSyntax {
		token = strings.Trim(token, `"<>,;`)
	}
	return token, token != ""
}

// verify checks a token and returns its caller, or nil.
func (s *Server) verify(token string) *caller {
	p := &s.Policy
	if !p.Verify {
		return &caller{user: "anyone", scopes: []string{"notes:read"}}
	}
	if p.SampleToken != "" && token == p.SampleToken {
		return &caller{user: "sample"}
	}
	if len(token) > p.MostToken {
		return nil
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil
	}
	var header struct {
		Alg any            `json:"alg"`
		Kid any            `json:"kid"`
		JKU string         `json:"jku"`
		X5U string         `json:"x5u"`
		JWK map[string]any `json:"jwk"`
	}
	var claims struct {
		Issuer   string `json:"iss"`
		Subject  string `json:"sub"`
		Audience any    `json:"aud"`
		Expires  int64  `json:"exp"`
		Scope    string `json:"scope"`
		ID       string `json:"jti"`
	}
	if !decodeSegment(parts[0], &header) || !decodeSegment(parts[1], &claims) {
		return nil
	}
	if p.FetchesHeaderURLs {
		for _, u := range []string{header.JKU, header.X5U} {
			if strings.HasPrefix(u, "http://127.0.0.1:") {
				if resp, err := http.Get(u); err == nil {
					resp.Body.Close()
				}
			}
		}
	}
	kid, _ := header.Kid.(string)
	alg, _ := header.Alg.(string)
	if !s.signed(parts, alg, kid, header.JWK) {
		return nil
	}
	me := s.Resource
	if p.Audience != "" {
		me = p.Audience
	}
	if claims.Issuer != s.Issuer || claims.Expires <= time.Now().Unix() || !audience(claims.Audience, me) {
		return nil
	}
	if p.CheckRevocation && s.Revoked != nil && s.Revoked(claims.ID) {
		return nil
	}
	return &caller{user: claims.Subject, scopes: strings.Fields(claims.Scope)}
}

func (s *Server) signed(parts []string, alg, kid string, jwk map[string]any) bool {
	p := &s.Policy
	if !p.VerifySignature {
		return true
	}
	sig, err := base64.RawURLEncoding.Strict().DecodeString(parts[2])
	if err != nil {
		return false
	}
	input := []byte(parts[0] + "." + parts[1])
	sum := sha256.Sum256(input)
	switch {
	case !p.RefuseNone && strings.EqualFold(alg, "none"):
		return true
	case !p.KidOnly && kid == "rsa-1":
		return true
	case alg == "HS256":
		return s.symmetric(input, sig, kid)
	case !p.RefuseEmbedded && alg == "ES256" && jwk != nil:
		x, _ := jwk["x"].(string)
		y, _ := jwk["y"].(string)
		return verifyES256(x, y, sum[:], sig)
	case alg == "RS256" && kid == "rsa-1":
		return rsa.VerifyPKCS1v15(s.Key, crypto.SHA256, sum[:], sig) == nil
	}
	return false
}

func (s *Server) symmetric(input, sig []byte, kid string) bool {
	p := &s.Policy
	var keys [][]byte
	if !p.RefuseSymmetric {
		der, _ := x509.MarshalPKIXPublicKey(s.Key)
		keys = append(keys, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	}
	if !p.RefuseKidPath && strings.Contains(kid, "/dev/null") {
		keys = append(keys, nil)
	}
	if !p.RefuseWeakSecret {
		keys = append(keys, []byte("your-jwt-secret-key"))
	}
	return slices.ContainsFunc(keys, func(key []byte) bool {
		m := hmac.New(sha256.New, key)
		m.Write(input)
		return hmac.Equal(m.Sum(nil), sig)
	})
}

func verifyES256(x, y string, sum, sig []byte) bool {
	bx, err1 := base64.RawURLEncoding.DecodeString(x)
	by, err2 := base64.RawURLEncoding.DecodeString(y)
	if err1 != nil || err2 != nil || len(sig) != 64 {
		return false
	}
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, bx...), by...))
	return err == nil && ecdsa.Verify(key, sum, new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:]))
}

func audience(aud any, me string) bool {
	switch a := aud.(type) {
	case string:
		return a == me
	case []any:
		return slices.Contains(a, any(me))
	}
	return false
}

func decodeSegment(segment string, into any) bool {
	b, err := base64.RawURLEncoding.Strict().DecodeString(segment)
	return err == nil && json.Unmarshal(b, into) == nil
}
