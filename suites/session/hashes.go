package session

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mcpauth/conformance/suites/internal/expect"
)

// A hash hides nothing that can be guessed: who knows the time of a session, or tries small numbers, computes its id.
var beNoHash = expect.Family("beNoHash", func(began, ended time.Time) expect.Matcher {
	return expect.That("ids that nobody can compute as a hash of a small number or of the time", func(ids []string) string {
		var sums [][]byte
		for _, id := range ids {
			sums = append(sums, decoded(id)...)
		}
		for _, g := range guesses(began, ended) {
			if hash := hashOfRange(sums, g); hash != "" {
				return "an id is the " + hash + " of " + g.name
			}
		}
		return ""
	})
})

// guess is a range of numbers whose hash an id may be.
type guess struct {
	name        string
	first, last int64
}

// smallNumbers is how many values of a counter are tried. The slacks allow for clocks that differ.
const smallNumbers, coarseSlack, fineSlack = 10000, 5 * time.Minute, 2 * time.Second

func guesses(began, ended time.Time) []guess {
	if last := ended.Add(-time.Minute); began.Before(last) {
		began = last
	}
	return []guess{
		{"a small number", 0, smallNumbers},
		{"the time in seconds", began.Add(-coarseSlack).Unix(), ended.Add(coarseSlack).Unix()},
		{"the time in milliseconds", began.Add(-fineSlack).UnixMilli(), ended.Add(fineSlack).UnixMilli()},
	}
}

var hashes = []struct {
	name string
	sum  func([]byte) []byte
}{
	{"MD5", func(b []byte) []byte { s := md5.Sum(b); return s[:] }},
	{"SHA-1", func(b []byte) []byte { s := sha1.Sum(b); return s[:] }},
	{"SHA-256", func(b []byte) []byte { s := sha256.Sum256(b); return s[:] }},
}

// hashOfRange returns the name of the hash by which a number of the range begins with one of the sums.
func hashOfRange(sums [][]byte, g guess) string {
	for n := g.first; n <= g.last; n++ {
		text := strconv.AppendInt(nil, n, 10)
		for _, h := range hashes {
			sum := h.sum(text)
			if slices.ContainsFunc(sums, func(id []byte) bool { return bytes.HasPrefix(sum, id) }) {
				return h.name
			}
		}
	}
	return ""
}

// decoded returns what an id is in hexadecimal digits (with or without the hyphens of a UUID) and in base64. Too few bytes may be
// equal by chance.
func decoded(id string) (out [][]byte) {
	if b, err := hex.DecodeString(strings.ReplaceAll(id, "-", "")); err == nil && len(b) >= enough/8 {
		out = append(out, b)
	}
	text := strings.TrimRight(strings.NewReplacer("+", "-", "/", "_").Replace(id), "=")
	if b, err := base64.RawURLEncoding.DecodeString(text); err == nil && len(b) >= enough/8 {
		out = append(out, b)
	}
	return out
}
