package main_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/youmark/pkcs8"

	"github.com/mcpauth/conformance/fakes/reference"
)

// vendor writes an encrypted private key, its public key, and PRODUCT.yaml into a folder.
func vendor(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	private, err := pkcs8.MarshalPrivateKey(key, []byte("open sesame"), nil)
	require.NoError(t, err)
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	require.NoError(t, err)
	for name, b := range map[string][]byte{
		"vendor.key": pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: private}),
		"vendor.pub": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}),
		"PRODUCT.yaml": []byte("vendor: Example Ltd\nproduct: Example MCP Server\nversion: 1.4.0\n" +
			"url: https://example.com/mcp\ncontact: security@example.com\n"),
		"wrong.yaml": []byte("vendor: Example Ltd\nproduct: Example MCP Server\nversion: latest\n" +
			"url: https://example.com/mcp\ncontact: security@example.com\n"),
	} {
		require.NoError(t, os.WriteFile(dir+"/"+name, b, 0o600))
	}
	return dir
}

// The steps of a vendor on the command line: certify with an encrypted key, and verify.
func TestCertifyAndVerify(t *testing.T) {
	t.Parallel()
	dir := vendor(t)
	passphrase := []string{"MCPAUTH_KEY_PASSPHRASE=open sesame"}
	certify := []string{"certify", "--login", "form", "--profile", "resource-server", "--revision", "2025-11-25", "--product", dir +
		"/PRODUCT.yaml",
		"--key", dir + "/vendor.key", "-o", dir + "/certificate"}
	code, _, errs := mcpauthProcess(t, passphrase, certify...)
	require.Zero(t, code, errs)
	assert.Contains(t, errs, "judged again")
	code, _, errs = mcpauthProcess(t, passphrase, certify...)
	assert.Equal(t, 2, code)
	assert.Contains(t, errs, "it is not empty")

	code, out, _ := mcpauth(t, "verify", dir+"/certificate", "--key", dir+"/vendor.pub", "--json")
	require.Zero(t, code)
	var found struct {
		OK            bool
		Certification struct {
			Tool struct{ SHA256 string }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(out), &found))
	assert.True(t, found.OK)
	assert.Len(t, found.Certification.Tool.SHA256, 64)

	readme, err := os.ReadFile(dir + "/certificate/README.md")
	require.NoError(t, err)
	assert.Contains(t, string(readme), "mcpauth certify --login=form --profile=resource-server --revision=2025-11-25 "+
		"--product PRODUCT.yaml --predicate-only -o DIR\n")
	release := found.Certification.Tool.SHA256 + " 1.2.0 linux/amd64\n"
	require.NoError(t, os.WriteFile(dir+"/releases.txt", []byte(release), 0o600))
	code, out, errs = mcpauth(t, "verify", dir+"/certificate", "--key", dir+"/vendor.pub", "--submission", "--releases",
		dir+"/releases.txt", "--badge", dir+"/badge.svg", "--badge", dir+"/badge.json", "--summary", dir+"/summary.json")
	require.Zero(t, code, out+errs)
	assert.Contains(t, oneLine(out), "VERIFIED: Example MCP Server 1.4.0 by Example Ltd meets resource-server@2025-11-25, as far")
	assert.Contains(t, oneLine(out), "attested, not re-judged: ")
	assert.Contains(t, oneLine(out), "self-attested; made by mcpauth 1.2.0 linux/amd64, a release")
	fits(t, out)
	for _, name := range []string{"badge.svg", "badge.json", "summary.json"} {
		assert.FileExists(t, dir+"/"+name)
	}
	_, out, errs = mcpauth(t, "verify", dir+"/certificate", "--key", dir+"/vendor.pub", "--releases", dir+"/wrong.yaml")
	assert.Contains(t, oneLine(out+errs), "wrong.yaml:1: want a SHA-256")

	code, out, _ = mcpauth(t, "verify", dir+"/certificate", "--key", dir+"/vendor.pub", "--at", time.Now().AddDate(2, 0,
		0).Format(time.DateOnly))
	assert.Equal(t, 1, code)
	assert.Contains(t, out, "NOT VERIFIED (expired): ")
	code, out, _ = mcpauth(t, "verify", dir+"/certificate")
	assert.Equal(t, 1, code)
	assert.Contains(t, out, "NOT VERIFIED (no-key): ")
	for _, name := range []string{"notes.txt", "\u009b31m\u202e##vso[x]"} {
		require.NoError(t, os.WriteFile(dir+"/certificate/"+name, []byte("x"), 0o600))
	}
	for _, format := range []string{"--json", "--json=false"} { // a bundle is untrusted
		code, out, _ = mcpauth(t, "verify", dir+"/certificate", "--key", dir+"/vendor.pub", format)
		assert.Equal(t, 1, code)
		assert.Contains(t, out, "31m")
		assert.Contains(t, out, "notes.txt")
		assert.NotRegexp(t, `[\x{80}-\x{9f}\x{202e}]|##vso`, out, format)
	}
	assert.Contains(t, out, "NOT VERIFIED (extra-file): notes.txt: ")
}

// oneLine undoes the line breaks of an output.
func oneLine(out string) string { return strings.Join(strings.Fields(out), " ") }

// Options that would let a certificate claim more than the run has seen are rejected before the first request.
func TestCertifyRefuses(t *testing.T) {
	t.Parallel()
	dir := vendor(t)
	good := []string{"certify", "--profile", "resource-server", "--revision", "2025-11-25", "--product", dir + "/PRODUCT.yaml", "-o",
		dir + "/out"}
	for name, c := range map[string]struct {
		args, env []string
		says      string
	}{
		"--only": {[]string{"--only", "RS-AUD-WRONG", "--predicate-only"}, nil,
			"certify does not accept --only: the whole set is run"},
		"--only, environment": {[]string{"--predicate-only"}, []string{"MCPAUTH_ONLY=RS-AUD-WRONG"}, "certify does not accept --only"},
		"--skip":              {[]string{"--skip", "RS-AUD-WRONG", "--predicate-only"}, nil, "certify does not accept --skip"},
		"--shard":             {[]string{"--shard", "1/2", "--predicate-only"}, nil, "certify does not accept --shard"},
		"--baseline":          {[]string{"--baseline", "x.yaml", "--predicate-only"}, nil, "certify does not accept --baseline"},
		"--seed":              {[]string{"--seed", "1", "--predicate-only"}, nil, "certify does not accept --seed"},
		"no key":              {nil, nil, "want --key FILE"},
		"no passphrase":       {[]string{"--key", dir + "/vendor.key"}, nil, "in the environment, in MCPAUTH_KEY_PASSPHRASE"},
		"a wrong passphrase":  {[]string{"--key", dir + "/vendor.key"}, []string{"MCPAUTH_KEY_PASSPHRASE=x"}, "cannot be decrypted"},
		"a public key":        {[]string{"--key", dir + "/vendor.pub"}, nil, "want a private key"},
		"another product":     {[]string{"--predicate-only", "--product", dir + "/wrong.yaml"}, nil, "wrong.yaml:3: version: "},
		"no such set":         {[]string{"--predicate-only", "--profile", "client"}, nil, `no set of the profile "client"`},
		"an image by its tag": {[]string{"--predicate-only", "--subject", "example/server:1.4"}, nil, "want NAME@sha256:DIGEST"},
	} {
		t.Run(name, func(t *testing.T) {
			code, _, errs := mcpauthWith(t, c.env, append(good[:len(good):len(good)], c.args...)...)
			assert.Equal(t, 2, code, errs)
			assert.Contains(t, errs, c.says)
			assert.NoDirExists(t, dir+"/out")
		})
	}
}

// A server with one flaw gets no certificate; the exit code and a sentence say why.
func TestAFlawIsNotCertified(t *testing.T) {
	t.Parallel()
	dir := vendor(t)
	bad := start(t, func(o *reference.Options) { o.Policy.Status = 403 })
	require.NoError(t, os.WriteFile(dir+"/target.yaml", []byte("version: 1\ntarget:\n  url: "+bad.URL+"\n"), 0o600))
	code, _, errs := mcpauth(t, "certify", "-c", dir+"/target.yaml", "--profile", "resource-server", "--revision", "2025-11-25",
		"--product", dir+"/PRODUCT.yaml", "-o", dir+"/out", "--predicate-only")
	assert.Equal(t, 1, code, errs)
	assert.Contains(t, errs, "- RS-CHALLENGE-401-STATUS is not met (FAIL): ")
	assert.Contains(t, strings.Join(strings.Fields(errs), " "), " were not tested: it needs a valid access token; give one with --token-env.")
	assert.NoDirExists(t, dir+"/out")
}
