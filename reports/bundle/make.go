package bundle

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/mcpauth/conformance/fixtures/profiles"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/reports/html"
	reportjson "github.com/mcpauth/conformance/reports/json"
	"github.com/mcpauth/conformance/reports/junit"
)

// Input has the parts of a bundle.
type Input struct {
	Product []byte // PRODUCT.yaml
	Run     reports.Redacted
	Set     profiles.Set
	Tool    Tool
	// Target is the target file: its name, and the digest of its content.
	Target Descriptor
	// Image is NAME@sha256:DIGEST of the tested image; may be empty.
	Image       string
	Environment Environment
	NotScored   map[string]string
	// Rejudge judges the verdicts again (suites.JudgeAgain).
	Rejudge func(run *reports.Run) reports.Rejudged
}

// Environment is environment.json: the environment in which a certificate was made.
type Environment struct {
	Tool      Tool     `json:"tool"`
	Catalogue string   `json:"catalogue"`
	Flags     []string `json:"flags"` // without secrets, which are never flags
	UserAgent string   `json:"user_agent"`
	Order     Order    `json:"order"`
	Clock     Clock    `json:"clock"`
}

// Order is the order in which the checks started.
type Order struct {
	Kind string `json:"kind"` // random
	Seed string `json:"seed"`
}

// Clock is the reading of the machine's clock.
type Clock struct {
	Began time.Time `json:"began"`
	Ended time.Time `json:"ended"`
	Zone  string    `json:"zone"`
}

var image = regexp.MustCompile(`^(\S+)@sha256:([0-9a-f]{64})$`)

// ValidImage reports whether a text names an image by its digest.
func ValidImage(name string) bool { return image.MatchString(name) }

// Make makes an unsigned bundle. Nothing may block the run: see Blocks.
func Make(in Input) (Files, error) {
	product, err := ReadProduct(ProductFile, in.Product)
	if err != nil {
		return nil, err
	}
	excerpt := reports.Excerpt(in.Run, in.Set.Holds)
	run := excerpt.Run()
	if run.Identity == nil {
		return nil, fmt.Errorf("the run does not say what was tested")
	}
	again := in.Rejudge(run)
	if len(again.Contradictions) > 0 {
		c := again.Contradictions[0]
		return nil, fmt.Errorf("a verdict could not be judged again, which is a mistake in this tool: %s: %s", c.ID, c.Says)
	}
	s := statementOf(in, product, run, again)
	f := Files{ProductFile: in.Product, SetFile: in.Set.Text}
	var results, cases, page bytes.Buffer
	if err := reportjson.Write(&results, excerpt); err != nil {
		return nil, err
	}
	if f[ResultsFile], err = pack(results.Bytes()); err != nil {
		return nil, err
	}
	if err := junit.Write(&cases, excerpt, junit.Options{Properties: true}); err != nil {
		return nil, err
	}
	if err := html.Write(&page, excerpt); err != nil {
		return nil, err
	}
	f[JUnitFile], f[ReportFile] = cases.Bytes(), page.Bytes()
	if f[EnvironmentFile], err = marshal(in.Environment); err != nil {
		return nil, err
	}
	f[ReadmeFile] = []byte(readme(&s.Predicate.Certification, again, in.Environment.Flags))
	return f, f.seal(s)
}

// seal adds manifest, statement and predicate.
func (f Files) seal(s *Statement) (err error) {
	if f[ManifestFile], err = marshal(f.manifest()); err != nil {
		return err
	}
	s.Subject = []Descriptor{{ManifestFile, map[string]string{"sha256": Digest(f[ManifestFile])}}}
	if m := image.FindStringSubmatch(s.Predicate.Certification.Image); m != nil {
		s.Subject = append(s.Subject, Descriptor{m[1], map[string]string{"sha256": m[2]}})
	}
	if f[StatementFile], err = marshal(s); err != nil {
		return err
	}
	f[PredicateFile], err = marshal(s.Predicate)
	return err
}

func statementOf(in Input, product Product, run *reports.Run, again reports.Rejudged) *Statement {
	finished := run.Started.Add(time.Duration(float64(run.Duration) * float64(time.Millisecond))).UTC().Truncate(time.Second)
	s := &Statement{Type: StatementType, PredicateType: PredicateType}
	p := &s.Predicate
	c := &p.Certification
	p.PassedTests, p.WarnedTests, p.FailedTests, c.NotApplicable = verdicts(run, &in.Set)
	if p.Result = "PASSED"; len(p.WarnedTests) > 0 {
		p.Result = "WARNED"
	}
	p.Configuration = []Descriptor{
		{in.Set.Name(), map[string]string{"sha256": in.Set.Digest}}, {in.Tool.Name + " " + in.Tool.Version,
			map[string]string{"sha256": in.Tool.Digest}},
		in.Target, {"requirement catalogue", map[string]string{"sha256": run.Catalogue}},
	}
	c.Product, c.Profile, c.Revision, c.Set, c.Target = product, in.Set.Profile, in.Set.Revision, in.Set.Name(), run.Target.URL
	c.Identity, c.Image, c.Tool, c.Catalogue = *run.Identity, in.Image, in.Tool, run.Catalogue
	c.Started, c.Finished, c.Expires = run.Started.UTC().Truncate(time.Second), finished, finished.Add(Validity)
	c.NotScored, c.Rejudged = in.NotScored, countsOf(again)
	return s
}

// readme describes the certificate, with the command that repeats it.
func readme(c *Certification, again reports.Rejudged, flags []string) string {
	var b strings.Builder
	say := func(format string, args ...any) {
		for i, a := range args {
			if s, ok := a.(string); ok {
				args[i] = reports.OneLine(s, 400)
			}
		}
		fmt.Fprintf(&b, format+"\n", args...)
	}
	say("# %s %s by %s\n", c.Product.Product, c.Product.Version, c.Product.Vendor)
	say("Meets every MUST of the frozen set `%s` that applies to it, as `mcpauth %s` observed it at `%s` on %s.", c.Set,
		c.Tool.Version, c.Identity.Origin, c.Finished.Format(time.DateOnly))
	say("The certificate expires on %s.\n", c.Expires.Format(time.DateOnly))
	say("Verify it, offline:\n\n    mcpauth verify . --key VENDOR.pub\n")
	say("Repeat it, against your own instance:\n\n    %s\n", Command(flags))
	if n := c.Identity.Control; n != nil {
		say("Control of the origin was shown by the nonce `%s` (%s: %s).\n", n.Nonce, n.Method, n.Where)
	}
	say("## Does not apply\n")
	if len(c.NotApplicable) == 0 {
		say("Everything in the set applies.")
	}
	for _, a := range c.NotApplicable {
		say("- %s (%s): %s. Shown by: %s", a.ID, a.Level, strings.TrimSuffix(a.Why, "."), a.Observation)
	}
	say("\n## Judged again\n")
	say("`mcpauth verify` judges again from `%s`: %d verdicts completely, %d in part; %d are attested, not re-judged.", ResultsFile,
		len(again.Whole), len(again.Partly), len(again.Attested))
	if len(again.Attested) > 0 {
		say("Attested, not re-judged:\n")
		for _, id := range slices.Compact(slices.Sorted(slices.Values(again.Attested))) {
			say("- %s", id)
		}
	}
	say("\nA certificate does not prove that what was tested is what you use: see docs/certification.md of the tool.")
	return b.String()
}

// Command returns the command that repeats a certificate: with the same flags, the user's own values, and unsigned.
func Command(flags []string) string {
	words := []string{"mcpauth", "certify"}
	for _, flag := range flags {
		switch name, _, _ := strings.Cut(strings.TrimPrefix(flag, "--"), "="); name {
		case "config":
			words = append(words, "-c", "target.yaml")
		case "i-am-authorized": // whoever repeats it has to say so
		case "key", "passphrase-env", "output", "product", "predicate-only", "subject", "prove-control":
		default:
			words = append(words, reports.ShellQuoted(flag))
		}
	}
	return strings.Join(append(words, "--product", ProductFile, "--predicate-only", "-o", "DIR"), " ")
}
