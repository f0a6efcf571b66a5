package tokenvalidation

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/introspector"
	"github.com/mcpauth/conformance/suites/internal/mint"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// longest is how long a target may take to give up on an endpoint that does not answer.
const longest = 10 * time.Second

func issuers() {
	Must("RS-TOKEN-ISS-KEY-BINDING", bindsKeysToIssuers)
	Must("RS-TOKEN-REMOTE-VERIFY", readsVerificationStrictly)
}

// crossed is a token with the claims of one issuer, signed by another.
type crossed struct {
	claims, by Issuer
	header     mint.Header
}

func (c crossed) sign(t *T) string {
	return t.Mint.SignedByIssuer(c.by, c.header, mint.Claims(c.claims.Claims("alice", t.MCP.OrdinaryScopes())))
}

// RFC 8725 section 3.8: "the application MUST validate that the cryptographic keys used ... belong to the issuer".
func bindsKeysToIssuers(t *T) {
	a, b := t.Issuer, t.SecondIssuer
	ha, hb := mint.Header(a.Header()), mint.Header(b.Header())
	mustTrustSecond(t, crossed{b, b, hb}.sign(t), ha["kid"] == hb["kid"])
	refuseAll := Cases[crossed]{
		{"the first issuer's claims, the second one's key", crossed{a, b, hb}},
		{"the first issuer's claims and kid, the second one's key", crossed{a, b, hb.With("kid", ha["kid"])}},
		{"the first issuer's claims, the second one's key, no kid", crossed{a, b, hb.With("kid", nil)}},
		{"the first issuer's claims, the second one's key, typ at+jwt", crossed{a, b, hb.With("typ", "at+jwt")}},
		{"the second issuer's claims, the first one's key", crossed{b, a, ha}},
		{"the second issuer's claims and kid, the first one's key", crossed{b, a, ha.With("kid", hb["kid"])}},
		{"the second issuer's claims, the first one's key, no kid", crossed{b, a, ha.With("kid", nil)}},
	}
	Each(t, refuseAll, func(t *T, c crossed) { t.Expect(t.MCP.Use(c.sign(t))).To(expect.Refuse(401)) })
	t.Expect(t.Mint.Presented().Send(), "the first issuer again").To(expect.BeServed())
}

// mustTrustSecond ends the check where tokens of the second issuer are refused: then its key proves nothing.
func mustTrustSecond(t *T, token string, sameKid bool) {
	t.Mint.Control()
	ex := t.MCP.Use(token)
	if t.MCP.Served(ex) {
		return
	}
	why := "the target does not trust it"
	if sameKid {
		why = "it is not trusted, or its key is treated as the first one's of the same kid"
	}
	t.Inconclusive("an ordinary token of the second issuer is answered with %s: %s", expect.Describe(ex), why)
}

func readsVerificationStrictly(t *T) {
	t.Expect(verified(t, introspector.Answer{Body: t.Verify.Accepts}), "a token that the answer given calls good").AsControl(t.MCP.Serve())
	trap := Listen(t)
	Each(t, ambiguous(t.Verify.Accepts, trap.URL("/")).In("the verification answer"), func(t *T, a introspector.Answer) {
		token := t.Verifier.Token()
		t.Secrets.Add("opaque_token", token.Value)
		token.Say(a)
		ex := t.MCP.Use(token.Value)
		if len(token.Asked()) == 0 { // a connection that the target kept may have been closed meanwhile
			ex = t.MCP.Use(token.Value)
		}
		if len(token.Asked()) == 0 {
			t.Inconclusive("the target does not ask about the token, and answers it with %s", expect.Describe(ex))
		}
		if t.Expect(ex).To(notServe(t)) {
			t.Expect(ex, "where the endpoint decides nothing").Ideally(answerBelow500, answerWithin(AtItsPace(t, longest)))
		}
		secrets(t, token, ex)
	})
	t.Expect(trap, "a redirect to another origin").To(staySilent)
}

var answerWithin = expect.Family("answerWithin", func(d time.Duration) expect.Matcher {
	return expect.That("an answer within "+d.Round(time.Second).String(), func(ex *reports.Exchange) string {
		if took := time.Duration(float64(ex.Duration) * float64(time.Millisecond)); took > d {
			return "the answer took " + took.Round(time.Second).String()
		}
		return ""
	})
})

// verified makes a token with a given answer of the verifying endpoint, and returns the target's answer to it.
func verified(t *T, a introspector.Answer) *reports.Exchange {
	token := t.Verifier.Token()
	t.Secrets.Add("opaque_token", token.Value)
	token.Say(a)
	return t.MCP.Use(token.Value)
}

// ambiguous are answers that do not say that a token is good.
func ambiguous(good, elsewhere string) Cases[introspector.Answer] {
	out := Cases[introspector.Answer]{
		{"valid: false", introspector.Answer{Body: `{"valid":false,"active":false}`}},
		{"an error in a 200", introspector.Answer{Body: `{"error":"invalid_token"}`}},
		{"an empty object", introspector.Answer{Body: `{}`}},
		{"an empty list", introspector.Answer{Body: `[]`}},
		{"null", introspector.Answer{Body: `null`}},
		{"a login page", introspector.Answer{Type: "text/html", Body: "<!doctype html><title>Sign in</title>"}},
		{"204 without content", introspector.Answer{Status: 204}},
		{"a redirect", introspector.Answer{Status: 302, Location: elsewhere}},
		{"401", introspector.Answer{Status: 401, Body: good}},
		{"403", introspector.Answer{Status: 403, Body: good}},
		{"404", introspector.Answer{Status: 404}},
		{"429", introspector.Answer{Status: 429}},
		{"500", introspector.Answer{Status: 500, Body: good}},
		{"a closed connection", introspector.Answer{Break: true}},
		{"no answer for 12 s", introspector.Answer{Delay: 12 * time.Second, Break: true}},
		{"half of the answer", introspector.Answer{Body: good[:len(good)/2]}},
	}
	return append(out, spoilt(good)...)
}

// spoilt are good answers with one wrong value.
func spoilt(good string) (out Cases[introspector.Answer]) {
	if strings.Contains(good, "true") {
		out = out.And("the text false instead of true", introspector.Answer{Body: strings.ReplaceAll(good, "true", `"false"`)})
	}
	var members map[string]any
	if json.Unmarshal([]byte(good), &members) == nil && members["aud"] != nil {
		members["aud"] = otherServer
		out = out.And("another audience", introspector.Answer{Body: mint.JSON(members)})
	}
	return out
}

// secrets expects the target not to show the caller what it sends to the endpoint.
func secrets(t *T, token *introspector.Token, ex *reports.Exchange) {
	for _, q := range token.Asked() {
		for _, name := range []string{"Authorization", "X-Service-Key", "X-Api-Key", "Apikey"} {
			_, bare, found := strings.Cut(q.Header.Get(name), " ")
			if !found {
				bare = q.Header.Get(name)
			}
			if len(bare) >= 8 && bare != token.Value {
				t.Secrets.Add("upstream_credential", bare)
				t.Expect(ex, "the answer to the caller").To(keepBack(name, bare))
			}
		}
	}
}

var keepBack = expect.Family("keepBack", func(name, credential string) expect.Matcher {
	return expect.That("nothing of the target's own credentials", func(ex *reports.Exchange) string {
		if strings.Contains(expect.Body(ex), credential) {
			return "the answer has the value of " + name
		}
		return ""
	})
})
