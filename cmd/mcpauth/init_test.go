package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites"
	"github.com/mcpauth/conformance/suites/target"
)

// The target's texts stay values and comments, whatever they contain, and commented lines are valid after uncommenting.
func TestInitTextIsATargetFile(t *testing.T) {
	for _, name := range []string{"ALICE_PASSWORD", "BOB_PASSWORD", "CLIENT_SECRET", "API_KEY"} {
		t.Setenv(name, "value-of-"+name)
	}
	for _, word := range []string{"notes:read", "a\nversion: 2", "# x", `"]: {`, "*", "- x", "\u202e", "{marker}", "null", "yes"} {
		seen := suites.Surveyed{Scopes: []string{word, "b"}, Tools: []string{word}, Issuers: []string{word}, Documents: true,
			Revisions: []reports.RevisionStatus{{Revision: "2025-11-25", Wire: "stateful", Status: "spoken", Why: word}}}
		text := targetText("https://mcp.example.com/mcp", &seen)
		_, err := target.Load(write(t, "target.yaml", text))
		require.NoError(t, err, text)
		var whole strings.Builder
		for line := range strings.SplitSeq(text, "\n") {
			bare := strings.TrimPrefix(line, "# ")
			if strings.HasPrefix(line, "# ") && (strings.HasPrefix(bare, " ") || strings.HasSuffix(bare, ":") ||
				strings.HasPrefix(bare, "fake_idp: ")) {
				line = bare
			}
			whole.WriteString(line + "\n")
		}
		loaded, err := target.Load(write(t, "target.yaml", whole.String()))
		require.NoError(t, err, whole.String())
		assert.Len(t, loaded.Users, 2)
		assert.Len(t, loaded.Tools, 5)
		assert.Equal(t, "notes:read notes:write", loaded.Tools[2].Scope)
		assert.Equal(t, time.Minute, loaded.Lifetimes.Code)
		assert.Equal(t, []string{"notes:write"}, loaded.Implies["notes:admin"])
		assert.Len(t, loaded.Scopes, 2)
	}
}
