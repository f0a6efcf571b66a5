// Package keys contains the checks on the keys that an authorization server publishes (RFC 7517, RFC 7518), and on what it signs.
package keys

import (
	"fmt"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/survey"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// Register registers the area.
func Register() {
	Describe("RFC 7517 section 5: JWK Set Format", func() {
		Must("AS-KEYS-JWKS-SHAPE", publishesWellFormedKeys)
		Must("AS-KEYS-NO-PRIVATE", publishesNoPrivateKey)
		Must("AS-KEYS-STRENGTH", publishesStrongKeys)
		Practice("AS-KEYS-ALG-LISTS", listsSafeAlgorithms)
	})
	Describe("RFC 7515 section 5.2: signatures of issued tokens", func() {
		Must("AS-KEYS-JWT-SIGNATURE", signsVerifiably)
		Must("AS-KEYS-NO-WEAK-HMAC", signsWithNoGuessableSecret)
		Must("AS-KEYS-ID-TOKEN", issuesRightIDToken)
	})
}

// mostKeys bounds how many keys of a set are judged.
const mostKeys = 30

// keySet is the answer of jwks_uri.
type keySet struct{ *survey.Document }

// Evidence is the exchange with the set.
func (s keySet) Evidence() *reports.Exchange { return s.Exchange }

// keys are the keys of a set, by their place and name.
func (s keySet) keys() Cases[jwk] {
	var out Cases[jwk]
	for i, k := range expect.Keys(s.Object) {
		if i == mostKeys {
			break
		}
		name := fmt.Sprintf("key %d", i+1)
		if kid := k.String("kid"); kid != "" {
			name += ", kid " + reports.OneLine(kid, 60)
		}
		out = out.And(name, jwk{k, s.Exchange})
	}
	return out
}

// jwk is one key of a set.
type jwk struct {
	*document.Object
	from *reports.Exchange
}

// Evidence is the exchange with the key.
func (k jwk) Evidence() *reports.Exchange { return k.from }

// eachKeySet judges every key set that a jwks_uri names.
func eachKeySet(t *T, judge func(t *T, set keySet)) {
	sets := Cases[keySet]{}
	for _, s := range t.AS.Servers() {
		if s.JWKS.URL != "" {
			sets = sets.And(s.JWKS.URL, keySet{&s.JWKS})
		}
	}
	Each(t, sets, func(t *T, set keySet) {
		if set.Exchange == nil {
			t.Inconclusive("jwks_uri is not a URL that could be asked (AS-META-ENDPOINTS-HTTPS): %v", set.Err)
		}
		if t.Cite(set.Exchange); set.Exchange.Response == nil {
			t.Inconclusive("it cannot be reached from here: %s", set.Exchange.Error)
		}
		judge(t, set)
	})
}

// eachKey judges every key of every set.
func eachKey(t *T, judge func(t *T, k jwk)) {
	eachKeySet(t, func(t *T, set keySet) {
		if !set.Found() {
			t.NotApplicable("no key set is served there (AS-KEYS-JWKS-SHAPE)")
		}
		if n := len(expect.Keys(set.Object)); n > mostKeys {
			t.Note("of %d keys, the first %d are looked at", n, mostKeys)
		}
		Each(t, set.keys(), judge)
	})
}

// ofKey is a matcher of one key.
func ofKey(expected string, problem func(k jwk) string) expect.Matcher {
	return expect.That(expected, problem)
}

// ofSet is a matcher of a key set.
func ofSet(expected string, problem func(s keySet) string) expect.Matcher {
	return expect.That(expected, problem)
}

// placesOfKeys are common paths of key sets that no metadata names.
var placesOfKeys = []string{"/.well-known/jwks.json", "/jwks", "/jwks.json", "/keys", "/certs", "/oauth/jwks"}

func publishesNoPrivateKey(t *T) {
	public := func(t *T, ex *reports.Exchange) {
		for _, value := range expect.PrivateKeyValues(ex) {
			t.Hide(value)
		}
		t.Expect(ex).To(holdPublicKeysOnly())
	}
	eachKeySet(t, func(t *T, set keySet) { public(t, set.Exchange) })
	t.AS.Each(func(s *survey.Server, m *survey.Document) {
		public(t, m.Exchange)
		for _, path := range placesOfKeys {
			if ex := t.Get(strings.TrimSuffix(s.Issuer, "/") + path); expect.Status(ex) == 200 {
				public(t, ex)
			}
		}
	})
}

var holdPublicKeysOnly = expect.Family("holdPublicKeysOnly", func() expect.Matcher {
	return expect.That("public keys only", func(ex *reports.Exchange) string {
		if names := expect.PrivateKeyMembers(ex); len(names) > 0 {
			return fmt.Sprintf("%s holds the private member %q", ex.Request.URL, names[0])
		}
		if strings.Contains(expect.Body(ex), "PRIVATE KEY-----") {
			return ex.Request.URL + " holds a private key in PEM"
		}
		return ""
	})
})

// algorithms are the members of the metadata that list signature algorithms, with those that they must not list.
var algorithms = Cases[unsafe]{
	{"token_endpoint_auth_signing_alg_values_supported", unsafe{must: []string{"none"}}},         // RFC 8414 section 2
	{"revocation_endpoint_auth_signing_alg_values_supported", unsafe{must: []string{"none"}}},    // RFC 8414 section 2
	{"introspection_endpoint_auth_signing_alg_values_supported", unsafe{must: []string{"none"}}}, // RFC 8414 section 2
	{"dpop_signing_alg_values_supported", unsafe{must: []string{"none", "HS"}}},                  // RFC 9449 section 4.2
	{"authorization_signing_alg_values_supported", unsafe{must: []string{"none"}}},               // JARM section 4
	{"id_token_signing_alg_values_supported", unsafe{should: []string{"none"}}},                  // OpenID Connect Discovery section 3
}

// unsafe are algorithms, or beginnings of their names, that a list must not or should not have.
type unsafe struct{ must, should []string }

func listsSafeAlgorithms(t *T) {
	listed := false
	t.AS.Each(func(s *survey.Server, m *survey.Document) {
		metadata := s.Merged()
		for _, row := range algorithms {
			list, _ := metadata.Strings(row.Name)
			listed = listed || len(list) > 0
			seen := t.Expect(list, "%s", row.Name).SeenIn(m.Exchange)
			seen.To(lackAlgorithms(row.Value.must))
			seen.Ideally(lackAlgorithms(row.Value.should))
		}
	})
	if !listed {
		t.NotApplicable("no algorithms are listed")
	}
}

var lackAlgorithms = expect.Family("lackAlgorithms", func(unsafe []string) expect.Matcher {
	return expect.That("no algorithm "+strings.Join(unsafe, " or "), func(list []string) string {
		for _, alg := range list {
			for _, beginning := range unsafe {
				if strings.HasPrefix(alg, beginning) {
					return fmt.Sprintf("%q is listed", alg)
				}
			}
		}
		return ""
	})
})
