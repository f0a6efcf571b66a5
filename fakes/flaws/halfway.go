package flaws

import (
	"crypto"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"hash"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/mcpauth/conformance/fakes/answer"
	"github.com/mcpauth/conformance/fakes/mcpserver"
	"github.com/mcpauth/conformance/fakes/reference"
)

// halfway are servers that verify tokens, but by a key, an audience or a place that others choose.
var halfway = []Flaw{
	{
		Name: "weak-secret-long-mac", Says: "HS512 with a tutorial's secret is accepted.", Row: "HS512 with well-known secret number 4",
		Noticed: []string{"RS-TOKEN-WEAK-SECRET"},
		Bend: verifiedBy(func(_ *http.Request, header map[string]any, input string, mac []byte) bool {
			return header["alg"] == "HS512" && hmac.Equal(mac, macOf(sha512.New, input, []byte("secret")))
		}),
	},
	{
		Name: "certificate-as-secret", Says: "The issuer's certificate is accepted as HMAC secret.",
		Row:     `HS256 with key "rsa-1" as the secret: PEM of the certificate`,
		Noticed: []string{"RS-TOKEN-KEY-CONFUSION"},
		Bend: func(o *reference.Options) {
			o.Behaviour.Certificates = true
			verifiedBy(func(r *http.Request, header map[string]any, input string, mac []byte) bool {
				return header["alg"] == "HS256" && hmac.Equal(mac, macOf(sha256.New, input, publishedCertificate(r)))
			})(o)
		},
	},
	{
		Name: "certificate-of-x5u", Says: "The certificate at x5u is trusted.", Row: "RS256, x5u",
		Noticed: []string{"RS-TOKEN-JKU-X5U"},
		Bend: verifiedBy(func(_ *http.Request, header map[string]any, input string, signature []byte) bool {
			address, _ := header["x5u"].(string)
			sum := sha256.Sum256([]byte(input))
			key := certifiedAt(address)
			return key != nil && rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature) == nil
		}),
	},
	{
		Name: "token-known-by-jti", Says: "A token is found by its jti; the signature is not verified.",
		Row:     "sub changed under the old signature",
		Noticed: []string{"RS-TOKEN-SIG-TAMPERED"}, Also: []string{"RS-CHALLENGE-MALFORMED-400", "RS-EXT-*", "RS-TOKEN-*"},
		Bend: func(o *reference.Options) {
			var issued sync.Map
			o.Behaviour.AccessToken = func(_, claims map[string]any) {
				if id, ok := claims["jti"]; ok {
					issued.Store(id, true)
				}
			}
			o.Policy.Overlooks = func(_ *http.Request, of string, claims map[string]any) bool {
				id, _ := claims["jti"].(string)
				_, known := issued.Load(id)
				return of == mcpserver.Signature && known
			}
		},
	},
	{
		Name: "audience-or-else", Says: "Where aud is absent, other claims may name the audience.", Row: "no aud, the server in resource",
		Rows: []string{"no aud, the server in azp", "no aud, the server in client_id", "no aud, the server in audience",
			"no aud, the server in aud2", "no aud, the server in authorization_details"},
		Noticed: []string{"RS-AUD-OTHER-CLAIM"},
		Bend: policy(func(p *mcpserver.Policy) {
			p.Overlooks = func(r *http.Request, of string, claims map[string]any) bool {
				text, _ := json.Marshal(claims)
				return of == mcpserver.Audience && claims["aud"] == nil && strings.Contains(string(text), `://`+r.Host+`/mcp"`)
			}
		}),
	},
	{
		Name: "audience-follows-host-alone", Says: "The audience is the origin that the request names.",
		Row:     `an https audience that ends in "", X-Forwarded-Host`,
		Noticed: []string{"RS-AUD-HOST-DERIVED"}, Also: []string{"RS-AUD-*", "AS-RES-*", "AS-TOKEN-*", "AS-REFRESH-*"},
		Bend: func(o *reference.Options) {
			o.Policy.Audience = "https://" + Public
			o.Behaviour.AccessToken = func(_, claims map[string]any) { claims["aud"] = "https://" + Public }
			o.Policy.Overlooks = func(r *http.Request, of string, claims map[string]any) bool {
				return of == mcpserver.Audience && claims["aud"] == "https://"+r.Header.Get("X-Forwarded-Host")
			}
		},
	},
	tokenMoved("beside-params", "RS-TOKEN-BODY-IGNORED", "the token in auth, beside params", func(r *http.Request) string {
		var m struct {
			Auth struct {
				Token string `json:"access_token"`
			}
			Token string `json:"access_token"`
		}
		_ = json.Unmarshal(answer.Peek(r), &m) // nothing in another message
		return m.Auth.Token + m.Token
	}),
	tokenMoved("in-quoted-cookie", "RS-TOKEN-COOKIE-IGNORED", "the token in the cookie access_token, after Bearer",
		func(r *http.Request) string {
			_, token, _ := strings.Cut(r.Header.Get("Cookie"), `access_token="Bearer `)
			return strings.TrimSuffix(token, `"`)
		}),
	{
		Name: "old-stream-by-query", Says: "The stream of the old transport opens for a token in the query.",
		Row:     "GET /sse with ?access_token=, without Authorization",
		Noticed: []string{"RS-TOKEN-QUERY-IGNORED"},
		Bend: func(o *reference.Options) {
			o.Wrap = before(func(_ http.ResponseWriter, r *http.Request) bool {
				if token := r.URL.Query().Get("access_token"); token != "" && strings.HasSuffix(r.URL.Path, "/sse") {
					r.Header.Set("Authorization", "Bearer "+token)
				}
				return false
			})
		},
	},
}

// verifiedBy returns the bend of a server that also accepts signatures by a test of its own.
func verifiedBy(good func(r *http.Request, header map[string]any, input string, signature []byte) bool) func(o *reference.Options) {
	return policy(func(p *mcpserver.Policy) {
		p.Overlooks = func(r *http.Request, of string, claims map[string]any) bool {
			header, _ := claims["header"].(map[string]any)
			_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
			dot := strings.LastIndexByte(token, '.')
			if of != mcpserver.Signature || dot < 0 {
				return false
			}
			signature, err := base64.RawURLEncoding.DecodeString(token[dot+1:])
			return err == nil && good(r, header, token[:dot], signature)
		}
	})
}

func macOf(of func() hash.Hash, input string, secret []byte) []byte {
	m := hmac.New(of, secret)
	m.Write([]byte(input))
	return m.Sum(nil)
}

// publishedCertificate returns the certificate of the first key that the issuer publishes, in PEM.
func publishedCertificate(r *http.Request) []byte {
	var set struct {
		Keys []struct{ X5c []string }
	}
	if json.Unmarshal(fetched("http://"+r.Host+"/jwks"), &set) != nil || len(set.Keys) == 0 || len(set.Keys[0].X5c) == 0 {
		return nil
	}
	der, _ := base64.StdEncoding.DecodeString(set.Keys[0].X5c[0]) // no certificate, no secret
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// certifiedAt returns the RSA key of a certificate in PEM at an address of this machine; nil if there is none.
func certifiedAt(address string) *rsa.PublicKey {
	block, _ := pem.Decode(fetched(address))
	if block == nil {
		return nil
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil
	}
	key, _ := c.PublicKey.(*rsa.PublicKey)
	return key
}

// fetched returns what is at an address of this machine.
func fetched(address string) []byte {
	if !strings.HasPrefix(address, "http://127.0.0.1:") {
		return nil
	}
	resp, err := http.Get(address)
	if err != nil {
		return nil
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20)) // what cannot be read counts as none
	return body
}

// tokenMoved returns the flaw of a server that accepts a token from one more place.
func tokenMoved(name, check, row string, token func(r *http.Request) string) Flaw {
	return Flaw{
		Name: "token-" + name, Says: "A token counts in a place that is not for tokens: " + row + ".", Noticed: []string{check}, Row: row,
		Bend: func(o *reference.Options) {
			o.Wrap = before(func(_ http.ResponseWriter, r *http.Request) bool {
				if t := token(r); t != "" {
					r.Header.Set("Authorization", "Bearer "+t)
				}
				return false
			})
		},
	}
}
