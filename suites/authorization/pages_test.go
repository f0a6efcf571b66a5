package authorization

import (
	"strings"
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

// A finding about a character shows it, wherever it is in the text.
func TestTheForbiddenCharacterIsShown(t *testing.T) {
	long := strings.Repeat("a long text ", 10)
	assert.Contains(t, allowedCharacters.Judge(long+`scope "x" `+long).Observed, `scope "x"`)
	assert.Contains(t, allowedCharacters.Judge(long+"x\r\nX-Injected: 1").Observed, `x\r\nX-Injected`)
	assert.Contains(t, noMarkup.Judge(long+"'><script>").Observed, "<script>")
	assert.Contains(t, allowedCharacters.Judge(`"`).Observed, `‹"›`)
}
