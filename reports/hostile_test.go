package reports_test

import (
	"encoding/json"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/reports/rendered"
)

// filled returns a run with the text in every string, and results of every verdict.
func filled(text string) reports.Run {
	run := sample(text)
	fill(reflect.ValueOf(&run).Elem(), text)
	for i := range run.Results {
		run.Results[i].Verdict = reports.Verdicts[i%len(reports.Verdicts)]
	}
	run.Stale, run.Unreachable, run.Doubt = []string{text}, text, text
	run.Results = append(run.Results, run.Results[0])
	run.Results[len(run.Results)-1].Verdict = reports.Verdict(text)
	return run
}

// fill sets every string in a value.
func fill(v reflect.Value, text string) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Pointer:
		if !v.IsNil() {
			fill(v.Elem(), text)
		}
	case reflect.Slice:
		for i := range v.Len() {
			fill(v.Index(i), text)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i), text)
		}
	}
}

var (
	workflow = regexp.MustCompile(`(?m)^[\s\pZ]*::.*::`)
	agent    = regexp.MustCompile(`##[A-Za-z]*\[`)
)

// acting returns the part of a text on which a terminal or a CI system would act, or "".
func acting(text string) string {
	if i := strings.IndexFunc(text, func(r rune) bool {
		return r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r) && r != '\u200b')
	}); i >= 0 {
		return text[max(0, i-40):min(len(text), i+40)]
	}
	if !utf8.ValidString(text) {
		return "invalid UTF-8"
	}
	return workflow.FindString(text) + agent.FindString(text)
}

// No string of a run acts on a terminal or a CI system in any report, whoever wrote it. Only the annotations for GitHub are commands, and
// mcpauth writes those.
func TestNoStringActs(t *testing.T) {
	for _, attack := range []string{
		"\x1b[2J\x1b]52;c;cHduZWQ=\x07", "a\u009b31mb\u0085c", "\u202egnp.exe\u2066\u200e\u061c", "x\n::error::pwned\n  ::set-output name=a::b",
		"::error::pwned",
		"see ##vso[task.setvariable variable=PATH]x and ##[error]y ##teamcity[z]", "\n#\u00ad#[command]x", "\U000e0041\U000e0100",
		"\r::warning::x", "\x00\xff\xfe",
		strings.Repeat("a ::error::b ", 40), strings.Repeat("\u00a0::error::\u2028 c ", 40), // at the beginning of a wrapped line
	} {
		texts, err := rendered.Texts(reports.Redact(filled(attack), &reports.Secrets{}))
		require.NoError(t, err)
		for name, text := range texts {
			if name == "github" {
				assert.Regexp(t, `^(::(error|warning) title=[^:\n]*::[^\n]*\n)+$`, text)
				text = regexp.MustCompile(`(?m)^::(error|warning) title=`).ReplaceAllString(text, "")
			}
			assert.Empty(t, acting(text), "%s with %q", name, attack)
		}
		for _, name := range []string{"json", "har", "sarif", "badge"} {
			assert.True(t, json.Valid([]byte(texts[name])), "%s with %q", name, attack)
		}
	}
	assert.NotEmpty(t, acting("a\n ::error::b"))
	assert.NotEmpty(t, acting("a ##vso[x]"))
	assert.NotEmpty(t, acting("a\u202e"))
}

// Escaping in JSON does not change the value.
func TestJSONKeepsItsValues(t *testing.T) {
	for _, s := range []string{"\u009b\u202e\U000e0041", "####[x]", "é 漢字 🙂", "\x7f"} {
		var b strings.Builder
		require.NoError(t, reports.WriteJSON(&b, map[string]string{s: s}, "  "))
		assert.Empty(t, acting(b.String()))
		var got map[string]string
		require.NoError(t, json.Unmarshal([]byte(b.String()), &got))
		assert.Equal(t, map[string]string{s: s}, got)
	}
}
