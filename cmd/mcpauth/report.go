package main

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/reports/formats"
)

// reportCommand writes reports of a run from its JSON report.
func reportCommand() *cobra.Command {
	var o options
	c := &cobra.Command{
		Use: "report FILE...", Short: "Write reports from the JSON report of an earlier run, or a matrix of several", Args: cobra.MinimumNArgs(1),
		Example: "  mcpauth report mcpauth.json --report html=mcpauth.html --report markdown\n  mcpauth report a.json b.json --report " +
			"matrix=matrix.html",
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return o.matrixOf(c, args)
			}
			return o.renderAgain(c, args[0])
		},
	}
	o.rendering(c.Flags())
	return c
}

// renderAgain writes reports of the run in a file.
func (o *options) renderAgain(c *cobra.Command, path string) error {
	run, err := readRun(path)
	if err != nil {
		return err
	}
	return o.writeReports(c, run)
}

// writeReports writes the requested reports of a finished run.
func (o *options) writeReports(c *cobra.Command, run reports.Redacted) error {
	out, err := o.outputs(c)
	if err != nil {
		return err
	}
	defer out.abandon()
	if err := out.write(run); err != nil {
		return &exit{reports.ExitToolFailed, err}
	}
	return nil
}

var reportUsage = "write a report: " + formats.Names() + ", or matrix (of several targets), with =PATH or to standard output (repeatable)"

// rendering registers the flags of commands that write reports from earlier reports.
func (o *options) rendering(f *pflag.FlagSet) {
	f.StringArrayVar(&o.reports, "report", nil, reportUsage)
	f.BoolVar(&o.strict, "strict", false, "warnings become failures in JUnit")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "show every verdict")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "show nothing but errors")
	f.StringVar(&o.colour, "color", "auto", "auto, always or never")
}
