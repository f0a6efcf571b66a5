package main

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/mcpauth/conformance/fixtures/releases"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/reports/bundle"
	"github.com/mcpauth/conformance/reports/console"
	"github.com/mcpauth/conformance/suites"
	"github.com/mcpauth/conformance/suites/target/strict"
)

// verification is one bundle being verified.
type verification struct {
	key, at, summary     string
	releases             string
	badges               []string
	asJSON, unsigned     bool
	submission, attested bool
}

func verifyCommand() *cobra.Command {
	var v verification
	c := &cobra.Command{
		Use: "verify DIR", Short: "Verify a certificate without the network, and judge its verdicts again", Args: cobra.ExactArgs(1),
		Long: `Verifies a bundle that certify has written, without the network: that no file is missing, added or changed, the signature,
the set, the age, and that nothing in it has the form of a secret. Then it judges the verdicts again, from the exchanges and
facts in the bundle, and expects the same.

Exit status: 0 the bundle verifies; 1 it does not, and the output gives each reason; 2 usage.`,
		Example: `  mcpauth verify certificate --key vendor.pub
  mcpauth verify certificate --key vendor.pub --json --badge badge.svg \
    --summary summary.json`,
		PreRunE: func(c *cobra.Command, _ []string) error { return fromEnvironment(c) },
		RunE:    func(c *cobra.Command, args []string) error { return v.run(c, args[0]) },
	}
	v.register(c.Flags())
	return c
}

func (v *verification) register(f *pflag.FlagSet) {
	f.StringVar(&v.key, "key", "", "the vendor's public key, in PEM")
	f.BoolVar(&v.unsigned, "unsigned", false,
		"verify everything except the signature, which another tool checks (cosign, mcpauth-verify-keyless)")
	f.BoolVar(&v.submission, "submission", false, "demand that the certificate is at most 90 days old")
	f.StringVar(&v.at, "at", "", "verify as of this day (2027-01-31) instead of today")
	f.StringVar(&v.releases, "releases", "",
		"list of released binaries, instead of the one that this build knows (fixtures/releases/releases.txt of a later version)")
	f.BoolVar(&v.asJSON, "json", false, "write what was found as JSON")
	f.BoolVar(&v.attested, "list-attested", false, "list the verdicts that are attested, not re-judged")
	f.StringArrayVar(&v.badges, "badge", nil, "write the badge to a file: .svg, or .json for the endpoint of shields.io (repeatable)")
	f.StringVar(&v.summary, "summary", "", "write an in-toto Simple Verification Result to a file, for registries")
}

func (v *verification) run(c *cobra.Command, dir string) error {
	o, err := v.options()
	if err != nil {
		return &exit{reports.ExitUsage, err}
	}
	files, found, err := bundle.Read(dir)
	if err != nil {
		return &exit{reports.ExitUsage, err}
	}
	out := files.Verify(c.Context(), o, found...)
	if v.asJSON {
		if err := reports.WriteJSON(c.OutOrStdout(), out, "  "); err != nil {
			return &exit{reports.ExitToolFailed, err}
		}
	} else {
		v.say(c, &out)
	}
	written := v.write(&out, files)
	if !out.OK {
		return &exit{reports.ExitFindings, concluded{errors.New("it does not verify")}}
	}
	if written != nil {
		return &exit{reports.ExitToolFailed, written}
	}
	return nil
}

func (v *verification) options() (bundle.Options, error) {
	o := bundle.Options{Now: time.Now(), Submission: v.submission, Unsigned: v.unsigned, Rejudge: suites.JudgeAgain}
	if v.at != "" {
		day, err := time.Parse(time.DateOnly, v.at)
		if err != nil {
			return o, fmt.Errorf("--at %q: want a day such as 2027-01-31", v.at)
		}
		o.Now = day
	}
	for _, b := range v.badges {
		if e := filepath.Ext(b); e != ".svg" && e != ".json" {
			return o, fmt.Errorf("--badge %s: want a name that ends in .svg or .json", b)
		}
	}
	if v.key != "" && v.unsigned {
		return o, errors.New("--key and --unsigned: give one")
	}
	return o, errors.Join(v.readReleases(&o), v.readKey(&o))
}

func (v *verification) readReleases(o *bundle.Options) error {
	if v.releases == "" {
		return nil
	}
	text, err := strict.ReadFile(v.releases, mostText)
	if err == nil {
		o.Releases, err = releases.Read(v.releases, string(text))
	}
	if err != nil {
		return fmt.Errorf("--releases: %w", err)
	}
	return nil
}

func (v *verification) readKey(o *bundle.Options) error {
	if v.key == "" {
		return nil
	}
	text, err := strict.ReadFile(v.key, mostText)
	if err != nil {
		return fmt.Errorf("--key: %w", err)
	}
	key, err := bundle.PublicKey(text)
	if err != nil {
		return fmt.Errorf("--key %s: %w", v.key, err)
	}
	o.Key = &key
	return nil
}

// say writes the result as text.
func (v *verification) say(c *cobra.Command, out *bundle.Verification) {
	w := c.OutOrStdout()
	line := func(format string, args ...any) {
		console.Fold(w, "", reports.OneLine(fmt.Sprintf(format, args...), 1000))
	}
	for _, p := range out.Problems {
		line("NOT VERIFIED (%s): %s", p.Reason, p.String())
	}
	for _, n := range out.Notices {
		line("notice: %s", n)
	}
	if out.Certification != nil && out.OK {
		sayVerified(line, out)
	}
	if out.Rejudged.Steps > 0 {
		line("%s", rejudged(out))
	}
	if v.attested {
		for _, id := range slices.Sorted(maps.Keys(out.Because)) {
			how := "judged again in part"
			if slices.Contains(out.Attested, id) {
				how = "attested, not re-judged"
			}
			line("%s: %s: %s", how, id, out.Because[id])
		}
	}
}

// sayVerified writes the content of a valid bundle.
func sayVerified(line func(format string, args ...any), out *bundle.Verification) {
	cert := out.Certification
	line("VERIFIED: %s %s by %s meets %s, as far as it applies", cert.Product.Product, cert.Product.Version, cert.Product.Vendor, cert.Set)
	line("tested: %s on %s; expires on %s", cert.Target, cert.Finished.Format(time.DateOnly), cert.Expires.Format(time.DateOnly))
	for _, a := range cert.NotApplicable {
		line("does not apply: %s (%s): %s", a.ID, a.Level, a.Why)
	}
	line("signature: %s; made by %s", signatureOf(out), madeBy(out))
}

func madeBy(out *bundle.Verification) string {
	if tool := &out.Certification.Tool; out.Build == bundle.UnknownBuild {
		return fmt.Sprintf("%s, an unknown build that calls itself %s", tool.Name, tool.Version)
	}
	return out.Certification.Tool.Name + " " + out.Build + ", a release"
}

func signatureOf(out *bundle.Verification) string {
	switch {
	case out.Signature == "left-out" && out.SignedByKey:
		return "LEFT OUT; check it with --key"
	case out.Signature == "left-out":
		return "LEFT OUT; check it with " + bundle.CosignCommand
	case out.Signer.Witnessed:
		return "by " + out.Signer.Identity + ", witnessed by a CI system"
	case out.Signer.Identity != "":
		return "by " + out.Signer.Identity + ", self-attested"
	}
	return "by the key " + out.Signer.Key + ", self-attested"
}

// write writes badges and the summary.
func (v *verification) write(out *bundle.Verification, files bundle.Files) error {
	for _, name := range v.badges {
		make := bundle.BadgeSVG
		if filepath.Ext(name) == ".json" {
			make = bundle.BadgeJSON
		}
		b, err := make(out)
		if err != nil {
			return fmt.Errorf("--badge: %w", err)
		}
		if err := replace(name, b); err != nil {
			return fmt.Errorf("--badge: %w", err)
		}
	}
	if v.summary == "" {
		return nil
	}
	b, err := bundle.Summarise(out, files, suites.Build().Version)
	if err != nil {
		return fmt.Errorf("--summary: %w", err)
	}
	if err := replace(v.summary, b); err != nil {
		return fmt.Errorf("--summary: %w", err)
	}
	return nil
}
