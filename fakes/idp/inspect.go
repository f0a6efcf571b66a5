package idp

import (
	"net/http"
	"slices"
	"strings"
)

// revoke implements RFC 7009.
func (s *Server) revoke(w http.ResponseWriter, r *http.Request) {
	b := &s.Behaviour
	if r.Method == http.MethodGet && !b.has(RevokeByPost) {
		r.PostForm = r.URL.Query()
	} else if e := s.form(w, r); e != nil {
		s.writeOAuthError(w, r, e)
		return
	}
	c, anonymous, e := s.revoker(r)
	value, hint := r.PostForm.Get("token"), r.PostForm.Get("token_type_hint")
	switch {
	case e != nil:
	case c.public() && c.id != "" && !b.has(RevokePublic):
		e = refuse("invalid_request", "client_secret is missing")
	case value == "":
		e = refuse("invalid_request", "token is missing")
	case !b.has(RevokeAnyHint) && hint != "" && hint != "access_token" && hint != "refresh_token":
		e = refuse("unsupported_token_type", "")
	}
	if e != nil {
		s.writeOAuthError(w, r, e)
		return
	}
	owner := func(g *grant) bool {
		return g.client == c.id || !b.has(RevokeOwn) || !b.has(RevokeAuthenticates) || !b.has(RevokeNamed) && anonymous ||
			!b.has(RevokeConfidential) && !c.public()
	}
	if !s.revokeToken(value, hint, owner) {
		writeError(w, http.StatusNotFound, "invalid_token", "")
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
}

// revoker returns the client of a revocation request, which may be anonymous.
func (s *Server) revoker(r *http.Request) (c *client, anonymous bool, e *oauthError) {
	b := &s.Behaviour
	c, e = s.authenticate(r)
	anonymous = r.PostForm.Get("client_id") == "" && r.Header.Get("Authorization") == "" && !r.PostForm.Has("client_assertion")
	if !b.has(RevokeNamed) && anonymous {
		return &client{method: "none"}, anonymous, nil
	}
	if e == nil || b.has(RevokeAuthenticates) {
		return c, anonymous, e
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c = s.clients[r.PostForm.Get("client_id")]; c == nil {
		c = &client{method: "none"}
	}
	return c, anonymous, nil
}

// revokeToken revokes a token of an owner. It returns false if the token is unknown and the server reports that.
func (s *Server) revokeToken(value, hint string, owner func(*grant) bool) bool {
	b := &s.Behaviour
	s.mu.Lock()
	defer s.mu.Unlock()
	access, refresh := s.access[value], s.refresh[value]
	if access == nil && refresh == nil && !b.has(RevokeUnknown) {
		return false
	}
	if !b.has(RevokeBothKinds) {
		switch hint {
		case "refresh_token":
			access = nil
		case "access_token":
			refresh = nil
		}
	}
	if access != nil && owner(access.grant) && b.has(RevokeAccess) && (b.has(RevokeRefreshed) || !access.rotated) &&
		!(b.SparesMachines && access.grant.user == access.grant.client) {
		access.revoked = true
	}
	if refresh != nil && owner(refresh.grant) && b.has(RevokeRefresh) && !s.revokedByHalf(refresh.grant) &&
		(b.has(RevokeRotated) || !refresh.rotated) {
		refresh.grant.revoked = true
		if !b.has(RevokeGrant) {
			s.spareAccess(refresh.grant)
		}
		if !b.has(RevokeEveryAccess) {
			s.spareAllButNewest(refresh.grant)
		}
	}
	return true
}

// revokedByHalf is a flaw: a pair of tokens counts as revoked when its access token is, and its refresh token is left as it is.
func (s *Server) revokedByHalf(g *grant) bool {
	for _, t := range s.access {
		if t.grant == g && t.revoked {
			return s.Behaviour.RevokesPairs
		}
	}
	return false
}

// introspect implements RFC 7662: confidential clients may introspect their own access tokens.
func (s *Server) introspect(w http.ResponseWriter, r *http.Request) {
	b := &s.Behaviour
	if e := s.form(w, r); e != nil {
		s.writeOAuthError(w, r, e)
		return
	}
	c, e := s.authenticate(r)
	if !b.has(IntrospectErrors) && e != nil && r.Header.Get("Authorization") != "" {
		http.Error(w, "binascii.Error", http.StatusInternalServerError)
		return
	}
	trusted := !b.has(IntrospectNoTokens) && s.bearerIsGood(r) || !b.has(IntrospectNoPublic) && e == nil && c.public()
	if (e != nil || c.public()) && b.has(IntrospectAuth) && !trusted {
		s.writeOAuthError(w, r, &oauthError{http.StatusUnauthorized, "invalid_client", "credentials are needed"})
		return
	}
	value := r.PostForm.Get("token")
	if value == "" {
		s.writeOAuthError(w, r, refuse("invalid_request", "token is missing"))
		return
	}
	if trusted {
		c = nil
	}
	out := s.describeToken(value, c, trusted)
	if s.issuedUpstream(value) {
		out["active"] = true
	}
	if user := s.userOfIDToken(value); user != "" && !b.has(IntrospectNoIDTokens) {
		out = map[string]any{"active": true, "sub": user, "token_type": "Bearer"}
	}
	if !b.has(IntrospectAnyHint) && r.PostForm.Get("token_type_hint") == "refresh_token" {
		out = map[string]any{"active": false}
	}
	s.respond("/introspect", out)
	w.Header().Set("Cache-Control", "no-store")
	writeJSON(w, http.StatusOK, out)
}

func (s *Server) describeToken(value string, c *client, trusted bool) map[string]any {
	b := &s.Behaviour
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.introspected(value)
	trusted = trusted || s.refresh[value] != nil && !b.has(IntrospectOwnRefresh)
	if t == nil || !trusted && !s.mayIntrospect(c, t) {
		return s.inactive(nil)
	}
	expired := b.has(AccessExpires) && !s.now().Before(t.expires)
	if b.has(IntrospectState) && (expired || t.revoked || t.grant.revoked && b.has(IntrospectGrant)) {
		return s.inactive(t)
	}
	out := map[string]any{
		"active": true, "scope": strings.Join(t.scopes, " "), "client_id": t.grant.client, "sub": t.grant.user, "username": t.grant.user,
		"token_type": "Bearer", "iss": s.Issuer, "exp": t.expires.Unix(), "iat": t.issued.Unix(), "nbf": t.issued.Unix(), "jti": t.jti,
	}
	if len(t.aud) == 1 {
		out["aud"] = t.aud[0]
	}
	if !b.has(IntrospectShape) {
		out["active"] = "true"
	}
	return out
}

func (s *Server) introspected(value string) *accessToken {
	b := &s.Behaviour
	if r := s.refresh[value]; r != nil && (!b.has(IntrospectTypes) || !b.has(IntrospectOwnRefresh)) {
		return &accessToken{grant: r.grant, scopes: r.scopes, aud: r.grant.resources, issued: s.now(), expires: s.now().Add(lifetime)}
	}
	return s.orUnsigned(s.access[value], value, IntrospectSignature)
}

func (s *Server) inactive(t *accessToken) map[string]any {
	out := map[string]any{"active": false}
	if t != nil && !s.Behaviour.has(IntrospectSilence) {
		out["sub"], out["reason"] = t.grant.user, "revoked"
	}
	return out
}

// userinfo implements OpenID Connect's endpoint, for access tokens with the scope openid.
func (s *Server) userinfo(w http.ResponseWriter, r *http.Request) {
	b := &s.Behaviour
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		w.Header().Set("Allow", "GET, POST")
		http.Error(w, "GET or POST", http.StatusMethodNotAllowed)
		return
	}
	value, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !bearer && (!b.has(UserinfoHeaderOnly) || !b.has(UserinfoPostedQuery) && r.Method == http.MethodPost) {
		value = r.URL.Query().Get("access_token")
	}
	challenge := `Bearer realm="userinfo"`
	if bearer {
		challenge += `, error="invalid_token"`
	}
	if s.looseUserinfo(w, r, value) {
		return
	}
	s.mu.Lock()
	t := s.access[value]
	t = s.orUnsigned(t, value, UserinfoSignature)
	if old := s.refresh[value]; old != nil && !b.has(UserinfoState) {
		t = &accessToken{grant: old.grant, scopes: old.scopes, expires: s.now().Add(lifetime)}
	}
	spared := t != nil && !b.has(UserinfoGrant) && !t.revoked && s.now().Before(t.expires) // the flaw
	spared = spared || t != nil && (!b.has(AccessExpires) && !t.revoked && !t.grant.revoked || !b.has(UserinfoState))
	alive := t.alive(s.now()) || spared
	s.mu.Unlock()
	switch {
	case !alive && s.Upstream != nil && !b.has(OnlyOwnTokens) && (s.knownUpstream(value) || s.issuedUpstream(value)):
		writeJSON(w, http.StatusOK, map[string]any{"sub": "alice"})
		return
	case !alive:
		if b.has(UserinfoChallenge) {
			w.Header().Set("WWW-Authenticate", challenge)
		}
		writeErrorKeep(w, http.StatusUnauthorized, "invalid_token")
		return
	case t.grant.user == t.grant.client && !b.has(MachineNoUser):
		writeJSON(w, http.StatusOK, map[string]any{"sub": t.grant.user, "name": "A user"})
		return
	case !slices.Contains(t.scopes, "openid") && b.has(UserinfoOpenID):
		w.Header().Set("WWW-Authenticate", `Bearer realm="userinfo", error="insufficient_scope", scope="openid"`)
		writeErrorKeep(w, http.StatusForbidden, "insufficient_scope")
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	writeJSON(w, http.StatusOK, s.profile(t))
}

func (s *Server) profile(t *accessToken) map[string]any {
	b := &s.Behaviour
	out := map[string]any{"sub": t.grant.user}
	if !b.has(UserinfoSubject) {
		out["sub"] = t.grant.client
	}
	if slices.Contains(t.scopes, "profile") || !b.has(UserinfoScopes) {
		out["name"] = strings.ToUpper(t.grant.user[:1]) + t.grant.user[1:]
	}
	if slices.Contains(t.scopes, "email") || !b.has(UserinfoScopes) {
		out["email"], out["email_verified"] = t.grant.user+"@users.example", true
	}
	if !b.has(UserinfoClean) {
		out["password_hash"] = "$2b$12$abcdefghijklmnopqrstuv"
	}
	s.respond("/userinfo", out)
	return out
}

// tokenInfo is a flaw: anybody may introspect any token.
func (s *Server) tokenInfo(w http.ResponseWriter, r *http.Request) {
	value, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if value == "" {
		value = r.URL.Query().Get("access_token")
	}
	s.mu.Lock()
	t := s.access[value]
	s.mu.Unlock()
	if t == nil {
		writeErrorKeep(w, http.StatusUnauthorized, "invalid_token")
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"sub": t.grant.user, "scope": strings.Join(t.scopes, " ")})
}

// knownUpstream is a flaw: a valid token of the upstream is accepted here too.
func (s *Server) knownUpstream(token string) bool {
	_, ok := s.upstreamUser(token)
	return ok
}
