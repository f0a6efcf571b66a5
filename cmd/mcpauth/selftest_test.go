package main

import (
	"errors"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fakes/hostile"
	"github.com/mcpauth/conformance/fixtures/whole"
	"github.com/mcpauth/conformance/reports"
)

// The built program keeps each promise of SECURITY.md.
func TestPromises(t *testing.T) {
	program := os.Getenv("TESTED_PROGRAM") // TestMain builds it
	require.NotEmpty(t, program)
	sampled := whole.Sample(t, "rate", "secrets", "callbacks from strangers")
	for _, trap := range hostile.Traps {
		t.Run(trap.Name, func(t *testing.T) {
			sampled(t, trap.Name)
			t.Parallel() // most of them wait; the self-test runs as many at a time
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

// The self-test shows each trap in a table, and broken promises at the end of standard error. It fails if one is broken.
func TestSelfTestShowsWhatIsBroken(t *testing.T) {
	t.Setenv("MCPAUTH_BROWSER", filepath.Join(t.TempDir(), "none"))
	set := func(judge func(hostile.Outcome) error) func() (*hostile.Attack, error) {
		return func() (*hostile.Attack, error) {
			return &hostile.Attack{Args: []string{"run", "http://127.0.0.1:1/mcp"}, Close: func() {}, Judge: judge}, nil // a closed port
		}
	}
	held := hostile.Trap{Name: "weak", Promise: "it reports", Start: set(func(o hostile.Outcome) error {
		if o.Code == 0 || o.Reports["json"] == "" {
			return errors.New("it does not report")
		}
		return nil
	})}
	browser := hostile.Trap{Name: "page", Promise: "it is shown", Browser: true}
	try := func(traps ...hostile.Trap) (out, errs string, err error) {
		c := &cobra.Command{}
		c.SetContext(t.Context())
		var table, broken strings.Builder
		c.SetOut(&table)
		c.SetErr(&broken)
		err = tryTraps(c, os.Getenv("TESTED_PROGRAM"), traps)
		return table.String(), broken.String(), err
	}

	out, errs, err := try(held, browser)
	require.NoError(t, err, errs)
	assert.Regexp(t, `(?m)^weak +it reports +\d+\.\d s +\d+ MiB +held$`, out)
	assert.Regexp(t, `(?m)^page +it is shown +\d+\.\d s +0 MiB +not tried: the browser cannot be used`, out)
	assert.Regexp(t, `(?m)^modules +few .* \d+$`, out)
	assert.Empty(t, errs)

	out, errs, err = try(hostile.Trap{Name: "strong", Promise: "it holds", Start: set(func(hostile.Outcome) error {
		return errors.New("a secret went out\n::error::pwned")
	})}, hostile.Trap{Name: "unset", Promise: "it is set", Start: func() (*hostile.Attack, error) { return nil, errors.New("no port") }}, held)
	var code *exit
	require.ErrorAs(t, err, &code)
	assert.Equal(t, reports.ExitToolFailed, code.code)
	assert.EqualError(t, err, "2 promises broken")
	assert.Regexp(t, `(?m)^strong +it holds +.* BROKEN$`, out)
	assert.Regexp(t, `(?m)^weak .* held$`, out)
	assert.Equal(t, "BROKEN strong: a secret went out\\n\\u{3a}:error::pwned\nBROKEN unset: the trap could not be set: no port\n", errs)
}

// A program that keeps no promise fails: here it always succeeds, and writes nothing. Requests of other programs, such as clients of a
// server that had the port before, do not make a trap pass.
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

// strangersAsk sends requests of other programs to the target in the arguments, unless only the program can find it.
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
