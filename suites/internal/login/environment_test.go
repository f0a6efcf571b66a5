package login

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/wire"
)

// The browser uses the proxy for everything, resolves no name, and opens no port. Its command line, which everybody on the machine can
// read, contains no secret.
func TestTheBrowsersCommandLine(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the browser is a shell script here")
	}
	seen := filepath.Join(t.TempDir(), "seen")
	program := filepath.Join(t.TempDir(), "browser")
	require.NoError(t, os.WriteFile(program, []byte("#!/bin/sh\nprintf '%s\\n' \"$@\" > '"+seen+"'\n"), 0o755))
	client := wire.New(wire.Options{Guard: wire.NewGuard("127.0.0.1", nil),
		Header: []reports.Field{{Name: "X-Gate", Value: "the-key-of-the-gate"}}, HeaderOrigin: "http://127.0.0.1"})
	defer client.Close()
	b := &Browser{Path: program, NoSandbox: true, Client: client}
	assert.Error(t, b.start(), "a program that is not a browser starts")
	b.Close()
	text, err := os.ReadFile(seen)
	require.NoError(t, err)
	arguments := strings.Split(string(text), "\n")
	for _, want := range []string{"--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1", "--proxy-bypass-list=<-loopback>",
		"--force-webrtc-ip-handling-policy=disable_non_proxied_udp", "--remote-debugging-pipe"} {
		assert.Contains(t, arguments, want)
	}
	assert.Contains(t, string(text), "--proxy-server=http://127.0.0.1:")
	for _, never := range []string{"--remote-debugging-port", "--ignore-certificate-errors\n", "--disable-web-security",
		"the-key-of-the-gate"} {
		assert.NotContains(t, string(text), never)
	}
}

// The environment of the browser contains no secret.
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
	assert.Error(t, b.start(), "a program that is not a browser starts")
	b.Close()
	got, err := os.ReadFile(seen)
	require.NoError(t, err)
	assert.Contains(t, string(got), "PATH=")
	assert.NotContains(t, string(got), "secret-of-")
	assert.False(t, strings.Contains(string(got), "HOME="+os.Getenv("HOME")+"\n"))
}
