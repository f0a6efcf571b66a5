// Package nearmiss makes values that nearly equal a good one. A server that compares by prefix, suffix, length, letter case or pattern, or
// after decoding, accepts one of them. Checks use it for every string that a server compares: redirect URI, state, client identifier,
// verifier, scope, tool name, origin, audience, issuer, API key and session identifier.
package nearmiss

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Kind is the weak comparison that a near miss detects.
type Kind string

// Kinds of near misses. A caller omits those that its clause allows, or that its channel cannot transport.
const (
	Changed    Kind = "one character differs"
	Truncated  Kind = "only what follows the 72nd character differs"
	Shorter    Kind = "the beginning or the end is missing"
	Longer     Kind = "there is more before or after it"
	LetterCase Kind = "the letter case differs"
	Space      Kind = "white space is around it"
	Slash      Kind = "a slash at the end"
	Encoded    Kind = "percent-encoding"
	Unicode    Kind = "characters that look alike, or cannot be seen"
	Null       Kind = "a NUL byte"
	Empty      Kind = "nothing"
	Twice      Kind = "the value repeated"
	Pattern    Kind = "a wildcard, or a dot that stands for any character"

	Host       Kind = "another host"
	User       Kind = "user information"
	Scheme     Kind = "another scheme"
	Port       Kind = "another port"
	Path       Kind = "another path"
	Query      Kind = "another query"
	Equivalent Kind = "a URL that is equal only after normalization (RFC 3986 section 6.2.2)"
)

// Inherited are members of every JavaScript object: a server that stores its values in a plain object finds something under these names.
var Inherited = []string{"constructor", "__proto__", "toString"}

// Way is one way to make a near miss.
type Way struct {
	Kind Kind
	Name string
	// To makes the near miss. It returns the value itself if there is none of this kind.
	To func(good string) string
}

// Miss is a near miss of a value.
type Miss struct {
	Kind  Kind
	Name  string
	Value string
}

// Of returns the near misses of a value that differ from it and from each other.
func Of(good string, kinds ...Kind) []Miss { return apply(Ways(kinds...), good) }

// OfURL returns the near misses of an absolute URL or an origin.
func OfURL(good string, kinds ...Kind) []Miss { return apply(URLWays(kinds...), good) }

// Ways returns the ways of these kinds for any value; without kinds, all of them.
func Ways(kinds ...Kind) []Way { return only(ways, kinds) }

// URLWays returns the ways of these kinds for a URL; without kinds, all of them.
func URLWays(kinds ...Kind) []Way { return only(urlWays, kinds) }

// Except returns all kinds but these.
func Except(kinds ...Kind) []Kind {
	var out []Kind
	for _, w := range slices.Concat(ways, urlWays) {
		if !slices.Contains(kinds, w.Kind) && !slices.Contains(out, w.Kind) {
			out = append(out, w.Kind)
		}
	}
	return out
}

func only(all []Way, kinds []Kind) []Way {
	if len(kinds) == 0 {
		return slices.Clone(all)
	}
	return slices.DeleteFunc(slices.Clone(all), func(w Way) bool { return !slices.Contains(kinds, w.Kind) })
}

func apply(all []Way, good string) []Miss {
	seen := map[string]bool{good: true}
	var out []Miss
	for _, w := range all {
		if v := w.To(good); !seen[v] {
			seen[v] = true
			out = append(out, Miss{w.Kind, w.Name, v})
		}
	}
	return out
}

var ways = []Way{
	{Changed, "the first character changed", func(v string) string { return ChangedAt(v, 0) }},
	{Changed, "the middle character changed", func(v string) string { return ChangedAt(v, len(v)/2) }},
	{Changed, "the last character changed", func(v string) string { return ChangedAt(v, len(v)-1) }},
	{Truncated, "the character after the 72nd changed", func(v string) string { return ChangedAt(v, 72) }}, // bcrypt ignores the rest
	{Shorter, "the last character left out", func(v string) string { return v[:max(0, len(v)-1)] }},
	{Shorter, "the first character left out", func(v string) string { return v[min(1, len(v)):] }},
	{Longer, "one character more", func(v string) string { return v + "A" }},
	{Longer, "one character before it", func(v string) string { return "A" + v }},
	{LetterCase, "upper and lower case swapped", func(v string) string {
		if uuid.MatchString(v) {
			return v
		}
		return SwapCase(v)
	}},
	{Space, "a space before it", func(v string) string { return " " + v }},
	{Space, "a space after it", func(v string) string { return v + " " }},
	{Space, "a line break after it", func(v string) string { return v + "\n" }},
	{Slash, "a slash more at the end", func(v string) string { return v + "/" }},
	{Slash, "the slash at the end left out", func(v string) string { return strings.TrimSuffix(v, "/") }},
	{Encoded, "a character percent-encoded", func(v string) string { return encodedAt(v, len(v)/2) }},
	{Encoded, "percent-encoding decoded", decoded},
	{Unicode, "a look-alike letter", lookAlike},
	{Unicode, "a full-width character", fullWidth},
	{Unicode, "a zero-width space at the end", func(v string) string { return v + "\u200b" }},
	{Null, "a NUL byte at the end", func(v string) string { return v + "\x00" }},
	{Null, "a NUL byte and more at the end", func(v string) string { return v + "\x00A" }},
	{Empty, "an empty value", func(string) string { return "" }},
	{Twice, "the value twice", func(v string) string { return v + v }},
	{Twice, "the value twice, with a comma", func(v string) string { return v + "," + v }},
	{Twice, "the value twice, with a space", func(v string) string { return v + " " + v }},
	{Pattern, "* for its second half", func(v string) string { return v[:len(v)/2] + "*" }},
	{Pattern, "% for its second half", func(v string) string { return v[:len(v)/2] + "%" }},
	{Pattern, "* alone", func(string) string { return "*" }},
	{Pattern, "a letter instead of a dot", func(v string) string { return strings.Replace(v, ".", "x", 1) }},
}

// uuid matches UUIDs, which are the same in another letter case (RFC 9562 section 4).
var uuid = regexp.MustCompile(`^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$`)

// ChangedAt changes one character. It stays in the alphabets of base64url and of hexadecimal numbers, so that no other rule rejects the
// value. It changes the upper bits of the character in base64url, because the lower bits at the end of a value may be unused. It
// changes more than the letter case, which is a row of its own.
func ChangedAt(v string, i int) string {
	switch {
	case i < 0 || i >= len(v):
		return v
	case v[i] >= 'A' && v[i] <= 'P', v[i] == 'a':
		return v[:i] + "0" + v[i+1:]
	}
	return v[:i] + "A" + v[i+1:]
}

// SwapCase makes the small letters of a value large, and the large ones small.
func SwapCase(v string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return r
	}, v)
}

func encodedAt(v string, i int) string {
	if i >= len(v) {
		return v
	}
	return fmt.Sprintf("%s%%%02X%s", v[:i], v[i], v[i+1:])
}

// lookAlike replaces the last Latin letter that has a Cyrillic twin.
func lookAlike(v string) string {
	for i := len(v) - 1; i >= 0; i-- {
		if twin, ok := cyrillic[v[i]]; ok {
			return v[:i] + twin + v[i+1:]
		}
	}
	return v
}

// cyrillic are the Cyrillic twins of Latin letters.
var cyrillic = map[byte]string{
	'a': "а", 'c': "с", 'e': "е", 'i': "і", 'j': "ј", 'o': "о", 'p': "р", 's': "ѕ", 'x': "х", 'y': "у",
	'A': "А", 'B': "В", 'C': "С", 'E': "Е", 'H': "Н", 'I': "І", 'J': "Ј",
	'K': "К", 'M': "М", 'O': "О", 'P': "Р", 'S': "Ѕ", 'T': "Т", 'X': "Х",
}

// fullWidth replaces the last letter or digit by its full-width form, which compatibility normalization (NFKC) maps back.
func fullWidth(v string) string {
	i := strings.LastIndexFunc(v, func(r rune) bool { return r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' })
	if i < 0 {
		return v
	}
	return v[:i] + string(rune(v[i])+0xfee0) + v[i+1:]
}
