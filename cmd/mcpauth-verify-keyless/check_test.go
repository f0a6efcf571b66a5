package main

import (
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/sigstore/sigstore-go/pkg/testing/ca"
	"github.com/sigstore/sigstore-go/pkg/verify"

	"github.com/mcpauth/conformance/reports/bundle"
)

const (
	workflow = "https://github.com/example/repo/.github/workflows/certify.yml@refs/heads/main"
	github   = "https://token.actions.githubusercontent.com"
)

// A signature is valid only for the manifest, the predicate and the identity that were signed.
func TestSignaturesWithoutAKey(t *testing.T) {
	sigstore, err := ca.NewVirtualSigstore()
	if err != nil {
		t.Fatal(err)
	}
	manifest, predicate := []byte(`{"version":1,"files":[]}`), []byte(`{"result":"PASSED"}`)
	sign := func(predicateType string) *ca.TestEntity {
		statement, err := json.Marshal(map[string]any{
			"_type": bundle.StatementType, "predicateType": predicateType, "predicate": json.RawMessage(predicate),
			"subject": []any{map[string]any{"name": bundle.ManifestFile, "digest": map[string]string{"sha256": bundle.Digest(manifest)}}},
		})
		if err != nil {
			t.Fatal(err)
		}
		entity, err := sigstore.Attest(workflow, github, statement)
		if err != nil {
			t.Fatal(err)
		}
		return entity
	}
	files := func(change func(f bundle.Files)) bundle.Files {
		f := bundle.Files{bundle.ManifestFile: manifest, bundle.PredicateFile: predicate, bundle.KeylessFile: []byte("{}")}
		change(f)
		return f
	}
	good := sign(bundle.PredicateType)
	for name, c := range map[string]struct {
		entity           *ca.TestEntity
		identity, issuer string
		files            bundle.Files
		holds            bool
	}{
		"as it was signed": {good, workflow, github, files(func(bundle.Files) {}), true},
		"spaces in JSON": {good, workflow, github,
			files(func(f bundle.Files) { f[bundle.PredicateFile] = []byte("{\"result\": \"PASSED\"}\n") }), true},
		"another identity": {good, "https://github.com/other/repo/x.yml@refs/heads/main", github, files(func(bundle.Files) {}), false},
		"another issuer":   {good, workflow, "https://accounts.google.com", files(func(bundle.Files) {}), false},
		"another manifest": {good, workflow, github, files(func(f bundle.Files) { f[bundle.ManifestFile] = []byte("{}") }), false},
		"another predicate": {good, workflow, github,
			files(func(f bundle.Files) { f[bundle.PredicateFile] = []byte(`{"result":"FAILED"}`) }), false},
		"another predicate type": {sign("https://example.com/other"), workflow, github, files(func(bundle.Files) {}), false},
		"no signature":           {good, workflow, github, files(func(f bundle.Files) { delete(f, bundle.KeylessFile) }), false},
	} {
		t.Run(name, func(t *testing.T) {
			read := func([]byte) (verify.SignedEntity, error) { return c.entity, nil }
			check, err := checkerBy(sigstore, c.identity, c.issuer, read, verify.WithTransparencyLog(1), verify.WithObserverTimestamps(1))
			if err != nil {
				t.Fatal(err)
			}
			signer, err := check(c.files)
			if (err == nil) != c.holds {
				t.Fatalf("verified: %v, error: %v", err == nil, err)
			}
			if c.holds && (!signer.Witnessed || signer.Identity != workflow) {
				t.Fatalf("signed by %+v", signer)
			}
		})
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{nil, {"dir"}, {"--trusted-root", "none.json", "--certificate-identity", workflow, "dir"}} {
		if _, err := run(args); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
	if _, err := checker([]byte("{}"), workflow, github); err == nil {
		t.Error("an empty file is accepted as a trusted root")
	}
}

// No text of a bundle acts on a terminal or a CI system, in an error or in the result.
func TestNothingOfABundleActs(t *testing.T) {
	const nasty = "\x1b[2J\u009b31m\u202e\n::error::pwned\n##vso[task.complete]x"
	found := bundle.Verification{Problems: []bundle.Problem{{Reason: bundle.ExtraFile, File: nasty, Says: nasty}}, Notices: []string{nasty}}
	for name, c := range map[string]struct {
		err  error
		code int
	}{"a result": {nil, 1}, "an error": {errors.New(nasty), 2}} {
		var out strings.Builder
		if code := tell(&out, &out, found, c.err); code != c.code {
			t.Errorf("%s: exit %d", name, code)
		}
		if acts := regexp.MustCompile(`[\x00-\x08\x0b-\x1f\x7f-\x{9f}\x{202e}]|##[a-z]*\[|(?m)^[\s\pZ]*::`).FindString(out.String()); acts != "" {
			t.Errorf("%s contains %q", name, acts)
		}
		if !strings.Contains(out.String(), "pwned") {
			t.Errorf("%s does not say what was found: %s", name, out.String())
		}
	}
}

func TestATrustedRootWithoutEnd(t *testing.T) {
	_, err := run([]string{"--trusted-root", "/dev/zero", "--certificate-identity", workflow, "dir"})
	if err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("error: %v", err)
	}
}
