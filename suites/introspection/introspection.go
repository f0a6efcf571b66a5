// Package introspection contains the checks on token introspection (RFC 7662).
package introspection

import (
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/oauth"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// Register registers the area.
func Register() {
	Describe("RFC 7662 section 2.1: Introspection Request", func() {
		Must("AS-INTROSPECT-AUTH-REQUIRED", requiresAuthorization)
		Must("AS-INTROSPECT-BAD-CREDENTIALS", refusesBadCredentials)
		Practice("AS-INTROSPECT-OTHER-CLIENT", tellsStrangersNothing)
		Practice("AS-INTROSPECT-REQUEST-FORM", answersPostOnly)
		Practice("AS-INTROSPECT-SIDE-ENDPOINTS", guardsOtherEndpoints)
	})
	Describe("RFC 7662 section 2.2: Introspection Response", func() {
		Must("AS-INTROSPECT-ACTIVE-SHAPE", describesActiveToken)
		Must("AS-INTROSPECT-INACTIVE", reportsDeadTokensInactive)
		Should("AS-INTROSPECT-NO-LEAK", tellsNothingOfInactiveTokens)
		Practice("AS-INTROSPECT-REFRESH-TOKEN", marksRefreshTokens)
	})
}

// told are the members of an answer that describe a token or its user.
func told(ex *reports.Exchange) (names []string) {
	o := oauth.Object(ex)
	if o == nil {
		return nil
	}
	if active, _ := o.Bool("active"); active {
		names = append(names, "active: true")
	}
	for _, m := range o.Members {
		if slices.Contains([]string{"sub", "username", "client_id", "scope", "exp", "aud"}, m.Name) {
			names = append(names, m.Name)
		}
	}
	return names
}

// tellNothing expects a refusal: the answer says nothing about the token.
var tellNothing = expect.Refusing("nothing about the token", func(ex *reports.Exchange) string {
	if names := told(ex); len(names) > 0 {
		return expect.Describe(ex) + " with " + strings.Join(names, ", ")
	}
	return ""
})
