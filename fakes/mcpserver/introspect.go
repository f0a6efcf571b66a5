package mcpserver

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// asks is the HTTP client that introspects opaque tokens. A redirect is not an answer.
var asks = &http.Client{Timeout: 500 * time.Millisecond,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// questioner returns this client with the timeout of the policy.
func (s *Server) questioner() *http.Client {
	if s.Policy.Patience == 0 {
		return asks
	}
	own := *asks
	own.Timeout = s.Policy.Patience
	return &own
}

// introspect introspects a token (RFC 7662), and checks the response.
func (s *Server) introspect(r *http.Request, token string) *caller {
	p := &s.Policy
	s.mu.Lock()
	cached := s.answers[token]
	s.mu.Unlock()
	if cached != nil {
		return &caller{user: cached.user, scopes: cached.scopes}
	}
	c, err := s.ask(r, token)
	if err != nil {
		if !p.has(IntrospectNoCrash) {
			panic(err)
		}
		if !p.has(IntrospectFailClosed) {
			return &caller{user: "alice", scopes: []string{"notes:read"}}
		}
		return s.stale(token)
	}
	active := c["active"] == true
	if !p.has(ActiveIsTrue) {
		active = c["active"] != nil && c["active"] != false
	}
	switch {
	case !active && !p.has(LookAtActive):
		return &caller{user: "alice", scopes: []string{"notes:read"}}
	case !active:
		return nil
	}
	who := s.judge(c)
	if who != nil {
		s.keepAnswer(token, who)
	}
	return who
}

// keepAnswer remembers an answer, for the flaws that do so.
func (s *Server) keepAnswer(token string, who *caller) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.Policy.has(IntrospectAgain) {
		s.answers[token] = who
	}
	if !s.Policy.has(IntrospectNoStale) {
		s.before[token] = who
	}
}

// stale is the caller of an earlier answer, for the flaw that believes it while introspection fails.
func (s *Server) stale(token string) *caller {
	s.mu.Lock()
	defer s.mu.Unlock()
	if who := s.before[token]; who != nil {
		return &caller{user: who.user, scopes: who.scopes}
	}
	return nil
}

func (s *Server) judge(c map[string]any) *caller {
	p := &s.Policy
	now := float64(s.now().Unix())
	expires, hasExpiry := c["exp"].(float64)
	notBefore, _ := c["nbf"].(float64)
	subject, _ := c["sub"].(string)
	scope, _ := c["scope"].(string)
	taken := p.TakesAnswer != nil && p.TakesAnswer(c)
	switch kind, _ := c["token_type"].(string); {
	case p.has(IntrospectClaims) && (!hasExpiry || expires+p.Leeway.Seconds() <= now || notBefore > now+p.Leeway.Seconds()),
		p.has(IntrospectClaims) && !taken && !audience(c["aud"], s.Resource),
		p.has(IntrospectClaims) && !taken && c["iss"] != s.Issuer,
		subject == "", p.has(IntrospectClaims) && kind != "" && !strings.EqualFold(kind, "Bearer"):
		return nil
	}
	if p.UserOfAnswer != nil {
		subject = p.UserOfAnswer(c)
	}
	return &caller{user: subject, scopes: p.scopes(scope, c)}
}

func (s *Server) ask(r *http.Request, token string) (map[string]any, error) {
	p := &s.Policy
	req, err := http.NewRequestWithContext(r.Context(), http.MethodPost, s.Introspection,
		strings.NewReader(url.Values{"token": {token}}.Encode()))
	if !p.has(IntrospectByPost) {
		req, err = http.NewRequestWithContext(r.Context(), http.MethodGet, s.Introspection+"?token="+url.QueryEscape(token), nil)
	}
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth("mcp-server", "introspection-secret-of-the-reference")
	if !p.has(IntrospectAlone) {
		req.Header.Set("Cookie", r.Header.Get("Cookie"))
	}
	client := s.questioner()
	if !p.has(AskInParallel) {
		s.asking.Lock()
		defer s.asking.Unlock()
		client = &http.Client{Timeout: 3 * time.Second}
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if resp.StatusCode != http.StatusOK || kind != "application/json" {
		return nil, errors.New("no answer")
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	var c map[string]any
	err = json.Unmarshal(b, &c)
	return c, err
}

// answered waits until no introspection request is pending.
func (s *Server) answered() {
	s.asking.Lock()
	defer s.asking.Unlock()
}
