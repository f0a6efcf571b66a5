// Package certify_test makes certificates for the reference server, and tries to forge others.
package certify_test

import (
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/fixtures/nameserver"
	"github.com/mcpauth/conformance/fixtures/profiles"
	"github.com/mcpauth/conformance/fixtures/requirements"
	"github.com/mcpauth/conformance/fixtures/whole"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/reports/bundle"
	reportjson "github.com/mcpauth/conformance/reports/json"
	"github.com/mcpauth/conformance/suites"
	"github.com/mcpauth/conformance/suites/tests/against"
)

const product = `vendor: Example Ltd
product: Example MCP Server
version: "1.10"
url: https://example.com/mcp
contact: security@example.com
`

// keys makes a key pair; kind is ed25519 or P-256.
func keys(t testing.TB, kind string) (private, public bundle.Key) {
	t.Helper()
	var key any
	var open any
	if kind == "ed25519" {
		pub, k, err := ed25519.GenerateKey(rand.Reader)
		require.NoError(t, err)
		key, open = k, pub
	} else {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		require.NoError(t, err)
		key, open = k, &k.PublicKey
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	private, err = bundle.PrivateKey(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil)
	require.NoError(t, err)
	der, err = x509.MarshalPKIXPublicKey(open)
	require.NoError(t, err)
	public, err = bundle.PublicKey(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	require.NoError(t, err)
	return private, public
}

func setOf(t testing.TB, profile, revision string) profiles.Set {
	t.Helper()
	i := slices.IndexFunc(profiles.Current(), func(s profiles.Set) bool { return s.Profile == profile && s.Revision == revision })
	require.GreaterOrEqual(t, i, 0)
	return profiles.Current()[i]
}

// examine runs a set against a reference as certify does.
func examine(t testing.TB, r *reference.Reference, set profiles.Set) reports.Redacted {
	t.Helper()
	cfg := against.SigningIn(r)
	cfg.Skip, cfg.Only, cfg.Revisions = nil, slices.Concat(set.Musts, set.Shoulds), []string{set.Revision}
	cfg.UserAgent, cfg.Order, cfg.KeepBasis, cfg.Identify = "node", t.Name(), true, true
	run, err := suites.Run(t.Context(), cfg)
	require.NoError(t, err)
	return run
}

func input(run reports.Redacted, set profiles.Set) bundle.Input {
	tool := bundle.Tool{Name: "mcpauth", Version: "1.0.0", Commit: "abc1234", Digest: strings.Repeat("ab", 32), Go: "go1.26",
		OS: "linux", Arch: "amd64"}
	return bundle.Input{
		Product: []byte(product), Run: run, Set: set, Tool: tool, Rejudge: suites.JudgeAgain,
		Target:      bundle.Descriptor{Name: "target.yaml", Digest: map[string]string{"sha256": strings.Repeat("cd", 32)}},
		Environment: bundle.Environment{Tool: tool, Catalogue: requirements.Digest(), Flags: []string{}},
	}
}

func verify(t *testing.T, f bundle.Files, change func(o *bundle.Options)) bundle.Verification {
	t.Helper()
	o := bundle.Options{Now: time.Now(), Unsigned: true, Rejudge: suites.JudgeAgain}
	change(&o)
	return f.Verify(t.Context(), o)
}

func by(key bundle.Key) func(o *bundle.Options) {
	return func(o *bundle.Options) { o.Key, o.Unsigned = &key, false }
}

// The reference gets a certificate for each profile and revision, and each bundle verifies with keys of both kinds.
func TestReferenceIsCertified(t *testing.T) {
	for i, revision := range requirements.Revisions {
		if revision != "2025-11-25" && !whole.All(t) {
			continue
		}
		run := largestRun(t, revision)
		private, public := keys(t, []string{"ed25519", "P-256"}[i%2])
		judgesAlikeAtAnyTime(t, run.Run())
		for _, profile := range profiles.Names() {
			t.Run(profile+"@"+revision, func(t *testing.T) {
				if profile != "resource-server" {
					whole.Only(t)
				}
				set := setOf(t, profile, revision)
				require.Empty(t, bundle.Blocks(run.Run(), &set))
				f, err := bundle.Make(input(run, set))
				require.NoError(t, err)
				require.NoError(t, f.Sign(t.Context(), private))
				dir := t.TempDir() + "/bundle"
				require.NoError(t, f.Write(dir))
				read, found, err := bundle.Read(dir)
				require.NoError(t, err)
				require.Empty(t, found)
				v := verify(t, read, by(public))
				assert.Empty(t, v.Problems)
				assert.True(t, v.OK)
				assert.Equal(t, "unknown build", v.Build)
				require.NotEmpty(t, v.Certification.NotApplicable)
				for _, absent := range v.Certification.NotApplicable {
					assert.NotEmpty(t, absent.Observation, absent.ID)
					assert.Contains(t, string(read[bundle.ReadmeFile]), absent.ID+" (")
				}
				assert.Greater(t, v.Rejudged.Whole, 0)
				t.Logf("%+v", v.Rejudged)
				assert.Equal(t, v.Rejudged, v.Certification.Rejudged)
				assert.Len(t, slices.Compact(slices.Clone(v.Attested)), len(v.Attested))
			})
		}
	}
}

// largestRun is a run of the largest set at a revision, which has the others; in a sample the run of aBundle.
func largestRun(t *testing.T, revision string) reports.Redacted {
	t.Helper()
	if !whole.All(t) {
		return aBundle(t).run
	}
	r := against.Start(t, reference.Ideal()) // a new one: the last run has reached its limits
	return examine(t, r, setOf(t, "server-with-bundled-as", revision))
}

// certified is a valid bundle of the reference, with its signing key and the set.
var certified = sync.OnceValue(func() *sample { return &sample{} })

type sample struct {
	once            sync.Once
	files           bundle.Files
	private, public bundle.Key
	run             reports.Redacted
	text            []byte // the results as written
	set             profiles.Set
	check           sync.Once
	checked         bundle.Verification
}

// verified is a verification with the right key. Tests share it.
func (s *sample) verified(t *testing.T) bundle.Verification {
	t.Helper()
	s.check.Do(func() { s.checked = verify(t, s.files, by(s.public)) })
	return s.checked
}

func aBundle(t *testing.T) *sample {
	t.Helper()
	s := certified()
	s.once.Do(func() {
		s.set = setOf(t, "resource-server", "2025-11-25")
		s.run = examine(t, against.Start(t, reference.Ideal()), s.set)
		s.private, s.public = keys(t, "ed25519")
		f, err := bundle.Make(input(s.run, s.set))
		require.NoError(t, err)
		require.NoError(t, f.Sign(t.Context(), s.private))
		var text bytes.Buffer
		require.NoError(t, reportjson.Write(&text, reports.Excerpt(s.run, s.set.Holds)))
		s.text, s.files = text.Bytes(), f
	})
	require.NotNil(t, s.files)
	return s
}

func reasons(v bundle.Verification) []bundle.Reason {
	var out []bundle.Reason
	for _, p := range v.Problems {
		out = append(out, p.Reason)
	}
	return out
}

// A changed byte is enough: a bit is flipped at the beginning, at the end, and at many places of each file.
func TestAChangedByteIsRefused(t *testing.T) {
	t.Parallel()
	s := aBundle(t)
	want := map[string]bundle.Reason{bundle.ManifestFile: bundle.BadManifest, bundle.SignatureFile: bundle.WrongSignature,
		bundle.PredicateFile: bundle.ChangedFile}
	for _, name := range slices.Sorted(maps.Keys(s.files)) {
		content := s.files[name]
		places := []int{0, len(content) - 1}
		for i := range 20 {
			places = append(places, (i*7919+i*i*31)%len(content))
		}
		for _, at := range places {
			for _, bit := range []byte{1} {
				f := maps.Clone(s.files)
				f[name] = slices.Clone(content)
				f[name][at] ^= bit
				v := verify(t, f, by(s.public))
				require.False(t, v.OK, "%s: byte %d was changed", name, at)
				reason, special := want[name]
				switch {
				case name == bundle.StatementFile: // it may be invalid JSON, name another manifest, or be unsigned
					continue
				case !special:
					reason = bundle.ChangedFile
				}
				require.Contains(t, reasons(v), reason, "%s: byte %d was changed", name, at)
			}
		}
	}
}

func TestFilesThatComeAndGoAreRefused(t *testing.T) {
	t.Parallel()
	s := aBundle(t)
	for _, name := range slices.Sorted(maps.Keys(s.files)) {
		f := maps.Clone(s.files)
		delete(f, name)
		v := verify(t, f, by(s.public))
		missing := bundle.MissingFile
		if name == bundle.SignatureFile {
			missing = bundle.NoSignature
		}
		assert.Contains(t, reasons(v), missing, "without %s", name)
		if slices.Contains(bundle.Described, name) {
			f["x-"+name] = s.files[name]
			v = verify(t, f, by(s.public))
			assert.Equal(t, []bundle.Reason{bundle.RenamedFile}, reasons(v), "%s renamed", name)
		}
	}
	f := maps.Clone(s.files)
	f["notes.txt"] = []byte("hello")
	v := verify(t, f, by(s.public))
	assert.Equal(t, []bundle.Reason{bundle.ExtraFile}, reasons(v))
	assert.Contains(t, v.Problems[0].String(), "notes.txt")
}

func TestOtherKeysAndNone(t *testing.T) {
	t.Parallel()
	s := aBundle(t)
	_, other := keys(t, "ed25519")
	v := verify(t, s.files, by(other))
	assert.Equal(t, []bundle.Reason{bundle.WrongSignature}, reasons(v))
	assert.Contains(t, v.Problems[0].Says, "did not sign it")
	v = verify(t, s.files, func(o *bundle.Options) { o.Unsigned = false })
	assert.Equal(t, []bundle.Reason{bundle.NoKey}, reasons(v))
	f := maps.Clone(s.files)
	delete(f, bundle.SignatureFile)
	v = verify(t, f, func(o *bundle.Options) { o.Unsigned = false })
	assert.Equal(t, []bundle.Reason{bundle.NoSignature}, reasons(v))
	f[bundle.KeylessFile] = []byte("{}")
	v = verify(t, f, func(o *bundle.Options) { o.Unsigned = false })
	require.Equal(t, []bundle.Reason{bundle.NoKey}, reasons(v))
	assert.Contains(t, v.Problems[0].Says, "cosign verify-blob-attestation")
	v = verify(t, s.files, func(*bundle.Options) {})
	assert.True(t, v.OK)
	assert.Equal(t, "left-out", v.Signature)
}

func TestTime(t *testing.T) {
	t.Parallel()
	s := aBundle(t)
	sampled := whole.Sample(t, "after a year", "submitted too late")
	for name, c := range map[string]struct {
		later      time.Duration
		submission bool
		want       []bundle.Reason
	}{
		"today":                  {0, true, nil},
		"after three months":     {91 * 24 * time.Hour, false, nil},
		"submitted too late":     {91 * 24 * time.Hour, true, []bundle.Reason{bundle.TooOld}},
		"after a year":           {366 * 24 * time.Hour, false, []bundle.Reason{bundle.Expired}},
		"before it was made":     {-24 * time.Hour, false, []bundle.Reason{bundle.FromTheFuture}},
		"a clock that goes fast": {-5 * time.Minute, false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			sampled(t, name)
			v := verify(t, s.files, func(o *bundle.Options) { o.Now, o.Submission = time.Now().Add(c.later), c.submission })
			assert.Equal(t, c.want, reasons(v))
		})
	}
}

// forged returns a bundle of a vendor who changes the results before signing.
func forged(t *testing.T, s *sample, change func(run *reports.Run), more ...func(in *bundle.Input)) bundle.Files {
	t.Helper()
	run := resultsOf(t, s)
	change(run)
	in := input(reports.Redact(*run, &reports.Secrets{}), s.set)
	in.Rejudge = func(*reports.Run) reports.Rejudged { return reports.Rejudged{} }
	for _, m := range more {
		m(&in)
	}
	f, err := bundle.Make(in)
	require.NoError(t, err)
	require.NoError(t, f.Sign(t.Context(), s.private))
	return f
}

func resultOf(run *reports.Run, id string) *reports.Result {
	return &run.Results[slices.IndexFunc(run.Results, func(r reports.Result) bool { return r.ID == id })]
}

// judgedBy returns the first judgement of a result on an exchange that can be repeated.
func judgedBy(run *reports.Run, id string) *reports.BasisStep {
	steps := resultOf(run, id).Basis.Steps
	return &steps[slices.IndexFunc(steps, func(s reports.BasisStep) bool { return s.Matcher != nil && s.Exchange > 0 && s.Kind == "refusal" })]
}

// Changes that a vendor could make before signing are detected by judging again, or because the parts of the bundle disagree.
func TestForgeriesAreRefused(t *testing.T) {
	t.Parallel()
	s := aBundle(t)
	sampled := whole.Sample(t, "nothing", "an answer becomes a result", "a MUST is left out", "a set of one's own")
	const id = "RS-AUD-WRONG"
	for name, c := range map[string]struct {
		change func(run *reports.Run)
		input  func(in *bundle.Input)
		reason bundle.Reason
		says   string
	}{
		"nothing": {func(*reports.Run) {}, nil, "", ""},
		"an answer becomes a result": {func(run *reports.Run) {
			ex, _ := run.Exchange(judgedBy(run, id).Exchange)
			ex.Response.Status, ex.Response.Body = 200, `{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}`
		}, nil, bundle.Contradicted, id + " does not follow from its evidence"},
		"a verdict is swapped": {func(run *reports.Run) {
			r := resultOf(run, "RS-MTLS-BINDING")
			r.Verdict, r.Reason, r.Observation = reports.Pass, "", ""
		}, nil, bundle.Contradicted, "RS-MTLS-BINDING"},
		"a failure is left in": {func(run *reports.Run) {
			r := resultOf(run, id)
			r.Verdict, r.Reason = reports.Fail, "it is accepted"
		}, nil, bundle.NotConformant, id + " is not met"},
		"a MUST is left out": {func(run *reports.Run) {
			run.Results = slices.DeleteFunc(run.Results, func(r reports.Result) bool { return r.ID == id })
		}, nil, bundle.NotConformant, id + " was not run"},
		"nothing shows that it does not apply": {func(run *reports.Run) { resultOf(run, "RS-MTLS-BINDING").Observation = "" }, nil,
			bundle.NotConformant, "nothing that was observed shows it"},
		"an exchange is left out": {func(run *reports.Run) {
			n := judgedBy(run, id).Exchange
			run.Exchanges = slices.DeleteFunc(run.Exchanges, func(e reports.Exchange) bool { return e.Number == n })
		}, nil, bundle.Contradicted, "holds no exchange"},
		"a secret is left in": {func(run *reports.Run) {
			run.Exchanges[3].Request.Body = "-----BEGIN PRIVATE" + " KEY-----\nMIIB\n-----END PRIVATE" + " KEY-----"
		}, nil, "", ""}, // it is removed when the report is written: see the next one
		"a secret in PRODUCT.yaml": {func(*reports.Run) {}, func(in *bundle.Input) {
			in.Product = append([]byte("# ghp_"+strings.Repeat("a1B2", 9)+"\n"), in.Product...)
		}, bundle.HoldsSecret, "PRODUCT.yaml"},
		"control that nobody showed": {func(run *reports.Run) {
			run.Identity.Control = &reports.Control{Nonce: strings.Repeat("n", 32), Method: "http", Where: run.Identity.Origin + "/x",
				Exchange: run.Exchanges[0].Number}
		}, nil, bundle.NoControl, "does not show control"},
		"a set of one's own": {func(*reports.Run) {}, func(in *bundle.Input) {
			in.Set.Text = bytes.ReplaceAll(in.Set.Text, []byte("  - "+id+"\n"), nil)
		}, bundle.UnknownSet, "not one of the frozen sets"},
	} {
		t.Run(name, func(t *testing.T) {
			sampled(t, name)
			var more []func(in *bundle.Input)
			if c.input != nil {
				more = append(more, c.input)
			}
			v := verify(t, forged(t, s, c.change, more...), by(s.public))
			if c.reason == "" {
				assert.Empty(t, v.Problems)
				return
			}
			assert.False(t, v.OK)
			assert.True(t, slices.ContainsFunc(v.Problems, func(p bundle.Problem) bool {
				return p.Reason == c.reason &&
					strings.Contains(p.String(), c.says)
			}), "%v", v.Problems)
		})
	}
}

// A bundle of an older or newer build verifies: its catalogue may differ, and matchers that are unknown to this build leave their
// judgements attested.
func TestAnotherBuild(t *testing.T) {
	t.Parallel()
	s := aBundle(t)
	f := forged(t, s, func(run *reports.Run) {
		run.Tool.Version, run.Catalogue = "0.9.1", strings.Repeat("0", 64)
		judgedBy(run, "RS-AUD-WRONG").Matcher.Name = "BeOfTheFuture"
	}, func(in *bundle.Input) {
		in.Rejudge, in.Tool.Version, in.Environment.Tool.Version = suites.JudgeAgain, "0.9.1", "0.9.1"
		in.Environment.Catalogue = strings.Repeat("0", 64)
	})
	v := verify(t, f, by(s.public))
	assert.Empty(t, v.Problems)
	assert.Equal(t, s.verified(t).Rejudged.Recomputed-1, v.Rejudged.Recomputed)
}

// If the code of a judge has changed, a judgement with another outcome is not proof of a forgery, and not a certificate either.
func TestAnotherJudge(t *testing.T) {
	t.Parallel()
	s := aBundle(t)
	const id = "RS-AUD-WRONG"
	served := func(run *reports.Run) {
		ex, _ := run.Exchange(judgedBy(run, id).Exchange)
		ex.Response.Status, ex.Response.Body = 200, `{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}`
	}
	const other = "0123456789abcdef"
	sampled := whole.Sample(t, "other code, another judgement", "other code in the area of the id")
	for name, c := range map[string]struct {
		change func(run *reports.Run)
		want   []bundle.Reason
	}{
		"the same code":                    {served, contradicted},
		"other code, the same judgements":  {func(run *reports.Run) { run.Judges = map[string]string{"internal": other} }, nil},
		"other code, another judgement":    {func(run *reports.Run) { served(run); run.Judges["internal"] = other }, otherJudges},
		"a build that said no version":     {func(run *reports.Run) { served(run); run.Judges = nil }, otherJudges},
		"other code in the area of the id": {func(run *reports.Run) { anotherArea(run); run.Judges["tokenvalidation"] = other }, otherJudges},
		"other code in another area":       {func(run *reports.Run) { anotherArea(run); run.Judges["token"] = other }, contradicted},
	} {
		t.Run(name, func(t *testing.T) {
			sampled(t, name)
			v := verify(t, forged(t, s, c.change), by(s.public))
			assert.Equal(t, c.want, reasons(v))
			if slices.Equal(c.want, otherJudges) {
				assert.Contains(t, v.Problems[0].Says, "verify it with mcpauth 1.0.0 (commit abc1234)")
			}
		})
	}
}

var contradicted, otherJudges = []bundle.Reason{bundle.Contradicted}, []bundle.Reason{bundle.OtherJudges}

// anotherArea inverts a judgement of a matcher of the area tokenvalidation.
func anotherArea(run *reports.Run) {
	for i := range run.Results {
		if b := run.Results[i].Basis; b != nil && run.Results[i].Verdict == reports.Pass {
			for j := range b.Steps {
				s := &b.Steps[j]
				if s.Matcher != nil && s.Subject != nil && s.Outcome == reports.StepMet && strings.HasPrefix(s.Matcher.Name, "tokenvalidation/") {
					s.Outcome = reports.StepUnmet
					return
				}
			}
		}
	}
	panic("no judgement of tokenvalidation")
}

// One flaw prevents the certificate, and the sentence about what is missing begins with what to do.
func TestFlawsAndGapsAreNotCertified(t *testing.T) {
	t.Parallel()
	set := setOf(t, "resource-server", "2025-11-25")
	examined := set
	if !whole.All(t) { // enough for the sentences below
		examined.Musts, examined.Shoulds = []string{"RS-CHALLENGE-401-STATUS", "RS-SCOPE-*"}, nil
	}
	o := reference.Ideal()
	o.Policy.Status = 403
	run := examine(t, against.Start(t, o), examined)
	blocks := bundle.Blocks(run.Run(), &set)
	assert.True(t, slices.ContainsFunc(blocks, func(b string) bool {
		return strings.HasPrefix(b,
			"RS-CHALLENGE-401-STATUS is not met (FAIL): ")
	}), blocks)

	cfg := against.WithToken(against.Start(t, reference.Ideal()))
	cfg.Only, cfg.Revisions = slices.Concat(examined.Musts, examined.Shoulds), []string{set.Revision}
	cfg.KeepBasis, cfg.Identify = true, true
	run, err := suites.Run(t.Context(), cfg)
	require.NoError(t, err)
	blocks = bundle.Blocks(run.Run(), &set)
	assert.True(t, slices.ContainsFunc(blocks, func(b string) bool { return strings.Contains(b, " were not tested: it needs ") }), blocks)
}

// A server without a feature gets a certificate that says so.
func TestACertificateSaysWhatDoesNotApply(t *testing.T) {
	whole.Only(t) // TestReferenceIsCertified has what does not apply to every server
	set := setOf(t, "resource-server", "2025-11-25")
	o := reference.Ideal()
	o.Policy.Sessions = false
	run := examine(t, against.Start(t, o), set)
	require.Empty(t, bundle.Blocks(run.Run(), &set))
	f, err := bundle.Make(input(run, set))
	require.NoError(t, err)
	v := verify(t, f, func(*bundle.Options) {})
	require.Empty(t, v.Problems)
	absent := v.Certification.NotApplicable
	i := slices.IndexFunc(absent, func(a bundle.Absent) bool { return strings.HasPrefix(a.ID, "RS-SESSION-") })
	require.GreaterOrEqual(t, i, 0, absent)
	assert.NotEmpty(t, absent[i].Observation)
	assert.Contains(t, string(f[bundle.ReadmeFile]), absent[i].ID+" (MUST): ")
	assert.NotContains(t, v.Certification.Product.Folder(), " ")
}

// The badge and the summary need a verification with a signature. The badge is grey once the certificate has expired.
func TestBadgeAndSummary(t *testing.T) {
	t.Parallel()
	s := aBundle(t)
	v := s.verified(t)
	text, err := bundle.BadgeJSON(&v)
	require.NoError(t, err)
	assert.Contains(t, string(text), `"message": "resource-server 2025-11-25, `+time.Now().UTC().Format(time.DateOnly)+`, self-attested"`)
	assert.Contains(t, string(text), `"color": "brightgreen"`)
	svg, err := bundle.BadgeSVG(&v)
	require.NoError(t, err)
	assert.Contains(t, string(svg), "self-attested</text>")
	summary, err := bundle.Summarise(&v, s.files, "1.0.0")
	require.NoError(t, err)
	assert.Contains(t, string(summary), `"https://in-toto.io/attestation/svr/v0.2"`)
	assert.Contains(t, string(summary), `"MCPAUTH_RESOURCE_SERVER_2025_11_25"`)
	assert.Contains(t, string(summary), bundle.Digest(s.files[bundle.ManifestFile]))

	late := verify(t, s.files, func(o *bundle.Options) { by(s.public)(o); o.Now = time.Now().Add(400 * 24 * time.Hour) })
	text, err = bundle.BadgeJSON(&late)
	require.NoError(t, err)
	assert.Contains(t, string(text), `"color": "lightgrey"`)
	_, err = bundle.Summarise(&late, s.files, "1.0.0")
	assert.ErrorContains(t, err, "expired")

	unsigned := verify(t, s.files, func(*bundle.Options) {})
	_, err = bundle.BadgeSVG(&unsigned)
	assert.ErrorContains(t, err, "signature")
	_, other := keys(t, "P-256")
	wrong := verify(t, s.files, by(other))
	_, err = bundle.BadgeJSON(&wrong)
	assert.ErrorContains(t, err, "does not verify")
	_, err = bundle.Summarise(&wrong, s.files, "1.0.0")
	assert.Error(t, err)

	witnessed := verify(t, s.files, func(o *bundle.Options) {
		o.Check = func(bundle.Files) (bundle.Signer, error) {
			return bundle.Signer{Identity: "https://github.com/example/repo/.github/workflows/certify.yml@refs/heads/main", Witnessed: true}, nil
		}
	})
	text, err = bundle.BadgeJSON(&witnessed)
	require.NoError(t, err)
	assert.Contains(t, string(text), "witnessed")
	refused := verify(t, s.files, func(o *bundle.Options) {
		o.Check = func(bundle.Files) (bundle.Signer, error) { return bundle.Signer{}, fmt.Errorf("no such identity") }
	})
	assert.Equal(t, []bundle.Reason{bundle.WrongSignature}, reasons(refused))
}

// A certificate names what was tested, and a nonce proves control of it.
func TestIdentityAndControl(t *testing.T) {
	t.Parallel()
	nonce := strings.Repeat("q7", 16)
	set := setOf(t, "resource-server", "2025-11-25")
	for name, c := range map[string]struct {
		served string
		shown  bool
	}{"the nonce": {nonce + "\n", true}, "another": {"x" + nonce, false}, "none": {"", false}} {
		t.Run(name, func(t *testing.T) {
			o := reference.Ideal()
			o.Host, o.Wrap = "mcp.example.com", serving(reports.ControlPath+nonce, c.served)
			r := against.Start(t, o)
			cfg := against.SigningIn(r)
			cfg.Documents = nil
			cfg.Only, cfg.Revisions, cfg.KeepBasis, cfg.Identify, cfg.ProveControl = []string{"RS-CHALLENGE-401-STATUS"},
				[]string{set.Revision}, true, true, nonce
			run, err := suites.Run(t.Context(), cfg)
			if !c.shown {
				require.ErrorContains(t, err, "control of https://mcp.example.com")
				assert.ErrorContains(t, err, nonce)
				return
			}
			require.NoError(t, err)
			id := run.Run().Identity
			assert.Regexp(t, `^https://mcp\.example\.com`, id.Origin)
			assert.Regexp(t, `^[0-9a-f]{64}$`, id.LeafKey)
			assert.NotEmpty(t, id.Resource)
			assert.NotEmpty(t, id.Issuers)
			assert.NotEmpty(t, id.Version)
			require.NotNil(t, id.Control)
			ex, ok := run.Run().Exchange(id.Control.Exchange)
			require.True(t, ok)
			assert.Contains(t, ex.Response.Body, nonce)
		})
	}
}

// Only the right TXT record of the host proves control, as well as a file does.
func TestControlByARecord(t *testing.T) {
	t.Parallel()
	nonce := strings.Repeat("q7", 16)
	for name, c := range map[string]struct {
		host    string
		records []string
		says    string // empty: control is proven
	}{
		"the nonce":                    {"mcp.example.com", []string{nonce}, ""},
		"beside others":                {"mcp.example.com", []string{"v=spf1 -all", nonce}, ""},
		"part of a text":               {"mcp.example.com", []string{"mcpauth=" + nonce}, "the record: 1 text, none with the nonce alone"},
		"of the parent domain":         {"example.com", []string{nonce}, "no such host"},
		"no record":                    {"mcp.example.com", nil, "no such host"},
		"of another host at this host": {"mcp.example.com.evil.test", []string{nonce}, "no such host"},
	} {
		t.Run(name, func(t *testing.T) {
			dns, err := nameserver.Serve("127.0.0.1:0", func(string, bool) ([]netip.Addr, bool) { return nil, true })
			require.NoError(t, err)
			t.Cleanup(dns.Close)
			dns.Hold(reports.ControlRecord+c.host, c.records...)
			o := reference.Ideal()
			o.Host = "mcp.example.com"
			cfg := against.SigningIn(against.Start(t, o))
			cfg.Documents, cfg.NameServer = nil, dns.Address()
			cfg.Only, cfg.Identify, cfg.ProveControl = []string{"RS-CHALLENGE-401-STATUS"}, true, nonce
			run, err := suites.Run(t.Context(), cfg)
			if c.says != "" {
				require.ErrorContains(t, err, "control of https://mcp.example.com")
				assert.ErrorContains(t, err, c.says)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, &reports.Control{Nonce: nonce, Method: "dns", Where: "_mcpauth-challenge.mcp.example.com", Record: nonce},
				run.Run().Identity.Control)
		})
	}
}

// A bundle whose record proves control says so, and that it cannot be checked again; a record that proves nothing is rejected.
func TestRecordsInABundle(t *testing.T) {
	t.Parallel()
	s := aBundle(t)
	nonce := strings.Repeat("q7", 16)
	host := resultsOf(t, s).Identity.Origin
	host = host[strings.Index(host, "://")+3 : strings.LastIndex(host, ":")]
	sampled := whole.Sample(t, "of the host", "of another host")
	for name, c := range map[string]struct {
		control reports.Control
		shown   bool
	}{
		"of the host":     {reports.Control{Nonce: nonce, Method: "dns", Where: "_mcpauth-challenge." + host, Record: nonce}, true},
		"of another host": {reports.Control{Nonce: nonce, Method: "dns", Where: "_mcpauth-challenge.evil.test", Record: nonce}, false},
		"another record":  {reports.Control{Nonce: nonce, Method: "dns", Where: "_mcpauth-challenge." + host, Record: "x"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			sampled(t, name)
			f := forged(t, s, func(run *reports.Run) { run.Identity.Control = &c.control })
			v := verify(t, f, by(s.public))
			if !c.shown {
				assert.Equal(t, []bundle.Reason{bundle.NoControl}, reasons(v))
				return
			}
			assert.Empty(t, v.Problems)
			assert.Contains(t, strings.Join(v.Notices, "\n"), "a DNS record, which is attested")
			summary, err := bundle.Summarise(&v, f, "1.0.0")
			require.NoError(t, err)
			assert.Contains(t, string(summary), "MCPAUTH_CONTROL_SHOWN")
		})
	}
}

// The packed results can be read again, and contain nothing else.
func TestResultsAreTheExcerpt(t *testing.T) {
	t.Parallel()
	s := aBundle(t)
	z, err := gzip.NewReader(bytes.NewReader(s.files[bundle.ResultsFile]))
	require.NoError(t, err)
	text, err := io.ReadAll(z)
	require.NoError(t, err)
	run, err := reportjson.Read(bytes.NewReader(text))
	require.NoError(t, err)
	cited := map[int]bool{}
	for _, r := range run.Run().Results {
		assert.True(t, s.set.Holds(r.ID), r.ID)
		for _, n := range r.Evidence {
			cited[n] = true
		}
	}
	for _, e := range run.Run().Exchanges {
		assert.True(t, cited[e.Number], "no result cites exchange %d", e.Number)
		for _, f := range e.Request.Header {
			if strings.EqualFold(f.Name, "User-Agent") {
				assert.NotContains(t, f.Value, "mcpauth")
			}
		}
	}
	assert.Empty(t, run.Run().Target.File)
	assert.Empty(t, run.Run().Screenshots)
}

// A bundle does not contain a key from the query of the target's URL.
func TestNoKeyOfTheQueryInABundle(t *testing.T) {
	t.Parallel()
	const key = "canary-9Kx2mQ7vTz4LpW8s"
	set := setOf(t, "resource-server", "2025-11-25")
	o := reference.Ideal()
	o.Wrap = saying(key)
	cfg := against.SigningIn(against.Start(t, o))
	cfg.URL += "?tenant=acme&api_key=" + key
	cfg.Only, cfg.Revisions, cfg.KeepBasis, cfg.Identify = slices.Concat(set.Musts, set.Shoulds), []string{set.Revision}, true, true
	if !whole.All(t) {
		cfg.Only = []string{"RS-CHALLENGE-*", "RS-DISC-*", "RS-TRANSPORT-*"}
	}
	run, err := suites.Run(t.Context(), cfg)
	require.NoError(t, err)
	files, err := bundle.Make(input(run, set))
	require.NoError(t, err)
	for name, text := range unpacked(t, files) {
		for spelling, value := range map[string]string{"as it is": key, "in base64": base64.StdEncoding.EncodeToString([]byte(key)),
			"in hex": hex.EncodeToString([]byte(key))} {
			assert.NotContains(t, text, value, "%s, %s", name, spelling)
		}
	}
	assert.Contains(t, unpacked(t, files)["the bundle's "+bundle.ResultsFile], "api_key=redacted-")
}

// saying makes a server repeat a key of its URL in a header field.
func saying(key string) func(http.Handler) http.Handler {
	return func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("api_key") == key {
				w.Header().Set("X-Key", base64.StdEncoding.EncodeToString([]byte(key)))
				w.Header().Set("Link", "<"+r.URL.String()+">; rel=self")
			}
			h.ServeHTTP(w, r)
		})
	}
}

// unpacked returns the files of a bundle by name.
func unpacked(t *testing.T, files bundle.Files) map[string]string {
	t.Helper()
	out := map[string]string{}
	for name, b := range files {
		if name == bundle.ResultsFile {
			z, err := gzip.NewReader(bytes.NewReader(b))
			require.NoError(t, err)
			b, err = io.ReadAll(z)
			require.NoError(t, err)
		}
		out["the bundle's "+name] = string(b)
	}
	return out
}

// No file of a bundle contains a secret of the run, in any encoding, whole or in halves: bundles are published.
func TestNoSecretInABundle(t *testing.T) {
	whole.Only(t)
	t.Parallel()
	set := setOf(t, "server-with-bundled-as", "2025-11-25")
	as := func(c *suites.Config) {
		c.Skip, c.Only, c.Revisions = nil, slices.Concat(set.Musts, set.Shoulds), []string{set.Revision}
		c.UserAgent, c.Order, c.Driver = "node", t.Name(), "form"
	}
	texts := func(run reports.Redacted) map[string]string {
		f, err := bundle.Make(input(run, set))
		require.NoError(t, err)
		out := unpacked(t, f)
		require.Contains(t, out["the bundle's "+bundle.ResultsFile], `"exchanges"`)
		return out
	}
	against.NoSecretIn(t, func(*reference.Options) {}, as, texts, "access_token", "refresh_token", "code", "code_verifier", "client_secret",
		"cookie", "bearer")
}
