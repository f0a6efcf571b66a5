package main

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mcpauth/conformance/fixtures/costs"
)

// Reading any list of targets takes memory and time in proportion to it, and each entry is a URL in canonical form, or the path of a file.
func FuzzTargetList(f *testing.F) {
	f.Add("https://mcp.example.com/mcp\n# comment\ntargets/one.yaml\n")
	f.Add("HTTPS://user:secret@[::1%25x]:443/?a=b#c\n")
	f.Add("https://user:secret/@user:secret@a.example/\n")
	f.Add("ps:user:secret@a.:secret/://\n")
	f.Add("https:///user:secret@a.example/\n")
	f.Add("https:user:secret@a.example/://\n")
	f.Add("https://user:secret@user:secret@a.example:x/\n")
	f.Add(`{"servers":[{"server":{"remotes":[{"type":"streamable-http","url":"https://a.example/mcp"}]}}],"metadata":{}}{"servers":[]}`)
	f.Add(`{"servers":[` + strings.Repeat(`{"server":{"remotes":[`, 500))
	f.Add("\ufeffhttp://a.example:80\nhttp://A.example/\n")
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 1<<20 {
			t.Skip()
		}
		costs.Bounded(t, len(text), 500, func() {
			entries, err := parseList([]byte(text), "list")
			if err != nil {
				if !looksLikeJSON([]byte(text)) && strings.Count(err.Error(), "secret") > innocent(text) {
					t.Errorf("the error contains a password: %v", err)
				}
				return
			}
			for _, e := range distinct(entries) {
				if (e.URL == "") == (e.File == "") {
					t.Errorf("%q: neither a URL nor a file: %+v", text, e)
				}
				if e.URL == "" {
					continue
				}
				once, err := canonical(e.URL)
				if err != nil {
					t.Errorf("%q: %v", e.URL, err)
				}
				if twice, err := canonical(once); err != nil || twice != once {
					t.Errorf("%q has two forms: %q and %q (%v)", e.URL, once, twice, err)
				}
			}
		})
	})
}

// innocent returns how often one line of a text contains the word secret outside a password: not before an @.
func innocent(text string) (most int) {
	for line := range strings.Lines(text) {
		if strings.Contains(line, ":secret@") {
			line = line[strings.LastIndex(line, "@"):]
		}
		most = max(most, strings.Count(line, "secret"))
	}
	return most
}

// Reading any configuration of a client takes memory and time in proportion to it, and each listed entry is a URL without parts that may be
// secret.
func FuzzClients(f *testing.F) {
	f.Add(`{"mcpServers":{"a":{"url":"https://user:secret@a.example/mcp?key=secret#secret"},` +
		`"b":{"command":"npx","args":["mcp-remote","http://b"]}}}`)
	f.Add("{// comment\n\"mcp\":{\"servers\":{\"a\":{\"serverUrl\":\"https://a.example/{x}\"},},},}")
	f.Add(`{"servers":` + strings.Repeat(`{"mcp":{"servers":`, 500))
	f.Add(`{"a":[` + strings.Repeat("/* */,", 500) + "]}")
	f.Add(`{"servers":{"a":{"args":["http://b/?x",1,null]}}}`)
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 1<<18 {
			t.Skip()
		}
		for _, text := range []string{text, `{"servers":{` + strings.Repeat(text, 100) + `}}`} {
			costs.Bounded(t, len(text), 500, func() {
				found, err := readClient([]byte(text))
				if err != nil {
					return
				}
				for _, address := range found.urls {
					if u, err := url.Parse(address); err != nil || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Host == "" {
						t.Errorf("%q is listed (%v)", address, err)
					}
				}
			})
		}
	})
}

// Reading any baseline takes memory and time in proportion to it.
func FuzzBaseline(f *testing.F) {
	f.Add("version: 1\naccepted:\n- {id: RS-CHALLENGE-401-STATUS, reason: x, expires: 2027-01-31}\n")
	f.Add("a: &a [x,x]\nb: &b [*a,*a]\naccepted: [*b,*b]\n" + strings.Repeat("[", 200))
	f.Add("version: 1\naccepted:\n" + strings.Repeat("- {}\n", 500))
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 1<<16 {
			t.Skip()
		}
		path := filepath.Join(t.TempDir(), "baseline.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		costs.Bounded(t, len(text), 4000, func() { _, _ = readBaseline(path, false) })
	})
}
