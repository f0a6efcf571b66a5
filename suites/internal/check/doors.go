package check

import (
	"strings"
	"testing"

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
