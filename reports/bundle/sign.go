package bundle

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	"github.com/secure-systems-lab/go-securesystemslib/signerverifier"
	"github.com/youmark/pkcs8"
)

// Key signs or verifies with ed25519, or with ECDSA on P-256.
type Key struct{ dsse.SignerVerifier }

// ErrNoPassphrase says that a key is encrypted, and there is no passphrase.
var ErrNoPassphrase = errors.New("the key is encrypted: set the passphrase in the environment")

// PrivateKey reads a private key in PEM: PKCS#8, which may be encrypted with a passphrase, or SEC 1.
func PrivateKey(text, passphrase []byte) (Key, error) {
	block, rest := pem.Decode(text)
	if block == nil || len(bytes.TrimSpace(rest)) > 0 {
		return Key{}, errors.New("want one private key in PEM")
	}
	var key any
	var err error
	switch block.Type {
	case "ENCRYPTED PRIVATE KEY":
		if len(passphrase) == 0 {
			return Key{}, ErrNoPassphrase
		}
		if key, _, err = pkcs8.ParsePrivateKey(block.Bytes, passphrase); err != nil {
			return Key{}, errors.New("the key cannot be decrypted: is the passphrase right?")
		}
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		return Key{}, fmt.Errorf("%s in PEM: want a private key, in PKCS#8", block.Type)
	}
	if err != nil {
		return Key{}, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Key{}, err
	}
	return load(key, pem.EncodeToMemory(&pem.Block{Type: signerverifier.PrivateKeyPEM, Bytes: der}))
}

// PublicKey reads a public key in PEM.
func PublicKey(text []byte) (Key, error) {
	block, rest := pem.Decode(text)
	if block == nil || block.Type != signerverifier.PublicKeyPEM || len(bytes.TrimSpace(rest)) > 0 {
		return Key{}, errors.New("want one public key in PEM (openssl pkey -in KEY -pubout)")
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return Key{}, err
	}
	return load(key, pem.EncodeToMemory(block))
}

func load(key any, text []byte) (Key, error) {
	curve := elliptic.P256()
	kind := ""
	switch k := key.(type) {
	case ed25519.PrivateKey, ed25519.PublicKey:
		kind = signerverifier.ED25519KeyType
	case *ecdsa.PrivateKey:
		kind, curve = signerverifier.ECDSAKeyType, k.Curve
	case *ecdsa.PublicKey:
		kind, curve = signerverifier.ECDSAKeyType, k.Curve
	}
	if kind == "" || curve != elliptic.P256() {
		return Key{}, fmt.Errorf("a key of type %T: want ed25519, or ECDSA on P-256", key)
	}
	parsed, err := signerverifier.LoadKey(text)
	if err != nil {
		return Key{}, err
	}
	var out dsse.SignerVerifier
	if kind == signerverifier.ED25519KeyType {
		out, err = signerverifier.NewED25519SignerVerifierFromSSLibKey(parsed)
	} else {
		out, err = signerverifier.NewECDSASignerVerifierFromSSLibKey(parsed)
	}
	return Key{out}, err
}

// ID returns the identifier of the key, as securesystemslib computes it.
func (k Key) ID() string {
	id, err := k.KeyID()
	if err != nil {
		return ""
	}
	return id
}

// Sign adds the signature of the statement: a DSSE envelope.
func (f Files) Sign(ctx context.Context, key Key) error {
	signer, err := dsse.NewEnvelopeSigner(key)
	if err != nil {
		return err
	}
	envelope, err := signer.SignPayload(ctx, PayloadType, f[StatementFile])
	if err != nil {
		return err
	}
	f[SignatureFile], err = marshal(envelope)
	return err
}

// signedBy says why a bundle is not signed by a key; empty if it is.
func (f Files) signedBy(ctx context.Context, key Key) string {
	var envelope dsse.Envelope
	if err := unmarshal(f[SignatureFile], &envelope); err != nil {
		return fmt.Sprintf("it is not a DSSE envelope: %v", err)
	}
	if again, err := marshal(&envelope); err != nil || !bytes.Equal(again, f[SignatureFile]) || len(envelope.Signatures) != 1 ||
		!plainBase64(envelope) {
		return "it is not an envelope as certify writes it, with one signature"
	}
	verifier, err := dsse.NewEnvelopeVerifier(key)
	if err != nil {
		return err.Error()
	}
	if _, err := verifier.Verify(ctx, &envelope); err != nil {
		return fmt.Sprintf("the key %s did not sign it (it names the key %s)", short(key.ID()), short(envelope.Signatures[0].KeyID))
	}
	payload, err := envelope.DecodeB64Payload()
	if err != nil || envelope.PayloadType != PayloadType || !bytes.Equal(payload, f[StatementFile]) {
		return "it signs another statement than " + StatementFile
	}
	return ""
}

// plainBase64 reports whether the texts of an envelope are in canonical base64.
func plainBase64(e dsse.Envelope) bool {
	for _, s := range []string{e.Payload, e.Signatures[0].Sig} {
		if b, err := base64.StdEncoding.DecodeString(s); err != nil || base64.StdEncoding.EncodeToString(b) != s {
			return false
		}
	}
	return true
}

func short(id string) string {
	if len(id) > 16 {
		return id[:16]
	}
	return id
}
