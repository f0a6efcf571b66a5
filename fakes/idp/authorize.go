package idp

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/mcpauth/conformance/fakes/login"
)

// transaction is one authorization request while the user goes through the pages.
type transaction struct {
	id, csrf, browser string
	client            *client
	redirectURI       string
	mode              string
	state             []string // empty, or the value that was sent
	scopes            []string
	resources         []string
	challenge, method string
	nonce             string
	problem           *problem
	user              string // typed on the first of two pages
	issParameter      string
	responseType      string
	pushed            string          // the request_uri under which it was pushed
	atUpstream        upstreamRequest // of a proxy
	online            bool            // the request asks for no refresh token
	goesOn            string          // the address to continue at after the login
	asked             string          // the user whom the consent page asks
	untargeted        bool            // the request names no resource
}

// problem is an error for the client.
type problem struct{ code, description string }

// single are the parameters that must not be repeated.
var single = []string{
	"client_id", "redirect_uri", "response_type", "response_mode", "scope", "state", "code_challenge", "code_challenge_method", "prompt",
	"nonce",
}

// known are the parameters of an authorization request that the server reads.
var known = append([]string{"resource", "request", "request_uri", "iss", "pushed", "posted"}, single...)

// unknown reports whether a request has a parameter outside known.
func unknown(request url.Values, known []string) bool {
	for name := range request {
		if !slices.Contains(known, name) {
			return true
		}
	}
	return false
}

func (s *Server) authorize(w http.ResponseWriter, r *http.Request) {
	b := &s.Behaviour
	if r.Method == http.MethodGet && !b.has(AuthorizeByGet) || r.Method != http.MethodGet && r.Method != http.MethodPost {
		w.Header().Set("Allow", "GET, POST")
		s.errorPage(w, http.StatusMethodNotAllowed, "The method is not allowed.")
		return
	}
	q := s.authorizationRequest(w, r)
	if q == nil {
		return
	}
	if next := q.Get("next"); next != "" && !b.has(FixedReturn) {
		http.Redirect(w, r, next, http.StatusFound)
		return
	}
	if s.tooManyDocuments(r, q) {
		w.Header().Set("Retry-After", "1")
		s.errorPage(w, http.StatusTooManyRequests, "Too many requests.")
		return
	}
	t, fatal := s.newTransaction(q)
	switch {
	case fatal == "":
		s.decide(w, r, q, t)
	case !s.openRedirect(w, r, q):
		s.refuse(w, r, q, fatal)
	}
}

// authorizationRequest reads a request, which may be a pushed one. It returns nil if it has answered the request.
func (s *Server) authorizationRequest(w http.ResponseWriter, r *http.Request) url.Values {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	raw := r.URL.RawQuery
	if r.Method == http.MethodPost {
		if err := r.ParseForm(); err != nil {
			s.errorPage(w, http.StatusBadRequest, "The form cannot be read.")
			return nil
		}
		raw = r.PostForm.Encode()
	}
	if !s.Behaviour.has(SurviveOddInput) && strings.Contains(raw, "client_id[") {
		http.Error(w, "TypeError: client_id.split is not a function", http.StatusInternalServerError)
		return nil
	}
	q, err := url.ParseQuery(raw)
	if err != nil {
		s.errorPage(w, http.StatusBadRequest, "The query cannot be read.")
		return nil
	}
	q.Del("pushed")
	q.Del("posted")
	if r.Method == http.MethodPost {
		q.Set("posted", "yes")
	}
	if !strings.HasPrefix(q.Get("request_uri"), pushedPrefix) {
		return q
	}
	request, ok := s.pushedRequest(q)
	if !ok {
		s.errorPage(w, http.StatusBadRequest, "The request is not known here, or was used.")
		return nil
	}
	return request
}

// tooManyDocuments reports whether unknown clients make the server fetch more client documents than it allows.
func (s *Server) tooManyDocuments(r *http.Request, q url.Values) bool {
	id := q.Get("client_id")
	return strings.HasPrefix(id, "https://") && s.user(r) == "" && s.Upstream == nil && s.Behaviour.has(LimitFetches) &&
		s.firstSeen(id) && s.overLimit("documents for strangers", mostFetches, fetchWindow)
}

// decide answers a request whose client and redirect URI are known.
func (s *Server) decide(w http.ResponseWriter, r *http.Request, q url.Values, t *transaction) {
	b := &s.Behaviour
	t.browser = s.browser(w, r)
	user := s.user(r)
	if t.problem != nil && (q.Get("prompt") == "none" || user != "" || !b.has(NoEarlyRedirect)) {
		s.answer(w, r, t, url.Values{"error": {t.problem.code}, "error_description": {t.problem.description}})
		return
	}
	if q.Get("prompt") == "none" {
		s.silent(w, r, t, user)
		return
	}
	s.mu.Lock()
	s.transactions[t.id] = t
	s.mu.Unlock()
	s.askUser(w, r, t, user, q.Get("continue"))
}

// askUser shows the next page for the user of a browser, who may have signed in.
func (s *Server) askUser(w http.ResponseWriter, r *http.Request, t *transaction, user, goesOn string) {
	b := &s.Behaviour
	switch {
	case s.Upstream != nil:
		s.proxied(w, r, t)
	case !b.has(AuthenticateUser), user == "" && r.Method == http.MethodPost && !b.has(AuthenticatePosted):
		s.grantTo(w, r, t, "demo", t.scopes)
	case user == "" && b.GoesOn == "address":
		http.Redirect(w, r, s.path()+"/login?continue=/&transaction="+t.id, http.StatusFound)
	case user == "":
		t.goesOn = goesOn
		s.loginPage(w, r, t, "", http.StatusOK)
	default:
		s.signedIn(w, r, t, user)
	}
}

// silent answers prompt=none: never a code, since every request is consented to.
func (s *Server) silent(w http.ResponseWriter, r *http.Request, t *transaction, user string) {
	switch {
	case user != "" && !s.Behaviour.has(HonourPromptNone):
		s.grantTo(w, r, t, user, t.scopes)
	case user == "":
		s.answer(w, r, t, url.Values{"error": {"login_required"}})
	default:
		s.answer(w, r, t, url.Values{"error": {"consent_required"}})
	}
}

// refuse answers a request with an unknown client or redirect URI: it tells the user, not the client.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, q url.Values, fatal string) {
	b := &s.Behaviour
	if uri := q.Get("redirect_uri"); uri != "" && !b.has(KnowClient) {
		http.Redirect(w, r, uri+"?error=invalid_client", http.StatusFound)
		return
	}
	if !b.has(RequireClient) && strings.TrimSpace(q.Get("client_id")) == "" {
		http.Error(w, "KeyError: client_id", http.StatusInternalServerError)
		return
	}
	if !b.has(EscapePages) {
		fatal += " (" + q.Get("client_id") + ")"
	}
	status := http.StatusBadRequest
	if !b.has(ErrorStatus) {
		writeJSON(w, http.StatusOK, map[string]string{"error": "invalid_client"})
		return
	}
	s.errorPage(w, status, fatal)
}

// newTransaction reads a request. fatal is an error that must not be sent to the client.
func (s *Server) newTransaction(q url.Values) (t *transaction, fatal string) {
	b := &s.Behaviour
	get := func(name string) string {
		v := q[name]
		if len(v) == 0 {
			return ""
		}
		if !b.has(RefuseDuplicates) {
			return v[len(v)-1]
		}
		return v[0]
	}
	if b.has(RefuseDuplicates) && (len(q["client_id"]) > 1 || len(q["redirect_uri"]) > 1) {
		return nil, "A parameter is repeated."
	}
	c := s.find(get("client_id"))
	if c != nil && c.deleted { // a flaw: its refresh token outlives it
		c = nil
	}
	if c == nil {
		return nil, "The client is not known here."
	}
	t = &transaction{
		id: random(cmp.Or(b.TransactionBytes, 16)), csrf: cmp.Or(b.FixedToken, random(16)), client: c,
		redirectURI: get("redirect_uri"), nonce: get("nonce"), issParameter: get("iss"),
		pushed: get("pushed"), responseType: get("response_type"),
	}
	switch {
	case t.redirectURI == "" && (len(c.redirectURIs) == 1 || !b.has(NoDefaultRedirect)):
		t.redirectURI = c.redirectURIs[0]
	case t.redirectURI == "":
		return nil, "The redirect URI is missing."
	case !s.matchRedirect(c, q.Get("redirect_uri")) && (!q.Has("pushed") || b.has(PushedRedirect)) &&
		(!q.Has("posted") || b.has(PostedRedirect)):
		return nil, "The redirect URI is not registered."
	}
	if v := get("state"); v != "" {
		if b.State != nil {
			var ok bool
			if v, ok = b.State(v); !ok {
				return nil, "The state is refused."
			}
		}
		t.state = []string{v}
	}
	t.mode = get("response_mode")
	t.problem = s.problem(q, get, t)
	t.online = !s.Behaviour.offline(q, t.scopes)
	return t, ""
}

// problem returns the first error that the client must learn.
func (s *Server) problem(q url.Values, get func(string) string, t *transaction) *problem {
	b := &s.Behaviour
	if b.has(RefuseDuplicates) {
		for _, name := range single {
			if len(q[name]) > 1 {
				return &problem{"invalid_request", "a parameter is repeated"}
			}
		}
	}
	if !b.has(IgnoreUnknown) && unknown(q, known) {
		return &problem{"invalid_request", "unknown parameter"}
	}
	switch {
	case t.responseType == "" && b.has(RequireResponseType):
		return &problem{"invalid_request", "response_type is missing"}
	case t.responseType != "" && t.responseType != "code" && b.has(CheckResponseType) &&
		(b.has(NoImplicit) || !strings.Contains(t.responseType, "token")):
		return &problem{"unsupported_response_type", s.describe("the response type is not supported", t.responseType)}
	case !slices.Contains([]string{"", "query", "form_post"}, t.mode) && b.has(CheckResponseMode):
		return &problem{"invalid_request", "the response mode is not supported"}
	case q.Has("request") && b.has(NoRequestObjects):
		return &problem{"request_not_supported", ""}
	case q.Has("request_uri") && b.has(NoRequestObjects):
		return &problem{"request_uri_not_supported", ""}
	}
	if !b.has(NoRequestObjects) {
		s.takeRequestObject(q, t)
	}
	if p := s.pkce(q, get, t); p != nil {
		return p
	}
	if p := s.scope(get("scope"), q.Has("scope"), t); p != nil {
		return p
	}
	return s.resource(q["resource"], t)
}

// describe returns the error description. A flaw quotes the request.
func (s *Server) describe(text, quoted string) string {
	if s.Behaviour.has(CleanErrorText) {
		return text
	}
	return text + ": " + quoted
}

// takeRequestObject is a flaw: it accepts an unsigned request object, and fetches any request_uri.
func (s *Server) takeRequestObject(q url.Values, t *transaction) {
	var claims struct {
		RedirectURI string `json:"redirect_uri"`
	}
	if parts := strings.Split(q.Get("request"), "."); len(parts) == 3 && decode(parts[1], &claims) && claims.RedirectURI != "" {
		t.redirectURI = claims.RedirectURI
	}
	if u := q.Get("request_uri"); strings.HasPrefix(u, "http://127.0.0.1:") {
		if resp, err := http.Get(u); err == nil {
			resp.Body.Close()
		}
	}
}

func (s *Server) pkce(q url.Values, get func(string) string, t *transaction) *problem {
	b := &s.Behaviour
	t.challenge, t.method = get("code_challenge"), get("code_challenge_method")
	if b.KeepsChallenge != nil {
		if kept, ok := b.KeepsChallenge(q); ok {
			t.challenge = kept
			return nil
		}
	}
	why := b.badChallenge(t)
	if t.challenge == "" {
		if !b.needsChallenge(q, t.client) {
			return nil
		}
		why = "code_challenge is missing"
	}
	switch {
	case why != "" && !b.has(PKCEErrors):
		return &problem{"server_error", why}
	case why != "":
		return &problem{"invalid_request", why}
	}
	s.mu.Lock()
	s.lastPKCE[t.client.id] = t.challenge
	s.mu.Unlock()
	return nil
}

// needsChallenge reports whether a request of a client is refused without a code challenge.
func (b *Behaviour) needsChallenge(q url.Values, c *client) bool {
	if c.fromDocument && !b.has(ChallengeOfDocuments) || b.exempt(c, ChallengeOfPost, ChallengeOfKeys) || !b.has(RequireChallenge) {
		return false
	}
	if c.public() && b.has(PushedChallenge) && b.has(NoDowngrade) {
		return true
	}
	return (b.has(PushedChallenge) || !q.Has("pushed")) && (c.public() || b.has(RequireChallengeConfidential))
}

// badChallenge says what is wrong with a code challenge, if there is one, and reads its method.
func (b *Behaviour) badChallenge(t *transaction) string {
	const onlyS256 = "code_challenge_method must be S256"
	switch {
	case t.challenge == "":
	case t.method == "" && b.has(NoDefaultMethod), t.method == "plain" && b.has(RefusePlain):
		return onlyS256
	case t.method == "":
		t.method = "none"
	case t.method == "plain":
	case t.method != "S256" && b.has(KnowMethod):
		return onlyS256
	case t.method != "S256":
		t.method = "any"
	case len(t.challenge) > 128 && !b.has(SurviveOddInput):
		return "too long"
	case b.has(CheckChallengeFormat) && b.has(Base64URLChallenge):
		if sum, err := base64.RawURLEncoding.Strict().DecodeString(t.challenge); err != nil || len(sum) != 32 {
			return "code_challenge is not the base64url form of a SHA-256 hash"
		}
	}
	return ""
}

// scope reads the requested scopes. A request without any gets a small default.
func (s *Server) scope(requested string, sent bool, t *transaction) *problem {
	b := &s.Behaviour
	if !b.has(IgnoreEmpty) && sent && requested == "" {
		return &problem{"invalid_scope", "scope is empty"}
	}
	values := strings.Fields(strings.NewReplacer("\t", "\x00", "\n", "\x00").Replace(requested))
	if !b.has(ScopeCase) {
		values = strings.FieldsFunc(strings.ToLower(requested), func(r rune) bool { return r == ' ' || r == ',' })
	}
	for _, v := range values {
		switch {
		case !b.has(NoScopePatterns) && strings.HasSuffix(v, "*"):
			t.scopes = append(t.scopes, s.matching(v)...)
			continue
		case slices.Contains(t.scopes, v):
			continue
		case v == "offline_access" && !b.has(ObtainableScopes), v == "notes:read" && len(values) > 3 && !b.has(ObtainableScopes):
			return &problem{"invalid_scope", "the scope is not known"}
		case !slices.Contains(s.Scopes, v) && b.has(KnownScopes):
			return &problem{"invalid_scope", s.describe("the scope is not known", v)}
		case t.client.scopes != nil && !slices.Contains(t.client.scopes, v) && b.has(RegisteredScope):
			if b.DropsScopes {
				continue
			}
			return &problem{"invalid_scope", "the scope is not registered for the client"}
		}
		t.scopes = append(t.scopes, v)
	}
	if len(values) == 0 {
		t.scopes = s.Scopes[:1:1]
		if b.RequestDefault != nil {
			t.scopes = slices.Clone(b.RequestDefault)
		}
		if !b.has(NamedDefaultScope) {
			t.scopes = slices.Clone(s.Scopes)
		}
	}
	if !b.has(RequestedScopesOnly) && !slices.Contains(t.scopes, "notes:write") {
		t.scopes = append(t.scopes, "notes:write")
	}
	return nil
}

// resource reads the resource indicators (RFC 8707).
func (s *Server) resource(requested []string, t *transaction) *problem {
	b := &s.Behaviour
	if b.IgnoresResource {
		requested = nil
	}
	if !b.has(KnowResource) && len(requested) > 0 {
		return &problem{"invalid_request", "unknown parameter resource"}
	}
	if !b.has(SeveralResources) && len(requested) > 1 {
		return &problem{"invalid_request", "resource is repeated"}
	}
	resources, p := s.resources(requested)
	t.resources, t.untargeted = resources, len(requested) == 0
	return p
}

func (s *Server) resources(requested []string) ([]string, *problem) {
	b := &s.Behaviour
	var out []string
	for i, v := range requested {
		if v == "" {
			continue
		}
		last := i+1 == len(requested)
		if !b.has(EveryResource) && !last || !b.has(LaterResources) && i > 0 { // the flaw: it is granted unchecked
			out = append(out, v)
			continue
		}
		if known, ok := s.known(v); ok {
			out = append(out, known)
			continue
		}
		if !b.has(ResourceForm) {
			if cut, _, found := strings.Cut(v, "#"); found && slices.Contains(s.Resources, cut) {
				out = append(out, v)
				continue
			}
		}
		if !b.has(UnknownResourceTold) && strings.HasPrefix(v, "https://") {
			out = append(out, s.Issuer+"/userinfo")
			continue
		}
		if b.has(KnownResources) || !strings.HasPrefix(v, "https://") && b.has(ResourceForm) {
			return nil, &problem{"invalid_target", "the resource is not known"}
		}
		out = append(out, v)
	}
	switch {
	case len(out) == 0 && !b.has(OneDefaultResource):
		out = s.Resources
	case len(out) == 0 && len(s.Resources) > 0:
		out = s.Resources[:1]
	}
	return out, nil
}

// known finds a resource by its identifier; scheme and host compare without case (RFC 3986 section 6.2.2).
func (s *Server) known(v string) (string, bool) {
	for _, r := range s.Resources {
		if take := s.Behaviour.TakesResource; take != nil && r != v {
			if audience, ok := take(r, v); ok {
				return audience, true
			}
		}
		if r == v || !s.Behaviour.has(WholeResource) && strings.HasPrefix(v, r) {
			return r, true
		}
		a, err1 := url.Parse(r)
		u, err2 := url.Parse(v)
		if err1 == nil && err2 == nil && strings.EqualFold(a.Scheme, u.Scheme) && strings.EqualFold(a.Host, u.Host) && u.User == nil &&
			a.EscapedPath() == u.EscapedPath() && a.RawQuery == u.RawQuery && u.Fragment == "" && !strings.HasSuffix(v, "#") {
			return r, true
		}
	}
	return "", false
}

// Cookies.

func (s *Server) cookieName(name string) string {
	if strings.HasPrefix(s.Issuer, "https://") {
		return "__Host-" + s.CookiePrefix + name
	}
	return s.CookiePrefix + name
}

func (s *Server) setCookie(w http.ResponseWriter, name, value string) {
	c := &http.Cookie{Name: s.cookieName(name), Value: value, Path: "/"}
	c.Secure = strings.HasPrefix(s.Issuer, "https://")
	if s.Behaviour.has(CookieAttributes) && !slices.Contains(s.Behaviour.BareCookies, name) {
		c.HttpOnly, c.SameSite = true, http.SameSiteLaxMode
	}
	if s.Behaviour.CrossSiteCookies {
		c.SameSite = http.SameSiteNoneMode
	}
	http.SetCookie(w, c)
}

func (s *Server) cookie(r *http.Request, name string) string {
	c, err := r.Cookie(s.cookieName(name))
	if err != nil {
		return ""
	}
	return c.Value
}

// browser identifies a browser before a user has signed in.
func (s *Server) browser(w http.ResponseWriter, r *http.Request) string {
	if v := s.cookie(r, "as_browser"); v != "" {
		return v
	}
	v := random(16)
	s.setCookie(w, "as_browser", v)
	if s.Behaviour.ScriptCookie {
		http.SetCookie(w, &http.Cookie{Name: "lang", Value: "en", Path: "/"})
	}
	if !s.Behaviour.has(FreshSession) { // the flaw: the session of before the login continues after it
		s.setCookie(w, "as_session", random(16))
	}
	return v
}

func (s *Server) user(r *http.Request) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, err := r.Cookie("as_session_old"); err == nil && s.cookie(r, "as_session") == "" && s.Behaviour.OldBrowsers {
		return s.sessions[old.Value]
	}
	id := s.cookie(r, "as_session")
	if user := s.sessions[id]; user != "" || s.Behaviour.UserOf == nil {
		return user
	}
	u, _ := s.account(s.Behaviour.UserOf(r, id))
	return u.Name
}

// ours returns the transaction of a page if it belongs to this browser.
func (s *Server) ours(r *http.Request) *transaction {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.transactions[r.Form.Get("transaction")]
	if t == nil && !s.Behaviour.has(NamedTransaction) {
		t = s.begunIn(s.cookie(r, "as_browser"))
	}
	bound := s.Behaviour.has(BindTransaction) && !s.Behaviour.BindsUser && !s.Behaviour.BareForms
	switch {
	case t == nil, bound && t.browser != s.cookie(r, "as_browser"):
		return nil
	case s.Behaviour.BindsUser && t.asked != "" && t.asked != s.sessions[s.cookie(r, "as_session")]:
		return nil
	}
	return t
}

// begunIn is a transaction of a browser, whichever it is: a flaw.
func (s *Server) begunIn(browser string) *transaction {
	for _, t := range s.transactions {
		if t.browser == browser {
			return t
		}
	}
	return nil
}

func (s *Server) login(w http.ResponseWriter, r *http.Request) {
	b := &s.Behaviour
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	if err := r.ParseForm(); err != nil {
		s.errorPage(w, http.StatusBadRequest, "The form cannot be read.")
		return
	}
	t := s.ours(r)
	if t == nil && b.has(LoginCSRF) {
		s.errorPage(w, http.StatusBadRequest, "This page is out of date. Go back to the application and start again.")
		return
	}
	if t == nil {
		s.mu.Lock()
		t = s.transactions[r.Form.Get("transaction")]
		s.mu.Unlock()
		if t == nil {
			s.errorPage(w, http.StatusBadRequest, "This page is out of date.")
			return
		}
	}
	if r.Method == http.MethodGet && (r.Form.Get("password") == "" || b.has(LoginByPost)) {
		t.goesOn = r.Form.Get("continue")
		s.loginPage(w, r, t, "", http.StatusOK)
		return
	}
	form := s.queried(r.PostForm)
	if r.Method == http.MethodGet {
		form = r.Form
	}
	if b.has(LoginCSRF) && form.Get("csrf") != t.csrf && (b.has(CompareLoginCSRF) || form.Get("csrf") == "") {
		s.errorPage(w, http.StatusForbidden, "The form is not ours.")
		return
	}
	s.checkLogin(w, r, t, form)
}

// queried is a flaw: name[$ne] is a query for a value that is not the one given. It puts a value that is found there instead.
func (s *Server) queried(form url.Values) url.Values {
	field, operator, _ := strings.Cut(s.Behaviour.Queries, "[")
	given := s.Behaviour.Queries
	if operator == "" || !form.Has(given) || form.Get(given) == "" && operator == "$ne]" {
		return form
	}
	out := maps.Clone(form)
	for _, u := range s.Users {
		switch {
		case field == "username" && u.Password == form.Get("password"):
			out.Set(field, u.Name)
		case field == "password" && u.Name == form.Get("username"):
			out.Set(field, u.Password)
		}
	}
	return out
}

// owner is the name of the user with a password.
func (s *Server) owner(password string) string {
	for _, u := range s.Users {
		if u.Password == password {
			return u.Name
		}
	}
	return ""
}

// checkLogin judges a name, a password and a one-time code, from one page or several.
func (s *Server) checkLogin(w http.ResponseWriter, r *http.Request, t *transaction, form url.Values) {
	b := &s.Behaviour
	name := s.nameIn(form, t)
	if b.Pages == "two-pages" && !form.Has("password") && !form.Has("otp") {
		t.user = name
		s.loginPage(w, r, t, "", http.StatusOK)
		return
	}
	if b.has(LimitPasswords) && s.locked(s.counted(r, name)) {
		s.refuseLogin(w, r, t, "Too many attempts. Try again later.", http.StatusTooManyRequests)
		return
	}
	u, known, right := s.userOf(name, form.Get("password"), form.Has("password"))
	if t.user == name && known && form.Has("otp") {
		right = form.Get("otp") != "" && OneTime(u.OneTime, time.Now()) == form.Get("otp")
	} else if right && u.OneTime != "" {
		if t.user = name; !b.has(SecondFactor) {
			s.begin(w, r, u.Name)
		}
		s.loginPage(w, r, t, "", http.StatusOK)
		return
	}
	if form.Has("password") {
		s.failed(s.counted(r, name), !right, mostPasswords)
	}
	switch {
	case right:
		s.enter(w, r, t, form, u.Name)
	case !known && !b.has(SameLoginError):
		s.refuseLogin(w, r, t, "There is no such user.", http.StatusOK)
	default:
		s.refuseLogin(w, r, t, "The user name or password is wrong.", http.StatusOK)
	}
}

// nameIn is the name of a user in a login form, or on the page before.
func (s *Server) nameIn(form url.Values, t *transaction) string {
	if s.Behaviour.Pages == "password" {
		return s.owner(form.Get("password"))
	}
	return cmp.Or(form.Get("username"), t.user)
}

// userOf looks a user up, and compares a password.
func (s *Server) userOf(name, password string, given bool) (u User, known, right bool) {
	b := &s.Behaviour
	if given {
		time.Sleep(b.HashTime)
	}
	u, known = s.account(name)
	if !known && b.AnyName && name != "" {
		u, known = User{Name: name, Password: password}, true
	}
	right = known && (b.samePassword(password, u.Password) || !b.has(CheckPassword))
	if !b.has(NoDemoCredentials) && name == "demo_user" && password == "demo_password" {
		u, right = User{Name: "demo_user"}, true
	}
	return u, known, right
}

// enter continues the request of a user who has signed in.
func (s *Server) enter(w http.ResponseWriter, r *http.Request, t *transaction, form url.Values, user string) {
	s.begin(w, r, user)
	if to := s.Behaviour.address(t, form); to != "" {
		http.Redirect(w, r, to, http.StatusSeeOther)
		return
	}
	s.signedIn(w, r, t, user)
}

// refuseLogin shows the login page again, with the reason; a script gets only the reason.
func (s *Server) refuseLogin(w http.ResponseWriter, r *http.Request, t *transaction, why string, status int) {
	t.user = ""
	if acceptsJSON(r) {
		writeJSON(w, status, map[string]string{"error": why})
		return
	}
	s.loginPage(w, r, t, why, status)
}

func (s *Server) account(name string) (User, bool) {
	i := slices.IndexFunc(s.Users, func(u User) bool { return u.Name == name && name != "" })
	if i < 0 {
		return User{}, false
	}
	return s.Users[i], true
}

// begin starts a login session with a new id.
func (s *Server) begin(w http.ResponseWriter, r *http.Request, user string) {
	id := random(24)
	if old := s.cookie(r, "as_session"); old != "" && !(s.Behaviour.has(FreshSession) && s.Behaviour.has(OwnSessionIDs)) {
		id = old
	}
	if s.Behaviour.SessionOf != nil {
		id = s.Behaviour.SessionOf(user)
	}
	s.setCookie(w, "as_session", id)
	if s.Behaviour.OldBrowsers {
		http.SetCookie(w, &http.Cookie{Name: "as_session_old", Value: id, Path: "/"})
	}
	s.mu.Lock()
	if s.Behaviour.OneSession {
		s.endSessions(user)
	}
	s.sessions[id], s.lastUser = user, user
	s.mu.Unlock()
}

// signedIn continues after the login: with an error, with the consent page, or with the code.
func (s *Server) signedIn(w http.ResponseWriter, r *http.Request, t *transaction, user string) {
	b := &s.Behaviour
	if t.problem != nil {
		s.answer(w, r, t, url.Values{"error": {t.problem.code}, "error_description": {t.problem.description}})
		return
	}
	s.mu.Lock()
	approved := s.approved[s.approvalKey(user, t.client)]
	s.mu.Unlock()
	covered := !slices.ContainsFunc(t.scopes, func(v string) bool { return !slices.Contains(approved, v) })
	known := user + " " + t.client.id + " " + t.redirectURI
	s.mu.Lock()
	same := s.asked[known]
	s.asked[known] = true
	s.mu.Unlock()
	if (b.Consent == "exact" || b.RemembersDocuments && t.client.fromDocument) && covered && same {
		s.grantTo(w, r, t, user, t.scopes)
		return
	}
	if b.Consent == "never" || b.Consent == "once" && covered || b.Consent == "client" && approved != nil || b.waives(t.client) {
		s.grantTo(w, r, t, user, t.scopes)
		return
	}
	if r.Method == http.MethodPost {
		s.next(w, r, s.path()+"/consent?transaction="+t.id)
		return
	}
	s.consentPage(w, t, user)
}

// next redirects the browser after a POST.
func (s *Server) next(w http.ResponseWriter, r *http.Request, to string) {
	if acceptsJSON(r) {
		writeJSON(w, http.StatusOK, map[string]string{"next": to})
		return
	}
	if s.Behaviour.Pages == "popup" && r.URL.Path == s.path()+"/login" {
		s.closePage(w, to)
		return
	}
	s.protect(w, "message", "")
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
}

func acceptsJSON(r *http.Request) bool { return r.Header.Get("Accept") == "application/json" }

func (s *Server) consent(w http.ResponseWriter, r *http.Request) {
	b := &s.Behaviour
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	if err := r.ParseForm(); err != nil {
		s.errorPage(w, http.StatusBadRequest, "The form cannot be read.")
		return
	}
	t := s.ours(r)
	user := s.decider(r, t)
	if t == nil || user == "" && s.Upstream == nil {
		s.errorPage(w, http.StatusBadRequest, "This page is out of date. Go back to the application and start again.")
		return
	}
	form := r.PostForm
	if !b.has(ConsentPost) && r.Form.Get("decision") != "" {
		form = r.Form
	} else if r.Method != http.MethodPost {
		s.consentPage(w, t, user)
		return
	}
	if b.has(CheckCSRF) && !b.BareForms && !s.csrfMatches(t, form) {
		s.errorPage(w, http.StatusForbidden, "The form is not ours.")
		return
	}
	if !b.has(ServerSideTransaction) && form.Get("redirect_uri") != "" {
		t.redirectURI = form.Get("redirect_uri")
	}
	s.decided(w, r, t, user, form)
}

// decider is the user who decides.
func (s *Server) decider(r *http.Request, t *transaction) string {
	if s.Upstream != nil && t != nil {
		return t.atUpstream.user
	}
	if !s.Behaviour.has(UserPerSession) {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.lastUser
	}
	return s.user(r)
}

// decided does what the user has decided.
func (s *Server) decided(w http.ResponseWriter, r *http.Request, t *transaction, user string, form url.Values) {
	b := &s.Behaviour
	s.mu.Lock()
	delete(s.transactions, t.id)
	if form.Get("decision") != "approve" && b.has(HonourDenial) {
		if !b.has(DenialIsNoApproval) {
			s.approved[s.approvalKey(user, t.client)] = t.scopes
		}
		s.mu.Unlock()
		s.answer(w, r, t, url.Values{"error": {"access_denied"}})
		return
	}
	s.mu.Unlock()
	scopes := b.scopesIn(form, t)
	switch {
	case s.Upstream != nil && t.problem != nil:
		s.answer(w, r, t, url.Values{"error": {t.problem.code}, "error_description": {t.problem.description}})
	case s.Upstream != nil && user == "":
		t.scopes = scopes
		s.remember(w, r, t)
		s.toUpstream(w, r, t)
	default:
		s.grantTo(w, r, t, user, scopes)
	}
}

// scopesIn are the scopes that a consent form names, or the requested ones.
func (b *Behaviour) scopesIn(form url.Values, t *transaction) []string {
	if !form.Has("scope") {
		return t.scopes
	}
	return slices.DeleteFunc(slices.Clone(form["scope"]), func(v string) bool {
		return !b.UserAddsScopes && !slices.Contains(t.scopes, v)
	})
}

// grantTo issues the code.
func (s *Server) grantTo(w http.ResponseWriter, r *http.Request, t *transaction, user string, scopes []string) {
	b := &s.Behaviour
	if !b.has(StepUp) {
		s.mu.Lock()
		if first := s.approved[user+" "+t.client.id]; first != nil {
			scopes = first
		}
		s.mu.Unlock()
	}
	s.spent(t.pushed)
	scopes = s.permitted(user, scopes)
	g := &grant{client: t.client.id, user: user, scopes: scopes, resources: t.resources, given: s.now(), upstream: t.atUpstream.refresh,
		online: t.online, untargeted: t.untargeted}
	if b.EndsEarlierGrants {
		s.endEarlier(user, t.client.id)
	}
	if !b.has(OwnTokens) {
		g.leak = t.atUpstream.access
	}
	answer := url.Values{"code": {s.newCode(t, g)}}
	s.approve(user, t.client, scopes)
	if !b.has(NoImplicit) && strings.Contains(t.responseType, "token") {
		answer = url.Values{"access_token": {s.issue(g, scopes, nil)}, "token_type": {"Bearer"}}
	}
	s.answer(w, r, t, answer)
}

// newCode makes the code of a grant.
func (s *Server) newCode(t *transaction, g *grant) string {
	b := &s.Behaviour
	value := "code_" + random(32)
	if b.Code != nil {
		value = b.Code()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !b.has(RandomCodes) {
		s.counter++
		value = fmt.Sprintf("%06d", s.counter)
	}
	if !b.has(OpaqueCodes) {
		readable, _ := json.Marshal(map[string]string{"user": g.user, "challenge": t.challenge, "nonce": random(16)})
		value = base64.RawURLEncoding.EncodeToString(readable)
	}
	if b.OneCode {
		s.replaceCodes(g)
	}
	s.codes[value] = &code{grant: g, redirectURI: t.redirectURI, challenge: t.challenge, method: t.method, nonce: t.nonce,
		expires: s.now().Add(time.Minute)}
	s.issued = append(s.issued, value)
	return value
}

// approve remembers what a user has approved of a client.
func (s *Server) approve(user string, c *client, scopes []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := s.approvalKey(user, c)
	for _, v := range scopes {
		if !slices.Contains(s.approved[key], v) {
			s.approved[key] = append(slices.Clone(s.approved[key]), v)
		}
	}
}

// answer sends the response to the client's redirect URI.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, t *transaction, params url.Values) {
	s.complete(t, params)
	b := &s.Behaviour
	params = b.changedAnswer(params)
	mode := cmp.Or(t.mode, b.ResponseMode)
	if mode == "form_post" {
		s.formPost(w, t, params)
		return
	}
	location := b.location(t, mode, params)
	if r.Method == http.MethodPost && acceptsJSON(r) {
		writeJSON(w, http.StatusOK, map[string]string{"next": location})
		return
	}
	if b.Pages == "popup" && r.URL.Path == s.path()+"/login" {
		s.closePage(w, location)
		return
	}
	s.protect(w, "message", "")
	w.Header().Set("Location", location)
	status := http.StatusSeeOther
	if !b.has(SeeOther) {
		status = http.StatusTemporaryRedirect
	}
	w.WriteHeader(status)
}

// changedAnswer is an answer to the client as Response changes it.
func (b *Behaviour) changedAnswer(params url.Values) url.Values {
	if b.Response == nil {
		return params
	}
	members := map[string]any{}
	for k := range params {
		members[k] = params.Get(k)
	}
	b.Response("callback", members)
	out := url.Values{}
	for k, v := range members {
		out.Set(k, fmt.Sprint(v))
	}
	return out
}

// location is the redirect URI with an answer.
func (b *Behaviour) location(t *transaction, mode string, params url.Values) string {
	to, mark := t.redirectURI, "?"
	if strings.Contains(to, "?") && b.has(KeepRedirectQuery) {
		mark = "&"
	}
	if mode != "" && mode != "query" && !b.has(CheckResponseMode) || b.inFragment(t) {
		mark = "#"
	}
	if b.has(EncodeAnswers) {
		return to + mark + params.Encode()
	}
	to += mark + "code=" + params.Get("code") + "&state=" + params.Get("state") + "&iss=" + url.QueryEscape(params.Get("iss"))
	return strings.NewReplacer("\r", "", "\n", "").Replace(to)
}

// complete adds state and iss.
func (s *Server) complete(t *transaction, params url.Values) {
	b := &s.Behaviour
	failed := params.Has("error")
	if params.Get("error_description") == "" {
		params.Del("error_description")
	}
	switch {
	case len(t.state) > 0 && (b.has(StateOnError) || !failed):
		state := t.state[0]
		if !b.has(KeepState) {
			state, _ = url.QueryUnescape(state)
		}
		params.Set("state", state)
	case len(t.state) == 0 && !b.has(NoInventedState):
		params.Set("state", random(8))
	}
	if b.has(SendIssuer) && (b.has(IssuerOnError) || !failed) {
		params.Set("iss", s.Issuer)
		if !b.has(OwnIssuer) && t.issParameter != "" {
			params.Set("iss", t.issParameter)
		}
	}
}

// Pages.

// protect sets the header fields of every page and redirect.
func (s *Server) protect(w http.ResponseWriter, kind, style string) {
	b := &s.Behaviour
	h := w.Header()
	if b.has(NoStoreOnPages) {
		h.Set("Cache-Control", "no-store")
		h.Set("Referrer-Policy", "no-referrer")
	} else {
		h.Set("Cache-Control", "public, max-age=300")
	}
	h.Set("X-Content-Type-Options", "nosniff")
	policy := "default-src 'none'; base-uri 'none'; connect-src 'self'"
	if script := login.Script(kind, style); script != "" {
		policy += "; script-src " + login.ScriptSource(script)
	}
	if !b.has(OwnPagesOnly) {
		policy += "; script-src https://cdn.example"
	}
	if b.has(NoFraming) {
		policy += "; frame-ancestors 'none'"
	}
	if b.has(ContentSecurityPolicy) {
		h.Set("Content-Security-Policy", policy)
	} else if b.has(NoFraming) {
		h.Set("X-Frame-Options", "DENY")
	}
}

func (s *Server) page(w http.ResponseWriter, status int, kind string, p login.Page) {
	if !s.Behaviour.has(OwnPagesOnly) {
		p.Foreign = "https://cdn.example/analytics.js"
	}
	p.Unescaped = !s.Behaviour.has(EscapePages)
	s.protect(w, kind, p.Style)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(login.Render(kind, p)))
}

func (s *Server) errorPage(w http.ResponseWriter, status int, text string) {
	s.page(w, status, "message", login.Page{Title: "That did not work", Error: text})
}

// closePage closes a second window, and continues in the first one.
func (s *Server) closePage(w http.ResponseWriter, to string) {
	s.page(w, http.StatusOK, "close", login.Page{Title: "Signed in", Action: to})
}

func (s *Server) loginPage(w http.ResponseWriter, r *http.Request, t *transaction, problem string, status int) {
	p := login.Page{Title: "Sign in", Error: problem, Action: s.path() + "/login", User: t.user, AskPassword: true}
	p.AskUser, p.Hidden = s.Behaviour.Pages != "password", map[string]string{"transaction": t.id, "csrf": t.csrf}
	p.Get = !s.Behaviour.has(LoginByPost)
	if s.Behaviour.LoginNamesClient {
		p.Raw = template.HTML("<p>" + t.client.name + "</p>")
	}
	if s.Behaviour.GoesOn == "field" {
		p.Hidden["continue"] = "/"
	}
	u, known := s.account(t.user)
	switch s.Behaviour.Pages {
	case "two-pages":
		p.AskUser, p.AskPassword = t.user == "", t.user != ""
	case "javascript", "odd":
		p.Style = s.Behaviour.Pages
	case "popup":
		if r.URL.Path != s.path()+"/login" {
			p.Style, p.Action = "popup", p.Action+"?transaction="+t.id
		}
	}
	if known && u.OneTime != "" && r.Method == http.MethodPost && r.PostForm.Has("password") && problem == "" {
		p.AskUser, p.AskPassword, p.AskOneTime = false, false, true
	}
	s.page(w, status, "login", p)
}

func (s *Server) consentPage(w http.ResponseWriter, t *transaction, user string) {
	b := &s.Behaviour
	t.asked = user
	p := login.Page{Title: "Allow access?", Action: s.path() + "/consent", User: user, Client: t.client.name, Scopes: t.scopes}
	if b.Pages == "odd" {
		p.Style = b.Pages
	}
	p.Hidden = map[string]string{"transaction": t.id}
	if !b.BareForms {
		p.Hidden[s.tokenField()] = t.csrf
	}
	if !b.has(ServerSideTransaction) {
		p.Hidden["redirect_uri"] = t.redirectURI
	}
	if p.Client == "" {
		p.Client = t.client.id
	}
	p.Raw = b.raw(t.client)
	if strings.HasPrefix(t.client.uri, "https://") {
		p.ClientURI = t.client.uri
	}
	if u, err := url.Parse(t.redirectURI); err == nil && b.has(ConsentNamesRedirect) {
		if p.RedirectHost = u.Host; s.Upstream != nil {
			p.RedirectHost = t.redirectURI
		}
		if b.ShowsOtherHost != nil {
			p.RedirectHost = b.ShowsOtherHost(t.client.redirectURIs, t.redirectURI)
		}
	}
	if s.Upstream != nil && b.has(ConsentNamesUpstream) {
		p.Upstream = s.Upstream.Issuer + " is then asked for: " + strings.Join(s.Upstream.Scopes, " ")
	}
	if t.client.fromDocument && b.has(DocumentHosts) {
		if u, err := url.Parse(t.client.id); err == nil {
			p.Client += " (" + u.Host + ")"
		}
	}
	if u, err := url.Parse(t.redirectURI); err == nil && loopbackHost(u.Hostname()) && b.has(LocalhostWarning) {
		p.Warning = "The answer goes to an application on your own computer. Go on only if you have just started it."
	}
	if !b.has(ConsentNamesClient) {
		p.Client, p.ClientURI = "", ""
	}
	if !b.has(ConsentNamesScopes) {
		p.Scopes = nil
	}
	s.page(w, http.StatusOK, "consent", p)
}

// needsIssuer reports whether an answer in a form has iss.
func (b *Behaviour) needsIssuer(answer url.Values) bool {
	if answer.Has("error") {
		return b.has(IssuerOfErrorsInForms)
	}
	return b.has(IssuerInForms)
}

// needsState reports whether an answer in a form has the state.
func (b *Behaviour) needsState(answer url.Values) bool {
	if answer.Has("error") {
		return b.has(StateOfErrorsInForms)
	}
	return b.has(StateInForms)
}

func (s *Server) formPost(w http.ResponseWriter, t *transaction, params url.Values) {
	if !s.Behaviour.needsIssuer(params) {
		params.Del("iss")
	}
	if !s.Behaviour.needsState(params) {
		params.Del("state")
	}
	if params.Has("iss") && !s.Behaviour.has(RightIssuerInForms) {
		params.Set("iss", "https://upstream.example")
	}
	p := login.Page{Title: "Back to the application", Action: t.redirectURI, Hidden: map[string]string{}}
	for k := range params {
		p.Hidden[k] = params.Get(k)
	}
	s.page(w, http.StatusOK, "post", p)
}

// CloseSession signs every user out, as an administrator would.
func (s *Server) CloseSession() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.sessions)
}

// permitted returns the scopes that a user may delegate: only some users have privileged ones.
func (s *Server) permitted(user string, scopes []string) []string {
	return slices.DeleteFunc(slices.Clone(scopes), func(v string) bool {
		owners, privileged := s.Privileged[v]
		return privileged && !slices.Contains(owners, user) && s.Behaviour.has(PrivilegedUsers)
	})
}
