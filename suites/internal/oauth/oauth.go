// Package oauth builds requests to an authorization server and parses the answers. It sends exactly what the caller says, and judges
// nothing.
package oauth

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/mcpauth/conformance/fixtures/seeded"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/mint"
	"github.com/mcpauth/conformance/suites/internal/wire"
)

// Server has the endpoints of an authorization server; missing ones are empty.
type Server struct {
	Issuer        string
	Authorization string
	Token         string
	Registration  string
	Revocation    string
	Introspection string
	Userinfo      string
	Metadata      *document.Object
	// Withheld are the endpoints that are not trusted, by their metadata member.
	Withheld map[string]string

	documents []*document.Object
	trusted   func(endpoint string) bool
}

// FromMetadata reads the endpoints from the metadata documents of one issuer; the first document with an endpoint counts. Endpoints that
// are not trusted are withheld: they get no requests.
func FromMetadata(issuer string, trusted func(endpoint string) bool, documents ...*document.Object) Server {
	s := Server{Issuer: issuer, Metadata: documents[0], Withheld: map[string]string{}, documents: documents, trusted: trusted}
	s.Authorization, s.Token, s.Registration = s.Endpoint("authorization_endpoint"), s.Endpoint("token_endpoint"),
		s.Endpoint("registration_endpoint")
	s.Revocation, s.Introspection, s.Userinfo = s.Endpoint("revocation_endpoint"), s.Endpoint("introspection_endpoint"),
		s.Endpoint("userinfo_endpoint")
	for _, name := range Endpoints {
		s.Endpoint(name)
	}
	return s
}

// Named returns the issuer that the metadata names; if it names none, which AS-META-REQUIRED-FIELDS judges, the one it was found for.
func (s *Server) Named() string { return cmp.Or(s.Metadata.String("issuer"), s.Issuer) }

// Endpoints are the metadata members for endpoints that get secrets, tokens or users.
var Endpoints = []string{
	"authorization_endpoint", "token_endpoint", "registration_endpoint", "revocation_endpoint", "introspection_endpoint", "userinfo_endpoint",
	"pushed_authorization_request_endpoint", "device_authorization_endpoint", "end_session_endpoint",
}

// Endpoint returns the address in a metadata member; empty if it is missing or withheld.
func (s *Server) Endpoint(name string) string {
	for _, d := range s.documents {
		v := d.String(name)
		switch {
		case v == "":
			continue
		case s.trusted(v):
			return v
		case s.Withheld[name] == "": // written once, before checks run
			s.Withheld[name] = v
		}
		return ""
	}
	return ""
}

// Trusts reports whether an endpoint may get secrets and tokens.
func (s *Server) Trusts(endpoint string) bool { return s.trusted != nil && s.trusted(endpoint) }

// PushesOnly reports whether the server announces that it accepts only pushed authorization requests (RFC 9126 section 5).
func (s *Server) PushesOnly() bool {
	required, _ := s.Metadata.Bool("require_pushed_authorization_requests")
	return required
}

// WhyWithheld says how to use the endpoints of a server that have another origin than its issuer, and which ones are not URLs; empty if
// there is none.
func (s *Server) WhyWithheld(names ...string) string {
	var elsewhere, flags, why []string
	for _, name := range names {
		v := s.Withheld[name]
		if v == "" {
			continue
		}
		if _, err := document.ParseURL(v); err != nil {
			why = append(why, fmt.Sprintf("the %s of %s is not a URL to open in a browser or to send a request to: %q", name, s.Issuer, v))
			continue
		}
		elsewhere, flags = append(elsewhere, name), append(flags, "--trust-endpoint "+v)
	}
	if elsewhere != nil {
		why = append(why, fmt.Sprintf("the %s of %s is on another origin than the issuer, so no secret and no token goes there; if it is "+
			"right, add %s",
			strings.Join(elsewhere, ", "), s.Issuer, strings.Join(flags, " ")))
	}
	return strings.Join(why, "; ")
}

// The authentication methods of clients at the token endpoint.
const (
	None  = "none"
	Basic = "client_secret_basic"
	Post  = "client_secret_post"
	// PrivateKey is private_key_jwt (RFC 7523 section 2.2).
	PrivateKey = "private_key_jwt"
	// SecretJWT is client_secret_jwt: the assertion has a MAC by the secret (OpenID Connect Core section 9).
	SecretJWT = "client_secret_jwt"
)

// Client is a client that the authorization server knows.
type Client struct {
	ID, Secret, Method string
	RedirectURI        string // the first registered one
	RedirectURIs       []string
	// Key signs the assertions of a client that uses private_key_jwt; Audience is that of its assertions, and of those of client_secret_jwt.
	Key      *mint.Key
	Audience string
	// Machine says that the client acts for itself: it may use the client_credentials grant.
	Machine bool
	// Introspects says that this is the resource server's client, which may introspect the tokens of all clients.
	Introspects bool
	// Scopes are those that it may have when it acts for itself; nil if they are unknown.
	Scopes []string
	// Registered is the client information response; nil for a client that the user supplied.
	Registered *document.Object
	Exchange   *reports.Exchange
}

// Public reports whether the client has no secret.
func (c *Client) Public() bool { return c.Method == None }

// SignsIn reports whether users can sign in with the client.
func (c *Client) SignsIn() bool { return !c.Machine && (c.RedirectURI != "" || !c.Introspects) }

// Authenticate adds the client's authentication to a token request, by its own method.
func (c *Client) Authenticate(f *Form) []reports.Field {
	switch c.Method {
	case Basic:
		return []reports.Field{BasicAuth(c.ID, c.Secret)}
	case Post:
		f.Set("client_id", c.ID)
		f.Set("client_secret", c.Secret)
	case PrivateKey, SecretJWT:
		f.Set("client_id", c.ID)
		f.Set("client_assertion_type", AssertionType)
		f.Set("client_assertion", c.Sign(c.Assertion()))
	default:
		f.Set("client_id", c.ID)
	}
	return nil
}

// Sign makes an assertion with these claims: with a MAC by the secret for client_secret_jwt, or else signed by the key of the client.
func (c *Client) Sign(claims mint.Claims) string {
	if c.Method == SecretJWT {
		return mint.HS256(mint.Header{"alg": "HS256", "typ": "JWT"}, claims, []byte(c.Secret))
	}
	return c.Key.JWT(nil, claims)
}

// AssertionType is the client_assertion_type of a JWT (RFC 7523 section 2.2).
const AssertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// Assertion returns the claims of an ordinary client assertion (RFC 7523 section 3).
func (c *Client) Assertion() mint.Claims {
	now := time.Now().Unix()
	return mint.Claims{"iss": c.ID, "sub": c.ID, "aud": c.Audience, "iat": now, "exp": now + 60, "jti": NewPKCE(22).Verifier}
}

// BasicAuth returns the Authorization field of client_secret_basic (RFC 6749 section 2.3.1: both parts are form-encoded first).
func BasicAuth(id, secret string) reports.Field {
	v := url.QueryEscape(id) + ":" + url.QueryEscape(secret)
	return reports.Field{Name: "Authorization", Value: "Basic " + base64.StdEncoding.EncodeToString([]byte(v))}
}

// Form is an ordered list of parameters, which may repeat.
type Form []Parameter

// Parameter is one name and its value.
type Parameter struct{ Name, Value string }

// Get returns the first value of a parameter.
func (f Form) Get(name string) string {
	for _, p := range f {
		if p.Name == name {
			return p.Value
		}
	}
	return ""
}

// Set replaces all values of a parameter with one.
func (f *Form) Set(name, value string) {
	for i, p := range *f {
		if p.Name == name {
			(*f)[i].Value = value
			rest := slices.DeleteFunc(slices.Clone((*f)[i+1:]), func(p Parameter) bool { return p.Name == name })
			*f = append((*f)[:i+1:i+1], rest...)
			return
		}
	}
	*f = append(*f, Parameter{name, value})
}

// Add appends a value, even if the parameter has one.
func (f *Form) Add(name, value string) { *f = append(*f, Parameter{name, value}) }

// Del removes a parameter.
func (f *Form) Del(name string) {
	*f = slices.DeleteFunc(*f, func(p Parameter) bool { return p.Name == name })
}

// Encode writes the parameters as application/x-www-form-urlencoded, in order.
func (f Form) Encode() string {
	var parts []string
	for _, p := range f {
		parts = append(parts, url.QueryEscape(p.Name)+"="+url.QueryEscape(p.Value))
	}
	return strings.Join(parts, "&")
}

// Request returns the POST of a form.
func Request(endpoint string, f Form, fields ...reports.Field) wire.Request {
	header := []reports.Field{{Name: "Content-Type", Value: "application/x-www-form-urlencoded"}, {Name: "Accept", Value: "application/json"}}
	return wire.Request{Method: "POST", URL: endpoint, Body: f.Encode(), Header: append(header, fields...)}
}

// AtQuery appends parameters to the query of a URL.
func AtQuery(endpoint string, f Form) string {
	mark := "?"
	if strings.Contains(endpoint, "?") {
		mark = "&"
	}
	return endpoint + mark + f.Encode()
}

// PKCE is a code verifier with its challenge (RFC 7636).
type PKCE struct{ Verifier, Challenge string }

// NewPKCE makes a pair with a verifier of the given length.
func NewPKCE(length int) PKCE {
	return PairOf(seeded.Suites.Text(length)[:length])
}

// PairOf returns a verifier with its challenge.
func PairOf(verifier string) PKCE {
	sum := sha256.Sum256([]byte(verifier))
	return PKCE{verifier, base64.RawURLEncoding.EncodeToString(sum[:])}
}

// Tokens is a token response.
type Tokens struct {
	Access, Refresh, ID string
	Scope               []string
	HasScope            bool
	Client              *Client
	Body                *document.Object
	Exchange            *reports.Exchange
}

// longestToken is the maximum length of a token that is used, in bytes: servers accept no longer header field.
const longestToken = 64 << 10

// TooLong says why a token is not used; empty if it is.
func (t *Tokens) TooLong() string {
	if len(t.Access) <= longestToken {
		return ""
	}
	return fmt.Sprintf("the access token has %d bytes; nothing is tried with tokens of more than %d, which fit into no header field",
		len(t.Access), longestToken)
}

// ReadTokens parses a token response; nil without an access token.
func ReadTokens(ex *reports.Exchange) *Tokens {
	o := Object(ex)
	access := o.String("access_token")
	if access == "" {
		return nil
	}
	t := &Tokens{Access: access, Refresh: o.String("refresh_token"), ID: o.String("id_token"), Body: o, Exchange: ex}
	var scope any
	scope, t.HasScope = o.Get("scope")
	if s, ok := scope.(string); ok {
		t.Scope = strings.Fields(s)
	}
	return t
}

// Object returns the JSON object of an answer, or nil.
func Object(ex *reports.Exchange) *document.Object {
	if ex == nil || ex.Response == nil {
		return nil
	}
	o, _, err := document.ParseObject(ex.Response.Body)
	if err != nil {
		return nil
	}
	return o
}

// ErrorCode returns the OAuth error code of an answer, or "".
func ErrorCode(ex *reports.Exchange) string { return Object(ex).String("error") }

// Claims parses the header and claims of a compact JWS without verifying it; nil if it is not one.
func Claims(token string) (header, claims *document.Object) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, nil
	}
	var out [2]*document.Object
	for i := range out {
		b, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			return nil, nil
		}
		if out[i], _, err = document.ParseObject(string(b)); err != nil {
			return nil, nil
		}
	}
	return out[0], out[1]
}

// Payload returns the unverified claims of a compact JWS as text, or "".
func Payload(token string) string {
	if header, _ := Claims(token); header == nil {
		return ""
	}
	b, _ := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1]) // Claims has decoded it
	return string(b)
}

// Seconds returns the value of expires_in.
func Seconds(o *document.Object) (float64, bool) {
	v, _ := o.Get("expires_in")
	if n, ok := v.(interface{ Float64() (float64, error) }); ok {
		f, err := n.Float64()
		return f, err == nil
	}
	f, ok := v.(float64)
	return f, ok
}

// Lifetime returns the lifetime of the access token in the response.
func Lifetime(t *Tokens) (time.Duration, bool) {
	seconds, ok := Seconds(t.Body)
	return time.Duration(seconds * float64(time.Second)), ok && seconds > 0
}
