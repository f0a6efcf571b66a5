package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/mcpauth/conformance/fixtures/requirements"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/reports/fleet"
	"github.com/mcpauth/conformance/suites"
	"github.com/mcpauth/conformance/suites/target"
	"github.com/mcpauth/conformance/suites/target/strict"
)

// fleetOptions are the flags of a run of many targets.
type fleetOptions struct {
	out, split, optOut, contact string
	resume                      bool
	parallel, perHost           int
	totalRate                   float64
	totalTimeout                time.Duration
	given                       []string // the flags that are set and change results
}

func (f *fleetOptions) register(flags *pflag.FlagSet) {
	flags.StringVar(&f.out, "out", "",
		"folder for the results of --targets, a subfolder each; the exit status then says whether all were tested")
	flags.BoolVar(&f.resume, "resume", false,
		"with --out: leave out the targets whose results are there, by the same program and configuration")
	flags.IntVar(&f.parallel, "parallel", 1, "with --out: targets tested at once")
	flags.IntVar(&f.perHost, "per-host", 16,
		"with --out: requests in flight at each host, of all targets together: many targets may share an authorization server")
	flags.Float64Var(&f.totalRate, "total-rate", 0, "with --out: requests a second of all targets together (default unlimited)")
	flags.DurationVar(&f.totalTimeout, "total-timeout", 0, "with --out: start no target after this time (default unlimited)")
	flags.StringVar(&f.split, "split", "",
		"with --out: test one part of the targets, by a digest of their URLs: 2/5, or auto, by the numbers of parallel jobs")
	flags.StringVar(&f.optOut, "opt-out", "",
		"with --out: a file of hosts and URLs to leave out, one a line; *.example.com stands for all names below")
	flags.StringVar(&f.contact, "contact", "",
		"with --out: how the owners of listed servers reach you, a URL or an address; it is sent in User-Agent")
}

// fleetOnly are the flags that need --out.
var fleetOnly = []string{"resume", "parallel", "per-host", "total-rate", "total-timeout", "split", "opt-out", "contact"}

// ofOneTarget are the flags that a run of many targets rejects, each with the reason.
var ofOneTarget = map[string]string{
	"config": "the list names the target files", "report": "mcpauth fleet writes reports from the folder", "shard": "use --split",
	"seed": "it is for a run alone", "history": "mcpauth fleet --against compares", "baseline": "it applies to one target",
	"update-baseline": "it applies to one target", "authorized-by": "set it in the target file",
}

// secretFlags belong to one target. They must not be sent to every server of a list.
var secretFlags = []string{"token-env", "username", "password-env", "totp-env", "second-username", "second-password-env", "client-id",
	"client-secret-env", "header-env", "client-cert", "client-key", "register", "cimd-listen", "cimd-url"}

// fleetRun tests the targets of a list and writes a folder of results.
type fleetRun struct {
	o       *options
	c       *cobra.Command
	gate    *gate
	shared  *suites.Shared
	serving sync.Mutex // held by a target with servers run by mcpauth: two may use the same address

	mu      sync.Mutex
	total   int
	done    int // of total
	failed  int
	skipped int
}

// runFleet tests all targets of the list. The error says whether all were tested, not what was found.
func (o *options) runFleet(c *cobra.Command, entries []entry) error {
	entries, err := o.chosen(entries)
	if err != nil {
		return &exit{reports.ExitUsage, err}
	}
	if err := os.MkdirAll(o.fleet.out, 0o755); err != nil {
		return &exit{reports.ExitUsage, fmt.Errorf("--out: %w", err)}
	}
	if memoryIsOwn && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(120 << 20)
	}
	f := &fleetRun{o: o, c: c, gate: newGate(o.fleet.parallel), total: len(entries)}
	f.shared = suites.ShareLimits(o.fleet.perHost, max(o.rate, 50), o.fleet.totalRate)
	ctx, begin, stop := f.endings()
	defer stop()
	f.testAll(ctx, begin, newQueue(f.leftOf(entries), f.silent))
	return f.conclude(begin)
}

// leftOf returns the targets that are not done.
func (f *fleetRun) leftOf(entries []entry) []entry {
	if !f.o.fleet.resume {
		return entries
	}
	left := slices.DeleteFunc(entries, func(e entry) bool { return fleet.Finished(f.folder(&e), f.o.madeBy(&e)) })
	f.skipped = f.total - len(left)
	return left
}

// folder returns the folder of a target's results.
func (f *fleetRun) folder(e *entry) string { return filepath.Join(f.o.fleet.out, e.key()) }

// testAll tests the targets of a queue. With a total rate there are no scouts: the rate bounds the run, and scouts would use it up.
func (f *fleetRun) testAll(ctx, begin context.Context, q *queue) {
	var running sync.WaitGroup
	defer running.Wait()
	scouting, end := context.WithCancel(begin)
	defer end()
	if f.o.fleet.totalRate == 0 {
		running.Go(func() { q.scout(scouting, f.o.fleet.parallel, func(e entry) { f.test(ctx, e, f.gate.aside()) }) })
	}
	for {
		t := f.gate.begin(begin)
		if t == nil {
			return
		}
		e, ok := q.take()
		if !ok {
			t.end()
			return
		}
		running.Go(func() { f.test(ctx, e, t) })
	}
}

// endings returns two contexts: one for the targets in progress, which a second signal ends, and one for starting targets, which the first
// signal or --total-timeout ends.
func (f *fleetRun) endings() (ctx, begin context.Context, stop func()) {
	begin = f.c.Context() // the first signal ends it
	ctx, abort := context.WithCancel(context.WithoutCancel(begin))
	endTotal := func() {}
	if t := f.o.fleet.totalTimeout; t > 0 {
		begin, endTotal = context.WithTimeout(begin, t)
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, endings()...)
	go func() {
		for n := 0; ; n++ {
			select {
			case <-ctx.Done():
				return
			case <-signals:
				if n == 0 {
					notice(f.c, "the targets in progress are tested to the end, and no more are begun; a second signal ends these too")
				} else {
					abort()
				}
			}
		}
	}()
	return ctx, begin, func() { signal.Stop(signals); endTotal(); abort() }
}

// conclude says whether all targets of the list are done.
func (f *fleetRun) conclude(begin context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	left := f.total - f.done - f.skipped
	rest := reports.Count(left, "target") + " left; --resume continues"
	if !f.o.quiet {
		notice(f.c, "%s done, %d done before, %d left; mcpauth fleet %s sums them up", reports.Count(f.done, "target"), f.skipped, left,
			f.o.fleet.out)
	}
	switch {
	case f.c.Context().Err() != nil:
		return &exit{reports.ExitInterrupted, errors.New("interrupted, with " + rest)}
	case begin.Err() != nil && left > 0:
		return &exit{reports.ExitUndecided, errors.New("--total-timeout ended the run, with " + rest)}
	case f.failed > 0:
		return &exit{reports.ExitToolFailed, fmt.Errorf("not tested: %s, see above; --resume tries again", reports.Count(f.failed, "target"))}
	}
	return nil
}

// test tests one target and writes its state. It writes nothing for an interrupted target.
func (f *fleetRun) test(ctx context.Context, e entry, t *turn) {
	defer t.end()
	dir := f.folder(&e)
	d := fleet.Done{Version: fleet.Version, Target: reports.Named(e.URL), File: e.name, Started: time.Now(), Made: f.o.madeBy(&e)}
	run, passive, err := f.run(ctx, e, t)
	if ctx.Err() != nil {
		return
	}
	if d.Passive = passive; err != nil {
		d.State, d.Why = fleet.Failed, reports.OneLine(err.Error(), 2000)
		if exitCode(err) == reports.ExitUsage {
			d.State = fleet.Invalid
		}
		f.report(d, errors.Join(err, fleet.WriteDone(dir, d)))
		return
	}
	d.Add(run)
	f.report(d, fleet.Write(dir, run, d))
}

// exitCode returns the exit code of an error of a run.
func exitCode(err error) int {
	var usage *suites.UsageError
	var e *exit
	switch {
	case errors.As(err, &usage):
		return reports.ExitUsage
	case errors.As(err, &e):
		return e.code
	}
	return reports.ExitToolFailed
}

// configured returns the configuration of one run. A URL outside the user's network, without a target file, is scanned passively.
func (f *fleetRun) configured(e entry) (suites.Config, error) {
	address := e.URL
	if e.File != "" {
		address = "" // the file contains it
	}
	sub := *f.o // it is changed
	cfg, err := sub.config(f.c, address)
	if err != nil {
		return cfg, err
	}
	if e.File != "" {
		cfg.Command += " --config " + reports.ShellQuoted(e.File)
	}
	cfg.Shared, cfg.CitedOnly, cfg.Foreign = f.shared, f.o.evidence == "cited", e.foreign
	cfg.Passive = cfg.Passive || e.File == "" && !suites.Own(e.URL)
	if cfg.Passive && !f.o.passive {
		cfg.Command += " --passive"
	}
	if f.o.fleet.contact != "" && f.o.userAgent == "" {
		cfg.UserAgent = "mcpauth/" + suites.Build().Version + " ({check}; +" + f.o.fleet.contact + ")"
	}
	return cfg, nil
}

// run performs one run without writing reports.
func (f *fleetRun) run(ctx context.Context, e entry, t *turn) (run reports.Redacted, passive bool, err error) {
	cfg, err := f.configured(e)
	if err != nil {
		return run, false, err
	}
	cfg.OnSelected = func(int) { t.test(ctx) }
	if servesItself(e.File) {
		f.serving.Lock()
		defer f.serving.Unlock()
	}
	sub := *f.o
	sub.file = e.File
	stop, err := sub.target(&cfg)
	if err != nil {
		return run, cfg.Passive, err
	}
	defer stop()
	if run, err = suites.Run(ctx, cfg); err != nil {
		return run, cfg.Passive, err
	}
	run = reports.Held(run, f.o.rule())
	if f.o.evidence == "cited" {
		run = reports.Cited(run)
	}
	return run, cfg.Passive, nil
}

// servesItself reports whether a target file declares servers that mcpauth runs on this machine.
func servesItself(path string) bool {
	if path == "" {
		return false
	}
	t, err := target.Load(path)
	return err == nil && (t.IntrospectionAt != nil || t.Verify.Listen != "" || t.UpstreamAPI != nil || t.RebindingZone != nil ||
		t.FakeIDP != nil || t.SecondIDP != nil || t.EnterpriseIDP.Listen != "" || t.UpstreamIDP != nil)
}

// report counts a target, and prints its result.
func (f *fleetRun) report(d fleet.Done, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.done++
	said := d.Outcome.Headline
	if d.State != fleet.Tested {
		said = string(d.State) + ": " + d.Why
	}
	if err != nil {
		f.failed++
		said = string(d.State) + ": " + err.Error()
	}
	if !f.o.quiet || err != nil {
		name := d.Target
		if d.File != "" {
			name = d.File + " (" + d.Target + ")"
		}
		notice(f.c, "%d of %d: %s", f.done+f.skipped, f.total, reports.OneLine(name+": "+said, 300))
	}
}

// madeBy says what the results of a target depend on, besides the target itself: the program, the catalogue, the flags that affect results,
// and the contents of the files that they and the target file name. It omits secrets, because a short one could be guessed from the digest.
func (o *options) madeBy(e *entry) fleet.Made {
	sum := sha256.New()
	fmt.Fprintln(sum, o.fleet.given)
	for _, path := range []string{e.File, e.recipe, o.caFile, o.signIn.recipe} {
		b, err := strict.ReadFile(path, mostCertificates)
		fmt.Fprintln(sum, path != "", err == nil, len(b))
		_, _ = sum.Write(b) // writing to a hash never fails
	}
	build := suites.Build()
	program := strings.TrimSpace(build.Version + " " + build.Commit)
	return fleet.Made{Tool: program, Catalogue: requirements.Digest(), Configuration: hex.EncodeToString(sum.Sum(nil)[:12])}
}

// indifferent are flags that change only the order or speed of the tests.
var indifferent = append([]string{"targets", "out", "quiet", "verbose", "color", "rate", "concurrency"}, fleetOnly...)

// given returns the flags that are set and change results, in order.
func given(flags *pflag.FlagSet) []string {
	var out []string
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Changed && !slices.Contains(indifferent, f.Name) {
			out = append(out, f.Name+"="+f.Value.String())
		}
	})
	slices.Sort(out)
	return out
}
