// Package keys holds the checks on the keys that an authorization server publishes (RFC 7517, RFC 7518).
package keys

import (
	"encoding/base64"
	"math/big"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/survey"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// Register registers the area.
func Register() {
	Describe("RFC 7517 section 5: JWK Set Format", keySet)
	Describe("RFC 7515 section 5.2: signatures of issued tokens", issued)
}

func keySet() {
	Must("AS-KEYS-JWKS-SHAPE", func(t *T) {
		each(t, func(s *survey.Server) {
			ex := s.JWKS.Exchange
			if !s.JWKS.Found() {
				t.Unmet(ex, "a JWK set at jwks_uri", "%v", s.JWKS.Err)
				return
			}
			keys := expect.Keys(s.JWKS.Object)
			if len(keys) == 0 {
				t.Unmet(ex, "a member keys with at least one key", "none")
			}
			kids := map[string]int{}
			signing := 0
			for i, k := range keys {
				if problem := malformed(k); problem != "" {
					t.Unmet(ex, "well-formed keys", "key %d: %s", i+1, problem)
				}
				if k.String("use") != "enc" {
					signing++
				}
				if kid := k.String("kid"); kid != "" { // optional; keys of different types may share one (RFC 7517 section 4.5)
					kids[k.String("kty")+" "+kid]++
				}
			}
			if len(keys) > 0 && signing == 0 {
				t.Unmet(ex, "a signature key", "encryption keys only")
			}
			for kid, n := range kids {
				if n > 1 {
					t.Unmet(ex, "distinct key ids", "%d keys have type and kid %q", n, kid)
				}
			}
		})
	})

	Must("AS-KEYS-NO-PRIVATE", func(t *T) {
		each(t, func(s *survey.Server) {
			for _, name := range expect.PrivateKeyMembers(s.JWKS.Exchange) {
				t.Unmet(s.JWKS.Exchange, "public keys only", "the key set holds the private member %q", name)
			}
			if s.JWKS.Exchange.Response != nil && strings.Contains(s.JWKS.Exchange.Response.Body, "PRIVATE KEY-----") {
				t.Unmet(s.JWKS.Exchange, "public keys only", "a private key in PEM")
			}
		})
	})

	Must("AS-KEYS-STRENGTH", func(t *T) {
		each(t, func(s *survey.Server) {
			for i, k := range expect.Keys(s.JWKS.Object) {
				switch k.String("kty") {
				case "RSA":
					n, e := number(k, "n"), number(k, "e")
					if n == nil || e == nil {
						continue // AS-KEYS-JWKS-SHAPE
					}
					if n.BitLen() < 2048 {
						t.Unmet(s.JWKS.Exchange, "RSA keys of 2048 bits or more (RFC 7518 section 3.3)", "key %d has %d bits", i+1, n.BitLen())
					}
					if e.Cmp(big.NewInt(3)) < 0 || e.Bit(0) == 0 || n.Bit(0) == 0 {
						t.Unmet(s.JWKS.Exchange, "an odd modulus and an odd exponent of 3 or more", "key %d does not have them", i+1)
					}
				case "EC":
					if c := k.String("crv"); !slices.Contains([]string{"P-256", "P-384", "P-521", "secp256k1"}, c) {
						t.Unmet(s.JWKS.Exchange, "a curve that RFC 7518 or RFC 8812 registers", "key %d uses %q", i+1, c)
					}
				}
			}
		})
	})

	Practice("AS-KEYS-ALG-LISTS", func(t *T) {
		listed := false
		t.AS.Each(func(_ *survey.Server, m *survey.Document) {
			for _, member := range m.Object.Members {
				if !strings.HasSuffix(member.Name, "_alg_values_supported") {
					continue
				}
				listed = true
				algs, _ := m.Object.Strings(member.Name)
				for _, a := range algs {
					switch {
					case a == "none" && member.Name == "id_token_signing_alg_values_supported":
						t.Advise(m.Exchange, "no unsigned ID tokens", "none is listed in %s", member.Name)
					case a == "none" && strings.Contains(member.Name, "signing"):
						t.Unmet(m.Exchange, "no \"none\" in "+member.Name, "it is listed")
					case strings.HasPrefix(a, "HS") && strings.HasPrefix(member.Name, "dpop"):
						t.Unmet(m.Exchange, "asymmetric algorithms only for DPoP", "%q", a)
					}
				}
			}
		})
		if !listed {
			t.NotApplicable("no algorithms are listed")
		}
	})
}

// each judges every key set that a jwks_uri names.
func each(t *T, judge func(s *survey.Server)) {
	for i := range t.Survey.Servers {
		if s := &t.Survey.Servers[i]; s.JWKS.URL != "" {
			if s.JWKS.Exchange == nil {
				t.Unmet(nil, "jwks_uri to be a URL", "%q: %v", s.JWKS.URL, s.JWKS.Err)
				continue
			}
			t.Cite(s.JWKS.Exchange)
			if s.JWKS.Exchange.Response == nil {
				t.Inconclusive("%s cannot be reached from here: %s", s.JWKS.URL, s.JWKS.Exchange.Error)
			}
			judge(s)
		}
	}
}

func malformed(k *document.Object) string {
	switch k.String("kty") {
	case "":
		return "kty is missing"
	case "RSA":
		if number(k, "n") == nil || number(k, "e") == nil {
			return "n and e must be base64url numbers"
		}
	case "EC":
		if number(k, "x") == nil || number(k, "y") == nil || k.String("crv") == "" {
			return "crv, x and y must be there"
		}
	case "OKP":
		if number(k, "x") == nil || k.String("crv") == "" {
			return "crv and x must be there"
		}
	}
	return "" // unknown key types are ignored (RFC 7517 section 5)
}

func number(k *document.Object, name string) *big.Int {
	b, err := base64.RawURLEncoding.DecodeString(k.String(name))
	if err != nil || len(b) == 0 {
		return nil
	}
	return new(big.Int).SetBytes(b)
}
