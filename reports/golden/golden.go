// Package golden compares the verdicts of runs with golden files, for tests.
package golden

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"

	"github.com/mcpauth/conformance/reports"
)

// Compare names the lines in which the verdicts of a run differ from those in a file. It only counts requirements that were not tested or
// do not apply. With MCPAUTH_GOLDEN=write it writes the file instead, for its author to read.
func Compare(file string, run *reports.Run) error {
	got := verdicts(run)
	if os.Getenv("MCPAUTH_GOLDEN") == "write" {
		return os.WriteFile(file, []byte(strings.Join(got, "\n")+"\n"), 0o644)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("%w: write it by MCPAUTH_GOLDEN=write, and read it", err)
	}
	want := strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
	var differ changes
	if cmp.Equal(want, got, cmp.Reporter(&differ)) {
		return nil
	}
	return fmt.Errorf("%s (- on file, + now):\n%s", file, strings.Join(append(differ.lines, reasons(run, differ.lines)...), "\n"))
}

// reasons returns the reasons of new verdicts.
func reasons(run *reports.Run, changed []string) []string {
	var why []string
	for _, r := range run.Results {
		if slices.Contains(changed, "+ "+line(r)) {
			why = append(why, fmt.Sprintf("%s: %s %v", r.ID, r.Reason, r.Findings))
		}
	}
	return why
}

// changes are the lines that go-cmp reports as removed and added, in order.
type changes struct {
	path  cmp.Path
	lines []string
}

// PushStep records a descent of go-cmp.
func (c *changes) PushStep(s cmp.PathStep) { c.path = append(c.path, s) }

// PopStep records an ascent of go-cmp.
func (c *changes) PopStep() { c.path = c.path[:len(c.path)-1] }

// Report records a comparison of two lines by go-cmp.
func (c *changes) Report(r cmp.Result) {
	if r.Equal() {
		return
	}
	was, is := c.path.Last().Values()
	if was.IsValid() {
		c.lines = append(c.lines, "- "+was.String())
	}
	if is.IsValid() {
		c.lines = append(c.lines, "+ "+is.String())
	}
}

func line(r reports.Result) string {
	return strings.TrimSpace(fmt.Sprintf("%-12s %s %s", r.Verdict, r.ID, r.Wire))
}

func verdicts(run *reports.Run) []string {
	var lines []string
	counts := run.Counts()
	for _, r := range run.Results {
		if r.Verdict != reports.NotApplicable && r.Verdict != reports.NotTested {
			lines = append(lines, line(r))
		}
	}
	slices.Sort(lines)
	first := fmt.Sprintf("tier %s, %d not applicable, %d not tested", run.Target.Tier, counts[reports.NotApplicable],
		counts[reports.NotTested])
	return append([]string{first}, lines...)
}
