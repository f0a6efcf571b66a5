package main

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// writeCommands writes a page for c, and for each command below it. Their content is that of --help.
func writeCommands(dir string, c *cobra.Command) error {
	c.InitDefaultHelpFlag()
	if err := os.WriteFile(filepath.Join(dir, pageOf(c)), commandPage(c), 0o644); err != nil {
		return err
	}
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			if err := writeCommands(dir, sub); err != nil {
				return err
			}
		}
	}
	return nil
}

func pageOf(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "_") + ".md" }

func commandPage(c *cobra.Command) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# %s\n\n%s\n", c.CommandPath(), prose(cmp.Or(c.Long, c.Short)))
	fmt.Fprintf(&b, "\n```\n%s\n```\n", c.UseLine())
	if c.HasExample() {
		fmt.Fprintf(&b, "\n## Examples\n\n```\n%s\n```\n", c.Example)
	}
	if c.HasAvailableSubCommands() {
		fmt.Fprint(&b, "\n## Commands\n\n| command | what it does |\n|---|---|\n")
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() {
				fmt.Fprintf(&b, "| [%s](%s) | %s |\n", sub.CommandPath(), pageOf(sub), cell(sub.Short))
			}
		}
	}
	writeFlags(&b, c.LocalFlags())
	return b.Bytes()
}

// writeFlags writes the flags of a command in their groups, and then the others.
func writeFlags(b *bytes.Buffer, flags *pflag.FlagSet) {
	var grouped []string
	for _, g := range groups {
		writeGroup(b, g.name, flags, func(f *pflag.Flag) bool { return slices.Contains(g.flags, f.Name) })
		grouped = append(grouped, g.flags...)
	}
	writeGroup(b, "Other flags", flags, func(f *pflag.Flag) bool { return !slices.Contains(grouped, f.Name) })
}

func writeGroup(b *bytes.Buffer, name string, flags *pflag.FlagSet, belongs func(f *pflag.Flag) bool) {
	heading := fmt.Sprintf("\n## %s\n\n| flag | meaning |\n|---|---|\n", name)
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || !belongs(f) {
			return
		}
		flag, says := spelled(f)
		fmt.Fprintf(b, "%s| `%s` | %s |\n", heading, flag, cell(says))
		heading = ""
	})
}

// prose returns a help text as Markdown: indented parts keep their line breaks.
func prose(text string) string {
	var b strings.Builder
	indented := false
	for line := range strings.Lines(strings.TrimSpace(text) + "\n") {
		if is := strings.HasPrefix(line, " "); is != indented {
			b.WriteString(map[bool]string{true: "\n```\n", false: "```\n\n"}[is])
			indented = is
		}
		b.WriteString(line)
	}
	if indented {
		b.WriteString("```\n")
	}
	return b.String()
}
