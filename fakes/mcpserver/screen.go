package mcpserver

import (
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// screened reports whether an argument contains a refused text, in any encoding.
func (s *Server) screened(m *message) bool {
	arguments, _ := m.Params["arguments"].(map[string]any)
	for _, v := range arguments {
		text, _ := v.(string)
		if s.Policy.has(ScreenDecoded) {
			text = plain(text)
		}
		if slices.ContainsFunc(s.Policy.Screens, func(p string) bool { return strings.Contains(text, p) }) {
			return true
		}
	}
	return false
}

// plain returns a text decoded, in lower case and without comments.
func plain(text string) string {
	for range 2 {
		if once, err := url.PathUnescape(text); err == nil {
			text = once
		}
	}
	return strings.Join(strings.Fields(strings.ReplaceAll(strings.ToLower(text), "/**/", " ")), " ")
}

// blocked reports whether the server currently refuses requests from this address.
func (s *Server) blocked(r *http.Request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Policy.BlockAfter > 0 && time.Now().Before(s.blocks[s.addressOf(r)])
}

// missedBy counts a bad token for the address of its request.
func (s *Server) missedBy(r *http.Request) {
	p := &s.Policy
	if p.BlockAfter == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	who := s.addressOf(r)
	if s.misses[who]++; s.misses[who] >= p.BlockAfter {
		s.blocks[who], s.misses[who] = time.Now().Add(p.BlockFor), 0
	}
}

func (s *Server) addressOf(r *http.Request) string {
	if named := r.Header.Get("X-Forwarded-For"); named != "" && !s.Policy.has(BlockByPeer) {
		return named // the flaw
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
