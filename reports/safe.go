package reports

import (
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Printable makes foreign text safe to show: control characters (but newline and tab), characters that are not seen or
// change the direction of text, invalid UTF-8, and what a CI system would take for a command become visible escapes.
func Printable(s string) string {
	if strings.ContainsFunc(s, dangerous) || !utf8.ValidString(s) {
		s = escaped(s)
	}
	if strings.Contains(s, "##") {
		s = agentCommand.ReplaceAllString(s, `#\u{23}$1`)
	}
	if strings.Contains(s, "::") {
		s = workflowCommand.ReplaceAllString(s, `$1\u{3a}:$2`)
	}
	return s
}

var (
	// Azure Pipelines reads ##vso[command] and GitHub the old ##[command] anywhere in a line, TeamCity ##teamcity[message].
	agentCommand = regexp.MustCompile(`##([A-Za-z]*\[)`)
	// GitHub reads ::command::data at the beginning of a line, white space aside.
	workflowCommand = regexp.MustCompile(`(?m)^(\s*)::(.*::)`)
)

func escaped(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case dangerous(r):
			fmt.Fprintf(&b, `\u{%x}`, r)
		default:
			b.WriteRune(r)
		}
		i += n
	}
	return b.String()
}

// Prefixed is Printable with a prefix on every line, so that no line begins with foreign text.
func Prefixed(prefix, text string) string {
	var b strings.Builder
	for line := range strings.SplitSeq(strings.TrimRight(Printable(text), "\n"), "\n") {
		b.WriteString(prefix + line + "\n")
	}
	return b.String()
}

// WriteJSON writes a value as JSON, indented by a string unless that is empty. Characters that a terminal or a CI system would
// act on are escaped: the value stays the same.
func WriteJSON(w io.Writer, value any, indent string) error {
	enc := json.NewEncoder(quiet{w})
	enc.SetIndent("", indent)
	return enc.Encode(value)
}

// quiet escapes what is left in JSON that encoding/json takes for harmless. It gets whole documents.
type quiet struct{ io.Writer }

func (q quiet) Write(p []byte) (int, error) {
	var out []byte
	from := 0 // what is before is in out
	for i := 0; i < len(p); {
		r, n := rune(p[i]), 1
		if r >= utf8.RuneSelf {
			r, n = utf8.DecodeRune(p[i:])
		}
		if r != '\n' && dangerous(r) || r == '#' && i > 0 && p[i-1] == '#' {
			out = append(out, p[from:i]...)
			for _, unit := range utf16.Encode([]rune{r}) {
				out = fmt.Appendf(out, `\u%04x`, unit)
			}
			from = i + n
		}
		i += n
	}
	if from > 0 {
		if _, err := q.Writer.Write(append(out, p[from:]...)); err != nil {
			return 0, err
		}
		return len(p), nil
	}
	return q.Writer.Write(p)
}

// OneLine is Printable with line breaks and tabs made visible too, cut after max runes.
func OneLine(s string, max int) string {
	s = strings.NewReplacer("\n", `\n`, "\t", `\t`).Replace(Printable(s))
	if n := []rune(s); len(n) > max {
		return string(n[:max]) + "…"
	}
	return s
}

// dangerous reports that a character controls something, shows nothing, or changes the direction of text.
func dangerous(r rune) bool {
	if r < 0xa0 {
		return r != '\n' && r != '\t' && unicode.IsControl(r)
	}
	if r < 0x2c2 && r != 0xad { // the letters of most texts
		return false
	}
	return unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point) ||
		r >= 0xe0000 && r <= 0xe0fff || r&0xfffe == 0xfffe
}
