package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/reports/console"
	"github.com/mcpauth/conformance/reports/json"
)

// diffCommand compares two runs.
func diffCommand() *cobra.Command {
	return &cobra.Command{
		Use: "diff BEFORE AFTER", Short: "Compare the JSON reports of two runs; exit 1 on a regression", Args: cobra.ExactArgs(2),
		Example: "  mcpauth diff main.json branch.json",
		RunE: func(c *cobra.Command, args []string) error {
			before, err := readRun(args[0])
			if err != nil {
				return err
			}
			after, err := readRun(args[1])
			if err != nil {
				return err
			}
			d := reports.Diff(before, after)
			var text bytes.Buffer
			writeDifference(&text, before.Run(), after.Run(), d)
			if _, err := text.WriteTo(c.OutOrStdout()); err != nil {
				return err
			}
			if code := d.ExitCode(); code != reports.ExitConformant {
				said := map[int]string{reports.ExitFindings: "a regression", reports.ExitUndecided: "a MUST that was judged is not any more"}[code]
				return &exit{code, errors.New(said)}
			}
			return nil
		},
	}
}

// readRun reads the JSON report of a run.
func readRun(path string) (reports.Redacted, error) {
	f, err := os.Open(path)
	if err != nil {
		return reports.Redacted{}, &exit{reports.ExitUsage, err}
	}
	defer f.Close()
	run, err := json.Read(f)
	var p *json.Problem
	if errors.As(err, &p) {
		return reports.Redacted{}, &exit{reports.ExitUsage, fmt.Errorf("%s:%s; reports are read as mcpauth wrote them", path,
			strings.TrimPrefix(p.Error(), "line "))}
	}
	if err != nil {
		return reports.Redacted{}, &exit{reports.ExitUsage, fmt.Errorf("%s: %w", path, err)}
	}
	return withoutQuerySecrets(run), nil
}

// withoutQuerySecrets removes the secrets of the target's URL from a report: earlier versions wrote them.
func withoutQuerySecrets(run reports.Redacted) reports.Redacted {
	r := run.Run()
	if r.Target.URL == reports.Named(r.Target.URL) {
		return run
	}
	secrets := &reports.Secrets{}
	secrets.AddQuery(r.Target.URL)
	r.Target.URL = reports.Named(r.Target.URL)
	return reports.Redact(*r, secrets)
}

func writeDifference(w io.Writer, before, after *reports.Run, d reports.Difference) {
	if reports.Named(before.Target.URL) != reports.Named(after.Target.URL) {
		console.Fold(w, "", fmt.Sprintf("The runs are of different targets: %s and %s.", reports.OneLine(reports.Named(before.Target.URL), 300),
			reports.OneLine(reports.Named(after.Target.URL), 300)))
	}
	if before.Catalogue != after.Catalogue {
		console.Fold(w, "", "The runs used different catalogues: a requirement may be new rather than newly unmet.")
	}
	for _, part := range []struct {
		name    string
		changes []reports.Change
	}{
		{"regressed", d.Regressed},
		{"accepted", d.Accepted},
		{"not decided any more", d.Undecided},
		{"not applicable any more", d.Gone},
		{"still", d.Still},
		{"fixed", d.Fixed},
	} {
		for i := range part.changes {
			writeChange(w, part.name, &part.changes[i])
		}
	}
	console.Fold(w, "", fmt.Sprintf("%d regressed, %d newly accepted, %d not decided any more, %d not applicable any more, %d still, %d fixed",
		len(d.Regressed), len(d.Accepted), len(d.Undecided), len(d.Gone), len(d.Still), len(d.Fixed)))
}

// writeChange writes one change, with the current requirement, or the old one if it no longer exists.
func writeChange(w io.Writer, name string, c *reports.Change) {
	r := cmp.Or(c.New, c.Old)
	where := r.Level
	for _, more := range append([]string{protocolOf(r.Wire)}, r.Revisions...) {
		if more != "" {
			where += ", " + more
		}
	}
	console.Fold(w, "", fmt.Sprintf("%s: %s (%s) %s -> %s: %s", name, reports.OneLine(r.ID, 80), reports.OneLine(where, 120), verdictOf(c.Old),
		verdictOf(c.New), reports.OneLine(r.Title, 200)))
}

// protocolOf says in words which of the two protocols of MCP a result is about; empty where it is about both, or about none.
func protocolOf(wire string) string {
	if wire == "" {
		return ""
	}
	return "protocol " + reports.WireWords(wire)
}

func verdictOf(r *reports.Result) string {
	if r == nil {
		return "absent"
	}
	return reports.OneLine(string(r.Verdict), 40)
}
