package mcpserver

import (
	"cmp"
	"crypto/subtle"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// KeyHeader is the header field with an API key.
const KeyHeader = "X-API-Key"

// Static is a credential in the server's configuration.
type Static struct {
	Name          string
	Header, Value string // the header is KeyHeader for an API key, and empty for a bearer token
	User          string
	// Tools are names, or prefixes that end in *. Nil means all.
	Tools     []string
	Withdrawn bool
	Foreign   bool // a token of another provider
	// Limit is the number of requests that it may make in a Window; 0: any number.
	Limit  int
	Window time.Duration
}

func (c *Static) key() bool { return c.Header != "" }

// meter counts the requests of a principal.
type meter struct {
	closed bool // callers are no longer accepted
	began  time.Time
	last   time.Time // the last request
	count  int

	reading int           // requests that have read the count and not written it: a flaw
	read    chan struct{} // closed when meet requests have read
}

// meet is the number of requests that read the same count if they come at once and nothing prevents it.
const (
	meet   = 4
	moment = 30 * time.Millisecond
)

// readFirst records that a request has read the count. The request may write when the channel is closed, or after a timeout.
func (m *meter) readFirst() <-chan struct{} {
	if m.read == nil {
		m.read = make(chan struct{})
	}
	read := m.read
	if m.reading++; m.reading == meet {
		close(read)
		m.reading, m.read = 0, nil
	}
	return read
}

// arrived records a request, and returns the length of the window. A window ends after a pause of that length. It is longer on a slow
// machine, so that it does not end during a test.
func (m *meter) arrived(now time.Time, window time.Duration) time.Duration {
	const outlasted = 8 // requests
	if m.count > 0 {    // the pause itself does not count
		window = max(window, outlasted*m.last.Sub(m.began)/time.Duration(m.count))
	}
	if now.Sub(m.last) > window && !m.closed {
		m.began, m.count = now, 0
	}
	if now.After(m.last) {
		m.last = now
	}
	return window
}

// throttle refuses a request beyond the limit of its credential.
func (s *Server) throttle(w http.ResponseWriter, r *http.Request, who *caller) bool {
	p := &s.Policy
	if who.static == nil || who.static.Limit == 0 || !p.has(LimitRequests) {
		return false
	}
	limit, window := who.static.Limit, who.static.Window
	if p.OneLimit > 0 {
		limit = p.OneLimit
	}
	key := who.static.Name
	if p.LimitKey != nil {
		key += p.LimitKey(r)
	}
	s.mu.Lock()
	m := s.meters[key]
	if m == nil {
		m = &meter{}
		s.meters[key] = m
	}
	window = m.arrived(time.Now(), window)
	count := m.count
	if !p.has(AtomicLimit) {
		read := m.readFirst()
		s.mu.Unlock()
		select {
		case <-read:
		case <-time.After(moment):
		}
		s.mu.Lock()
	} else {
		count++
	}
	if m.count = count; !p.has(AtomicLimit) {
		m.count++
		count++
	}
	if !p.has(LimitEnds) && count > limit {
		m.closed = true
	}
	if count > limit {
		s.fullUntil = m.last.Add(window)
	}
	s.mu.Unlock()
	if count <= limit {
		return false
	}
	if p.RetryAfter == "1" {
		w.Header().Set("Retry-After", strconv.Itoa(int((window+time.Second-1)/time.Second)))
	}
	s.tooMany(w, r)
	return true
}

func (s *Server) tooMany(w http.ResponseWriter, r *http.Request) {
	p := &s.Policy
	if !p.has(RefuseBeforeTools) {
		s.refuseInTool(w, r, "Rate limit exceeded. Please try again later.")
		return
	}
	if p.RetryAfter != "" && w.Header().Get("Retry-After") == "" {
		w.Header().Set("Retry-After", p.RetryAfter)
	}
	switch p.LimitStatus {
	case http.StatusOK:
		writeJSON(w, http.StatusOK, map[string]any{"jsonrpc": "2.0", "id": 1,
			"error": map[string]any{"code": -32000, "message": "Rate limit exceeded"}})
	case http.StatusUnauthorized:
		s.refuse(w, r, "invalid")
	default:
		writeJSON(w, p.LimitStatus, map[string]any{"error": "too many requests"})
	}
}

// permits reports whether the credential may call a tool.
func (c *Static) permits(p *Policy, tool string) bool {
	if c.Tools == nil || !p.has(StaticTools) && !c.key() || !p.has(KeyTools) && c.key() {
		return true
	}
	return slices.ContainsFunc(c.Tools, func(pattern string) bool {
		prefix, wild := strings.CutSuffix(pattern, "*")
		return tool == pattern || wild && strings.HasPrefix(tool, prefix)
	})
}

// static returns the caller of a configured credential: of an API key if key is true, else of a bearer token.
func (s *Server) static(value string, key bool) *caller {
	p := &s.Policy
	for i := range s.Static {
		c := &s.Static[i]
		if c.key() != key && !(!p.has(KeyIsNoBearer) && c.key()) || c.Withdrawn && p.has(WithdrawnDies) || c.Name == p.StaticForgotten &&
			c.Name != "" {
			continue
		}
		same := subtle.ConstantTimeCompare([]byte(c.Value), []byte(value)) == 1
		if !p.has(ConstantTime) { // the flaw, slow enough to be measured
			for i := 0; i < len(value) && i < len(c.Value) && value[i] == c.Value[i]; i++ {
				time.Sleep(50 * time.Microsecond)
			}
		}
		if p.TakesStatic != nil && p.TakesStatic(c.Value, value, c.key()) { // the flaw
			return &caller{user: c.User, static: c}
		}
		if same || !p.has(WholeStatic) && strings.HasPrefix(value, c.Value) || !p.has(KeyCase) && c.key() && strings.EqualFold(c.Value, value) {
			return &caller{user: c.User, static: c}
		}
	}
	return nil
}

// apiKey authenticates a request by its API key; present is false if it has none.
func (s *Server) apiKey(r *http.Request, method string) (who *caller, present bool) {
	p := &s.Policy
	keys := r.Header.Values(KeyHeader)
	if !p.has(NoQueryKey) && r.URL.Query().Get("api_key") != "" {
		keys = append(keys, r.URL.Query().Get("api_key"))
	}
	if len(keys) == 0 || len(s.Static) == 0 {
		return nil, false
	}
	if !p.has(SurviveOddKeys) && strings.ContainsFunc(keys[0], func(c rune) bool { return c > 0x7e }) {
		panic(http.ErrAbortHandler) // the flaw
	}
	if len(keys) > 1 && p.has(OneCredential) || !p.has(KeyPerRequest) && method != "initialize" && method != "server/discover" {
		return nil, true
	}
	who = s.static(keys[0], true)
	if who == nil && !p.has(TokenIsNoKey) {
		who = s.verify(r, keys[0])
	}
	if who != nil && !p.has(KeyUser) {
		s.mu.Lock()
		who.user = s.last
		s.mu.Unlock()
	}
	return who, true
}

// toolName returns the name with which a tool is looked up.
func (p *Policy) toolName(r *http.Request, name string) string {
	if !p.has(ToolNames) {
		return path.Base(name)
	}
	if p.NamesTool != nil {
		return cmp.Or(p.NamesTool(r, name), name) // the flaw
	}
	return name
}

// mostCompletions is the number of completions that a user may request without a pause of a second.
const mostCompletions = 60

// overLimit counts a caller's requests, and reports whether there were more than most without a pause of a second.
func (s *Server) overLimit(who string, most int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.meters[who]
	if m == nil {
		m = &meter{}
		s.meters[who] = m
	}
	m.arrived(time.Now(), time.Second)
	m.count++
	return m.count > most
}

// mostCalls is the limit that every answer announces. No test reaches it.
const mostCalls = 100_000

// announce announces the limit to a caller (draft-ietf-httpapi-ratelimit-headers-10).
func (s *Server) announce(w http.ResponseWriter, who *caller) {
	p := &s.Policy
	s.mu.Lock()
	s.calls[who.user]++
	left := mostCalls - s.calls[who.user]
	s.mu.Unlock()
	reset := 60 - time.Now().Unix()%60
	switch p.RateHeaders {
	case "":
		return
	case "growing":
		left = mostCalls - left // the flaw: the used part
	case "garbled":
		w.Header().Set("RateLimit", "default;r=many")
		return
	case "legacy":
		w.Header().Set("X-RateLimit-Limit", fmt.Sprint(mostCalls))
		w.Header().Set("X-RateLimit-Remaining", fmt.Sprint(left))
		w.Header().Set("X-RateLimit-Reset", fmt.Sprint(reset))
		return
	}
	w.Header().Set("RateLimit-Policy", fmt.Sprintf(`"default";q=%d;w=60`, mostCalls))
	w.Header().Set("RateLimit", fmt.Sprintf(`"default";r=%d;t=%d`, left, reset))
}
