package against

import (
	"regexp"
	"strings"

	"github.com/mcpauth/conformance/fakes/mcpserver"
	"github.com/mcpauth/conformance/reports"
)

// Parts of rows that differ from run to run: ports, and random values.
var (
	port   = regexp.MustCompile(`(:|%3A)\d{4,5}\b`)
	random = regexp.MustCompile(`[A-Za-z0-9_-]{20,}`)
)

// ofTheReference are names that only the reference has, with general words for them.
var ofTheReference = []struct {
	name *regexp.Regexp
	word string
}{
	{regexp.MustCompile(`: "[^"]*" instead of "[^"]*"$`), ""},
	{regexp.MustCompile(`\b(notes:(read|write|admin)|mcp:tool:(roll_dice|flip_coin))\b`), "SCOPE"},
	{regexp.MustCompile(`\bnote://[^ ,]*\{[^ ,]*`), "TEMPLATE"},
	{regexp.MustCompile(`\bnote://[^ ,]+`), "RESOURCE"},
	{regexp.MustCompile(`\bMcp-Param-Region\b`), "Mcp-Param-NAME"},
	{regexp.MustCompile(`\bkey "[^"]+"`), "key KEY"},
	{regexp.MustCompile(`\bthe (service|reader) (key|token)\b`), "CREDENTIAL"},
	{regexp.MustCompile(`\b(` + strings.Join(toolNames(), "|") + `)\b`), "TOOL"},
	{regexp.MustCompile(`\b(the tool|calls) report\b`), "$1 TOOL"},
}

// toolNames returns the names of the reference's tools, except one that is an English word.
func toolNames() (out []string) {
	for _, tool := range mcpserver.Tools {
		if tool.Name != "report" {
			out = append(out, tool.Name)
		}
	}
	return out
}

// SteadyRow removes from a row what differs between runs and between servers.
func SteadyRow(row string) string {
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
