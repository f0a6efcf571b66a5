package authorization

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// renamings put the other user where the own one is, whose name and subject may both be in a cookie: each alone, and both.
func renamings(names, subjects [2]string) []func(string) string {
	name := func(s string) string { return replacedWord(s, names[0], names[1]) }
	subject := func(s string) string { return replacedWord(s, subjects[0], subjects[1]) }
	return []func(string) string{name, subject, func(s string) string { return subject(name(s)) }}
}

// replacedWord replaces a word where no letter or digit is beside it: a short subject may be a part of a time or a key.
func replacedWord(s, word, by string) string {
	inWord := func(r rune) bool { return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r)) }
	var out strings.Builder
	for {
		before, after, found := strings.Cut(s, word)
		if !found || word == "" {
			return out.String() + s
		}
		left, _ := utf8.DecodeLastRuneInString(out.String() + before)
		right, _ := utf8.DecodeRuneInString(after)
		out.WriteString(before)
		if inWord(left) || inWord(right) {
			out.WriteString(word)
		} else {
			out.WriteString(by)
		}
		s = after
	}
}

// forgeries are a cookie with another user in it: as it is, percent-encoded, or encoded as a whole or in one of its parts. Of a JWT there
// is one without a signature, too.
func forgeries(value string, renamings []func(string) string) (out []string) {
	add := func(v string) {
		if v != value && !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	plain, err := url.PathUnescape(value)
	for _, renamed := range renamings {
		for _, v := range withAnother(value, renamed) {
			add(v)
		}
		if err != nil || plain == value {
			continue
		}
		for _, v := range withAnother(plain, renamed) {
			add(strings.ReplaceAll(url.QueryEscape(v), "+", "%20"))
		}
	}
	return out
}

// separators are those of JWTs, and of the signed cookies of common frameworks.
var separators = []string{".", "--", "|"}

func withAnother(value string, renamed func(string) string) []string {
	out := append(reencoded(value, renamed), renamed(value))
	for _, separator := range separators {
		parts := strings.Split(value, separator)
		for i := range parts {
			for _, v := range reencoded(parts[i], renamed) {
				out = append(out, strings.Join(slices.Concat(parts[:i], []string{v}, parts[i+1:]), separator))
			}
		}
	}
	if parts := strings.Split(value, "."); len(parts) == 3 && isJSON(parts[0]) {
		for _, payload := range reencoded(parts[1], renamed) {
			out = append(out, base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`))+"."+payload+".")
		}
	}
	return slices.DeleteFunc(out, func(v string) bool { return v == value })
}

// reencoded are the encodings of an encoded text that changes.
func reencoded(part string, change func(string) string) (out []string) {
	for _, e := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		if b, err := e.DecodeString(part); err == nil && change(string(b)) != string(b) {
			out = append(out, e.EncodeToString([]byte(change(string(b)))))
		}
	}
	if b, err := hex.DecodeString(part); err == nil && change(string(b)) != string(b) {
		out = append(out, hex.EncodeToString([]byte(change(string(b)))))
	}
	return out
}

func isJSON(part string) bool {
	b, err := base64.RawURLEncoding.DecodeString(part)
	return err == nil && json.Valid(b)
}
