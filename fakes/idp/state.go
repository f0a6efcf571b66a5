package idp

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// state is the server's memory.
type state struct {
	mu             sync.Mutex
	clients        map[string]*client
	transactions   map[string]*transaction
	atUpstream     map[string]*transaction // by the state of the upstream request
	documents      map[string]cachedDocument
	fetching       *http.Transport   // of documents
	sessions       map[string]string // login session -> user
	approved       map[string][]string
	asked          map[string]bool // by user, client and redirect URI
	codes          map[string]*code
	access         map[string]*accessToken  // by token
	live           map[string]*accessToken  // by jti
	refresh        map[string]*refreshToken // by token
	lastUser       string
	lastPKCE       map[string]string // client -> challenge, for a flaw
	counter        int
	lookups        int                // look-ups of clients
	turns          int                // codes that were redeemed, where RaceOfEach counts them
	devices        map[string]*device // by device code
	crowds         map[string]crowd   // by the name of clients
	failures       map[string]failing // by user or client
	assertions     map[string]bool    // client and jti of used assertions
	keyFetches     int
	keysAnswer     func(ordinary map[string]any) (status int, mediaType, body string)
	pushedRequests map[string]*pushed
	ahead          atomic.Int64 // of the clock, in nanoseconds
	issued         []string     // every code and token, in order
	replacement    func(ordinary map[string]any) (status int, mediaType, body string)
	pastSecrets    []string // of deleted clients
}

func newState() state {
	return state{
		clients: map[string]*client{}, pushedRequests: map[string]*pushed{}, assertions: map[string]bool{}, failures: map[string]failing{},
		crowds: map[string]crowd{}, devices: map[string]*device{}, transactions: map[string]*transaction{}, atUpstream: map[string]*transaction{},
		sessions: map[string]string{}, approved: map[string][]string{}, asked: map[string]bool{},
		codes: map[string]*code{}, access: map[string]*accessToken{}, live: map[string]*accessToken{}, refresh: map[string]*refreshToken{},
		lastPKCE: map[string]string{}, documents: map[string]cachedDocument{},
	}
}

// grant is a user's permission for a client; everything issued for it ends with it.
type grant struct {
	client, user string
	scopes       []string
	resources    []string
	revoked      bool
	refreshes    int
	given        time.Time
	upstream     string // the refresh token of a proxy's upstream
	leak         string // a token of the upstream: a flaw
	key          string // the thumbprint of the DPoP key that tokens are bound to
	hidden       bool   // no longer shown to the user
	online       bool   // without a refresh token
	untargeted   bool   // the authorization request named no resource
}

type code struct {
	grant             *grant
	redirectURI       string
	challenge, method string
	nonce             string
	expires           time.Time
	used              bool
	turn              int // in the order of first redemption; 0 where nobody counts
}

type accessToken struct {
	grant   *grant
	jti     string
	scopes  []string
	aud     []string
	issued  time.Time
	expires time.Time
	revoked bool
	rotated bool // issued at a refresh
	number  int  // in the order of issue
}

func (a *accessToken) alive(now time.Time) bool {
	return a != nil && !a.revoked && !a.grant.revoked && now.Before(a.expires)
}

type refreshToken struct {
	grant   *grant
	scopes  []string
	expires time.Time
	used    bool
	usedAt  time.Time
	rotated bool          // issued at a refresh
	next    *refreshToken // the token that its use issued
}

// Advance moves the server's clock.
func (s *Server) Advance(d time.Duration) { s.ahead.Add(int64(d)) }

func (s *Server) now() time.Time {
	return time.Now().Add(time.Duration(s.ahead.Load()) + s.Behaviour.ClockAhead)
}

// Clients returns the number of self-registered clients that exist.
func (s *Server) Clients() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, c := range s.clients {
		if c.management != "" {
			n++
		}
	}
	return n
}

// Revoked reports whether an access token of this server, identified by its jti, has been revoked. Tokens that were minted without a grant
// are valid until they expire.
func (s *Server) Revoked(jti string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.live[jti]
	if !ok {
		return false
	}
	if u := s.Upstream; u != nil && u.Lives != nil && t.grant.upstream != "" && s.Behaviour.has(UpstreamStatus) && !u.Lives(t.grant.upstream) {
		return true
	}
	return !t.alive(s.now())
}

// Lives reports whether the grant of a refresh token is still valid.
func (s *Server) Lives(refresh string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.refresh[refresh]
	return t != nil && !t.grant.revoked
}

// Secrets returns all secrets that the server knows or has issued: no report may show them.
func (s *Server) Secrets() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, u := range s.Users {
		out = append(out, u.Password)
	}
	for v := range s.sessions {
		out = append(out, v)
	}
	for v := range s.codes {
		out = append(out, v)
	}
	for v := range s.access {
		out = append(out, v, v[strings.LastIndexByte(v, '.')+1:])
	}
	for v := range s.refresh {
		out = append(out, v)
	}
	for _, c := range s.clients {
		for _, v := range []string{c.management, c.secret} {
			if v != "" {
				out = append(out, v)
			}
		}
	}
	return append(out, s.pastSecrets...)
}

// find returns the client with an identifier: a registered one, or one that the document at that URL describes.
func (s *Server) find(id string) *client {
	s.mu.Lock()
	c := s.clients[id]
	for known, other := range s.clients {
		if c == nil && s.Behaviour.TakesClient != nil && s.Behaviour.TakesClient(known, id) {
			c = other
		}
	}
	s.mu.Unlock()
	if m := s.Behaviour.DemoClient; m != "" && id == "demo_client" {
		return &client{id: id, secret: "demo_secret", method: m, redirectURIs: []string{"http://localhost:3000/callback"},
			grantTypes: []string{"authorization_code"}}
	}
	if c == nil {
		c = s.document(id)
	}
	if c != nil && c.deleted && s.Behaviour.KeepsOfDeleted != "refresh" || s.forgotten() {
		return nil
	}
	return c
}

// Issued returns all codes and tokens issued so far, in order.
func (s *Server) Issued() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.issued)
}

// Answer replaces the answers of the token endpoint, based on the ordinary response, until it is called with nil.
func (s *Server) Answer(by func(ordinary map[string]any) (status int, mediaType, body string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replacement = by
}

// EndGrants revokes every grant since a time.
func (s *Server) EndGrants(since time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.refresh {
		t.grant.revoked = t.grant.revoked || t.grant.given.After(since)
	}
}

// ServeKeys replaces the answers to requests for the key set, based on the ordinary set, until it is called with nil. A status of 0 closes
// the connection.
func (s *Server) ServeKeys(by func(ordinary map[string]any) (status int, mediaType, body string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keysAnswer = by
}

// KeyFetches returns the number of requests for the key set.
func (s *Server) KeyFetches() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keyFetches
}

// Lookup returns the claims of an access token; nil if it is not valid. It is for a resource server in the authorization server's network.
func (s *Server) Lookup(token string) map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.access[token]
	if !t.alive(s.now()) {
		return nil
	}
	claims := map[string]any{
		"iss": s.Issuer, "sub": t.grant.user, "aud": toAny(t.aud), "client_id": t.grant.client, "scope": strings.Join(t.scopes, " "),
		"iat": float64(t.issued.Unix()), "exp": float64(t.expires.Unix()), "jti": t.jti,
	}
	if t.grant.key != "" && s.Behaviour.has(DPoPBinding) {
		claims["cnf"] = map[string]any{"jkt": t.grant.key}
	}
	if s.Behaviour.AccessToken != nil {
		s.Behaviour.AccessToken(map[string]any{}, claims)
	}
	return claims
}

func toAny(values []string) []any {
	out := make([]any, len(values))
	for i, v := range values {
		out[i] = v
	}
	return out
}
