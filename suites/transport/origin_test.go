package transport

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// Hosts below the own domain are not foreign: a server may allow all of them.
func TestAWordBeforeMakesAnotherSite(t *testing.T) {
	for host, want := range map[string]string{
		"example.com": "evil-example.com", "mcp.example.com": "evil-example.com", "a.b.example.co.uk": "evil-example.co.uk",
		"notes.vercel.app": "evil-notes.vercel.app", "localhost": "evil-localhost", "127.0.0.1": "evil-127.0.0.1",
	} {
		_, other := wordBefore(host)
		assert.Equal(t, want, other, host)
	}
}
