package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/mcpauth/conformance/fakes/designs"
	"github.com/mcpauth/conformance/fakes/idp/presets"
	"github.com/mcpauth/conformance/fixtures/profiles"
	"github.com/mcpauth/conformance/fixtures/requirements"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites"
)

// manCommand writes the manual pages: one for each command.
func manCommand() *cobra.Command {
	return &cobra.Command{
		Use: "man DIR", Short: "Write manual pages into a folder", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return &exit{reports.ExitUsage, err}
			}
			var write func(c *cobra.Command) error
			write = func(c *cobra.Command) error {
				name := strings.ReplaceAll(c.CommandPath(), " ", "-") + ".1"
				if err := os.WriteFile(filepath.Join(args[0], name), []byte(manual(c)), 0o644); err != nil {
					return &exit{reports.ExitToolFailed, err}
				}
				for _, sub := range c.Commands() {
					if sub.IsAvailableCommand() && !sub.IsAdditionalHelpTopicCommand() {
						if err := write(sub); err != nil {
							return err
						}
					}
				}
				return nil
			}
			return write(c.Root())
		},
	}
}

// manual is the page of a command in roff.
func manual(c *cobra.Command) string {
	var b strings.Builder
	name := strings.ReplaceAll(c.CommandPath(), " ", "-")
	fmt.Fprintf(&b, ".TH %s 1 \"\" \"mcpauth %s\"\n.SH NAME\n%s \\- %s\n", roff(strings.ToUpper(name)), roff(suites.Version), roff(name), roff(c.Short))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n.B %s\n", roff(c.UseLine()))
	if c.Long != "" {
		fmt.Fprintf(&b, ".SH DESCRIPTION\n%s\n", roff(c.Long))
	}
	if c.HasAvailableLocalFlags() {
		b.WriteString(".SH OPTIONS\n")
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			short := ""
			if f.Shorthand != "" {
				short = "-" + f.Shorthand + ", "
			}
			fmt.Fprintf(&b, ".TP\n.B %s\n%s", roff(short+"--"+f.Name), roff(f.Usage))
			if f.DefValue != "" && f.DefValue != "[]" && f.DefValue != "false" && f.DefValue != "0" && f.DefValue != "0s" {
				fmt.Fprintf(&b, " (default %s)", roff(f.DefValue))
			}
			b.WriteString("\n")
		})
	}
	if c.Example != "" {
		fmt.Fprintf(&b, ".SH EXAMPLES\n.nf\n%s\n.fi\n", roff(c.Example))
	}
	if c.HasAvailableSubCommands() {
		b.WriteString(".SH COMMANDS\n")
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() {
				fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", roff(sub.Name()), roff(sub.Short))
			}
		}
	}
	if c.Name() == "run" {
		b.WriteString(".SH EXIT STATUS\n0 conformant; 1 findings; 2 usage or configuration, or nothing selected; 3 undecided; 4 the tool failed; 130 interrupted\n")
		b.WriteString(".SH ENVIRONMENT\nEvery option has a twin: MCPAUTH_ and its name in capitals, with _ for \\-.\n")
	}
	return b.String()
}

// roff escapes what the formatter would take for more than text.
func roff(s string) string {
	s = strings.NewReplacer("\\", "\\e", "-", "\\-").Replace(s)
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, ".") || strings.HasPrefix(l, "'") {
			lines[i] = "\\&" + l
		}
	}
	return strings.Join(lines, "\n")
}

// complete has shells complete requirement ids and the other fixed words.
func complete(root *cobra.Command) {
	ids := func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		var out []string
		for _, r := range requirements.All() {
			out = append(out, r.ID+"\t"+r.Title)
		}
		return out, cobra.ShellCompDirectiveNoFileComp
	}
	words := func(list ...string) cobra.CompletionFunc {
		return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return list, cobra.ShellCompDirectiveNoFileComp
		}
	}
	var presetNames, designNames []string
	for _, p := range presets.All {
		presetNames = append(presetNames, p.Name+"\t"+p.Says)
	}
	for _, d := range designs.All {
		designNames = append(designNames, d.Name+"\t"+d.Says)
	}
	for name, f := range map[string]cobra.CompletionFunc{
		"only": ids, "skip": ids, "revision": words(requirements.Revisions...), "fail-on": words("must", "should", "practice", "none"), "color": words("auto", "always", "never"),
		"login": words("auto", "browser", "form", "manual"), "format": words("table", "json"), "tier": words("T0", "T1", "T2", "T3"), "level": words("MUST", "SHOULD", "MAY", "BCP"),
		"report": words("html", "markdown", "junit", "json", "ndjson", "sarif", "har", "github", "badge", "console", "matrix"), "preset": words(presetNames...), "design": words(designNames...),
		"profile": func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return profiles.Names(), cobra.ShellCompDirectiveNoFileComp
		},
	} {
		for _, c := range descendants(root) {
			if c.Flags().Lookup(name) != nil {
				_ = c.RegisterFlagCompletionFunc(name, f) // the flag exists, and has no other
			}
		}
	}
	for _, c := range descendants(root) {
		if c.Name() == "explain" {
			c.ValidArgsFunction = ids
		}
	}
}

func descendants(c *cobra.Command) []*cobra.Command {
	out := slices.Clone(c.Commands())
	for _, sub := range c.Commands() {
		out = append(out, descendants(sub)...)
	}
	return out
}
