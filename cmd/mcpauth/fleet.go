package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/reports/fleet"
)

// fleetCommand sums up a folder of results.
func fleetCommand() *cobra.Command {
	var specs []string
	var before, failOn string
	c := &cobra.Command{
		Use: "fleet DIR", Short: "Sum up the folder of run --targets --out", Args: cobra.ExactArgs(1),
		Long: `Reads the folder target by target, and writes counts by requirement and verdict, what fails most, the worst servers, coverage, and
what changed since an earlier folder. ndjson has a line for each target; html and openmetrics do not grow with their number.

Exit status: 0; 1 a target has findings, with --fail-on findings; 2 usage; 4 the tool failed.`,
		Example: `  mcpauth fleet tonight --against yesterday --report html=fleet.html \
    --report openmetrics=mcpauth.prom`,
		RunE: func(c *cobra.Command, args []string) error {
			if failOn != "none" && failOn != "findings" {
				return &exit{reports.ExitUsage, fmt.Errorf("--fail-on %q: want findings or none", failOn)}
			}
			s, err := writeFleet(c.OutOrStdout(), args[0], before, specs)
			if err != nil {
				return err
			}
			notice(c, "%s", s.Headline())
			if n := s.Outcomes[reports.Findings]; n > 0 && failOn == "findings" {
				return &exit{reports.ExitFindings, fmt.Errorf("%d targets have findings", n)}
			}
			return nil
		},
	}
	c.Flags().StringArrayVar(&specs, "report", nil, "write ndjson, html or openmetrics, with =PATH or to standard output (repeatable)")
	c.Flags().StringVar(&before, "against", "", "an earlier folder, to show what changed")
	c.Flags().StringVar(&failOn, "fail-on", "none", "findings: end with 1 where a target has findings; or none")
	return c
}

// writeFleet writes the reports of a folder. The lines are written as the folder is read, the others at its end.
func writeFleet(stdout io.Writer, dir, before string, specs []string) (*fleet.Summary, error) {
	var lines []io.Writer
	var open []*destination
	var files []*destination // of the lines
	defer func() {
		for _, d := range open {
			d.abandon()
		}
	}()
	to := map[string]*destination{}
	for _, spec := range specs {
		kind, path, _ := strings.Cut(spec, "=")
		if kind != "ndjson" && kind != "html" && kind != "openmetrics" {
			return nil, &exit{reports.ExitUsage, fmt.Errorf("--report %q: unknown report; there are ndjson, html and openmetrics", spec)}
		}
		var d *destination
		if !ownOutput(path) {
			var err error
			if d, err = openDestination(path); err != nil {
				return nil, &exit{reports.ExitUsage, fmt.Errorf("--report %s: %w", spec, err)}
			}
			open = append(open, d)
		}
		to[spec] = d
		switch {
		case kind != "ndjson":
		case d != nil && d.temp != nil:
			lines = append(lines, d.temp)
			files = append(files, d)
		case d == nil:
			lines = append(lines, stdout)
		default:
			return nil, &exit{reports.ExitUsage, fmt.Errorf("--report %s: lines go to a regular file or to standard output", spec)}
		}
	}
	w := bufio.NewWriter(io.MultiWriter(lines...))
	s, err := fleet.Sum(dir, before, func(key string, d *fleet.Done) error { return fleet.Line(w, key, d) })
	if err != nil {
		return nil, &exit{reports.ExitUsage, err}
	}
	if s.Targets == 0 {
		return nil, &exit{reports.ExitUsage, fmt.Errorf("%s holds no target that is done", dir)}
	}
	failed := w.Flush()
	for _, d := range files {
		failed = errors.Join(failed, d.finish(nil))
	}
	for _, spec := range specs {
		kind, _, _ := strings.Cut(spec, "=")
		if kind == "ndjson" {
			continue
		}
		var b bytes.Buffer
		write := map[string]func(io.Writer) error{"html": s.HTML, "openmetrics": s.OpenMetrics}[kind]
		err := write(&b)
		if d := to[spec]; d != nil {
			err = errors.Join(err, d.finish(b.Bytes()))
		} else {
			_, e := stdout.Write(b.Bytes())
			err = errors.Join(err, e)
		}
		failed = errors.Join(failed, err)
	}
	if failed != nil {
		return nil, &exit{reports.ExitToolFailed, failed}
	}
	return s, nil
}
