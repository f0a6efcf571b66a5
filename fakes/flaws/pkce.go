package flaws

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/mcpauth/conformance/fakes/idp"
	"github.com/mcpauth/conformance/fakes/reference"
)

var pkce = slices.Concat(challengeFlaws, verifierFlaws)

// challengeFlaws show at the authorization endpoint, or in the value that a challenge is compared with.
var challengeFlaws = []Flaw{
	// Three challenges in four contain one of the characters, whichever check sends them.
	one("pkce-standard-base64", idp.URLAlphabet, "AS-PKCE-S256-ACCEPTED", "AS-CIMD-FLAG-TRUTHFUL", "AS-TOKEN-SECRET-BASIC"),
	rowOf(one("pkce-hexadecimal", idp.Base64URLChallenge, "AS-PKCE-RFC-VECTOR", "AS-PKCE-CHALLENGE-FORMAT"),
		"the challenge in hexadecimal"),
	otherHash("base64", "the challenge in base64 with padding", func(v string) string {
		return base64.StdEncoding.EncodeToString(hashed(v))
	}),
	otherHash("padded", "the challenge in base64url with padding", func(v string) string {
		return base64.URLEncoding.EncodeToString(hashed(v))
	}),
	otherHash("encoded-twice", "the hexadecimal challenge in base64url", func(v string) string {
		return base64.RawURLEncoding.EncodeToString([]byte(hex.EncodeToString(hashed(v))))
	}),
	otherHash("decoded", "the challenge of the decoded verifier", func(v string) string {
		raw, _ := base64.RawURLEncoding.DecodeString(v)
		return s256(string(raw))
	}),
	{
		Name: "pkce-published-pair", Says: "The pair of the RFC is refused.", Row: "the pair of RFC 7636 appendix B",
		Bend: behaviour(func(b *idp.Behaviour) {
			b.RefusesVerifier = func(v string) bool { return strings.HasPrefix(v, "dBjftJeZ4CVP-mB92K27uhbUJU1p1r") }
		}),
		Noticed: []string{"AS-PKCE-RFC-VECTOR"},
	},

	rowOf(one("pkce-optional", idp.RequireChallenge, "AS-PKCE-REQUIRE-CHALLENGE", "AS-AUTHZ-EMPTY-PARAMS",
		"AS-PKCE-REQUIRE-CHALLENGE-CONFIDENTIAL"), "no code_challenge"),
	stripped("empty", "an empty code_challenge", func(q url.Values) bool { return q.Has("code_challenge") }),
	stripped("method-alone", "a method without a code_challenge", func(q url.Values) bool {
		return !q.Has("code_challenge") && q.Has("code_challenge_method")
	}),
	rowOf(one("pkce-optional-for-confidential", idp.RequireChallengeConfidential, "AS-PKCE-REQUIRE-CHALLENGE-CONFIDENTIAL"),
		"no code_challenge"),

	rowOf(one("pkce-plain", idp.RefusePlain, "AS-PKCE-REJECT-PLAIN", "AS-AUTHZ-DUPLICATE-PARAMS"), "code_challenge_method plain"),
	rowOf(one("pkce-no-method-no-check", idp.NoDefaultMethod, "AS-PKCE-METHOD-DEFAULT"), "no method, redeemed without verifier"),
	noMethod("any-verifier", "no method, redeemed with another verifier", func(_, verifier string) bool { return verifier != "" }),
	noMethod("plain", "no method, redeemed with the challenge as verifier", func(challenge, verifier string) bool {
		return challenge == verifier
	}),
	noMethod("s256", "no method, redeemed as with S256", func(challenge, verifier string) bool { return challenge == s256(verifier) }),
	rowOf(one("pkce-unknown-method", idp.KnowMethod, "AS-PKCE-UNKNOWN-METHOD", "AS-PKCE-ERROR-CODES"), "S512"),
	method("SHA-256", "SHA-256"), method("space", " S256"), method("lower-case", "s256"), method("upper-case", "PLAIN"),
	lastMethod("after", "S512 after it", func(methods []string) bool { return len(methods) > 1 && methods[1] == "S512" }),
	lastMethod("before", "S512 before it", func(methods []string) bool { return len(methods) > 1 && methods[0] == "S512" }),

	challengeForm("short", "one character", func(c string) bool { return len(c) == 1 }),
	challengeForm("42", "42 characters", func(c string) bool { return len(c) == 42 }),
	challengeForm("44", "44 characters", func(c string) bool { return len(c) == 44 }),
	challengeForm("129", "129 characters", func(c string) bool { return len(c) == 129 }),
	challengeForm("huge", "100 kB", func(c string) bool { return len(c) > 1<<16 }),
	challengeForm("padding", "padding", func(c string) bool { return strings.HasSuffix(c, "=") }),
	challengeForm("plus", "plus", func(c string) bool { return strings.HasSuffix(c, "+") }),
	challengeForm("slash", "slash", func(c string) bool { return strings.HasSuffix(c, "/") }),
	challengeForm("space", "a space", func(c string) bool { return strings.HasSuffix(c, " ") }),
	challengeForm("accent", "é", func(c string) bool { return strings.HasSuffix(c, "é") }),
	one("pkce-any-challenge", idp.CheckChallengeFormat, "AS-PKCE-CHALLENGE-FORMAT"),
	errorCode("no-challenge", "no code_challenge", "code_challenge is missing"),
	errorCode("unknown-method", "an unknown method", "code_challenge_method must be S256"),
}

func hashed(verifier string) []byte { sum := sha256.Sum256([]byte(verifier)); return sum[:] }

func s256(verifier string) string { return base64.RawURLEncoding.EncodeToString(hashed(verifier)) }

// odd keeps a challenge that is not a hash in base64url.
func odd(q url.Values) (string, bool) {
	c := q.Get("code_challenge")
	return c, len(c) > 43 && q.Get("code_challenge_method") == "S256"
}

// otherHash accepts a challenge that was computed in another way.
func otherHash(name, row string, of func(verifier string) string) Flaw {
	return Flaw{
		Name: "pkce-hash-" + name, Says: "This is accepted: " + row + ".", Row: row, Noticed: []string{"AS-PKCE-RFC-VECTOR"},
		Also: []string{"AS-PKCE-CHALLENGE-FORMAT"},
		Bend: behaviour(func(b *idp.Behaviour) {
			b.KeepsChallenge = odd
			b.TakesVerifier = func(challenge, _ string, form url.Values) bool { return challenge == of(form.Get("code_verifier")) }
		}),
	}
}

// stripped issues codes for requests without a challenge, in one way of leaving it out.
func stripped(name, row string, missing func(q url.Values) bool) Flaw {
	return Flaw{
		Name: "pkce-optional-" + name, Says: "A request is accepted with " + row + ".", Row: row,
		Noticed: []string{"AS-PKCE-REQUIRE-CHALLENGE", "AS-PKCE-REQUIRE-CHALLENGE-CONFIDENTIAL"},
		Also:    []string{"AS-AUTHZ-EMPTY-PARAMS", "AS-PKCE-*"},
		Bend: behaviour(func(b *idp.Behaviour) {
			b.KeepsChallenge = func(q url.Values) (string, bool) { return "", q.Get("code_challenge") == "" && missing(q) }
		}),
	}
}

// noMethod accepts requests without a method, and treats them in its own way.
func noMethod(name, row string, takes func(challenge, verifier string) bool) Flaw {
	return Flaw{
		Name: "pkce-no-method-" + name, Says: "A request without a method is accepted.", Row: row, Noticed: []string{"AS-PKCE-METHOD-DEFAULT"},
		Bend: behaviour(func(b *idp.Behaviour) {
			b.KeepsChallenge = func(q url.Values) (string, bool) {
				c := q.Get("code_challenge")
				return c, c != "" && q.Get("code_challenge_method") == ""
			}
			b.TakesVerifier = func(challenge, method string, form url.Values) bool {
				return method == "" && challenge != "" && takes(challenge, form.Get("code_verifier"))
			}
		}),
	}
}

// method treats one unknown method as plain.
func method(name, value string) Flaw {
	return Flaw{
		Name: "pkce-method-" + name, Says: "The method " + value + " is treated as plain.", Row: fmt.Sprintf("code_challenge_method %q", value),
		Noticed: []string{"AS-PKCE-UNKNOWN-METHOD"},
		Bend: behaviour(func(b *idp.Behaviour) {
			b.KeepsChallenge = func(q url.Values) (string, bool) {
				return q.Get("code_challenge"), q.Get("code_challenge_method") == value
			}
			b.TakesVerifier = func(challenge, method string, form url.Values) bool {
				return method == value && challenge == form.Get("code_verifier")
			}
		}),
	}
}

// lastMethod treats one of two methods as plain.
func lastMethod(name, row string, picks func(methods []string) bool) Flaw {
	return Flaw{
		Name: "pkce-two-methods-" + name, Says: "Of two methods, an unknown one is used, and treated as plain.", Row: row,
		Noticed: []string{"AS-PKCE-UNKNOWN-METHOD"}, Also: []string{"AS-AUTHZ-DUPLICATE-PARAMS", "AS-PKCE-DOWNGRADE"},
		Bend: behaviour(func(b *idp.Behaviour) {
			b.Lacks = append(b.Lacks, idp.RefuseDuplicates)
			b.KeepsChallenge = func(q url.Values) (string, bool) {
				return "plain " + q.Get("code_challenge"), picks(q["code_challenge_method"])
			}
			b.TakesVerifier = func(challenge, _ string, form url.Values) bool {
				return challenge == "plain "+form.Get("code_verifier")
			}
		}),
	}
}

// challengeForm accepts challenges that are not a SHA-256 hash in base64url.
func challengeForm(name, row string, odd func(challenge string) bool) Flaw {
	return Flaw{
		Name: "pkce-form-" + name, Says: "A challenge of this form is accepted: " + row + ".", Row: row,
		Noticed: []string{"AS-PKCE-CHALLENGE-FORMAT"}, Also: []string{"AS-PKCE-RFC-VECTOR"},
		Bend: behaviour(func(b *idp.Behaviour) {
			b.KeepsChallenge = func(q url.Values) (string, bool) {
				c := q.Get("code_challenge")
				return c, odd(c) && q.Get("code_challenge_method") == "S256"
			}
		}),
	}
}

// errorCode answers an error of PKCE with server_error.
func errorCode(name, row, description string) Flaw {
	return Flaw{
		Name: "pkce-error-" + name, Says: "The error is server_error for " + row + ".", Row: row,
		Noticed: []string{"AS-PKCE-ERROR-CODES"}, Also: []string{"AS-PKCE-*", "AS-AUTHZ-*"},
		Bend: responses("callback", func(m map[string]any) {
			if m["error_description"] == description {
				m["error"] = "server_error"
			}
		}),
	}
}

// verifierFlaws show at the token endpoint.
var verifierFlaws = []Flaw{
	rowOf(one("pkce-verifier-optional", idp.RequireVerifier, "AS-PKCE-REJECT-MISSING-VERIFIER"), "no code_verifier"),
	takes("empty", "an empty code_verifier", "AS-PKCE-REJECT-MISSING-VERIFIER", func(_ string, form url.Values) bool {
		return form.Has("code_verifier") && form.Get("code_verifier") == ""
	}),
	rowOf(one("pkce-any-verifier", idp.CheckVerifier, "AS-PKCE-REJECT-WRONG-VERIFIER", "AS-PKCE-PER-CODE",
		"AS-PKCE-REJECT-CHALLENGE-AS-VERIFIER", "AS-PKCE-RFC-VECTOR", "AS-TOKEN-CODE-REPLAY-NO-DOS"), "another verifier"),
	rowOf(one("pkce-verifier-prefix", idp.WholeVerifier, "AS-PKCE-REJECT-WRONG-VERIFIER"), "one character more"),
	nearly("first", "the first character changed", func(v string) []string { return around("", v[1:]) }),
	nearly("middle", "the middle character changed", func(v string) []string { return around(v[:len(v)/2], v[len(v)/2+1:]) }),
	nearly("last", "the last character changed", func(v string) []string { return around(v[:len(v)-1], "") }),
	nearly("cut-after", "the last character left out", func(v string) []string { return around(v, "") }),
	nearly("cut-before", "the first character left out", func(v string) []string { return around("", v) }),
	nearly("suffix", "one character before it", func(v string) []string { return []string{v[1:]} }),
	nearly("letter-case", "upper and lower case swapped", func(v string) []string { return []string{swapCase(v)} }),
	nearly("decoded", "every character percent-encoded twice", func(v string) []string {
		raw, _ := url.QueryUnescape(v)
		return []string{raw}
	}),
	nearly("trimmed", "a space after the verifier", func(v string) []string { return []string{strings.TrimSpace(v)} }),
	ofHash("first", "the first character changed", func(kept, hash string) bool { return kept[1:] == hash[1:] }),
	ofHash("middle", "the middle character changed", func(kept, hash string) bool {
		return len(kept) == 43 && kept[:21] == hash[:21] && kept[22:] == hash[22:]
	}),
	ofHash("last", "the last character changed", func(kept, hash string) bool { return kept[:42] == hash[:42] }),
	ofHash("prefix", "the last character left out", func(kept, hash string) bool { return strings.HasPrefix(hash, kept) }),
	ofHash("suffix", "the first character left out", func(kept, hash string) bool { return strings.HasSuffix(hash, kept) }),
	ofHash("longer", "one character more", strings.HasPrefix),
	ofHash("longer-before", "one character before it", strings.HasSuffix),
	ofHash("letter-case", "upper and lower case swapped", strings.EqualFold),

	rowOf(one("pkce-challenge-as-verifier", idp.HashVerifier, "AS-PKCE-REJECT-CHALLENGE-AS-VERIFIER"), "the challenge as verifier"),
	rowOf(one("pkce-short-column", idp.LongVerifiers, "AS-PKCE-VERIFIER-BOUNDS"), "128 characters"),
	refuses("marks", "the marks", func(v string) bool { return strings.ContainsAny(v, ".~") }),
	takes("of-10", "10 characters", "AS-PKCE-VERIFIER-FORMAT", right(func(v string) bool { return len(v) == 10 })),
	takes("of-42", "42 characters", "AS-PKCE-VERIFIER-FORMAT", right(func(v string) bool { return len(v) == 42 })),
	takes("of-129", "129 characters", "AS-PKCE-VERIFIER-FORMAT", right(func(v string) bool { return len(v) == 129 })),
	takes("exclaimed", "an exclamation mark", "AS-PKCE-VERIFIER-FORMAT", right(func(v string) bool { return strings.Contains(v, "!") })),
	takes("accent", "é", "AS-PKCE-VERIFIER-FORMAT", right(func(v string) bool { return strings.Contains(v, "é") })),
	one("pkce-any-verifier-form", idp.CheckVerifierFormat, "AS-PKCE-VERIFIER-FORMAT"),

	{
		Name: "pkce-downgrade", Says: "A verifier is ignored where the code has no challenge.", Row: "confidential client, no code_challenge",
		Bend: lacks(idp.NoDowngrade, idp.RequireChallengeConfidential), Noticed: []string{"AS-PKCE-DOWNGRADE"},
		Also: []string{"AS-PKCE-REQUIRE-CHALLENGE-CONFIDENTIAL"},
	},
	downgrade("none", "public client, no code_challenge", func(q url.Values) bool { return !q.Has("code_challenge") }),
	downgrade("empty", "public client, an empty code_challenge", func(q url.Values) bool {
		return q.Has("code_challenge") && q.Get("code_challenge") == ""
	}),
	downgrade("method-alone", "public client, a method without a code_challenge", func(q url.Values) bool {
		return !q.Has("code_challenge") && q.Has("code_challenge_method")
	}),
	downgrade("of-documents", "client of a metadata document, no code_challenge", func(q url.Values) bool {
		return !q.Has("code_challenge") && strings.HasPrefix(q.Get("client_id"), "https://")
	}),
	downgrade("two", "public client, two code_challenges", func(q url.Values) bool { return len(q["code_challenge"]) > 1 }),

	// Which challenge is the last depends on the other checks that run at the same time.
	rowOf(one("pkce-challenge-per-client", idp.ChallengePerCode, "AS-PKCE-PER-CODE", "AS-PKCE-*", "AS-TOKEN-*"),
		"the first of two codes with the verifier of the second"),
	{
		Name: "pkce-challenge-before", Says: "The verifier of the previous code is accepted too.",
		Row: "the second of two codes with the verifier of the first",
		Bend: behaviour(func(b *idp.Behaviour) {
			h := &history{}
			b.KeepsChallenge, b.TakesVerifier = h.remember, h.isOfTheOneBefore
		}),
		Noticed: []string{"AS-PKCE-PER-CODE"}, Also: []string{"AS-PKCE-*", "AS-TOKEN-*"},
	},
	{
		Name: "pkce-challenge-kept", Says: "The challenge of a second code is not stored.", Row: "of two codes with its own verifier",
		Bend: behaviour(func(b *idp.Behaviour) {
			h := &history{}
			b.KeepsChallenge, b.TakesVerifier = h.keepOneOfTwo, h.forgetWhatIsUsed
		}),
		Noticed: []string{"AS-PKCE-PER-CODE"}, Also: []string{"AS-PKCE-*", "AS-TOKEN-*"}, // checks that have a code at the same time
	},
	rowOf(one("pkce-odd-errors", idp.PKCEErrors, "AS-PKCE-ERROR-CODES", "AS-PKCE-*", "AS-AUTHZ-*", "AS-TOKEN-*"), "a wrong verifier"),
}

// takes accepts verifiers that are missing or malformed.
func takes(name, row, noticed string, accepted func(challenge string, form url.Values) bool) Flaw {
	return Flaw{
		Name: "pkce-verifier-" + name, Says: "This is accepted: " + row + ".", Row: row, Noticed: []string{noticed},
		Bend: behaviour(func(b *idp.Behaviour) {
			b.TakesVerifier = func(challenge, _ string, form url.Values) bool { return challenge != "" && accepted(challenge, form) }
		}),
	}
}

// right accepts a malformed verifier if its hash is right.
func right(malformed func(v string) bool) func(string, url.Values) bool {
	return func(challenge string, form url.Values) bool {
		v := form.Get("code_verifier")
		return malformed(v) && s256(v) == challenge
	}
}

func refuses(name, row string, refused func(v string) bool) Flaw {
	return Flaw{
		Name: "pkce-verifier-" + name + "-refused", Says: "A legal verifier is refused: " + row + ".", Row: row,
		Noticed: []string{"AS-PKCE-VERIFIER-BOUNDS"},
		Bend:    behaviour(func(b *idp.Behaviour) { b.RefusesVerifier = refused }),
	}
}

// nearly accepts a verifier if a similar one is right.
func nearly(name, row string, takenFor func(verifier string) []string) Flaw {
	f := takes(name, row, "AS-PKCE-REJECT-WRONG-VERIFIER", func(challenge string, form url.Values) bool {
		v := form.Get("code_verifier")
		return v != "" && slices.ContainsFunc(takenFor(v), func(other string) bool { return s256(other) == challenge })
	})
	f.Also = []string{"AS-PKCE-VERIFIER-FORMAT"}
	return f
}

// around returns all values that have one character between two parts.
func around(before, after string) (out []string) {
	for _, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~" {
		out = append(out, before+string(c)+after)
	}
	return out
}

func swapCase(v string) string {
	return strings.Map(func(r rune) rune {
		if lower := strings.ToLower(string(r)); lower != string(r) {
			return []rune(lower)[0]
		}
		return []rune(strings.ToUpper(string(r)))[0]
	}, v)
}

// ofHash compares the challenge with a part of the verifier's hash.
func ofHash(name, row string, same func(kept, hash string) bool) Flaw {
	f := takes("hash-"+name, "code_challenge: "+row, "AS-PKCE-REJECT-WRONG-VERIFIER", func(challenge string, form url.Values) bool {
		return len(challenge) >= 42 && same(challenge, s256(form.Get("code_verifier")))
	})
	f.Also = []string{"AS-PKCE-CHALLENGE-FORMAT", "AS-PKCE-VERIFIER-FORMAT", "AS-PKCE-RFC-VECTOR"}
	verify := f.Bend
	f.Bend = func(o *reference.Options) {
		verify(o)
		o.Behaviour.KeepsChallenge = func(q url.Values) (string, bool) { // a challenge of any length
			c := q.Get("code_challenge")
			return c, len(c) == 42 || len(c) == 44
		}
	}
	return f
}

// downgrade ignores the verifier of a code whose challenge was missing.
func downgrade(name, row string, missing func(q url.Values) bool) Flaw {
	return Flaw{
		Name: "pkce-downgrade-" + name, Says: "A verifier is ignored: " + row + ".", Row: row,
		Noticed: []string{"AS-PKCE-DOWNGRADE"}, Also: []string{"AS-PKCE-*", "AS-AUTHZ-*"},
		Bend: behaviour(func(b *idp.Behaviour) {
			b.Lacks = append(b.Lacks, idp.NoDowngrade, idp.RefuseDuplicates)
			b.KeepsChallenge = func(q url.Values) (string, bool) { return "", missing(q) }
		}),
	}
}

// history holds the challenges of a server that does not keep them with their codes.
type history struct {
	mu         sync.Mutex
	challenges []string
}

func (h *history) remember(q url.Values) (string, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.challenges = append(h.challenges, q.Get("code_challenge"))
	return "", false
}

func (h *history) isOfTheOneBefore(challenge, _ string, form url.Values) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	i := slices.Index(h.challenges, challenge)
	return i > 0 && h.challenges[i-1] == s256(form.Get("code_verifier"))
}

// keepOneOfTwo gives a second code the challenge of the first, if that one has not been used yet.
func (h *history) keepOneOfTwo(q url.Values) (string, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.challenges) == 0 {
		h.challenges = []string{q.Get("code_challenge")}
		return "", false
	}
	first := h.challenges[0]
	h.challenges = nil
	return first, first != ""
}

func (h *history) forgetWhatIsUsed(challenge, _ string, form url.Values) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if challenge == s256(form.Get("code_verifier")) {
		h.challenges = nil
	}
	return false
}
