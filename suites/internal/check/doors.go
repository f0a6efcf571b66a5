package check

import (
	"strings"
	"testing"

	"github.com/onsi/ginkgo/v2"

	"github.com/mcpauth/conformance/reports"
)

// Labels returns the Ginkgo labels of a check: id, area, level, tier, role, and what it may do.
func (c *Check) Labels() []string {
	r := c.Requirement
	l := []string{r.ID, r.Area, string(r.Level), string(r.Tier), string(r.Role)}
	if r.Browser {
		l = append(l, "browser")
	}
	if r.Intrusive {
		l = append(l, "intrusive")
	}
	if r.Core {
		l = append(l, "core")
	}
	return l
}

// Order says how the specs of a tree may run.
type Order bool

// InParallel lets Ginkgo distribute the specs over its processes, except those that must run alone at the target.
const (
	InParallel Order = true
	OneByOne   Order = false
)

// Tree adds the registry to Ginkgo's tree: one container for each area and section, and one It for each check, which waits for the engine's
// verdict. It may be called for a preview, and again for the run.
func (r *Registry) Tree(wait func(id string) []reports.Result, order Order) {
	for _, area := range r.Areas {
		checks := r.ByArea[area]
		if len(checks) == 0 {
			continue
		}
		ginkgo.Describe(area, func() {
			for start := 0; start < len(checks); {
				end := start
				for end < len(checks) && checks[end].Section == checks[start].Section {
					end++
				}
				group := checks[start:end]
				ginkgo.Describe(group[0].Section, func() {
					for _, c := range group {
						c.it(wait, order)
					}
				})
				start = end
			}
		})
	}
}

func (c *Check) it(wait func(id string) []reports.Result, order Order) {
	args := []any{ginkgo.Label(c.Labels()...), func() {
		skip, fail := Outcome(wait(c.Requirement.ID))
		switch {
		case fail != "":
			ginkgo.Fail(ginkgoSafe(fail))
		case skip != "":
			ginkgo.Skip(ginkgoSafe(skip))
		}
	}}
	if order == InParallel && c.Requirement.Alone != "" {
		args = append(args, ginkgo.Serial)
	}
	for _, rev := range c.Requirement.Revisions[:1] { // "2025-06-18" would read as a pre-release
		args = append(args, ginkgo.SemVerConstraint(">= "+strings.ReplaceAll(rev, "-", ".")))
	}
	ginkgo.It(c.Requirement.ID+" "+c.Requirement.Title, args...)
}

// ginkgoSafe makes untrusted text safe for Ginkgo's formatter and the terminal.
func ginkgoSafe(s string) string {
	return strings.NewReplacer("{{", "{ {", "}}", "} }").Replace(reports.Printable(s))
}

// Outcome returns the result of a check for a test framework: the reason to skip or to fail it. A warning neither fails nor skips.
func Outcome(results []reports.Result) (skip, fail string) {
	passed := false
	for _, r := range results {
		switch r.Verdict {
		case reports.Fail, reports.Errored, reports.Inconclusive:
			fail = join(fail, line(r))
		case reports.Pass, reports.Warn:
			passed = true
		default:
			skip = join(skip, line(r))
		}
	}
	if passed {
		skip = ""
	}
	return skip, fail
}

func line(r reports.Result) string {
	return strings.TrimSpace(string(r.Verdict) + " " + r.Wire + ": " + r.Reason)
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + "\n" + b
}

// Subtests reports the verdicts under testing.T: one subtest for each area, and in it one for each check.
func (r *Registry) Subtests(t *testing.T, selected func(id string) bool, wait func(id string) []reports.Result) {
	for _, area := range r.Areas {
		t.Run(area, func(t *testing.T) {
			for _, c := range r.ByArea[area] {
				if !selected(c.Requirement.ID) {
					continue
				}
				t.Run(c.Requirement.ID, func(t *testing.T) {
					skip, fail := Outcome(wait(c.Requirement.ID))
					switch {
					case fail != "":
						t.Error(reports.Printable(fail))
					case skip != "":
						t.Skip(reports.Printable(skip))
					}
				})
			}
		})
	}
}
