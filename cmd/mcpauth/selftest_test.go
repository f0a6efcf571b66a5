package main

import (
	"errors"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fakes/hostile"
	"github.com/mcpauth/conformance/fixtures/whole"
)

// Each promise of SECURITY.md holds for the program as it is built.
func TestPromises(t *testing.T) {
	program := os.Getenv("TESTED_PROGRAM") // TestMain builds it
	require.NotEmpty(t, program)
	sampled := whole.Sample(t, "rate", "secrets", "names that change", "callbacks from strangers", "another certificate")
	for _, trap := range hostile.Traps {
		t.Run(trap.Name, func(t *testing.T) {
			sampled(t, trap.Name)
			t.Parallel() // most of them wait; the self-test tries as many together
			peak, err := spring(t.Context(), program, trap)
			t.Logf("%d MiB of memory", peak>>20)
			var none *noBrowser
			if errors.As(err, &none) && os.Getenv("CI") == "" {
				t.Skip("INCONCLUSIVE: ", none)
			}
			assert.NoError(t, err, trap.Promise)
		})
	}
}

// A program that keeps no promise is caught: each trap sees one that is green whatever happens, and writes nothing. Strangers, such as
// clients of a server that had the port before, do not help it.
func TestTrapsCatch(t *testing.T) {
	green, err := exec.LookPath("true")
	if err != nil {
		t.Skip("there is no program true")
	}
	for _, trap := range hostile.Traps {
		if trap.Browser {
			continue
		}
		t.Run(trap.Name, func(t *testing.T) {
			t.Parallel()
			start := trap.Start
			trap.Start = func() (*hostile.Attack, error) {
				attack, err := start()
				if err == nil {
					strangersAsk(t, attack.Args)
				}
				return attack, err
			}
			_, err := spring(t.Context(), green, trap)
			assert.Error(t, err, "%s is not caught", trap.Name)
		})
	}
}

// strangersAsk has others than the program send what it would to the target in its arguments, unless only the program finds that.
func strangersAsk(t *testing.T, args []string) {
	t.Helper()
	target, err := url.Parse(args[1])
	require.NoError(t, err)
	if target.Scheme != "http" {
		return
	}
	client := &http.Client{Timeout: 200 * time.Millisecond}
	for i := range 50 {
		method, body := http.MethodGet, ""
		place := []string{"/.well-known/oauth-authorization-server", "/.well-known/oauth-protected-resource/mcp", "/jwks", "/mcp"}[i%4]
		if place == "/mcp" {
			method, body = http.MethodPost, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"whoami","arguments":{}}}`
		}
		r, err := http.NewRequestWithContext(t.Context(), method, "http://"+target.Host+place, strings.NewReader(body))
		require.NoError(t, err)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Accept", "application/json, text/event-stream")
		resp, err := client.Do(r)
		if err != nil {
			return // some targets do not answer
		}
		_ = resp.Body.Close()
	}
}
