package reports

import (
	"html"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"unicode/utf16"
)

// finder finds values in a text: in plain form, and decoded in up to mostLayers layers of escapes (percent, JSON, HTML, UTF-16) and
// encodings (base64, base32, hex).
type finder struct {
	values []string // sorted; none is shorter than shortestSecret
	names  []string // of each value
	heads  *[headBits / 64]uint64

	longestValue int
	spaces       bool // a value has one
}

const (
	mostLayers = 4
	headBits   = 1 << 20
	// mostDecoded bounds the decoded bytes, as a multiple of the text.
	mostDecoded = 64
)

// span is a part of a text with a value.
type span struct{ from, to, value int }

func newFinder(names map[string]string) *finder {
	f := &finder{heads: new([headBits / 64]uint64)}
	for v := range names {
		f.values = append(f.values, v)
	}
	slices.Sort(f.values)
	for _, v := range f.values {
		f.names = append(f.names, names[v])
		var first uint64
		for i := range shortestSecret {
			first = first<<8 | uint64(v[i])
		}
		h := head(first)
		f.longestValue, f.spaces = max(f.longestValue, len(v)), f.spaces || strings.Contains(v, " ")
		f.heads[h/64] |= 1 << (h % 64)
	}
	return f
}

// head returns a hash of the first six bytes of a value, given as a number with the first byte on top.
func head(window uint64) uint64 { return (window & windowBits) * 0x9e3779b97f4a7c15 >> 44 }

const (
	window     = 8 * shortestSecret
	windowBits = 1<<window - 1
)

// begins reports whether a value may begin with these six bytes.
func (f *finder) begins(six uint64) bool {
	h := head(six)
	return f.heads[h/64]>>(h%64)&1 == 1
}

// longest returns the index of the longest value at the beginning of a text, or -1.
func (f *finder) longest(text []byte) int {
	for {
		i := sort.Search(len(f.values), func(i int) bool { return f.values[i] > string(text) }) - 1
		if i < 0 {
			return -1
		}
		same := common(f.values[i], text)
		if same == len(f.values[i]) {
			return i
		}
		if same < shortestSecret {
			return -1
		}
		text = text[:same]
	}
}

func common(a string, b []byte) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// layer is a text that was decoded from a part of another.
type layer struct {
	text []byte
	from *layer // nil: the text itself
	// starts are the positions in the other text at which each byte begins, and the end; nil if bits are counted.
	starts []int32
	// first is the bit of the other text at which the encoded part begins, if each of its characters stands for some bits.
	first, bits int
}

// place returns the part of the original text that bytes p to q of a layer were decoded from.
func (l *layer) place(p, q int) (int, int) {
	for ; l.from != nil; l = l.from {
		if l.starts != nil {
			p, q = int(l.starts[p]), int(l.starts[q])
		} else {
			p, q = (l.first+p*8)/l.bits, (l.first+q*8+l.bits-1)/l.bits
		}
	}
	return p, q
}

// search is the search for values in one text.
type search struct {
	*finder
	found []span
	left  int // bytes that may still be decoded
	spare [][]byte
}

var searches = sync.Pool{New: func() any { return &search{} }}

// spans returns the parts of a text with values, in order. Overlapping ones are joined, under the name of the longest.
func (f *finder) spans(text string) []span {
	if len(f.values) == 0 || len(text) < shortestSecret {
		return nil
	}
	s := searches.Get().(*search)
	defer searches.Put(s)
	s.finder, s.found, s.left = f, s.found[:0], mostDecoded*(len(text)+64)
	l := layer{text: append(s.buffer(), text...)}
	s.look(&l, mostLayers)
	s.release(l.text)
	if len(s.found) == 0 {
		return nil
	}
	slices.SortFunc(s.found, func(a, b span) int {
		if a.from != b.from {
			return a.from - b.from
		}
		return a.value - b.value
	})
	out := []span{s.found[0]}
	for _, next := range s.found[1:] {
		last := &out[len(out)-1]
		if next.from >= last.to {
			out = append(out, next)
			continue
		}
		last.to = max(last.to, next.to)
		if len(f.values[next.value]) > len(f.values[last.value]) {
			last.value = next.value
		}
	}
	return out
}

func (s *search) buffer() []byte {
	if n := len(s.spare); n > 0 {
		b := s.spare[n-1]
		s.spare = s.spare[:n-1]
		return b[:0]
	}
	return nil
}

func (s *search) release(b []byte) {
	if cap(b) <= 1<<20 {
		s.spare = append(s.spare, b)
	}
}

// compare records the value at the beginning of a text, which is that of a layer from a byte on.
func (s *search) compare(l *layer, text []byte, at int) {
	if v := s.longest(text); v >= 0 {
		from, to := l.place(at, at+len(s.values[v]))
		s.found = append(s.found, span{from, to, v})
	}
}

// look searches a layer, and its decoded forms.
func (s *search) look(l *layer, layers int) {
	b := l.text
	var six uint64
	for i, c := range b {
		six = six<<8 | uint64(c)
		if i >= shortestSecret-1 && s.begins(six) {
			s.compare(l, b[i-shortestSecret+1:], i-shortestSecret+1)
		}
	}
	if layers--; layers == 0 {
		return
	}
	if plain, ok := s.unescaped(l); ok {
		s.look(&plain, layers)
		s.release(plain.text)
	}
	for i := 0; i < len(b); i++ {
		kind := alphabets[b[i]]
		if kind == 0 {
			continue
		}
		start, all := i, kind
		for ; i < len(b) && alphabets[b[i]] != 0; i++ {
			all &= alphabets[b[i]]
		}
		s.words(l, start, i, layers)
	}
}

// The alphabets of encodings, as bits.
const (
	inBase64 = 1 << iota
	inHex
	upper32
	lower32
)

// values64 are the values of the characters of base64 and base64url; likewise for base32 and hex.
var alphabets, values64, values32, valuesHex = tables()

func tables() (kinds, b64, b32, hex [256]byte) {
	for i, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") {
		kinds[c], b64[c] = kinds[c]|inBase64, byte(i)
	}
	kinds['-'], b64['-'], kinds['_'], b64['_'] = inBase64, 62, inBase64, 63
	for i, c := range []byte("abcdefghijklmnopqrstuvwxyz234567") {
		kinds[c], b32[c] = kinds[c]|lower32, byte(i)
	}
	for i, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") {
		kinds[c], b32[c] = kinds[c]|upper32, byte(i)
	}
	for i, c := range []byte("0123456789abcdef") {
		kinds[c], hex[c] = kinds[c]|inHex, byte(i)
	}
	for i, c := range []byte("ABCDEF") {
		kinds[c], hex[c] = kinds[c]|inHex, byte(10+i)
	}
	return kinds, b64, b32, hex
}

// encodings are those in which a character stands for some bits.
var encodings = []struct {
	kind   byte
	bits   int
	values *[256]byte
}{{inBase64, 6, &values64}, {inHex, 4, &valuesHex}, {upper32, 5, &values32}, {lower32, 5, &values32}}

// words searches a word of a layer in all its readings.
func (s *search) words(l *layer, start, end, layers int) {
	for k := range encodings {
		e := &encodings[k]
		if (end-start)*e.bits < window {
			continue
		}
		for i := start; i < end; i++ {
			from := i
			for i < end && alphabets[l.text[i]]&e.kind != 0 {
				i++
			}
			if (i-from)*e.bits >= window {
				s.encoded(l, from, i, e.bits, e.values, layers)
			}
		}
	}
}

// encoded searches a word that may be encoded. A value may begin at any bit, so it tries all.
func (s *search) encoded(l *layer, start, end, bits int, values *[256]byte, layers int) {
	step := 2 // between possible beginnings of a byte
	if bits != 6 {
		step = 1
	}
	if bits == 4 {
		step = 4
	}
	var acc uint64
	seen, read := 0, 0 // bits of the word; phases in which it was read as text, as bits
	for _, c := range l.text[start:end] {
		acc, seen = acc<<bits|uint64(values[c]), seen+bits
		for behind := bits - step; behind >= 0; behind -= step {
			first := seen - behind - window
			if first < 0 {
				continue
			}
			six := acc >> behind
			if hit, text := s.begins(six), legible(six) && read>>(first%8)&1 == 0; hit || text {
				size := s.longestValue
				if text {
					size = end - start
				}
				s.left -= min(size, end-start)
				if s.left < 0 {
					return
				}
				plain := layer{text: decode(s.buffer(), l.text[start:end], first, bits, values, size), from: l, first: start*bits + first, bits: bits}
				if hit {
					s.compare(&plain, plain.text, 0)
				}
				if text {
					read |= 1 << (first % 8)
					s.look(&plain, min(layers, 3))
				}
				s.release(plain.text)
			}
		}
	}
}

// legible reports whether six bytes are visible characters, or such in UTF-16.
func legible(six uint64) bool {
	if six &= windowBits; six&0x808080808080 != 0 {
		return false
	}
	for range shortestSecret {
		if c := six & 0xff; c != 0 && c < ' ' {
			return false
		}
		six >>= 8
	}
	return true
}

// decode appends the bytes that a word encodes from a bit on, up to a number.
func decode(out, word []byte, first, bits int, values *[256]byte, most int) []byte {
	acc, n := 0, -(first % bits)
	for _, c := range word[first/bits:] {
		acc = acc<<bits | int(values[c])
		if n += bits; n >= 8 {
			n -= 8
			if out = append(out, byte(acc>>n)); len(out) == most {
				break
			}
			acc &= 1<<n - 1
		}
	}
	return out
}

// escapes reports whether an escape begins with a character.
func (s *search) escapes(c byte) bool {
	return c == '%' || c == '\\' || c == '&' || c == 0 || c == '+' && s.spaces
}

// unescaped returns a layer without escapes of any kind; false if it has none.
func (s *search) unescaped(l *layer) (layer, bool) {
	b := l.text
	if !slices.ContainsFunc(b, s.escapes) {
		return layer{}, false
	}
	if s.left -= len(b); s.left < 0 {
		return layer{}, false
	}
	out := layer{text: s.buffer(), from: l, starts: make([]int32, 0, len(b)+1)}
	changed := false
	for i := 0; i < len(b); {
		plain, n := "", 0
		if s.escapes(b[i]) {
			plain, n = escape(b[i:])
		}
		if n == 0 {
			out.text, out.starts = append(out.text, b[i]), append(out.starts, int32(i))
			i++
			continue
		}
		changed = true
		for range len(plain) {
			out.starts = append(out.starts, int32(i))
		}
		out.text = append(out.text, plain...)
		i += n
	}
	out.starts = append(out.starts, int32(len(b)))
	if !changed {
		s.release(out.text)
	}
	return out, changed
}

// escape returns the meaning of an escape at the beginning of a text, and its length; 0 if there is none.
func escape(b []byte) (plain string, n int) {
	switch b[0] {
	case 0: // of UTF-16
		return "", 1
	case '+': // of a form
		return " ", 1
	case '%':
		if v, ok := hexadecimal(b, 1, 2); ok {
			return string([]byte{byte(v)}), 3
		}
	case '\\':
		return backslash(b)
	case '&':
		if end := slices.Index(b[:min(len(b), 12)], ';'); end > 1 {
			if entity := string(b[:end+1]); entity != html.UnescapeString(entity) {
				return html.UnescapeString(entity), end + 1
			}
		}
	}
	return "", 0
}

// backslash decodes an escape of JSON or JavaScript.
func backslash(b []byte) (plain string, n int) {
	if len(b) < 2 {
		return "", 0
	}
	switch b[1] {
	case 'u':
		v, ok := hexadecimal(b, 2, 4)
		if !ok {
			return "", 0
		}
		if utf16.IsSurrogate(rune(v)) && len(b) >= 8 && b[6] == '\\' && b[7] == 'u' {
			if low, ok := hexadecimal(b, 8, 4); ok {
				return string(utf16.DecodeRune(rune(v), rune(low))), 12
			}
		}
		return string(rune(v)), 6
	case 'x':
		if v, ok := hexadecimal(b, 2, 2); ok {
			return string(rune(v)), 4
		}
	case 'n':
		return "\n", 2
	case 't':
		return "\t", 2
	case 'r':
		return "\r", 2
	case '/', '\\', '"', '\'':
		return string(b[1:2]), 2
	}
	return "", 0
}

func hexadecimal(b []byte, at, digits int) (uint64, bool) {
	if len(b) < at+digits {
		return 0, false
	}
	v, err := strconv.ParseUint(string(b[at:at+digits]), 16, 32)
	return v, err == nil
}

// replace replaces each span of a text.
func (f *finder) replace(text string) string {
	spans := f.spans(text)
	if len(spans) == 0 {
		return text
	}
	var b strings.Builder
	at := 0
	for _, s := range spans {
		b.WriteString(text[at:s.from])
		b.WriteString(f.names[s.value])
		at = s.to
	}
	b.WriteString(text[at:])
	return b.String()
}
