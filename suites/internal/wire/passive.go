package wire

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
)

// ErrPassive is the error of a request that a passive client does not send.
var ErrPassive = errors.New("passive: only reads are sent, except to the MCP endpoint")

// MaySend reports whether the client sends a request. A passive one sends safe methods (RFC 9110, section 9.2.1), and to the MCP endpoint
// the POST of a JSON-RPC message. It never sends raw bytes.
func (c *Client) MaySend(req Request) bool {
	if c.opt.Passive == "" {
		return true
	}
	if req.Raw != nil {
		return false
	}
	switch req.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return true
	case http.MethodPost:
		return sameEndpoint(req.URL, c.opt.Passive)
	}
	return false
}

// sameEndpoint compares two URLs, ignoring the case of their scheme and host.
func sameEndpoint(a, b string) bool {
	u, err := url.Parse(a)
	v, wrong := url.Parse(b)
	return err == nil && wrong == nil && strings.EqualFold(u.Scheme, v.Scheme) && strings.EqualFold(u.Host, v.Host) &&
		u.EscapedPath() == v.EscapedPath() && u.RawQuery == v.RawQuery
}
