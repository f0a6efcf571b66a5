package elicitation

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/suites/internal/document"
)

func TestFormsThatAskForSecrets(t *testing.T) {
	judge := func(message, properties string) (found, mayBe bool) {
		o, _, err := document.ParseObject(properties)
		require.NoError(t, err)
		f := form{message, o}
		return !haveNoSecretField.Judge(f).Met, !notSpeakOfSecrets.Judge(f).Met
	}
	for _, secret := range [][2]string{
		{"Your account", `{"api_key":{"type":"string"}}`},
		{"Your account", `{"k":{"type":"string","title":"Password"}}`},
		{"Your account", `{"k":{"type":"string","description":"The personal access token. It is not kept."}}`},
		{"Please enter your GitHub token", `{"value":{"type":"string"}}`},
		{"Choose", `{"PIN":{"type":"integer"}}`},
	} {
		found, _ := judge(secret[0], secret[1])
		assert.True(t, found, "%q", secret)
	}
	for _, harmless := range [][2]string{
		{"Who are you? Never enter a password here.", `{"name":{"type":"string"}}`},
		{"Do you want to reset your password?", `{"confirm":{"type":"boolean"}}`},
		{"Which kind of credential?", `{"kind":{"type":"string","enum":["password","api key"]}}`},
	} {
		found, mayBe := judge(harmless[0], harmless[1])
		assert.False(t, found || mayBe, "%q", harmless)
	}
	found, mayBe := judge("Where to send the password reset link?", `{"email":{"type":"string"}}`)
	assert.False(t, found)
	assert.True(t, mayBe)
}
