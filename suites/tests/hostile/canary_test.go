package hostile_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fakes/flaws"
	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/fixtures/whole"
	"github.com/mcpauth/conformance/suites"
	"github.com/mcpauth/conformance/suites/tests/against"
)

// No report contains a secret that another server than the reference has seen. The test of this name in suites has the reference: its whole
// run is there for other tests too.
func TestNoSecretInTheReport(t *testing.T) {
	t.Parallel()
	sampled := whole.Sample(t)
	for name, vary := range map[string]func(o *reference.Options){
		"opaque tokens": func(o *reference.Options) { o.Behaviour.Opaque = "at_" },
		"a proxy":       func(o *reference.Options) { o.Proxy = true },
		// Codes go to a wrong address.
		"a redirect URI by its beginning": flaw(t, "authorize-redirect-prefix"),
		"any redirect URI":                flaw(t, "authorize-any-redirect"),
		"any redirect URI of a document":  flaw(t, "cimd-any-redirect"),
		"a login without a password":      flaw(t, "authorize-demo-mode"),
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

// flaw changes the reference as the flaw with this name does.
func flaw(t *testing.T, name string) func(o *reference.Options) {
	t.Helper()
	all := flaws.All()
	i := slices.IndexFunc(all, func(f flaws.Flaw) bool { return f.Name == name })
	require.GreaterOrEqual(t, i, 0, "no flaw is called %s", name)
	return all[i].Bend
}
