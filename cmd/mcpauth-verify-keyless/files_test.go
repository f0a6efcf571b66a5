package main

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"testing"
	"time"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protodsse "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	sigstore "github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/testing/ca"
	"github.com/sigstore/sigstore-go/pkg/tlog"
	"github.com/sigstore/sigstore-go/pkg/verify"

	"github.com/mcpauth/conformance/reports/bundle"
)

// must returns the value, and panics on an error.
func must[V any](v V, err error) V {
	if err != nil {
		panic(err)
	}
	return v
}

// The trusted root and the signature are read from files, in the formats of cosign and of GitHub's attest action. The test authority does
// not log its certificates, so checker, which requires that, rejects them.
func TestFilesOfSigstore(t *testing.T) {
	authority := must(ca.NewVirtualSigstore())
	manifest, predicate := []byte(`{"version":1,"files":[]}`), []byte(`{"result":"PASSED"}`)
	statement := must(json.Marshal(map[string]any{
		"_type": bundle.StatementType, "predicateType": bundle.PredicateType, "predicate": json.RawMessage(predicate),
		"subject": []any{map[string]any{"name": bundle.ManifestFile, "digest": map[string]string{"sha256": bundle.Digest(manifest)}}},
	}))
	entity := must(authority.AttestAtTime(workflow, github, statement, time.Now().Add(5*time.Minute), false))
	files := bundle.Files{bundle.ManifestFile: manifest, bundle.PredicateFile: predicate, bundle.KeylessFile: written(authority, entity)}
	trusted := must(must(root.NewTrustedRoot(root.TrustedRootMediaType01, authority.FulcioCertificateAuthorities(), authority.CTLogs(),
		authority.TimestampingAuthorities(), logsOf(authority))).MarshalJSON())
	demands := []verify.VerifierOption{verify.WithTransparencyLog(1), verify.WithObserverTimestamps(1)}

	check := must(checkerBy(must(root.NewTrustedRootFromJSON(trusted)), workflow, github, readBundle, demands...))
	signer, err := check(files)
	if err != nil || !signer.Witnessed {
		t.Fatalf("signed by %+v, %v", signer, err)
	}
	other := must(must(root.NewTrustedRoot(root.TrustedRootMediaType01, must(ca.NewVirtualSigstore()).FulcioCertificateAuthorities(),
		authority.CTLogs(), authority.TimestampingAuthorities(), logsOf(authority))).MarshalJSON())
	check = must(checkerBy(must(root.NewTrustedRootFromJSON(other)), workflow, github, readBundle, demands...))
	if _, err := check(files); err == nil {
		t.Error("a certificate of another authority is accepted")
	}
	if _, err := must(checker(trusted, workflow, github))(files); err == nil {
		t.Error("a certificate that is in no log is accepted")
	}
	files[bundle.KeylessFile] = []byte("{}")
	if _, err := must(checker(trusted, workflow, github))(files); err == nil {
		t.Error("an empty file is accepted as a signature")
	}
}

// logsOf returns the logs of an authority by identifier, in hex.
func logsOf(authority *ca.VirtualSigstore) map[string]*root.TransparencyLog {
	logs := authority.RekorLogs()
	for id, log := range logs {
		log.ID = must(hex.DecodeString(id))
	}
	return logs
}

// written returns the file that a signer writes.
func written(authority *ca.VirtualSigstore, e *ca.TestEntity) []byte {
	envelope := must(e.SignatureContent()).EnvelopeContent().RawEnvelope()
	out := &protobundle.Bundle{MediaType: "application/vnd.dev.sigstore.bundle+json;version=0.1",
		VerificationMaterial: &protobundle.VerificationMaterial{
			Content: &protobundle.VerificationMaterial_Certificate{Certificate: &protocommon.X509Certificate{
				RawBytes: must(e.VerificationContent()).Certificate().Raw}},
			TimestampVerificationData: &protobundle.TimestampVerificationData{},
		},
		Content: &protobundle.Bundle_DsseEnvelope{DsseEnvelope: &protodsse.Envelope{
			Payload: must(envelope.DecodeB64Payload()), PayloadType: envelope.PayloadType,
			Signatures: []*protodsse.Signature{{Sig: must(base64.StdEncoding.DecodeString(envelope.Signatures[0].Sig))}}}},
	}
	for _, entry := range must(e.TlogEntries()) {
		logged := entry.TransparencyLogEntry()
		logged.KindVersion = &protorekor.KindVersion{Kind: "dsse", Version: "0.0.1"} // the authority omits this, as it omits the promise
		logged.InclusionPromise = &protorekor.InclusionPromise{SignedEntryTimestamp: must(authority.RekorSignPayload(tlog.RekorPayload{
			Body: base64.StdEncoding.EncodeToString(logged.CanonicalizedBody), IntegratedTime: logged.IntegratedTime, LogIndex: logged.LogIndex,
			LogID: hex.EncodeToString(logged.LogId.KeyId)}))}
		out.VerificationMaterial.TlogEntries = append(out.VerificationMaterial.TlogEntries, logged)
	}
	for _, stamp := range must(e.Timestamps()) {
		out.VerificationMaterial.TimestampVerificationData.Rfc3161Timestamps = append(
			out.VerificationMaterial.TimestampVerificationData.Rfc3161Timestamps, &protocommon.RFC3161SignedTimestamp{SignedTimestamp: stamp})
	}
	return must(must(sigstore.NewBundle(out)).MarshalJSON())
}
