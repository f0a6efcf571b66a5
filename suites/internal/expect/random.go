package expect

import (
	"fmt"
	"math"
)

// BeUnguessable expects a set of values that nobody can guess (RFC 6749 section 10.10). Random UUIDs, with 122 bits, are short
// of the number but not guessable: a warning.
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

// Weakness says why a set of values could be guessed; empty if nothing speaks for it. It sees weakness, not
// strength: the positions that vary, and the size of the alphabet in them. slight says that they are short of
// the demanded number only.
func Weakness(values []string) (weakness string, slight bool) {
	seen := map[string]bool{}
	for _, v := range values {
		if seen[v] {
			return "two of them are the same", false
		}
		seen[v] = true
	}
	if bits := VaryingBits(values); bits < 126 { // a position may be equal by chance
		return fmt.Sprintf("only about %d bits vary from one value to the next", bits), bits >= 112
	}
	return "", false
}

// VaryingBits bounds from above how many bits differ from one value to the next: those of the alphabet, at each position at which they
// are not all alike.
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

// alphabetOf returns the size of the smallest usual alphabet that holds all values.
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
