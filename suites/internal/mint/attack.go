package mint

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/mcpauth/conformance/suites/internal/document"
)

// Algorithms returns the algorithms that an attacker tries: first that of the genuine token, and then the common ones for each kind of key.
// A verifier that supports one algorithm rejects all others before it looks at a key.
func (a *Attacker) Algorithms(genuine Header) []string {
	out := []string{"RS256", "ES256", "EdDSA"}
	if alg, _ := genuine["alg"].(string); a.signer(alg) != nil {
		out = append([]string{alg}, slices.DeleteFunc(out, func(other string) bool { return other == alg })...)
	}
	return out
}

// signer returns the attacker's key for an algorithm, or nil.
func (a *Attacker) signer(alg string) crypto.Signer {
	switch {
	case strings.HasPrefix(alg, "RS"), strings.HasPrefix(alg, "PS"):
		return a.RSA
	case a.ofCurve[alg] != nil:
		return a.ofCurve[alg]
	case strings.HasPrefix(alg, "Ed"):
		return a.Ed
	}
	return nil
}

// Sign signs with the attacker's own key for an algorithm, and names the algorithm in the header.
func (a *Attacker) Sign(alg string, h Header, c Claims) string {
	input := Input(h.With("alg", alg), c)
	method := jwt.GetSigningMethod(strings.Replace(alg, "Ed25519", "EdDSA", 1))
	signature, err := method.Sign(input, a.signer(alg))
	if err != nil {
		panic(err) // these keys sign any input
	}
	return input + "." + Base64(signature)
}

// PublicKey returns the attacker's public key for an algorithm, as a JWK.
func (a *Attacker) PublicKey(alg string) map[string]any {
	return (&Key{Signer: a.signer(alg)}).PublicJWK()
}

// CertificateChain returns an x5c for the attacker's key: one certificate, issued by the attacker (RFC 7515 section 4.1.6).
func (a *Attacker) CertificateChain(alg string) []string {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mcpauth"}, SignatureAlgorithm: x509.SHA256WithRSA,
		NotBefore: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2049, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.signer(alg).Public(), a.RSA)
	if err != nil {
		panic(err) // the template is complete
	}
	return []string{base64.StdEncoding.EncodeToString(der)}
}

// Spelling is one way to use the text of a public key as a shared secret.
type Spelling struct {
	Name   string
	Secret []byte
}

// Spellings returns the ways in which a careless verifier may use a published key as an HMAC secret; none if the key cannot be read.
func Spellings(k *document.Object) []Spelling {
	key, err := publicKey(k, algorithmOf(k))
	if err != nil || key == nil {
		return nil
	}
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	out := []Spelling{
		{"PEM of the SubjectPublicKeyInfo", text},
		{"the same without the final newline", text[:len(text)-1]},
		{"DER of the SubjectPublicKeyInfo", der},
	}
	if pub, ok := key.(*rsa.PublicKey); ok {
		pkcs1 := x509.MarshalPKCS1PublicKey(pub)
		out = append(out, Spelling{"PEM of the PKCS #1 key", pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: pkcs1})},
			Spelling{"DER of the PKCS #1 key", pkcs1}, Spelling{"bytes of the modulus", pub.N.Bytes()})
	}
	for _, name := range []string{"n", "x", "kid"} {
		if v := k.String(name); v != "" {
			out = append(out, Spelling{"the text of " + name, []byte(v)})
		}
	}
	return append(append(out, Spelling{"the JWK as JSON", []byte(JSON(membersOf(k)))}), certificates(k)...)
}

// certificates returns the spellings of a key by its certificate, which many verifiers are configured with (RFC 7517 section 4.7).
func certificates(k *document.Object) []Spelling {
	chain, _ := k.Strings("x5c")
	if len(chain) == 0 {
		return nil
	}
	out := []Spelling{{"the text of x5c", []byte(chain[0])}}
	if der, err := base64.StdEncoding.DecodeString(chain[0]); err == nil {
		text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
		out = append(out, Spelling{"PEM of the certificate", text}, Spelling{"DER of the certificate", der},
			Spelling{"PEM of the certificate without the final newline", text[:len(text)-1]})
	}
	return out
}

func membersOf(k *document.Object) map[string]any {
	out := map[string]any{}
	for _, name := range k.Names() {
		out[name], _ = k.Get(name)
	}
	return out
}

// algorithmOf returns an algorithm for which a published key can be read.
func algorithmOf(k *document.Object) string {
	switch k.String("kty") {
	case "RSA":
		return "RS256"
	case "OKP":
		return "EdDSA"
	}
	return map[string]string{"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}[k.String("crv")]
}
