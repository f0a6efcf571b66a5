package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/mcpauth/conformance/fixtures/nearest"
	"github.com/mcpauth/conformance/fixtures/requirements"
	"github.com/mcpauth/conformance/reports"
)

// flagGroup is a group of flags in the help.
type flagGroup struct {
	name  string
	flags []string
}

// groups are the groups of the flags of run. Other commands have some of these flags.
var groups = []flagGroup{
	{"Target", []string{"config", "targets", "revision", "header-env", "client-cert", "client-key", "origin"}},
	{"Many targets", []string{"out", "resume", "parallel", "per-host", "total-rate", "total-timeout", "split", "opt-out", "contact"}},
	{"Sign-in", []string{
		"token-env", "username", "password-env", "totp-env", "second-username", "second-password-env", "client-id", "client-secret-env",
		"client-auth-method",
		"redirect-uri", "scope", "register", "issuer", "trust-endpoint", "login", "login-recipe", "browser-no-sandbox", "cimd-listen", "cimd-url",
		"cimd-ca-file",
	}},
	{"Selection", []string{"only", "skip", "profile", "label-filter", "shard", "passive", "allow-intrusive"}},
	{"Result", []string{"fail-on", "strict", "require-complete", "baseline", "update-baseline"}},
	{"Reports", []string{"report", "evidence", "history", "authorized-by", "verbose", "quiet", "color"}},
	{"Limits", []string{"timeout", "max-wait", "patience", "max-requests", "concurrency", "rate", "seed"}},
	{"Network", []string{"i-am-authorized", "allow-host", "connect-to", "dns", "ca-file", "user-agent"}},
}

// ofGroups returns the names of the flags of some groups.
func ofGroups(names ...string) []string {
	var out []string
	for _, g := range groups {
		if slices.Contains(names, g.name) {
			out = append(out, g.flags...)
		}
	}
	return out
}

// some registers the flags of a run that a command uses; the others keep their defaults.
func (o *options) some(f *pflag.FlagSet, used []string) {
	all := pflag.NewFlagSet("", pflag.ContinueOnError)
	o.register(all)
	for _, name := range used {
		f.AddFlag(all.Lookup(name))
	}
}

// changed reports whether a flag is set; false for a flag that the command does not have.
func changed(c *cobra.Command, name string) bool {
	f := c.Flags().Lookup(name)
	return f != nil && f.Changed
}

// helpWidth is the minimum width of a usual terminal.
const helpWidth = 80

// help writes what a command does, then how it is used.
func help(c *cobra.Command, _ []string) {
	says := cmp.Or(c.Long, c.Short)
	var paragraphs []string
	continues := false // of the paragraph before
	for line := range strings.Lines(says) {
		line = strings.TrimRight(line, "\n")
		prose := line != "" && line[0] != ' '
		if n := len(paragraphs); prose && continues && !strings.HasPrefix(line, "Exit status") {
			paragraphs[n-1] += " " + line
		} else {
			paragraphs = append(paragraphs, line)
		}
		continues = prose
	}
	fmt.Fprintf(c.OutOrStdout(), "%s\n\n%s", narrow(strings.Join(paragraphs, "\n")), c.UsageString())
}

// item matches the beginning of a list item. Its further lines are indented by the same width.
var item = regexp.MustCompile(`^(- |\d+\. )`)

// narrow wraps the lines of a text, which may be Markdown, to the width of the help. It keeps code blocks.
func narrow(text string) string {
	var out []string
	code := false
	for line := range strings.SplitSeq(text, "\n") {
		code = code != strings.HasPrefix(line, "```")
		if code || strings.HasPrefix(line, " ") || utf8.RuneCountInString(line) <= helpWidth {
			out = append(out, line)
			continue
		}
		out = append(out, wrapped(line)...)
	}
	return strings.Join(out, "\n")
}

// wrapped wraps a line to the width of the help, and indents continued list items.
func wrapped(line string) []string {
	indent := strings.Repeat(" ", len(item.FindString(line)))
	var out []string
	rest := ""
	for _, word := range strings.Fields(line) {
		switch {
		case rest == "":
			rest = word
		case utf8.RuneCountInString(rest)+1+utf8.RuneCountInString(word) > helpWidth:
			out = append(out, rest)
			rest = indent + word
		default:
			rest += " " + word
		}
	}
	return append(out, rest)
}

// usage writes the usage of a command like cobra, but with the flags in groups, and within 80 columns.
func usage(c *cobra.Command) error {
	w := c.OutOrStderr()
	fmt.Fprintf(w, "Usage:\n  %s\n", c.UseLine())
	if c.HasAvailableSubCommands() {
		fmt.Fprintf(w, "  %s [command]\n", c.CommandPath())
	}
	if c.HasExample() {
		fmt.Fprintf(w, "\nExamples:\n%s\n", c.Example)
	}
	if c.HasAvailableSubCommands() {
		fmt.Fprint(w, "\nCommands:\n")
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() || sub.Name() == "help" {
				described(w, sub.Name(), sub.Short, 14)
			}
		}
	}
	usageOfFlags(w, c.LocalFlags())
	if c.HasAvailableSubCommands() {
		fmt.Fprintf(w, "\n%s [command] --help says more about a command.\n", c.CommandPath())
	}
	return nil
}

// usageOfFlags writes the flags that have a group under its name, and then the others.
func usageOfFlags(w io.Writer, flags *pflag.FlagSet) {
	left := map[string]*pflag.Flag{}
	flags.VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			left[f.Name] = f
		}
	})
	others := "Flags"
	for _, g := range groups {
		heading := fmt.Sprintf("\n%s:\n", g.name)
		for _, name := range g.flags {
			if f := left[name]; f != nil {
				fmt.Fprint(w, heading)
				heading, others = "", "Other flags"
				describe(w, f)
				delete(left, name)
			}
		}
	}
	fmt.Fprintf(w, "\n%s:\n", others)
	flags.VisitAll(func(f *pflag.Flag) {
		if left[f.Name] != nil {
			describe(w, f)
		}
	})
}

// describe writes a flag.
func describe(w io.Writer, f *pflag.Flag) {
	name, says := spelled(f)
	described(w, name, says, 26)
}

// spelled returns the spelling and the description of a flag.
func spelled(f *pflag.Flag) (name, says string) {
	value, says := pflag.UnquoteUsage(f)
	value = map[string]string{"strings": "LIST", "stringArray": "VALUE", "string": "VALUE", "int": "N", "float": "N",
		"duration": "TIME"}[value]
	name = "--" + f.Name
	if f.Shorthand != "" {
		name = "-" + f.Shorthand + ", " + name
	}
	if value != "" {
		name += " " + value
	}
	switch f.DefValue {
	case "", "[]", "false", "0", "0s":
	default:
		says += fmt.Sprintf(" (default %s)", strings.TrimSuffix(f.DefValue, "0s"))
	}
	return name, says
}

// described writes a name and its description next to it; a long name has a line of its own.
func described(w io.Writer, name, says string, column int) {
	line := fmt.Sprintf("  %-*s", column, name)
	if len(name) >= column {
		fmt.Fprintln(w, line)
		line = strings.Repeat(" ", column+2)
	}
	rest := ""
	for _, word := range strings.Fields(says) {
		if rest != "" && len(line)+len(rest)+1+len(word) > helpWidth {
			fmt.Fprintln(w, line+rest)
			line, rest = strings.Repeat(" ", column+2), ""
		}
		if rest != "" {
			word = " " + word
		}
		rest += word
	}
	fmt.Fprintln(w, strings.TrimRight(line+rest, " "))
}

// othersFlags are flags of other tools, each with the corresponding flag of mcpauth.
var othersFlags = map[string]string{
	"token": "token-env", "bearer": "token-env", "access-token": "token-env", "password": "password-env", "pass": "password-env",
	"user": "username", "u": "username", "k": "ca-file", "insecure": "ca-file", "cacert": "ca-file", "header": "header-env",
	"cert": "client-cert", "E": "client-cert", "key": "client-key",
	"H": "header-env", "output": "report", "o": "report", "format": "report", "f": "config", "file": "config", "target": "config",
	"client-secret": "client-secret-env", "filter": "only", "include": "only", "exclude": "skip", "resolve": "connect-to", "sort": "only",
	"scopes": "scope", "redirect": "redirect-uri", "x": "connect-to", "proxy": "connect-to",
}

// flagError explains an error about flags, and suggests the flag that was probably meant.
func flagError(c *cobra.Command, err error) error {
	name := ""
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		name = unknown.GetSpecifiedName()
	}
	text := err.Error()
	if meant := nearFlag(c, name); meant != "" {
		f := c.Flags().Lookup(meant)
		text = fmt.Sprintf("%s; did you mean --%s? (%s)", text, meant, f.Usage)
	}
	if strings.Contains(text, "missing unit in duration") {
		text += ", such as 60s or 5m"
	}
	return &exit{reports.ExitUsage, fmt.Errorf("%s; see %s --help", text, c.CommandPath())}
}

// nearFlag returns the flag of a command that a name probably means, or "".
func nearFlag(c *cobra.Command, name string) string {
	if name == "" {
		return ""
	}
	if ours := othersFlags[name]; c.Flags().Lookup(ours) != nil {
		return ours
	}
	var names []string
	c.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	return nearest.Of(name, names)
}

func areaNames() []string {
	var out []string
	for _, r := range requirements.All() {
		if !slices.Contains(out, r.Area) {
			out = append(out, r.Area)
		}
	}
	return out
}

// nearestID returns the requirement whose id a word probably means.
func nearestID(word string) string {
	var ids []string
	for _, r := range requirements.All() {
		ids = append(ids, r.ID)
	}
	return nearest.Of(word, ids)
}

// suggested returns a suggestion for the end of a message, or "".
func suggested(meant string) string {
	if meant == "" {
		return ""
	}
	return "; did you mean " + meant + "?"
}
