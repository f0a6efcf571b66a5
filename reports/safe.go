package reports

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Printable makes foreign text safe to show: control characters (but newline and tab), bidirectional
// controls, zero-width characters and invalid UTF-8 become visible escapes. It never returns ESC.
func Printable(s string) string {
	clean := true
	for _, r := range s {
		if dangerous(r) {
			clean = false
			break
		}
	}
	if clean && utf8.ValidString(s) {
		return s
	}
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

// OneLine is Printable with line breaks and tabs made visible too, cut after max runes.
func OneLine(s string, max int) string {
	s = strings.NewReplacer("\n", `\n`, "\t", `\t`).Replace(Printable(s))
	if n := []rune(s); len(n) > max {
		return string(n[:max]) + "…"
	}
	return s
}

func dangerous(r rune) bool {
	switch {
	case r == '\n' || r == '\t':
		return false
	case unicode.IsControl(r):
		return true
	case r >= 0x200b && r <= 0x200f, r >= 0x202a && r <= 0x202e, r >= 0x2060 && r <= 0x206f, r == 0xfeff, r == 0x061c:
		return true
	case r >= 0xe0000 && r <= 0xe007f:
		return true
	case r == 0x2028 || r == 0x2029 || r == 0xfffe || r == 0xffff:
		return true
	}
	return false
}
