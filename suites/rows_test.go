package suites_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fakes/mcpserver"
	"github.com/mcpauth/conformance/fixtures/requirements"
	"github.com/mcpauth/conformance/reports"
)

// Parts of rows that differ from run to run: ports, and random values.
var (
	port   = regexp.MustCompile(`(:|%3A)\d{4,5}\b`)
	random = regexp.MustCompile(`\b[A-Za-z0-9_-]{20,}`)
)

// ofTheReference are names that only the reference has, and the words of a page that stand for them.
var ofTheReference = []struct {
	name *regexp.Regexp
	word string
}{
	{regexp.MustCompile(`: "[^"]*" in place of "[^"]*"$`), ""},
	{regexp.MustCompile(`\b(notes:(read|write|admin)|mcp:tool:(roll_dice|flip_coin))\b`), "SCOPE"},
	{regexp.MustCompile(`\bnote://[^ ,]*\{[^ ,]*`), "TEMPLATE"},
	{regexp.MustCompile(`\bnote://[^ ,]+`), "RESOURCE"},
	{regexp.MustCompile(`\bMcp-Param-Region\b`), "Mcp-Param-NAME"},
	{regexp.MustCompile(`\bkey "[^"]+"`), "key KEY"},
	{regexp.MustCompile(`\bthe (service|reader) (key|token)\b`), "CREDENTIAL"},
	{regexp.MustCompile(`\b(` + strings.Join(toolNames(), "|") + `)\b`), "TOOL"},
	{regexp.MustCompile(`\b(the tool|calls) report\b`), "$1 TOOL"},
}

// toolNames are the names of the reference's tools, but for an English word.
func toolNames() (out []string) {
	for _, tool := range mcpserver.Tools {
		if tool.Name != "report" {
			out = append(out, tool.Name)
		}
	}
	return out
}

// steady is a row without what differs from run to run, and from server to server.
func steady(row string) string {
	row = port.ReplaceAllString(reports.OneLine(row, 1000), "${1}PORT")
	for _, x := range ofTheReference {
		row = x.name.ReplaceAllString(row, x.word)
	}
	return random.ReplaceAllStringFunc(row, func(word string) string {
		if strings.ContainsAny(word, "0123456789") && strings.ToLower(word) != word && strings.ToUpper(word) != word {
			return "RANDOM"
		}
		return word
	})
}

// leastWithRows is how many checks name what they try, at least. It only goes up.
const leastWithRows = 260

// What explain says is tried is what the checks try: their rows, in a run against the reference server, are those that
// fixtures/requirements/rows names. "make rows" writes these files.
func TestTheCatalogueNamesWhatIsTried(t *testing.T) {
	t.Parallel()
	run := idealRun(t)
	tried := map[string]map[string][]string{}
	for _, r := range requirements.All() {
		tried[r.Area] = map[string][]string{}
	}
	for i := range run.Results {
		r := &run.Results[i]
		for _, row := range r.Tried {
			if rows := tried[r.Area]; !slices.Contains(rows[r.ID], steady(row)) {
				rows[r.ID] = append(rows[r.ID], steady(row))
			}
		}
	}
	total := 0
	for _, area := range slices.Sorted(maps.Keys(tried)) {
		total += len(tried[area])
		t.Run(area, func(t *testing.T) { compareRows(t, area, tried[area]) })
	}
	assert.GreaterOrEqual(t, total, leastWithRows)
}

// compareRows compares the rows that the checks of an area reported with those in its file, or writes the file.
func compareRows(t *testing.T, area string, tried map[string][]string) {
	file := filepath.Join("..", "fixtures", "requirements", "rows", area+".txt")
	if os.Getenv("MCPAUTH_GOLDEN") == "write" {
		var b strings.Builder
		for _, id := range slices.Sorted(maps.Keys(tried)) {
			b.WriteString(id + "\n\t" + strings.Join(tried[id], "\n\t") + "\n")
		}
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(b.String()), 0o644))
		return
	}
	for _, r := range requirements.All() {
		if r.Area == area {
			assert.Equal(t, requirements.Rows(r.ID), tried[r.ID], "%s tries something else than %s says; if it should, run: make rows AREA=%s",
				r.ID, file, area)
		}
	}
}
