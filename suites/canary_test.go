package suites_test

import "testing"

// No report contains a secret that the server has seen, in any encoding, whole or in halves. Other servers are in suites/tests/hostile.
func TestNoSecretInTheReport(t *testing.T) {
	t.Parallel()
	idealRun(t)
	ideal.canaries.ExpectNoneIn(t, ideal.redacted, nil, "access_token", "refresh_token", "code", "code_verifier", "client_secret", "cookie",
		"bearer")
}
