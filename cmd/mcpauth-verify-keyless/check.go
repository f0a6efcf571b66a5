package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	sigstore "github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"

	"github.com/mcpauth/conformance/reports/bundle"
)

// ciSystems are the issuers of identities of CI systems.
var ciSystems = []string{"https://token.actions.githubusercontent.com", "https://gitlab.com"}

// checker checks the signature of a bundle against Sigstore's trusted root: an identity by an issuer, in a logged certificate, with an
// entry in a transparency log.
func checker(trusted []byte, identity, issuer string) (func(f bundle.Files) (bundle.Signer, error), error) {
	material, err := root.NewTrustedRootFromJSON(trusted)
	if err != nil {
		return nil, err
	}
	return checkerBy(material, identity, issuer, readBundle, verify.WithSignedCertificateTimestamps(1), verify.WithTransparencyLog(1),
		verify.WithObserverTimestamps(1))
}

// readBundle reads the output of cosign and of GitHub's attest action.
func readBundle(text []byte) (verify.SignedEntity, error) {
	var b sigstore.Bundle
	return &b, b.UnmarshalJSON(text)
}

// checkerBy is checker with any trusted material, and any requirements for the log.
func checkerBy(material root.TrustedMaterial, identity, issuer string, read func(text []byte) (verify.SignedEntity, error),
	demands ...verify.VerifierOption) (func(f bundle.Files) (bundle.Signer, error), error) {
	verifier, err := verify.NewVerifier(material, demands...)
	if err != nil {
		return nil, err
	}
	who, err := verify.NewShortCertificateIdentity(issuer, "", identity, "")
	if err != nil {
		return nil, err
	}
	return func(f bundle.Files) (bundle.Signer, error) {
		if f[bundle.KeylessFile] == nil {
			return bundle.Signer{}, errors.New("it is missing: the bundle is not signed without a key")
		}
		signed, err := read(f[bundle.KeylessFile])
		if err != nil {
			return bundle.Signer{}, fmt.Errorf("it is not a bundle of Sigstore: %w", err)
		}
		digest, err := hex.DecodeString(bundle.Digest(f[bundle.ManifestFile]))
		if err != nil {
			return bundle.Signer{}, err
		}
		result, err := verifier.Verify(signed, verify.NewPolicy(verify.WithArtifactDigest("sha256", digest), verify.WithCertificateIdentity(who)))
		if err != nil {
			return bundle.Signer{}, fmt.Errorf("the signature does not hold: %w", err)
		}
		if err := speaksOf(result, f[bundle.PredicateFile]); err != nil {
			return bundle.Signer{}, err
		}
		return bundle.Signer{Identity: identity, Issuer: issuer, Witnessed: slices.Contains(ciSystems, issuer)}, nil
	}, nil
}

// speaksOf returns an error if a signed statement has another predicate than the bundle.
func speaksOf(result *verify.VerificationResult, predicate []byte) error {
	if result.Statement == nil || result.Statement.GetPredicateType() != bundle.PredicateType {
		return errors.New("it signs no test result")
	}
	signed, err := result.Statement.GetPredicate().MarshalJSON()
	if err != nil {
		return err
	}
	if same, err := sameJSON(signed, predicate); err != nil || !same {
		return errors.New("it signs another predicate than " + bundle.PredicateFile)
	}
	return nil
}

// sameJSON reports whether two texts are the same JSON value.
func sameJSON(a, b []byte) (bool, error) {
	var values [2]any
	for i, text := range [][]byte{a, b} {
		if err := json.Unmarshal(text, &values[i]); err != nil {
			return false, err
		}
	}
	first, err := json.Marshal(values[0])
	if err != nil {
		return false, err
	}
	second, err := json.Marshal(values[1])
	return bytes.Equal(first, second), err
}
