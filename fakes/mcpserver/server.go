package mcpserver

import (
	"bytes"
	"cmp"
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mcpauth/conformance/fakes/dpop"
)

// Config says where a server listens and which issuers it trusts.
type Config struct {
	Resource string // the URL of the MCP endpoint
	Issuer   string
	Key      *rsa.PublicKey
	KeyEC    *ecdsa.PublicKey // may be nil
	// Revoked reports whether the authorization server has revoked an access token, by its jti. May be nil.
	Revoked func(jti string) bool
	Static  []Static
	// Introspection is the endpoint that introspects opaque tokens; none if empty.
	Introspection string
	// JWKS is the address of the issuer's key set, for keys besides the two; none if empty.
	JWKS string
	// SharedSecret verifies HS256 too; none if empty.
	SharedSecret string
	// API is the origin of an external API, which some tools call with ServiceKey; none if empty.
	API, ServiceKey string
	// Second is another trusted issuer. May be nil.
	Second *Second
	// Lookup, if set, returns the claims of an opaque token; nil if it is not valid.
	Lookup func(token string) map[string]any
	// VerifyURL is a proprietary endpoint that verifies opaque tokens too; none if empty.
	VerifyURL string
	// SignIn verifies a user's password on the page where accounts are linked. May be nil.
	SignIn func(user, password string) bool
	Policy Policy
}

// Second is an issuer with its key.
type Second struct {
	Issuer string
	Key    *ecdsa.PublicKey
}

// Server is the http.Handler of the MCP endpoint and its metadata.
type Server struct {
	Config
	endpoint *url.URL
	stop     chan struct{}

	valid  signatures
	ahead  atomic.Int64 // of the clock, in nanoseconds
	asking sync.Mutex   // held during a request for verification: a flaw
	keyMu  sync.Mutex
	keys   []key
	keysAt time.Time
	// keyPause is how long no key set is fetched after keysAt.
	keyPause time.Duration
	// keyFetches is the number of fetches since keyMinute, where a minute has a limit.
	keyMinute  time.Time
	keyFetches int

	mu        sync.Mutex
	sessions  map[string]*session
	ended     map[string]bool // the ids of ended sessions
	known     map[string]bool // remote addresses that were authorized once
	good      []string        // tokens that were valid: a flaw
	last      string          // the user of the last bearer token
	current   string          // the user of the last request
	listed    []any           // the last list of tools
	notes     []string
	bad       int               // number of bad tokens
	carts     map[string]string // handle -> owner
	meters    map[string]*meter
	fullUntil time.Time                // the end of the window in which a limit was reached
	proofs    map[string]bool          // the jti of each DPoP proof
	verified  map[string]*caller       // cache of verified tokens
	answers   map[string]*caller       // cache of introspection responses
	before    map[string]*caller       // the last ones, which count while introspection fails
	cancels   map[string]chan struct{} // by the id of the call

	counter     int // of events
	completions int
	log         []event // of all sessions: a flaw
	watchers    map[*watcher]bool
	legacy      map[string]*watcher
	tasks       map[string]*task
	order       []string // of the tasks
	connections map[string]*connection
	linked      map[string]string // Authorization field -> account
	misses      map[string]int    // bad tokens, by address
	blocks      map[string]time.Time
	lastLinked  string
	calls       map[string]int // by user
	used        []string       // ids of request states
}

type session struct {
	user, revision string
	scopes         []string
	token          string
	capabilities   map[string]any // of the client
	subscribed     map[string]bool
	mark           string // part of the ids of its events
	events         []event
	upgraded       bool // a request in it had a good token
	ready          bool // the client has sent notifications/initialized
	streaming      bool // a stream is open in it
}

// Tool is a tool of the server, with the declarations of a test.
type Tool struct {
	Name, Scope string   // all required scopes, separated by spaces; empty: a token is enough
	AnyOf       []string // scopes of which one is required besides
	Arguments   map[string]any
	DeniedOnly  bool
	TellsCaller bool
	Effect      string // the tool that shows the effect of this one
	Upstream    bool   // it calls an external API
	HandleFrom  string // the tool that returns the handle for this one
	ACR         string // the required authentication context
	Elicits     bool   // it asks the user for something
	Private     string // the part of the result that only alice may see
}

// StrongLogin is the authentication context of a login with two factors.
const StrongLogin = "urn:mcpauth:two-factors"

// Tools are the server's tools.
var Tools = []Tool{
	{Name: "whoami", TellsCaller: true},
	{Name: "read_note", Scope: "notes:read", Private: "a note, 2bd806c9"},
	{Name: "write_note", Scope: "notes:write", Arguments: map[string]any{"text": "{marker}"}, Effect: "list_notes"},
	{Name: "list_notes"},
	{Name: "copy_note", Scope: "notes:read notes:write"},
	{Name: "count_notes", AnyOf: []string{"notes:read", "notes:write"}},
	{Name: "admin_reset", Scope: "notes:admin", DeniedOnly: true},
	{Name: "open_cart"},
	{Name: "read_cart", Arguments: map[string]any{"cart": "{handle}"}, HandleFrom: "open_cart"},
	{Name: "weather", Upstream: true},
	{Name: "fetch_page", Arguments: map[string]any{"url": "{url}"}},
	{Name: "write_diary"},
	{Name: "report"},
	{Name: "roll_dice", Scope: "mcp:tool:roll_dice"},
	{Name: "flip_coin", Scope: "mcp:tool:flip_coin"},
	{Name: "wipe_notes", ACR: StrongLogin},
	{Name: "connect_account", Elicits: true},
	{Name: "send_gift", Elicits: true},
	{Name: "send_card", Elicits: true},
}

// MostBody is the maximum size of a message in bytes.
const MostBody = 1 << 18

func (s *Server) isFull() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Before(s.fullUntil)
}

// New makes a server. Close it to end its streams.
func New(c Config) (*Server, error) {
	u, err := url.Parse(c.Resource)
	if err != nil {
		return nil, err
	}
	return &Server{Config: c, endpoint: u, stop: make(chan struct{}), sessions: map[string]*session{},
		ended: map[string]bool{}, known: map[string]bool{},
		cancels: map[string]chan struct{}{}, meters: map[string]*meter{}, answers: map[string]*caller{},
		before: map[string]*caller{}, verified: map[string]*caller{},
		carts: map[string]string{}, proofs: map[string]bool{}, watchers: map[*watcher]bool{}, legacy: map[string]*watcher{},
		tasks: map[string]*task{}, connections: map[string]*connection{}, linked: map[string]string{}, calls: map[string]int{},
		misses: map[string]int{}, blocks: map[string]time.Time{}}, nil
}

// Advance moves the server's clock, for tokens only.
func (s *Server) Advance(d time.Duration) { s.ahead.Add(int64(d)) }

func (s *Server) now() time.Time {
	return time.Now().Add(time.Duration(s.ahead.Load()) + s.Policy.ClockAhead)
}

// Close ends every open stream.
func (s *Server) Close() { close(s.stop) }

const prm = "/.well-known/oauth-protected-resource"

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p := &s.Policy
	if p.ClockAhead != 0 {
		w.Header().Set("Date", time.Now().Add(p.ClockAhead).UTC().Format(http.TimeFormat))
	}
	if !p.has(AskInParallel) { // the flaw: one request blocks the loop
		s.answered()
	}
	if p.has(CountBody) || r.ContentLength >= 0 {
		r.Body = http.MaxBytesReader(w, r.Body, p.MostBody)
	}
	if p.has(CheckHost) && !s.hostAllowed(r.Host) {
		http.Error(w, "unknown host", http.StatusForbidden)
		return
	}
	if p.has(HSTS) && r.TLS != nil {
		w.Header().Set("Strict-Transport-Security", "max-age=31536000")
	}
	path := r.URL.Path
	switch {
	case strings.HasPrefix(path, prm):
		s.metadata(w, r)
	case path == s.endpoint.Path, !p.has(GuardPathVariants) && path == s.endpoint.Path+"/":
		s.mcp(w, r)
	case path == legacyStream && r.Method == http.MethodGet && p.LegacySSE:
		s.legacySSE(w, r)
	case path == legacyMessages && r.Method == http.MethodPost && p.LegacySSE:
		s.legacyMessage(w, r)
	case strings.HasPrefix(path, connectPath):
		s.connect(w, r)
	case !p.has(GuardSideRoutes) && strings.HasPrefix(path, "/tools/"):
		writeJSON(w, http.StatusOK, map[string]any{"content": []any{map[string]any{"type": "text", "text": "note 1"}}})
	case !p.has(NoFallback):
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<!doctype html><title>App</title><div id=app></div>")
	case !p.has(EscapePath):
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprintf(w, "<h1>%s</h1>", path) // the flaw
	default:
		http.NotFound(w, r)
	}
}

func (s *Server) hostAllowed(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	return name == s.endpoint.Hostname() || name == "localhost" || name == "127.0.0.1" || name == "[::1]"
}

// base returns the origin that the server uses in its metadata.
func (s *Server) base(r *http.Request) string {
	if s.Policy.has(FixedHost) {
		return s.endpoint.Scheme + "://" + s.endpoint.Host
	}
	host, scheme := r.Host, s.endpoint.Scheme
	if h := r.Header.Get("X-Forwarded-Host"); h != "" {
		host = h
	}
	if p := r.Header.Get("X-Forwarded-Proto"); p != "" {
		scheme = p
	}
	return scheme + "://" + host
}

func (s *Server) metadata(w http.ResponseWriter, r *http.Request) {
	p := &s.Policy
	if p.has(MetadataCORS) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		if r.Method == http.MethodOptions {
			w.Header().Set("Access-Control-Allow-Methods", "GET")
			w.Header().Set("Access-Control-Allow-Headers", "MCP-Protocol-Version, Content-Type")
			w.WriteHeader(http.StatusNoContent)
			return
		}
	}
	suffix := strings.TrimPrefix(r.URL.Path, prm)
	resource := s.described(r, suffix)
	switch {
	case resource == "" && !p.has(NoFallback):
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<!doctype html><title>App</title>")
	case resource == "":
		http.NotFound(w, r)
	case !p.has(OpenMetadata) && r.Header.Get("Authorization") == "":
		s.refuse(w, r, "missing")
	case p.PRMRedirect != "":
		http.Redirect(w, r, p.PRMRedirect, http.StatusFound)
	default:
		s.writeMetadata(w, suffix, resource)
	}
}

// described returns the resource that the metadata at a path describes; empty if there is none.
func (s *Server) described(r *http.Request, suffix string) string {
	p := &s.Policy
	switch {
	case suffix == s.endpoint.Path && p.has(MetadataAtPath), suffix == "" && p.PRMRoot:
		return s.base(r) + s.endpoint.Path
	case !p.has(OneMetadata):
		return s.base(r) + suffix
	}
	return ""
}

func (s *Server) writeMetadata(w http.ResponseWriter, suffix, resource string) {
	p := &s.Policy
	doc := s.metadataOf(suffix, resource)
	body, _ := json.Marshal(doc)
	if p.PRMEncode != nil {
		body = []byte(p.PRMEncode(doc))
	}
	w.Header().Set("Content-Type", p.PRMType)
	if p.has(NoSniffing) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
	}
	w.Header().Set("Cache-Control", "max-age=300")
	_, _ = w.Write(body)
}

func (s *Server) metadataOf(suffix, resource string) map[string]any {
	p := &s.Policy
	doc := map[string]any{
		"resource": resource, "authorization_servers": []string{s.Issuer},
		"scopes_supported": []string{"notes:read", "notes:write"}, "bearer_methods_supported": []string{"header"},
	}
	if p.DPoP {
		doc["dpop_signing_alg_values_supported"] = []string{dpop.Algorithm}
	}
	if p.DPoPRequired {
		doc["dpop_bound_access_tokens_required"] = true
	}
	if s.mutualTLS() {
		doc["tls_client_certificate_bound_access_tokens"] = true
	}
	if p.PRM != nil {
		place := "path"
		if suffix == "" {
			place = "root"
		}
		p.PRM(place, doc)
	}
	return doc
}

// named returns the existing tool that a message calls, or "".
func named(body []byte) string {
	var m message
	_ = json.Unmarshal(body, &m)
	name, _ := m.Params["name"].(string)
	if m.Method != "tools/call" || !slices.ContainsFunc(Tools, func(t Tool) bool { return t.Name == name }) {
		return ""
	}
	return name
}

func (s *Server) mcp(w http.ResponseWriter, r *http.Request) {
	p := &s.Policy
	if p.RedirectEndpoint != 0 {
		http.Redirect(w, r, s.endpoint.Path+"/", p.RedirectEndpoint)
		return
	}
	if !s.origin(w, r) {
		return
	}
	if r.Method == http.MethodOptions && p.has(OpenPreflight) {
		s.preflight(w, r)
		return
	}
	if p.CacheControl != "" {
		w.Header().Set("Cache-Control", p.CacheControl)
	}
	s.rememberEarly(r)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, "request too large", http.StatusRequestEntityTooLarge)
		return
	}
	s.crash(r, body)
	if s.blocked(r) {
		http.Error(w, "blocked for a while", http.StatusForbidden)
		return
	}
	if who := s.admit(w, r, body); who != nil {
		s.serve(w, r, body, who)
	}
}

// rememberEarly makes the caller of a message whose body has not come the current user of all tools.
func (s *Server) rememberEarly(r *http.Request) {
	if s.Policy.has(UserAfterBody) {
		return
	}
	if who, _ := s.authenticate(r, nil); who != nil { // the flaw
		s.remember(who)
	}
}

// remember makes a caller the current user, for tools that read that.
func (s *Server) remember(who *caller) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current = who.user
}

// crash aborts the connection of a request that the server cannot handle.
func (s *Server) crash(r *http.Request, body []byte) {
	p := &s.Policy
	if !p.has(LimitUnpacked) && r.Header.Get("Content-Encoding") == "gzip" || !p.has(SurviveDepth) &&
		bytes.Contains(body, bytes.Repeat([]byte("["), 5000)) {
		panic(http.ErrAbortHandler) // the flaw
	}
}

// admit returns the authenticated caller; nil if it has answered the request.
func (s *Server) admit(w http.ResponseWriter, r *http.Request, body []byte) *caller {
	p := &s.Policy
	if !p.has(RefuseBeforeTools) {
		r.Body = io.NopCloser(bytes.NewReader(body)) // the refusal may quote it
	}
	who, cause := s.authenticate(r, body)
	if cause == "invalid" {
		s.missedBy(r)
	}
	if who == nil && s.open(r, body) {
		who = &caller{user: "anonymous"}
	}
	if who == nil && p.RunsBefore != nil && named(body) != "" && p.RunsBefore(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")) {
		var m message
		_ = json.Unmarshal(body, &m)
		s.act(r.Context(), named(body), &m, &caller{user: "anonymous"}) // the flaw
	}
	if who == nil {
		s.refuse(w, r, cause)
	}
	return who
}

// open reports whether a message is served without a credential.
func (s *Server) open(r *http.Request, body []byte) bool {
	p := &s.Policy
	switch {
	case !p.has(RefuseBeforeTools) && !bytes.Contains(body, []byte(`"tools/call"`)), s.exempt(r, body):
		return true
	case !p.has(NoLoginByElicitation) && bytes.Contains(body, []byte(`"connect_account"`)): // the flaw
		return true
	case !p.has(NoLoginForBadTokens) && bytes.Contains(body, []byte(`"connect_account"`)) && r.Header.Get("Authorization") != "":
		return true
	}
	return !p.has(GuardTools) && named(body) != ""
}

// serve answers a caller, after the checks of limits and scopes that all requests share.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, body []byte, who *caller) {
	p := &s.Policy
	s.announce(w, who)
	if (p.has(RefuseBeforeTools) || bytes.Contains(body, []byte(`"tools/call"`))) && s.throttle(w, r, who) {
		return
	}
	if !p.has(LimitPerCaller) && s.isFull() {
		s.tooMany(w, r)
		return
	}
	if !p.has(NoUserHeader) && r.Header.Get("X-User-Id") != "" {
		who.user = r.Header.Get("X-User-Id")
	}
	if p.has(UserAfterBody) {
		s.remember(who)
	}
	if door := p.ScopeAtTheDoor; who.static == nil && slices.ContainsFunc(strings.Fields(door),
		func(s string) bool { return !slices.Contains(who.scopes, s) }) {
		s.insufficient(w, r, door, nil)
		return
	}
	if !p.has(NoCookieCredential) {
		http.SetCookie(w, &http.Cookie{Name: "sid", Value: "session-cookie-1"})
	}
	s.byMethod(w, r, body, who)
}

func (s *Server) byMethod(w http.ResponseWriter, r *http.Request, body []byte, who *caller) {
	switch r.Method {
	case http.MethodPost:
		s.post(w, r, body, who)
	case http.MethodGet:
		s.stream(w, r, who)
	case http.MethodDelete:
		s.end(w, r, who)
	default:
		w.Header().Set("Allow", "GET, POST, DELETE")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
	}
}

// origin refuses foreign origins (DNS rebinding) and sets the CORS fields for allowed ones.
func (s *Server) origin(w http.ResponseWriter, r *http.Request) bool {
	p := &s.Policy
	values, present := r.Header["Origin"]
	if !present {
		return true
	}
	origin := strings.Join(values, ", ")
	if !p.has(NoReflectedOrigin) {
		w.Header().Set("Access-Control-Allow-Origin", origin)
		w.Header().Set("Access-Control-Allow-Credentials", "true")
		return true
	}
	own := s.endpoint.Scheme + "://" + s.endpoint.Host
	if origin == own && p.has(AllowOwnOrigin) || slices.Contains(p.Origins, origin) {
		if p.CORS {
			w.Header().Set("Access-Control-Allow-Origin", origin)
			w.Header().Set("Vary", "Origin")
			if p.has(ExposeChallenge) {
				w.Header().Set("Access-Control-Expose-Headers", "WWW-Authenticate, Mcp-Session-Id")
			}
		}
		return true
	}
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
		return false
	}
	if p.has(CheckOrigin) && (p.has(OriginEveryVerb) || r.Method == http.MethodPost) {
		http.Error(w, "origin not allowed", p.OriginStatus)
		return false
	}
	return true
}

func (s *Server) preflight(w http.ResponseWriter, r *http.Request) {
	if s.Policy.CORS && w.Header().Get("Access-Control-Allow-Origin") != "" {
		w.Header().Set("Access-Control-Allow-Methods", "GET, POST, DELETE")
		w.Header().Set("Access-Control-Allow-Headers",
			"Authorization, Content-Type, MCP-Protocol-Version, Mcp-Session-Id, Mcp-Method, Mcp-Name, Last-Event-ID")
		w.Header().Set("Access-Control-Max-Age", "600")
	}
	w.WriteHeader(http.StatusNoContent)
}

// refuse answers 401 with a challenge, or as the policy says.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, cause string) {
	p := &s.Policy
	credential := r.Header.Get("Authorization")
	if s.refusedOtherwise(w, r, credential) {
		return
	}
	status, code := s.refusal(credential, cause)
	for _, f := range s.challenges(w, r, cause, code) {
		w.Header().Add("WWW-Authenticate", f)
	}
	if !p.has(SameForBrowsers) && strings.Contains(r.UserAgent(), "Mozilla") {
		status = http.StatusForbidden
	}
	if p.RefusalEndsSession && r.Method == http.MethodPost || !p.has(VerifyBeforeEnding) && r.Method == http.MethodDelete {
		s.forget(r)
	}
	if !p.has(NoSessionOnRefusal) {
		w.Header().Set("Mcp-Session-Id", RandomID())
	}
	doc := map[string]any{"error": cmp.Or(p.BodyError, "unauthorized")}
	if !p.has(SilentRefusals) {
		doc["received"] = credential
	}
	w.Header().Set("Cache-Control", "no-store")
	writeJSON(w, status, doc)
}

// refusedOtherwise answers without a challenge, if the policy says so.
func (s *Server) refusedOtherwise(w http.ResponseWriter, r *http.Request, credential string) bool {
	p := &s.Policy
	switch {
	case p.RedirectTo != "":
		http.Redirect(w, r, p.RedirectTo, http.StatusFound)
	case p.Crash != nil && p.Crash(credential):
		http.Error(w, "internal error", http.StatusInternalServerError)
	case !p.has(RefuseBeforeTools):
		s.refuseInTool(w, r, "Authentication required")
	case !p.has(RefuseByStatus):
		writeJSON(w, http.StatusOK, map[string]any{"jsonrpc": "2.0", "id": 1,
			"error": map[string]any{"code": -32001, "message": "not authenticated"}})
	default:
		return false
	}
	return true
}

// refusal returns the status and the error code for a cause.
func (s *Server) refusal(credential, cause string) (status int, code string) {
	p := &s.Policy
	status = p.Status
	switch cause {
	case "invalid":
		code = "invalid_token"
	case "malformed":
		code, status = "invalid_request", http.StatusBadRequest
	}
	if scheme, _, _ := strings.Cut(credential, " "); p.DPoP && strings.EqualFold(scheme, "DPoP") {
		code = "" // the DPoP challenge has the code
	}
	if p.ErrorCode != nil {
		code = p.ErrorCode(cause)
	}
	return status, code
}

// challenges returns the WWW-Authenticate fields of a refusal.
func (s *Server) challenges(w http.ResponseWriter, r *http.Request, cause, code string) []string {
	p := &s.Policy
	metadata := s.base(r) + prm + s.endpoint.Path
	fields := []string{bearer(metadata, code, s.scopeHint(), description(p, code, r.Header.Get("Authorization")))}
	if p.Realm != "" {
		fields[0] += `, realm="` + p.Realm + `"`
	}
	if p.DPoP {
		fields = append(fields, s.dpopChallenge(w, r, metadata, cause))
	}
	if p.Challenge != nil {
		fields = p.Challenge(cause, metadata)
	}
	return fields
}

// refuseInTool answers a call with an error result, as tools do that authorize the caller themselves.
func (s *Server) refuseInTool(w http.ResponseWriter, r *http.Request, text string) {
	var m message
	if body, err := io.ReadAll(r.Body); err != nil || json.Unmarshal(body, &m) != nil {
		rpcError(w, http.StatusBadRequest, nil, -32700, "not a JSON-RPC message")
		return
	}
	failedTool(w, &m, text)
}

func description(p *Policy, code, credential string) string {
	switch {
	case code == "":
		return ""
	case !p.has(EscapeDescription):
		return "bad credential " + credential
	}
	return "The access token is not valid here"
}

func (s *Server) scopeHint() string {
	if s.Policy.has(ScopeInChallenge) {
		return "notes:read"
	}
	return ""
}

func bearer(metadata, code, scope, description string) string {
	parts := []string{fmt.Sprintf(`resource_metadata="%s"`, metadata)}
	if scope != "" {
		parts = append(parts, fmt.Sprintf(`scope="%s"`, scope))
	}
	if code != "" {
		parts = append(parts, fmt.Sprintf(`error="%s"`, code), fmt.Sprintf(`error_description="%s"`, description))
	}
	return "Bearer " + strings.Join(parts, ", ")
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
