package bundle

import (
	"bytes"
	"cmp"
	"context"
	"encoding/xml"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/mcpauth/conformance/fixtures/profiles"
	"github.com/mcpauth/conformance/fixtures/releases"
	"github.com/mcpauth/conformance/reports"
	reportjson "github.com/mcpauth/conformance/reports/json"
)

// Reason is a word for why a bundle does not verify.
type Reason string

// The reasons.
const (
	MissingFile    Reason = "missing-file"
	ExtraFile      Reason = "extra-file"
	RenamedFile    Reason = "renamed-file"
	ChangedFile    Reason = "changed-file"
	BadManifest    Reason = "manifest"
	BadProduct     Reason = "product"
	BadStatement   Reason = "statement"
	NoSignature    Reason = "no-signature"
	NoKey          Reason = "no-key"
	WrongSignature Reason = "signature"
	UnknownSet     Reason = "unknown-set"
	BadResults     Reason = "results"
	Contradicted   Reason = "contradicted" // a verdict does not follow from its evidence
	OtherJudges    Reason = "other-judges" // the same, judged by other code than that of the certificate
	NotConformant  Reason = "not-conformant"
	NoControl      Reason = "control"
	HoldsSecret    Reason = "secret"
	FromTheFuture  Reason = "from-the-future"
	TooOld         Reason = "too-old" // for a submission
	Expired        Reason = "expired"
)

// Problem is a reason why a bundle does not verify.
type Problem struct {
	Reason Reason `json:"reason"`
	File   string `json:"file,omitempty"`
	Says   string `json:"says"`
}

func (p Problem) String() string {
	if p.File == "" {
		return reports.OneLine(p.Says, 600)
	}
	return reports.OneLine(p.File+": "+p.Says, 600)
}

// UnknownBuild means that no release made the bundle.
const UnknownBuild = "unknown build"

// Options say how a bundle is verified.
type Options struct {
	Now time.Time
	// Submission requires that the bundle is fresh.
	Submission bool
	// Key is the vendor's; nil if Check checks the signature, or nothing does.
	Key *Key
	// Check checks another kind of signature, and returns the signer.
	Check func(f Files) (Signer, error)
	// Unsigned does not check the signature.
	Unsigned bool
	// Rejudge judges the verdicts again (suites.JudgeAgain).
	Rejudge func(run *reports.Run) reports.Rejudged
	// Releases are the released binaries; nil: those that this build knows.
	Releases releases.List
}

// Signer is the signer of a bundle.
type Signer struct {
	Key      string `json:"key,omitempty"`
	Identity string `json:"identity,omitempty"` // of a certificate
	Issuer   string `json:"issuer,omitempty"`
	// Witnessed says that a CI system has signed, not the vendor.
	Witnessed bool `json:"witnessed"`
}

// Verification is the result of verifying a bundle.
type Verification struct {
	OK       bool      `json:"ok"`
	Problems []Problem `json:"problems"`
	Notices  []string  `json:"notices"`
	// Signature is verified, left-out or failed.
	Signature string `json:"signature"`
	Signer    Signer `json:"signer"`
	// SignedByKey says that there is a signature by a key, which was not checked.
	SignedByKey bool `json:"-"`
	// Build is the release that made the bundle, or "unknown build".
	Build         string         `json:"build"`
	Manifest      string         `json:"manifest_sha256"`
	Certification *Certification `json:"certification"` // nil if the statement cannot be read
	Rejudged      Counts         `json:"rejudged"`
	// Attested are the ids of verdicts without any judgement that was repeated. Because says why, also for those that were judged again in
	// part.
	Attested []string          `json:"attested_not_rejudged"`
	Because  map[string]string `json:"not_rejudged_because"`
	At       time.Time         `json:"verified_at"`
}

// verifier verifies one bundle.
type verifier struct {
	Verification
	files     Files
	o         Options
	statement Statement
	set       profiles.Set
	results   []byte // unpacked
	unpacking error  // why they could not be unpacked
	run       *reports.Run
}

func (v *verifier) add(r Reason, file, format string, args ...any) {
	v.Problems = append(v.Problems, Problem{r, file, fmt.Sprintf(format, args...)})
}

// Verify verifies a bundle without the network. found are the problems of Read.
func (f Files) Verify(ctx context.Context, o Options, found ...Problem) Verification {
	v := &verifier{files: f, o: o}
	v.Problems, v.Notices, v.Attested, v.Build, v.Signature, v.At = append([]Problem{}, found...), []string{}, []string{},
		UnknownBuild, "failed", o.Now.UTC().Truncate(time.Second)
	v.manifest()
	if v.readStatement() {
		v.signature(ctx)
		v.age()
	}
	if v.whole() {
		v.secrets()
		if v.readSet() && v.readResults() {
			v.claims()
			v.judgeAgain()
			v.control()
		}
	} else {
		v.Notices = append(v.Notices, "the results were not read: the bundle is not as it was made")
	}
	v.OK = len(v.Problems) == 0
	return v.Verification
}

// whole reports whether the files are the signed ones: the results of another bundle are not read.
func (v *verifier) whole() bool {
	return !slices.ContainsFunc(v.Problems, func(p Problem) bool {
		return slices.Contains([]Reason{MissingFile, ExtraFile, RenamedFile, ChangedFile, BadManifest, BadStatement, WrongSignature}, p.Reason)
	})
}

// manifest compares the files with the manifest.
func (v *verifier) manifest() {
	var m Manifest
	b, ok := v.files[ManifestFile]
	if !ok {
		v.add(MissingFile, ManifestFile, "it is missing")
		return
	}
	v.Manifest = Digest(b)
	if err := unmarshal(b, &m); err != nil || m.Version != 1 {
		v.add(BadManifest, ManifestFile, "it is not a manifest of version 1")
		return
	}
	listed := map[string]Entry{}
	for _, e := range m.Files {
		listed[e.Name] = e
	}
	for _, name := range Described {
		if _, ok := listed[name]; !ok {
			v.add(BadManifest, ManifestFile, "it does not list %s", name)
		}
	}
	moved := map[string]bool{}
	for _, e := range m.Files {
		switch b, there := v.files[e.Name]; {
		case !slices.Contains(Described, e.Name):
			v.add(BadManifest, ManifestFile, "it lists %s, which is not part of a bundle", e.Name)
		case !there:
			if to := v.sameAs(e, listed); to != "" {
				moved[to] = true
				v.add(RenamedFile, e.Name, "it has become %s", to)
				continue
			}
			v.add(MissingFile, e.Name, "it is missing, and the manifest lists it")
		case len(b) != e.Size || Digest(b) != e.SHA256:
			v.add(ChangedFile, e.Name, "its content is not that of the manifest: it has changed since")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(v.files)) {
		if _, known := listed[name]; !known && !slices.Contains(Around, name) && !moved[name] {
			v.add(ExtraFile, name, "the manifest does not list it")
		}
	}
}

// sameAs returns an unlisted file with the content of a listed one, or "".
func (v *verifier) sameAs(e Entry, listed map[string]Entry) string {
	for _, name := range slices.Sorted(maps.Keys(v.files)) {
		if _, known := listed[name]; !known && Digest(v.files[name]) == e.SHA256 {
			return name
		}
	}
	return ""
}

// secrets searches every file for texts in the form of a secret.
func (v *verifier) secrets() {
	for _, name := range slices.Sorted(maps.Keys(v.files)) {
		b := v.files[name]
		if name == ResultsFile {
			if v.results, v.unpacking = unpack(b); v.unpacking == nil {
				b = v.results
			}
		}
		if name == SignatureFile || name == KeylessFile {
			continue // base64, whose content is in the statement
		}
		if found := reports.SecretsIn(string(b)); len(found) > 0 {
			v.add(HoldsSecret, name, "it holds %s: a bundle is published, and nothing in it may be secret", strings.Join(found, ", "))
		}
	}
}

// readStatement reads the statement, and compares it with the manifest and the predicate.
func (v *verifier) readStatement() bool {
	b, ok := v.files[StatementFile]
	if !ok {
		v.add(MissingFile, StatementFile, "it is missing")
		return false
	}
	if err := unmarshal(b, &v.statement); err != nil {
		v.add(BadStatement, StatementFile, "it is not a statement of this tool: %v", err)
		return false
	}
	s := &v.statement
	switch {
	case s.Type != StatementType || s.PredicateType != PredicateType:
		v.add(BadStatement, StatementFile, "it is not an in-toto statement about a test result")
		return false
	case len(s.Subject) == 0 || s.Subject[0].Name != ManifestFile || s.Subject[0].Digest["sha256"] != v.Manifest:
		v.add(BadManifest, ManifestFile, "it is not the manifest that the statement speaks of")
	}
	v.Certification = &s.Predicate.Certification
	if again, err := marshal(s.Predicate); v.files[PredicateFile] == nil || err != nil || !bytes.Equal(again, v.files[PredicateFile]) {
		if v.files[PredicateFile] == nil {
			v.add(MissingFile, PredicateFile, "it is missing")
		} else {
			v.add(ChangedFile, PredicateFile, "it is not the predicate of %s", StatementFile)
		}
	}
	v.lookUpBuild()
	return true
}

// lookUpBuild names the release that made the certificate.
func (v *verifier) lookUpBuild() {
	known, tool := v.o.Releases, &v.Certification.Tool
	if known == nil {
		known = releases.Known()
	}
	if name, ok := known[tool.Digest]; ok {
		v.Build = name
		return
	}
	v.Notices = append(v.Notices, fmt.Sprintf("unknown build: %s with the SHA-256 %s, which made the certificate, is not a release that this "+
		"build knows", tool.Version, tool.Digest))
}

func (v *verifier) signature(ctx context.Context) {
	switch {
	case v.o.Check != nil:
		signer, err := v.o.Check(v.files)
		if err != nil {
			v.add(WrongSignature, KeylessFile, "%v", err)
			return
		}
		v.Signature, v.Signer = "verified", signer
	case v.o.Key != nil:
		if v.files[SignatureFile] == nil {
			v.add(NoSignature, SignatureFile, "it is missing: the bundle is not signed with a key")
			return
		}
		if why := v.files.signedBy(ctx, *v.o.Key); why != "" {
			v.add(WrongSignature, SignatureFile, "%s", why)
			return
		}
		v.Signature, v.Signer = "verified", Signer{Key: v.o.Key.ID()}
	case v.o.Unsigned:
		v.Signature, v.SignedByKey = "left-out", v.files[SignatureFile] != nil
	case v.files[SignatureFile] != nil:
		v.add(NoKey, SignatureFile, "the signature was not checked: give the vendor's public key with --key, or leave it out with --unsigned")
	case v.files[KeylessFile] != nil:
		v.add(NoKey, KeylessFile, "the signature was not checked: run mcpauth-verify-keyless, or leave it out with --unsigned and run %s",
			CosignCommand)
	default:
		v.add(NoSignature, SignatureFile, "it is missing: the bundle is not signed")
	}
}

// CosignCommand verifies the signature of a bundle that was signed without a key.
const CosignCommand = "cosign verify-blob-attestation --bundle " + KeylessFile + " --type " + PredicateType +
	" --certificate-identity IDENTITY --certificate-oidc-issuer ISSUER " + ManifestFile

func (v *verifier) age() {
	c := v.Certification
	switch now := v.o.Now; {
	case c.Finished.After(now.Add(10 * time.Minute)):
		v.add(FromTheFuture, "", "the certificate was made at %s, which is in the future", c.Finished.Format(time.RFC3339))
	case !now.Before(c.Expires):
		v.add(Expired, "", "the certificate has expired on %s", c.Expires.Format(time.DateOnly))
	case v.o.Submission && now.Sub(c.Finished) > Freshness:
		v.add(TooOld, "", "the certificate was made on %s: a submission is at most %d days old", c.Finished.Format(time.DateOnly),
			int(Freshness.Hours()/24))
	}
}

// readSet finds the set among those that are compiled in.
func (v *verifier) readSet() bool {
	c := v.Certification
	set, ok := profiles.ByDigest(Digest(v.files[SetFile]))
	switch {
	case !ok:
		v.add(UnknownSet, SetFile, "it is not one of the frozen sets that this build knows (mcpauth list --sets)")
	case set.Name() != c.Set || set.Profile != c.Profile || set.Revision != c.Revision:
		v.add(BadStatement, StatementFile, "it speaks of the set %s, and the bundle holds %s", c.Set, set.Name())
		return false
	case set.ReplacedBy != "":
		v.Notices = append(v.Notices, fmt.Sprintf("the set %s has been replaced by %s: %s", set.Name(), set.ReplacedBy, why(set.ReplacedBy)))
	}
	v.set = set
	return ok
}

// why returns the reason why a set replaces another.
func why(name string) string {
	for _, s := range profiles.Sets() {
		if s.Name() == name {
			return s.Why
		}
	}
	return ""
}

func (v *verifier) readResults() bool {
	if v.unpacking != nil {
		v.add(BadResults, ResultsFile, "it cannot be unpacked: %v", v.unpacking)
		return false
	}
	run, err := reportjson.Read(bytes.NewReader(v.results))
	v.results = nil
	if err != nil {
		v.add(BadResults, ResultsFile, "it cannot be read: %v", err)
		return false
	}
	v.run = run.Run()
	return true
}

// claims compares the statement and the other reports with the results.
func (v *verifier) claims() {
	product, err := ReadProduct(ProductFile, v.files[ProductFile])
	if err != nil {
		v.add(BadProduct, ProductFile, "%s", strings.TrimPrefix(err.Error(), ProductFile+":"))
	}
	c := v.Certification
	if v.run.Identity == nil {
		v.add(BadResults, ResultsFile, "it does not say what was tested")
		return
	}
	for _, why := range Blocks(v.run, &v.set) {
		v.add(NotConformant, ResultsFile, "%s", why)
	}
	if i := slices.IndexFunc(v.run.Results, func(r reports.Result) bool {
		return !v.set.Holds(r.ID) || !slices.Contains(r.Revisions, v.set.Revision)
	}); i >= 0 {
		v.add(BadResults, ResultsFile, "%s is not part of the set at this revision", v.run.Results[i].ID)
	}
	var env Environment
	if err := unmarshal(v.files[EnvironmentFile], &env); err != nil || env.Tool != c.Tool || env.Catalogue != c.Catalogue {
		v.add(BadStatement, EnvironmentFile, "it does not fit the statement")
	}
	if len(v.statement.Predicate.Configuration) != 4 {
		v.add(BadStatement, StatementFile, "its configuration does not name the set, the tool, the target file and the catalogue")
		return
	}
	in := Input{Set: v.set, Tool: c.Tool, Target: v.statement.Predicate.Configuration[2], Image: c.Image, NotScored: c.NotScored}
	want := statementOf(in, product, v.run, reports.Rejudged{})
	want.Predicate.Certification.Rejudged = c.Rejudged // this depends on the build
	if again, err := marshal(want.Predicate); err != nil || !bytes.Equal(again, v.files[PredicateFile]) {
		v.add(BadStatement, StatementFile, "it says something else than the results: %s", differs(want.Predicate, v.statement.Predicate))
	}
	v.cases()
}

// differs names the difference of two predicates.
func differs(want, got Predicate) string {
	for _, p := range []struct {
		name      string
		want, got any
	}{
		{"result", want.Result, got.Result}, {"passedTests", want.PassedTests, got.PassedTests}, {"warnedTests", want.WarnedTests,
			got.WarnedTests},
		{"failedTests", want.FailedTests, got.FailedTests},
		{"configuration", want.Configuration, got.Configuration},
		{"what does not apply", want.Certification.NotApplicable, got.Certification.NotApplicable},
		{"product", want.Certification.Product, got.Certification.Product},
		{"identity", want.Certification.Identity, got.Certification.Identity},
		{"times", [3]time.Time{want.Certification.Started, want.Certification.Finished, want.Certification.Expires},
			[3]time.Time{got.Certification.Started, got.Certification.Finished, got.Certification.Expires}},
	} {
		if reports.TextOf(p.want) != reports.TextOf(p.got) {
			return p.name
		}
	}
	return "certification"
}

// cases compares the JUnit report with the results.
func (v *verifier) cases() {
	var all struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Errors   int `xml:"errors,attr"`
	}
	if err := xml.Unmarshal(v.files[JUnitFile], &all); err != nil || all.Failures+all.Errors > 0 || all.Tests != len(v.run.Results) {
		v.add(BadResults, JUnitFile, "it says something else than the results")
	}
}

func (v *verifier) judgeAgain() {
	again := v.o.Rejudge(v.run)
	v.Rejudged, v.Because = countsOf(again), again.Because
	v.Attested = slices.Compact(slices.Sorted(slices.Values(again.Attested)))
	if v.Attested == nil {
		v.Attested = []string{}
	}
	for _, c := range again.Contradictions {
		if c.OtherJudge {
			tool := &v.Certification.Tool
			v.add(OtherJudges, ResultsFile, "this build judges %s otherwise, by other code than that of the certificate: verify it with mcpauth %s "+
				"(commit %s), which tells whether the certificate is wrong: %s", c.ID, tool.Version, cmp.Or(tool.Commit, "unknown"), c.Says)
			continue
		}
		v.add(Contradicted, ResultsFile, "%s does not follow from its evidence: %s", c.ID, c.Says)
	}
	if said := v.Certification.Rejudged; v.Rejudged.Recomputed < said.Recomputed && len(again.Contradictions) == 0 {
		v.Notices = append(v.Notices, fmt.Sprintf("this build makes %d judgements again, that of the certificate made %d: some are of later code",
			v.Rejudged.Recomputed, said.Recomputed))
	}
}

// control checks the proof of control of the origin again.
func (v *verifier) control() {
	id := v.run.Identity
	c := id.Control
	if c == nil {
		v.Notices = append(v.Notices, "nothing shows that the vendor controls "+id.Origin+" (--prove-control)")
		return
	}
	shown := false
	switch origin, err := url.Parse(id.Origin); {
	case err != nil:
	case c.Method == "http":
		ex, ok := v.run.Exchange(c.Exchange)
		shown = ok && ex.Response != nil && ex.Response.Status == 200 && ex.Request.URL == id.Origin+reports.ControlPath+c.Nonce &&
			c.Where == ex.Request.URL &&
			strings.TrimSpace(ex.Response.Body) == c.Nonce
	case c.Method == "dns":
		shown = c.Record == c.Nonce && c.Where == reports.ControlRecord+origin.Hostname()
		v.Notices = append(v.Notices, "control of the origin rests on a DNS record, which is attested, not re-judged")
	}
	if !shown {
		v.add(NoControl, ResultsFile, "what is recorded does not show control of %s", id.Origin)
	}
}
