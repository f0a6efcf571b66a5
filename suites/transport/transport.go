// Package transport holds the checks on the HTTP layer below authorization: TLS, Origin and Host, CORS,
// redirects, caches, and the protocol version header.
package transport

import (
	"net/url"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/survey"
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// Register registers the area.
func Register() {
	Describe("MCP Transports: Security Warning", rebinding)
	Describe("WHATWG Fetch: HTTP CORS protocol", cors)
	Describe("OAuth 2.1 section 1.5: Communication security", security)
	Describe("MCP Transports: Protocol Version Header", versions)
	Describe("MCP Transports: Security Warning, localhost", localhost)
}

const evil = "https://evil.example"

func rebinding() {
	Must("RS-TRANSPORT-ORIGIN-INVALID", refusesForeignOrigins)

	Practice("RS-TRANSPORT-ORIGIN-ALLOWED", acceptsAllowedOrigins)
	Must("RS-TRANSPORT-ORIGIN-EVERY-METHOD", refusesForeignOriginsByEveryMethod)
	Practice("RS-TRANSPORT-HOST-REBINDING", refusesForeignHosts)
}

func cors() {
	Practice("RS-TRANSPORT-CORS-PREFLIGHT", func(t *T) {
		origin := browserOrigin(t)
		ex := t.Do(wire.Request{Method: "OPTIONS", URL: t.Survey.Endpoint, Header: []reports.Field{
			mcp.Field("Origin", origin), mcp.Field("Access-Control-Request-Method", "POST"),
			mcp.Field("Access-Control-Request-Headers", "authorization, content-type, mcp-protocol-version"),
		}})
		allowed := expect.Header(ex, "Access-Control-Allow-Origin")
		s := expect.Status(ex)
		if allowed == "" && len(t.Origins) == 0 {
			t.NotApplicable("the target offers no CORS to %s, and no browser origin was declared with --origin", origin)
		}
		if s < 200 || s > 299 || (allowed != "*" && allowed != origin) {
			t.Unmet(ex, "a preflight from "+origin+" to be answered 2xx and allowed, without credentials", "%s, Access-Control-Allow-Origin %q", expect.Describe(ex), allowed)
			return
		}
		headers := strings.ToLower(strings.Join(expect.HeaderValues(ex, "Access-Control-Allow-Headers"), ","))
		if !strings.Contains(headers, "authorization") {
			t.Unmet(ex, "Authorization named in Access-Control-Allow-Headers; * does not cover it", "%q", headers)
		}
		if !strings.Contains(headers, "mcp-protocol-version") && headers != "*" && !strings.Contains(headers, "*") {
			t.Advise(ex, "the MCP headers in Access-Control-Allow-Headers", "%q", headers)
		}
	})

	Practice("RS-TRANSPORT-CORS-EXPOSE", func(t *T) {
		origin := browserOrigin(t)
		ex := t.Send(t.MCP.Call().With(mcp.Field("Origin", origin)))
		exposed := strings.ToLower(strings.Join(expect.HeaderValues(ex, "Access-Control-Expose-Headers"), ","))
		allowed := expect.Header(ex, "Access-Control-Allow-Origin")
		elsewhere := allowed != "" || len(t.Origins) > 0 || corsElsewhere(t, origin)
		switch {
		case expect.Status(ex) != 401:
			t.NotApplicable("the request from %s is answered with %s, not 401", origin, expect.Describe(ex))
		case !elsewhere:
			t.NotApplicable("the target offers no CORS, and no browser origin was declared with --origin")
		case allowed == "":
			t.Unmet(ex, "the CORS fields on the 401 too, as on other answers", "no Access-Control-Allow-Origin, so browser code cannot see the challenge")
		case !strings.Contains(exposed, "www-authenticate") && exposed != "*":
			t.Unmet(ex, "WWW-Authenticate in Access-Control-Expose-Headers, so that browser code can see the challenge", "%q", exposed)
		}
	})

	Practice("RS-TRANSPORT-CORS-CREDENTIALS", allowsNoCredentialsFromForeignOrigins)
}

// browserOrigin is an origin that the user declared, or that of the MCP Inspector.
func browserOrigin(t *T) string {
	if len(t.Origins) > 0 {
		return t.Origins[0]
	}
	return "http://localhost:6274"
}

// corsElsewhere reports that the target offers CORS on its metadata or its preflight.
func corsElsewhere(t *T, origin string) bool {
	preflight := t.Do(wire.Request{Method: "OPTIONS", URL: t.Survey.Endpoint, Header: []reports.Field{mcp.Field("Origin", origin), mcp.Field("Access-Control-Request-Method", "POST")}})
	if expect.Header(preflight, "Access-Control-Allow-Origin") != "" {
		return true
	}
	d := t.Survey.Resource()
	return d != nil && expect.Header(d.Exchange, "Access-Control-Allow-Origin") != ""
}

func security() {
	Must("RS-TLS-ENFORCED", func(t *T) {
		plain := "http://" + t.Survey.URL.Hostname() + t.Survey.URL.RequestURI()
		probe := mcp.Probe(plain, mcp.NewestStateful).With(mcp.Bearer("x"))
		ex := t.Send(probe)
		switch s := expect.Status(ex); {
		case ex.Response == nil:
			t.Refused()
		case s == 301 || s == 308 || s == 302 || s == 307:
			if !strings.HasPrefix(expect.Header(ex, "Location"), "https://") {
				t.Unmet(ex, "plain HTTP to be refused, or redirected to https", "%s", expect.Describe(ex))
			} else if s == 307 || s == 308 {
				t.Advise(ex, "no redirect that repeats the request in clear text", "%s", expect.Describe(ex))
			}
		case s == 401 || mcp.Read(ex).Result != nil || mcp.Read(ex).Error:
			t.Unmet(ex, "the MCP endpoint over https only", "the MCP layer answers over plain HTTP: %s", expect.Describe(ex))
		}
	})

	Practice("RS-TLS-MODERN", func(t *T) { modern(t, t.Survey.URL) })

	Must("AS-TLS-ENFORCED", func(t *T) {
		t.AS.Each(func(_ *survey.Server, m *survey.Document) {
			endpoint, err := document.ParseURL(m.Object.String("token_endpoint"))
			if err != nil || endpoint.Scheme != "https" {
				return // AS-META-ENDPOINTS-HTTPS
			}
			ex := t.Do(wire.Request{
				Method: "POST", URL: "http://" + endpoint.Hostname() + endpoint.RequestURI(), Body: "grant_type=authorization_code&code=mcpauth&client_id=mcpauth",
				Header: []reports.Field{mcp.Field("Content-Type", "application/x-www-form-urlencoded")},
			})
			if ex.Response == nil {
				t.Refused()
			} else if o, _, err := document.ParseObject(ex.Response.Body); expect.Status(ex) == 200 || err == nil && o.String("error") != "" {
				t.Unmet(ex, "the token endpoint over https only", "it answers over plain HTTP: %s", expect.Describe(ex))
			}
		})
	})

	Practice("AS-TLS-MODERN", func(t *T) {
		t.AS.Each(func(s *survey.Server, _ *survey.Document) {
			if u, err := document.ParseURL(s.Issuer); err == nil {
				modern(t, u)
			}
		})
	})

	Practice("RS-TLS-HSTS", func(t *T) {
		ex := t.Cite(t.Survey.Anonymous[mcp.Stateful])
		v := strings.ToLower(expect.Header(ex, "Strict-Transport-Security"))
		if !strings.Contains(v, "max-age=") || strings.Contains(v, "max-age=0") {
			t.Advise(ex, "Strict-Transport-Security with a max-age of half a year or more", "%q", v)
		}
	})

	Practice("AS-TLS-HSTS", func(t *T) {
		t.AS.Each(func(_ *survey.Server, m *survey.Document) {
			endpoint := m.Object.String("authorization_endpoint")
			if !strings.HasPrefix(endpoint, "https://") {
				return // AS-META-ENDPOINTS-HTTPS
			}
			ex := t.Get(endpoint, mcp.Field("Accept", "text/html"))
			if v := strings.ToLower(expect.Header(ex, "Strict-Transport-Security")); !strings.Contains(v, "max-age=") || strings.Contains(v, "max-age=0") {
				t.Advise(ex, "Strict-Transport-Security on the pages that people see", "%q", v)
			}
		})
	})

	Practice("RS-TRANSPORT-NO-REDIRECT", answersWhereItIsPublished)
	Practice("RS-TRANSPORT-CACHE", keepsAnswersOutOfSharedCaches)
	Practice("RS-TRANSPORT-COOKIES", takesNoCookieForToken)
}

// modern expects a handshake with nothing newer than TLS 1.1 to fail (RFC 8996). That the certificate
// is valid the survey has seen: it would have got no answer otherwise.
func modern(t *T, u *url.URL) {
	agreed, err := t.MCP.OldTLS(u)
	switch {
	case err != nil:
		t.Inconclusive("%s could not be dialled again: %v", u.Host, err)
	case agreed:
		t.Advise(nil, "TLS 1.2 or newer only", "%s agrees to TLS 1.1 or older", u.Host)
	default:
		t.Refused()
	}
}

func versions() {
	Must("RS-TRANSPORT-VERSION-HEADER", func(t *T) {
		twice := t.MCP.Call().With(mcp.Field("MCP-Protocol-Version", "2025-06-18"), mcp.Field("MCP-Protocol-Version", "2024-11-05"))
		variants := []Variant{Call(twice, "two MCP-Protocol-Version fields, without credentials")}
		for _, v := range []string{"2024-11-05", "1900-01-01", "draft", "2025-03-26", "2025-11-25"} {
			variants = append(variants, Call(t.MCP.Call().With(mcp.Field("MCP-Protocol-Version", v)), "MCP-Protocol-Version: %s, without credentials", v))
		}
		t.ExpectAll(variants, expect.RefuseAnyway())
		if !t.MCP.HasToken() || !t.Since("2025-06-18") {
			return
		}
		t.MCP.Control()
		call := t.MCP.Call()
		if t.Wire == mcp.Stateful {
			session := OpenSession(t)
			call = session.Method("tools/list", nil).With(t.MCP.BearerField())
		} else {
			call = call.With(t.MCP.BearerField())
		}
		t.Expect(t.Send(call.With(mcp.Field("MCP-Protocol-Version", "1900-01-01"))), "MCP-Protocol-Version: 1900-01-01, with the valid token").To(expect.Refuse(400))
	})

	Must("RS-TRANSPORT-ERA-PARITY", protectsBothWiresAlike)
	Must("RS-TRANSPORT-HEADER-MISMATCH", refusesContradictions)
	Must("RS-TRANSPORT-CONNECTION-IDENTITY", judgesEachRequestAlone)
}

// "When running locally, servers SHOULD bind only to localhost (127.0.0.1) rather than all network interfaces (0.0.0.0)"
func localhost() {
	Should("RS-TRANSPORT-LOCAL-BIND", listensOnLoopbackOnly)
}
