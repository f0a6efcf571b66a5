package hostile

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mcpauth/conformance/fakes/reference"
)

// costlyPages shows login pages of a megabyte. Each element makes some HTML parsers repeat all elements before it.
func costlyPages() (*Attack, error) {
	var page strings.Builder
	page.WriteString("<!doctype html><title>Sign in</title>")
	for i := 0; page.Len() < 1<<20-100; i++ {
		fmt.Fprintf(&page, "<b a=%d><p>", i)
	}
	var shown atomic.Int64
	r, err := wrapped(func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.URL.Path != "/authorize" {
				h.ServeHTTP(w, req)
				return
			}
			shown.Add(1)
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, page.String())
		})
	})
	if err != nil {
		return nil, err
	}
	args, env := signedIn(r, "--only", "AS-TOKEN-*", "--only", "AS-AUTHZ-*", "--only", "AS-LOGIN-*")
	return &Attack{Args: args, Environment: env, Close: r.Close, Judge: func(o Outcome) error {
		return errors.Join(unsprung(shown.Load()), lean(o, 128<<20), within(o, 10*time.Second), notGreen(o))
	}}, nil
}

// costlyKeys publishes many keys that could each have made the signature, and that are all slow to try.
func costlyKeys() (*Attack, error) {
	modulus := bytes.Repeat([]byte{0xb7, 0x1d, 0xe9}, 683)[:2048] // 16,384 bits
	modulus[len(modulus)-1] |= 1
	n := base64.RawURLEncoding.EncodeToString(modulus)
	signature := base64.RawURLEncoding.EncodeToString(append([]byte{0}, modulus[1:]...)) // less than the modulus
	var told atomic.Int64
	r, err := bend(func(o *reference.Options) {
		o.Behaviour.JWKS = func(doc map[string]any) {
			told.Add(1)
			keys := []any{}
			for range 350 {
				keys = append(keys, map[string]any{"kty": "RSA", "n": n, "e": "f____w"}) // 2^31-1
			}
			doc["keys"] = keys
		}
		o.Behaviour.SignedMetadata = func(doc map[string]any) {
			encode := base64.RawURLEncoding.EncodeToString
			doc["signed_metadata"] = encode([]byte(`{"alg":"RS256"}`)) + "." + encode(fmt.Appendf(nil, `{"iss":%q}`, doc["issuer"])) + "." +
				signature
		}
	})
	if err != nil {
		return nil, err
	}
	return &Attack{Args: []string{"run", r.URL, "--only", "AS-META-SIGNED-METADATA", "--only", "AS-KEYS-*", "--timeout", "8s"},
		Close: r.Close, Judge: func(o Outcome) error {
			if !strings.Contains(o.Reports["json"], "one has 16384 bits") { // the duration depends on the machine
				return errors.New("the report does not say that keys of such a size are not tried")
			}
			return errors.Join(unsprung(told.Load()), lean(o, 128<<20), within(o, 10*time.Second))
		}}, nil
}

// manyFields answers with hundreds of header fields, the most that mcpauth accepts.
func manyFields() (*Attack, error) {
	var answered atomic.Int64
	r, err := wrapped(func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			answered.Add(1)
			for i := range 600 {
				w.Header().Add("WWW-Authenticate", fmt.Sprintf(`Bearer realm="%d", resource_metadata="http://127.0.0.1:%d/x"`, i, 20_000+i))
			}
			w.WriteHeader(http.StatusUnauthorized)
		})
	})
	if err != nil {
		return nil, err
	}
	return &Attack{Args: []string{"run", r.URL, "--timeout", "8s"}, Close: r.Close, Judge: func(o Outcome) error {
		return errors.Join(unsprung(answered.Load()), lean(o, 128<<20), notGreen(o))
	}}, nil
}

// longWords answers everything with an error code of nearly a megabyte, which hundreds of verdicts would quote.
func longWords() (*Attack, error) {
	body := `{"error":"` + strings.Repeat("invalid ", 120_000) + `"}`
	var answered atomic.Int64
	r, err := wrapped(func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			answered.Add(1)
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, body) // the client may have left
		})
	})
	if err != nil {
		return nil, err
	}
	return &Attack{Args: []string{"run", r.URL, "--timeout", "8s"}, Close: r.Close, Judge: func(o Outcome) error {
		return errors.Join(unsprung(answered.Load()), lean(o, 128<<20), notGreen(o))
	}}, nil
}

// longLists names thousands of scopes. Each is a finding, and each request has half a megabyte.
func longLists() (*Attack, error) {
	var told atomic.Int64
	r, err := bend(func(o *reference.Options) {
		o.Policy.PRM = func(_ string, doc map[string]any) {
			told.Add(1)
			scopes := make([]string, 9_000)
			for i := range scopes {
				scopes[i] = fmt.Sprintf("scope:%d:%s", i, strings.Repeat("x", 60))
			}
			doc["scopes_supported"] = scopes
		}
	})
	if err != nil {
		return nil, err
	}
	args, env := signedIn(r)
	return &Attack{Args: args, Environment: env, Close: r.Close, Judge: func(o Outcome) error {
		// Not notGreen: a fast machine decides every MUST in time, and most of them pass.
		return errors.Join(unsprung(told.Load()), lean(o, 128<<20), within(o, 25*time.Second), reported(o))
	}}, nil
}
