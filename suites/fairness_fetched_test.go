package suites_test

import (
	"encoding/base64"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/mcpauth/conformance/fakes/answer"
	"github.com/mcpauth/conformance/fakes/idp"
	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/reports"
)

// asks sends a request to each address in a member of a JWT's header, and drops the answer.
func asks(token, member string) {
	var header map[string]any
	head, _, _ := strings.Cut(token, ".")
	_ = json.Unmarshal([]byte(decoded(head)), &header)
	address, _ := header[member].(string)
	switch {
	case strings.HasPrefix(address, "http://127.0.0.1:"):
		if resp, err := http.Get(address); err == nil {
			resp.Body.Close()
		}
	case strings.HasPrefix(address, "${jndi:ldap://"):
		host, _, _ := strings.Cut(strings.TrimPrefix(address, "${jndi:ldap://"), "/")
		if c, err := net.Dial("tcp", host); err == nil {
			c.Close()
		}
	}
}

// askingFor makes a server ask the addresses in a member of the token, and refuse it as before.
func askingFor(member string) func(o *reference.Options) {
	return func(o *reference.Options) {
		o.Wrap = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asks(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), member)
				next.ServeHTTP(w, r)
			})
		}
	}
}

// askingURLs asks a kid that is a URL, and evaluates nothing.
func askingURLs(o *reference.Options) {
	o.Wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
			if head, _, _ := strings.Cut(token, "."); !strings.Contains(decoded(head), "${") {
				asks(token, "kid")
			}
			next.ServeHTTP(w, r)
		})
	}
}

func decoded(part string) string {
	b, _ := base64.RawURLEncoding.DecodeString(part)
	return string(b)
}

// askingForKeys does the same with the assertions that an authorization server gets.
func askingForKeys(b *idp.Behaviour) {
	b.Wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body := answer.Peek(r)
			if form, err := url.ParseQuery(string(body)); err == nil {
				asks(form.Get("client_assertion"), "jku")
				asks(form.Get("assertion"), "jku")
			}
			next.ServeHTTP(w, r)
		})
	}
}

// A request to an address that a token names, and nothing else, is against a "should" (RFC 8725 section 3.10).
func TestFairnessOfWhatIsFetched(t *testing.T) {
	t.Parallel()
	expectFairness(t, map[string]fairness{
		"a server that asks the address in jku, and refuses": {askingFor("jku"), nil, "RS-TOKEN-JKU-X5U", reports.Warn},
		"a server that asks the address in x5u, and refuses": {askingFor("x5u"), nil, "RS-TOKEN-JKU-X5U", reports.Warn},
		"a server that asks an address as kid, and refuses":  {askingURLs, nil, "RS-TOKEN-KID-INJECTION", reports.Warn},
		"a server that evaluates a kid":                      {askingFor("kid"), nil, "RS-TOKEN-KID-INJECTION", reports.Fail},
		"an authorization server that asks the address in the assertion of a client": {behaving(askingForKeys), nil,
			"AS-CC-ASSERTION-REJECTED", reports.Warn},
		"an authorization server that asks the address in the assertion of a document's client": {behaving(askingForKeys), nil,
			"AS-CIMD-KEY-AUTH-ENFORCED", reports.Warn},
		"an authorization server that asks the address in the assertion of a user": {behaving(askingForKeys), nil,
			"AS-EMA-SIGNATURE-REJECTED", reports.Warn},
	})
}
