package idp

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"math/big"
	"net/http"
	"path"
	"slices"
	"strings"
)

// AddMachine registers, by hand, a client that acts for itself: with a secret, or with a public key.
func (s *Server) AddMachine(id, secret string, key *ecdsa.PublicKey, scopes ...string) {
	c := &client{id: id, secret: secret, method: "client_secret_basic", grantTypes: []string{"client_credentials"}, scopes: scopes,
		key: key, created: s.now()}
	if key != nil {
		c.method = "private_key_jwt"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clients[id] = c
}

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// byAssertion authenticates a client by a JWT that it has signed (RFC 7523 section 3).
func (s *Server) byAssertion(r *http.Request) *client {
	b, form := &s.Behaviour, r.PostForm
	var header struct{ Alg string }
	var claims struct {
		Iss, Sub, Jti string
		Aud           any
		Exp, Nbf      float64
	}
	parts := strings.Split(form.Get("client_assertion"), ".")
	typed := form.Get("client_assertion_type") == assertionType || !b.has(AssertionTypeNamed)
	if !typed || len(parts) != 3 || !decode(parts[0], &header) || !decode(parts[1], &claims) {
		return nil
	}
	if named := s.find(form.Get("client_id")); named != nil && s.Behaviour.believes(parts) {
		return named
	}
	id := claims.Sub
	named := form.Get("client_id")
	if named != "" && named != id && b.has(AssertionClaims) && b.has(AssertionNames) || named == "" && !b.has(AssertionsAlone) {
		return nil
	}
	c := s.find(id)
	if c != nil && c.method == "client_secret_jwt" && !b.SecretAssertions && header.Alg == "HS256" && verifiesHS256(c.secret, parts) {
		return c // the flaw of a published secret
	}
	if c == nil || c.key == nil && !(b.SecretAssertions && c.method == "client_secret_jwt") {
		return nil
	}
	if grant := form.Get("grant_type"); grant == "refresh_token" && !b.has(AssertionAtRefresh) ||
		grant == "authorization_code" && !b.has(AssertionForCode) {
		return c
	}
	if form.Get("grant_type") == "" && !b.has(AssertionElsewhere) {
		return c
	}
	now := float64(s.now().Unix())
	audience := s.asserts(r, claims.Aud)
	if b.has(AssertionClaims) && (claims.Iss != id || !audience || claims.Exp <= now || claims.Exp > now+3600 || claims.Nbf > now+30) {
		return nil
	}
	if b.has(VerifyAssertions) && !c.signed(header.Alg, parts) {
		return nil
	}
	if claims.Jti == "" || s.assertedBefore(r, id+" "+claims.Jti) && b.has(AssertionOnce) {
		return nil
	}
	return c
}

// signed reports whether an assertion has the signature of a client, or the MAC by its secret.
func (c *client) signed(alg string, parts []string) bool {
	if c.key == nil {
		return alg == "HS256" && verifiesHS256(c.secret, parts)
	}
	return alg == "ES256" && verifiesES256(c.key, parts)
}

// asserts reports whether the audience of a client assertion is right for an endpoint.
func (s *Server) asserts(r *http.Request, audience any) bool {
	b, base := &s.Behaviour, strings.TrimSuffix(s.Issuer, "/")
	elsewhere := r.PostForm.Get("grant_type") == ""
	switch {
	case elsewhere && b.OwnAudiences:
		return audience == base+"/"+path.Base(r.URL.Path)
	case elsewhere && !b.has(AudienceElsewhere):
		return true
	}
	return audience == s.Issuer || audience == base+"/token"
}

// assertedBefore records an assertion, and reports whether it has been used before.
func (s *Server) assertedBefore(r *http.Request, assertion string) bool {
	if !s.Behaviour.has(OnceForAllGrants) {
		assertion += " " + r.URL.Path + r.PostForm.Get("grant_type")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.assertions[assertion]
	s.assertions[assertion] = true
	return before
}

// believes is a flaw: an assertion is accepted without verification.
func (b *Behaviour) believes(parts []string) bool {
	var header, claims map[string]any
	return b.Believes != nil && decode(parts[0], &header) && decode(parts[1], &claims) && b.Believes(header, claims)
}

func verifiesHS256(secret string, parts []string) bool {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(parts[0] + "." + parts[1]))
	return parts[2] == base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func verifiesES256(key *ecdsa.PublicKey, parts []string) bool {
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || len(signature) != 64 {
		return false
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	return ecdsa.Verify(key, sum[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:]))
}

// firstKey returns the first P-256 key of a key set.
func firstKey(set map[string]any) *ecdsa.PublicKey {
	keys, _ := set["keys"].([]any)
	for _, k := range keys {
		m, _ := k.(map[string]any)
		x, _ := m["x"].(string)
		y, _ := m["y"].(string)
		bx, err1 := base64.RawURLEncoding.DecodeString(x)
		by, err2 := base64.RawURLEncoding.DecodeString(y)
		if m["crv"] != "P-256" || err1 != nil || err2 != nil || len(bx) != 32 || len(by) != 32 {
			continue
		}
		if key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, bx, by)); err == nil {
			return key
		}
	}
	return nil
}

// credentialsGrant issues a token to a client for itself (OAuth 2.1 section 4.2).
func (s *Server) credentialsGrant(r *http.Request, c *client) (map[string]any, *oauthError) {
	b := &s.Behaviour
	secret := r.PostForm.Get("client_secret")
	if !r.PostForm.Has("client_secret") {
		secret = NotSent
	}
	taken := !b.has(NoPublicCredentials) || b.TakesPublic != nil && b.TakesPublic(secret)
	if c.public() && !taken || !slices.Contains(c.grantTypes, "client_credentials") && !c.public() && b.has(RegisteredGrants) {
		return nil, refuse("unauthorized_client", "the client may not act for itself")
	}
	var scopes []string
	for _, v := range strings.Fields(r.PostForm.Get("scope")) {
		if slices.Contains(c.scopes, v) || !b.has(CredentialsScope) {
			scopes = append(scopes, v)
		}
	}
	if len(scopes) == 0 {
		scopes = []string{"notes:read"}
	}
	resources, e := s.narrowResources(r.PostForm["resource"], s.Resources[:1], CodeResources)
	if e != nil {
		return nil, e
	}
	g := &grant{client: c.id, user: c.id, scopes: scopes, resources: resources, given: s.now()}
	if !b.has(MachineSubject) {
		g.user = "1"
	}
	next := ""
	if !b.has(CredentialsRefresh) {
		next = s.newRefresh(g, scopes)
	}
	out := s.answerToken(g, scopes, resources, next)
	s.respond("credentials", out)
	return out, nil
}
