package flaws

import (
	"net/http"
	"strings"

	"github.com/mcpauth/conformance/fakes/mcpserver"
)

// nearNames are servers that read a name in a token as another one that resembles it.
var nearNames = []Flaw{
	audienceNear("parameter", "RS-AUD-LOOKALIKE", "aud: a parameter of the last segment", func(aud any, own string) bool {
		text, _ := aud.(string)
		return strings.HasPrefix(text, own+";")
	}),
	audienceNear("listed-longer", "RS-AUD-ARRAY", "a list with more at the end", amongAudiences(func(text, own string) bool {
		return strings.HasPrefix(text, own+".")
	})),
	audienceNear("listed-fragment", "RS-AUD-ARRAY", "a list with a fragment", amongAudiences(func(text, own string) bool {
		return strings.HasPrefix(text, own+"#")
	})),
	audienceNear("listed-upper-case", "RS-AUD-ARRAY", "a list with the path in upper case", amongAudiences(func(text, own string) bool {
		return strings.EqualFold(text, own)
	})),
	{
		Name: "issuer-near-fragment", Says: "The fragment of an issuer is not compared.", Row: "the issuer, but a fragment",
		Bend: policy(func(p *mcpserver.Policy) {
			p.Overlooks = func(r *http.Request, part string, claims map[string]any) bool {
				text, _ := claims["iss"].(string)
				return part == mcpserver.Issuer && strings.HasPrefix(text, "http://"+r.Host) && strings.HasSuffix(text, "#mcpauth")
			}
		}),
		Noticed: []string{"RS-TOKEN-WRONG-ISS"},
	},
	userNear("upper-case", "the name with upper and lower case swapped", strings.ToLower),
	userNear("full-width", "the name with a full-width character", halfWidth),
	userNear("cyrillic", "the name with a look-alike letter", strings.NewReplacer("\u0435", "e").Replace),
}

func audienceNear(name, check, row string, near func(aud any, own string) bool) Flaw {
	return Flaw{
		Name: "audience-near-" + name, Says: "An audience is accepted that is not the server's: " + row + ".",
		Bend: policy(func(p *mcpserver.Policy) {
			p.Overlooks = func(r *http.Request, part string, claims map[string]any) bool {
				return part == mcpserver.Audience && near(claims["aud"], "http://"+r.Host+"/mcp")
			}
		}),
		Noticed: []string{check}, Row: row,
	}
}

// amongAudiences makes a condition of a text one of the elements of a list.
func amongAudiences(near func(text, own string) bool) func(aud any, own string) bool {
	return func(aud any, own string) bool {
		list, _ := aud.([]any)
		for _, v := range list {
			if text, _ := v.(string); text != "" && near(text, own) {
				return true
			}
		}
		return false
	}
}

func userNear(name, row string, read func(subject string) string) Flaw {
	return Flaw{
		Name: "user-near-" + name, Says: "The owner of " + row + " is treated as the user of the name itself.",
		Bend:    policy(func(p *mcpserver.Policy) { p.UserOf = read }),
		Noticed: []string{"RS-SCOPE-OBJECT-OWNERSHIP", "RS-SCOPE-OTHER-PRIMITIVES", "RS-SESSION-BOUND-TO-USER"}, Row: row,
	}
}
