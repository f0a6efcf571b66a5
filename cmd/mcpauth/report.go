package main

import (
	"github.com/spf13/cobra"

	"github.com/mcpauth/conformance/reports"
)

// reportCommand renders a run again from its JSON.
func reportCommand() *cobra.Command {
	var o options
	c := &cobra.Command{
		Use: "report FILE", Short: "Write reports from the JSON report of an earlier run", Args: cobra.ExactArgs(1),
		Example: "  mcpauth report mcpauth.json --report html=mcpauth.html --report markdown",
		RunE: func(c *cobra.Command, args []string) error {
			run, err := readRun(args[0])
			if err != nil {
				return err
			}
			out, err := o.outputs(c)
			if err != nil {
				return err
			}
			defer out.abandon()
			if err := out.write(run); err != nil {
				return &exit{reports.ExitToolFailed, err}
			}
			return nil
		},
	}
	c.Flags().StringArrayVar(&o.reports, "report", nil, "write a report: html, markdown, junit, json, sarif, har, github, badge or console, with =PATH or to standard output (repeatable)")
	c.Flags().BoolVar(&o.strict, "strict", false, "warnings become failures in JUnit")
	c.Flags().BoolVarP(&o.verbose, "verbose", "v", false, "show every verdict")
	c.Flags().BoolVarP(&o.quiet, "quiet", "q", false, "show nothing but errors")
	c.Flags().StringVar(&o.colour, "color", "auto", "auto, always or never")
	return c
}
