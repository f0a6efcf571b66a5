package authorization

import (
	"encoding/base64"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestReplaceInside(t *testing.T) {
	t.Parallel()
	const object, changed = `{"n":12345678901234567890,"request":{"redirectUri":"http://127.0.0.1/cb"}}`,
		`{"n":12345678901234567890,"request":{"redirectUri":"https://attacker.example/cb"}}`
	std, raw := base64.StdEncoding.EncodeToString, base64.RawURLEncoding.EncodeToString
	for text, want := range map[string]string{
		object:                                 changed,
		std([]byte(object)):                    std([]byte(changed)),
		"e30." + raw([]byte(object)) + ".sig":  "e30." + raw([]byte(changed)) + ".sig",
		object + ".signature":                  changed + ".signature",
		`{"redirect_uri":"a"}.sig`:             `{"redirect_uri":"https://attacker.example/cb"}.sig`,
		"%7B%22redirect_uri%22%3A%22a%22%7D.s": "%7B%22redirect_uri%22%3A%22https%3A%2F%2Fattacker.example%2Fcb%22%7D.s",
		std([]byte(object + ".signature")):     std([]byte(changed + ".signature")),
		`{"redirect_uris":["a"]}`:              "",
		`{"redirect-uri":["a","b"]}`:           `{"redirect-uri":["https://attacker.example/cb"]}`,
		"%7B%22redirect_uri%22%3A%22a%22%7D":   "%7B%22redirect_uri%22%3A%22https%3A%2F%2Fattacker.example%2Fcb%22%7D",
		"kq3Vx0aF":                             "",
		"":                                     "",
	} {
		got, ok := replaceInside(text, "redirect_uri", "https://attacker.example/cb")
		assert.Equal(t, want != "", ok, text)
		if ok {
			assert.Equal(t, want, got, text)
		}
	}
}
