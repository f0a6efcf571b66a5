// Package matrix_test runs the suite against references with one deliberate defect each. The checks that must notice it do, and no other
// check fails.
package matrix_test

import (
	"fmt"
	"net"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fakes/flaws"
	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/fixtures/requirements"
	"github.com/mcpauth/conformance/fixtures/whole"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites"
	"github.com/mcpauth/conformance/suites/internal/faults"
	"github.com/mcpauth/conformance/suites/tests/against"
)

// row is a flaw with the configuration that shows it.
type row struct {
	flaws.Flaw
	configure func(*reference.Reference) suites.Config
	login     bool // a flaw of the authorization server that needs a login
}

// rows returns all flaws.
func rows() []row {
	var out []row
	for _, f := range flaws.BeforeLogin() {
		out = append(out, row{Flaw: f, configure: against.WithToken})
	}
	for _, f := range flaws.Trusting() {
		out = append(out, row{Flaw: f, configure: trusting})
	}
	for _, f := range flaws.AfterLogin() {
		out = append(out, row{Flaw: f, configure: against.SigningIn, login: true})
	}
	return out
}

// longestFirst starts the flaws whose checks wait first, so that others run in the meantime.
func longestFirst(all []row) []row {
	slices.SortStableFunc(all, func(a, b row) int { return b.waits() - a.waits() })
	return all
}

// waits returns the number of waiting checks that must notice a flaw.
func (r *row) waits() (n int) {
	for _, id := range r.Noticed {
		if q, ok := requirements.Lookup(id); ok && q.Cost == requirements.Waiting {
			n++
		}
	}
	return n
}

func trusting(r *reference.Reference) suites.Config { return against.Trusted(r, against.WithToken(r)) }

// start starts a reference with the flaw and makes the configuration that shows it.
func (r *row) start(t *testing.T) suites.Config {
	t.Helper()
	if slices.Contains(r.Noticed, "RS-TRANSPORT-LOCAL-BIND") && !reachable() {
		t.Skip("this machine has no address beyond loopback at which a server could be found")
	}
	o := reference.Ideal()
	r.Bend(&o)
	cfg := r.configure(against.Start(t, o))
	intrusive := true
	cfg.AllowIntrusive = &intrusive
	if strings.HasPrefix(r.Name, "address-block") {
		cfg.BlockAfter, cfg.BlockFor = o.Policy.BlockAfter, o.Policy.BlockFor
	}
	return cfg
}

// reachable reports whether the machine has an address besides loopback.
func reachable() bool {
	addresses, err := net.InterfaceAddrs()
	return err == nil && slices.ContainsFunc(addresses, func(a net.Addr) bool {
		ip, ok := a.(*net.IPNet)
		return ok && !ip.IP.IsLoopback() && !ip.IP.IsLinkLocalUnicast()
	})
}

// timed reports whether a flaw shows only if requests are faster than the window of a limit. Under the race detector the target is too slow
// for that.
func (r *row) timed() bool {
	return slices.ContainsFunc(r.Noticed, func(id string) bool {
		return strings.HasPrefix(id, "RS-RATE-") || id == "RS-ABUSE-JWKS-AMPLIFICATION"
	})
}

// Every check that must notice a flaw does, in a run of these checks alone. Unless -run names the test, it tests one flaw of twelve, and
// checks are not repeated.
func TestEveryFlawIsNoticed(t *testing.T) {
	t.Parallel()
	tried := rows()
	if !whole.Asked(t.Name()) {
		tried = slices.DeleteFunc(tried, func(r row) bool { return whole.Number(r.Name)%12 != 0 })
	}
	for _, r := range longestFirst(tried) {
		t.Run(r.Name, func(t *testing.T) {
			t.Parallel()
			if testing.Short() && r.timed() {
				t.Skip("the race detector makes the target too slow for what is measured in time")
			}
			cfg := r.start(t)
			cfg.Only = r.Noticed
			run := looked(t, cfg)
			atFlaws.add(run)
			r.expectNoticed(t, run)
		})
	}
	t.Cleanup(func() { atFlaws.expectEachRow(t) })
}

// looked runs the checks. Unless -run names the test, or more whole runs than the sample are requested, what they find is not looked at
// again.
func looked(t *testing.T, cfg suites.Config) *reports.Run {
	t.Helper()
	name, _, _ := strings.Cut(t.Name(), "/")
	run, err := suites.Run(faults.With(t.Context(), &faults.Plan{OneLook: !whole.Asked(name)}), cfg)
	require.NoError(t, err)
	require.Empty(t, run.Run().Unreachable)
	return run.Run()
}

func (r *row) expectNoticed(t *testing.T, run *reports.Run) {
	t.Helper()
	found := against.Noticed(run)
	verdicts := map[string]string{}
	for _, res := range run.Results {
		verdicts[res.ID] += fmt.Sprintf("%s %s; ", res.Verdict, res.Reason)
		assert.NotEqual(t, reports.Errored, res.Verdict, "%s: %s", res.ID, res.Reason)
		assert.Empty(t, mistakesInReason(res.Reason), res.ID)
		for _, f := range res.Findings {
			assert.Empty(t, mistakesInFinding(f), res.ID)
		}
	}
	for _, id := range r.Noticed {
		assert.NotEmpty(t, found[id].Findings, "%s is not caught by %s: %s (%s)", r.Name, id, r.Says, verdicts[id])
		findings := findingsOf(run, id)
		for _, row := range append([]string{r.Row}, r.Rows...) {
			named := slices.ContainsFunc(findings, func(f reports.Finding) bool {
				return strings.Contains(f.About, row) || strings.Contains(f.Observed, row)
			})
			assert.True(t, named, "no finding of %s names the row %q: %v", id, row, findings)
		}
	}
}

// findingsOf are the findings of a check at all revisions and on both wires.
func findingsOf(run *reports.Run, id string) (out []reports.Finding) {
	for _, res := range run.Results {
		if res.ID == id {
			out = append(out, res.Findings...)
		}
	}
	return out
}

// In a whole run, only checks that may notice the flaw fail. MCPAUTH_KILL selects the flaws.
func TestNobodyElseIsAccused(t *testing.T) {
	t.Parallel()
	for _, r := range chosen(t, rows()) {
		t.Run(r.Name, func(t *testing.T) {
			t.Parallel()
			cfg := r.start(t)
			cfg.Skip = append(cfg.Skip, r.spared()...)
			if r.aloneOnly() {
				cfg.Only = r.Noticed
			}
			run := against.Run(t, cfg)
			r.expectNoticed(t, run)
			for id, res := range against.Noticed(run) {
				assert.True(t, r.mayNotice(id), "%s is accused of %s: %s", r.Name, id, res.Reason)
			}
		})
	}
}

func (r *row) mayNotice(id string) bool {
	return slices.Contains(r.Noticed, id) || slices.ContainsFunc(r.Also, func(p string) bool { ok, _ := path.Match(p, id); return ok })
}

// aloneOnly reports whether the bad tokens of any other check would trigger the flaw, or whether it breaks the refresh tokens of others.
func (r *row) aloneOnly() bool {
	return strings.HasPrefix(r.Name, "address-block") || r.Name == "flood-locks" || r.Name == "refresh-for-another-client"
}

// spared returns the checks that a whole run leaves out: those with a cost, except for the areas and checks that the flaw names, and those
// on the MCP server if only the authorization server has the flaw.
func (r *row) spared() []string {
	var out []string
	areas := map[string]bool{}
	for _, id := range r.Noticed {
		areas[area(id)] = true
	}
	for _, q := range requirements.All() {
		if q.Cost != "" && !areas[q.Area] && !slices.Contains(r.Also, q.ID) {
			out = append(out, q.ID)
		}
	}
	named := slices.Concat(r.Noticed, r.Also)
	if r.login && !slices.ContainsFunc(named, func(id string) bool { return strings.HasPrefix(id, "RS-") }) {
		out = append(out, "RS-*")
	}
	return out
}

func area(id string) string {
	q, ok := requirements.Lookup(id)
	if !ok {
		return ""
	}
	return q.Area
}

func TestEveryCheckHasAFlawThatItCatches(t *testing.T) {
	caught := map[string]bool{}
	for _, f := range flaws.All() {
		for _, id := range f.Noticed {
			caught[id] = true
		}
	}
	ids, err := suites.Checks()
	require.NoError(t, err)
	for _, id := range ids {
		assert.True(t, caught[id], "no flaw shows that the check of %s can fail", id)
	}
	for id := range caught {
		assert.Contains(t, ids, id, "a flaw names %s, for which there is no check", id)
	}
}
