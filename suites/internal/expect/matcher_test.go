package expect

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
)

func answer(status int, body string, header ...reports.Field) *reports.Exchange {
	return &reports.Exchange{Request: reports.Request{Method: "POST"}, Response: &reports.Response{Status: status, Body: body, Header: header}}
}

const allowOrigin = "Access-Control-Allow-Origin"

// preflighted returns an answer to a preflight.
func preflighted(origin, fields string) *reports.Exchange {
	return answer(204, "", reports.Field{Name: allowOrigin, Value: origin}, reports.Field{Name: "Access-Control-Allow-Headers", Value: fields})
}

func jwt(t *testing.T, header, claims string) JWT {
	t.Helper()
	h, _, err := document.ParseObject(header)
	require.NoError(t, err)
	c, _, err := document.ParseObject(claims)
	require.NoError(t, err)
	return JWT{Header: h, Claims: c}
}

// Each matcher finds a value met, undecided, or neither.
func TestMatchers(t *testing.T) {
	const met, unmet, undecided = "met", "unmet", "undecided"
	tokens, gone := answer(200, `{"access_token":"x","expires_in":60}`), &reports.Exchange{Error: "connection refused"}
	challenge := answer(401, "", reports.Field{Name: "WWW-Authenticate",
		Value: `Bearer error="invalid_token", resource_metadata="https://a/"`})
	readable := jwt(t, `{"typ":"application/at+jwt"}`, `{"aud":["a","b"],"exp":4102444800,"sub":""}`)
	for _, c := range []struct {
		name   string
		m      Matcher
		actual any
		want   string
	}{
		{"tokens", IssueTokens(), tokens, met},
		{"an error instead of tokens", IssueTokens(), answer(400, `{"error":"invalid_grant"}`), unmet},
		{"tokens instead of a refusal", RefuseGrant(), tokens, unmet},
		{"200 without tokens is not a refusal", RefuseGrant(), answer(200, `{}`), unmet},
		{"a refusal", RefuseGrant(), answer(401, `{"error":"invalid_client"}`), met},
		{"a crash is not a refusal", RefuseGrant(), answer(500, ""), undecided},
		{"a limit is not a refusal", RefuseGrant(), answer(429, ""), undecided},
		{"no answer is not a refusal", RefuseGrant(), gone, undecided},
		{"a preflight", AllowPreflight("http://a", "GET", "x"), preflighted("*", "*"), met},
		{"a preflight for one origin", AllowPreflight("http://a", "POST", "x"), preflighted("http://a", "X, y"), met},
		{"a preflight for another origin", AllowPreflight("http://a", "GET"), preflighted("http://b", "*"), unmet},
		{"a preflight without the field", AllowPreflight("http://a", "GET", "x"), preflighted("*", "y"), unmet},
		{"a preflight with * for Authorization", AllowPreflight("http://a", "GET", "authorization"), preflighted("*", "*"), unmet},
		{"a preflight without the method", AllowPreflight("http://a", "DELETE"), preflighted("*", "*"), unmet},
		{"a refused preflight", AllowPreflight("http://a", "GET"), answer(401, "", reports.Field{Name: allowOrigin, Value: "*"}), unmet},
		{"an answer for any origin", BeReadable("http://a"), preflighted("*", ""), met},
		{"an answer for another origin", BeReadable("http://a"), preflighted("http://b", ""), unmet},
		{"an answer for no origin", BeReadable("http://a"), answer(200, ""), unmet},
		{"a status", BeRefused(401), challenge, met},
		{"another status", BeRefused(403), challenge, unmet},
		{"a crash is not a refusal of a call", BeRefused(401), answer(502, ""), undecided},
		{"parameters of a challenge", HaveChallenge("error", "resource_metadata"), challenge, met},
		{"a parameter that is absent", HaveChallenge("scope"), challenge, unmet},
		{"a scheme", HaveChallengeOf("basic"), challenge, unmet},
		{"a registration", BeRegistered(), answer(201, `{"client_id":"c"}`), met},
		{"no registration", RefuseRegistration(), answer(201, `{"client_id":"c"}`), unmet},
		{"a refused registration", RefuseRegistration(), answer(400, `{"error":"invalid_client_metadata"}`), met},
		{"active", BeInactive(), answer(200, `{"active":true}`), unmet},
		{"inactive", BeInactive(), answer(200, `{"active":false}`), met},
		{"nothing said", BeInactive(), answer(200, `{}`), unmet},
		{"one of two audiences", HaveAudience("a"), readable, unmet},
		{"an audience among others", IncludeAudience("a"), readable, met},
		{"an audience by its beginning", IncludeAudience("a/"), readable, unmet},
		{"an expiry", ExpireLater(), readable, met},
		{"an expiry in the past", ExpireLater(), jwt(t, `{}`, `{"exp":1}`), unmet},
		{"no expiry", ExpireLater(), jwt(t, `{}`, `{}`), unmet},
		{"an empty claim", HaveClaim("sub", NotEmpty), readable, unmet},
		{"an absent claim", HaveClaim("jti", Anything), readable, unmet},
		{"a type with application/", HaveType("at+jwt"), readable, met},
		{"no JWT", BeJWT(), JWT{}, unmet},
		{"a number", HaveMember("expires_in", 60), tokens, met},
		{"a text that looks like a number", HaveMember("expires_in", ANumber), answer(200, `{"expires_in":"60"}`), unmet},
		{"guessable values", BeUnguessable("codes"), []string{"code-1", "code-2"}, unmet},
		{"one value", BeUnguessable("codes"), []string{"code-1"}, undecided},
		{"a value of another type", That("a number", func(int) string { return "" }), "x", unmet},
	} {
		j := c.m.Judge(c.actual)
		got := map[bool]string{true: met, false: unmet}[j.Met]
		if j.Undecided != "" {
			got = undecided
		}
		assert.Equal(t, c.want, got, "%s: %+v", c.name, j)
		if got == unmet {
			assert.NotEmpty(t, j.Expected, c.name)
			assert.NotEmpty(t, j.Observed, c.name)
		}
	}
}

func TestAnotherCodeIsAdvice(t *testing.T) {
	j := RefuseGrant("invalid_grant").Judge(answer(400, `{"error":"invalid_request"}`))
	require.NotNil(t, j.Advice)
	assert.Equal(t, Advice{"error invalid_grant", `HTTP 400 with error "invalid_request"`}, *j.Advice)
	assert.Nil(t, RefuseGrant().Judge(answer(400, `{"error":"invalid_request"}`)).Advice)
}

func TestAnAnswerWithoutACodeIsSaidToHaveNone(t *testing.T) {
	challenge := reports.Field{Name: "WWW-Authenticate", Value: `Bearer realm="x"`}
	for observed, j := range map[string]Judgement{
		"HTTP 401, and the response has no error member":     RefuseGrant("invalid_grant").Judge(answer(401, "")),
		"HTTP 400, and the error member has no code":         RefuseGrant("invalid_grant").Judge(answer(400, `{"error":""}`)),
		"HTTP 403, and the response has no error member":     RefuseRegistration("invalid_client_metadata").Judge(answer(403, "{}")),
		"HTTP 401, and the challenge has no error parameter": BeRefused(401, "invalid_token").Judge(answer(401, "", challenge)),
	} {
		require.NotNil(t, j.Advice, observed)
		assert.Equal(t, observed, j.Advice.Observed)
	}
}

func TestRetryAfter(t *testing.T) {
	wait, ok := RetryAfter(answer(429, "", reports.Field{Name: "Retry-After", Value: "7"}))
	assert.True(t, ok)
	assert.Equal(t, 7*time.Second, wait)

	told := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) // a report is judged again much later
	until := answer(429, "", reports.Field{Name: "Retry-After", Value: told.Add(2 * time.Hour).Format(http.TimeFormat)})
	until.Started, until.Duration = told.Add(-time.Second), 1000
	wait, ok = RetryAfter(until)
	assert.True(t, ok)
	assert.Equal(t, 2*time.Hour, wait)
}

// A verdict quotes only the beginning of a long answer, because hundreds of verdicts may quote one.
func TestOfALongAnswerTheBeginningIsQuoted(t *testing.T) {
	var challenges []reports.Field
	for i := range 600 {
		challenges = append(challenges, reports.Field{Name: "WWW-Authenticate", Value: fmt.Sprintf(`Bearer realm="%d"`, i)})
	}
	for _, ex := range []*reports.Exchange{
		answer(401, "", challenges...),
		answer(400, `{"error":"`+strings.Repeat("invalid ", 1<<16)+`"}`),
		answer(302, "", reports.Field{Name: "Location", Value: "https://client.example/" + strings.Repeat("x/", 1<<16)}),
	} {
		assert.LessOrEqual(t, len(Describe(ex)), 4<<10)
		assert.LessOrEqual(t, len(Refuse(403).Judge(ex).Observed), 4<<10)
		whole := That("x", func(ex *reports.Exchange) string { return ex.Response.Body + Describe(ex) })
		assert.LessOrEqual(t, len(whole.Judge(ex).Observed), 4<<10)
		assert.Contains(t, Describe(ex), "bytes in all)")
	}
}

// An error that comes with HTTP 200 lets nobody in.
func TestATokenErrorWithAnotherStatusIsMinor(t *testing.T) {
	assert.True(t, RefuseGrant().Judge(answer(200, `{"error":"invalid_grant"}`)).Minor)
	assert.False(t, RefuseGrant().Judge(answer(200, `{}`)).Minor)
	assert.False(t, RefuseGrant().Judge(answer(200, `{"access_token":"a","error":"invalid_grant"}`)).Minor)
}
