package nearmiss_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/suites/internal/nearmiss"
)

// comparisons are weak comparisons of real servers, each with a good value that shows the weakness.
var comparisons = []struct {
	name, good string
	equal      func(good, v string) bool
}{
	{"by prefix of the good value", "abcXYZ12", func(good, v string) bool { return v != "" && strings.HasPrefix(good, v) }},
	{"by prefix of the value sent", "abcXYZ12", func(good, v string) bool { return strings.HasPrefix(v, good) }},
	{"by suffix of the good value", "abcXYZ12", func(good, v string) bool { return v != "" && strings.HasSuffix(good, v) }},
	{"by suffix of the value sent", "abcXYZ12", func(good, v string) bool { return strings.HasSuffix(v, good) }},
	{"by length", "abcXYZ12", func(good, v string) bool { return len(good) == len(v) }},
	{"by letters alone", "abcXYZ12", strings.EqualFold},
	{"after trimming", "abcXYZ12", func(good, v string) bool { return good == strings.TrimSpace(v) }},
	{"after a slash is cut off", "abcXYZ12", func(good, v string) bool { return good == strings.TrimRight(v, "/") }},
	{"after decoding", "abcXYZ12", func(good, v string) bool { d, err := url.PathUnescape(v); return err == nil && d == good }},
	{"the good value decoded", "abc%2FXYZ", func(good, v string) bool { d, _ := url.PathUnescape(good); return d == v }},
	{"as C strings", "abcXYZ12", func(good, v string) bool { b, _, _ := strings.Cut(v, "\x00"); return b == good }},
	{"an empty one as a match", "abcXYZ12", func(_, v string) bool { return v == "" }},
	{"any of a list", "abcXYZ12", func(good, v string) bool { return strings.Contains(v, ",") && strings.HasPrefix(v, good+",") }},
	{"its first 72 bytes, like bcrypt", strings.Repeat("ab", 40), func(good, v string) bool { return len(v) >= 72 && v[:72] == good[:72] }},
	{"as a pattern", "abc.XYZ12", func(good, v string) bool { return len(v) == len(good) && strings.Replace(good, ".", "x", 1) == v }},
}

func TestEachWeakComparisonAcceptsANearMiss(t *testing.T) {
	for _, c := range comparisons {
		found := ""
		for _, m := range nearmiss.Of(c.good) {
			if c.equal(c.good, m.Value) {
				found = m.Name
				break
			}
		}
		assert.NotEmpty(t, found, c.name)
	}
}

// UUIDs are the same in another letter case (RFC 9562 section 4).
func TestUUIDsHaveNoLetterCase(t *testing.T) {
	const id = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
	assert.Empty(t, nearmiss.Of(id, nearmiss.LetterCase))
	assert.Len(t, nearmiss.Of(id+"x", nearmiss.LetterCase), 1)
	assert.NotEmpty(t, nearmiss.Of(id, nearmiss.Changed))
}

func TestNoNearMissIsTheValueItself(t *testing.T) {
	for _, good := range []string{"", "a", "A", "/", "%", "abc", "https://client.example/cb", "http://127.0.0.1:80", "http://[::1]/x?y"} {
		values := map[string]string{}
		for _, m := range append(nearmiss.Of(good), nearmiss.OfURL(good)...) {
			assert.NotEqual(t, good, m.Value, "%q: %s", good, m.Name)
			assert.NotEmpty(t, m.Name)
			values[m.Value] = m.Name
		}
		assert.NotEmpty(t, values)
	}
}

func TestNearMissesOfAURL(t *testing.T) {
	got := map[string]string{}
	for _, m := range nearmiss.OfURL("https://client.example/app/cb?k=v") {
		require.NotContains(t, got, m.Name)
		got[m.Name] = m.Value
	}
	for name, want := range map[string]string{
		"the host followed by another domain":     "https://client.example.attacker.example/app/cb?k=v",
		"the host as user information of another": "https://client.example@attacker.example/app/cb?k=v",
		"a backslash before another host":         `https://client.example\@attacker.example/app/cb?k=v`,
		"an encoded dot before another domain":    "https://client.example%2eattacker.example/app/cb?k=v",
		"the URL in the query of another host":    "https://attacker.example/?https://client.example/app/cb?k=v",
		"a subdomain":                             "https://sub.client.example/app/cb?k=v",
		"a host that ends in the same letters":    "https://evilclient.example/app/cb?k=v",
		"a letter instead of a dot of the host":   "https://clientxexample/app/cb?k=v",
		"the other scheme":                        "http://client.example/app/cb?k=v",
		"another port":                            "https://client.example:8443/app/cb?k=v",
		"a slash more at the end of the path":     "https://client.example/app/cb/?k=v",
		"the path in another letter case":         "https://client.example/APP/CB?k=v",
		"a slash of the path encoded":             "https://client.example/app%2Fcb?k=v",
		"user information before the host":        "https://mcpauth@client.example/app/cb?k=v",
		"the whole URL percent-encoded":           "https%3A%2F%2Fclient.example%2Fapp%2Fcb%3Fk%3Dv",
		"a parameter more":                        "https://client.example/app/cb?k=v&x=1",
		"another parameter first":                 "https://client.example/app/cb?x=1&k=v",
		"the query left out":                      "https://client.example/app/cb",
		"dot segments to another path":            "https://client.example/app/cb/../evil?k=v",
		"the default port written out":            "https://client.example:443/app/cb?k=v",
		"dot segments that lead back":             "https://client.example/x/../app/cb?k=v",
	} {
		assert.Equal(t, want, got[name], name)
	}
	assert.NotContains(t, got, "the host and port as user information of another", "there is a row about the port of a URL without a port")
}

func TestNearMissesOfALoopbackURL(t *testing.T) {
	got := map[string]string{}
	for _, m := range nearmiss.OfURL("http://127.0.0.1:53111/callback") {
		got[m.Name] = m.Value
	}
	assert.Equal(t, "http://127.0.0.1:53111@attacker.example/callback", got["the host and port as user information of another"])
	assert.NotContains(t, got, "a subdomain", "there is a row about a subdomain of an IP address")
	assert.NotContains(t, got, "the host in upper case")
}

func TestKinds(t *testing.T) {
	for _, m := range nearmiss.Of("abc", nearmiss.Empty, nearmiss.LetterCase) {
		assert.Contains(t, []nearmiss.Kind{nearmiss.Empty, nearmiss.LetterCase}, m.Kind)
	}
	assert.Len(t, nearmiss.Of("abc", nearmiss.Empty, nearmiss.LetterCase), 2)
	rest := nearmiss.Except(nearmiss.Null, nearmiss.Host)
	assert.NotContains(t, rest, nearmiss.Null)
	assert.NotContains(t, rest, nearmiss.Host)
	assert.Contains(t, rest, nearmiss.Shorter)
}

// A changed character is another one whatever the letter case: a server that ignores the case is a row of its own.
func TestAChangedCharacterDiffersInMoreThanCase(t *testing.T) {
	for c := byte('!'); c <= '~'; c++ {
		good := strings.Repeat(string(c), 3)
		for _, m := range nearmiss.Of(good, nearmiss.Changed) {
			assert.False(t, strings.EqualFold(good, m.Value), "%s: %s", good, m.Value)
		}
	}
}
