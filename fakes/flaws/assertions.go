package flaws

import (
	"slices"
	"strings"
	"time"

	"github.com/mcpauth/conformance/fakes/dpop"
	"github.com/mcpauth/conformance/fakes/idp"
	"github.com/mcpauth/conformance/fakes/reference"
)

// believed returns the flaw of a server that accepts some assertions by their header and claims alone.
func believed(name, row string, noticed []string, is func(header, claims map[string]any) bool) Flaw {
	return Flaw{
		Name: "assertion-believed-" + name, Says: "An assertion is accepted, whatever else is wrong with it: " + row + ".",
		Bend: behaviour(func(b *idp.Behaviour) { b.Believes = is }), Noticed: noticed, Row: row,
		Also: []string{"AS-CIMD-KEY-AUTH-ENFORCED", "AS-CC-ASSERTION-REJECTED", "AS-TOKEN-WRONG-SECRET", "AS-EMA-*"},
	}
}

var (
	byBoth     = []string{"AS-CC-ASSERTION-REJECTED", "AS-EMA-SIGNATURE-REJECTED"}
	byClient   = []string{"AS-CC-ASSERTION-REJECTED"}
	byDocument = []string{"AS-CC-ASSERTION-REJECTED", "AS-CIMD-KEY-AUTH-ENFORCED"}
	byIdentity = []string{"AS-EMA-CLAIMS-REJECTED"}
)

// macs are servers at which clients authenticate by client_secret_jwt.
var macs = []Flaw{
	macFlaw("unverified", "The MAC of an assertion is not compared.", "HS256 with another secret", lacks(idp.VerifyAssertions)),
	macFlaw("claims-ignored", "The claims of an assertion with a MAC are not compared.", "iss of another", lacks(idp.AssertionClaims)),
	macFlaw("twice", "An assertion with a MAC works again.", "an assertion for the second time", lacks(idp.AssertionOnce)),
	macBelieved("unsigned", "alg none", header("alg", "none")),
	macBelieved("keyed", "ES256 by a key in the header", hasHeader("jwk")),
	macBelieved("for-another", "aud of another", claim("aud", "https://other.example")),
	macBelieved("expired", "expired", past("exp")),
}

// macFlaw is a flaw of a server at which clients authenticate by client_secret_jwt.
func macFlaw(name, says, row string, bend func(o *reference.Options)) Flaw {
	return Flaw{Name: "mac-" + name, Says: says, Row: row, Noticed: []string{"AS-TOKEN-WRONG-SECRET"},
		Also: []string{"AS-CC-ASSERTION-*", "AS-CIMD-KEY-AUTH-ENFORCED", "AS-CIMD-NO-SHARED-SECRET", "AS-EMA-*"},
		Bend: func(o *reference.Options) {
			o.Behaviour.SecretAssertions = true
			bend(o)
		}}
}

func macBelieved(name, row string, is func(header, claims map[string]any) bool) Flaw {
	return macFlaw(name, "An assertion with a MAC is accepted, whatever else is wrong with it: "+row+".", row,
		behaviour(func(b *idp.Behaviour) { b.Believes = is }))
}

// rowsOfAssertions has one flaw for each way to forge an assertion, and for each claim.
var rowsOfAssertions = slices.Concat(
	slices.Concat(embedded("RS256"), embedded("ES256"), embedded("EdDSA")),
	[]Flaw{
		believed("none", "alg none", append(byBoth, "AS-CIMD-KEY-AUTH-ENFORCED"), header("alg", "none")),
		believed("none-by-case", "alg None", byBoth, header("alg", "None")),
		believed("mac", "HS256 with an empty secret", byBoth, header("alg", "HS256")),
		believed("public-key-as-secret", "HS256 with the public key", byClient, header("alg", "HS256")),
		believed("by-jku", "another key, by jku", byBoth, hasHeader("jku")),
		believed("by-x5u", "another key, by x5u", byBoth, hasHeader("x5u")),
		believed("by-path", "another key, kid with a path", byBoth, func(h, _ map[string]any) bool {
			kid, _ := h["kid"].(string)
			return strings.Contains(kid, "..")
		}),
	},
	[]Flaw{
		believed("of-another-issuer", "iss of another", byDocument, claim("iss", "mcpauth-another")),
		believed("of-another-subject", "sub of another", byDocument, claim("sub", "mcpauth-another")),
		believed("for-another", "aud of another", byDocument, claim("aud", "https://other.example")),
		believed("for-nobody", "no aud", byClient, noClaim("aud")),
		believed("expired", "expired", byDocument, past("exp")),
		believed("for-ever", "no exp", byClient, noClaim("exp")),
		believed("not-yet", "not valid yet", byClient, ahead("nbf")),
		believed("for-a-look-alike", "aud is the issuer, ", byClient, lookAlike("aud")),
		believed("for-another-in-a-list", "aud is a list with another", byDocument, inList("aud")),
		believed("for-more-after-a-semicolon", ";x after it", byDocument, ends("aud", ";x")),
		believed("for-more-after-a-fragment", "#x after it", byDocument, ends("aud", "#x")),
	},
	[]Flaw{
		believed("identity-typ", "typ JWT", byIdentity, header("typ", "JWT")),
		believed("identity-no-typ", "no typ", byIdentity, func(h, _ map[string]any) bool { return h["typ"] == nil }),
		believed("identity-for-another", "for another authorization server", byIdentity, claim("aud", "https://attacker.example")),
		believed("identity-for-resource", "for the resource", byIdentity, func(_, c map[string]any) bool {
			aud, _ := c["aud"].(string)
			return strings.HasSuffix(aud, "/mcp")
		}),
		believed("identity-for-nobody", "no aud", byIdentity, noClaim("aud")),
		believed("identity-of-another-client", "of another client", byIdentity, claim("client_id", "mcpauth-another")),
		believed("identity-of-no-client", "of no client", byIdentity, noClaim("client_id")),
		believed("identity-expired", "expired", byIdentity, past("exp")),
		believed("identity-for-ever", "no exp", byIdentity, noClaim("exp")),
		believed("identity-of-nobody", "no sub", byIdentity, noClaim("sub")),
		believed("identity-of-tomorrow", "of tomorrow", byIdentity, ahead("nbf")),
		forAnyResource(believed("identity-without-resource", "without a resource", byIdentity, noClaim("resource"))),
		believed("identity-without-id", "without jti", byIdentity, noClaim("jti")),
		believed("identity-for-another-in-a-list", "aud is a list with another", byIdentity, inList("aud")),
		believed("identity-for-more-after-a-semicolon", ";x after it", byIdentity, ends("aud", ";x")),
		believed("identity-for-more-after-a-fragment", "#x after it", byIdentity, ends("aud", "#x")),
		believed("identity-for-a-look-alike", "aud is the issuer, ", byIdentity, lookAlike("aud")),
		believed("identity-of-a-look-alike", "a look-alike of the issuer", []string{"AS-EMA-SIGNATURE-REJECTED"}, func(_, c map[string]any) bool {
			iss, _ := c["iss"].(string)
			return strings.HasPrefix(iss, "https://idp.enterprise.example.")
		}),
		believed("identity-of-no-issuer", "no iss", []string{"AS-EMA-SIGNATURE-REJECTED"}, noClaim("iss")),
	},
	[]Flaw{
		proofOf("two", dpop.One, "two proofs"), proofOf("typ", dpop.Type, "typ JWT"), proofOf("private", dpop.Private, "a private part"),
		proofOf("method", dpop.Method, "htm GET"), proofOf("url", dpop.URL, "htu of another"),
		proofOf("id", dpop.ID, "a second code with the same proof"),
		one("par-by-anybody", idp.PushedByOwner, "AS-PAR-BASIC"),
	},
)

// forAnyResource changes a flaw so that the server issues a token for any resource that an assertion names.
func forAnyResource(f Flaw) Flaw {
	bend := f.Bend
	f.Bend = func(o *reference.Options) {
		bend(o)
		o.Behaviour.Lacks = append(o.Behaviour.Lacks, idp.AssertionResource)
	}
	return f
}

// embedded returns the flaws of a server that trusts the key in the header of an assertion.
func embedded(alg string) []Flaw {
	with := func(member string) func(h, c map[string]any) bool {
		return func(h, _ map[string]any) bool { return h["alg"] == alg && h[member] != nil }
	}
	return []Flaw{
		believed("jwk-"+alg, "another key, as jwk, "+alg, byBoth, with("jwk")),
		believed("x5c-"+alg, "another key, as x5c, "+alg, byBoth, with("x5c")),
	}
}

func header(name, value string) func(h, c map[string]any) bool {
	return func(h, _ map[string]any) bool { return h[name] == value }
}

func hasHeader(name string) func(h, c map[string]any) bool {
	return func(h, _ map[string]any) bool { return h[name] != nil }
}

func claim(name, value string) func(h, c map[string]any) bool {
	return func(_, c map[string]any) bool { return c[name] == value }
}

func noClaim(name string) func(h, c map[string]any) bool {
	return func(_, c map[string]any) bool { return c[name] == nil }
}

// inList matches assertions with a list as a claim, and ends those with a claim that ends so.
func inList(name string) func(h, c map[string]any) bool {
	return func(_, c map[string]any) bool { _, is := c[name].([]any); return is }
}

func ends(name, end string) func(h, c map[string]any) bool {
	return func(_, c map[string]any) bool { v, _ := c[name].(string); return strings.HasSuffix(v, end) }
}

func past(name string) func(h, c map[string]any) bool {
	return func(_, c map[string]any) bool {
		at, is := c[name].(float64)
		return is && at < float64(time.Now().Unix())
	}
}

func ahead(name string) func(h, c map[string]any) bool {
	return func(_, c map[string]any) bool {
		at, is := c[name].(float64)
		return is && at > float64(time.Now().Unix()+600)
	}
}

// lookAlike matches assertions with a claim that is a URL with a host that begins or ends like a loopback host.
func lookAlike(name string) func(h, c map[string]any) bool {
	return func(_, c map[string]any) bool {
		v, _ := c[name].(string)
		return strings.HasPrefix(v, "http") && strings.Contains(v, "127.0.0.1") && !strings.HasPrefix(v, "http://127.0.0.1:") ||
			strings.HasPrefix(v, "http://127.0.0.1.")
	}
}

func proofOf(name string, part dpop.Part, row string) Flaw {
	return Flaw{
		Name: "dpop-proof-" + name, Says: "At the token endpoint, of a DPoP proof, " + string(part) + " is not looked at.",
		Bend: behaviour(func(b *idp.Behaviour) { b.DPoPLacks = part }), Noticed: []string{"AS-DPOP-BINDING"}, Row: row,
	}
}
