package matrix_test

import (
	"fmt"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mcpauth/conformance/reports"
)

// ofTheProject are words that only the authors understand.
var ofTheProject = regexp.MustCompile(`\b(variant \d+|control|ours|us|wire|row \d+|in silence)\b`)

// unclear are signs of a finding that only the authors understand: missing names, Go syntax, words of this project.
var unclear = map[string]*regexp.Regexp{
	"begins with a word that refers to nothing": regexp.MustCompile(`^(it|they|there is none|there is one|one is|the same one)\b`),
	"shows an empty value instead of saying so": regexp.MustCompile(`‹›|: $|\berror ""`),
	"is written by Go and not by a person":      regexp.MustCompile(`interface \{\}|map\[|%!|\dm0s\b|\de\+\d\d\b|<nil>|\[[a-z_]+ [a-z_ ]+\]`),
	"has a word of this project":                ofTheProject,
	"has a plural after one":                    regexp.MustCompile(`(^|[^\d.])1 (requests|connections|keys)\b`),
}

// infinitive is an expectation that cannot follow "should be".
var infinitive = regexp.MustCompile(`^[^,:(]* (not )?to (be|exist|run|get|have|name|end|continue|decide|lead|choose)\b`)

// quoted is text of the target or of a check, which may be anything.
var quoted = regexp.MustCompile(`‹[^›]+›|"(?:[^"\\]|\\.)+"`)

var letterOrDigit = regexp.MustCompile(`[\pL\d]`)

// mistakesInFinding lists what a maintainer of the target would not understand in a finding, which says what was sent, what came and what
// should be instead.
func mistakesInFinding(f reports.Finding) (out []string) {
	for name, text := range map[string]string{"what was sent": f.About, "what should have come": f.Expected, "what came": f.Observed} {
		if text == "" {
			if name != "what was sent" { // the title of the requirement says it if there is only one request
				out = append(out, name+" is missing")
			}
			continue
		}
		if len(text) > 800 {
			out = append(out, fmt.Sprintf("%s has %d characters, want at most 800", name, len(text)))
		}
		for why, sign := range unclear {
			if sign.MatchString(quoted.ReplaceAllString(text, "‹x›")) {
				out = append(out, fmt.Sprintf("%s %s: %q", name, why, text))
			}
		}
	}
	if !letterOrDigit.MatchString(f.Observed) {
		out = append(out, fmt.Sprintf("what came has no word: %q", f.Observed))
	}
	if infinitive.MatchString(f.Expected) {
		out = append(out, fmt.Sprintf("it does not follow \"should be\": %q", f.Expected))
	}
	if f.Expected == f.Observed {
		out = append(out, fmt.Sprintf("what came and what should have come are the same: %q", f.Expected))
	}
	return out
}

// mistakesInReason returns words of this project in the reason of a verdict.
func mistakesInReason(reason string) []string {
	return ofTheProject.FindAllString(quoted.ReplaceAllString(reason, "‹x›"), -1)
}

func TestTheFormOfFindingsIsDemanded(t *testing.T) {
	chosen := reports.Finding{Expected: "the state of the request", Observed: "state ‹%!map[a b] row 1› for ‹x›, \"%!\""}
	assert.Empty(t, mistakesInFinding(chosen))
	good := reports.Finding{About: "no token", Expected: "refusal with HTTP 401", Observed: "HTTP 200 and a JSON-RPC result"}
	assert.Empty(t, mistakesInFinding(good))
	for _, observed := range []string{
		"", "it is served", "there is none", `error ""`, "state ‹›",
		"the request ended at the consent page: ", "scope of type []interface {}",
		"after 10m0s", "3.6e+06", "[header query]", "the control failed", "row 10", "1 requests arrive", "refusal with HTTP 401",
	} {
		spoiled := good
		spoiled.Observed = observed
		assert.NotEmpty(t, mistakesInFinding(spoiled), observed)
	}
	good.Expected = "the call to be refused"
	assert.NotEmpty(t, mistakesInFinding(good))
	assert.Empty(t, mistakesInReason("the target speaks only one of the protocols with and without sessions"))
	assert.NotEmpty(t, mistakesInReason("the target speaks one wire only"))
}
