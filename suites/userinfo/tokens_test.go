package userinfo

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestCredential(t *testing.T) {
	t.Parallel()
	for member, text := range map[string]string{
		"at_hash": "MTIzNDU2Nzg5MDEyMzQ1Ng", "token_use": "access", "token_type": "Bearer", "password_changed_at": "2026-01-02T03:04:05Z",
		"nickname": "ann", "api_token": "",
	} {
		assert.Empty(t, credential(member, text), member)
	}
	for _, member := range []string{"access_token", "client_secret", "passwordHash", "password", "pin_hash"} {
		assert.NotEmpty(t, credential(member, "5f4dcc3b5aa765d61d8327deb882cf99"), member)
	}
}
