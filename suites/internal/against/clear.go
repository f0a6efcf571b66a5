package against

import (
	"regexp"
	"strings"

	"github.com/mcpauth/conformance/reports"
)

// unclear are traces of how a finding is made, and words that only this project knows.
var unclear = regexp.MustCompile(`<nil>|%!|\bmap\[|\[\]interface|\binterface \{\}|\b\d+(\.\d+)?e\+\d+|\d+h\d+m\d+s|  |` +
	`\b1 (requests|connections|registrations|documents|tries)\b|\bthe (good|bad) control\b|\bcontrol failed\b|\bvariant \d|\bin silence\b|` +
	`\bSOFT\b|\bR401\b|\bMINT\(|\bT[0-3]\b`)

// Unclear says what a maintainer of the target would not understand in a finding: what was sent, what should have come, what came.
func Unclear(f reports.Finding) string {
	switch {
	case strings.TrimSpace(f.Expected) == "" || strings.TrimSpace(f.Observed) == "":
		return "it does not say what was expected, or what was observed"
	case f.Expected == f.Observed:
		return "what was observed is what was expected"
	case number.MatchString(f.About):
		return "it does not say what was sent"
	}
	ours := f.Expected
	for _, quoted := range []string{f.About, f.Observed} { // what the target sent is quoted, and may be anything
		ours += "\n" + quotes.ReplaceAllString(quoted, "x")
	}
	if found := unclear.FindString(ours); found != "" {
		return "it says " + found
	}
	for _, text := range []string{f.About, f.Expected, f.Observed} {
		if strings.HasSuffix(text, ": ") {
			return "it ends before it is said"
		}
	}
	return ""
}

var number = regexp.MustCompile(`^\d+$`)

var quotes = regexp.MustCompile(`"(\\\\.|[^"\\\\])*"|‹[^›]*›`)
