package document_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fixtures/costs"
	"github.com/mcpauth/conformance/suites/internal/document"
)

type P = document.Parameter

func TestChallengeVectors(t *testing.T) {
	for field, want := range map[string][]document.Challenge{
		`Bearer`:                   {{Scheme: "Bearer"}},
		`Bearer realm="x"`:         {{Scheme: "Bearer", Parameters: []P{{"realm", "x", true}}}},
		`Bearer realm=x`:           {{Scheme: "Bearer", Parameters: []P{{"realm", "x", false}}}},
		`Bearer realm="a\"b"`:      {{Scheme: "Bearer", Parameters: []P{{"realm", `a"b`, true}}}},
		`Bearer realm=""`:          {{Scheme: "Bearer", Parameters: []P{{"realm", "", true}}}},
		`Negotiate YII+/=`:         {{Scheme: "Negotiate", Token68: "YII+/="}},
		`Bearer realm=`:            {{Scheme: "Bearer", Token68: "realm="}}, // the grammar itself is ambiguous here
		`Negotiate, Basic realm=x`: {{Scheme: "Negotiate"}, {Scheme: "Basic", Parameters: []P{{"realm", "x", false}}}},
		`Negotiate abc==, Bearer scope="a b"`: {{Scheme: "Negotiate", Token68: "abc=="},
			{Scheme: "Bearer", Parameters: []P{{"scope", "a b", true}}}},
		`Bearer realm="a", scope="x", DPoP algs="ES256"`: {{Scheme: "Bearer", Parameters: []P{{"realm", "a", true}, {"scope", "x", true}}},
			{Scheme: "DPoP", Parameters: []P{{"algs", "ES256", true}}}},
		`Bearer realm="a,b", error="x=y"`: {{Scheme: "Bearer", Parameters: []P{{"realm", "a,b", true}, {"error", "x=y", true}}}},
	} {
		got, odd, err := document.ParseChallenges(field)
		require.NoError(t, err, field)
		assert.Empty(t, odd, field)
		assert.Equal(t, want, got, field)
	}
}

func TestChallengeMistakes(t *testing.T) {
	for field, want := range map[string]string{
		``: "empty",
		`Bearer resource_metadata=https://h/.well-known/x`: "not quoted",
		`Bearer scope=a b`:               "want a comma",
		`Bearer realm='x'`:               "single quotes",
		`Bearer realm="x" scope="y"`:     "want a comma",
		`Bearer realm="x`:                "never ends",
		`Bearer realm="x"; scope="y"`:    "want a comma",
		`Bearer, realm="x"`:              "belongs to no challenge",
		"Bearer realm=\"x\ny\"":          "control character",
		"Bearer realm=\xc3\xbc":          "has no value",
		`="x"`:                           "want a scheme",
		`Bearer: realm="x"`:              "after the scheme",
		`Bearer error="a", ="b"`:         "want a parameter name",
		`Bearer realm="x", Bad/Scheme y`: "",
	} {
		_, _, err := document.ParseChallenges(field)
		require.Error(t, err, field)
		assert.ErrorContains(t, err, want, field)
	}
}

func TestChallengeOddities(t *testing.T) {
	for field, want := range map[string]string{
		`Bearer realm = "x"`:          "white space before the =",
		`Bearer realm= "x"`:           "white space after the =",
		`Bearer realm="a\b"`:          "escapes",
		`Bearer realm="x",`:           "trailing comma",
		`Bearer realm="x",,scope="y"`: "empty list element",
		`, Bearer realm="x"`:          "empty list element",
		"Bearer realm=\"\xc3\xbc\"":   "not ASCII",
	} {
		_, odd, err := document.ParseChallenges(field)
		require.NoError(t, err, field)
		assert.Contains(t, strings.Join(odd, "; "), want, field)
	}
}

func FuzzParseChallenges(f *testing.F) {
	for _, s := range []string{`Bearer realm="a", DPoP algs="ES256"`, `Negotiate abc==`, `Bearer realm="x\"y`, ",,", `a b=c, d`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, field string) {
		var challenges []document.Challenge
		var err error
		many := strings.Repeat(field, 1+64<<10/(1+len(field)))
		costs.Bounded(t, len(many), 200, func() { _, _, _ = document.ParseChallenges(many) })
		costs.Bounded(t, len(field), 200, func() { challenges, _, err = document.ParseChallenges(field) })
		if err != nil {
			return
		}
		require.NotEmpty(t, strings.Trim(field, " \t"))
		var parts []string // what parses must parse again in canonical form
		for _, c := range challenges {
			if c.Token68 != "" {
				parts = append(parts, c.Scheme+" "+c.Token68)
				continue
			}
			var params []string
			for _, p := range c.Parameters {
				params = append(params, p.Name+`="`+strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(p.Value)+`"`)
			}
			parts = append(parts, strings.TrimSpace(c.Scheme+" "+strings.Join(params, ", ")))
		}
		if len(parts) == 0 {
			return
		}
		again, _, err := document.ParseChallenges(strings.Join(parts, ", "))
		require.NoError(t, err)
		require.Len(t, again, len(challenges))
	})
}

func TestObject(t *testing.T) {
	o, odd, err := document.ParseObject(`{"a":"x","B":true,"list":["p","q"],"n":1.50,"a":"y"}`)
	require.NoError(t, err)
	assert.Equal(t, []string{`member "a" appears twice`}, odd)
	assert.Equal(t, "x", o.String("a"))
	assert.Empty(t, o.String("A"), "the name of a member is compared without regard to letter case")
	v, ok := o.Bool("B")
	assert.True(t, v && ok)
	list, ok := o.Strings("list")
	assert.True(t, ok)
	assert.Equal(t, []string{"p", "q"}, list)
	_, ok = o.Strings("a")
	assert.False(t, ok)
}

func TestJSONMistakes(t *testing.T) {
	for text, want := range map[string]string{
		``: "empty", `  `: "empty", `<html>`: "HTML", `[1]`: "found an array", `"x"`: "found a string", `null`: "found null",
		`{"a":1} x`: "after the end", `{"a":1}{}`: "after the end", `{"a":`: "too early", "{\"a\":\"\xff\"}": "UTF-8", `{"a":1,}`: "",
	} {
		_, _, err := document.ParseObject(text)
		require.Error(t, err, text)
		assert.ErrorContains(t, err, want, text)
	}
	_, odd, err := document.ParseObject("\ufeff{}")
	require.NoError(t, err)
	assert.Contains(t, odd[0], "byte order mark")
}

func TestJSONLimits(t *testing.T) {
	_, err := document.ParseValue(strings.Repeat("[", 200) + strings.Repeat("]", 200))
	assert.ErrorContains(t, err, "deeper than 64")
	_, err = document.ParseValue("[" + strings.Repeat("1,", 20_000) + "1]")
	assert.ErrorContains(t, err, "more than 10000")
}

// A value is what encoding/json reads, with the order of members, and with members that appear twice.
func TestValuesAreThoseOfEncodingJSON(t *testing.T) {
	for _, text := range []string{`null`, `true`, `false`, ` 0 `, `-1.5e+3`, `1`, `""`,
		`"a\\\"b\u00e4\ud83d\ude00\ud800\/"`, `[]`, `{}`, "\t{ \r\n}",
		`[1 , [ ] ,{ },"]",null,true]`, `{"" : {"}":"{","a\u0062":[{"c":-0}]},"z":1E5, "y":false}`, "[\n1\n,\n2\n]\n",
		`["\\","\\\\","\\\""]`, strings.Repeat(" ", 70_000) + `{"long":["a",1]}`} {
		v, err := document.ParseValue(text)
		require.NoError(t, err, text)
		var want any
		dec := json.NewDecoder(strings.NewReader(text))
		dec.UseNumber()
		require.NoError(t, dec.Decode(&want))
		assert.Equal(t, want, plain(v), text)
	}
	for _, text := range []string{`{"a" 1}`, `{"a":1 "b":2}`, `[1 2]`, `[,]`, `{,}`, `{1:2}`, `nul`, `tru e`, `01`,
		`1.`, `+1`, `"\x"`, `"a`, "\"\n\"",
		`"\u12"`, `[1}`, `{]`, `]`, `'a'`, `NaN`, `// c`, `1 /* c */`} {
		_, err := document.ParseValue(text)
		assert.Error(t, err, text)
	}
}

func plain(v any) any {
	switch v := v.(type) {
	case *document.Object:
		m := map[string]any{}
		for _, member := range v.Members {
			m[member.Name] = plain(member.Value)
		}
		return m
	case []any:
		a := make([]any, len(v))
		for i := range v {
			a[i] = plain(v[i])
		}
		return a
	}
	return v
}

// Parsing takes time in proportion to the size, at the sizes that the client accepts.
func TestReadingIsInProportion(t *testing.T) {
	for _, part := range []string{"[", `{"a":`, "1,", `"\u00e4`, `{"a":1},`, "\\", "0"} {
		for _, before := range []string{"", "[", `{"x":[`, `"`} {
			text := before + strings.Repeat(part, 1<<20/len(part))
			costs.Bounded(t, len(text), 30, func() { _, _, _ = document.ParseObject(text) })
		}
	}
	for _, part := range []string{"a", "a ", "a b=c,", ",", `a b="c",`, `a b="\\`, "a=", "a b,", `"`} {
		field := strings.Repeat(part, 64<<10/len(part))
		costs.Bounded(t, len(field), 200, func() { _, _, _ = document.ParseChallenges(field) })
		costs.Bounded(t, len(field), 200, func() { _, _, _ = document.ParseChallenges("Bearer " + field) })
	}
}

func FuzzParseValue(f *testing.F) {
	for _, s := range []string{`{"a":[1,{"b":null}]}`, `[`, "\ufeff{}", `{"a":1,"a":2}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var v any
		var err error
		many := "[" + strings.Repeat(text+",", 1+256<<10/(1+len(text))) + "1]"
		costs.Bounded(t, len(many), 200, func() { _, _ = document.ParseValue(many) })
		costs.Bounded(t, len(text), 200, func() { v, err = document.ParseValue(text) })
		beyond := err != nil && (strings.Contains(err.Error(), "nested deeper") || strings.Contains(err.Error(), "more than"))
		if good := utf8.ValidString(text) && json.Valid([]byte(text)); good != (err == nil) && !beyond {
			t.Fatalf("valid JSON: %t, and the error is %v", good, err)
		}
		if err == nil && document.Kind(v) == "" {
			t.Fatal("a value without a kind")
		}
	})
}

func TestURL(t *testing.T) {
	for _, good := range []string{"https://h", "https://h/", "https://h:8443/p?q#f", "http://[::1]:80/x", "https://h/a%20b"} {
		_, err := document.ParseURL(good)
		assert.NoError(t, err, good)
	}
	for bad, want := range map[string]string{
		"": "empty", "h/p": "no scheme", "//h/p": "no scheme", "ftp://h/": "scheme", "https://": "no host", "https:///p": "no host",
		"https://h/a b": "is not allowed", "https://h/\n": "is not allowed", "https://h/{t}": "is not allowed", "urn:x:y": "scheme",
		"https://h:port/": "",
	} {
		_, err := document.ParseURL(bad)
		require.Error(t, err, bad)
		assert.ErrorContains(t, err, want, bad)
	}
}

func TestWellKnown(t *testing.T) {
	for in, want := range map[string]string{
		"https://h":        "https://h/.well-known/x",
		"https://h/":       "https://h/.well-known/x",
		"https://h/p":      "https://h/.well-known/x/p",
		"https://h/p/":     "https://h/.well-known/x/p",
		"https://h/p?q=1":  "https://h/.well-known/x/p?q=1",
		"https://H:443/p":  "https://h/.well-known/x/p",
		"http://[::1]:8/p": "http://[::1]:8/.well-known/x/p",
		"http://[::1]/p":   "http://[::1]/.well-known/x/p",
	} {
		u, err := document.ParseURL(in)
		require.NoError(t, err)
		assert.Equal(t, want, document.WellKnown(u, "x"), in)
	}
}

func TestHosts(t *testing.T) {
	for _, h := range []string{"localhost", "LOCALHOST.", "a.localhost", "127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"} {
		assert.True(t, document.LoopbackHost(h), h)
	}
	for _, h := range []string{"example.com", "127.0.0.1.nip.io", "10.0.0.1", "localhost.evil.example"} {
		assert.False(t, document.LoopbackHost(h), h)
	}
	for _, h := range []string{"10.0.0.1", "app", "db.internal", "printer.local", "169.254.169.254", "100.64.1.1"} {
		assert.True(t, document.PrivateHost(h), h)
	}
	assert.False(t, document.PrivateHost("mcp.example.com"))
}

func FuzzParseURL(f *testing.F) {
	f.Add("https://h/p?q")
	f.Add("http://[::1]:80/x")
	f.Fuzz(func(t *testing.T, s string) {
		for _, s := range []string{s, "https://as.example/" + strings.Repeat(s, 1_000)} {
			var u *url.URL
			var place string
			var err error
			costs.Bounded(t, len(s), 200, func() {
				if u, err = document.ParseURL(s); err == nil {
					_, place = document.Origin(u), document.WellKnown(u, "x")
				}
			})
			if err != nil {
				continue
			}
			if _, err := document.ParseURL(place); err != nil {
				t.Fatalf("%.200q gives %.200q: %v", s, place, err)
			}
		}
	})
}

// A missing quote is an error, but the value is kept.
func TestUnquotedValueIsKept(t *testing.T) {
	challenges, _, err := document.ParseChallenges(`Bearer error="invalid_token", resource_metadata=https://h/.well-known/x, scope="a b"`)
	require.ErrorContains(t, err, "not quoted")
	require.Len(t, challenges, 1)
	for name, want := range map[string]string{"error": "invalid_token", "resource_metadata": "https://h/.well-known/x", "scope": "a b"} {
		got, _ := challenges[0].Param(name)
		assert.Equal(t, want, got)
	}
}

// The order of members in an object means nothing, and that of a list of metadata neither.
func TestContradictions(t *testing.T) {
	parse := func(text string) *document.Object {
		o, _, err := document.ParseObject(text)
		require.NoError(t, err)
		return o
	}
	plain := parse(`{"a":{"x":1,"y":["p","q"]},"b":["1","2"],"c":"d"}`)
	for signed, differs := range map[string]bool{
		`{"a":{"y":["q","p"],"x":1},"b":["2","1"],"iss":"i"}`: false,
		`{"a":{"x":1}}`: true, `{"a":{"x":1,"y":["p"]}}`: true, `{"a":{"x":1,"y":["p","q"],"z":1}}`: true, `{"b":"1"}`: true, `{"a":1}`: true,
		`{"c":{"d":1}}`: true,
	} {
		assert.Equal(t, differs, document.Contradiction(parse(signed), plain) != "", signed)
	}
}
