// Package quirks_test runs the suite against right servers that differ from the ideal reference.
package quirks_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/mcpauth/conformance/fakes/quirks"
	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/fixtures/requirements"
	"github.com/mcpauth/conformance/fixtures/whole"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/tests/against"
)

const withoutCode = "a client that goes by the code cannot tell a missing scope from a ban (RFC 6750 section 3.1)"

// known are the checks that wrongly fail at a quirk, each with the reason. An entry that is not needed fails the test: the table shrinks
// until it is empty.
var known = map[string]map[string]string{}

// advised are the checks that warn of a quirk on purpose: the clause allows it, and clients differ in how they handle it.
var advised = map[string]map[string]string{
	"utf-8-realm": {
		"RS-CHALLENGE-GRAMMAR": "clients decode obs-text in a quoted string differently (RFC 9110 section 5.5)",
	},
	"refresh-overlap": {
		"AS-REFRESH-OLD-DIES": "who steals a used refresh token can use it in the overlap",
		"AS-REFRESH-RACE":     "several refresh tokens of one grant continue to work, each of which may be somebody else's",
	},
	"same-client": {
		"AS-DCR-IDS-UNIQUE-RANDOM": "two users of one program cannot be distinguished, and the one ends the registration of the other",
	},
	"hidden-tools": {
		"RS-SCOPE-403-STATUS": "a client cannot ask for the scope of a tool that it is not told about",
	},
	"scope-refused-without-code":      {"RS-SCOPE-403-CHALLENGE": withoutCode},
	"scope-refused-with-another-code": {"RS-SCOPE-403-CHALLENGE": withoutCode},
	"tokens-for-several": {
		"AS-EMA-VALID-ACCEPTED": "the token is good at two other servers too",
	},
	"tokens-of-a-provider": {
		"AS-TOKEN-JWT-CLAIMS": "by at+jwt servers tell access tokens from ID tokens (RFC 9068 section 2.1)",
	},
	"documents-only": {
		"AS-DCR-SUPPORTED": "revisions to 2025-06-18 advise registration, and know no documents",
	},
	"root-document": {
		"RS-DISC-MULTI-RESOURCE": "the other endpoint of the host has no document of its own then",
	},
}

// passed are the checks that must pass, by the quirk that once prevented it.
var passed = map[string][]string{
	"cancelled-call-unanswered": {"RS-SESSION-REQUEST-ID-ISOLATION"},
	"late-header":               {"RS-SESSION-STREAM-NEEDS-TOKEN"},
	"one-stream":                {"RS-SESSION-STREAM-NEEDS-TOKEN", "RS-SESSION-BOUND-TO-USER", "RS-SESSION-EVENT-ISOLATION"},
}

// limitWindow is the window of a limit in this test: longer than a check waits without leaving its turn.
const limitWindow = 4 * time.Second

// keyPause is how long a key set is cached in this test: longer than revocations take, and shorter than checks wait.
const keyPause = 1500 * time.Millisecond

// In a whole run with a login, no check fails at a quirk.
func TestQuirksAreNotAccused(t *testing.T) {
	t.Parallel()
	sampled := whole.Sample(t, "refresh-overlap", "hidden-tools")
	for _, q := range quirks.All {
		t.Run(q.Name, func(t *testing.T) {
			sampled(t, q.Name)
			t.Parallel()
			if testing.Short() {
				t.Skip("the race detector makes the target too slow for what is measured in time")
			}
			o := reference.Ideal()
			o.Behaviour.LockTime = 300 * time.Millisecond // long enough for a slow machine, and shorter than patience
			q.Bend(&o)
			if q.Name == "limit-per-token" {
				o.Wrap = quirks.Limited(quirks.RequestsPerMinute, limitWindow)
			}
			o.Policy.KeyPause = min(o.Policy.KeyPause, keyPause)
			cfg := against.SigningIn(against.Start(t, o))
			intrusive := true
			cfg.AllowIntrusive, cfg.Patience = &intrusive, 100*time.Millisecond
			expect(t, q.Name, against.Run(t, against.Brief(t, cfg)))
		})
	}
}

// In a run of all checks on the authorization server, no check fails at a quirk of one.
func TestQuirksOfAuthorizationServersAreNotAccused(t *testing.T) {
	t.Parallel()
	sampled := whole.Sample(t, "documents-only")
	for _, q := range quirks.Servers {
		t.Run(q.Name, func(t *testing.T) {
			sampled(t, q.Name)
			t.Parallel()
			expect(t, q.Name, runOnServer(t, q.Bend))
		})
	}
}

// runOnServer returns a run of the checks on the authorization server.
func runOnServer(t *testing.T, bend func(o *reference.Options)) *reports.Run {
	t.Helper()
	if testing.Short() {
		t.Skip("the race detector makes the target too slow for what is measured in time")
	}
	o := reference.Ideal()
	o.Behaviour.LockTime = 300 * time.Millisecond // long enough for a slow machine, and shorter than patience
	bend(&o)
	cfg := against.SigningIn(against.Start(t, o))
	intrusive := true
	cfg.AllowIntrusive, cfg.Patience = &intrusive, 100*time.Millisecond
	cfg.Skip = append(cfg.Skip, "RS-*")
	return against.Run(t, against.Brief(t, cfg))
}

// expect compares the failed checks of a run with the known ones.
func expect(t *testing.T, quirk string, run *reports.Run) {
	t.Helper()
	accused := map[string]bool{}
	undecided := map[string]bool{}
	for _, r := range run.Results {
		switch r.Verdict {
		case reports.Fail, reports.Warn, reports.Errored:
			accused[r.ID] = true
			if advised[quirk][r.ID] != "" {
				assert.Equal(t, reports.Warn, r.Verdict, "%s is accused: %s: %s", quirk, r.ID, r.Reason)
				continue
			}
			assert.Contains(t, known[quirk], r.ID, "%s is accused: %s %s: %s", quirk, r.Verdict, r.ID, r.Reason)
		case reports.Inconclusive:
			undecided[r.ID] = true
		}
	}
	for id, reason := range advised[quirk] {
		assert.True(t, accused[id], "%s no longer warns of %s (%s): take it out of the table", id, quirk, reason)
	}
	for id, reason := range known[quirk] {
		assert.True(t, accused[id], "%s no longer accuses %s (%s): take it out of the table", id, quirk, reason)
	}
	for _, r := range run.Results {
		if slices.Contains(passed[quirk], r.ID) && r.Wire == "stateful" {
			assert.Equal(t, reports.Pass, r.Verdict, "%s %s: %s", r.ID, r.Wire, r.Reason)
		}
	}
	assert.LessOrEqual(t, undecidedMusts(run), mostUndecided, "MUSTs left undecided of %s", quirk)
	if len(undecided) > 0 {
		t.Logf("%d undecided: %s", len(undecided), strings.Join(sorted(undecided), " "))
	}
}

// mostUndecided is the maximum number of undecided MUSTs for a quirk.
const mostUndecided = 5

func undecidedMusts(run *reports.Run) int {
	ids := map[string]bool{}
	for _, r := range run.Results {
		if r.Verdict == reports.Inconclusive && r.Level == string(requirements.Must) {
			ids[r.ID] = true
		}
	}
	return len(ids)
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
	named := func(name string) bool {
		return slices.ContainsFunc(slices.Concat(quirks.All, quirks.Servers), func(q quirks.Quirk) bool { return q.Name == name })
	}
	for name := range advised {
		assert.True(t, named(name), name)
	}
	for name, ids := range known {
		assert.True(t, named(name), name)
		for id, reason := range ids {
			_, ok := requirements.Lookup(id)
			assert.True(t, ok, "%s: %s", name, id)
			assert.NotEmpty(t, reason, "%s: %s", name, id)
		}
	}
}
