package registration

import (
	"maps"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/oauth"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// optional are the members of an ordinary registration that a client may leave out (RFC 7591 section 2).
var optional = []string{"token_endpoint_auth_method", "grant_types", "response_types", "client_name", "scope"}

// appliesDefaults registers with the members that RFC 7591 section 2 requires, and with few more.
func appliesDefaults(t *T) {
	alone := changing{}
	for _, name := range optional {
		alone[name] = nil
	}
	withGrant := maps.Clone(alone)
	withGrant["grant_types"] = []string{"authorization_code"}
	Each(t, Cases[changing]{
		{"redirect_uris alone", alone},
		{"grant_types authorization_code alone", withGrant},
	}, func(t *T, changes changing) {
		_, ex := t.AS.Register(changes)
		if notRegistered(decided(t, ex)) != "" {
			t.Expect(ex).Ideally(registerDefaults(neededOf(t, changes)))
			return
		}
		t.Expect(ex).To(state("token_endpoint_auth_method"), include("grant_types", "authorization_code"), include("response_types", "code"))
	})
}

// neededOf are the members without which the server does not register a client that leaves out all others.
func neededOf(t *T, changes changing) (needed []string) {
	for _, name := range optional {
		if changes[name] != nil {
			continue
		}
		with := maps.Clone(changes)
		delete(with, name) // as in the ordinary registration
		if c, _ := t.AS.Register(with); c != nil {
			needed = append(needed, name)
		}
	}
	return needed
}

var registerDefaults = expect.Family("registerDefaults", func(needed []string) expect.Matcher {
	return expect.That("a client registered with the server's own defaults (RFC 7591 section 2)", func(ex *reports.Exchange) string {
		what := "; it is registered with " + strings.Join(needed, ", or with ")
		if len(needed) == 0 {
			what = "; no member alone helps"
		}
		return expect.Describe(ex) + what
	})
})

// include expects a list of the answer to have a value.
var include = expect.Family("include", func(name, value string) expect.Matcher {
	return expect.That(name+" with "+value, func(ex *reports.Exchange) string {
		switch list, ok := oauth.Object(ex).Strings(name); {
		case !ok:
			return name + " is absent"
		case !slices.Contains(list, value):
			return name + " " + strings.Join(list, " ")
		}
		return ""
	})
})
