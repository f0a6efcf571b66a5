package flaws

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/mcpauth/conformance/fakes/mcpserver"
	"github.com/mcpauth/conformance/fakes/reference"
)

// forged are servers that accept a token because of its header, or because of how it is presented.
var forged = []Flaw{
	headerBelieved("alg-list", "RS-TOKEN-ALG-NONE", `alg ["none"]`, func(h map[string]any, _ string) bool { return listed(h, "none") }),
	headerBelieved("empty-kid", "RS-TOKEN-FOREIGN-KEY", "with an empty kid", func(h map[string]any, _ string) bool { return h["kid"] == "" }),
	headerBelieved("alg-in-list", "RS-TOKEN-FORMAT-CONFUSION", "alg as a list", func(h map[string]any, _ string) bool {
		return h["alg"] != nil && !listed(h, "none") && isList(h["alg"])
	}),
	passes("nested", "RS-TOKEN-FORMAT-CONFUSION", "nested in one that the issuer signs", func(h map[string]any, rest string) bool {
		return h["cty"] == "JWT" && !strings.HasSuffix(rest, ".")
	}),
	passes("compressed-unsigned", "RS-TOKEN-FORMAT-CONFUSION", "compressed claims without a signature",
		func(h map[string]any, rest string) bool { return h["zip"] != nil && strings.HasSuffix(rest, ".") }),
	passes("compressed", "RS-TOKEN-FORMAT-CONFUSION", "compressed claims that the issuer signs",
		func(h map[string]any, rest string) bool { return h["zip"] != nil && !strings.HasSuffix(rest, ".") }),
	presentedAs("small-letters", "a random value after bearer", "bearer "),
	presentedAs("capital-letters", "a random value after BEARER", "BEARER "),
	audienceNearly("user-information", "user information before the host", func(aud, host string) bool {
		return strings.Contains(aud, "://mcpauth@"+host+"/")
	}),
	audienceNearly("encoding", "the whole URL percent-encoded", func(aud, host string) bool {
		decoded, err := url.QueryUnescape(aud)
		return err == nil && decoded != aud && strings.HasSuffix(decoded, "://"+host+"/mcp")
	}),
}

func isList(v any) bool { _, is := v.([]any); return is }

func listed(h map[string]any, alg string) bool {
	list, _ := h["alg"].([]any)
	return len(list) == 1 && list[0] == alg
}

// headerBelieved returns the flaw of a server that does not verify the signature of tokens with such a header.
func headerBelieved(name, check, row string, when func(header map[string]any, signature string) bool) Flaw {
	return Flaw{
		Name: "believes-" + name, Says: "The header of a token decides how it is verified: " + row + ".", Noticed: []string{check}, Row: row,
		Bend: policy(func(p *mcpserver.Policy) {
			p.Overlooks = func(_ *http.Request, of string, claims map[string]any) bool {
				header, _ := claims["header"].(map[string]any)
				signature, _ := claims["signature"].(string)
				return of == mcpserver.Signature && when(header, signature)
			}
		}),
		Also: []string{"RS-TOKEN-*", "RS-EXT-*"},
	}
}

// passes returns the flaw of a server that serves some tokens as another user; rest is what follows the header.
func passes(name, check, row string, when func(header map[string]any, rest string) bool) Flaw {
	return standsFor("passes-"+name, check, row, func(credential string) bool {
		_, token, _ := strings.Cut(credential, " ")
		head, rest, _ := strings.Cut(token, ".")
		b, _ := base64.RawURLEncoding.DecodeString(head)
		var h map[string]any
		return json.Unmarshal(b, &h) == nil && when(h, rest)
	})
}

// presentedAs returns the flaw of a server that accepts any value after one spelling of the scheme.
func presentedAs(name, row, scheme string) Flaw {
	return standsFor("unverified-after-"+name, "RS-TOKEN-GARBAGE", row, func(credential string) bool {
		return strings.HasPrefix(credential, scheme)
	})
}

// standsFor returns the flaw of a server that treats some bad credentials as those of another user.
func standsFor(name, check, row string, bad func(credential string) bool) Flaw {
	return Flaw{
		Name: name, Says: "A forged credential is accepted: " + row + ".", Noticed: []string{check}, Row: row,
		Bend: func(o *reference.Options) {
			o.Static = reference.Credentials()
			good := "Bearer " + o.Static[0].Value
			o.Wrap = before(func(_ http.ResponseWriter, r *http.Request) bool {
				if bad(r.Header.Get("Authorization")) {
					r.Header.Set("Authorization", good)
				}
				return false
			})
		},
		Also: []string{"RS-TOKEN-*", "RS-CHALLENGE-*"},
	}
}

// audienceNearly returns the flaw of a server that accepts another spelling of its own identifier.
func audienceNearly(name, row string, near func(aud, host string) bool) Flaw {
	return Flaw{
		Name: "audience-with-" + name, Says: "An audience is accepted that nearly equals the server's own: " + row + ".", Row: row,
		Noticed: []string{"RS-AUD-LOOKALIKE"},
		Bend: policy(func(p *mcpserver.Policy) {
			p.Overlooks = func(r *http.Request, of string, claims map[string]any) bool {
				aud, _ := claims["aud"].(string)
				return of == mcpserver.Audience && near(aud, r.Host)
			}
		}),
	}
}
