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

// fleetCommand summarizes a folder of results.
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
			return sumUp(c, args[0], before, failOn, specs)
		},
	}
	c.Flags().StringArrayVar(&specs, "report", nil, "write ndjson, html or openmetrics, with =PATH or to standard output (repeatable)")
	c.Flags().StringVar(&before, "against", "", "an earlier folder, to show what changed")
	c.Flags().StringVar(&failOn, "fail-on", "none", "findings: end with 1 where a target has findings; or none")
	return c
}

// sumUp writes the reports of a folder, and a summary to standard error.
func sumUp(c *cobra.Command, dir, before, failOn string, specs []string) error {
	if failOn != "none" && failOn != "findings" {
		return &exit{reports.ExitUsage, fmt.Errorf("--fail-on %q: want findings or none", failOn)}
	}
	s, err := writeFleet(c.OutOrStdout(), dir, before, specs)
	if err != nil {
		return err
	}
	notice(c, "%s", s.Headline())
	if n := s.Outcomes[reports.Findings]; n > 0 && failOn == "findings" {
		return &exit{reports.ExitFindings, fmt.Errorf("%s with findings", reports.Count(n, "target"))}
	}
	return nil
}

// writeFleet writes the reports of a folder. It writes lines while it reads the folder, and the other reports at the end.
func writeFleet(stdout io.Writer, dir, before string, specs []string) (*fleet.Summary, error) {
	outputs, err := openFleetOutputs(stdout, specs)
	defer outputs.abandon()
	if err != nil {
		return nil, &exit{reports.ExitUsage, err}
	}
	w := bufio.NewWriter(outputs.lines())
	s, err := fleet.Sum(dir, before, func(key string, d *fleet.Done) error { return fleet.Line(w, key, d) })
	if err != nil {
		return nil, &exit{reports.ExitUsage, err}
	}
	if s.Targets == 0 {
		return nil, &exit{reports.ExitUsage, fmt.Errorf("%s holds no target that is done", dir)}
	}
	failed := w.Flush()
	for i := range outputs {
		failed = errors.Join(failed, outputs[i].finish(stdout, s))
	}
	if failed != nil {
		return nil, &exit{reports.ExitToolFailed, failed}
	}
	return s, nil
}

// fleetOutput is one report of a folder.
type fleetOutput struct {
	kind  string
	to    *destination // nil for standard output
	lines io.Writer    // the writer of lines during the reading; nil for reports that are written at the end
}

type fleetOutputs []fleetOutput

// lines returns the writer for a line for each target.
func (outputs fleetOutputs) lines() io.Writer {
	var all []io.Writer
	for _, o := range outputs {
		if o.lines != nil {
			all = append(all, o.lines)
		}
	}
	return io.MultiWriter(all...)
}

// abandon removes unfinished files.
func (outputs fleetOutputs) abandon() {
	for _, o := range outputs {
		if o.to != nil {
			o.to.abandon()
		}
	}
}

// openFleetOutputs opens the files of the reports. With an error it also returns those that it opened before.
func openFleetOutputs(stdout io.Writer, specs []string) (out fleetOutputs, err error) {
	for _, spec := range specs {
		kind, path, _ := strings.Cut(spec, "=")
		if kind != "ndjson" && kind != "html" && kind != "openmetrics" {
			return out, fmt.Errorf("--report %q: unknown report; there are ndjson, html and openmetrics", spec)
		}
		o := fleetOutput{kind: kind}
		if !ownOutput(path) {
			if o.to, err = openDestination(path); err != nil {
				return out, fmt.Errorf("--report %s: %w", spec, err)
			}
		}
		out = append(out, o)
		if kind != "ndjson" {
			continue
		}
		if o.to != nil && o.to.temp == nil {
			return out, fmt.Errorf("--report %s: lines go to a regular file or to standard output", spec)
		}
		if out[len(out)-1].lines = stdout; o.to != nil {
			out[len(out)-1].lines = o.to.temp
		}
	}
	return out, nil
}

// finish writes a report at the end, or closes the lines.
func (o *fleetOutput) finish(stdout io.Writer, s *fleet.Summary) error {
	var b bytes.Buffer
	write := map[string]func(io.Writer) error{"html": s.HTML, "openmetrics": s.OpenMetrics}[o.kind]
	switch {
	case o.lines != nil && o.to != nil:
		return o.to.finish(nil)
	case o.lines != nil:
		return nil
	}
	err := write(&b)
	if o.to != nil {
		return errors.Join(err, o.to.finish(b.Bytes()))
	}
	_, failed := stdout.Write(b.Bytes())
	return errors.Join(err, failed)
}
