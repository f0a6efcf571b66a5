package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/mcpauth/conformance/fakes/hostile"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites"
)

// doctorCommand reports whether this machine has what the tool needs, and where each setting comes from.
func doctorCommand() *cobra.Command {
	var o options
	var self bool
	c := &cobra.Command{
		Use: "doctor [URL]", Short: "Check that everything is ready for a run", Args: cobra.MaximumNArgs(1),
		Example: "  mcpauth doctor\n  mcpauth doctor https://mcp.example.com/mcp\n  mcpauth doctor -c target.yaml",
		RunE: func(c *cobra.Command, args []string) error {
			if self {
				return selfTest(c, hostile.Traps)
			}
			return o.examine(c, args)
		},
	}
	o.register(c.Flags())
	o.fleet.register(c.Flags())
	c.Flags().BoolVar(&self, "self-test", false,
		"run this program against targets that attack it, and report whether each promise of SECURITY.md holds")
	return c
}

// examine checks what a run with these options needs.
func (o *options) examine(c *cobra.Command, args []string) error {
	origin := origins(c)
	if err := fromEnvironment(c); err != nil {
		return err
	}
	d := &doctor{say: func(state, what, found string) {
		described(c.OutOrStdout(), fmt.Sprintf("%-5s %s", state, what), reports.OneLine(found, 600), 22)
	}}
	d.say("ok", "program", fmt.Sprintf("mcpauth %s, %s, %s/%s", suites.Build().Version, runtime.Version(), runtime.GOOS, runtime.GOARCH))
	d.browser()
	d.targets(c, o, givenURL(args))
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if from := origin[f.Name]; from != "" && f.Name != "help" {
			d.say("set", "--"+f.Name, f.Value.String()+" (from "+from+")")
		}
	})
	if d.bad > 0 {
		return &exit{reports.ExitUsage, fmt.Errorf("%s above will stop a run: see BAD", reports.Count(d.bad, "line"))}
	}
	return nil
}

// targets checks every target that a run would test.
func (d *doctor) targets(c *cobra.Command, o *options, url string) {
	if entries, err := o.list(c); err != nil {
		d.ill("target files", err.Error())
	} else if len(entries) > 0 {
		d.say("ok", "targets", fmt.Sprintf("the list has %d entries", len(entries)))
	}
	if len(o.files) == 0 {
		d.target(c, o, url)
	}
	for _, o.file = range o.files {
		d.target(c, o, url)
	}
}

// origins says for each flag that is set whether the command line or the environment sets it.
func origins(c *cobra.Command) map[string]string {
	out := map[string]string{}
	c.Flags().VisitAll(func(f *pflag.Flag) {
		name := "MCPAUTH_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		if _, ok := os.LookupEnv(name); ok && !f.Changed {
			out[f.Name] = name
		} else if f.Changed {
			out[f.Name] = "the command line"
		}
	})
	return out
}

type doctor struct {
	say func(state, what, found string)
	bad int
}

// ill reports what stops a run, one mistake a line.
func (d *doctor) ill(what, found string) {
	for mistake := range strings.SplitSeq(found, "\n") {
		d.bad++
		d.say("BAD", what, mistake)
	}
}

func (d *doctor) browser() {
	if err := suites.BrowserFound(); err != nil {
		d.say("none", "browser", err.Error()+"; logins by plain forms work without one")
		return
	}
	d.say("ok", "browser", "found; login pages that need scripts can be used")
}

// target checks name, address, TLS and clock of the target.
func (d *doctor) target(c *cobra.Command, o *options, url string) {
	cfg, err := o.config(c, url)
	if err == nil && o.file != "" {
		if err = loadTarget(o.file, &cfg); err == nil {
			d.say("ok", "target file", fmt.Sprintf("%s: %d users, %d clients, %d tools, %d credentials", o.file, len(cfg.Users), len(cfg.Clients),
				len(cfg.Tools), len(cfg.Credentials)))
		}
	}
	if err != nil {
		d.ill("configuration", err.Error())
		return
	}
	if cfg.URL == "" {
		d.say("none", "target", "no URL given; mcpauth run without one tests the embedded reference server")
		return
	}
	seen, err := suites.Look(c.Context(), cfg)
	switch {
	case err != nil:
		d.ill("target", err.Error())
	case seen.Unreachable != "":
		d.ill("target", seen.Unreachable)
	default:
		d.say("ok", "target", reports.Named(cfg.URL)+" answers; "+good(cfg.URL))
		d.surveyed(&seen)
	}
}

// good says what is good of a URL that answers.
func good(url string) string {
	if strings.HasPrefix(url, "https:") {
		return "name, address and certificate are good"
	}
	return "name and address are good; http has no certificate"
}

// surveyed reports the results of a first look at the target.
func (d *doctor) surveyed(seen *suites.Surveyed) {
	if skew := seen.Skew.Abs(); skew > 30*time.Second {
		d.ill("clock", fmt.Sprintf("the target's clock differs by %v from this one: verdicts on expiry will be wrong", skew))
	} else {
		d.say("ok", "clock", "as the target's, within 30 s")
	}
	for _, r := range seen.Revisions {
		d.say(map[bool]string{true: "ok", false: "-"}[r.Status == "spoken"], r.Revision, r.Words()+": "+r.Why)
	}
	for _, issuer := range seen.Issuers {
		d.say("ok", "issuer", issuer)
	}
	if !seen.Protected {
		d.say("-", "authorization", "the target does not ask for it; most checks will be not applicable")
	}
}
