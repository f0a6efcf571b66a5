package reports

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Printable makes untrusted text safe to show: control characters (except newline and tab), characters that are invisible or change the
// direction of text, invalid UTF-8, and commands for a CI system become visible escapes.
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
	// GitHub reads ::command::data at the beginning of a line, after Unicode white space.
	workflowCommand = regexp.MustCompile(`(?m)^([\s\pZ]*)::(.*::)`)
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

// Prefixed is Printable with a prefix on every line, so that no line begins with untrusted text.
func Prefixed(prefix, text string) string {
	var b strings.Builder
	for line := range strings.SplitSeq(strings.TrimRight(Printable(text), "\n"), "\n") {
		b.WriteString(prefix + line + "\n")
	}
	return b.String()
}

// Long is a list that may be so long that it is encoded element by element. Its elements replace the empty list of that name in the value,
// as a member of the value or of one of its members.
type Long struct {
	Name     string
	Elements iter.Seq[any]
}

// WriteJSON writes a value as JSON, indented unless indent is empty. It escapes characters on which a terminal or a CI system would act,
// without changing the value.
func WriteJSON(w io.Writer, value any, indent string, long ...Long) error {
	if indent == "" {
		return json.NewEncoder(quiet{w}).Encode(value)
	}
	l := &layout{to: quiet{w}, indent: indent, long: long}
	l.value(value, 0)
	l.b.WriteByte('\n')
	l.flush()
	return l.err
}

// widest is the maximum length, in bytes, of an object or a list on one line: reports are stored, and indents are a tenth of them.
const widest = 800

// layout writes compact JSON for people: short values, and each list of numbers, are on one line, without spaces; each member of other
// values has its own line.
type layout struct {
	to     quiet
	indent string
	long   []Long
	b      bytes.Buffer // not written yet
	err    error
}

// flush writes the buffer, which ends with a complete value.
func (l *layout) flush() {
	if l.err == nil {
		_, l.err = l.to.Write(l.b.Bytes())
	}
	l.b.Reset()
}

// value encodes and lays out a value.
func (l *layout) value(v any, depth int) {
	text, err := json.Marshal(v)
	if err != nil {
		l.err = cmp.Or(l.err, err)
		return
	}
	l.lay(text, depth)
}

func (l *layout) line(depth int) {
	l.b.WriteByte('\n')
	for range depth {
		l.b.WriteString(l.indent)
	}
}

// next begins an element or a member on a new line.
func (l *layout) next(first bool, depth int) {
	if !first {
		l.b.WriteByte(',')
	}
	if l.b.Len() > 64<<10 {
		l.flush()
	}
	l.line(depth)
}

func (l *layout) lay(text []byte, depth int) {
	numbers := text[0] == '[' && len(text) > 1 && text[1] >= '0' && text[1] <= '9'
	short := len(text) <= widest && depth > 0 && l.longIn(text) == nil
	if short || text[0] != '{' && text[0] != '[' || numbers {
		l.b.Write(text)
		return
	}
	l.b.WriteByte(text[0])
	rest := text[1 : len(text)-1]
	for first := true; len(rest) > 0; first = false {
		if !first {
			rest = rest[1:]
		}
		l.next(first, depth+1)
		var list *Long
		if text[0] == '{' {
			name := valueEnd(rest)
			list = l.longIn(rest[:min(len(rest), name+3)])
			l.b.Write(rest[:name])
			l.b.WriteString(": ")
			rest = rest[name+1:]
		}
		end := valueEnd(rest)
		if list != nil && depth < 2 {
			l.list(list.Elements, depth+1)
		} else {
			l.lay(rest[:end], depth+1)
		}
		rest = rest[end:]
	}
	l.line(depth)
	l.b.WriteByte(text[len(text)-1])
}

// longIn returns the long list whose placeholder a text contains, or nil.
func (l *layout) longIn(text []byte) *Long {
	for i := range l.long {
		if bytes.Contains(text, []byte(`"`+l.long[i].Name+`":[]`)) {
			return &l.long[i]
		}
	}
	return nil
}

// list lays out a list element by element.
func (l *layout) list(elements iter.Seq[any], depth int) {
	l.b.WriteByte('[')
	first := true
	for e := range elements {
		l.next(first, depth+1)
		l.value(e, depth+1)
		first = false
	}
	if !first {
		l.line(depth)
	}
	l.b.WriteByte(']')
}

// valueEnd returns the end of the value at the beginning of compact JSON.
func valueEnd(text []byte) int {
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			if depth--; depth < 0 {
				return i
			}
		case c == ':' || c == ',':
			if depth == 0 {
				return i
			}
		}
		if depth == 0 && !quoted && (text[i] == '}' || text[i] == ']') {
			return i + 1
		}
	}
	return len(text)
}

// quiet escapes what encoding/json leaves in JSON although it is dangerous. It gets complete values.
type quiet struct{ io.Writer }

func (q quiet) Write(p []byte) (int, error) {
	var out []byte
	from := 0 // the text before it is in out
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

// OneLine is Printable with visible line breaks and tabs, cut after max runes.
func OneLine(s string, max int) string {
	s = strings.NewReplacer("\n", `\n`, "\t", `\t`).Replace(Printable(s))
	if n := []rune(s); len(n) > max {
		return string(n[:max]) + "…"
	}
	return s
}

// AtMost returns the beginning of a text, up to a number of bytes.
func AtMost(most int, text string) string {
	const said = len("… (1000000000 bytes in all)")
	if len(text) <= most {
		return text
	}
	return Beginning(text, most-said)
}

// Beginning returns the beginning of a text, with its length. It ends before an incomplete word, which may be a secret.
func Beginning(text string, keep int) string {
	cut := strings.TrimRightFunc(strings.ToValidUTF8(text[:keep], ""), func(r rune) bool { return r < utf8.RuneSelf && inWord(byte(r)) })
	return fmt.Sprintf("%s… (%d bytes in all)", cut, len(text))
}

// WithoutUserinfo removes everything before the last @ of a URL, valid or not: a mistyped URL can have a user name and a password anywhere
// before it.
func WithoutUserinfo(address string) string {
	at := strings.LastIndexByte(address, '@')
	if at < 0 {
		return address
	}
	scheme, _, found := strings.Cut(address[:at], "://")
	if !found || strings.ContainsAny(scheme, ":/") {
		return "…" + address[at:]
	}
	return scheme + "://…" + address[at:]
}

// dangerous reports whether a character controls something, is invisible, or changes the direction of text.
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
