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
	"github.com/mcpauth/conformance/suites"
	"github.com/mcpauth/conformance/suites/tests/against"
)

const withoutCode = "RFC 6750 section 3.1: the response should have the error code insufficient_scope"

// known are the checks that wrongly fail at a quirk, each with the reason. An entry that is not needed fails the test: the table shrinks
// until it is empty.
var known = map[string]map[string]string{}

// advised are the checks that warn of a quirk on purpose, each with the clause that advises against it, or that the server does not follow.
var advised = map[string]map[string]string{
	"utf-8-realm": {
		"RS-CHALLENGE-GRAMMAR": "RFC 9110 section 5.5: recipients should treat obs-text as opaque data, so a realm with it is shown to nobody",
	},
	"refresh-overlap": {
		"AS-REFRESH-OLD-DIES": "OAuth 2.1 section 4.3.1: with rotation, the previous refresh token is invalidated",
		"AS-REFRESH-RACE":     "OAuth 2.1 section 4.3.1: of several refresh tokens of one grant, only the newest is active",
	},
	"hidden-tools": {
		"RS-SCOPE-403-STATUS": "MCP, Authorization, Error Handling: invalid scopes or insufficient permissions are answered 403",
	},
	"withheld-scope": {
		"AS-SCOPE-STEP-UP": "MCP, Authorization, Step-Up Authorization Flow: a client asks for the scopes that the server said it needs",
	},
	"scope-refused-without-code":      {"RS-SCOPE-403-CHALLENGE": withoutCode},
	"scope-refused-with-another-code": {"RS-SCOPE-403-CHALLENGE": withoutCode},
	"tokens-for-several": {
		"AS-EMA-VALID-ACCEPTED": "RFC 9700 section 2.3: access tokens should be restricted to certain resource servers, preferably to one",
	},
	"tokens-of-a-provider": {
		"AS-TOKEN-JWT-CLAIMS": "RFC 8725 section 3.11: explicit typing is recommended; RFC 9068 section 2.1: the type is at+jwt",
	},
	"documents-only": {
		"AS-DCR-SUPPORTED": "MCP 2025-06-18, Dynamic Client Registration: authorization servers and clients should support RFC 7591",
	},
	"root-document": {
		"RS-DISC-MULTI-RESOURCE": "RFC 9728 section 3.1: several resources of a host have a well-known URL each, with the path of the resource",
	},
}

// passed are the checks that must pass, by the quirk that once prevented it.
var passed = map[string][]string{
	"ten-key-fetches":           {"RS-TOKEN-KEY-ROTATION", "RS-TOKEN-KEY-WITHDRAWN", "RS-TOKEN-ALG-ALLOWLIST"},
	"cancelled-call-unanswered": {"RS-SESSION-REQUEST-ID-ISOLATION"},
	"late-header":               {"RS-SESSION-STREAM-NEEDS-TOKEN"},
	"withheld-scope":            {"AS-CONSENT-CONTENT"},
	"user-adds-scopes":          {"AS-SCOPE-CONSENT-HONOURED"},
	"token-limit-per-address":   {"AS-RATE-TOKEN-429"},
	"one-stream":                {"RS-SESSION-STREAM-NEEDS-TOKEN", "RS-SESSION-BOUND-TO-USER", "RS-SESSION-EVENT-ISOLATION"},
}

// limitWindow is the window of a limit in this test: longer than a check waits without leaving its turn.
const limitWindow = 4 * time.Second

// keyPause is how long a key set is cached in this test: longer than revocations take, and shorter than checks wait.
const keyPause = 1500 * time.Millisecond

// In a whole run with a login, no check fails at a quirk.
func TestQuirksAreNotAccused(t *testing.T) {
	t.Parallel()
	sampled := whole.Sample(t, "hidden-tools")
	for _, q := range quirks.All {
		t.Run(q.Name, func(t *testing.T) {
			sampled(t, q.Name)
			t.Parallel()
			o := bent(t, q.Bend)
			if q.Name == "limit-per-token" {
				o.Wrap = quirks.Limited(quirks.RequestsPerMinute, limitWindow)
			}
			o.Policy.KeyPause = min(o.Policy.KeyPause, keyPause)
			cfg := against.SigningIn(against.Start(t, o))
			intrusive := true
			cfg.AllowIntrusive, cfg.Patience = &intrusive, 100*time.Millisecond
			if q.Name == "ten-key-fetches" {
				cfg.KeyWait = time.Second // not until more fetches are allowed
			}
			expect(t, q.Name, against.Run(t, against.Part(t, cfg)))
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

// overlapping are quirks of how logins, grants and clients affect each other.
var overlapping = []string{"earlier-grants-end", "replay-ends-all-grants", "one-refresh-token", "one-sign-in", "same-client"}

// In a whole run whose tokens all come from logins, no check fails at a quirk of these.
func TestQuirksOfLoginsAreNotAccused(t *testing.T) {
	t.Parallel()
	sampled := whole.Sample(t, "earlier-grants-end")
	for _, q := range quirks.All {
		if !slices.Contains(overlapping, q.Name) {
			continue
		}
		t.Run(q.Name, func(t *testing.T) {
			sampled(t, q.Name)
			t.Parallel()
			cfg := against.SigningIn(against.Start(t, bent(t, q.Bend)))
			cfg.Issuer, cfg.SecondIssuer, cfg.Enterprise = nil, nil, nil
			intrusive := true
			cfg.AllowIntrusive, cfg.Patience = &intrusive, 100*time.Millisecond
			expect(t, q.Name, against.Run(t, against.Part(t, cfg)))
		})
	}
}

// Grants of a client that the user declares end each other too, although others can be registered.
func TestGrantsOfADeclaredClientMayEndEachOther(t *testing.T) {
	t.Parallel()
	r := against.Start(t, bent(t, func(o *reference.Options) { o.Behaviour.EndsEarlierGrants = true }))
	const callback = "http://127.0.0.1:8765/callback"
	r.IDP.AddClient("declared", "", callback)
	cfg := against.Part(t, against.SigningIn(r))
	cfg.Issuer, cfg.SecondIssuer, cfg.Enterprise = nil, nil, nil
	cfg.Clients = append(cfg.Clients, suites.Client{ID: "declared", Method: "none", RedirectURI: callback})
	intrusive := true
	cfg.AllowIntrusive, cfg.Patience = &intrusive, 100*time.Millisecond
	expect(t, "earlier-grants-end", against.Run(t, cfg))
}

// bent is a reference with a quirk, whose locks last longer than a slow machine takes, and less than patience.
func bent(t *testing.T, bend func(o *reference.Options)) reference.Options {
	t.Helper()
	if testing.Short() {
		t.Skip("the race detector makes the target too slow for what is measured in time")
	}
	o := reference.Ideal()
	o.Behaviour.LockTime = 300 * time.Millisecond
	bend(&o)
	return o
}

// runOnServer returns a run of the checks on the authorization server.
func runOnServer(t *testing.T, bend func(o *reference.Options)) *reports.Run {
	t.Helper()
	cfg := against.SigningIn(against.Start(t, bent(t, bend)))
	intrusive := true
	cfg.AllowIntrusive, cfg.Patience = &intrusive, 100*time.Millisecond
	cfg.Skip = append(cfg.Skip, "RS-*")
	return against.Run(t, against.Part(t, cfg))
}

// expect compares the failed checks of a run with the known ones of the checks that were tried.
func expect(t *testing.T, quirk string, run *reports.Run) {
	t.Helper()
	tried, accused := map[string]bool{}, map[string]bool{}
	undecided := map[string][]string{} // by reason
	for _, r := range run.Results {
		tried[r.ID] = true
		switch r.Verdict {
		case reports.Fail, reports.Warn, reports.Errored:
			accused[r.ID] = true
			if advised[quirk][r.ID] != "" {
				assert.Equal(t, reports.Warn, r.Verdict, "%s is accused: %s: %s", quirk, r.ID, r.Reason)
				continue
			}
			assert.Contains(t, known[quirk], r.ID, "%s is accused: %s %s: %s", quirk, r.Verdict, r.ID, r.Reason)
		case reports.Inconclusive:
			undecided[r.Reason] = append(undecided[r.Reason], r.ID)
		}
	}
	for id, reason := range advised[quirk] {
		assert.True(t, accused[id] || !tried[id], "%s no longer warns of %s (%s): delete it from the table", id, quirk, reason)
	}
	for id, reason := range known[quirk] {
		assert.True(t, accused[id] || !tried[id], "%s no longer accuses %s (%s): delete it from the table", id, quirk, reason)
	}
	for _, r := range run.Results {
		if slices.Contains(passed[quirk], r.ID) && (r.Wire == "stateful" || strings.HasPrefix(r.ID, "AS-")) {
			assert.Equal(t, reports.Pass, r.Verdict, "%s %s: %s", r.ID, r.Wire, r.Reason)
		}
	}
	assert.LessOrEqual(t, undecidedMusts(run), mostUndecided, "too many MUSTs are undecided for %s", quirk)
	for reason, ids := range undecided {
		t.Logf("undecided: %s: %s", strings.Join(ids, " "), reason)
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
