package main

import (
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites"
)

// manCommand writes the manual pages, one for each command.
func manCommand() *cobra.Command {
	return &cobra.Command{
		Use: "man DIR", Short: "Write manual pages into a folder", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return &exit{reports.ExitUsage, err}
			}
			c.Root().DisableAutoGenTag = true // the heading has the version
			if err := doc.GenManTree(c.Root(), &doc.GenManHeader{Section: "1", Source: "mcpauth " + suites.Build().Version, Manual: "mcpauth"},
				args[0]); err != nil {
				return &exit{reports.ExitToolFailed, err}
			}
			return nil
		},
	}
}
