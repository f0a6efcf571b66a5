package idp

import (
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// pushed is an authorization request that its client has pushed (RFC 9126).
type pushed struct {
	client  string
	request url.Values
	expires time.Time
	used    bool
}

const pushedPrefix = "urn:ietf:params:oauth:request_uri:"

// push accepts a pushed authorization request.
func (s *Server) push(w http.ResponseWriter, r *http.Request) {
	b := &s.Behaviour
	e := s.form(w, r)
	var c *client
	if e == nil {
		c, e = s.authenticate(r)
	}
	if id := r.PostForm.Get("client_id"); e != nil && s.find(id) != nil && !b.has(PushedByOwner) {
		c, e = s.find(id), nil
	}
	if e != nil {
		s.writeOAuthError(w, r, e)
		return
	}
	request := url.Values{}
	for name, values := range r.PostForm {
		if name != "client_secret" && name != "client_assertion" && name != "client_assertion_type" {
			request[name] = values
		}
	}
	request.Set("client_id", c.id)
	request.Set("pushed", "")
	if !b.has(NoPushedRequestURI) {
		request.Del("request_uri")
	}
	if b.has(PushedValidated) {
		t, fatal := s.newTransaction(request)
		switch {
		case request.Has("request_uri"):
			e = refuse("invalid_request", "request_uri cannot be pushed")
		case fatal != "":
			e = refuse("invalid_request", fatal)
		case t.problem != nil:
			e = refuse(t.problem.code, t.problem.description)
		}
	}
	if e != nil {
		s.writeOAuthError(w, r, e)
		return
	}
	request.Del("pushed")
	uri := pushedPrefix + random(24)
	s.mu.Lock()
	if !b.has(RandomRequestURIs) {
		s.counter++
		uri = pushedPrefix + strconv.Itoa(s.counter)
	}
	s.pushedRequests[uri] = &pushed{client: c.id, request: request, expires: s.now().Add(time.Minute)}
	s.mu.Unlock()
	w.Header().Set("Cache-Control", "no-store")
	writeJSON(w, http.StatusCreated, map[string]any{"request_uri": uri, "expires_in": 60})
}

// pushedRequest returns the request that was pushed under the request_uri of a query; false if that is not valid.
func (s *Server) pushedRequest(q url.Values) (url.Values, bool) {
	b := &s.Behaviour
	s.mu.Lock()
	defer s.mu.Unlock()
	p := similar(s.pushedRequests, q.Get("request_uri"), b.TakesPushed, func(p *pushed) bool { return p.client == q.Get("client_id") })
	if p == nil || !s.valid(p) || p.client != q.Get("client_id") && b.has(PushedClient) {
		return nil, false
	}
	out := url.Values{"pushed": {q.Get("request_uri")}}
	for name, values := range p.request {
		out[name] = values
	}
	if !b.has(PushedClient) {
		out.Set("client_id", q.Get("client_id"))
	}
	if !b.has(PushedChallengeAlone) && q.Has("code_challenge") {
		out.Set("code_challenge", q.Get("code_challenge"))
	}
	if !b.has(PushedAlone) {
		for name, values := range q {
			if name != "request_uri" {
				out[name] = values
			}
		}
	}
	return out, true
}

// spent marks a pushed request as used.
func (s *Server) spent(uri string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.pushedRequests[uri]; p != nil {
		p.used = true
	}
}

// valid reports whether a pushed request is neither used nor expired.
func (s *Server) valid(p *pushed) bool {
	b := &s.Behaviour
	return !(p.used && b.has(PushedOnce)) && !(s.now().After(p.expires) && b.has(PushedExpire))
}
