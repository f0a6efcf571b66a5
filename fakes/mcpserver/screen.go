package mcpserver

import (
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// screened reports that an argument holds a text that is refused, however it is written.
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

// plain is a text without encodings, comments and capitals.
func plain(text string) string {
	for range 2 {
		if once, err := url.PathUnescape(text); err == nil {
			text = once
		}
	}
	return strings.Join(strings.Fields(strings.ReplaceAll(strings.ToLower(text), "/**/", " ")), " ")
}

// blocked reports that requests from this address are refused for now.
func (s *Server) blocked(r *http.Request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Policy.BlockAfter > 0 && time.Now().Before(s.blocks[s.addressOf(r)])
}

// missed counts a bad token for the address of its request.
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
