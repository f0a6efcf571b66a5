// Package pkce holds the checks on Proof Key for Code Exchange (RFC 7636, OAuth 2.1 section 4.1).
package pkce

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/oauth"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// Register registers the area.
func Register() {
	Describe("OAuth 2.1 section 4.1.1: code_challenge", challenge)
	Describe("RFC 7636 section 4.6: code_verifier", verifier)
}

func challenge() {
	Must("AS-PKCE-S256-ACCEPTED", func(t *T) {
		pair := oauth.NewPKCE(43)
		for !strings.Contains(pair.Challenge, "-") || !strings.Contains(pair.Challenge, "_") {
			pair = oauth.NewPKCE(43) // both characters in which base64url differs from base64
		}
		t.Expect(t.AS.Redeem(t.AS.MustAuthorize(Pair(pair))), "a right verifier").To(expect.IssueTokens())
	})

	Must("AS-PKCE-RFC-VECTOR", func(t *T) {
		published := oauth.PKCE{Verifier: "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", Challenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}
		t.Expect(t.AS.Redeem(t.AS.MustAuthorize(Pair(published))), "the pair of RFC 7636 appendix B").To(expect.IssueTokens())
		v := oauth.NewPKCE(43).Verifier
		sum := sha256.Sum256([]byte(v))
		decoded, _ := base64.RawURLEncoding.DecodeString(v)
		again := sha256.Sum256(decoded)
		for about, encoded := range Sorted(map[string]string{
			"the challenge in hexadecimal":           fmt.Sprintf("%x", sum),
			"the challenge in base64 with padding":   base64.StdEncoding.EncodeToString(sum[:]),
			"the hexadecimal challenge in base64url": base64.RawURLEncoding.EncodeToString([]byte(fmt.Sprintf("%x", sum))),
			"the challenge of the decoded verifier":  base64.RawURLEncoding.EncodeToString(again[:]),
		}) {
			notRedeemable(t, t.AS.Authorize(Pair(oauth.PKCE{Verifier: v, Challenge: encoded})), about)
		}
	})

	Must("AS-PKCE-REQUIRE-CHALLENGE", func(t *T) {
		for about, edits := range Sorted(map[string][]Edit{
			"no code_challenge":                 {Without("code_challenge", "code_challenge_method")},
			"an empty code_challenge":           {With("code_challenge", "")},
			"a method without a code_challenge": {Without("code_challenge")},
		}) {
			unbound(t, t.AS.Authorize(edits...), about)
		}
	})

	Must("AS-PKCE-REQUIRE-CHALLENGE-CONFIDENTIAL", func(t *T) {
		unbound(t, t.AS.Authorize(As(t.AS.ConfidentialClient()), Without("code_challenge", "code_challenge_method")), "no code_challenge, confidential client")
	})

	Practice("AS-PKCE-REJECT-PLAIN", func(t *T) {
		v := oauth.NewPKCE(43).Verifier
		g := t.AS.Authorize(Pair(oauth.PKCE{Verifier: v, Challenge: v}), With("code_challenge_method", "plain"))
		notRedeemable(t, g, "code_challenge_method plain")
	})

	Must("AS-PKCE-METHOD-DEFAULT", func(t *T) {
		g := t.AS.Authorize(Without("code_challenge_method"))
		if g.Code() == "" {
			t.NoCode(g, "no code_challenge_method", "invalid_request")
			return
		}
		methods, _ := t.AS.Server().Metadata.Strings("code_challenge_methods_supported")
		plain := strings.Contains(strings.Join(methods, " "), "plain")
		if ex := t.AS.Redeem(g, Without("code_verifier")); oauth.ReadTokens(ex) != nil {
			t.Unmet(ex, "a refusal", "a request without code_challenge_method is redeemed without any verifier")
		}
		g = t.AS.MustAuthorize(Without("code_challenge_method"))
		if ex := t.AS.Redeem(g, With("code_verifier", g.Pair.Challenge)); oauth.ReadTokens(ex) != nil && !plain {
			t.Unmet(ex, "a refusal, since plain is not advertised", "the challenge itself is accepted as verifier")
		}
		g = t.AS.MustAuthorize(Without("code_challenge_method"))
		if ex := t.AS.Redeem(g); oauth.ReadTokens(ex) != nil {
			t.Advise(ex, "plain as the default, or a refusal (RFC 7636 section 4.3)", "a request without method is taken for S256")
		}
	})

	Must("AS-PKCE-UNKNOWN-METHOD", func(t *T) {
		for _, method := range []string{"S512", "SHA-256", " S256", "s256"} {
			g := t.AS.Authorize(With("code_challenge_method", method))
			if g.Code() == "" {
				t.NoCode(g, "code_challenge_method "+method, "invalid_request")
				continue
			}
			if ex := t.AS.Redeem(g, With("code_verifier", oauth.NewPKCE(43).Verifier)); oauth.ReadTokens(ex) != nil {
				t.Unmet(ex, "an error", "code_challenge_method %q is accepted, and any verifier redeems the code", method)
			} else {
				t.Advise(g.Exchange, "invalid_request", "code_challenge_method %q gives a code", method)
			}
		}
	})

	Practice("AS-PKCE-CHALLENGE-FORMAT", func(t *T) {
		good := oauth.NewPKCE(43).Challenge
		for about, c := range Sorted(map[string]string{
			"one character": "A", "42 characters": good[:42], "44 characters": good + "A", "129 characters": strings.Repeat("A", 129),
			"padding": good[:42] + "=", "plus": good[:42] + "+", "slash": good[:42] + "/", "a space": good[:42] + " ", "é": good[:42] + "é",
		}) {
			t.NoCode(t.AS.Authorize(With("code_challenge", c)), "a code_challenge with "+about, "invalid_request")
		}
	})
}

// notRedeemable expects that a request with a wrong challenge is refused, or that its code is.
func notRedeemable(t *T, g *Grant, about string) {
	if g.Code() == "" {
		t.NoCode(g, about, "invalid_request")
		return
	}
	t.RefusedWith(t.AS.Redeem(g), about)
}

// unbound expects that a request without a challenge is refused. A code that nobody can redeem is a
// warning.
func unbound(t *T, g *Grant, about string) {
	if g.Code() == "" {
		t.NoCode(g, about, "invalid_request")
		return
	}
	if t.RefusedWith(t.AS.Redeem(g, Without("code_verifier")), about+", redeemed without verifier") {
		t.Advise(g.Exchange, "invalid_request at the authorization endpoint", "%s: a code is issued, which cannot be redeemed", about)
	}
}

func verifier() {
	Must("AS-PKCE-REJECT-MISSING-VERIFIER", func(t *T) {
		t.RefusedWith(t.AS.Redeem(t.AS.MustAuthorize(), Without("code_verifier")), "no code_verifier", "invalid_grant", "invalid_request")
		t.RefusedWith(t.AS.Redeem(t.AS.MustAuthorize(), With("code_verifier", "")), "an empty code_verifier", "invalid_grant", "invalid_request")
	})

	Must("AS-PKCE-REJECT-WRONG-VERIFIER", func(t *T) {
		for about, bend := range Sorted(map[string]func(v string) string{
			"another verifier":             func(string) string { return oauth.NewPKCE(43).Verifier },
			"the last character changed":   func(v string) string { return t.NearMiss(v, len(v)-1) },
			"the last character left out":  func(v string) string { return v[:len(v)-1] },
			"one character more":           func(v string) string { return v + "A" },
			"upper and lower case swapped": swapCase,
		}) {
			g := t.AS.MustAuthorize(Pair(oauth.PairOf("aB" + oauth.NewPKCE(48).Verifier)))
			t.RefusedWith(t.AS.Redeem(g, With("code_verifier", t.Hide(bend(g.Pair.Verifier)))), about, "invalid_grant", "invalid_request")
		}
		g := t.AS.MustAuthorize()
		t.AS.Redeem(g, With("code_verifier", oauth.NewPKCE(43).Verifier))
		if ex := t.AS.Redeem(g); t.AS.Tokens(ex, g.Client) != nil {
			t.Note("a code outlives a wrong verifier: the right one may follow, which no clause forbids")
		} else {
			t.Note("a code is dead after a wrong verifier")
		}
	})

	Must("AS-PKCE-REJECT-CHALLENGE-AS-VERIFIER", func(t *T) {
		g := t.AS.MustAuthorize()
		t.RefusedWith(t.AS.Redeem(g, With("code_verifier", g.Pair.Challenge)), "the challenge as verifier", "invalid_grant", "invalid_request")
	})

	Must("AS-PKCE-VERIFIER-BOUNDS", func(t *T) {
		for about, pair := range Sorted(map[string]oauth.PKCE{
			"43 characters": oauth.NewPKCE(43), "128 characters": oauth.NewPKCE(128), "the marks -._~": oauth.PairOf("-._~" + oauth.NewPKCE(43).Verifier),
		}) {
			t.Expect(t.AS.Redeem(t.AS.MustAuthorize(Pair(pair))), "a verifier with %s", about).To(expect.IssueTokens())
		}
	})

	Practice("AS-PKCE-VERIFIER-FORMAT", func(t *T) {
		for about, v := range Sorted(map[string]string{
			"42 characters": oauth.NewPKCE(42).Verifier, "10 characters": oauth.NewPKCE(10).Verifier, "129 characters": oauth.NewPKCE(129).Verifier,
			"an exclamation mark": oauth.NewPKCE(43).Verifier + "!", "é": oauth.NewPKCE(43).Verifier + "é",
		}) {
			notRedeemable(t, t.AS.Authorize(Pair(oauth.PairOf(v))), "a verifier with "+about)
		}
	})

	Must("AS-PKCE-DOWNGRADE", func(t *T) {
		for about, edits := range Sorted(map[string][]Edit{
			"no code_challenge":       {Without("code_challenge", "code_challenge_method")},
			"an empty code_challenge": {With("code_challenge", "")},
			"two code_challenges":     {Also("code_challenge", oauth.NewPKCE(43).Challenge)},
		}) {
			for kind, c := range Sorted(t.AS.Clients()) {
				g := t.AS.Authorize(append([]Edit{As(c)}, edits...)...)
				if g.Code() == "" {
					t.NoCode(g, about+", "+kind)
					continue
				}
				t.RefusedWith(t.AS.Redeem(g, With("code_verifier", oauth.NewPKCE(43).Verifier)), about+", "+kind+", redeemed with a verifier", "invalid_grant", "invalid_request")
			}
		}
	})

	Must("AS-PKCE-PER-CODE", func(t *T) {
		a, b := t.AS.MustAuthorize(), t.AS.MustAuthorize()
		t.RefusedWith(t.AS.Redeem(a, With("code_verifier", b.Pair.Verifier)), "the first code with the verifier of the second", "invalid_grant", "invalid_request")
		first, second := t.AS.MustAuthorize(), t.AS.MustAuthorize()
		t.Expect(t.AS.Redeem(first), "the first of two codes, with its own verifier").To(expect.IssueTokens())
		t.Expect(t.AS.Redeem(second), "the second of two codes, with its own verifier").To(expect.IssueTokens())
	})

	Should("AS-PKCE-ERROR-CODES", func(t *T) {
		for about, edits := range Sorted(map[string][]Edit{
			"no code_challenge": {Without("code_challenge", "code_challenge_method")}, "an unknown method": {With("code_challenge_method", "S512")},
		}) {
			if g := t.AS.MustReachDecision(t.AS.Authorize(edits...)); g.Error() != "" && g.Error() != "invalid_request" {
				t.Unmet(g.Exchange, "error invalid_request", "%s: error %s", about, g.Error())
			}
		}
		ex := t.AS.Redeem(t.AS.MustAuthorize(), With("code_verifier", oauth.NewPKCE(43).Verifier))
		if code := oauth.ErrorCode(ex); code != "invalid_grant" && oauth.ReadTokens(ex) == nil {
			t.Unmet(ex, "error invalid_grant", "a wrong verifier: error %q", code)
		}
	})
}

func swapCase(v string) string {
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
