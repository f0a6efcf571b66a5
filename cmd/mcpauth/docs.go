package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mcpauth/conformance/fixtures/requirements"
	"github.com/mcpauth/conformance/reports"
)

// docsCommand writes the pages of the documentation site that are generated from the program.
func docsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "docs DIR", Short: "Write the generated pages of the documentation site into a folder", Args: cobra.ExactArgs(1), Hidden: true,
		RunE: func(c *cobra.Command, args []string) error {
			for name, write := range map[string]func(dir string) error{
				"checks": writeChecks,
				"cli":    func(dir string) error { return writeCommands(dir, c.Root()) },
				"target": writeTargetFile,
			} {
				dir := filepath.Join(args[0], name)
				if err := os.MkdirAll(dir, 0o755); err != nil {
					return &exit{reports.ExitUsage, err}
				}
				if err := write(dir); err != nil {
					return &exit{reports.ExitToolFailed, err}
				}
			}
			return nil
		},
	}
}

// writeChecks writes one page for each requirement, and an index by area.
func writeChecks(dir string) error {
	var index bytes.Buffer
	all := requirements.All()
	fmt.Fprintf(&index, "# Checks\n\n%d requirements, each with its check. `mcpauth explain ID` prints the same text.\n", len(all))
	area := ""
	for i := range all {
		r := &all[i]
		if r.Area != area {
			area = r.Area
			fmt.Fprintf(&index, "\n## %s\n\n| check | level | requirement |\n|---|---|---|\n", area)
		}
		fmt.Fprintf(&index, "| [%s](%s.md) | %s | %s |\n", r.ID, r.ID, r.Level, strings.ReplaceAll(r.Title, "|", `\|`))
		if err := os.WriteFile(filepath.Join(dir, r.ID+".md"), []byte(requirements.Page(r)), 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, "index.md"), index.Bytes(), 0o644)
}
