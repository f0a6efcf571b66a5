package reports_test

import (
	"bytes"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"unicode/utf8"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fixtures/costs"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/reports/rendered"
)

// odd is a secret that encodings change: non-ASCII letters, slashes, quotes, markup.
const odd = `Pä55/wörd&<"quoted">'s`

func each(s string, spell func(r rune) string) string {
	var b strings.Builder
	for _, r := range s {
		b.WriteString(spell(r))
	}
	return b.String()
}

func percent(s, format string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, format, s[i])
	}
	return b.String()
}

func wide(s string, order ...int) string {
	var b strings.Builder
	for _, r := range s {
		unit := []byte{byte(r), byte(r >> 8)}
		b.Write([]byte{unit[order[0]], unit[order[1]]})
	}
	return b.String()
}

// A secret is found in each encoding that ordinary servers and careful attackers use, alone or nested.
func TestRedactionOfSpellings(t *testing.T) {
	b64, b32 := base64.StdEncoding.EncodeToString, base32.StdEncoding.EncodeToString
	for _, value := range []string{odd, "canary-7Hq2xZ9vLm4KpW8sTfBd", "six666"} {
		ascii := map[string]string{"UTF-16, little": wide(value, 0, 1), "UTF-16, big": wide(value, 1, 0)}
		if value == odd {
			ascii = nil
		}
		escaped, _ := json.Marshal(value)
		inner := strings.Trim(string(escaped), `"`)
		spellings := map[string]string{
			"raw": value, "HTML": html.EscapeString(value), "HTML, by Go's templates": strings.ReplaceAll(html.EscapeString(value), `&#34;`,
				"&quot;"),
			"HTML, decimal":     each(value, func(r rune) string { return fmt.Sprintf("&#%d;", r) }),
			"HTML, hexadecimal": each(value, func(r rune) string { return fmt.Sprintf("&#x%X;", r) }),
			"JSON":              inner, "JSON, as ASCII": each(value, func(r rune) string {
				if r < 0x80 && r != '"' && r != '\\' {
					return string(r)
				}
				return fmt.Sprintf(`\u%04x`, r)
			}), "JSON, all escaped": each(value, func(r rune) string { return fmt.Sprintf(`\u%04X`, r) }),
			"JSON, by PHP": strings.ReplaceAll(inner, "/", `\/`),
			"JSON in JSON": strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(inner),
			"percent":      percent(value, "%%%02X"), "percent, in small letters": percent(value, "%%%02x"),
			"percent twice": percent(percent(value, "%%%02X"), "%%%02X"),
			"hex":           hex.EncodeToString([]byte(value)), "hex in capitals": strings.ToUpper(hex.EncodeToString([]byte(value))),
			"base32": b32([]byte(value)), "base32, shifted": b32([]byte("a:" + value + ":b")),
			"base32 in small letters": strings.ToLower(strings.TrimRight(b32([]byte(value)), "=")),
			"base64":                  b64([]byte(value)), "base64, shifted": b64([]byte("a:" + value + ":b")),
			"base64url":    base64.RawURLEncoding.EncodeToString([]byte(value)),
			"base64 twice": b64([]byte(b64([]byte(value)))), "base64 of percent": b64([]byte("client:" + percent(value, "%%%02X"))),
			"base64 twice, shifted": b64([]byte("x" + b64([]byte("client:"+value)))),
			"hex of base64":         hex.EncodeToString([]byte(b64([]byte(value)))),
		}
		for name, s := range ascii {
			spellings[name] = s
		}
		for name, spelled := range spellings {
			t.Run(value[:3]+" "+name, func(t *testing.T) {
				var s reports.Secrets
				s.Add("token", value)
				run := sample("x")
				run.Exchanges[0].Response.Body = "before " + spelled + " after"
				run.Exchanges[0].Request.URL += "?q=" + spelled
				run.Results[0].Reason = spelled
				got := reports.Redact(run, &s).Run()
				body := got.Exchanges[0].Response.Body
				assert.NotContains(t, body, spelled)
				assert.Regexp(t, `^before \x00?[A-Za-z0-9+/=]{0,16}‹token#1›[A-Za-z0-9+/=]{0,16} after$`, body)
				assert.Contains(t, got.Exchanges[0].Request.URL, "‹token#1›")
				assert.NotContains(t, got.Results[0].Reason, spelled)
			})
		}
	}
}

// In the name of a field, in any case that HTTP libraries produce.
func TestRedactionOfNames(t *testing.T) {
	var s reports.Secrets
	s.Add("token", "canary-7Hq2xZ9vLm4KpW8sTfBd")
	run := sample("x")
	for _, name := range []string{"canary-7Hq2xZ9vLm4KpW8sTfBd", "X-Canary-7hq2xz9vlm4kpw8stfbd", "canary-7hq2xz9vlm4kpw8stfbd"} {
		run.Exchanges[0].Response.Header = append(run.Exchanges[0].Response.Header, reports.Field{Name: name, Value: "1"})
	}
	run.Discovered = []reports.Fact{{Name: "canary-7Hq2xZ9vLm4KpW8sTfBd", Value: "x"}}
	texts, err := rendered.Texts(reports.Redact(run, &s))
	require.NoError(t, err)
	for name, text := range texts {
		assert.NotContains(t, strings.ToLower(text), "7hq2xz9vlm", name)
	}
}

// If secrets overlap, no part of them remains.
func TestRedactionCopiesOnlyWhatChanges(t *testing.T) {
	secrets := &reports.Secrets{}
	secrets.Add("access_token", "0123456789abcdef")
	long := strings.Repeat("a word, ", 100_000)
	fields := []reports.Field{{"Content-Type", "text/html"}, {"Link", "<https://mcp.example/>"}}
	run := reports.Run{Exchanges: []reports.Exchange{{Response: &reports.Response{Header: fields, Body: long}},
		{Response: &reports.Response{Header: []reports.Field{{"Set-Cookie", "id=0123"}}, Body: long + " 0123456789abcdef"}}}}
	redacted := reports.Redact(run, secrets).Run()
	kept, changed := redacted.Exchanges[0].Response, redacted.Exchanges[1].Response
	assert.Same(t, unsafe.StringData(long), unsafe.StringData(kept.Body))
	assert.Same(t, &fields[0], &kept.Header[0])
	assert.Equal(t, long+" ‹access_token#1›", changed.Body)
	assert.Equal(t, []reports.Field{{"Set-Cookie", "id=‹cookie›"}}, changed.Header)
	assert.Equal(t, "id=0123", run.Exchanges[1].Response.Header[0].Value, "the run itself has changed")
}

func TestWordsOfAnyLengthAreRemoved(t *testing.T) {
	giant := strings.Repeat("x", 40<<10)
	for text, want := range map[string]string{
		giant:                        "‹a word of 40960 bytes›",
		"a " + giant + " b " + giant: "a ‹a word of 40960 bytes› b ‹a word of 40960 bytes›",
		"ä" + giant + "ä":            "ä‹a word of 40960 bytes›ä",
		strings.Repeat("a b ", 9000): strings.Repeat("a b ", 9000),
	} {
		assert.Equal(t, want, (&reports.Secrets{}).Remove(text))
	}
}

func TestAtMost(t *testing.T) {
	assert.Equal(t, "short", reports.AtMost(64, "short"))
	word := strings.Repeat("q", 104)
	assert.Equal(t, "a sentence with a … (122 bytes in all)", reports.AtMost(64, "a sentence with a "+word), "the text is cut inside a word")
	long := reports.AtMost(64, strings.Repeat("€ ", 100))
	assert.LessOrEqual(t, len(long), 64)
	assert.Equal(t, long, reports.AtMost(64, long))
	assert.True(t, utf8.ValidString(long))
}

func TestRedactionOfOverlaps(t *testing.T) {
	var s reports.Secrets
	s.Add("cookie", "session-0123456789-abcdefgh")
	s.Add("token", "abcdefgh-the-token-itself-zyxwvuts")
	s.Add("inner", "the-token")
	run := sample("x")
	run.Exchanges[0].Response.Body = "<session-0123456789-abcdefgh-the-token-itself-zyxwvuts> <abcdefgh-the-token-itself-zyxwvuts>"
	assert.Equal(t, "<‹token#1›> <‹token#1›>", reports.Redact(run, &s).Run().Exchanges[0].Response.Body)
}

// A secret that is too short to be searched everywhere is removed only from the places of secrets.
func TestRedactionOfShortSecrets(t *testing.T) {
	var s reports.Secrets
	for _, short := range []string{"a", "1234", "p&w"} {
		s.Add("password", short)
	}
	s.Field("geheim")
	redacted := func(text string) string {
		run := sample("x")
		run.Exchanges[0].Response.Body = text
		return reports.Redact(run, &s).Run().Exchanges[0].Response.Body
	}
	for text, want := range map[string]string{
		"username=alice&password=a&csrf=1234":          "username=alice&password=‹password›&csrf=1234",
		"https://as.example/login?pw=x&password=p%26w": "https://as.example/login?pw=x&password=‹password›",
		"geheim=1234&a=a":                              "geheim=‹password›&a=a",
		`{"user":"a","password":"a","n":1234}`:         `{"user":"a","password":"‹removed›","n":1234}`,
		`{"geheim" : "\u0061"}`:                        `{"geheim" : "‹password›"}`,
		`{\"geheim\":\"1234\"}`:                        `{\"geheim\":\"‹password›\"}`,
		`<input type=password name="geheim" value="1234"><input name=n value=1234>`: `<input type=password name="geheim" ` +
			`value="‹password›"><input name=n value=1234>`,
		"a word, a number such as 1234, and a page=a": "a word, a number such as 1234, and a page=a",
	} {
		assert.Equal(t, want, redacted(text))
	}
	run := sample("x")
	basic := base64.StdEncoding.EncodeToString([]byte("client:1234"))
	run.Exchanges[0].Request.Header = []reports.Field{{Name: "Authorization", Value: "Basic " + basic},
		{Name: "authorization", Value: "Bearer 1234"}, {Name: "Geheim", Value: "1234"}, {Name: "X-Page", Value: "1234"},
		{Name: "Authorization", Value: "Bearer 12"}}
	assert.Equal(t, []reports.Field{{Name: "Authorization", Value: "Basic ‹password›"},
		{Name: "authorization", Value: "Bearer ‹password›"}, {Name: "Geheim", Value: "‹password›"}, {Name: "X-Page", Value: "1234"},
		{Name: "Authorization", Value: "Bearer 12"}}, reports.Redact(run, &s).Run().Exchanges[0].Request.Header)
}

// Ordinary text does not change, whatever the secrets are.
func TestRedactionLeavesTheRest(t *testing.T) {
	var s reports.Secrets
	for _, v := range []string{"a", "id", "code", "token1", "canary-7Hq2xZ9vLm4KpW8sTfBd"} {
		s.Add("password", v)
	}
	const text = `{"authorization_endpoint":"https:\/\/as.example\/authorize?a=1&amp;code=x%20y","scopes":["a","id"]} ` +
		`authorization abcdef0123456789 ABCDEFGH234567 &auml;&#228; %zz \u00 &#; \ä`
	run := sample("x")
	run.Exchanges[0].Response.Body = text
	assert.Equal(t, text, reports.Redact(run, &s).Run().Exchanges[0].Response.Body)
}

func FuzzRedaction(f *testing.F) {
	f.Add("canary-7Hq2", "x canary-7Hq2 y")
	f.Add("\x00\x00\x00\x00\x00\x00", `\u0000&#0;%00`)
	f.Fuzz(func(t *testing.T, secret, text string) {
		if len(secret) < 6 || strings.ContainsAny(secret, "‹›#") {
			t.Skip()
		}
		var s reports.Secrets
		s.Add("zz", secret)
		costs.Bounded(t, len(text), 300, func() { s.Remove(text) })
		for _, body := range []string{text, text + secret, text + base64.StdEncoding.EncodeToString([]byte(text+secret))} {
			if out := s.Remove(body); strings.Contains(strings.NewReplacer("‹zz#1›", "\x01", "‹removed›", "\x01").Replace(out), secret) &&
				!strings.Contains(secret, "\x01") {
				t.Errorf("%q is in %q", secret, out)
			}
		}
	})
}

// BenchmarkRedact redacts a run as large as a demo's, with as many secrets. MCPAUTH_BENCH_RUN names another JSON report.
func BenchmarkRedact(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 2))
	var s reports.Secrets
	letters := func(n int) string {
		out := make([]byte, n)
		for i := range out {
			out[i] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[random.IntN(64)]
		}
		return string(out)
	}
	var known []string
	for range 3_000 {
		known = append(known, letters(43))
		s.Add("token", known[len(known)-1])
	}
	for range 1_000 {
		s.Add("access_token", "eyJhbGciOiJSUzI1NiIsInR5cCI6ImF0K2p3dCJ9."+letters(300)+"."+letters(342))
	}
	run := sample("an ordinary answer")
	if path := os.Getenv("MCPAUTH_BENCH_RUN"); path != "" {
		text, err := os.ReadFile(path)
		require.NoError(b, err)
		require.NoError(b, json.NewDecoder(bytes.NewReader(text)).Decode(&run))
	}
	for i := range run.Exchanges {
		run.Exchanges[i].Request.Header = append(run.Exchanges[i].Request.Header,
			reports.Field{Name: "Authorization", Value: "Bearer " + known[i%len(known)]})
	}
	b.ReportAllocs()
	for b.Loop() {
		reports.Redact(run, &s)
	}
}

// Texts in the form of a secret are found in plain text, in JSON, and in nested JSON; texts that only begin like one are not.
func TestSecretsIn(t *testing.T) {
	long := strings.Repeat("a1B2", 9)
	jws := "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0." + long
	pem := "-----BEGIN PRIVATE" + " KEY-----\nMIIB"
	for text, what := range map[string]string{
		"key:\n" + pem:                      "a private key",
		"Bearer " + jws:                     "a signed token",
		`{"access_token": "` + long + `"}`:  "a secret in JSON",
		`{"password":"` + long + `"}`:       "a secret in JSON",
		`{"kty":"EC","d":"` + long + `"}`:   "the private part of a JWK",
		"ghp_" + long:                       "a credential of a well-known service",
		"x\nAKIA" + strings.Repeat("A", 16): "a credential of a well-known service",
		"":                                  "",
		"eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.‹sig›": "",
		"xeyJ" + jws[3:]: "",
		`{"access_token":"‹access_token#1›` + long:        "",
		`{"code_challenge":"` + long + `"}`:               "",
		`{"id":"` + long + `"}`:                           "",
		"AKIA":                                            "",
		"-----BEGIN PUBLIC KEY-----\nMIIB":                "",
		`"client_secret_expires_at": 1234567890123456789`: "",
	} {
		want := []string(nil)
		if what != "" {
			want = []string{what}
		}
		assert.Equal(t, want, reports.SecretsIn(text), text)
		inJSON := reports.TextOf(map[string]string{"body": text})
		assert.Equal(t, want, reports.SecretsIn(inJSON), inJSON)
		assert.Equal(t, want, reports.SecretsIn(reports.TextOf(map[string]string{"report": inJSON})), "not found after JSON twice: %s", text)
	}
}

// Repeated beginnings of a token take time in proportion to their length, and a token among them is found anyway.
func TestSecretsInRepeatedBeginnings(t *testing.T) {
	text := strings.Repeat("-eyJ", 64<<10)
	costs.Bounded(t, len(text), 100, func() { assert.Empty(t, reports.SecretsIn(text)) })
	assert.Contains(t, reports.SecretsIn(text+" eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJlLWluLUpTT04"), "a signed token")
	assert.Contains(t, reports.SecretsIn("keyJ-eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJlLWluLUpTT04"), "a signed token")
	assert.Contains(t, reports.SecretsIn("x-eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJlLWluLUpTT04"), "a signed token")
	innocent := `{"password_reset_uri": "https://idp.example.com/reset", "access_token_url": "https://idp.example.com"}`
	assert.Empty(t, reports.SecretsIn(innocent))
}
