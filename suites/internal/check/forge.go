package check

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mint"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/survey"
)

// Genuine is what an attacker knows about the target's tokens.
type Genuine struct {
	Header mint.Header
	Claims mint.Claims
	// Guessed says that there was no real token to copy from.
	Guessed bool
}

// Genuine returns the header and claims for a forged token: those of the user's token if it is a JWT, or else values derived from the
// metadata. The signature of the user's token is never reused.
func (t Minter) Genuine() Genuine {
	if parts := strings.Split(t.MCP.Token(), "."); len(parts) == 3 {
		header, claims := mint.Header{}, mint.Claims{}
		if decode(parts[0], &header) && decode(parts[1], &claims) && header["alg"] != nil {
			claims["jti"] = Random(12)
			return Genuine{Header: header, Claims: claims}
		}
	}
	if t.Trusted() {
		return Genuine{Header: t.Header(), Claims: t.Claims(nil)}
	}
	return t.guessed()
}

// guessed returns a header and claims derived from the metadata.
func (t Minter) guessed() Genuine {
	now := time.Now().Unix()
	g := Genuine{Header: mint.Header{"alg": "RS256", "typ": "at+jwt"}, Guessed: true, Claims: mint.Claims{
		"sub": "alice", "client_id": "mcpauth", "iat": now, "exp": now + 3600, "jti": Random(12), "aud": t.Survey.Endpoint,
	}}
	if d := t.Survey.Resource(); d != nil {
		if r := d.Object.String("resource"); r != "" {
			g.Claims["aud"] = r
		}
		if scopes, _ := d.Object.Strings("scopes_supported"); len(scopes) > 0 {
			g.Claims["scope"] = strings.Join(scopes, " ")
		}
	}
	if s := t.AS.Surveyed(); s != nil {
		g.Claims["iss"] = s.Issuer
		for _, k := range expect.Keys(s.JWKS.Object) {
			if kid := k.String("kid"); kid != "" && g.Header["kid"] == nil {
				g.Header["kid"] = kid
			}
		}
	}
	return g
}

func decode(segment string, into any) bool {
	b, err := base64.RawURLEncoding.DecodeString(segment)
	return err == nil && json.Unmarshal(b, into) == nil
}

// Surveyed returns the surveyed authorization server where users sign in, or else the first that the target names, preferably one that
// mcpauth does not run; nil if it names none.
func (t AuthorizationServer) Surveyed() *survey.Server {
	servers := t.Survey.Servers
	for i := range servers {
		if t.Session != nil && servers[i].Issuer == t.Session.Server.Issuer {
			return &servers[i]
		}
	}
	if judged := t.Servers(); len(judged) > 0 {
		return judged[0]
	}
	if len(servers) == 0 {
		return nil
	}
	return &servers[0]
}

// unlistedKeys returns the public keys at the usual place of those authorization servers whose metadata names no key set.
func (t Minter) unlistedKeys() []*document.Object {
	var out []*document.Object
	for i := range t.Survey.Servers {
		a := &t.Survey.Servers[i]
		if m := a.Metadata(); m != nil && m.Object.String("jwks_uri") == "" {
			ex := t.Get(strings.TrimSuffix(a.Issuer, "/") + "/.well-known/jwks.json")
			out = append(out, expect.Keys(oauth.Object(ex))...)
		}
	}
	return out
}

// IssuerKeys returns the public keys that the target's authorization servers publish: anybody finds them also where no metadata name them.
func (t Minter) IssuerKeys() []*document.Object {
	var out []*document.Object
	for i := range t.Survey.Servers {
		out = append(out, expect.Keys(t.Survey.Servers[i].JWKS.Object)...)
	}
	if len(out) == 0 {
		return t.unlistedKeys()
	}
	return out
}
