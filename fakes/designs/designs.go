// Package designs has servers that do authorization in the style of guides and tutorials, mistakes included. Each is small, runs on
// loopback, and has a target file in fixtures/targets and its verdicts in fixtures/golden.
package designs

import (
	"crypto/rsa"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/mcpauth/conformance/fakes/idp"
	"github.com/mcpauth/conformance/fakes/mcpserver"
	"github.com/mcpauth/conformance/fakes/reference"
)

// Addresses are the address where a design listens, and those of the servers that it trusts: the issuer run by mcpauth, and the endpoint
// that it asks about opaque tokens.
type Addresses struct {
	Listen string // host:port
	Issuer string // origin
	Asks   string // origin
}

// Design is one way to do authorization.
type Design struct {
	// Name is the name of the design and of its target file.
	Name string
	// Says describes the design in a sentence.
	Says string
	// Target is the target file, if it has another name.
	Target string
	// Browser says that the login page needs a browser.
	Browser bool

	start func(Addresses) (*Running, error)
}

// Running is a running design.
type Running struct {
	URL string
	// Environment holds the environment variables that the target file needs.
	Environment map[string]string
	Close       func()
}

// Start starts a design. Close it after use.
func (d Design) Start(at Addresses) (*Running, error) {
	r, err := d.start(at)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.Name, err)
	}
	return r, nil
}

// File returns the name of the design's target file.
func (d Design) File() string {
	if d.Target != "" {
		return d.Target + ".yaml"
	}
	return d.Name + ".yaml"
}

// Named finds a design by its name.
func Named(name string) (Design, bool) {
	i := slices.IndexFunc(All, func(d Design) bool { return d.Name == name })
	if i < 0 {
		return Design{}, false
	}
	return All[i], true
}

// All are the designs.
var All = []Design{
	{Name: "no-auth", Says: "No request needs a token: a server for development.", start: noAuth},
	{Name: "context-scopes", Says: "The framework verifies JWTs. Each tool reads the scopes from the context, and reports " +
		"a missing one as its result.",
		start: contextScopes},
	{Name: "static-bearer", Says: "Each tool compares the bearer token with a table in its source. Everything else is open.",
		start: staticBearer},
	{Name: "guide-oauth", Says: "The four endpoints of a guide: authorization_servers has objects, and the token endpoint " +
		"grants \"read write\" to everybody who signs in.", start: guideOAuth},
	{Name: "firebase", Says: "The guide's endpoints with Firebase: the login page needs scripts. The access token is the ID token, and " +
		"nothing of it is verified.", Browser: true, start: firebase},
	{Name: "auth0", Says: "The guide's endpoints with Auth0: the login page needs scripts. The access token is " +
		"the ID token, which is verified.",
		Browser: true, start: auth0},
	{Name: "rate-limiter", Says: "Each tool counts the calls of each user, and reports too many as its result.", start: rateLimiter},
	{Name: "jwt-shared-secret", Says: "JWTs are signed with a secret that is printed in the documentation.", start: jwtSharedSecret},
	{Name: "static-verifier", Says: "A table has the tokens with their scopes. No tool checks the scope.", start: staticVerifier},
	{Name: "remote-verify", Says: "The server asks another service about every token, by an interface other than RFC 7662.",
		start: remoteVerify},
	{Name: "oauth-provider", Says: "The server asks an authorization server elsewhere about every token (RFC 7662).", start: oauthProvider},
	{Name: "api-key-plus-jwt", Says: "An API key or a JWT is enough. Of the JWT, only the signature and the expiry are checked.",
		start: apiKeyPlusJWT},
	{Name: "api-key-wildcards", Says: "Each API key has patterns of tools, which are checked when a tool is called.", start: apiKeyWildcards},
	{Name: "credential-limits", Says: "Each kind of credential has its own limit, messages have a largest size, and arguments are screened.",
		start: credentialLimits},
	{Name: "full-oauth-server", Says: "The MCP server has a whole authorization server, with one client and one user, all in memory.",
		start: fullOAuthServer},
	{Name: "issue-no-challenge", Says: "Common issue 1: a 401 without WWW-Authenticate.", Target: "common-issues",
		start: issue(func(o *reference.Options) {
			o.Policy.Challenge = func(string, string) []string { return nil }
		})},
	{Name: "issue-pkce-encoding", Says: "Common issue 2: the verifier's hash is compared in hexadecimal.", Target: "common-issues",
		start: issue(func(o *reference.Options) {
			o.Behaviour.Lacks = []idp.Defence{idp.Base64URLChallenge, idp.CheckChallengeFormat}
		})},
	{Name: "issue-token-expiration", Says: "Common issue 3: expired tokens are accepted.", Target: "context-scopes",
		start: neverExpires},
	{Name: "issue-scope-at-the-door", Says: "Common issue 4: the scope is checked for the whole endpoint, not for each tool.",
		Target: "common-issues", start: issue(func(o *reference.Options) {
			o.Policy.ScopeAtTheDoor = "notes:read"
			o.Policy.Lacks = append(o.Policy.Lacks, mcpserver.CheckScopes)
		})},
	{Name: "issue-plain-http", Says: "Common issue 5: the URLs in the metadata have the scheme http, whatever the client used.",
		Target: "common-issues", start: issue(func(o *reference.Options) {
			public := "http://mcp.example.com"
			o.Policy.PRM = func(_ string, doc map[string]any) { doc["authorization_servers"] = []string{public} }
			o.Behaviour.Metadata = func(_ string, doc map[string]any) {
				doc["issuer"], doc["authorization_endpoint"], doc["token_endpoint"] = public, public+"/authorize", public+"/token"
			}
		})},
}

// framework returns a policy with the defaults of server frameworks: a bare challenge, no metadata, no Origin check, and only the protocol
// with sessions.
func framework() mcpserver.Policy {
	p := mcpserver.Strict()
	p.Revisions = []string{"2025-03-26", "2025-06-18"}
	p.CORS, p.Origins = false, nil
	p.Lacks = append(p.Lacks, mcpserver.CheckOrigin, mcpserver.ExposeChallenge)
	p.PRMRoot = false
	p.Lacks = append(p.Lacks, mcpserver.MetadataAtPath)
	p.Challenge = func(string, string) []string { return []string{"Bearer"} }
	p.ScopeChallenge = func(_, scope string) string {
		return fmt.Sprintf(`Bearer error="insufficient_scope", scope="%s"`, scope)
	}
	p.LegacySSE, p.DPoP, p.MutualTLS = false, false, false
	p.Lacks = append(p.Lacks, mcpserver.CheckACR)
	p.Screens, p.RateHeaders, p.ListsByScope = nil, "", false
	p.Lacks = append(p.Lacks, mcpserver.BindSession)
	return p
}

// inTools returns the framework policy without authorization: the tools authorize the caller themselves.
func inTools() mcpserver.Policy {
	p := framework()
	p.Lacks = append(p.Lacks, mcpserver.RefuseBeforeTools, mcpserver.ScopeOverHTTP, mcpserver.GuardVerbs)
	return p
}

// serve starts an MCP server.
func serve(at Addresses, c mcpserver.Config) (*Running, error) {
	l, err := net.Listen("tcp", at.Listen)
	if err != nil {
		return nil, err
	}
	c.Resource = "http://" + l.Addr().String() + "/mcp"
	s, err := mcpserver.New(c)
	if err != nil {
		l.Close()
		return nil, err
	}
	server := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(l) }()
	return &Running{URL: c.Resource, Environment: map[string]string{}, Close: func() { s.Close(); _ = server.Close() }}, nil
}

func (r *Running) with(name, value string) *Running {
	if r != nil {
		r.Environment[name] = value
	}
	return r
}

// issuerKey returns the public key of the issuer run by mcpauth. All its instances use it.
func issuerKey() *rsa.PublicKey {
	s, err := idp.New("http://127.0.0.1", idp.Ideal())
	if err != nil {
		panic(err) // the key is embedded
	}
	return s.Public()
}

func noAuth(at Addresses) (*Running, error) {
	p := framework()
	p.Lacks = append(p.Lacks, mcpserver.RequireToken, mcpserver.GuardVerbs)
	return serve(at, mcpserver.Config{Policy: p})
}

func contextScopes(at Addresses) (*Running, error) {
	p := framework()
	p.Lacks = append(p.Lacks, mcpserver.ScopeOverHTTP)
	return serve(at, mcpserver.Config{Issuer: at.Issuer, Key: issuerKey(), JWKS: at.Issuer + "/jwks", Policy: p})
}

func neverExpires(at Addresses) (*Running, error) {
	p := framework()
	p.Lacks = append(p.Lacks, mcpserver.CheckExpiry, mcpserver.RequireExpiry)
	return serve(at, mcpserver.Config{Issuer: at.Issuer, Key: issuerKey(), JWKS: at.Issuer + "/jwks", Policy: p})
}

func staticBearer(at Addresses) (*Running, error) {
	r, err := serve(at, mcpserver.Config{Policy: inTools(),
		Static: []mcpserver.Static{{Name: "123", Value: "user123", User: "123"}, {Name: "456", Value: "user456", User: "456"}}})
	return r.with("FIRST_TOKEN", "user123").with("SECOND_TOKEN", "user456"), err
}

func rateLimiter(at Addresses) (*Running, error) {
	r, err := serve(at, mcpserver.Config{Policy: inTools(), Static: []mcpserver.Static{
		{Name: "free", Value: "user123", User: "123"}, {Name: "metered", Value: "user456", User: "456", Limit: 20, Window: 2 * time.Second},
	}})
	return r.with("FREE_TOKEN", "user123").with("METERED_TOKEN", "user456"), err
}

func jwtSharedSecret(at Addresses) (*Running, error) {
	const secret = "your-jwt-secret-key"
	p := framework()
	p.Audience, p.CritUnknownOnly = "fastmcp-server", true
	p.Lacks = append(p.Lacks, mcpserver.CheckType, mcpserver.RequireExpiry, mcpserver.RequireSubject)
	p.Lacks = append(p.Lacks, mcpserver.CheckScopes)
	r, err := serve(at, mcpserver.Config{Issuer: "your-auth-service", SharedSecret: secret, Policy: p})
	return r.with("JWT_SECRET", secret), err
}

func staticVerifier(at Addresses) (*Running, error) {
	r, err := serve(at, mcpserver.Config{Policy: framework(), Static: []mcpserver.Static{
		{Name: "admin", Value: "admin-token-123", User: "admin"}, {Name: "user1", Value: "user-token-456", User: "user1"},
		{Name: "readonly", Value: "readonly-token-789", User: "readonly"},
	}})
	return r.with("ADMIN_TOKEN", "admin-token-123").with("USER_TOKEN", "user-token-456").with("READONLY_TOKEN", "readonly-token-789"), err
}

func remoteVerify(at Addresses) (*Running, error) {
	p := framework()
	return serve(at, mcpserver.Config{Issuer: at.Issuer, VerifyURL: at.Asks + "/verify", ServiceKey: "your-service-key", Policy: p})
}

func oauthProvider(at Addresses) (*Running, error) {
	p := framework()
	return serve(at, mcpserver.Config{Issuer: at.Issuer, Key: issuerKey(), JWKS: at.Issuer + "/jwks",
		Introspection: at.Asks + "/introspect", Policy: p})
}

func apiKeyPlusJWT(at Addresses) (*Running, error) {
	const secret = "jwt-secret"
	p := framework()
	p.CritUnknownOnly = true
	p.Lacks = append(p.Lacks, mcpserver.CheckAudience, mcpserver.CheckIssuer, mcpserver.RequireExpiry, mcpserver.RequireSubject,
		mcpserver.CheckType)
	p.Lacks = append(p.Lacks, mcpserver.BothCredentials, mcpserver.WholeScope, mcpserver.SchemeAnyCase)
	r, err := serve(at, mcpserver.Config{SharedSecret: secret, Policy: p,
		Static: []mcpserver.Static{{Name: "Service Account", Header: mcpserver.KeyHeader, Value: "key-123", User: "service_account"}}})
	return r.with("API_KEY", "key-123").with("JWT_SECRET", secret), err
}

func apiKeyWildcards(at Addresses) (*Running, error) {
	r, err := serve(at, mcpserver.Config{Policy: inTools(), Static: []mcpserver.Static{
		{Name: "production", Header: mcpserver.KeyHeader, Value: "sk-prod-1234567890abcdef", User: "production"},
		{Name: "development", Header: mcpserver.KeyHeader, Value: "sk-dev-abcdef1234567890", User: "development",
			Tools: []string{"whoami", "list_notes"}},
		{Name: "readonly", Header: mcpserver.KeyHeader, Value: "sk-ro-fedcba0987654321", User: "readonly",
			Tools: []string{"read_*", "list_*", "whoami"}},
	}})
	return r.with("PRODUCTION_KEY", "sk-prod-1234567890abcdef").with("DEVELOPMENT_KEY", "sk-dev-abcdef1234567890").
		with("READONLY_KEY", "sk-ro-fedcba0987654321"), err
}

func credentialLimits(at Addresses) (*Running, error) {
	p := inTools()
	p.MostBody, p.Screens = 1<<20, []string{"../", "<script", "union", "eval("}
	r, err := serve(at, mcpserver.Config{Policy: p, Static: []mcpserver.Static{
		{Name: "the key", Header: mcpserver.KeyHeader, Value: "key_2gB8cXlqWm4nT0pYvKdA", User: "robot"},
		{Name: "the metered key", Header: mcpserver.KeyHeader, Value: "key_9dQzR5uHs1LfJ7xEoVwN", User: "meter", Limit: 40,
			Window: 2 * time.Second},
		{Name: "the metered token", Value: "mcp_Uc3yGtP8bMk6rZaSiF0h", User: "counter", Limit: 20, Window: 2 * time.Second},
	}})
	return r.with("API_KEY", "key_2gB8cXlqWm4nT0pYvKdA").with("METERED_KEY", "key_9dQzR5uHs1LfJ7xEoVwN").
		with("METERED_TOKEN", "mcp_Uc3yGtP8bMk6rZaSiF0h"), err
}

// bundled starts an MCP server with an authorization server of its own.
func bundled(at Addresses, o reference.Options, prepare func(r *reference.Reference)) (*Running, error) {
	o.Listen = at.Listen
	r, err := reference.Start(o)
	if err != nil {
		return nil, err
	}
	if prepare != nil {
		prepare(r)
	}
	return &Running{URL: r.URL, Environment: map[string]string{}, Close: r.Close}, nil
}

// guide returns a server with the four endpoints of the guide.
func guide() reference.Options {
	o := reference.Options{Policy: framework(), Behaviour: idp.Ideal(), Static: []mcpserver.Static{}}
	p, b := &o.Policy, &o.Behaviour
	p.PRMRoot = true
	p.Lacks = append(p.Lacks, mcpserver.CheckScopes)
	p.Lacks = append(p.Lacks, mcpserver.FixedHost)
	p.PRM = func(_ string, doc map[string]any) {
		issuer := doc["authorization_servers"].([]string)[0]
		clear(doc)
		doc["authorization_servers"] = []any{map[string]any{"issuer": issuer, "authorization_endpoint": issuer + "/authorize"}}
	}
	b.Places, b.Registration, b.NoRefreshTokens, b.IgnoresResource = []string{"rfc8414"}, "closed", true, true
	b.Missing = []string{"/register", "/jwks", "/revoke", "/introspect", "/userinfo", "/par", "/device", "/device_authorization", "/logout"}
	b.Opaque = "at_"
	b.Consent = "never"
	b.Metadata = func(_ string, doc map[string]any) {
		issuer, _ := doc["issuer"].(string)
		clear(doc)
		doc["issuer"], doc["authorization_endpoint"], doc["token_endpoint"] = issuer, issuer+"/authorize", issuer+"/token"
		doc["token_endpoint_auth_methods_supported"], doc["scopes_supported"] = []string{"none"}, []string{"read", "write", "admin"}
		doc["response_types_supported"], doc["response_modes_supported"] = []string{"code"}, []string{"query"}
		doc["grant_types_supported"], doc["code_challenge_methods_supported"] = []string{"authorization_code"}, []string{"S256"}
	}
	b.Response = func(endpoint string, members map[string]any) {
		if endpoint == "/token" {
			members["token_type"], members["scope"] = "bearer", "read write"
		}
	}
	b.Lacks = []idp.Defence{
		idp.FixedHost, idp.SignMetadata, idp.HSTS, idp.CORS, idp.SendIssuer, idp.IssuerOnError, idp.NoFraming, idp.ContentSecurityPolicy,
		idp.NoStoreOnPages, idp.LimitPasswords, idp.LimitErrors, idp.DPoPOffered, idp.TokenNoStore,
	}
	return o
}

// callback is the redirect URI of the client in the target files.
const callback = "http://127.0.0.1:8765/callback"

// guideScopes prepares the guide's authorization server: its scopes, one client, one user.
func guideScopes(r *reference.Reference) {
	r.IDP.Scopes, r.IDP.Privileged = []string{"read", "write", "admin"}, nil
	r.IDP.Enterprise = nil
	r.IDP.AddClient("your_client_id", "", callback)
}

func guideOAuth(at Addresses) (*Running, error) {
	r, err := bundled(at, guide(), guideScopes)
	return r.with("PASSWORD", idp.Alice.Password), err
}

func firebase(at Addresses) (*Running, error) {
	o := guide()
	o.Behaviour.Pages, o.Behaviour.Opaque = "javascript", ""
	o.Behaviour.AccessToken = func(header, claims map[string]any) {
		header["typ"] = "JWT"
		claims["iss"], claims["aud"], claims["auth_time"], claims["user_id"] = "https://securetoken.google.com/your-project", "your-project",
			claims["iat"], claims["sub"]
		claims["firebase"] = map[string]any{"sign_in_provider": "google.com"}
		for _, absent := range []string{"scope", "client_id", "jti"} {
			delete(claims, absent)
		}
	}
	p := &o.Policy // jwt.decode(..., verify=False)
	p.Lacks = append(p.Lacks, mcpserver.VerifySignature, mcpserver.CheckAudience, mcpserver.CheckExpiry, mcpserver.RequireExpiry,
		mcpserver.NumericDates, mcpserver.CheckNotBefore, mcpserver.CheckIssuer)
	p.Lacks = append(p.Lacks, mcpserver.RefuseKidPath, mcpserver.CheckType, mcpserver.RefuseCritical, mcpserver.RefuseDuplicates)
	r, err := bundled(at, o, guideScopes)
	return r.with("PASSWORD", idp.Alice.Password), err
}

func auth0(at Addresses) (*Running, error) {
	o := guide()
	o.Behaviour.Pages, o.Behaviour.Opaque = "javascript", ""
	o.Behaviour.AccessToken = func(header, claims map[string]any) {
		header["typ"] = "JWT"
		claims["iss"], claims["aud"], claims["name"] = "https://your-domain.auth0.com/", "your-client-id", claims["sub"]
		for _, absent := range []string{"scope", "client_id", "jti"} {
			delete(claims, absent)
		}
	}
	o.Policy.TokenIssuer, o.Policy.Audience = "https://your-domain.auth0.com/", "your-client-id"
	r, err := bundled(at, o, guideScopes)
	return r.with("PASSWORD", idp.Alice.Password), err
}

func fullOAuthServer(at Addresses) (*Running, error) {
	o := reference.Options{Policy: framework(), Behaviour: idp.Ideal(), Static: []mcpserver.Static{},
		Users: []idp.User{{Name: "demo_user", Password: "demo_password"}}}
	p, b := &o.Policy, &o.Behaviour
	p.Lacks = append(p.Lacks, mcpserver.CheckScopes)
	b.Places, b.Registration, b.IgnoresResource = []string{"rfc8414"}, "closed", true
	b.Missing = []string{"/register", "/jwks", "/par"}
	b.Opaque, b.Consent = "at_", "never"
	b.Metadata = func(_ string, doc map[string]any) {
		for name := range doc {
			switch name {
			case "issuer", "authorization_endpoint", "token_endpoint", "revocation_endpoint", "introspection_endpoint", "userinfo_endpoint",
				"scopes_supported", "response_types_supported", "code_challenge_methods_supported":
			default:
				delete(doc, name)
			}
		}
		doc["grant_types_supported"] = []string{"authorization_code", "refresh_token"}
		doc["token_endpoint_auth_methods_supported"] = []string{"client_secret_post", "client_secret_basic"}
	}
	b.Lacks = []idp.Defence{
		idp.SendIssuer, idp.IssuerOnError, idp.NoFraming, idp.ContentSecurityPolicy, idp.LimitPasswords, idp.LimitSecrets, idp.LimitErrors,
		idp.DPoPOffered, idp.SignMetadata, idp.HSTS, idp.CORS,
		idp.ReuseRevokesFamily, idp.ReplayRevokes, idp.RevokeGrant, idp.CheckChallengeFormat, idp.CheckVerifierFormat,
	}
	r, err := bundled(at, o, func(r *reference.Reference) {
		r.IDP.Scopes, r.IDP.Privileged, r.IDP.Enterprise = []string{"read", "write", "profile", "email"}, nil, nil
		r.IDP.AddClient("demo_client", "demo_secret", "http://localhost:3000/callback")
	})
	return r.with("DEMO_PASSWORD", "demo_password").with("DEMO_SECRET", "demo_secret"), err
}

// issue returns a function that starts the reference with one of the common issues.
func issue(bend func(*reference.Options)) func(Addresses) (*Running, error) {
	return func(at Addresses) (*Running, error) {
		o := reference.Ideal()
		o.Static = []mcpserver.Static{}
		bend(&o)
		r, err := bundled(at, o, nil)
		return r.with("ALICE_PASSWORD", idp.Alice.Password).with("BOB_PASSWORD", idp.Bob.Password), err
	}
}

// Names lists the designs, for messages.
func Names() string {
	var names []string
	for _, d := range All {
		names = append(names, d.Name)
	}
	return strings.Join(names, ", ")
}
