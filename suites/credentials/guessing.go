package credentials

import (
	"math"
	"regexp"
	"strings"
)

// vendor is the public part before the secret, such as sk-live_. Only words count: what looks like a prefix by chance belongs to the
// secret.
var vendor = regexp.MustCompile(`^((sk|pk|ro|mcp|key|api|app|pat|token|secret|access|bearer|service|team|live|test|prod|production|` +
	`dev|staging|admin|user|readonly|read|write)[-_])+`)

// guessing estimates how many bits of a secret are unknown to an attacker who knows its format and the other secrets. It is an upper
// bound: it detects words, counters and repetitions, but not a bad source of randomness.
func guessing(secret string, others []string) float64 {
	own := vendor.ReplaceAllString(secret, "")
	for _, other := range others {
		if n := common(own, vendor.ReplaceAllString(other, "")); n >= 4 && n*2 >= len(own) {
			own = own[n:] // what it shares with the others is not secret
		}
	}
	own = sequences(own)
	return float64(len(own)) * math.Log2(alphabet(own))
}

func common(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// sequences shortens runs such as aaaa and 1234 to their first character.
func sequences(s string) string {
	var out strings.Builder
	for i := 0; i < len(s); {
		end := i + 1
		if i+1 < len(s) {
			if step := int(s[i+1]) - int(s[i]); step >= -1 && step <= 1 {
				for end < len(s) && int(s[end])-int(s[end-1]) == step {
					end++
				}
			}
		}
		if end-i < 4 {
			end = i + 1
		}
		out.WriteByte(s[i])
		i = end
	}
	return out.String()
}

// alphabet is the size of the smallest usual alphabet that contains every character.
func alphabet(s string) float64 {
	for _, a := range []struct {
		characters string
		size       float64
	}{{"0123456789", 10}, {"0123456789abcdef-", 16}, {"0123456789ABCDEF-", 16}} {
		if strings.Trim(s, a.characters) == "" {
			return a.size
		}
	}
	size := 0.0
	for _, class := range []struct {
		characters string
		size       float64
	}{{"abcdefghijklmnopqrstuvwxyz", 26}, {"ABCDEFGHIJKLMNOPQRSTUVWXYZ", 26}, {"0123456789", 10}, {"-_", 2}, {"+/=~.!@#$%^&*", 13}} {
		if strings.ContainsAny(s, class.characters) {
			size += class.size
		}
	}
	return max(size, 2)
}
