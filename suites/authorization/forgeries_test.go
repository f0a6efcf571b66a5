package authorization

import (
	"encoding/base64"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
)

// A forged cookie has the other user where it has the own one, in the same encoding, and is unchanged elsewhere.
func TestForgeries(t *testing.T) {
	users := renamings([2]string{"alice", "bob"}, [2]string{"1", "2"})
	padded := func(s string) string { return url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(s))) }
	raw := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	for value, want := range map[string]string{
		"alice":                           "bob",
		"alice.c2ln":                      "bob.c2ln",
		"616c696365":                      "626f62",
		raw(`{"user":"alice"}`) + "--ab":  raw(`{"user":"bob"}`) + "--ab",
		padded(`{"user":"alice"}`):        padded(`{"user":"bob"}`),
		raw(`{"uid":1,"exp":1764570000}`): raw(`{"uid":2,"exp":1764570000}`),
		raw(`{"n":1,"user":"alice"}`):     raw(`{"n":1,"user":"bob"}`),
		raw(`{"alg":"HS256"}`) + "." + raw(`{"sub":"1"}`) + ".x": raw(`{"alg":"none","typ":"JWT"}`) + "." + raw(`{"sub":"2"}`) + ".",
	} {
		assert.Contains(t, forgeries(value, users), want, value)
	}
	for _, value := range []string{"", "malice1", raw("0123456789")} {
		assert.Empty(t, forgeries(value, users), value)
	}
}
