package tokenvalidation

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	. "github.com/mcpauth/conformance/suites/internal/check"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/introspector"
	"github.com/mcpauth/conformance/suites/internal/mint"
)

// longest is how long a target may take to give up on an endpoint that does not answer.
const longest = 10 * time.Second

func issuers() {
	// RFC 8725 section 3.8: "the application MUST validate that the cryptographic keys used ... belong to the issuer".
	Must("RS-TOKEN-ISS-KEY-BINDING", func(t *T) {
		a, b := t.Issuer, t.SecondIssuer
		sign := func(h map[string]any, claims, by Issuer) string {
			input := mint.Input(mint.Header(h), mint.Claims(claims.Claims("alice", t.MCP.OrdinaryScopes())))
			signature, err := by.Signature([]byte(input))
			if err != nil {
				t.Inconclusive("an issuer cannot sign: %v", err)
			}
			s := base64.RawURLEncoding.EncodeToString(signature)
			t.Secrets.Add("signature", s)
			return input + "." + s
		}
		with := func(h map[string]any, kid any) map[string]any { return mint.Header(h).With("kid", kid) }
		t.Mint.Control()
		if ex := t.MCP.Use(sign(b.Header(), b, b)); !t.MCP.Served(ex) {
			if a.Header()["kid"] == b.Header()["kid"] {
				t.Inconclusive("an ordinary token of the second issuer is answered with %s: it is not trusted, or its key is taken for the first one's of the same kid", expect.Describe(ex))
			}
			t.Inconclusive("an ordinary token of the second issuer is answered with %s: the target does not trust it", expect.Describe(ex))
		}
		for about, token := range Sorted(map[string]string{
			"the first issuer's claims, the second's key":            sign(b.Header(), a, b),
			"the first issuer's claims and kid, the second's key":    sign(with(b.Header(), a.Header()["kid"]), a, b),
			"the second issuer's claims, the first one's key":        sign(a.Header(), b, a),
			"the second issuer's claims and kid, the first's key":    sign(with(a.Header(), b.Header()["kid"]), b, a),
			"the first issuer's claims, the second's key, no kid":    sign(with(b.Header(), nil), a, b),
			"the second issuer's claims, the first one's, no kid":    sign(with(a.Header(), nil), b, a),
			"the first issuer's claims, the second's key, as typ at": sign(mint.Header(b.Header()).With("typ", "at+jwt"), a, b),
		}) {
			t.Expect(t.MCP.Use(token), "%s", about).To(expect.Refuse(401))
		}
		if ex := t.MCP.Use(t.Mint.Token(nil)); !t.MCP.Served(ex) {
			t.Finding(ex, "the first issuer again", "its tokens to be served beside the second's, of the same kid or not", expect.Describe(ex))
		}
	})

	Must("RS-TOKEN-REMOTE-VERIFY", func(t *T) {
		if !verified(t, introspector.Answer{Body: t.Verify.Accepts}) {
			t.Inconclusive("the control failed: a token that the answer given calls good is answered with %s", expect.Describe(t.Last()))
		}
		t.Controlled()
		trap := Listen(t)
		for about, a := range Sorted(ambiguous(t, trap.URL("/"))) {
			token := t.Verifier.Token()
			t.Secrets.Add("opaque_token", token.Value)
			token.Say(a)
			began := time.Now()
			ex := t.MCP.Use(token.Value)
			switch status := expect.Status(ex); {
			case len(token.Asked()) == 0:
				t.Inconclusive("the target does not ask about a token, and answers it with %s", expect.Describe(ex))
			case t.MCP.Served(ex):
				t.Finding(ex, about, "a refusal", "the token is served")
			case status == 500 || status == 502 || status == 504:
				t.Advise(ex, "HTTP 401, or 503 where the endpoint fails", "%s: %s", about, expect.Describe(ex))
			case time.Since(began) > longest:
				t.Advise(ex, "an answer within "+longest.String(), "%s: it took %v", about, time.Since(began).Round(time.Second))
			case status == 503:
				t.Refused()
			default:
				t.RefusedBy(ex)
			}
			secrets(t, token, expect.Body(ex))
		}
		if trap.Hits() > 0 {
			t.Finding(nil, "a redirect to another origin", "it not to be followed", "the target asks there")
		}
	})
}

// verified makes a token of which an answer is told, and reports that it is served.
func verified(t *T, a introspector.Answer) bool {
	token := t.Verifier.Token()
	t.Secrets.Add("opaque_token", token.Value)
	token.Say(a)
	return t.MCP.Served(t.MCP.Use(token.Value))
}

// ambiguous are answers that do not say that a token is good.
func ambiguous(t *T, elsewhere string) map[string]introspector.Answer {
	out := map[string]introspector.Answer{
		"valid: false": {Body: `{"valid":false,"active":false}`}, "an error in a 200": {Body: `{"error":"invalid_token"}`}, "an empty object": {Body: `{}`},
		"an empty list": {Body: `[]`}, "null": {Body: `null`}, "a page to sign in at": {Type: "text/html", Body: "<!doctype html><title>Sign in</title>"}, "204 without content": {Status: 204},
		"a redirect": {Status: 302, Location: elsewhere}, "401": {Status: 401, Body: t.Verify.Accepts}, "403": {Status: 403, Body: t.Verify.Accepts}, "404": {Status: 404}, "429": {Status: 429},
		"500": {Status: 500, Body: t.Verify.Accepts}, "a closed connection": {Break: true}, "no answer for long": {Delay: 12 * time.Second, Body: t.Verify.Accepts},
		"valid: the text false": {Body: strings.ReplaceAll(t.Verify.Accepts, "true", `"false"`)}, "half of the answer": {Body: t.Verify.Accepts[:len(t.Verify.Accepts)/2]},
	}
	var members map[string]any
	if json.Unmarshal([]byte(t.Verify.Accepts), &members) == nil && members["aud"] != nil {
		members["aud"] = "https://other.example/mcp"
		out["another audience"] = introspector.Answer{Body: mint.JSON(members)}
	}
	if !strings.Contains(t.Verify.Accepts, "true") {
		delete(out, "valid: the text false")
	}
	return out
}

// secrets judges that what the target shows to the endpoint is not shown to the caller.
func secrets(t *T, token *introspector.Token, answer string) {
	for _, q := range token.Asked() {
		for _, name := range []string{"Authorization", "X-Service-Key", "X-Api-Key", "Apikey"} {
			_, bare, found := strings.Cut(q.Header.Get(name), " ")
			if !found {
				bare = q.Header.Get(name)
			}
			if len(bare) >= 8 && bare != token.Value {
				t.Secrets.Add("upstream_credential", bare)
				if strings.Contains(answer, bare) {
					t.Finding(t.Last(), "the answer to the caller", "nothing of the target's own credentials", "it holds the value of "+name)
				}
			}
		}
	}
}
