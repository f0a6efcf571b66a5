package idp

import (
	"cmp"
	"crypto/ecdsa"
	"encoding/json"
	"io"
	"maps"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

type client struct {
	id, secret, method string
	redirectURIs       []string
	grantTypes         []string
	scopes             []string // nil: no limit
	name, uri          string
	management         string
	fromDocument       bool
	native             bool             // its application_type
	key                *ecdsa.PublicKey // of private_key_jwt
	anyRedirect        bool             // a flaw
	deleted            bool
	created            time.Time
	meta               map[string]any // as registered
	sent               map[string]any // as sent
}

func (c *client) public() bool { return c.method == "none" }

// badMetadata is the error of a refused registration.
type badMetadata struct{ code, description string }

func (b *badMetadata) Error() string { return b.description }

// register implements RFC 7591.
func (s *Server) register(w http.ResponseWriter, r *http.Request) {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	switch {
	case s.Behaviour.Registration == "closed":
		writeError(w, http.StatusForbidden, "access_denied", "registration is closed")
		return
	case s.Behaviour.Registration == "bare":
		writeErrorKeep(w, http.StatusUnauthorized, "invalid_token")
		return
	case s.Behaviour.Registration == "protected", s.Behaviour.Registration == "any-token" && token == "":
		w.Header().Set("WWW-Authenticate", `Bearer realm="registration"`)
		writeErrorKeep(w, http.StatusUnauthorized, "invalid_token")
		return
	case r.Method == http.MethodGet && !s.Behaviour.has(NoClientList):
		s.listClients(w)
		return
	case s.tell(w, r, "query", r.URL.Query().Get("client_id")):
		return
	case r.Method != http.MethodPost && !(r.Method == http.MethodPut && s.Behaviour.RegistersByPut):
		w.Header().Set("Allow", "POST")
		http.Error(w, "POST only", http.StatusMethodNotAllowed)
		return
	}
	meta, ok := s.readMetadata(w, r)
	if !ok {
		return
	}
	if name, _ := meta["client_name"].(string); s.Behaviour.has(LimitRegistrations) && s.overLimit(name, mostRegistrations, time.Second) {
		w.Header().Set("Retry-After", "1")
		writeJSON(w, http.StatusTooManyRequests, map[string]string{"error": "temporarily_unavailable"})
		return
	}
	c, err := s.newClient(meta)
	if err != nil {
		s.refuseMetadata(w, err)
		return
	}
	shares := !s.Behaviour.has(OwnRegistration) || s.Behaviour.SharesPublicClients && c.method == "none"
	if old := s.sameRegistration(c); old != nil && shares {
		c = s.again(old, c.secret)
	}
	if s.Behaviour.has(ClientsKept) {
		s.mu.Lock()
		s.clients[c.id] = c
		s.mu.Unlock()
	}
	s.writeClient(w, http.StatusCreated, c)
}

// again returns a client that registers once more, with its secret or, as a flaw, with another one.
func (s *Server) again(old *client, secret string) *client {
	if s.Behaviour.RenewsSecrets && secret != "" {
		s.mu.Lock()
		defer s.mu.Unlock()
		renewed := *old
		renewed.secret = secret
		return &renewed
	}
	return old
}

func (s *Server) listClients(w http.ResponseWriter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []map[string]any
	for _, c := range s.clients {
		all = append(all, map[string]any{"client_id": c.id, "redirect_uris": c.redirectURIs})
	}
	writeJSON(w, http.StatusOK, map[string]any{"clients": all})
}

func (s *Server) refuseMetadata(w http.ResponseWriter, err *badMetadata) {
	if !s.Behaviour.has(RegistrationErrors) {
		writeJSON(w, http.StatusUnprocessableEntity, map[string]any{"detail": []any{map[string]any{"msg": err.description}}})
		return
	}
	status, mediaType := http.StatusBadRequest, "application/json"
	members := map[string]any{"error": err.code, "error_description": err.description}
	if s.Behaviour.RegistrationError != nil {
		s.Behaviour.RegistrationError(&status, &mediaType, members)
	}
	w.Header().Set("Cache-Control", "no-store")
	writeJSONAs(w, mediaType, status, members)
}

// readMetadata reads the body of a registration, or answers with an error.
func (s *Server) readMetadata(w http.ResponseWriter, r *http.Request) (map[string]any, bool) {
	mt, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if s.Behaviour.CrashesOn != nil || s.Behaviour.RegistersBody != nil {
		if meta, done := s.oddBody(w, r, mt); done {
			return meta, meta != nil
		}
	}
	if err != nil || mt != "application/json" {
		writeError(w, http.StatusUnsupportedMediaType, "invalid_client_metadata", "the body is not JSON")
		return nil, false
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10))
	if err != nil {
		writeError(w, http.StatusRequestEntityTooLarge, "invalid_client_metadata", "the body is too large")
		return nil, false
	}
	var meta map[string]any
	if err := json.Unmarshal(body, &meta); err != nil || meta == nil {
		if !s.Behaviour.has(SurviveOddBodies) {
			http.Error(w, "panic: assignment to entry in nil map", http.StatusInternalServerError)
			return nil, false
		}
		writeError(w, http.StatusBadRequest, "invalid_client_metadata", "the body is not a JSON object")
		return nil, false
	}
	return meta, true
}

// newClient validates metadata and makes the client.
func (s *Server) newClient(meta map[string]any) (*client, *badMetadata) {
	b := &s.Behaviour
	maps.Copy(meta, s.statement(meta))
	uris, problem := s.redirectURIs(meta["redirect_uris"])
	if taken := s.takenOfNative(meta); taken != nil {
		uris, problem = taken, nil
	}
	if problem != nil {
		return nil, problem
	}
	c := &client{id: random(16), redirectURIs: uris, management: random(24), created: time.Now()}
	if !b.has(OwnIDs) {
		if id, _ := meta["client_id"].(string); id != "" {
			c.id = id
		}
	}
	if !b.has(DistinctClients) {
		c.id = "shared-upstream-client"
	}
	if b.ManagementTokenOf != nil {
		c.management = b.ManagementTokenOf(c.id)
	}
	c.name, _ = meta["client_name"].(string)
	c.uri, _ = meta["client_uri"].(string)
	if !b.has(IgnoreUnknownMetadata) {
		for k := range meta {
			if strings.HasPrefix(k, "x_") {
				return nil, &badMetadata{"invalid_client_metadata", "unknown member " + k}
			}
		}
	}
	for _, name := range b.RegistrationRefuses {
		if _, sent := meta[name]; sent {
			return nil, &badMetadata{"invalid_client_metadata", "a member is not understood"}
		}
	}
	c.native = meta["application_type"] == "native"
	if c.native && !b.has(AnyApplicationType) {
		return nil, &badMetadata{"invalid_client_metadata", "application_type is not supported"}
	}
	if problem := s.unfit(c); problem != nil {
		return nil, problem
	}
	if problem := s.method(c, meta); problem != nil {
		return nil, problem
	}
	if problem := s.types(c, meta); problem != nil {
		return nil, problem
	}
	c.scopes = s.Behaviour.DefaultScopes
	if scope, _ := meta["scope"].(string); scope != "" {
		c.scopes = []string{}
		for _, v := range strings.Fields(scope) {
			if slices.Contains(s.Scopes, v) || !b.has(RegisteredScope) || b.RegistersScope != nil && b.RegistersScope(v) {
				c.scopes = append(c.scopes, v)
			}
		}
	}
	s.keepChosen(c, meta)
	s.fetchAll(meta)
	c.meta, c.sent = s.echo(c, meta), meta
	return c, nil
}

// keep stores the key of a client that registers one.
func (c *client) keep(set map[string]any) *badMetadata {
	if c.key = firstKey(set); c.key == nil {
		return &badMetadata{"invalid_client_metadata", "the keys cannot be used"}
	}
	return nil
}

func (s *Server) method(c *client, meta map[string]any) *badMetadata {
	c.method = "client_secret_basic"
	if m, given := meta["token_endpoint_auth_method"]; given {
		c.method, _ = m.(string)
	}
	if set, _ := meta["jwks"].(map[string]any); c.method == "private_key_jwt" && set != nil {
		return c.keep(set)
	}
	if !slices.Contains([]string{"none", "client_secret_basic", "client_secret_post"}, c.method) &&
		!(s.Behaviour.SecretAssertions && c.method == "client_secret_jwt") {
		return &badMetadata{"invalid_client_metadata", "token_endpoint_auth_method is not supported"}
	}
	if !c.public() {
		c.secret = random(32)
		if !s.Behaviour.has(RandomSecrets) {
			s.mu.Lock()
			s.counter++
			c.secret = "secret-" + strconv.Itoa(s.counter)
			s.mu.Unlock()
		}
		if s.Behaviour.SecretOf != nil {
			c.secret = s.Behaviour.SecretOf(c.name)
		}
	}
	return nil
}

// types reads grant and response types, and drops those that a self-registered client must not have.
func (s *Server) types(c *client, meta map[string]any) *badMetadata {
	b := &s.Behaviour
	responses, given := list(meta["response_types"])
	if asked, _ := list(meta["grant_types"]); b.RegistersTypes != nil && b.RegistersTypes(asked, responses) {
		c.grantTypes = asked
		return nil
	}
	for _, t := range responses {
		if t != "code" && b.has(ConsistentTypes) {
			return &badMetadata{"invalid_client_metadata", "response type is not supported"}
		}
	}
	for _, name := range b.RegistrationNeeds {
		if _, sent := meta[name]; !sent {
			return &badMetadata{"invalid_client_metadata", "a member is missing"}
		}
	}
	if !given {
		responses = []string{"code"}
	}
	grants, given := list(meta["grant_types"])
	if !given {
		grants = []string{"authorization_code"}
	}
	for _, t := range grants {
		known := t == "authorization_code" || t == "refresh_token"
		known = known || b.ConfirmsGrant != nil && b.ConfirmsGrant(t)
		if known || !b.has(NoPrivilegedGrants) || t == "implicit" && !b.has(ConsistentTypes) {
			c.grantTypes = append(c.grantTypes, t)
		}
	}
	if !slices.Contains(c.grantTypes, "authorization_code") && b.has(ConsistentTypes) {
		return &badMetadata{"invalid_client_metadata", "no grant type is left"}
	}
	meta["response_types"] = responses
	if b.MachineWithoutRedirects && len(c.redirectURIs) == 0 {
		c.grantTypes, meta["response_types"] = []string{"client_credentials"}, []string{}
	}
	return nil
}

func list(v any) ([]string, bool) {
	values, ok := v.([]any)
	var out []string
	for _, e := range values {
		if t, isString := e.(string); isString {
			out = append(out, t)
		}
	}
	return out, ok
}

// echo returns the client information response.
func (s *Server) echo(c *client, meta map[string]any) map[string]any {
	b := &s.Behaviour
	out := map[string]any{
		"client_id": c.id, "client_id_issued_at": c.created.Unix(), "redirect_uris": c.redirectURIs,
		"grant_types": c.grantTypes, "response_types": meta["response_types"], "token_endpoint_auth_method": c.method,
		"registration_access_token": c.management, "registration_client_uri": strings.TrimSuffix(s.Issuer, "/") + "/register/" + c.id,
	}
	for _, k := range []string{"client_name", "client_uri", "logo_uri", "tos_uri", "policy_uri", "software_id", "software_version"} {
		if v, _ := meta[k].(string); v != "" && (!strings.HasSuffix(k, "_uri") || strings.HasPrefix(v, "https://")) {
			out[k] = v
		}
	}
	if b.NativeLoopback {
		if out["application_type"] = "web"; c.native {
			out["application_type"] = "native"
		}
	}
	if c.scopes != nil && (len(c.scopes) > 0 || !b.DropsScopes) {
		out["scope"] = strings.Join(c.scopes, " ")
	}
	if c.secret != "" {
		out["client_secret"] = c.secret
		if b.has(SecretExpiry) {
			out["client_secret_expires_at"] = 0
		}
		if !b.has(WorkingSecret) {
			c.secret = random(32)
		}
	} else if !b.has(NoSecretForPublic) {
		out["client_secret"], out["client_secret_expires_at"] = random(32), 0
	}
	if !b.has(EchoMetadata) {
		delete(out, "redirect_uris")
		delete(out, "grant_types")
	}
	if !b.has(RegistrationDefaults) && meta["token_endpoint_auth_method"] == nil {
		delete(out, "token_endpoint_auth_method")
		delete(out, "grant_types")
	}
	if !b.has(NoNulls) {
		out["contacts"] = nil
	}
	if b.Response != nil {
		b.Response("/register", out)
	}
	return out
}

// redirectURIs validates the member redirect_uris.
func (s *Server) redirectURIs(v any) ([]string, *badMetadata) {
	b := &s.Behaviour
	if b.ReadsRedirects != nil {
		v = b.ReadsRedirects(v)
	}
	values, ok := v.([]any)
	if b.MachineWithoutRedirects && len(values) == 0 {
		return nil, nil
	}
	if (!ok || len(values) == 0) && !b.has(RequireRedirects) {
		return []string{"http://localhost"}, nil
	}
	if !ok || len(values) == 0 || len(values) > 20 {
		return nil, &badMetadata{"invalid_redirect_uri", "redirect_uris is not a list of one to twenty"}
	}
	var out []string
	for _, e := range values {
		uri, ok := e.(string)
		anyway := b.RegistersRedirect != nil && b.RegistersRedirect(len(out), uri)
		if !ok || !s.goodRedirect(uri) && !anyway {
			return nil, &badMetadata{"invalid_redirect_uri", "a redirect URI is not allowed"}
		}
		out = append(out, uri)
	}
	return out, nil
}

// goodRedirect allows https, http on loopback, and private-use schemes in reverse domain form (RFC 8252 section 7).
func (s *Server) goodRedirect(uri string) bool {
	b := &s.Behaviour
	if len(uri) > 2048 || strings.ContainsFunc(uri, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '\\' }) {
		return false
	}
	if !b.has(NoWildcards) && strings.Contains(uri, "*") {
		return true
	}
	if strings.Contains(uri, "*") || strings.Contains(uri, "#") && b.has(NoFragments) {
		return false
	}
	u, err := url.Parse(uri)
	if err != nil || !u.IsAbs() {
		return err == nil && u.Scheme == "" && strings.HasPrefix(uri, "//") && !b.has(AbsoluteRedirects)
	}
	switch u.Scheme {
	case "https":
		return u.Hostname() != "" && u.User == nil && goodPort(u)
	case "http":
		loopback := u.User == nil && goodPort(u) && loopbackHost(u.Hostname())
		if !b.has(LoopbackRegistered) {
			loopback = u.Hostname() == "localhost"
		}
		lookalike := !b.has(ExactLoopback) && (strings.HasPrefix(uri, "http://localhost") || strings.HasPrefix(uri, "http://127.0.0.1"))
		plain := !b.has(NoPlainHTTP) && u.User == nil && !strings.Contains(u.Host, "localhost") && !strings.Contains(uri, "127.0.0.1") &&
			!strings.Contains(uri, "localhost")
		return loopback || lookalike || plain
	case "javascript", "data", "vbscript", "file", "blob", "about", "view-source":
		return !b.has(SafeSchemes)
	}
	return strings.Contains(u.Scheme, ".") || !b.has(PrivateSchemes)
}

func goodPort(u *url.URL) bool {
	if u.Port() == "" {
		return !strings.HasSuffix(u.Host, ":")
	}
	n, err := strconv.Atoi(u.Port())
	return err == nil && n > 0 && n < 65536
}

func loopbackHost(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// matchRedirect reports whether a redirect URI is one of the client's. The port of a loopback URI may differ (OAuth 2.1 section 8.4.2).
func (s *Server) matchRedirect(c *client, uri string) bool {
	b := &s.Behaviour
	unmatched := !b.has(MatchRedirect) || c.anyRedirect || !b.has(RedirectOfConfidential) && !c.public()
	if unmatched || !b.has(OwnRedirect) && s.anybodysRedirect(uri) {
		return true
	}
	return slices.ContainsFunc(c.redirectURIs, func(registered string) bool {
		switch {
		case registered == uri, b.TakesRedirect != nil && b.TakesRedirect(registered, uri):
			return true
		case !b.has(MatchWholeRedirect) && strings.HasPrefix(uri, strings.SplitN(registered, "?", 2)[0]):
			return true
		case !b.has(NoWildcards) && strings.Contains(registered, "*"):
			before, after, _ := strings.Cut(registered, "*")
			return strings.HasPrefix(uri, before) && strings.HasSuffix(uri, after)
		case !b.has(LoopbackOnlyPort) && strings.HasPrefix(registered, "http://127.0.0.1") && strings.HasPrefix(uri, "http://127.0.0.1"):
			return true
		}
		return b.has(LoopbackAnyPort) && (!b.NativeLoopback || c.native) && sameButForPort(registered, uri)
	})
}

func sameButForPort(registered, uri string) bool {
	a, err1 := url.Parse(registered)
	u, err2 := url.Parse(uri)
	if err1 != nil || err2 != nil || a.Scheme != "http" || u.Scheme != "http" || u.User != nil || !loopbackHost(a.Hostname()) ||
		a.Hostname() != u.Hostname() || !goodPort(u) {
		return false
	}
	return strings.TrimPrefix(registered, "http://"+a.Host) == strings.TrimPrefix(uri, "http://"+u.Host)
}

// manage implements RFC 7592.
func (s *Server) manage(w http.ResponseWriter, r *http.Request, id string) {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if s.tell(w, r, "path", id) {
		return
	}
	s.mu.Lock()
	c := s.clients[id]
	allowed := c != nil && token != "" && token == c.management
	if c != nil && s.Behaviour.Manages != nil {
		allowed = allowed || s.Behaviour.Manages(r.Method, token, c.management)
	}
	if !s.Behaviour.has(ManagementToken) && c != nil {
		for _, other := range s.clients {
			allowed = allowed || other.management == token
		}
	}
	s.mu.Unlock()
	if !allowed {
		w.Header().Set("WWW-Authenticate", `Bearer realm="registration"`)
		writeErrorKeep(w, http.StatusUnauthorized, "invalid_token")
		return
	}
	if s.Behaviour.ReadOnlyRegistration && r.Method != http.MethodGet {
		w.Header().Set("Allow", "GET")
		http.Error(w, "GET", http.StatusMethodNotAllowed)
		return
	}
	switch r.Method {
	case http.MethodGet:
		if !s.Behaviour.StoredReads {
			w.Header().Set("Cache-Control", "no-store")
		}
		writeJSON(w, http.StatusOK, c.meta)
	case http.MethodPut:
		s.update(w, r, c)
	case http.MethodDelete:
		s.forget(c)
		w.WriteHeader(http.StatusNoContent)
	default:
		w.Header().Set("Allow", "GET, PUT, DELETE")
		http.Error(w, "GET, PUT or DELETE", http.StatusMethodNotAllowed)
	}
}

func (s *Server) update(w http.ResponseWriter, r *http.Request, c *client) {
	meta, ok := s.readMetadata(w, r)
	if !ok {
		return
	}
	if s.keepUpdate(c, meta) {
		writeJSON(w, http.StatusOK, c.meta)
		return
	}
	id, _ := meta["client_id"].(string)
	secret, chosen := meta["client_secret"].(string)
	if s.Behaviour.has(RevalidateUpdates) && (id != c.id || chosen && secret != c.secret) {
		writeError(w, http.StatusBadRequest, "invalid_client_metadata", "client_id and client_secret cannot be chosen")
		return
	}
	if !s.Behaviour.has(RevalidateUpdates) {
		s.mu.Lock()
		uris, _ := list(meta["redirect_uris"])
		c.redirectURIs = uris
		c.meta["redirect_uris"] = uris
		if name, _ := meta["client_name"].(string); name != "" {
			c.meta["client_name"] = name
		}
		s.mu.Unlock()
		writeJSON(w, http.StatusOK, c.meta)
		return
	}
	delete(meta, "client_secret")
	changed, problem := s.newClient(meta)
	if problem != nil {
		s.refuseMetadata(w, problem)
		return
	}
	s.mu.Lock()
	changed.id, changed.secret, changed.management, changed.created = c.id, c.secret, c.management, c.created
	changed.meta = s.echo(changed, changed.meta)
	s.clients[c.id] = changed
	s.mu.Unlock()
	w.Header().Set("Cache-Control", "no-store")
	writeJSON(w, http.StatusOK, changed.meta)
}

func writeJSON(w http.ResponseWriter, status int, v any) { writeJSONAs(w, "", status, v) }

func writeJSONAs(w http.ResponseWriter, mediaType string, status int, v any) {
	w.Header().Set("Content-Type", cmp.Or(mediaType, "application/json"))
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func writeError(w http.ResponseWriter, status int, code, description string) {
	w.Header().Set("Cache-Control", "no-store")
	if status == http.StatusUnauthorized && w.Header().Get("WWW-Authenticate") == "" {
		w.Header().Set("WWW-Authenticate", `Basic realm="token"`)
	}
	doc := map[string]string{"error": code}
	if description != "" {
		doc["error_description"] = description
	}
	writeJSON(w, status, doc)
}

func writeErrorKeep(w http.ResponseWriter, status int, code string) {
	writeJSON(w, status, map[string]string{"error": code})
}
