package expect

import (
	"fmt"
	"math"
)

// BeUnguessable expects a set of unguessable values (RFC 6749 section 10.10). Random UUIDs, with 122 bits, are a little too short, but
// unguessable: a warning.
func BeUnguessable(what string) Matcher {
	return named(&matcher{kind: Look, judge: func(actual any) Judgement {
		values, ok := actual.([]string)
		if !ok || len(values) < 2 {
			return Judgement{Expected: what, Undecided: "too few values to compare"}
		}
		weak, slight := Weakness(values)
		switch {
		case weak == "":
			return Judgement{Met: true}
		case slight:
			return Judgement{Met: true, Advice: &Advice{what + " of at least 128 random bits (RFC 6749 section 10.10)", weak}}
		}
		return Judgement{Expected: what + " that cannot be guessed: all different, of at least 128 random bits (RFC 6749 section 10.10)",
			Observed: weak}
	}}, "BeUnguessable", what)
}

// Weakness says why a set of values may be guessable, or "". It detects weakness, not strength: it considers the positions that vary, and
// the size of their alphabet. slight says that the values are only a little too short.
func Weakness(values []string) (weakness string, slight bool) {
	seen := map[string]bool{}
	for _, v := range values {
		if seen[v] {
			return "two values are the same", false
		}
		seen[v] = true
	}
	if bits := VaryingBits(values); bits < 126 { // a position may be equal by chance
		return fmt.Sprintf("only about %d bits vary from one value to the next", bits), bits >= 112
	}
	return "", false
}

// VaryingBits returns an upper bound of the bits that differ between values: those of the alphabet, at each position at which the values
// are not all equal.
func VaryingBits(values []string) int {
	shortest := len(values[0])
	for _, v := range values {
		shortest = min(shortest, len(v))
	}
	bits := 0.0
	alphabet := alphabetOf(values)
	for i := range shortest {
		for _, v := range values[1:] {
			if v[i] != values[0][i] {
				bits += math.Log2(float64(alphabet))
				break
			}
		}
	}
	return int(bits)
}

// alphabetOf returns the size of the smallest usual alphabet that contains all values.
func alphabetOf(values []string) int {
	digits, hex := true, true
	for _, v := range values {
		for _, r := range v {
			digits = digits && r >= '0' && r <= '9'
			hex = hex && (r >= '0' && r <= '9' || r >= 'a' && r <= 'f' || r == '-')
		}
	}
	switch {
	case digits:
		return 10
	case hex:
		return 16
	}
	return 64
}
