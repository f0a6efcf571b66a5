package pkce

import (
	"fmt"
	"strings"

	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/nearmiss"
	"github.com/mcpauth/conformance/suites/internal/oauth"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func requiresVerifier(t *T) {
	Refuses(t, t.AS.Redemption(), Cases[Edit]{
		{"no code_verifier", Without("code_verifier")},
		{"an empty code_verifier", With("code_verifier", "")},
		{"code_verifier[] instead of code_verifier", Edits(Without("code_verifier"), With("code_verifier[]", oauth.NewPKCE(43).Verifier))},
	}, refused)
	atOtherClients(t, Cases[Edit]{{"no code_verifier", Without("code_verifier")}})
}

// atOtherClients sends the same rows as the other kinds of clients: a server may have separate code for each kind.
func atOtherClients(t *T, rows Cases[Edit]) {
	var others Cases[*oauth.Client]
	for _, c := range t.AS.KindsOfClients() {
		if c.Value != t.AS.AnyClient() {
			others = others.And(c.Name, c.Value)
		}
	}
	others = append(others, t.AS.FurtherKinds()...)
	t.AS.NoteDocuments()
	Each(t, others, func(t *T, c *oauth.Client) { Refuses(t, t.AS.Redemption(As(c)), rows, refused) })
}

func refusesWrongVerifiers(t *T) {
	rows := NearMisses("code_verifier").
		And("another verifier", anotherVerifier()).
		And("every character percent-encoded twice", Change("code_verifier", percentEncoded))
	Refuses(t, t.AS.Redemption(), rows, refused)
	Refuses(t, t.AS.CodeFlow(), changedChallenges(), expect.GiveNoTokens("invalid_request"))
	atOtherClients(t, Cases[Edit]{{"another verifier", anotherVerifier()}})
	space := t.AS.Redemption().Send(Change("code_verifier", func(v string) string { return v + " " }))
	t.Expect(space, "a space after the verifier").Ideally(refused)
	g := t.AS.MustAuthorize()
	t.AS.Redeem(g, anotherVerifier())
	second := t.AS.Redeem(g, anotherVerifier())
	t.AS.Tokens(second, g.Client)
	t.Expect(second, "another verifier, for the second time").To(refused)
	if ex := t.AS.Redeem(g); t.AS.Tokens(ex, g.Client) != nil {
		t.Note("a code outlives a wrong verifier: the right one may follow, which no clause forbids")
	} else {
		t.Note("a code is dead after a wrong verifier")
	}
}

// changedChallenges change the challenge and keep the verifier: only these rows show a server that compares a part of the hash. The
// last character keeps its case, since not every character can be the last of a hash of 32 bytes.
func changedChallenges() Cases[Edit] {
	var rows Cases[Edit]
	for _, w := range nearmiss.Ways(nearmiss.Changed, nearmiss.Shorter, nearmiss.Longer) {
		rows = rows.And("code_challenge: "+w.Name, Change("code_challenge", w.To))
	}
	for _, w := range nearmiss.Ways(nearmiss.LetterCase) {
		rows = rows.And("code_challenge: "+w.Name, Change("code_challenge", func(c string) string { return w.To(c[:42]) + c[42:] }))
	}
	return rows
}

func percentEncoded(v string) string {
	var b strings.Builder
	for i := range len(v) {
		fmt.Fprintf(&b, "%%%02X", v[i])
	}
	return b.String()
}

func refusesChallengeAsVerifier(t *T) {
	Refuses(t, t.AS.Redemption(), Cases[Edit]{
		{"the challenge as verifier", Change("code_verifier", challengeOf)},
	}, refused)
}

func acceptsVerifiersOfAllLengths(t *T) {
	Each(t, Cases[oauth.PKCE]{
		{"a verifier with 43 characters", oauth.NewPKCE(43)},
		{"a verifier with 128 characters", oauth.NewPKCE(128)},
		{"a verifier with the marks -._~", oauth.PairOf("-._~" + oauth.NewPKCE(43).Verifier)},
	}, func(t *T, pair oauth.PKCE) {
		t.Expect(t.AS.Redeem(t.AS.MustAuthorize(Pair(pair)))).To(expect.IssueTokens())
	})
}

func refusesMalformedVerifiers(t *T) {
	of := func(verifier string) Edit { return Pair(oauth.PairOf(verifier)) }
	Refuses(t, t.AS.CodeFlow(), Cases[Edit]{
		{"a verifier with 10 characters", of(oauth.NewPKCE(10).Verifier)},
		{"a verifier with 42 characters", of(oauth.NewPKCE(42).Verifier)},
		{"a verifier with 129 characters", of(oauth.NewPKCE(129).Verifier)},
		{"a verifier with an exclamation mark", of(oauth.NewPKCE(43).Verifier + "!")},
		{"a verifier with é", of(oauth.NewPKCE(43).Verifier + "é")},
	}, expect.GiveNoTokens("invalid_request"))
}

// An attacker removes the challenge from the request, and the legitimate client sends its verifier anyway (RFC 9700 section 4.8.2).
func noticesDowngrade(t *T) {
	two := Also("code_challenge", oauth.NewPKCE(43).Challenge)
	rows := EachEdited(stripped().And("two code_challenges", two), AtToken(anotherVerifier()))
	t.AS.NoteDocuments()
	Each(t, t.AS.KindsOfClients(), func(t *T, c *oauth.Client) {
		Refuses(t, t.AS.CodeFlow(As(c)), rows, expect.GiveNoTokens())
	})
	Each(t, t.AS.FurtherKinds(), func(t *T, c *oauth.Client) {
		Refuses(t, t.AS.CodeFlow(As(c)), rows[:1], expect.GiveNoTokens())
	})
}

// A server that keeps one challenge for a client or a session accepts the verifier of another code. No clause asks for two codes of a user
// and a client at a time, so the earlier one may be dead.
func bindsChallengeToCode(t *T) {
	a, b := t.AS.MustAuthorize(), t.AS.MustAuthorize()
	t.Expect(t.AS.Redeem(a, With("code_verifier", b.Pair.Verifier)), "the first of two codes with the verifier of the second").To(refused)
	a, b = t.AS.MustAuthorize(), t.AS.MustAuthorize()
	t.Expect(t.AS.Redeem(b, With("code_verifier", a.Pair.Verifier)), "the second of two codes with the verifier of the first").To(refused)
	a, b = t.AS.MustAuthorize(), t.AS.MustAuthorize()
	t.Expect(t.AS.Redeem(b), "the second of two codes with its own verifier").To(expect.IssueTokens())
	if first := t.AS.Redeem(a); oauth.ReadTokens(first) == nil {
		t.Note("the first of two codes is refused with its own verifier too, as where a new code ends the one before: %s", expect.Describe(first))
	}
}

var refused = expect.RefuseGrant("invalid_grant", "invalid_request")

func namesErrors(t *T) {
	Each(t, Cases[Edit]{
		{"no code_challenge", Without("code_challenge", "code_challenge_method")},
		{"an unknown method", With("code_challenge_method", "S512")},
	}, func(t *T, edit Edit) {
		if g := t.AS.MustReachDecision(t.AS.Authorize(edit)); g.Error() != "" {
			t.Expect(g).To(expect.NameError("invalid_request"))
		}
	})
	wrong := t.AS.Redeem(t.AS.MustAuthorize(), anotherVerifier())
	if oauth.ReadTokens(wrong) == nil {
		t.Expect(wrong, "a wrong verifier").To(expect.NameError("invalid_grant"))
	}
}
