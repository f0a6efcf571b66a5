package session

import (
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/wire"
)

const pushEndpoint = "pushed_authorization_request_endpoint"

// CannotPush says why requests cannot be pushed to a server that accepts only pushed ones; empty if they can, or if it accepts others.
func (s *Session) CannotPush() string {
	if !s.Server.PushesOnly() {
		return ""
	}
	return s.Server.WhyWithheld(pushEndpoint)
}

// PushesAll reports whether requests must be pushed, and can be.
func (s *Session) PushesAll() bool {
	return s.Server.PushesOnly() && s.Server.Endpoint(pushEndpoint) != ""
}

// Pushing returns how a client pushes its authorization requests; nil if it need not. The browser then gets only client_id and request_uri
// (RFC 9126 section 4).
func (s *Session) Pushing(c *oauth.Client, send func(wire.Request) *reports.Exchange) func(start string) (string, *reports.Exchange) {
	if !s.PushesAll() {
		return nil
	}
	return func(start string) (string, *reports.Exchange) {
		query := strings.TrimPrefix(start, oauth.AtQuery(s.Server.Authorization, nil))
		ex := send(s.pushed(c, query))
		uri := oauth.Object(ex).String("request_uri")
		if uri == "" {
			return "", ex
		}
		front := oauth.Form{{Name: "client_id", Value: c.ID}, {Name: "request_uri", Value: uri}}
		return oauth.AtQuery(s.Server.Authorization, front), ex
	}
}

// pushed returns the request that pushes the query of an authorization request unchanged. The client authenticates as at the token endpoint
// (RFC 9126 section 2.1).
func (s *Session) pushed(c *oauth.Client, query string) wire.Request {
	var own oauth.Form
	fields := c.Authenticate(&own)
	own.Del("client_id") // the query contains it
	r := oauth.Request(s.Server.Endpoint(pushEndpoint), own, fields...)
	r.Body = strings.Trim(query+"&"+r.Body, "&")
	return r
}
