package idp

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
)

// The grant types of assertions (RFC 7523 section 2.1) and of token exchange (RFC 8693 section 2.1).
const (
	jwtBearer     = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	tokenExchange = "urn:ietf:params:oauth:grant-type:token-exchange"
	accessType    = "urn:ietf:params:oauth:token-type:access_token"
)

// Enterprise is the identity provider whose assertions are accepted (the Identity Assertion JWT Authorization Grant).
type Enterprise struct {
	Issuer string
	Key    *rsa.PublicKey
}

type identityAssertion struct {
	Iss, Sub, Jti, Scope, Resource string
	ClientID                       string `json:"client_id"`
	Aud                            any
	Exp, Iat                       float64
}

// assertionGrant exchanges an ID-JAG for an access token (section 4.4 of the draft).
func (s *Server) assertionGrant(r *http.Request, c *client) (map[string]any, *oauthError) {
	b := &s.Behaviour
	if s.Enterprise == nil || c.public() && b.has(AssertionsForConfidential) {
		return nil, refuse("unauthorized_client", "the client may not use assertions")
	}
	a, e := s.readAssertion(r.PostForm.Get("assertion"), c)
	if e != nil {
		return nil, e
	}
	scopes := strings.Fields(a.Scope)
	if requested := strings.Fields(r.PostForm.Get("scope")); len(requested) > 0 {
		if slices.ContainsFunc(requested, func(v string) bool { return !slices.Contains(scopes, v) }) && b.has(AssertionScope) {
			return nil, refuse("invalid_scope", "the scope is not in the assertion")
		}
		scopes = requested
	}
	for _, v := range scopes {
		if !slices.Contains(s.Scopes, v) {
			return nil, refuse("invalid_scope", "the scope is not known")
		}
	}
	resources := []string{a.Resource}
	switch {
	case !b.has(AssertionResource):
		resources = s.Resources[:1]
	case !slices.Contains(s.Resources, a.Resource):
		return nil, refuse("invalid_target", "the resource is not known")
	}
	g := &grant{client: c.id, user: a.Sub, scopes: scopes, resources: resources, given: s.now()}
	next := ""
	if !b.has(AssertionRefresh) {
		next = s.newRefresh(g, scopes)
	}
	return s.answerToken(g, scopes, resources, next), nil
}

// readAssertion verifies an ID-JAG. It checks the type first.
func (s *Server) readAssertion(text string, c *client) (*identityAssertion, *oauthError) {
	b := &s.Behaviour
	bad := refuse("invalid_grant", "the assertion is not valid")
	var header struct {
		Alg, Typ, Jku string
		Jwk           map[string]any
	}
	var a identityAssertion
	parts := strings.Split(text, ".")
	if len(parts) != 3 || !decode(parts[0], &header) || !decode(parts[1], &a) {
		return nil, bad
	}
	if b.believes(parts) {
		return &a, nil
	}
	if !s.trusts(header.Alg, a.Iss, parts) {
		return nil, bad
	}
	now := float64(s.now().Unix())
	switch {
	case b.has(AssertionType) && header.Typ != "oauth-id-jag+jwt",
		b.has(AssertionAudience) && !meantFor(a.Aud, s.Issuer),
		b.has(AssertionClient) && a.ClientID != c.id,
		b.has(AssertionTime) && (a.Exp <= now || a.Exp > now+3600 || a.Iat > now+60 || a.Iat == 0),
		a.Sub == "", a.Jti == "", a.Resource == "":
		return nil, bad
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.assertions["jag "+a.Jti] {
		return nil, bad
	}
	s.assertions["jag "+a.Jti] = true
	return &a, nil
}

// trusts reports whether the enterprise has signed the assertion.
func (s *Server) trusts(algorithm, issuer string, parts []string) bool {
	b := &s.Behaviour
	if issuer != s.Enterprise.Issuer {
		if !b.has(AssertionIssuer) && strings.HasPrefix(issuer, "http://127.0.0.1:") { // the flaw: it fetches the keys of whoever signs
			if resp, err := http.Get(issuer + "/.well-known/openid-configuration"); err == nil {
				resp.Body.Close()
			}
		}
		return false
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return false
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	return !b.has(AssertionSignature) || algorithm == "RS256" && rsa.VerifyPKCS1v15(s.Enterprise.Key, crypto.SHA256, sum[:], signature) == nil
}

// meantFor reports whether this issuer is the only audience.
func meantFor(audience any, issuer string) bool {
	if list, ok := audience.([]any); ok {
		return len(list) == 1 && list[0] == issuer
	}
	return audience == issuer
}

// exchangeGrant exchanges a user's access token for one that is not more powerful (RFC 8693).
func (s *Server) exchangeGrant(r *http.Request, c *client) (map[string]any, *oauthError) {
	b := &s.Behaviour
	form := r.PostForm
	if c.public() && b.has(ExchangeForConfidential) {
		return nil, refuse("unauthorized_client", "the client may not exchange tokens")
	}
	if form.Get("subject_token_type") != accessType {
		return nil, refuse("invalid_request", "the type of the subject token is not supported")
	}
	s.mu.Lock()
	subject := s.access[form.Get("subject_token")]
	s.mu.Unlock()
	if subject == nil && b.TakesSubject != nil && b.TakesSubject(form.Get("subject_token")) {
		subject = &accessToken{grant: &grant{user: "alice", resources: s.Resources[:1]}, scopes: []string{"notes:read"},
			expires: s.now().Add(lifetime)}
	}
	if subject == nil && !b.has(ExchangeVerifies) {
		subject = s.unverified(form.Get("subject_token"))
	}
	ended := func() bool {
		expired := s.now().After(subject.expires) && b.has(ExchangeExpiry)
		return subject.grant.revoked && b.has(ExchangeGrant) || subject.revoked || expired
	}
	if subject == nil || b.has(ExchangeVerifies) && ended() {
		return nil, refuse("invalid_request", "the subject token is not valid")
	}
	scopes := subject.scopes
	if requested := strings.Fields(form.Get("scope")); len(requested) > 0 {
		if slices.ContainsFunc(requested, func(v string) bool { return !slices.Contains(scopes, v) }) && b.has(ExchangeNarrows) {
			return nil, refuse("invalid_scope", "the subject token has not the scope")
		}
		scopes = requested
	}
	if !b.has(ExchangeOwnScopes) {
		scopes = slices.DeleteFunc(scopes, func(v string) bool { return slices.Contains(subject.scopes, v) })
	}
	resources, e := s.narrowResources(append(slices.Clone(form["resource"]), form["audience"]...), subject.grant.resources, ExchangeNarrows)
	if e != nil {
		return nil, e
	}
	g := *subject.grant
	g.client = c.id
	out := s.answerToken(&g, scopes, resources, "")
	out["issued_token_type"] = accessType
	return out, nil
}

// unverified is a flaw: it accepts the claims of any token.
func (s *Server) unverified(token string) *accessToken {
	parts := strings.Split(token, ".")
	var claims struct{ Sub string }
	if len(parts) != 3 {
		return nil
	}
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.NewDecoder(bytes.NewReader(b)).Decode(&claims) != nil || claims.Sub == "" {
		return nil
	}
	return &accessToken{grant: &grant{user: claims.Sub, resources: s.Resources[:1]}, scopes: []string{"notes:read"},
		expires: s.now().Add(time.Hour)}
}
