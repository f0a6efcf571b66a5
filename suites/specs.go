package suites

import (
	"strings"

	"github.com/onsi/ginkgo/v2"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/check"
)

// specOrder says how the specs of a tree may run.
type specOrder bool

// inParallel lets Ginkgo distribute the specs over its processes, except those that must run alone at the target.
const (
	inParallel specOrder = true
	oneByOne   specOrder = false
)

// addSpecs adds the registry to Ginkgo's tree: one container for each area and section, and one It for each check, which waits for the
// engine's verdict. It may be called for a preview, and again for the run.
func addSpecs(r *check.Registry, wait func(id string) []reports.Result, order specOrder) {
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
						addSpec(c, wait, order)
					}
				})
				start = end
			}
		})
	}
}

func addSpec(c *check.Check, wait func(id string) []reports.Result, order specOrder) {
	args := []any{ginkgo.Label(c.Labels()...), func() {
		skip, fail := check.Outcome(wait(c.Requirement.ID))
		switch {
		case fail != "":
			ginkgo.Fail(ginkgoSafe(fail))
		case skip != "":
			ginkgo.Skip(ginkgoSafe(skip))
		}
	}}
	if order == inParallel && c.Requirement.Alone != "" {
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
