package pkce

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/oauth"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func acceptsS256(t *T) {
	t.AS.MustAuthorize(Pair(pairWhere(func(c string) bool { return !strings.ContainsAny(c, "-_") }))) // the control
	t.Expect(flow(t, Pair(withMarks())), "a challenge with - and _").To(expect.IssueTokens())
}

// withMarks is a pair whose challenge has both characters in which base64url differs from base64.
func withMarks() oauth.PKCE {
	return pairWhere(func(c string) bool { return strings.Contains(c, "-") && strings.Contains(c, "_") })
}

func pairWhere(fits func(challenge string) bool) oauth.PKCE {
	for {
		if pair := oauth.NewPKCE(43); fits(pair.Challenge) {
			return pair
		}
	}
}

// flow is a flow that ends the row if the server reaches no decision.
func flow(t *T, edits ...Edit) *Flow {
	f := t.AS.CodeFlow().Send(edits...).(*Flow)
	t.AS.MustReachDecision(f.Grant)
	return f
}

// The published pair of RFC 7636 appendix B is good, and the same hash in another encoding is not.
func hashesAsPublished(t *T) {
	hash := func(v string) string { sum := sha256.Sum256([]byte(v)); return string(sum[:]) }
	inHex := func(v string) string { return hex.EncodeToString([]byte(hash(v))) }
	inBase64 := func(v string) string { return base64.StdEncoding.EncodeToString([]byte(hash(v))) }
	Refuses(t, t.AS.CodeFlow(), Cases[Edit]{
		{"the challenge in hexadecimal", challengeBy(inHex)},
		{"the challenge in base64 with padding", challengeBy(inBase64)},
		{"the hexadecimal challenge in base64url", challengeBy(func(v string) string { return encode(inHex(v)) })},
		{"the challenge of the decoded verifier", challengeBy(func(v string) string { return encode(hash(decode(v))) })},
	}, expect.GiveNoTokens("invalid_request"))
	padded := t.AS.CodeFlow().Send(challengeBy(func(v string) string { return encode(hash(v)) + "=" }))
	t.Expect(padded, "the challenge in base64url with padding").Ideally(expect.GiveNoTokens())
	Each(t, Cases[Edit]{{"the pair of RFC 7636 appendix B", Pair(published)}}, func(t *T, edit Edit) {
		t.Expect(flow(t, edit)).Ideally(expect.IssueTokens())
	})
}

var published = oauth.PKCE{
	Verifier:  "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
	Challenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
}

// challengeBy uses a new verifier, with the challenge that transform makes from it.
func challengeBy(transform func(verifier string) string) Edit {
	v := withMarks().Verifier
	return Pair(oauth.PKCE{Verifier: v, Challenge: transform(v)})
}

func encode(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func decode(s string) string { b, _ := base64.RawURLEncoding.DecodeString(s); return string(b) }

// stripped are the ways in which a request has no challenge.
func stripped() Cases[Edit] {
	return Cases[Edit]{
		{"no code_challenge", Without("code_challenge", "code_challenge_method")},
		{"an empty code_challenge", With("code_challenge", "")},
		{"a method without a code_challenge", Without("code_challenge")},
	}
}

// A code without a challenge that cannot be redeemed is a warning: the legitimate client gets the error too late.
func requiresChallenge(t *T) {
	public := As(t.AS.PublicClient())
	Refuses(t, t.AS.CodeFlow(public), EachEdited(stripped(), AtToken(Without("code_verifier"))), expect.IssueNothing("invalid_request"))
	requiresPostedChallenge(t, public)
	t.AS.NoteDocuments()
	if c := t.AS.DocumentClient(); c != nil && c.ID != t.AS.PublicClient().ID { // a server may have separate code for such clients
		rows := Cases[Edit]{{"no code_challenge, of the client of a metadata document", Without("code_challenge", "code_challenge_method")}}
		Refuses(t, t.AS.CodeFlow(As(c)), EachEdited(rows, AtToken(Without("code_verifier"))), expect.IssueNothing("invalid_request"))
	}
}

// POST is optional at the authorization endpoint (OAuth 2.1 section 3.1). A server that answers it with a code demands the challenge
// there too.
func requiresPostedChallenge(t *T, public Edit) {
	const byPost = "no code_challenge, in a request by POST"
	posted := t.AS.CodeFlow(Posted(), public)
	coded := posted
	if coded.Good = expect.EndWithCode(); !Offers(t, coded, byPost) {
		return
	}
	Refuses(t, posted, Cases[Edit]{
		{byPost, Edits(Without("code_challenge", "code_challenge_method"), AtToken(Without("code_verifier")))},
	}, expect.IssueNothing("invalid_request"))
}

func requiresChallengeOfConfidentialClients(t *T) {
	rows := EachEdited(stripped(), AtToken(Without("code_verifier")))
	Refuses(t, t.AS.CodeFlow(As(t.AS.ConfidentialClient())), rows, expect.IssueNothing("invalid_request"))
	Each(t, t.AS.FurtherKinds(), func(t *T, c *oauth.Client) {
		Refuses(t, t.AS.CodeFlow(As(c)), rows[:1], expect.IssueNothing("invalid_request"))
	})
}

func refusesPlain(t *T) {
	itself := func(v string) string { return v }
	Refuses(t, t.AS.CodeFlow(), Cases[Edit]{
		{"code_challenge_method plain", Edits(challengeBy(itself), With("code_challenge_method", "plain"))},
	}, expect.GiveNoTokens("invalid_request"))
}

// Without a method, the method is plain (RFC 7636 section 4.3). If plain works in this way, the risk is that of AS-PKCE-REJECT-PLAIN.
func takesNoMethodForS256(t *T) {
	noMethod := Without("code_challenge_method")
	Refuses(t, t.AS.CodeFlow(), Cases[Edit]{
		{"no method, redeemed without verifier", Edits(noMethod, AtToken(Without("code_verifier")))},
		{"no method, redeemed with another verifier", Edits(noMethod, AtToken(anotherVerifier()))},
	}, expect.GiveNoTokens("invalid_request"))
	plain := t.AS.CodeFlow().Send(noMethod, AtToken(Change("code_verifier", challengeOf)))
	t.Expect(plain, "no method, redeemed with the challenge as verifier").Ideally(expect.GiveNoTokens())
	t.Expect(t.AS.CodeFlow().Send(noMethod), "no method, redeemed as with S256").Ideally(expect.GiveNoTokens())
}

func challengeOf(verifier string) string { return oauth.PairOf(verifier).Challenge }

// The challenge as verifier is accepted by servers that treat an unknown method as plain, and by servers that ignore the verifier. If
// the code is not redeemed, this is a warning: RFC 7636 section 4.4.1 puts the error at the authorization endpoint.
func refusesUnknownMethods(t *T) {
	var rows Cases[Edit]
	for _, method := range []string{"S512", "SHA-256", " S256", "s256", "PLAIN"} {
		rows = rows.And(fmt.Sprintf("code_challenge_method %q", method), With("code_challenge_method", method))
	}
	redeemed := AtToken(Change("code_verifier", challengeOf))
	Refuses(t, t.AS.CodeFlow(), EachEdited(rows, redeemed), expect.IssueNothing("invalid_request"))
	Refuses(t, t.AS.CodeFlow(), Cases[Edit]{ // AS-AUTHZ-DUPLICATE-PARAMS judges that it is accepted at all
		{"code_challenge_method S256, and S512 after it", Edits(Also("code_challenge_method", "S512"), redeemed)},
		{"code_challenge_method S256, and S512 before it", Edits(Before("code_challenge_method", "S512"), redeemed)},
	}, expect.GiveNoTokens())
}

func anotherVerifier() Edit { return With("code_verifier", oauth.NewPKCE(43).Verifier) }

func refusesMalformedChallenges(t *T) {
	good := oauth.NewPKCE(43).Challenge
	challenge := func(c string) Edit { return With("code_challenge", c) }
	Refuses(t, t.AS.AuthorizationRequest(), Cases[Edit]{
		{"one character", challenge("A")},
		{"42 characters", challenge(good[:42])},
		{"44 characters", challenge(good + "A")},
		{"129 characters", challenge(strings.Repeat("A", 129))},
		{"100 kB", challenge(strings.Repeat("A", 100<<10))},
		{"padding", challenge(good[:42] + "=")},
		{"plus", challenge(good[:42] + "+")},
		{"slash", challenge(good[:42] + "/")},
		{"a space", challenge(good[:42] + " ")},
		{"é", challenge(good[:42] + "é")},
	}.In("code_challenge"), expect.EndWithoutCode("invalid_request"))
}
