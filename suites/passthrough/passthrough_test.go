package passthrough

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mcpauth/conformance/suites/internal/listener"
)

func TestASecretIsFoundInBase64(t *testing.T) {
	const secret = "eyJhbGciOiJSUzI1NiJ9.e30.A_-~secret?>"
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding, base64.RawStdEncoding, base64.RawURLEncoding} {
		for before := range 7 {
			for after := range 4 {
				text := strings.Repeat("u", before) + secret + strings.Repeat("}", after)
				r := listener.Request{Body: "x=" + encoding.EncodeToString([]byte(text))}
				assert.True(t, holds(r, secret), text)
				assert.False(t, holds(r, "another"+secret[7:]), text)
			}
		}
	}
}
