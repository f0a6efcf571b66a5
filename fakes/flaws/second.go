package flaws

import (
	"net/http"
	"strings"

	"github.com/mcpauth/conformance/fakes/mcpserver"
)

// secondIssuer are servers that trust two issuers, and check less of the second one's tokens.
var secondIssuer = []Flaw{
	ofSecond("expiry", "expired an hour ago", "RS-TOKEN-EXPIRED", mcpserver.Expiry),
	ofSecond("nbf", "valid from in an hour", "RS-TOKEN-NBF", mcpserver.NotBefore),
	ofSecond("audience", "another server", "RS-AUD-WRONG", mcpserver.Audience),
	{
		Name: "second-issuer-unsigned", Says: "An unsigned token is accepted if it names the second issuer.",
		Row: "alg none, of the second issuer",
		Bend: policy(func(p *mcpserver.Policy) {
			p.Overlooks = func(_ *http.Request, part string, claims map[string]any) bool {
				head, _ := claims["header"].(map[string]any)
				return part == mcpserver.Signature && isSecond(claims) && head["alg"] == "none"
			}
		}),
		Noticed: []string{"RS-TOKEN-ALG-NONE"},
	},
	secondNamed("longer", "with a suffix", func(issuer, second string) bool { return strings.HasPrefix(issuer, second+".") }),
	secondNamed("path", "with a path", func(issuer, second string) bool { return strings.HasPrefix(issuer, second+"/") }),
	secondNamed("upper-case", "in upper case", strings.EqualFold),
}

// isSecond reports whether a token names the second issuer of the reference.
func isSecond(claims map[string]any) bool { return claims["iss"] == "https://second.example" }

func ofSecond(name, row, check, part string) Flaw {
	return Flaw{
		Name: "second-issuer-" + name, Says: "The " + part + " of a token does not matter if the second issuer signed it.",
		Bend: policy(func(p *mcpserver.Policy) {
			p.Overlooks = func(_ *http.Request, of string, claims map[string]any) bool { return of == part && isSecond(claims) }
		}),
		Noticed: []string{check}, Row: row + ", of the second issuer", Also: []string{"RS-TOKEN-NBF", "RS-AUD-MISSING"},
	}
}

func secondNamed(name, row string, takes func(issuer, second string) bool) Flaw {
	return Flaw{
		Name: "second-issuer-named-" + name, Says: "The second issuer is compared loosely: " + row + ".",
		Bend:    policy(func(p *mcpserver.Policy) { p.TakesSecond = takes }),
		Noticed: []string{"RS-TOKEN-WRONG-ISS"}, Row: "the second issuer " + row,
	}
}
