package reports

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// withoutSignatures does the same as one regular expression, on parts of tokens in any order.
func TestSignaturesAreFoundAsByOneExpression(t *testing.T) {
	whole := regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{2,}\.[A-Za-z0-9_-]{8,}`)
	parts := []string{"eyJ", "eyJhbGci", "OiJ9", ".", ".", "..", "-", "_", " ", `"`, "a", "ab", "c2lnbmF0dXJl", "ey", "‹", "%", "\n",
		"eyJhbGciOiJ9.eyJzdWIi.c2lnbmF0dXJl"}
	random := rand.New(rand.NewPCG(1, 2)) // the same texts each time
	removed := 0
	for range 50_000 {
		var b strings.Builder
		for range random.IntN(14) {
			b.WriteString(parts[random.IntN(len(parts))])
		}
		text := b.String()
		want := whole.ReplaceAllStringFunc(text, func(t string) string { return t[:strings.LastIndexByte(t, '.')] + ".‹signature›" })
		require.Equal(t, want, withoutSignatures(text), "%q", text)
		if want != text {
			removed++
		}
	}
	assert.Greater(t, removed, 100)
}

// A text that looks like the beginning of a token everywhere takes linear time.
func TestSignaturesAreSoughtInLinearTime(t *testing.T) {
	text := strings.Repeat("-eyJaaaaa", 1<<18)
	assert.Equal(t, text, withoutSignatures(text), "a text of 2 MiB has changed")
}
