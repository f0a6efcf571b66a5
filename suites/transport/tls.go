package transport

import (
	"cmp"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/survey"
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// plain are the addresses of a URL over plain HTTP: at port 80, and at the port that speaks TLS.
func plain(u *url.URL) Cases[string] {
	return Cases[string]{
		{"plain HTTP at port 80", "http://" + strings.TrimSuffix(u.Host, ":"+u.Port()) + u.RequestURI()},
		{"the port of TLS", "http://" + net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), "443")) + u.RequestURI()},
	}
}

// OAuth 2.1 section 1.5: bearer tokens are sent over TLS only. The token that is sent here is not a real one.
func servesByTLSOnly(t *T) {
	Each(t, plain(t.Survey.URL), func(t *T, address string) {
		t.Expect(t.Send(mcp.Probe(address, t.Revision).With(mcp.Bearer("x")))).To(notServePlainly)
	})
}

var notServePlainly = expect.AdvisedOf(expect.That("no answer of the MCP endpoint over plain HTTP", func(ex *reports.Exchange) string {
	a, s := mcp.Read(ex), expect.Status(ex)
	challenged := s == 401 && slices.ContainsFunc(expect.Challenges(ex), func(c document.Challenge) bool {
		return strings.EqualFold(c.Scheme, "Bearer") || strings.EqualFold(c.Scheme, "DPoP")
	})
	if challenged || a.Result != nil || a.Error || s >= 300 && s <= 399 && !strings.HasPrefix(expect.Header(ex, "Location"), "https://") {
		return expect.Describe(ex)
	}
	return ""
}), "no redirect that makes clients repeat the request in clear text", func(ex *reports.Exchange) string {
	if s := expect.Status(ex); s == 307 || s == 308 {
		return expect.Describe(ex)
	}
	return ""
})

func issuesTokensByTLSOnly(t *T) {
	t.AS.Each(func(_ *survey.Server, m *survey.Document) {
		endpoint, err := document.ParseURL(m.Object.String("token_endpoint"))
		if err != nil || endpoint.Scheme != "https" {
			return // AS-META-ENDPOINTS-HTTPS reports it
		}
		Each(t, plain(endpoint), func(t *T, address string) {
			t.Expect(t.Do(wire.Request{
				Method: "POST", URL: address, Body: "grant_type=authorization_code&code=mcpauth&client_id=mcpauth",
				Header: []reports.Field{mcp.Field("Content-Type", "application/x-www-form-urlencoded")},
			})).To(notSpeakOAuthPlainly)
		})
	})
}

// tokenErrors are the codes of RFC 6749 section 5.2, and of RFC 9449. Another program has "error" in its JSON, too, such as "Not Found".
var tokenErrors = []string{"invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type",
	"invalid_scope", "invalid_dpop_proof", "use_dpop_nonce"}

var demandsTLS = regexp.MustCompile(`(?i)\b(https|tls|ssl)\b`)

var notSpeakOAuthPlainly = expect.That("no answer of the token endpoint over plain HTTP", func(ex *reports.Exchange) string {
	o, _, err := document.ParseObject(expect.Body(ex)) // a page about the product is not an answer of the token endpoint
	if err != nil {
		return ""
	}
	processed := slices.Contains(tokenErrors, o.String("error")) && !demandsTLS.MatchString(o.String("error_description"))
	if processed || o.String("access_token") != "" {
		return expect.Describe(ex)
	}
	return ""
})

func refusesOldTLS(t *T) { t.Expect(dialledOld(t, t.Survey.URL)).To(refuseOldTLS) }

func refusesOldTLSAtIssuer(t *T) {
	t.AS.Each(func(s *survey.Server, _ *survey.Document) {
		if u, err := document.ParseURL(s.Issuer); err == nil {
			t.Expect(dialledOld(t, u)).To(refuseOldTLS)
		}
	})
}

// oldTLS is the result of a handshake with TLS 1.1 at most. The certificate is valid: otherwise the survey would have got no answer.
type oldTLS struct {
	host   string
	agreed bool
}

func dialledOld(t *T, u *url.URL) oldTLS {
	agreed, err := t.MCP.OldTLS(u)
	if err != nil {
		t.Inconclusive("%s could not be dialled again: %v", u.Host, err)
	}
	return oldTLS{u.Host, agreed}
}

// RFC 8996: TLS 1.0 and 1.1 must not be used.
var refuseOldTLS = expect.Refusing("TLS 1.2 or newer only", func(o oldTLS) string {
	if o.agreed {
		return o.host + " agrees to TLS 1.1 or older"
	}
	return ""
})

func pinsTLS(t *T) { t.Expect(t.MCP.Anonymous()).Ideally(pinTLS) }

func pinsTLSOnPages(t *T) {
	t.AS.Each(func(_ *survey.Server, m *survey.Document) {
		if endpoint := m.Object.String("authorization_endpoint"); strings.HasPrefix(endpoint, "https://") { // else AS-META-ENDPOINTS-HTTPS
			t.Expect(t.Get(endpoint, mcp.Field("Accept", "text/html"))).Ideally(pinTLS)
		}
	})
}

// halfAYear is in seconds. A shorter period may end between two visits.
const halfAYear = 15_768_000

// RFC 6797 section 6.1.1: max-age, in seconds, may be quoted.
var pinTLS = expect.That("Strict-Transport-Security with a max-age of half a year or more", func(ex *reports.Exchange) string {
	field := expect.Header(ex, "Strict-Transport-Security")
	for _, directive := range strings.Split(field, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		if seconds, err := strconv.ParseInt(strings.Trim(value, `"`), 10, 64); strings.EqualFold(name, "max-age") && err == nil &&
			seconds >= halfAYear {
			return ""
		}
	}
	if field == "" {
		return "Strict-Transport-Security is absent"
	}
	return fmt.Sprintf("Strict-Transport-Security %q", field)
})
