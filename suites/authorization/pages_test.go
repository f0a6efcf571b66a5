package authorization

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestPoliciesThatForbidForeignScripts(t *testing.T) {
	for policy, forbids := range map[string]bool{
		"default-src 'self'":                                            true,
		"script-src 'self' https://cdn.example":                         true,
		"script-src 'nonce-a1' 'strict-dynamic' https: 'unsafe-inline'": true,
		"script-src https:":                                             false,
		"script-src https://*":                                          false,
		"script-src 'self' data:":                                       false,
		"script-src *":                                                  false,
		"script-src 'self' 'unsafe-inline'":                             false,
		"style-src 'self'":                                              false,
		"default-src 'none'; script-src http:":                          false,
	} {
		assert.Equal(t, forbids, forbidsScripts(policy), policy)
	}
}
