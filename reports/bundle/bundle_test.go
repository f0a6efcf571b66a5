package bundle_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/youmark/pkcs8"

	"github.com/mcpauth/conformance/reports/bundle"
)

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func TestKeys(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	plain, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	encrypted, err := pkcs8.MarshalPrivateKey(key, []byte("open sesame"), nil)
	require.NoError(t, err)
	sec1, err := x509.MarshalECPrivateKey(key)
	require.NoError(t, err)
	id := ""
	for name, text := range map[string][]byte{"PKCS#8": block("PRIVATE KEY", plain), "encrypted": block("ENCRYPTED PRIVATE KEY",
		encrypted), "SEC 1": block("EC PRIVATE KEY", sec1)} {
		k, err := bundle.PrivateKey(text, []byte("open sesame"))
		require.NoError(t, err, name)
		if id == "" {
			id = k.ID()
		}
		assert.Equal(t, id, k.ID(), name)
	}
	other, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	p384, err := x509.MarshalPKCS8PrivateKey(other)
	require.NoError(t, err)
	weak, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	rsaKey, err := x509.MarshalPKCS8PrivateKey(weak)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		text, passphrase []byte
		says             string
	}{
		"no PEM":             {[]byte("hello"), nil, "want one private key"},
		"two keys":           {append(block("PRIVATE KEY", plain), block("PRIVATE KEY", plain)...), nil, "want one private key"},
		"no passphrase":      {block("ENCRYPTED PRIVATE KEY", encrypted), nil, "set the passphrase"},
		"a wrong passphrase": {block("ENCRYPTED PRIVATE KEY", encrypted), []byte("x"), "is the passphrase right"},
		"another curve":      {block("PRIVATE KEY", p384), nil, "want ed25519, or ECDSA on P-256"},
		"RSA":                {block("PRIVATE KEY", rsaKey), nil, "want ed25519, or ECDSA on P-256"},
		"a certificate":      {block("CERTIFICATE", plain), nil, "want a private key"},
	} {
		_, err := bundle.PrivateKey(c.text, c.passphrase)
		assert.ErrorContains(t, err, c.says, name)
	}
	_, err = bundle.PublicKey(block("PRIVATE KEY", plain))
	assert.ErrorContains(t, err, "want one public key")
}

func TestProduct(t *testing.T) {
	const good = "vendor: Example Ltd\nproduct: My MCP-Server!\nversion: 1.10\nurl: https://example.com/mcp\ncontact: security@example.com\n"
	p, err := bundle.ReadProduct("PRODUCT.yaml", []byte(good))
	require.NoError(t, err)
	assert.Equal(t, "1.10", p.Version, "the version is read as a number")
	assert.Equal(t, "example-ltd-my-mcp-server", p.Folder())
	for name, c := range map[string]struct{ old, new, says string }{
		"no URL":         {"url: https://example.com/mcp\n", "", "PRODUCT.yaml:1: missing property 'url'"},
		"plain HTTP":     {"https://", "http://", "PRODUCT.yaml:4: url: "},
		"a branch":       {"1.10", "main", "PRODUCT.yaml:3: version: want the version that was tested"},
		"nobody":         {"security@example.com", "us", "PRODUCT.yaml:5: contact: "},
		"unknown member": {"version:", "logo: x\nversion:", "PRODUCT.yaml:1: additional properties 'logo' not allowed"},
		"twice":          {"version:", "vendor: x\nversion:", "PRODUCT.yaml:3: vendor appears twice"},
		"a list":         {"Example Ltd", "[a, b]", "PRODUCT.yaml:1: vendor: want a text"},
		"no YAML":        {"vendor:", "vendor: [", "PRODUCT.yaml: line"},
		"something else": {good, "- a\n", "PRODUCT.yaml:1: want the members"},
	} {
		_, err := bundle.ReadProduct("PRODUCT.yaml", []byte(strings.Replace(good, c.old, c.new, 1)))
		require.Error(t, err, name)
		assert.Contains(t, err.Error(), c.says, name)
	}
}

// A bundle is written completely into a new folder, and existing files in a folder stay.
func TestFolders(t *testing.T) {
	dir := t.TempDir()
	f := bundle.Files{"README.md": []byte("hello"), bundle.ManifestFile: []byte("{}")}
	require.NoError(t, f.Write(dir+"/a/b"))
	again, found, err := bundle.Read(dir + "/a/b")
	require.NoError(t, err)
	assert.Empty(t, found)
	assert.Equal(t, f, again)
	assert.ErrorContains(t, f.Write(dir+"/a/b"), "not empty")

	require.NoError(t, os.Symlink("README.md", dir+"/a/b/set.yaml"))
	require.NoError(t, os.Mkdir(dir+"/a/b/more", 0o755))
	_, found, err = bundle.Read(dir + "/a/b")
	require.NoError(t, err)
	require.Len(t, found, 2)
	for _, p := range found {
		assert.Equal(t, bundle.ExtraFile, p.Reason)
	}
	_, _, err = bundle.Read(dir + "/none")
	assert.Error(t, err)
	_, _, err = bundle.Read(dir + "/a/b/README.md")
	assert.ErrorContains(t, err, "is a file: want the folder")
	_, _, err = bundle.Read(t.TempDir())
	assert.ErrorContains(t, err, "is not a certificate")
}
