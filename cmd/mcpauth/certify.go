package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/fixtures/profiles"
	"github.com/mcpauth/conformance/fixtures/requirements"
	"github.com/mcpauth/conformance/fixtures/seeded"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/reports/bundle"
	"github.com/mcpauth/conformance/reports/console"
	"github.com/mcpauth/conformance/suites"
	"github.com/mcpauth/conformance/suites/target/strict"
)

// certification is the making of one certificate.
type certification struct {
	o                                       options
	product, out, key, passphraseEnv, image string
	control                                 string
	predicateOnly                           bool
	set                                     profiles.Set
	productText                             []byte
	signer                                  bundle.Key
	order                                   string
	tool                                    bundle.Tool
}

// otherwise lists the flags of run with which a certificate would claim more than was tested, each with the reason.
var otherwise = map[string]string{
	"only": "the whole set is run", "skip": "the whole set is run", "label-filter": "the whole set is run", "shard": "one run decides",
	"baseline": "nothing is accepted that is not met", "update-baseline": "nothing is accepted that is not met",
	"seed": "the values of a run could be predicted", "fail-on": "every MUST counts", "strict": "every MUST counts",
	"require-complete": "everything is required", "passive": "everything is tested",
	"user-agent": "requests look like those of an ordinary client", "targets": "a certificate is about one target",
	"history": "the bundle holds the results", "report": "the bundle holds the reports", "verbose": "the bundle holds the reports",
}

func certifyCommand() *cobra.Command {
	var cert certification
	c := &cobra.Command{
		Use: "certify", Short: "Run a complete frozen set, and write a signed bundle that anybody can verify", Args: cobra.NoArgs,
		Long: `Runs a frozen set of requirements and nothing else. If every MUST in it passes, or an exchange shows that it does not
apply, it writes a bundle: results, evidence, manifest, an in-toto statement, and its signature. mcpauth verify checks it,
without the network, and judges the verdicts again.

Without -c it certifies the reference server that is built in, to try it.

Exit status: 0 the bundle is written; 1 a MUST is not met; 2 usage; 3 undecided: the output says what to supply; 4 the tool failed.`,
		Example: `  openssl genpkey -algorithm ed25519 -out vendor.key
  openssl pkey -in vendor.key -pubout -out vendor.pub
  mcpauth certify -c target.yaml --profile resource-server \
    --revision 2025-11-25 --product PRODUCT.yaml -o certificate \
    --key vendor.key
  mcpauth verify certificate --key vendor.pub`,
		PreRunE: func(c *cobra.Command, _ []string) error { return fromEnvironment(c) },
		RunE:    func(c *cobra.Command, _ []string) error { return cert.run(c) },
	}
	cert.register(c.Flags())
	return c
}

// register registers the flags: those of a run, except those that a certificate does not allow, and its own.
func (cert *certification) register(f *pflag.FlagSet) {
	cert.o.register(f)
	for name := range otherwise {
		f.Lookup(name).Hidden = true
	}
	f.Lookup("profile").Usage = "the profile of the set: resource-server, authorization-server or server-with-bundled-as"
	f.Lookup("revision").Usage = "the MCP revision of the set"
	f.StringVar(&cert.product, "product", "PRODUCT.yaml",
		"who claims what: vendor, product, version, url, contact (its form: mcpauth schema product)")
	f.StringVarP(&cert.out, "output", "o", "", "the folder to write, new or empty")
	f.StringVar(&cert.key, "key", "", "private key to sign with, in PEM: ed25519 or ECDSA P-256, PKCS#8, also encrypted")
	f.StringVar(&cert.passphraseEnv, "passphrase-env", "MCPAUTH_KEY_PASSPHRASE",
		"name of the environment variable with the passphrase of the key")
	f.BoolVar(&cert.predicateOnly, "predicate-only", false, "do not sign: cosign attest-blob or GitHub's attest action signs predicate.json")
	f.StringVar(&cert.image, "subject", "", "the image that was tested: NAME@sha256:DIGEST")
	f.StringVar(&cert.control, "prove-control", "",
		"a nonce that is at /.well-known/mcpauth-challenge/NONCE of the target's origin, or in a TXT record of _mcpauth-challenge.HOST; "+
			"without a value, mcpauth makes one and waits until it is there")
	f.Lookup("prove-control").NoOptDefVal = newNonce
}

// newNonce requests a new nonce.
const newNonce = "new"

func (cert *certification) run(c *cobra.Command) error {
	if err := cert.prepare(c); err != nil {
		return &exit{reports.ExitUsage, err}
	}
	cert.o.carryOut = cert.carryOut
	if cert.o.file == "" {
		return cert.o.demo(c, reference.Ideal())
	}
	return cert.o.runOne(c, "")
}

// prepare rejects, before the first request, a run that cannot end with a certificate.
func (cert *certification) prepare(c *cobra.Command) error {
	var refused error
	c.Flags().Visit(func(f *pflag.Flag) {
		if why, no := otherwise[f.Name]; no && refused == nil {
			refused = fmt.Errorf("certify does not accept --%s: %s", f.Name, why)
		}
	})
	build := suites.Build()
	switch {
	case refused != nil:
		return refused
	case !build.Identified():
		return fmt.Errorf("this build (version %q, commit %q, changed files: %v) does not say from what it was made: "+
			"certify with a release, or build from a clean checkout (go build -buildvcs=true)", build.Version, build.Commit, build.Modified)
	}
	if err := cert.complete(); err != nil {
		return err
	}
	if len(cert.o.files) == 1 {
		cert.o.file = cert.o.files[0]
	}
	return errors.Join(cert.chooseSet(), cert.readFiles(), cert.describeTool(build))
}

// complete reports which flag is missing, or cannot be combined with another.
func (cert *certification) complete() error {
	switch o := &cert.o; {
	case len(o.files) > 1:
		return errors.New("a certificate is about one target: give one -c")
	case o.profile == "" || len(o.revisions) != 1:
		return errors.New("want --profile and one --revision; mcpauth list --sets shows the sets")
	case cert.out == "":
		return errors.New("want -o DIR, the folder to write")
	case cert.key == "" && !cert.predicateOnly:
		return errors.New("want --key FILE to sign with, or --predicate-only to sign without a key (see the guide on certification)")
	case cert.key != "" && cert.predicateOnly:
		return errors.New("--key and --predicate-only: the first signs, the second leaves that to others; give one")
	case cert.image != "" && !bundle.ValidImage(cert.image):
		return fmt.Errorf("--subject %q: want NAME@sha256:DIGEST", cert.image)
	}
	return nil
}

func (cert *certification) chooseSet() error {
	revision := cert.o.revisions[0]
	i := slices.IndexFunc(profiles.Current(), func(s profiles.Set) bool { return s.Profile == cert.o.profile && s.Revision == revision })
	if i < 0 {
		return fmt.Errorf("there is no set of the profile %q at %q; mcpauth list --sets shows them", cert.o.profile, revision)
	}
	cert.set = profiles.Current()[i]
	return nil
}

func (cert *certification) readFiles() (err error) {
	if cert.productText, err = strict.ReadFile(cert.product, mostText); err != nil {
		return fmt.Errorf("--product: %w (write one with vendor, product, version, url and contact: mcpauth schema product)", err)
	}
	if _, err := bundle.ReadProduct(cert.product, cert.productText); err != nil {
		return err
	}
	if list, err := os.ReadDir(cert.out); err == nil && len(list) > 0 {
		return fmt.Errorf("-o %s: it is not empty", cert.out)
	}
	if cert.key == "" {
		return nil
	}
	text, err := strict.ReadFile(cert.key, mostText)
	if err != nil {
		return fmt.Errorf("--key: %w", err)
	}
	if cert.signer, err = bundle.PrivateKey(text, []byte(os.Getenv(cert.passphraseEnv))); errors.Is(err, bundle.ErrNoPassphrase) {
		return fmt.Errorf("--key %s: %w, in %s", cert.key, err, cert.passphraseEnv)
	} else if err != nil {
		return fmt.Errorf("--key %s: %w", cert.key, err)
	}
	return nil
}

func (cert *certification) describeTool(build suites.BuildInfo) error {
	path, err := os.Executable()
	if err != nil {
		return err
	}
	digest, err := digestOf(path)
	if err != nil {
		return err
	}
	cert.tool = bundle.Tool{
		Name: "mcpauth", Version: build.Version, Commit: build.Commit, ModuleSum: build.Sum, Digest: digest, Go: runtime.Version(),
		OS: runtime.GOOS, Arch: runtime.GOARCH,
	}
	return nil
}

// digestOf returns the SHA-256 of a file, in hex.
func digestOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// carryOut runs the set, and writes the bundle.
func (cert *certification) carryOut(c *cobra.Command, cfg suites.Config) error {
	cert.order = seeded.Suites.Text(16)
	cfg.Only, cfg.Revisions = slices.Concat(cert.set.Musts, cert.set.Shoulds), []string{cert.set.Revision}
	cfg.UserAgent, cfg.Order, cfg.KeepBasis, cfg.Identify = ordinaryClient, cert.order, true, true
	if err := cert.challenge(c, &cfg); err != nil {
		return err
	}
	began := time.Now()
	run, err := cert.o.test(c, cfg)
	if err != nil {
		return err
	}
	run = reports.Held(run, reports.Rule{FailOn: reports.FailOnMust, RequireComplete: true})
	if blocks := bundle.Blocks(run.Run(), &cert.set); len(blocks) > 0 {
		return cert.blocked(c, run, blocks)
	}
	files, err := cert.bundle(c, run, began)
	if err != nil {
		return &exit{reports.ExitToolFailed, err}
	}
	if err := files.Write(cert.out); err != nil {
		return &exit{reports.ExitToolFailed, err}
	}
	cert.tell(c, files)
	return nil
}

// ordinaryClient is the User-Agent of certified runs, so that it does not identify them.
const ordinaryClient = "node"

// challenge makes a nonce, says where to put it, and waits for it if requested.
func (cert *certification) challenge(c *cobra.Command, cfg *suites.Config) error {
	if cfg.ProveControl = cert.control; cert.control != newNonce {
		return nil
	}
	cfg.ProveControl = seeded.Suites.Text(24)
	console.Fold(c.ErrOrStderr(), "", fmt.Sprintf("mcpauth: to show that you control the target, put this nonce, alone, into a text "+
		"file there, at %s%s, or into a TXT record of %sHOST; then press Enter: %s", reports.ControlPath, cfg.ProveControl,
		reports.ControlRecord, cfg.ProveControl))
	var line [1]byte
	for {
		if _, err := os.Stdin.Read(line[:]); err != nil {
			return &exit{reports.ExitUsage, errors.New("--prove-control: you did not confirm that the nonce is in place; " +
				"give one with --prove-control=NONCE")}
		}
		if line[0] == '\n' {
			return nil
		}
	}
}

// blocked lists what prevents a certificate.
func (cert *certification) blocked(c *cobra.Command, run reports.Redacted, blocks []string) error {
	for _, b := range blocks {
		console.Fold(c.ErrOrStderr(), "", "- "+reports.OneLine(b, 20_000))
	}
	outcome := run.Run().Outcome()
	code := outcome.Code
	if code == reports.ExitConformant {
		code = reports.ExitUndecided
	}
	console.Fold(c.ErrOrStderr(), "", cert.set.Name()+": "+console.Conclusion(outcome))
	return &exit{code, fmt.Errorf("no certificate: %s must be solved first", reports.Count(len(blocks), "thing"))}
}

func (cert *certification) bundle(c *cobra.Command, run reports.Redacted, began time.Time) (bundle.Files, error) {
	target, err := cert.target()
	if err != nil {
		return nil, err
	}
	files, err := bundle.Make(bundle.Input{
		Product: cert.productText, Run: run, Set: cert.set, Tool: cert.tool, Target: target, Image: cert.image,
		NotScored: notScored(&cert.set), Rejudge: suites.JudgeAgain,
		Environment: bundle.Environment{
			Tool: cert.tool, Catalogue: requirements.Digest(), Flags: flagsOf(c), UserAgent: ordinaryClient,
			Order: bundle.Order{Kind: "random", Seed: cert.order},
			Clock: bundle.Clock{Began: began.UTC(), Ended: time.Now().UTC(), Zone: "UTC"},
		},
	})
	if err != nil {
		return nil, err
	}
	return files, cert.sign(c, files)
}

// target identifies what was tested: the target file by its digest, or the reference server by that of the program.
func (cert *certification) target() (bundle.Descriptor, error) {
	name, digest := "the reference server that is built in", cert.tool.Digest
	if cert.o.file != "" {
		var err error
		if digest, err = digestOf(cert.o.file); err != nil {
			return bundle.Descriptor{}, err
		}
		name = filepath.Base(cert.o.file)
	}
	return bundle.Descriptor{Name: name, Digest: map[string]string{"sha256": digest}}, nil
}

// sign signs a bundle, and verifies it.
func (cert *certification) sign(c *cobra.Command, files bundle.Files) error {
	o := bundle.Options{Now: time.Now(), Unsigned: true, Submission: true, Rejudge: suites.JudgeAgain}
	if !cert.predicateOnly {
		if err := files.Sign(c.Context(), cert.signer); err != nil {
			return err
		}
		o.Key = &cert.signer
	}
	if v := files.Verify(c.Context(), o); !v.OK {
		return fmt.Errorf("the bundle would not verify, which is a mistake in this tool: %s", v.Problems[0])
	}
	return nil
}

// flagsOf returns the flags of a command, in order. It omits flags that name users, or places on this machine and in its network. No flag
// contains a secret.
func flagsOf(c *cobra.Command) []string {
	out := []string{}
	c.Flags().Visit(func(f *pflag.Flag) {
		switch f.Name {
		case "username", "second-username", "client-id", "key", "passphrase-env", "output", "product", "config", "client-cert", "client-key",
			"ca-file", "cimd-ca-file", "login-recipe", "connect-to", "allow-host", "dns", "cimd-listen":
			out = append(out, "--"+f.Name+"=…")
		default:
			value := f.Value.String()
			if list, is := f.Value.(pflag.SliceValue); is {
				value = strings.Join(list.GetSlice(), ",")
			}
			out = append(out, "--"+f.Name+"="+value)
		}
	})
	return out
}

// tell says what was written, and what to do with it.
func (cert *certification) tell(c *cobra.Command, files bundle.Files) {
	v := files.Verify(c.Context(), bundle.Options{Now: time.Now(), Unsigned: true, Rejudge: suites.JudgeAgain})
	console.Fold(c.ErrOrStderr(), "", reports.OneLine(fmt.Sprintf("mcpauth: wrote %s: %s is met, as far as it applies; %s", cert.out,
		cert.set.Name(), rejudged(&v)), 1000))
	if cert.predicateOnly {
		notice(c, "sign it, in %s:\n  cosign attest-blob --predicate %s --type %s --bundle %s %s", cert.out, bundle.PredicateFile,
			bundle.PredicateType, bundle.KeylessFile, bundle.ManifestFile)
		return
	}
	notice(c, "verify it: mcpauth verify %s --key PUBLIC-KEY", cert.out)
}

// rejudged says how many verdicts can be judged again.
func rejudged(v *bundle.Verification) string {
	r := v.Rejudged
	return fmt.Sprintf("judged again: %s completely, %d in part; attested, not re-judged: %d (%d of %d judgements were made again)",
		reports.Count(r.Whole, "verdict"), r.Partly, r.Attested, r.Recomputed, r.Steps)
}
