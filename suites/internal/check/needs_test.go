package check

import (
	"maps"
	"net/url"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fixtures/requirements"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/survey"
	"github.com/mcpauth/conformance/suites/target/strict"
)

// The verdict of an unmet need follows from the kind of its word, or from that of a word before or after it. A requirement that was not
// tested says what to supply.
func TestANeedThatIsNotMetEndsACheckByItsKind(t *testing.T) {
	endpoint, err := url.Parse("https://mcp.example.com/mcp")
	require.NoError(t, err)
	bare := func() *T {
		w := &World{Secrets: &reports.Secrets{}, Survey: &survey.Survey{
			URL: endpoint, Status: []reports.RevisionStatus{{Revision: "2025-11-25", Wire: "stateful", Status: "spoken"}},
			Refused: map[mcp.Wire]*reports.Exchange{mcp.Stateful: {Response: &reports.Response{Status: 401}}},
		}}
		return newT(t.Context(), w, "RS-CHALLENGE-401-STATUS", mcp.Stateful, "2025-11-25")
	}
	unmet := 0
	for _, word := range requirements.Needs() {
		if word.Name == "proxy" || word.Name == "sign-in-seen" { // a request to a server would decide these
			continue
		}
		s := bare().try(word.Name)
		if s == nil || s.verdict == reports.Inconclusive { // the user supplied it, and it does not work
			continue
		}
		unmet++
		kinds := map[reports.Verdict]bool{}
		for _, w := range reach(word.Name) {
			n, _ := requirements.LookupNeed(w)
			kinds[map[bool]reports.Verdict{true: reports.NotApplicable, false: reports.NotTested}[n.Kind == requirements.Feature]] = true
		}
		assert.True(t, kinds[s.verdict], "%s: %s %s", word.Name, s.verdict, s.reason)
		if s.verdict == reports.NotTested && word.Name != "second-address" {
			assert.Regexp(t, `--[a-z]|in the target file`, s.reason, word.Name)
		}
	}
	assert.Greater(t, unmet, 80)
}

// reach returns a word with the words that it rests on.
func reach(word string) []string {
	out := []string{word}
	for _, other := range append(append([]string{}, needs[word].after...), needs[word].then...) {
		out = append(out, reach(other)...)
	}
	return out
}

// Each NOT_TESTED names something that the user can supply.
func TestEveryProvisionSaysWhatToAdd(t *testing.T) {
	for word, n := range needs {
		v, ok := requirements.LookupNeed(word)
		require.True(t, ok, word)
		if v.Kind == requirements.Provision && n.give == "" {
			assert.Contains(t, []string{"callback", "declared-public", "mcp-endpoint"}, word, "the need does not say what to add")
		}
	}
}

// Each feature that a target file can declare absent has needs that the user would have to supply, and no check runs without them.
func TestFeaturesThatAreDeclaredAbsentHaveNeeds(t *testing.T) {
	assert.ElementsMatch(t, strict.Choices("@features"), slices.Collect(maps.Keys(withoutFeature)))
	for feature, f := range withoutFeature {
		for _, word := range f.needs {
			n, known := requirements.LookupNeed(word)
			require.True(t, known, "%s: %s", feature, word)
			assert.Equal(t, requirements.Provision, n.Kind, "%s: the need %s is not a provision", feature, word)
		}
	}
	for word, features := range eitherOf {
		require.Contains(t, needs, word)
		assert.Len(t, features, 2, word)
	}
}
