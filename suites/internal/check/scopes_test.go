package check

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestScopesAreNamedAsTheyAreRequested(t *testing.T) {
	named := []string{"api://notes/read", "openid", "notes/write"}
	for short, full := range map[string]string{
		"read": "api://notes/read", "write": "notes/write", "openid": "openid", "api://notes/read": "api://notes/read", "rea": "rea",
		"notes/read": "api://notes/read", "admin": "admin",
	} {
		assert.Equal(t, []string{full}, inFull([]string{short}, named))
	}
	both := []string{"read", "api://notes/read"}
	assert.Equal(t, []string{"read"}, inFull([]string{"read"}, both), "another scope, which is requested with its short name")
}
