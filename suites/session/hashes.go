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
var beNoHash = expect.Family("beNoHash", func(began, ended time.Time, user string) expect.Matcher {
	return expect.That("ids that nobody can compute as a hash of a small number or of the time, alone or with a word before it or the user "+
		"beside it", func(ids []string) string {
		seen := read(ids)
		for _, g := range guesses(began, ended) {
			for i, around := range beside(user) {
				if i > 0 && g.first == 0 { // it takes time
					g.last = fewNumbers
				}
				if hash := seen.hashOfRange(g, around); hash != "" {
					return "an id is the " + hash + " of " + around.name + g.name
				}
			}
		}
		return ""
	})
})

// forms are what ids are when they are decoded.
type forms struct {
	sums  [][]byte
	uuids map[[16]byte]byte // without version and variant -> version
	named bool              // some UUID says that it is made of a name
}

func read(ids []string) forms {
	out := forms{uuids: map[[16]byte]byte{}}
	for _, id := range ids {
		out.sums = append(out.sums, decoded(id)...)
		if b, err := hex.DecodeString(strings.ReplaceAll(id, "-", "")); err == nil && len(b) == 16 {
			version := b[6] >> 4
			out.uuids[bare(b)], out.named = version, out.named || version == 3 || version == 5
		}
	}
	return out
}

// affix is what is around a number before it is hashed.
type affix struct{ name, before, after string }

// beside are the affixes that servers use: nothing, the kind of the id, and the user.
func beside(user string) []affix {
	out := []affix{{}}
	for _, mark := range []string{"-", "_", ":", "."} {
		for _, word := range []string{"session", "sess", "user", "mcp"} {
			out = append(out, affix{word + mark + " and ", word + mark, ""})
		}
		if user != "" {
			out = append(out, affix{"the user, " + mark + " and ", user + mark, ""}, affix{"the user after " + mark + " and ", "", mark + user})
		}
	}
	if user != "" {
		out = append(out, affix{"the user and ", user, ""}, affix{"the user after ", "", user})
	}
	return out
}

// guess is a range of numbers whose hash an id may be.
type guess struct {
	name        string
	first, last int64
}

// smallNumbers is how many values of a counter are tried alone, and fewNumbers how many with each word. The slacks allow for clocks that
// differ.
const smallNumbers, fewNumbers, coarseSlack, fineSlack = 10000, 1000, 5 * time.Minute, 2 * time.Second

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

// hashOfRange returns the name of the hash by which a number of the range begins with one of the sums, or is one of the UUIDs.
func (f forms) hashOfRange(g guess, around affix) string {
	for n := g.first; n <= g.last; n++ {
		text := append(strconv.AppendInt([]byte(around.before), n, 10), around.after...)
		for _, h := range hashes {
			sum := h.sum(text)
			if slices.ContainsFunc(f.sums, func(id []byte) bool { return bytes.HasPrefix(sum, id) }) {
				return h.name
			}
			if len(f.uuids) > 0 && f.uuids[bare(sum)] != 0 {
				return h.name + ", as a UUID,"
			}
		}
		if kind := f.namedUUID(text); kind != "" {
			return kind
		}
	}
	return ""
}

// namespaces are those of RFC 9562 section 6.6 and the empty one, by their first bytes.
var namespaces = [][16]byte{namespace(0x10), namespace(0x11), namespace(0x12), namespace(0x14), {}}

func namespace(kind byte) [16]byte {
	return [16]byte{0x6b, 0xa7, 0xb8, kind, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0, 0xc0, 0x4f, 0xd4, 0x30, 0xc8}
}

// namedUUID returns the kind of the UUID that is made of a name, if one of the ids is it (RFC 9562 sections 5.3 and 5.5).
func (f forms) namedUUID(name []byte) string {
	if !f.named {
		return ""
	}
	for _, space := range namespaces {
		text := append(space[:], name...)
		if sum := md5.Sum(text); f.uuids[bare(sum[:])] == 3 {
			return "UUID of version 3"
		}
		if sum := sha1.Sum(text); f.uuids[bare(sum[:])] == 5 {
			return "UUID of version 5"
		}
	}
	return ""
}

// bare are the first 16 bytes of a hash without the bits of the version and the variant.
func bare(sum []byte) (out [16]byte) {
	copy(out[:], sum)
	out[6], out[8] = out[6]&0x0f, out[8]&0x3f
	return out
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
