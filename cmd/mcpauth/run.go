package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/mcpauth/conformance/fakes/lab"
	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/fixtures/requirements"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/reports/console"
	"github.com/mcpauth/conformance/suites"
	"github.com/mcpauth/conformance/suites/target"
	"github.com/mcpauth/conformance/suites/target/strict"
)

// options are the flags that run and demo share.
type options struct {
	files                                                                []string
	targets, history, profile                                            string
	revisions, only, skip, origins, headers, allowHosts, connectTo       []string
	reports                                                              []string
	nameServer, userAgent, authorizedBy, evidence                        string
	shard, labelFilter, failOn, tokenEnv, caFile, colour, file, baseline string
	clientCert, clientKey                                                string
	signIn                                                               signIn
	fleet                                                                fleetOptions
	intrusive, authorized, passive                                       bool
	strict, verbose, quiet, updateBaseline, complete                     bool
	timeout, maxWait                                                     time.Duration
	maxRequests, concurrency                                             int
	finished                                                             func(reports.Redacted) // may be nil
	carryOut                                                             func(*cobra.Command, suites.Config) error
	memory                                                               int64 // limit of the heap in bytes; 0: as for a run
	rate                                                                 float64
	seed                                                                 int64
}

// register registers every flag of a run.
func (o *options) register(f *pflag.FlagSet) {
	o.registerTarget(f)
	o.registerSelection(f)
	o.registerResult(f)
	o.registerLimits(f)
	o.registerNetwork(f)
}

// registerTarget registers the flags that say what is tested, and with which credentials.
func (o *options) registerTarget(f *pflag.FlagSet) {
	f.StringArrayVarP(&o.files, "config", "c", nil,
		"target file: what a URL cannot say (its form: mcpauth schema target); several are tested one after another")
	f.StringVar(&o.targets, "targets", "",
		"a list of targets: paths of target files, one a line, and with --out also URLs, or pages of an MCP registry; - is standard input")
	f.StringSliceVar(&o.revisions, "revision", nil, "judge these MCP revisions only (default: every one that the target speaks)")
	f.StringVar(&o.tokenEnv, "token-env", "", "name of the environment variable that holds a valid access token (never the token itself)")
	o.signIn.register(f)
	f.StringArrayVar(&o.headers, "header-env", nil, "send a header to the target's origin, its value from the environment: NAME=VARIABLE")
	f.StringVar(&o.clientCert, "client-cert", "", "client certificate to show at the target's origin, PEM")
	f.StringVar(&o.clientKey, "client-key", "", "private key of the client certificate, PEM (default: the file of --client-cert)")
	f.StringSliceVar(&o.origins, "origin", nil, "a browser origin that the server is meant to allow")
}

// registerSelection registers the flags that say which requirements are judged.
func (o *options) registerSelection(f *pflag.FlagSet) {
	f.StringSliceVar(&o.only, "only", nil, "run only these requirements (ids or globs)")
	f.StringSliceVar(&o.skip, "skip", nil, "leave these requirements out (ids or globs)")
	f.StringVar(&o.profile, "profile", "", "run the requirements of a frozen set: resource-server, authorization-server or "+
		"server-with-bundled-as")
	f.StringVar(&o.labelFilter, "label-filter", "", "run what a Ginkgo label filter selects, over ids, areas, levels, tiers, roles")
	f.StringVar(&o.shard, "shard", "", "run one part of the checks: 2/5, or auto, by the numbers of the CI system's parallel jobs; mcpauth "+
		"merge puts the reports together")
	f.BoolVar(&o.passive, "passive", false,
		"only read documents, and judge the answer to a request without credentials: no login, no registration, no attack")
	f.BoolVar(&o.intrusive, "allow-intrusive", false, "allow checks that may trip limits (default: on loopback only)")
}

// registerResult registers the flags that say when a run fails, and what it writes.
func (o *options) registerResult(f *pflag.FlagSet) {
	f.StringVar(&o.failOn, "fail-on", "must", "weakest level whose findings fail the run: must, should, practice or none")
	f.BoolVar(&o.strict, "strict", false, "the same as --fail-on should; warnings become failures in JUnit")
	f.BoolVar(&o.complete, "require-complete", false, "for CI gates: end with 3 if a selected MUST was not tested")
	f.StringVar(&o.baseline, "baseline", "", "file of findings that are accepted, each with a reason; they are reported as SUPPRESSED")
	f.BoolVar(&o.updateBaseline, "update-baseline", false, "write the findings of this run to the baseline file, for you to add the reasons")
	f.StringArrayVar(&o.reports, "report", nil, reportUsage)
	f.StringVar(&o.evidence, "evidence", "cited", "exchanges that the reports keep: those that verdicts cite, or all")
	f.StringVar(&o.history, "history", "", "file to which a line is added for each run; the HTML report shows the trend")
	f.StringVar(&o.authorizedBy, "authorized-by", "", "who allowed this test, and by which ticket or contract: the reports say so")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "show every verdict, not only those that need attention")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "show nothing but errors")
	f.StringVar(&o.colour, "color", "auto", "auto, always or never")
}

// registerLimits registers the flags that say how long and how fast a run is.
func (o *options) registerLimits(f *pflag.FlagSet) {
	f.DurationVar(&o.timeout, "timeout", 0,
		"for the whole run (default 10m, and longer at a server that is slow in everything); to delete what it registered, it then takes up "+
			"to 10s more")
	f.DurationVar(&o.maxWait, "max-wait", 0,
		"how long a check may wait for a code or a token to expire (default: not at all), and for a key set to be fetched again (at least 35s)")
	f.IntVar(&o.maxRequests, "max-requests", 16_000, "for the whole run")
	f.IntVar(&o.concurrency, "concurrency", 0, "requests in flight (default 32, of which 16 at each host beyond your own network)")
	f.Float64Var(&o.rate, "rate", 0, "requests per second at each host (default 50, in your own network unlimited)")
	f.Int64Var(&o.seed, "seed", 0, "draw every random value from this number, and test one thing after another: two runs against the "+
		"reference server give the same report except for the times (in your own network only)")
}

// registerNetwork registers the flags that say where a run may connect.
func (o *options) registerNetwork(f *pflag.FlagSet) {
	f.BoolVar(&o.authorized, "i-am-authorized", false,
		"confirm that you may sign in, register clients and attack at every host beyond your own network that the run contacts: the target and "+
			"its authorization server; not needed on loopback and in private networks")
	f.StringSliceVar(&o.allowHosts, "allow-host", nil, "a host, NAME or NAME:PORT, that may resolve to an address that is not public")
	f.StringArrayVar(&o.connectTo, "connect-to", nil,
		"dial another address: HOST:PORT=HOST:PORT; where HOST is an address, also for the names that resolve to it")
	f.StringVar(&o.nameServer, "dns", "", "name server to ask instead of the system's resolver: ADDRESS:PORT")
	f.StringVar(&o.caFile, "ca-file", "", "certificate authorities to trust instead of the system's, PEM")
	f.StringVar(&o.userAgent, "user-agent", "",
		"User-Agent of all requests, instead of one that names the check; neutral: that of an ordinary client. "+
			"Where it does not name mcpauth, neither do clientInfo and the names of registered clients")
}

// fromEnvironment sets every flag that is not set from its environment variable MCPAUTH_NAME.
func fromEnvironment(c *cobra.Command) error {
	var failed error
	c.Flags().VisitAll(func(f *pflag.Flag) {
		name := "MCPAUTH_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		if v, ok := os.LookupEnv(name); ok && !f.Changed && f.Name != "help" {
			if err := c.Flags().Set(f.Name, v); err != nil && failed == nil {
				failed = &exit{reports.ExitUsage, fmt.Errorf("%s=%q: %w", name, v, err)}
			}
		}
	})
	return failed
}

func runCommand() *cobra.Command {
	var o options
	c := &cobra.Command{
		Use:   "run [URL]",
		Short: "Test the server at a URL",
		Long: `Tests the server at a URL. Without a URL, it tests the built-in reference server.

Every flag can be set in the environment: MCPAUTH_ and its name in capitals,
with _ for -.

Exit status:
  0    every MUST that was tested is met, and at least one was
  1    findings
  2    usage or configuration, or nothing selected
  3    undecided: nothing passed, a MUST could not be judged, or what you gave
       (a login, a token, an issuer) did not work
  4    the tool failed
  130  interrupted
The last line says which, and what to add to test more.`,
		Example: `  mcpauth run https://mcp.example.com/mcp
  MCPAUTH_PASSWORD=... mcpauth run https://mcp.example.com/mcp \
    --username alice --i-am-authorized
  TOKEN=... mcpauth run https://mcp.example.com/mcp --token-env TOKEN \
    --report html=report.html --report junit=report.xml`,
		Args:    cobra.MaximumNArgs(1),
		PreRunE: func(c *cobra.Command, _ []string) error { return fromEnvironment(c) },
		RunE: func(c *cobra.Command, args []string) error {
			o.fleet.given = given(c.Flags())
			return o.run(c, givenURL(args))
		},
	}
	o.register(c.Flags())
	o.fleet.register(c.Flags())
	return c
}

// givenURL returns the URL of a command, from its argument or from the environment.
func givenURL(args []string) string {
	if len(args) == 1 {
		return args[0]
	}
	return os.Getenv("MCPAUTH_URL")
}

// run tests the target of the URL and the flags: a list, several target files, one target file, a URL, or without any of them the reference
// server.
func (o *options) run(c *cobra.Command, url string) error {
	entries, err := o.list(c)
	if err != nil {
		return err
	}
	switch {
	case isTargetFile(url):
		return &exit{reports.ExitUsage, fmt.Errorf("%s is a file; did you mean --config %s?", url, url)}
	case o.fleet.out != "":
		return o.runFleet(c, entries)
	case url == "" && len(o.files) == 0:
		return o.demo(c, reference.Ideal())
	case len(o.files) > 1 && url != "":
		return &exit{reports.ExitUsage, errors.New("a URL and several target files: each file names its own")}
	case len(o.files) > 1:
		return o.runAll(c)
	case len(o.files) == 1:
		o.file = o.files[0]
	}
	return o.runOne(c, url)
}

// isTargetFile reports whether an argument is the name of a file rather than a URL.
func isTargetFile(url string) bool {
	ending := filepath.Ext(url)
	info, err := os.Stat(url)
	return !strings.Contains(url, "://") && (ending == ".yaml" || ending == ".yml" || err == nil && info.Mode().IsRegular())
}

// list reads --targets. If each target has its own reports, it adds the list's target files to the others.
func (o *options) list(c *cobra.Command) ([]entry, error) {
	err := o.listUsage(c)
	if err != nil {
		return nil, &exit{reports.ExitUsage, err}
	}
	if o.targets == "" {
		return nil, nil
	}
	entries, err := o.listed(c.InOrStdin())
	if err != nil || o.fleet.out == "" {
		return entries, errors.Join(err, o.gather(entries))
	}
	if err := o.fleetUsage(c); err != nil {
		return nil, &exit{reports.ExitUsage, err}
	}
	return entries, nil
}

// listUsage returns an error if --out, or a flag that needs it, is used without a list, or a list without it.
func (o *options) listUsage(c *cobra.Command) error {
	if o.fleet.out != "" && o.targets == "" {
		return errors.New("--out needs a list: give --targets")
	}
	for _, name := range fleetOnly {
		if o.fleet.out == "" && c.Flags().Changed(name) {
			return fmt.Errorf("--%s is for lists whose results go to a folder: give --targets and --out", name)
		}
	}
	return nil
}

// fleetUsage returns an error for a flag that cannot be combined with --out.
func (o *options) fleetUsage(c *cobra.Command) error {
	for _, name := range slices.Sorted(maps.Keys(ofOneTarget)) {
		if changed(c, name) {
			return fmt.Errorf("--%s does not go with --out: %s", name, ofOneTarget[name])
		}
	}
	for _, name := range secretFlags {
		if changed(c, name) && (name != "register" || o.signIn.allowRegistration) {
			return fmt.Errorf("--%s would go to every server of the list: write a target file for each server that it is for", name)
		}
	}
	if o.fleet.parallel < 1 || o.fleet.perHost < 1 || o.fleet.totalRate < 0 || o.fleet.totalTimeout < 0 {
		return errors.New("--parallel and --per-host: want at least 1; --total-rate and --total-timeout: want no negative number")
	}
	return nil
}

// runOne tests one target.
func (o *options) runOne(c *cobra.Command, url string) error {
	cfg, err := o.config(c, url)
	if err != nil {
		return err
	}
	closeIssuer, err := o.target(&cfg)
	if err != nil {
		return err
	}
	defer closeIssuer()
	stop, err := o.signIn.documents(&cfg)
	if err != nil {
		return &exit{reports.ExitUsage, err}
	}
	defer stop()
	return o.execute(c, cfg)
}

// target adds the declarations of the target file, and starts the servers that the target trusts and calls.
func (o *options) target(cfg *suites.Config) (stop func(), err error) {
	if o.file == "" {
		return func() {}, nil
	}
	if err := loadTarget(o.file, cfg); err != nil {
		return nil, &exit{reports.ExitUsage, err}
	}
	stopIssuers, err := lab.Serve(&cfg.Target)
	if err != nil {
		return nil, &exit{reports.ExitUsage, err}
	}
	stopServices, err := suites.Serve(cfg)
	if err != nil {
		stopIssuers()
		return nil, &exit{reports.ExitUsage, err}
	}
	return func() { stopServices(); stopIssuers() }, nil
}

// config makes the configuration of a run from its flags.
func (o *options) config(c *cobra.Command, url string) (suites.Config, error) {
	cfg := suites.Config{
		Target: target.At(url), Only: o.only, Skip: o.skip, LabelFilter: o.labelFilter, AllowHosts: o.allowHosts, Timeout: o.timeout,
		MaxWait: o.maxWait, ConnectTo: map[string]string{}, NameServer: o.nameServer, UserAgent: o.userAgent, Authorized: o.authorized,
		Command: command(c, url), AuthorizedBy: o.authorizedBy, Passive: o.passive,
	}
	cfg.Revisions, cfg.Origins, cfg.Headers = o.revisions, o.origins, map[string]string{}
	cfg.MaxRequests, cfg.Concurrency, cfg.Rate = o.maxRequests, o.concurrency, o.rate
	if changed(c, "seed") {
		cfg.Seed = &o.seed
	}
	if changed(c, "allow-intrusive") {
		cfg.AllowIntrusive = &o.intrusive
	}
	for _, fill := range []func(*cobra.Command, *suites.Config) error{o.ways, o.choice, o.access, o.network} {
		if err := fill(c, &cfg); err != nil {
			return cfg, &exit{reports.ExitUsage, err}
		}
	}
	return cfg, nil
}

// ways sets how a run judges, what it keeps, and how it names itself to the target.
func (o *options) ways(_ *cobra.Command, cfg *suites.Config) error {
	if err := o.threshold(); err != nil {
		return err
	}
	if o.strict && o.failOn == "must" {
		o.failOn = string(reports.FailOnShould)
	}
	if o.evidence != "cited" && o.evidence != "all" {
		return fmt.Errorf("--evidence %q: want cited or all", o.evidence)
	}
	if strings.ContainsAny(o.userAgent, "\r\n") {
		return fmt.Errorf("--user-agent %q: want one line", o.userAgent)
	}
	if o.userAgent == "neutral" {
		cfg.UserAgent = "node"
	}
	return nil
}

// choice sets which requirements a run judges.
func (o *options) choice(_ *cobra.Command, cfg *suites.Config) error {
	if o.profile != "" && len(o.only) > 0 {
		return errors.New("--profile and --only: each chooses the requirements; give one")
	}
	if o.profile != "" {
		only, err := o.frozen()
		if err != nil {
			return err
		}
		cfg.Only = append(cfg.Only, only...)
	}
	part, err := shard(o.shard)
	cfg.Shard = part
	return err
}

// access sets the credentials for the target: a token, a login, header fields, a client certificate.
func (o *options) access(c *cobra.Command, cfg *suites.Config) (err error) {
	if o.tokenEnv != "" {
		if cfg.Token, err = suites.TokenFromEnvironment(o.tokenEnv); err != nil {
			return err
		}
	}
	if err := o.signIn.apply(c, cfg); err != nil {
		return err
	}
	for _, h := range o.headers {
		name, variable, ok := strings.Cut(h, "=")
		value := os.Getenv(variable)
		if !ok || name == "" || value == "" {
			return fmt.Errorf("--header-env %q: want NAME=VARIABLE, and the variable set", h)
		}
		cfg.Headers[name] = value
	}
	cfg.ClientCertificate, err = o.clientCertificate()
	return err
}

// network sets the resolution of the target's names, and the trusted certificates.
func (o *options) network(_ *cobra.Command, cfg *suites.Config) error {
	for _, m := range o.connectTo {
		from, to, ok := strings.Cut(m, "=")
		if !ok {
			return fmt.Errorf("--connect-to %q: want HOST:PORT=HOST:PORT", m)
		}
		cfg.ConnectTo[from] = to
	}
	if o.caFile == "" {
		return nil
	}
	pem, err := strict.ReadFile(o.caFile, mostCertificates)
	if err != nil {
		return fmt.Errorf("--ca-file: %w", err)
	}
	cfg.RootCAs = x509.NewCertPool()
	if !cfg.RootCAs.AppendCertsFromPEM(pem) {
		return fmt.Errorf("--ca-file %s holds no certificate in PEM", o.caFile)
	}
	return nil
}

// clientCertificate reads the client certificate and its key.
func (o *options) clientCertificate() (out target.ClientCertificate, err error) {
	if o.clientCert == "" && o.clientKey != "" {
		return out, errors.New("--client-key needs --client-cert")
	}
	if o.clientCert == "" {
		return out, nil
	}
	certificate, err := strict.ReadFile(o.clientCert, mostText)
	if err != nil {
		return out, fmt.Errorf("--client-cert: %w", err)
	}
	key, err := strict.ReadFile(cmp.Or(o.clientKey, o.clientCert), mostText)
	if err != nil {
		return out, fmt.Errorf("--client-key: %w", err)
	}
	if _, err := tls.X509KeyPair(certificate, key); err != nil && o.clientKey == "" {
		return out, fmt.Errorf("--client-cert %s: %w; if the file holds no private key, give its key with --client-key", o.clientCert, err)
	} else if err != nil {
		return out, fmt.Errorf("--client-cert %s with --client-key %s: %w", o.clientCert, o.clientKey, err)
	}
	return target.ClientCertificate{CertificatePEM: string(certificate), CertificateKey: string(key)}, nil
}

// aside are options that do not change what a run tests.
var aside = append([]string{"report", "history", "verbose", "quiet", "color", "evidence", "targets", "out"}, fleetOnly...)

// visiting is held while options are visited: runs of a fleet do so at the same time, and pflag sorts the options at the first visit.
var visiting sync.Mutex

// command returns the command that repeats a run: with the URL, and every option that is set, by a flag or by the environment.
func command(c *cobra.Command, url string) string {
	words := []string{c.CommandPath()}
	if url != "" && c.Name() != "demo" {
		words = append(words, reports.ShellQuoted(reports.Named(url)))
	}
	visiting.Lock()
	defer visiting.Unlock()
	c.Flags().Visit(func(f *pflag.Flag) {
		if slices.Contains(aside, f.Name) {
			return
		}
		values := []string{f.Value.String()}
		if several, ok := f.Value.(pflag.SliceValue); ok {
			values = several.GetSlice()
		}
		for _, v := range values {
			if f.Value.Type() == "bool" {
				words = append(words, map[string]string{"true": "--" + f.Name}[v])
				continue
			}
			words = append(words, "--"+f.Name, reports.ShellQuoted(v))
		}
	})
	return strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), " ")
}

// execute runs, writes the reports, and turns the outcome into an exit code. It opens the reports first, so that an unwritable path fails
// before the first request.
func (o *options) execute(c *cobra.Command, cfg suites.Config) error {
	if o.carryOut != nil { // a run of another command, such as certify
		return o.carryOut(c, cfg)
	}
	limitMemory(cmp.Or(o.memory, 75<<20), cfg.Passive)
	out, err := o.outputs(c)
	if err != nil {
		return err
	}
	defer out.abandon()
	accepted, err := o.accepted()
	if err != nil {
		return err
	}
	cfg.CitedOnly = o.evidence == "cited"
	run, err := o.test(c, cfg)
	if err != nil {
		return err
	}
	if err := o.saveBaseline(accepted, run); err != nil {
		return &exit{reports.ExitToolFailed, fmt.Errorf("--update-baseline: %w", err)}
	}
	run = reports.Held(reports.Accept(run, accepted, time.Now()), o.rule())
	if o.evidence == "cited" {
		run = reports.Cited(run)
	}
	return o.report(run, out)
}

// memoryIsOwn is whether the process runs one command. Limits of memory are those of the whole process.
var memoryIsOwn = true

// limitMemory sets a limit of the heap in bytes. 75 MiB keep a whole run under 120 MB, and one at a hostile target under 128 MiB. Within
// the limit, a whole run collects its garbage less often than Go does by default, which takes an eighth less processor time. A passive run
// has little garbage, and collects it more often, which saves 3 MB.
func limitMemory(limit int64, passive bool) {
	if !memoryIsOwn || os.Getenv("GOMEMLIMIT") != "" || os.Getenv("GOGC") != "" {
		return
	}
	debug.SetMemoryLimit(limit)
	percent := 400
	if passive {
		percent = 25
	}
	debug.SetGCPercent(percent)
}

// saveBaseline writes the baseline again if that was requested.
func (o *options) saveBaseline(old []reports.Accepted, run reports.Redacted) error {
	if !o.updateBaseline {
		return nil
	}
	return writeBaseline(o.baseline, old, run.Run())
}

// test performs a run, and shows its progress on standard error. The error has its exit code.
func (o *options) test(c *cobra.Command, cfg suites.Config) (reports.Redacted, error) {
	progress := newProgress(c.ErrOrStderr(), o.quiet)
	cfg.OnNotice = func(text string) { notice(c, "%s", text) }
	cfg.OnStart = func() { o.cost(c, cfg) }
	cfg.OnSelected, cfg.OnResult = progress.begin, progress.result
	run, err := suites.Run(c.Context(), cfg)
	progress.end()
	var usage *suites.UsageError
	switch {
	case err == nil:
		return run, nil
	case errors.Is(c.Context().Err(), context.Canceled): // whatever failed because of it
		return run, &exit{reports.ExitInterrupted, errors.New("interrupted before the target was tested")}
	case errors.As(err, &usage):
		return run, &exit{reports.ExitUsage, err}
	}
	return run, &exit{reports.ExitToolFailed, err}
}

// report writes the reports of a run, and returns its outcome.
func (o *options) report(run reports.Redacted, out *outputs) error {
	past, forgotten := o.appendHistory(run)
	out.options.Past = past
	if err := errors.Join(out.write(run), forgotten); err != nil {
		return &exit{reports.ExitToolFailed, err}
	}
	if o.finished != nil {
		o.finished(run)
	}
	return o.outcome(run)
}

// cost says what a run outside the user's network may do there.
func (o *options) cost(c *cobra.Command, cfg suites.Config) {
	scheme, _, _ := strings.Cut(cfg.URL, "://")
	if o.quiet || suites.Own(cfg.URL) || !slices.Contains([]string{"http", "https"}, scheme) {
		return
	}
	rate, most, at := cmp.Or(cfg.Rate, 50), cmp.Or(cfg.MaxRequests, 16_000), cmp.Or(cfg.Concurrency, 16)
	notice(c, "this run sends at most %d requests, %g a second, %d at once, to %s and the servers it names", most, rate, at,
		reports.Named(cfg.URL))
}

// threshold reads --fail-on.
func (o *options) threshold() error {
	switch reports.FailOn(o.failOn) {
	case reports.FailOnMust, reports.FailOnShould, reports.FailOnPractice, reports.FailOnNone:
		return nil
	}
	return fmt.Errorf("--fail-on %q: want must, should, practice or none", o.failOn)
}

// rule says when the run fails. Only complete ids count as named: a pattern may select requirements that this run cannot test.
func (o *options) rule() reports.Rule {
	rule := reports.Rule{FailOn: reports.FailOn(o.failOn), RequireComplete: o.complete}
	for _, id := range o.only {
		if _, ok := requirements.Lookup(id); ok {
			rule.Named = append(rule.Named, id)
		}
	}
	return rule
}

// outcome returns an error with the exit code of a run; nil for 0. Its text is printed only if no summary contains it.
func (o *options) outcome(run reports.Redacted) error {
	outcome := run.Run().Outcome()
	if outcome.Code == reports.ExitConformant {
		return nil
	}
	err := errors.New(console.Conclusion(outcome))
	if !o.quiet {
		err = concluded{err}
	}
	return &exit{outcome.Code, err}
}

// accepted reads the baseline, if there is one.
func (o *options) accepted() ([]reports.Accepted, error) {
	if o.baseline == "" {
		if o.updateBaseline {
			return nil, &exit{reports.ExitUsage, errors.New("--update-baseline needs --baseline FILE")}
		}
		return nil, nil
	}
	accepted, err := readBaseline(o.baseline, o.updateBaseline)
	if errors.Is(err, os.ErrNotExist) {
		if o.updateBaseline {
			return nil, nil
		}
		err = fmt.Errorf("--baseline: %w; --update-baseline writes it from the findings of a run", err)
	}
	if err != nil {
		return nil, &exit{reports.ExitUsage, err}
	}
	return accepted, nil
}
