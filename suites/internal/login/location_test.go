package login

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestRelativeRedirectsAsBrowsersReadThem(t *testing.T) {
	for location, want := range map[string]string{
		"/login?to=a\\b":             "/login?to=a\\b",
		"//attacker.example":         "//attacker.example",
		`/\attacker.example`:         "//attacker.example",
		`\\attacker.example/a`:       "//attacker.example/a",
		"///attacker.example":        "//attacker.example",
		"https:attacker.example":     "https://attacker.example",
		"HTTPS:attacker.example":     "https://attacker.example",
		`https:/\attacker.example`:   "https://attacker.example",
		"http:page":                  "page",
		"http://127.0.0.1/cb?code=1": "http://127.0.0.1/cb?code=1",
		`https://a.example\@b/cb`:    `https://a.example\@b/cb`,
		"com.example.app:/cb":        "com.example.app:/cb",
		"login#a":                    "login#a",
	} {
		assert.Equal(t, want, readByBrowsers("http", location), location)
	}
}
