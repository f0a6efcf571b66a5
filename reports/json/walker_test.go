package json

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The walker reads what encoding/json reads.
func TestWalkerReadsAsTheStandardLibrary(t *testing.T) {
	for _, text := range []string{
		`{}`, `[]`, `""`, `0`, `null`, `true`, ` false `, "\n[\t1 ,\r2 ]\n", `[[],{},[{}],""]`,
		`{"a":1,"b":[true,false,null],"c":{"a":2}}`, `{ "a" : { "b" : [ 1 , { "c" : "d" } ] } , "e" : -1.5e+10 }`,
		`"a\"b\\"`, `"\\"`, `"\u00e9\ud83d\ude00\ud800 \n\/"`, `{"\u0061":1,"b\\":2,"\"":3}`, `["]","}",",","[","\"]"]`, `{"":""}`,
		`[12345678901234567890, 1e400, -0]`,
	} {
		var want any
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		require.NoError(t, d.Decode(&want), text)
		value, p := newWalker([]byte(text)).whole()
		require.Nil(t, p, text)
		assert.Equal(t, want, value, text)
	}
}

// It refuses texts that are not JSON, and those that parsers read differently.
func TestWalkerRefuses(t *testing.T) {
	for text, says := range map[string]string{
		"":                       "it ends too early",
		"[1,2":                   "it ends too early",
		`"a`:                     "it ends too early",
		"[1,\n]":                 "invalid character ']'",
		"[1] 2":                  "there is text after the end of the report",
		"{} x":                   "there is text after the end of the report",
		"{\"a\":1,\n\"a\":2}":    `the member "a" appears twice`,
		`{"a":1,"\u0061":2}`:     `the member "a" appears twice`,
		"01":                     "there is text after the end of the report",
		"'a'":                    "invalid character",
		"\xff":                   "not valid UTF-8",
		strings.Repeat("[", 50):  "it ends too early",
		deeper(26):               "it is nested deeper than 24",
		deeper(20_000):           "it is nested deeper than 24",
		"[\"a\x00\"]":            "invalid character",
		"{\"a\":{\"b\":[1,2,,]}": "invalid character ','",
	} {
		_, p := newWalker([]byte(text)).whole()
		require.NotNil(t, p, text)
		assert.Contains(t, p.Says, says, text)
	}
	_, p := newWalker([]byte("{\"a\":1,\n\"a\":2}")).whole()
	assert.Equal(t, 2, p.Line)
	_, p = newWalker([]byte("{\"a\":1,\n\n\"b\":x}")).whole()
	assert.Equal(t, 3, p.Line)
}

func deeper(levels int) string { return strings.Repeat("[", levels) + strings.Repeat("]", levels) }

// A report has few names of members, many times.
func TestNamesOfMembersAreOneString(t *testing.T) {
	text := []byte("[" + string(bytes.TrimSuffix(bytes.Repeat([]byte(`{"a long name of a member":1},`), 100), []byte(","))) + "]")
	w := newWalker(text)
	_, p := w.whole()
	require.Nil(t, p)
	assert.Len(t, w.names, 1)
}
