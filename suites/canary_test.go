package suites_test

import (
	"testing"

	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/fixtures/whole"
	"github.com/mcpauth/conformance/suites"
	"github.com/mcpauth/conformance/suites/tests/against"
)

// No report contains a secret that the server has seen, in any encoding, whole or in halves.
func TestNoSecretInTheReport(t *testing.T) {
	t.Parallel()
	idealRun(t)
	ideal.canaries.ExpectNoneIn(t, ideal.redacted, nil, "access_token", "refresh_token", "code", "code_verifier", "client_secret", "cookie",
		"bearer")
}

// Nor does a report contain one that another server has seen.
func TestNoSecretInTheReportOfOtherServers(t *testing.T) {
	t.Parallel()
	sampled := whole.Sample(t)
	for name, vary := range map[string]func(o *reference.Options){
		"opaque tokens": func(o *reference.Options) { o.Behaviour.Opaque = "at_" },
		"a proxy":       func(o *reference.Options) { o.Proxy = true },
		// Codes go to a wrong address.
		"a redirect URI by its beginning": flawed("authorize-redirect-prefix"),
		"any redirect URI":                flawed("authorize-any-redirect"),
		"any redirect URI of a document":  flawed("cimd-any-redirect"),
		"a login without a password":      flawed("authorize-demo-mode"),
	} {
		t.Run(name, func(t *testing.T) {
			sampled(t, name)
			t.Parallel()
			byForms := func(c *suites.Config) {
				*c = against.Brief(t, *c)
				c.Driver = "form"
			}
			against.NoSecret(t, vary, byForms, "access_token", "refresh_token", "code", "code_verifier", "client_secret", "cookie", "bearer")
		})
	}
}
