// Package target describes a target beyond its URL: what its owner declares, which credentials the tester has, and what is
// allowed. A Target is the Go value of a target file; the file's JSON Schema is generated from it. Each
// of its parts is a section of the file.
//
// Struct tags say how a field is written in a file: yaml names it; need:"yes" makes it mandatory; secret:"yes" has it named
// ({env: NAME} or {file: PATH}), never written down; words:"a=false,b=true" writes a bool in words; enum lists the
// values that are allowed; all is the value of a list for true in the file; list:"joined" lets a file write a list of words in
// place of a text; min and max bound a number. The comment of a field is its description in the schema.
package target

import (
	"time"
)

// Target is an MCP server to test, with everything that is declared about it.
type Target struct {
	Server       `yaml:"target" need:"yes"`
	Login        `yaml:"login"`
	Registration `yaml:"client"`
	ScopeRules   `yaml:"scopes"`
	Lifetimes    `yaml:"lifetimes"`
	// Tools that may be called, and what each needs.
	Tools []Tool `yaml:"tools"`
	// Objects belong to the first user. They are read by resources, prompts and completions, not by tools.
	Objects []Object `yaml:"objects"`
	// Credentials are static tokens and API keys, which no authorization server issues.
	Credentials []Credential `yaml:"credentials"`
	// SharedSecret is the secret with which the target verifies tokens signed HS256: tier T3.
	SharedSecret SharedSecret `yaml:"shared_secret"`
	Served       `yaml:",inline"`
	Limits       `yaml:"limits"`

	// The following fields cannot be set in a file.

	// Token is a valid access token or static bearer token. With it, a refusal counts only if the same request with the token is
	// served. If no user signs in, Load sets it to the first static token that may be used for that.
	Token      string `yaml:"-"`
	Controlled `yaml:"-"`
	// File and Line are the place of the target in its file, for reports.
	File string `yaml:"-"`
	Line int    `yaml:"-"`
}

// At returns a target without declarations, with the URL of its MCP endpoint.
func At(url string) Target { return Target{Server: Server{URL: url}} }

// EveryMethod, in Server.PublicMethods, stands for all methods.
const EveryMethod = "*"

// Server is the MCP server, and what its owner declares about it.
type Server struct {
	// URL is the MCP endpoint.
	URL string `yaml:"url" need:"yes"`
	// Revisions are the MCP revisions that are judged; every one that the target speaks if absent.
	Revisions []string `yaml:"revisions" enum:"2025-03-26,2025-06-18,2025-11-25,2026-07-28"`
	// Headers are sent to the target's origin only, for servers behind a gate.
	Headers map[string]string `yaml:"headers" secret:"yes"`
	// ClientCertificate is shown to the target's origin only, for servers behind a gate that demands one.
	ClientCertificate `yaml:"client_certificate"`
	// Origins are browser origins that the server should allow.
	Origins []string `yaml:"origins"`
	// BodyLimit is the size in bytes of the largest message that the server should accept.
	BodyLimit int `yaml:"body_limit" min:"4096"`
	// OtherResource is another protected resource that accepts tokens of the same authorization server, to tell their audiences
	// apart: an MCP endpoint, or a URL that answers GET.
	OtherResource string `yaml:"other_resource"`
	// Screening are texts that the server should refuse in the arguments of tools.
	Screening []string `yaml:"screening"`
	// PublicMethods are the JSON-RPC methods that need no token on purpose, such as [initialize, tools/list]; true means all
	// methods, so that the whole server is public.
	PublicMethods []string `yaml:"public" all:"*" enum:"@methods"`
	AddressBlock  `yaml:"address_block"`
	// Without are features that the server does not have, such as [api_keys, elicitation]. Requirements about them do not apply, and
	// reports and certificates say that this was declared.
	Without []string `yaml:"without" enum:"@features"`
}

// ClientCertificate is a TLS client certificate with its private key.
type ClientCertificate struct {
	// CertificatePEM is the certificate in PEM, with the intermediate ones after it.
	CertificatePEM string `yaml:"certificate" need:"yes" secret:"yes"`
	// CertificateKey is the private key in PEM, unencrypted.
	CertificateKey string `yaml:"key" need:"yes" secret:"yes"`
}

// AddressBlock says that the server blocks an address after so many bad tokens.
type AddressBlock struct {
	// BlockAfter is the number of bad tokens that make the server block an address.
	BlockAfter int `yaml:"after" need:"yes" min:"1" max:"500"`
	// BlockFor is the time of the block, such as 15m.
	BlockFor time.Duration `yaml:"for" need:"yes"`
}

// Login is how users sign in, and where.
type Login struct {
	// Driver is how users sign in: auto (plain forms, and a browser for what they cannot do), browser, form, or manual:
	// a person signs in once, in their own browser.
	Driver string `yaml:"driver" enum:"auto,browser,form,manual"`
	// SignInAt is the authorization server to sign in at, by its issuer identifier, where the target names several; the
	// first one that has the endpoints of the code flow if absent.
	SignInAt string `yaml:"issuer"`
	// TrustEndpoints are endpoints, or origins of endpoints, that the issuer's metadata name on another origin than the issuer's, and
	// that may get secrets and tokens anyway.
	TrustEndpoints []string `yaml:"trust_endpoints"`
	// RecipeFile is a file, beside this one, that says what the browser does on pages that mcpauth does not recognize
	// (mcpauth schema recipe).
	RecipeFile string  `yaml:"recipe"`
	Recipe     *Recipe `yaml:"-"`
	// Users can sign in at the target's authorization server. With the first one the suite obtains real tokens; the second
	// lets checks across users run.
	Users []User `yaml:"users"`
	// GrantsPage is the URL of the page at which users see and revoke the access that they gave to clients.
	GrantsPage  string `yaml:"grants_page"`
	IDTokenPage `yaml:"id_token_callback"`
}

// IDTokenPage is where a script of the login page sends an ID token that the browser got from another provider.
type IDTokenPage struct {
	// IDTokenCallback is the URL.
	IDTokenCallback string `yaml:"url" need:"yes"`
	// IDTokenParameter is the parameter with the ID token; idToken if absent.
	IDTokenParameter string `yaml:"parameter"`
}

// User is a user who can sign in.
type User struct {
	// Name is the name that the user types.
	Name string `yaml:"username" need:"yes"`
	// Password is the password of the user.
	Password string `yaml:"password" need:"yes" secret:"yes"`
	// OneTime is the base32 secret of the user's authenticator app, if there is one.
	OneTime string `yaml:"totp" secret:"yes"`
	// Sacrificial says that the account may be locked: it is used only to guess its password.
	Sacrificial bool `yaml:"sacrificial"`
}

// Registration says how the suite gets clients at the authorization server.
type Registration struct {
	// Register is auto or dcr if the suite may register clients (RFC 7591), which it deletes again if the server allows that;
	// pre-registered if not. The default is auto on loopback, and where users sign in.
	Register *bool `yaml:"registration" words:"auto=true,dcr=true,pre-registered=false"`
	// Clients are pre-registered clients.
	Clients []Client `yaml:"clients"`
}

// Client is a client that is registered at the authorization server already.
type Client struct {
	// ID is its client_id.
	ID string `yaml:"id" need:"yes"`
	// Secret is its client_secret, if it has one.
	Secret string `yaml:"secret" secret:"yes"`
	// Method is how it authenticates; by default private_key_jwt with a key, client_secret_basic with a secret, else none.
	Method string `yaml:"auth_method" enum:"none,client_secret_basic,client_secret_post,client_secret_jwt,private_key_jwt"`
	// RedirectURI is the redirect URI that is registered for it.
	RedirectURI string `yaml:"redirect_uri"`
	// Key is the private key, in PEM, of a client that authenticates by private_key_jwt.
	Key string `yaml:"key" secret:"yes"`
	// KeyID is the kid under which the authorization server knows that key.
	KeyID string `yaml:"key_id"`
	// Machine says that the client acts for itself, by the client_credentials grant, and needs no redirect_uri.
	Machine bool `yaml:"machine"`
	// Scopes are the scopes that the client may have when it acts for itself.
	Scopes []string `yaml:"scopes"`
	// Introspects says that it is the client of the resource server: the introspection endpoint answers it about tokens of all
	// clients (RFC 7662 section 2.1). It needs no redirect_uri.
	Introspects bool `yaml:"introspects"`
}

// ScopeRules are the scopes of the target.
type ScopeRules struct {
	// Scopes are requested at login; by default those of the challenge, else the resource's scopes_supported.
	Scopes []string `yaml:"request"`
	// Base are the scopes that every request needs.
	Base []string `yaml:"base"`
	// Implies are the scopes that a broader one includes: of "notes:admin", say, "notes:write".
	Implies map[string][]string `yaml:"implies"`
	// Privileged are scopes that the first user may grant, and the second may not.
	Privileged []string `yaml:"privileged"`
}

// Lifetimes are the lifetimes of codes and tokens, so that checks wait no longer than necessary.
type Lifetimes struct {
	// Code is the lifetime of an authorization code, such as 60s; ten minutes if absent, the longest that OAuth 2.1 recommends.
	Code time.Duration `yaml:"code"`
	// Access is the lifetime of an access token, such as 10m; the expires_in of the token response if absent.
	Access time.Duration `yaml:"access"`
	// Refresh is how long a refresh token may go unused, such as 720h. If absent, a year is tried if the clock can be moved.
	Refresh time.Duration `yaml:"refresh"`
}

// Tool is a tool of the target that may be called.
type Tool struct {
	// Name is the name of the tool.
	Name string `yaml:"name" need:"yes"`
	// Scope are the scopes that the tool needs, all of them, separated by spaces or as a list; absent: a token is enough.
	Scope string `yaml:"scope" list:"joined"`
	// AnyOf are scopes of which the tool needs one, besides those of scope.
	AnyOf []string `yaml:"any_of"`
	// Arguments to call it with; {marker} in them tells one call from another, {url} is an address that the tool fetches,
	// {handle} a handle that another tool returned.
	Arguments map[string]any `yaml:"arguments"`
	// DeniedOnly says that it is called only with tokens that must be refused.
	DeniedOnly bool `yaml:"call" words:"allowed=false,denied-only=true"`
	// TellsCaller says that its result names the caller.
	TellsCaller bool `yaml:"tells" words:"caller=true"`
	// Effect is the tool whose result shows the text that replaces {marker} in these arguments, once this one has done its
	// work.
	Effect string `yaml:"effect"`
	// Upstream says that it calls the API of upstream_api.
	Upstream bool `yaml:"upstream"`
	// HandleFrom is the tool whose result contains the handle that replaces {handle} in these arguments.
	HandleFrom string `yaml:"handle_from"`
	// ACR is the authentication context class that a call needs (RFC 9470); if absent, any login is enough.
	ACR string `yaml:"acr"`
	// Elicits says that it asks the user for something (elicitation), and is called for that only.
	Elicits bool `yaml:"elicits"`
	// Private is a text in the result that only the first user may see, with these very arguments.
	Private string `yaml:"private"`
}

// Object is data of the first user that a resource, a prompt or a completion returns.
type Object struct {
	// Resource is the URI of a resource, or of the template whose argument is completed.
	Resource string `yaml:"resource"`
	// Prompt is the name of a prompt.
	Prompt string `yaml:"prompt"`
	// Arguments are the arguments of the prompt.
	Arguments map[string]string `yaml:"arguments"`
	// Argument is the argument that is completed from value.
	Argument string `yaml:"argument"`
	// Value is the beginning of the argument.
	Value string `yaml:"value"`
	// Private is a text in the answer that only the first user may see.
	Private string `yaml:"private" need:"yes"`
	// ChangedBy is a tool whose call by the first user changes the resource.
	ChangedBy string `yaml:"changed_by"`
}

// Credential is a static credential of the target: a bearer token, or an API key in a header of its own.
type Credential struct {
	// Kind is the kind of credential; in Go, a credential without a Header is a bearer token.
	Kind string `yaml:"kind" need:"yes" enum:"bearer,api-key"`
	// Name is its name in reports, which never show the value.
	Name string `yaml:"name"`
	// Header is the header field of an API key; X-API-Key if absent.
	Header string `yaml:"header"`
	// Value is the credential.
	Value string `yaml:"value" need:"yes" secret:"yes"`
	// User is the caller whom a tool with tells: caller names for this credential.
	User string `yaml:"user"`
	// Tools are the names, or prefixes that end in *, of the tools that it may call; absent: all.
	Tools []string `yaml:"tools"`
	// Scopes, instead of tools, permits those for which these scopes are enough.
	Scopes []string `yaml:"scopes"`
	// Withdrawn says that it must be refused.
	Withdrawn bool `yaml:"withdrawn"`
	// Foreign says that it is a token of another provider, which must be refused too.
	Foreign bool `yaml:"foreign"`
	Quota   `yaml:"limit"`
}

// Quota says how often a credential may be used. The suite uses such a credential only to test its limit.
type Quota struct {
	// Limit is the number of requests that are served in each window.
	Limit int `yaml:"requests" need:"yes" min:"1" max:"300"`
	// Window is the time in which they are counted, such as 60s.
	Window time.Duration `yaml:"window" need:"yes"`
}

// SharedSecret signs tokens that the target accepts.
type SharedSecret struct {
	// Value is the secret.
	Value string `yaml:"value" need:"yes" secret:"yes"`
	// Issuer is the iss that the target expects.
	Issuer string `yaml:"issuer" need:"yes"`
	// Audience is the aud that it expects.
	Audience string `yaml:"audience" need:"yes"`
}

// Limits say how far a run may go.
type Limits struct {
	// AllowIntrusive permits checks that may trip limits or strain the target; by default on loopback only.
	AllowIntrusive *bool `yaml:"intrusive"`
	// Rate is the maximum number of requests a second at each host; 50 if absent, unlimited in the own network.
	Rate float64 `yaml:"rate"`
	// Concurrency is the maximum number of requests in flight; 32 if absent, of which 16 at each host beyond the own network.
	Concurrency int `yaml:"concurrency"`
	// MaxRequests is the maximum number of requests of the whole run; 16000 if absent.
	MaxRequests int `yaml:"requests"`
}
