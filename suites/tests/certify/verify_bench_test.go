package certify_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/reports/bundle"
	"github.com/mcpauth/conformance/suites"
	"github.com/mcpauth/conformance/suites/tests/against"
)

// BenchmarkVerify reads and verifies the largest bundle, that of a server with its own authorization server, and repeats all judgements:
// go test ./suites/tests/certify -run '^$' -bench Verify
func BenchmarkVerify(b *testing.B) {
	set := setOf(b, "server-with-bundled-as", "2025-11-25")
	f, err := bundle.Make(input(examine(b, against.Start(b, reference.Ideal()), set), set))
	require.NoError(b, err)
	private, public := keys(b, "ed25519")
	require.NoError(b, f.Sign(b.Context(), private))
	dir := b.TempDir() + "/bundle"
	require.NoError(b, f.Write(dir))
	b.ReportAllocs()
	for b.Loop() {
		files, _, err := bundle.Read(dir)
		require.NoError(b, err)
		v := files.Verify(b.Context(), bundle.Options{Now: time.Now(), Key: &public, Rejudge: suites.JudgeAgain})
		require.True(b, v.OK, v.Problems)
	}
}
