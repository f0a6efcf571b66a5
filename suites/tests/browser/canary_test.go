package browser_test

import (
	"testing"

	"github.com/mcpauth/conformance/fixtures/whole"
	"github.com/mcpauth/conformance/suites"
	"github.com/mcpauth/conformance/suites/tests/against"
)

// A run with a browser, and its pictures of pages, contain no secret: the checks on logins and pages use them all.
func TestNoSecretInTheReportOfABrowser(t *testing.T) {
	t.Parallel()
	withBrowser(t)
	checks := []string{"AS-LOGIN-*", "AS-CONSENT-*", "AS-AUTHZ-STATE-*", "AS-AUTHZ-PARAM-*"}
	inABrowser := func(c *suites.Config) { c.Driver, c.Only = "browser", checks }
	sampled := whole.Sample(t, "scripts only")
	if !whole.All(t) { // a picture of each kind of page
		checks = []string{"AS-LOGIN-COOKIE-*", "AS-LOGIN-RE*", "AS-CONSENT-CONTENT", "AS-CONSENT-NEW-SCOPE", "AS-AUTHZ-STATE-EXACT",
			"AS-AUTHZ-PARAM-*"}
	}
	for _, name := range []string{"form_post", "scripts only"} {
		t.Run(name, func(t *testing.T) {
			sampled(t, name)
			against.NoSecret(t, pages[name], inABrowser, "access_token", "code", "code_verifier", "cookie")
		})
	}
}
