// Package quirks_test runs the suite against references that are right in another way than the ideal one.
package quirks_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mcpauth/conformance/fakes/quirks"
	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/fixtures/requirements"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/against"
)

// known are the checks that accuse a quirk, by its name, each with the reason. An entry that is no longer needed fails the test:
// the table shrinks until it is empty.
var known = map[string]map[string]string{}

// In a whole run with a login, no check accuses a quirk.
func TestQuirksAreNotAccused(t *testing.T) {
	for _, q := range quirks.All {
		t.Run(q.Name, func(t *testing.T) {
			t.Parallel()
			o := reference.Ideal()
			q.Bend(&o)
			cfg := against.SigningIn(against.Start(t, o))
			intrusive := true
			cfg.AllowIntrusive = &intrusive
			expect(t, q.Name, against.Run(t, cfg))
		})
	}
}

// expect compares the accusations of a run with the known ones.
func expect(t *testing.T, quirk string, run *reports.Run) {
	t.Helper()
	accused := map[string]bool{}
	undecided := map[string]bool{}
	for _, r := range run.Results {
		switch r.Verdict {
		case reports.Fail, reports.Warn, reports.Errored:
			accused[r.ID] = true
			assert.Contains(t, known[quirk], r.ID, "%s is accused: %s %s: %s", quirk, r.Verdict, r.ID, r.Reason)
		case reports.Inconclusive:
			undecided[r.ID] = true
		}
	}
	for id, reason := range known[quirk] {
		assert.True(t, accused[id], "%s no longer accuses %s (%s): take it out of the table", id, quirk, reason)
	}
	if len(undecided) > 0 {
		t.Logf("%d undecided: %s", len(undecided), strings.Join(sorted(undecided), " "))
	}
}

func sorted(set map[string]bool) []string {
	var out []string
	for id := range set {
		out = append(out, id)
	}
	slices.Sort(out)
	return out
}

func TestKnownAccusationsAreOfQuirksAndChecks(t *testing.T) {
	for name, ids := range known {
		assert.True(t, slices.ContainsFunc(quirks.All, func(q quirks.Quirk) bool { return q.Name == name }), name)
		for id, reason := range ids {
			_, ok := requirements.Lookup(id)
			assert.True(t, ok, "%s: %s", name, id)
			assert.NotEmpty(t, reason, "%s: %s", name, id)
		}
	}
}
