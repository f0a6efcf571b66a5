package bundle_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fixtures/costs"
	"github.com/mcpauth/conformance/fixtures/profiles"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/reports/bundle"
)

const anyProduct = "vendor: Example Ltd\nproduct: Example\nversion: 1.10\nurl: https://example.com/mcp\ncontact: a@example.com\n"

// Reading any PRODUCT.yaml takes memory and time in proportion to it, and the result names a folder.
func FuzzProduct(f *testing.F) {
	f.Add(anyProduct)
	f.Add("a: &a [*a]\n" + strings.Repeat("[", 200))
	f.Add("a: &a x\nb: &b [*a,*a]\nc: [*b,*b]\n")
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 1<<20 {
			t.Skip()
		}
		var p bundle.Product
		var err error
		costs.Bounded(t, len(text), 2000, func() { p, err = bundle.ReadProduct("PRODUCT.yaml", []byte(text)) })
		if err == nil && (p.Vendor == "" || strings.ContainsAny(p.Folder(), "./\\ \x00")) {
			t.Errorf("vendor %q, folder %q", p.Vendor, p.Folder())
		}
	})
}

// Verifying a bundle with any one file replaced takes memory and time in proportion to the file, and never succeeds. The manifest is made
// to fit, so that the whole file is read, and the statement is not signed.
func FuzzVerify(f *testing.F) {
	set := profiles.Current()[0]
	names := append(append([]string{}, bundle.Described...), bundle.Around...)
	for i := range names {
		f.Add(uint8(i), []byte(`{"version":1,"files":[{"name":"README.md","size":1,"sha256":"x"}]}`))
		f.Add(uint8(i), []byte(anyProduct))
		f.Add(uint8(i), []byte(strings.Repeat(`{"predicate":[`, 500)))
	}
	f.Fuzz(func(t *testing.T, which uint8, text []byte) {
		if len(text) > 1<<20 {
			t.Skip()
		}
		files := bundle.Files{bundle.SetFile: set.Text, bundle.ProductFile: []byte(anyProduct)}
		for _, name := range bundle.Described {
			if files[name] == nil {
				files[name] = []byte("x")
			}
		}
		name := names[int(which)%len(names)]
		files[name] = text
		consistent(t, files, name)
		var v bundle.Verification
		o := bundle.Options{Now: time.Now(), Rejudge: func(*reports.Run) reports.Rejudged { return reports.Rejudged{} }}
		costs.Bounded(t, len(text), 3000, func() { v = files.Verify(t.Context(), o) })
		if v.OK {
			t.Errorf("an unsigned bundle verifies: %q is %q", name, text)
		}
		if _, err := json.Marshal(v); err != nil {
			t.Error(err)
		}
	})
}

// consistent adds a manifest, a statement and a predicate that fit the other files, except for a given file.
func consistent(t *testing.T, files bundle.Files, given string) {
	t.Helper()
	add := func(name string, value any) {
		if name == given {
			return
		}
		var b bytes.Buffer // in the form of a bundle; another form is rejected early
		if err := reports.WriteJSON(&b, value, "  "); err != nil {
			t.Fatal(err)
		}
		files[name] = b.Bytes()
	}
	m := bundle.Manifest{Version: 1}
	for _, name := range bundle.Described {
		m.Files = append(m.Files, bundle.Entry{Name: name, Size: len(files[name]), SHA256: bundle.Digest(files[name])})
	}
	add(bundle.ManifestFile, m)
	signed := bundle.Descriptor{Name: bundle.ManifestFile, Digest: map[string]string{"sha256": bundle.Digest(files[bundle.ManifestFile])}}
	s := bundle.Statement{Type: bundle.StatementType, PredicateType: bundle.PredicateType, Subject: []bundle.Descriptor{signed}}
	set := profiles.Current()[0]
	c := &s.Predicate.Certification
	c.Set, c.Profile, c.Revision, c.Expires = set.Name(), set.Profile, set.Revision, time.Now().Add(time.Hour)
	add(bundle.StatementFile, s)
	add(bundle.PredicateFile, s.Predicate)
}

// Untrusted results may be a bomb: 256 MiB of zeros in a file of 256 KiB.
func TestResultsThatGrow(t *testing.T) {
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	for range 256 {
		_, err := z.Write(make([]byte, 1<<20))
		require.NoError(t, err)
	}
	require.NoError(t, z.Close())
	files := bundle.Files{bundle.SetFile: profiles.Current()[0].Text, bundle.ProductFile: []byte(anyProduct)}
	for _, name := range bundle.Described {
		if files[name] == nil {
			files[name] = []byte("x")
		}
	}
	files[bundle.ResultsFile] = bomb.Bytes()
	consistent(t, files, "")
	o := bundle.Options{Now: time.Now(), Unsigned: true, Rejudge: func(*reports.Run) reports.Rejudged { return reports.Rejudged{} }}
	var v bundle.Verification
	costs.Bounded(t, bomb.Len(), 500, func() { v = files.Verify(t.Context(), o) })
	says := ""
	for _, p := range v.Problems {
		says += p.String() + "\n"
	}
	assert.Contains(t, says, "results.json.gz: it cannot be unpacked: it grows more than 100 to 1")
}
