package main_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fakes/idp"
	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/fixtures/substrings"
)

// seen are the secrets that a server has issued and received.
type seen struct {
	mu     sync.Mutex
	values map[string]string // value -> kind
}

func (s *seen) add(kind, value string) {
	if parts := strings.Split(value, "."); len(parts) == 3 { // the header and claims of a JWT are evidence
		value = parts[2]
	}
	if len(value) < 16 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.values[value] = kind
}

// record records the secrets that a server issues and receives.
func (s *seen) record(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20)) // a part is enough
		r.Body = io.NopCloser(bytes.NewReader(body))
		if r.URL.Path != "/token" && r.URL.Path != "/authorize" && r.URL.Path != "/login" {
			h.ServeHTTP(w, r)
			return
		}
		answer := httptest.NewRecorder()
		h.ServeHTTP(answer, r)
		if answer.Code < http.StatusBadRequest { // rejected values may be invented
			s.form(string(body))
		}
		if at, err := url.Parse(answer.Header().Get("Location")); err == nil {
			s.form(at.RawQuery)
		}
		var issued map[string]any
		if answer.Code == http.StatusOK && json.Unmarshal(answer.Body.Bytes(), &issued) == nil {
			for _, name := range []string{"access_token", "refresh_token"} {
				text, _ := issued[name].(string)
				s.add(name, text)
			}
		}
		for name, values := range answer.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
	})
}

func (s *seen) form(text string) {
	form, _ := url.ParseQuery(text) // as far as it can be parsed
	for _, name := range []string{"code", "code_verifier", "client_secret", "password", "refresh_token"} {
		s.add(name, form.Get(name))
	}
}

// absent expects that no file in a folder, packed or not, and no other text contains a secret.
func (s *seen) absent(t *testing.T, dir string, texts ...string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		if strings.HasSuffix(path, ".gz") {
			z, err := gzip.NewReader(bytes.NewReader(b))
			require.NoError(t, err)
			b, err = io.ReadAll(z)
			require.NoError(t, err)
		}
		texts = append(texts, path+"\n"+string(b))
		return nil
	}))
	kinds := map[string]string{} // spelling -> kind
	for value, kind := range s.values {
		for _, spelling := range []string{value, value[:len(value)/2], base64.StdEncoding.EncodeToString([]byte(value)),
			hex.EncodeToString([]byte(value)), url.QueryEscape(value)} {
			kinds[strings.TrimRight(spelling, "=")] = kind
		}
	}
	secrets := substrings.Of(slices.Collect(maps.Keys(kinds))...)
	for _, text := range texts {
		about, _, _ := strings.Cut(text, "\n")
		for _, found := range secrets.In(text) {
			t.Errorf("%s contains a %s: …%.60q", about, kinds[found], text[max(0, strings.Index(text, found)-30):])
		}
	}
}

// given are secrets of the user, by environment variable.
var given = map[string]string{"GATE_KEY": "gate-8xKq2Lm9Zr4TvWp3", "ALICE_PASSWORD": "alice-7-looking-glass"}

// watched starts a server that records its secrets, and writes its target file.
func watched(t *testing.T, dir string) (s *seen, file string, env []string) {
	t.Helper()
	s = &seen{values: map[string]string{}}
	r := start(t, func(o *reference.Options) {
		o.Wrap = s.record
		o.Users = []idp.User{idp.Alice}
	})
	for name, value := range given {
		s.add(name, value)
		env = append(env, name+"="+value)
	}
	file = filepath.Join(dir, "target.yaml")
	text := "version: 1\ntarget:\n  url: " + r.URL + "\n  headers: {X-Gate: {env: GATE_KEY}}\nlogin:\n  driver: form\n" +
		"  users: [{username: alice, password: {env: ALICE_PASSWORD}}]\n"
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return s, file, env
}

// The results of a fleet, and the files made from them, contain no secret.
func TestNoSecretInAFleet(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, file, env := watched(t, dir)
	list, out := filepath.Join(dir, "list.txt"), filepath.Join(dir, "out")
	require.NoError(t, os.WriteFile(list, []byte(file+"\n"), 0o600))
	code, stdout, stderr := mcpauthProcess(t, env, "run", "--targets", list, "--out", out, "--evidence", "all", "--verbose",
		"--only", "AS-TOKEN-*", "--only", "RS-TOKEN-*", "--only", "AS-PKCE-*")
	require.Zero(t, code, stderr)
	code, said, errs := mcpauth(t, "fleet", out, "--report", "html="+dir+"/out/fleet.html", "--report", "ndjson="+dir+"/out/fleet.ndjson",
		"--report", "openmetrics="+dir+"/out/fleet.txt")
	require.Zero(t, code, errs)
	require.Greater(t, len(s.values), 10, "the server has seen too few secrets")
	s.absent(t, out, "standard output\n"+stdout+said, "standard error\n"+stderr+errs)
}
