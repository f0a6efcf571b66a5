package main

import (
	"errors"
	"os"
	"os/exec"
	"testing"

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
			err := spring(t.Context(), program, trap)
			var none *noBrowser
			if errors.As(err, &none) && os.Getenv("CI") == "" {
				t.Skip("INCONCLUSIVE: ", none)
			}
			assert.NoError(t, err, trap.Promise)
		})
	}
}

// A program that keeps no promise is caught: each trap sees one that is green whatever happens, and writes nothing.
func TestTrapsCatch(t *testing.T) {
	green, err := exec.LookPath("true")
	if err != nil {
		t.Skip("there is no program true")
	}
	for _, trap := range hostile.Traps {
		if !trap.Browser {
			assert.Error(t, spring(t.Context(), green, trap), "%s is not caught", trap.Name)
		}
	}
}
