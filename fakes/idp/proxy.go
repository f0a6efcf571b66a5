package idp

import (
	"crypto"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/mcpauth/conformance/fixtures/seeded"
)

// Upstream makes a server a proxy: users sign in at another authorization server, where the proxy is one client for all its own clients.
type Upstream struct {
	// Lives reports whether the upstream session of a refresh token is still valid. May be nil.
	Lives func(refresh string) bool
	// Issued returns what the upstream has issued, for the flaws of a proxy that tells or accepts it. May be nil.
	Issued           func() []string
	Issuer           string
	ClientID, Secret string
	Scopes           []string
	Key              *rsa.PublicKey // signs ID tokens
	NoChallenge      bool           // send no code_challenge
	SecretInForm     bool           // send the secret as client_secret, instead of Basic
	ByUserinfo       bool           // read the user from the userinfo endpoint instead of the ID token
}

// upstreamRequest is the state of a proxy's own request to the upstream.
type upstreamRequest struct {
	state, nonce, verifier string
	user                   string // who signed in there
	access, refresh        string // the proxy never discloses these tokens
}

// AddClient registers a confidential client by hand.
func (s *Server) AddClient(id, secret, redirectURI string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	method := "client_secret_basic"
	if secret == "" {
		method = "none"
	}
	s.clients[id] = &client{
		id: id, secret: secret, method: method, redirectURIs: []string{redirectURI}, name: "The MCP server",
		grantTypes: []string{"authorization_code", "refresh_token"}, created: s.now(),
	}
}

// callbackPath is the path to which the upstream sends its answers.
const callbackPath = "/callback"

// UpstreamCallback returns the proxy's redirect URI at its upstream.
func (s *Server) UpstreamCallback() string { return strings.TrimSuffix(s.Issuer, "/") + callbackPath }

// proxied continues a request whose user signs in at the upstream.
func (s *Server) proxied(w http.ResponseWriter, r *http.Request, t *transaction) {
	b := &s.Behaviour
	t.atUpstream = upstreamRequest{state: random(24), nonce: random(24), verifier: random(32)}
	if b.RedeemsUpstream {
		t.atUpstream.verifier = oneVerifier
	}
	if !b.has(FreshUpstreamState) && len(t.state) > 0 {
		t.atUpstream.state = t.state[0]
	}
	if !b.has(BindAfterConsent) {
		s.setCookie(w, "as_upstream", t.atUpstream.state)
	}
	if t.problem == nil && (!b.has(ProxyConsent) || !b.has(ConsentBeforeUpstream) || s.remembered(r, t)) {
		s.toUpstream(w, r, t)
		return
	}
	s.consentPage(w, t, "")
}

// toUpstream sends the browser to the other authorization server.
func (s *Server) toUpstream(w http.ResponseWriter, r *http.Request, t *transaction) {
	b := &s.Behaviour
	s.mu.Lock()
	s.atUpstream[t.atUpstream.state] = t
	s.mu.Unlock()
	if b.has(BindAfterConsent) {
		s.setCookie(w, "as_upstream", t.atUpstream.state)
	} else if r.Method == http.MethodPost {
		s.setCookie(w, "as_approved", random(8))
	}
	s.protect(w, "message", "")
	w.Header().Set("Location", s.Upstream.Issuer+"/authorize?"+s.upstreamQuery(t).Encode())
	w.WriteHeader(http.StatusSeeOther)
}

// upstreamQuery makes the authorization request to the upstream.
func (s *Server) upstreamQuery(t *transaction) url.Values {
	u, scopes := s.Upstream, slices.Clone(s.Upstream.Scopes)
	q := url.Values{
		"response_type": {"code"}, "client_id": {u.ClientID}, "redirect_uri": {s.UpstreamCallback()}, "state": {t.atUpstream.state},
		"nonce": {t.atUpstream.nonce},
	}
	if !u.NoChallenge {
		sum := sha256.Sum256([]byte(t.atUpstream.verifier))
		q.Set("code_challenge", base64.RawURLEncoding.EncodeToString(sum[:]))
		q.Set("code_challenge_method", "S256")
	}
	if !s.Behaviour.has(ModestUpstreamRequest) {
		scopes = append(scopes, t.scopes...)
		q.Del("nonce")
		t.atUpstream.nonce = ""
	}
	q.Set("scope", strings.Join(scopes, " "))
	return q
}

// callback handles the upstream's answer.
func (s *Server) callback(w http.ResponseWriter, r *http.Request) {
	b := &s.Behaviour
	q := r.URL.Query()
	state := q.Get("state")
	s.mu.Lock()
	t := s.atUpstream[state]
	loose := false
	for _, other := range s.atUpstream {
		if t != nil || other.browser != s.cookie(r, "as_browser") {
			continue
		}
		if loose = b.StateMatches != nil && b.StateMatches(other.atUpstream.state, state, q.Has("state")); loose || !b.has(CheckUpstreamState) {
			t = other
		}
	}
	if t != nil && b.has(UpstreamStateOnce) {
		delete(s.atUpstream, t.atUpstream.state)
	}
	s.mu.Unlock()
	bound := state != "" && s.cookie(r, "as_upstream") == state || !b.has(BindUpstreamState) || !b.has(CheckUpstreamState) || loose
	switch {
	case t == nil || !bound:
		s.errorPage(w, http.StatusBadRequest, "This answer belongs to nothing that was asked. Go back to the application and start again.")
		return
	case q.Get("error") == "access_denied":
		s.answer(w, r, t, url.Values{"error": {"access_denied"}})
		return
	case q.Get("error") != "" && !b.has(UpstreamErrors):
		http.Error(w, "KeyError: 'access_token': "+q.Get("error_description"), http.StatusInternalServerError)
		return
	case q.Get("code") == "":
		s.answer(w, r, t, url.Values{"error": {"server_error"}})
		return
	}
	if !s.redeemUpstream(t, q.Get("code")) {
		if !b.has(UpstreamErrors) {
			http.Error(w, "KeyError: 'access_token'", http.StatusInternalServerError)
			return
		}
		s.answer(w, r, t, url.Values{"error": {"server_error"}})
		return
	}
	if b.has(ProxyConsent) && !b.has(ConsentBeforeUpstream) {
		s.consentPage(w, t, t.atUpstream.user)
		return
	}
	s.grantTo(w, r, t, t.atUpstream.user, t.scopes)
}

// redeemUpstream redeems the upstream's code, and reads the user from its ID token.
func (s *Server) redeemUpstream(t *transaction, code string) bool {
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {s.UpstreamCallback()}}
	if !s.Upstream.NoChallenge {
		form.Set("code_verifier", t.atUpstream.verifier)
	}
	members, ok := s.askUpstream(form)
	if !ok {
		return false
	}
	t.atUpstream.access, _ = members["access_token"].(string)
	t.atUpstream.refresh, _ = members["refresh_token"].(string)
	token, _ := members["id_token"].(string)
	claims, ok := s.upstreamClaims(token, t.atUpstream.nonce)
	if s.Upstream.ByUserinfo {
		claims, ok = s.upstreamUser(t.atUpstream.access)
	}
	if !ok {
		return false
	}
	user, _ := claims["sub"].(string)
	if mail, _ := claims["email"].(string); mail != "" && !s.Behaviour.has(AccountsBySubject) {
		user = strings.Split(mail, "@")[0]
	}
	t.atUpstream.user = user
	return user != "" && t.atUpstream.access != ""
}

// oneVerifier is the verifier of every request of a proxy that does not remember for whom it asked: a flaw.
const oneVerifier = "the-same-verifier-for-every-request-of-this-proxy"

// redeemForeign is a flaw: it redeems at the upstream what is not a code of its own, and issues tokens for the user there.
func (s *Server) redeemForeign(value string, c *client) map[string]any {
	s.mu.Lock()
	own := s.codes[value] != nil
	s.mu.Unlock()
	t := &transaction{atUpstream: upstreamRequest{verifier: oneVerifier}}
	if !s.Behaviour.RedeemsUpstream || s.Upstream == nil || own || !s.redeemUpstream(t, value) {
		return nil
	}
	scopes := []string{"notes:read"}
	g := &grant{client: c.id, user: t.atUpstream.user, scopes: scopes, resources: s.Resources[:1], given: s.now()}
	return s.answerToken(g, scopes, g.resources, "")
}

// askUpstream sends a request to the upstream's token endpoint.
func (s *Server) askUpstream(form url.Values) (map[string]any, bool) {
	if s.Upstream.SecretInForm {
		form.Set("client_id", s.Upstream.ClientID)
		form.Set("client_secret", s.Upstream.Secret)
	}
	req, err := http.NewRequest(http.MethodPost, s.Upstream.Issuer+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		return nil, false
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if !s.Upstream.SecretInForm {
		req.SetBasicAuth(url.QueryEscape(s.Upstream.ClientID), url.QueryEscape(s.Upstream.Secret))
	}
	resp, err := upstreamClient.Do(req)
	if err != nil {
		return nil, false
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	var members map[string]any
	if err != nil || json.Unmarshal(body, &members) != nil || resp.StatusCode != http.StatusOK || members["error"] != nil {
		return nil, false
	}
	return members, true
}

var upstreamClient = &http.Client{Timeout: 5 * time.Second}

// upstreamUser reads the user of an access token from the upstream.
func (s *Server) upstreamUser(token string) (map[string]any, bool) {
	req, err := http.NewRequest(http.MethodGet, s.Upstream.Issuer+"/userinfo", nil)
	if err != nil {
		return nil, false
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := upstreamClient.Do(req)
	if err != nil {
		return nil, false
	}
	defer resp.Body.Close()
	var claims map[string]any
	err = json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&claims)
	return claims, err == nil && resp.StatusCode == http.StatusOK
}

// upstreamClaims verifies an ID token (OpenID Connect Core section 3.1.3.7).
func (s *Server) upstreamClaims(token, nonce string) (map[string]any, bool) {
	var header struct{ Alg, Kid string }
	var claims map[string]any
	parts := strings.Split(token, ".")
	if len(parts) != 3 || !decode(parts[0], &header) || !decode(parts[1], &claims) {
		return nil, false
	}
	if !s.Behaviour.has(VerifyUpstreamIDToken) || s.Behaviour.believes(parts) {
		return claims, true
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	now := float64(s.now().Unix())
	expires, _ := claims["exp"].(float64)
	issued, _ := claims["iat"].(float64)
	good := err == nil && header.Alg == "RS256" && header.Kid == "rsa-1" &&
		rsa.VerifyPKCS1v15(s.Upstream.Key, crypto.SHA256, sum[:], signature) == nil &&
		claims["iss"] == s.Upstream.Issuer && claims["aud"] == s.Upstream.ClientID &&
		(claims["azp"] == nil || claims["azp"] == s.Upstream.ClientID) &&
		expires > now && issued > 0 && issued <= now+30 && (nonce == "" || claims["nonce"] == nonce)
	return claims, good
}

// issuedUpstream is a flaw: it reports whether the upstream has issued a value, which counts here too.
func (s *Server) issuedUpstream(value string) bool {
	u := s.Upstream
	return u != nil && u.Issued != nil && !s.Behaviour.has(OnlyOwnTokens) && slices.Contains(u.Issued(), value)
}

// respond is what leaves the server in a response: changed by a flaw, or with a token of the upstream.
func (s *Server) respond(endpoint string, members map[string]any) {
	b := &s.Behaviour
	if b.Response != nil {
		b.Response(endpoint, members)
	}
	s.tellUpstream(endpoint, members)
}

// tellUpstream is a flaw: it adds a token of the upstream.
func (s *Server) tellUpstream(place string, members map[string]any) {
	if u := s.Upstream; u != nil && u.Issued != nil && s.Behaviour.TellsUpstream == place {
		issued := u.Issued()
		members["upstream_token"] = issued[len(issued)-1]
	}
}

// upstreamLives checks that the upstream session is still valid, before a grant is refreshed here.
func (s *Server) upstreamLives(g *grant) bool {
	if g.upstream == "" || !s.Behaviour.has(FollowUpstream) {
		return true
	}
	members, ok := s.askUpstream(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {g.upstream}})
	if next, _ := members["refresh_token"].(string); ok && next != "" {
		s.mu.Lock()
		g.upstream = next
		s.mu.Unlock()
	}
	return ok
}

// The cookie with the approvals of a browser's user: client, redirect URI and scope, with a MAC.

func (s *Server) remember(w http.ResponseWriter, r *http.Request, t *transaction) {
	if s.Behaviour.Consent != "once" {
		return
	}
	all := s.approvedHere(r)
	for _, scope := range t.scopes {
		all = append(all, t.client.id+" "+t.redirectURI+" "+scope+" "+url.QueryEscape(t.client.name))
	}
	body := base64.RawURLEncoding.EncodeToString([]byte(strings.Join(all, "\n")))
	s.setCookie(w, "as_approvals", body+"."+s.seal(body))
}

func (s *Server) approvedHere(r *http.Request) []string {
	body, seal, _ := strings.Cut(s.cookie(r, "as_approvals"), ".")
	if body == "" || s.Behaviour.has(SealedApprovals) && !hmac.Equal([]byte(seal), []byte(s.seal(body))) {
		return nil
	}
	all, err := base64.RawURLEncoding.DecodeString(body)
	if err != nil {
		return nil
	}
	return strings.Split(string(all), "\n")
}

func (s *Server) remembered(r *http.Request, t *transaction) bool {
	if s.Behaviour.Consent != "once" {
		return false
	}
	approved := s.approvedHere(r)
	covered := !slices.ContainsFunc(t.scopes, func(scope string) bool {
		return !slices.ContainsFunc(approved, func(a string) bool { return s.sameApproval(a, t, scope) })
	})
	return covered || len(approved) > 0 && !s.Behaviour.has(ApprovalPerClient)
}

func (s *Server) seal(body string) string {
	m := hmac.New(sha256.New, s.sealKey())
	m.Write([]byte(body))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

// sealKey returns a key that is random for each server: a later server of this process has another one, even with the same seed.
func (s *Server) sealKey() []byte {
	s.sealing.Do(func() { s.sealed = seeded.Fakes.Bytes(32) })
	return s.sealed
}
