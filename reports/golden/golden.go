// Package golden compares the verdicts of runs with those on file, for tests.
package golden

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
)

// Compare names the lines in which the verdicts of a run differ from those in a file. What was not tested or does not
// apply is only counted. With MCPAUTH_GOLDEN=write the file is written instead, for its author to read.
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
	if slices.Equal(want, got) {
		return nil
	}
	var differ []string
	for _, l := range want {
		if !slices.Contains(got, l) {
			differ = append(differ, "- "+l)
		}
	}
	for _, l := range got {
		if !slices.Contains(want, l) {
			differ = append(differ, "+ "+l)
		}
	}
	return fmt.Errorf("%s, or the order or number of its lines:\n%s", file, strings.Join(differ, "\n"))
}

func verdicts(run *reports.Run) []string {
	var lines []string
	counts := run.Counts()
	for _, r := range run.Results {
		if r.Verdict != reports.NotApplicable && r.Verdict != reports.NotTested {
			lines = append(lines, strings.TrimSpace(fmt.Sprintf("%-12s %s %s", r.Verdict, r.ID, r.Wire)))
		}
	}
	slices.Sort(lines)
	first := fmt.Sprintf("tier %s, %d not applicable, %d not tested", run.Target.Tier, counts[reports.NotApplicable], counts[reports.NotTested])
	return append([]string{first}, lines...)
}
