// Command mcpauth tests the authorization of MCP servers.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/mcpauth/conformance/fixtures/nearest"
	"github.com/mcpauth/conformance/fixtures/profiles"
	"github.com/mcpauth/conformance/fixtures/requirements"
	"github.com/mcpauth/conformance/reports"
	reportjson "github.com/mcpauth/conformance/reports/json"
	"github.com/mcpauth/conformance/suites"
)

// exit carries an exit code through cobra.
type exit struct {
	code int
	err  error
}

func (e *exit) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

// concluded is the outcome of a run whose summary already contains it.
type concluded struct{ error }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), endings()...)
	defer stop()
	os.Exit(run(ctx, tree(), os.Args[1:]))
}

// endings returns the signals that end a run in order, including a closed terminal unless that is ignored (nohup).
func endings() []os.Signal {
	out := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		out = append(out, syscall.SIGHUP)
	}
	return out
}

// run carries out a command line, and returns the exit code.
func run(ctx context.Context, root *cobra.Command, args []string) int {
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return reports.ExitConformant
	}
	code := reports.ExitUsage // cobra's own errors are about commands and arguments
	var e *exit
	if errors.As(err, &e) {
		code = e.code
		if _, said := e.err.(concluded); said {
			return code
		}
	}
	if e != nil {
		err = e.err
	}
	for _, text := range problems(err) {
		if strings.HasPrefix(text, "unknown command") {
			text += suggested(nearest.Of(unknownVerb(root, args), verbs(root))) + " (see mcpauth --help)"
		}
		fmt.Fprintln(root.ErrOrStderr(), "mcpauth: "+reports.OneLine(withoutSecrets(text, args), 2000))
	}
	return code
}

// withoutSecrets removes the secrets in the queries of given URLs from an error.
func withoutSecrets(text string, args []string) string {
	for _, a := range args {
		if strings.Contains(a, "?") {
			text = strings.ReplaceAll(text, a, reports.Named(reports.WithoutUserinfo(a)))
		}
	}
	return text
}

// unknownVerb returns the first argument that is neither a command nor a flag.
func unknownVerb(root *cobra.Command, args []string) string {
	for _, a := range args {
		if !strings.HasPrefix(a, "-") && !slices.Contains(verbs(root), a) {
			return a
		}
	}
	return ""
}

func verbs(root *cobra.Command) []string {
	var out []string
	for _, c := range descendants(root) {
		out = append(out, c.Name())
	}
	return out
}

// problems returns the lines of an error, one for each problem. Where the error of several problems is wrapped, each line begins with
// what the wrapping error says before them.
func problems(err error) []string {
	var several interface{ Unwrap() []error }
	if err != nil && errors.As(err, &several) {
		if before, all := strings.CutSuffix(err.Error(), several.(error).Error()); all {
			var out []string
			for _, e := range several.Unwrap() {
				for _, text := range problems(e) {
					out = append(out, before+text)
				}
			}
			return out
		}
	}
	if err == nil || err.Error() == "" {
		return nil
	}
	return []string{err.Error()}
}

// notice prints a message to standard error. No line of it begins with untrusted text.
func notice(c *cobra.Command, format string, args ...any) {
	fmt.Fprint(c.ErrOrStderr(), reports.Prefixed("mcpauth: ", fmt.Sprintf(format, args...)))
}

// tree returns the commands.
func tree() *cobra.Command {
	root := &cobra.Command{
		Use:   "mcpauth",
		Short: "Tests the authorization of MCP servers, and shows the exchange behind each verdict",
		Long: `mcpauth tries to get past the authorization of a remote MCP server and of the authorization
server it points at, gives a verdict for every requirement that can be observed from
outside, and shows the HTTP exchange behind each verdict.`,
		SilenceErrors: true, SilenceUsage: true, DisableSuggestions: true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: false},
	}
	root.SetFlagErrorFunc(flagError)
	root.SetUsageFunc(usage)
	root.SetHelpFunc(help)
	root.SetHelpCommand(helpCommand())
	root.AddCommand(runCommand(), demoCommand(), initCommand(), doctorCommand(), listCommand(), explainCommand(), serveCommand(),
		reportCommand(), mergeCommand(), diffCommand(), targetsCommand(), fleetCommand(), certifyCommand(), verifyCommand(), schemaCommand(),
		manCommand(), docsCommand(), versionCommand())
	complete(root)
	for _, c := range descendants(root) {
		explainArguments(c)
	}
	return root
}

// explainArguments makes a command explain errors in its arguments, and a command with subcommands reject others.
func explainArguments(c *cobra.Command) {
	if !c.Runnable() && c.HasSubCommands() {
		c.Args = cobra.ArbitraryArgs
		c.RunE = func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return c.Help()
			}
			return fmt.Errorf("unknown command %q for %q", args[0], c.CommandPath())
		}
		return
	}
	count := c.Args
	if count == nil {
		return
	}
	c.Args = func(c *cobra.Command, args []string) error {
		if count(c, args) == nil {
			return nil
		}
		if len(args) == 0 {
			return fmt.Errorf("an argument is missing; usage: %s", c.UseLine())
		}
		return fmt.Errorf("unexpected arguments: %s; usage: %s", strings.Join(args, " "), c.UseLine())
	}
}

// helpCommand is like cobra's, but fails if there is no such command.
func helpCommand() *cobra.Command {
	return &cobra.Command{Use: "help [command]", Short: "Help about any command", RunE: func(c *cobra.Command, args []string) error {
		about, rest, err := c.Root().Find(args)
		if err == nil && len(rest) > 0 {
			err = fmt.Errorf("unknown command %q for %q", rest[0], about.CommandPath())
		}
		if err != nil {
			return err
		}
		return about.Help()
	}}
}

func versionCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{Use: "version", Short: "Print the version", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		if asJSON {
			return versionAsJSON(c.OutOrStdout())
		}
		fmt.Fprintln(c.OutOrStdout(), "mcpauth "+suites.Build().Version)
		return nil
	}}
	c.Flags().BoolVar(&asJSON, "json", false, "with commit, number of checks, and digests of the requirement sets")
	return c
}

func versionAsJSON(w io.Writer) error {
	sets := map[string]string{}
	for _, s := range profiles.Sets() {
		sets[s.Name()] = "sha256:" + s.Digest
	}
	checks, err := suites.Checks()
	if err != nil {
		return &exit{reports.ExitToolFailed, err}
	}
	build := suites.Build()
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(map[string]any{
		"version": build.Version, "commit": build.Commit, "date": build.Time, "modified": build.Modified, "module_sum": build.Sum,
		"go":        runtime.Version(),
		"checks":    len(checks),
		"catalogue": requirements.Digest(), "requirement_sets": sets, "report_format": reportjson.Version,
	})
}
