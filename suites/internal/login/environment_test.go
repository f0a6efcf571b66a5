package login

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/suites/internal/wire"
)

// The environment of the browser holds no secret.
func TestTheBrowsersEnvironmentHoldsNoSecret(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the browser is a shell script here")
	}
	for _, name := range []string{"MCPAUTH_PASSWORD", "MCPAUTH_TOTP", "GITHUB_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "CI_JOB_TOKEN",
		"AWS_SECRET_ACCESS_KEY", "SSH_AUTH_SOCK"} {
		t.Setenv(name, "secret-of-"+name)
	}
	seen := filepath.Join(t.TempDir(), "seen")
	program := filepath.Join(t.TempDir(), "browser")
	require.NoError(t, os.WriteFile(program, []byte("#!/bin/sh\nenv > '"+seen+"'\n"), 0o755))
	client := wire.New(wire.Options{Guard: wire.NewGuard("127.0.0.1", nil)})
	defer client.Close()
	b := &Browser{Path: program, NoSandbox: true, Client: client}
	assert.Error(t, b.start(), "it is no browser")
	b.Close()
	got, err := os.ReadFile(seen)
	require.NoError(t, err)
	assert.Contains(t, string(got), "PATH=")
	assert.NotContains(t, string(got), "secret-of-")
	assert.False(t, strings.Contains(string(got), "HOME="+os.Getenv("HOME")+"\n"))
}
