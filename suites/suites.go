// Package suites tests the authorization of an MCP server, and of the authorization servers it points
// at, from outside. It has three doors: Run for a program, Test for a go test, Register for a Ginkgo
// suite of your own.
package suites

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/extensions/globals"
	"github.com/onsi/ginkgo/v2/formatter"
	"github.com/onsi/ginkgo/v2/types"

	"github.com/mcpauth/conformance/fixtures/chance"
	"github.com/mcpauth/conformance/fixtures/requirements"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/check"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/documents"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/introspector"
	"github.com/mcpauth/conformance/suites/internal/listener"
	"github.com/mcpauth/conformance/suites/internal/login"
	"github.com/mcpauth/conformance/suites/internal/mint"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/rebind"
	"github.com/mcpauth/conformance/suites/internal/session"
	"github.com/mcpauth/conformance/suites/internal/survey"
	"github.com/mcpauth/conformance/suites/internal/wire"
)

// Version is the version of the tool, set by the linker for releases.
var Version = "dev"

// Config says what to test, with what, and how far to go.
type Config struct {
	// URL is the MCP endpoint.
	URL string
	// File and Line, if set, say where the target is written down, for reports that point there.
	File string
	Line int
	// Revisions limits the run to these MCP revisions; empty means every one that the target speaks.
	Revisions []string
	// Token is a valid access token or static bearer token; with it, refusals are measured against a
	// request that is served. It appears in no report.
	Token string
	// Users can sign in at the target's authorization server. With the first one the suite obtains real
	// tokens; the second lets checks across users run. Passwords appear in no report.
	Users []User
	// Clients were registered at the authorization server by hand. Without any, and with Register, the suite
	// registers its own.
	Clients []Client
	// Scopes are requested at login; by default those of the challenge, else the resource's
	// scopes_supported.
	Scopes []string
	// Tools say which tools may be called, and what each needs.
	Tools []Tool
	// Objects are things of the first user that are reached otherwise than by Tools.
	Objects []Object
	// Implies are the scopes that a broader one includes: of "notes:admin", say, "notes:write".
	Implies map[string][]string
	// Privileged are scopes that the first of the Users may grant, and the second may not.
	Privileged []string
	// BodyLimit is the size in bytes of the largest message that the target is meant to take; 0 leaves it untested.
	BodyLimit int
	// OtherResource, if set, is the URL of another MCP endpoint that takes tokens of the same authorization server.
	OtherResource string
	// Credentials are static tokens and API keys.
	Credentials []Credential
	// Documents, if set, serves client ID metadata documents at an address that the authorization server can
	// reach and trusts; made by ServeDocuments.
	Documents *Documents
	// Issuer, if set, mints tokens that the target trusts: tier T3.
	Issuer Issuer
	// Upstream, if set, is where the target's users sign in: tier T3.
	Upstream Upstream
	// Enterprise, if set, signs identity assertions that the authorization server takes (enterprise-managed
	// authorization): tier T3. EnterpriseSubject is somebody of whom it may speak; alice if empty.
	Enterprise        Issuer
	EnterpriseSubject string
	// API, if set, stands for the API of somebody else that Tools with Upstream call; made by ServeAPI.
	API *API
	// Clock, if set, moves the target's clock, so that checks need not wait for codes and tokens to expire.
	Clock Clock
	// MaxWait is how long a check may wait for something to expire where there is no Clock; 0: not at all.
	MaxWait time.Duration
	// SharedSecret is the secret of a target that verifies HS256, with the issuer and audience that it expects.
	SharedSecret SharedSecret
	// Rebinding, if set, answers DNS queries of the authorization server; made by ServeRebinding.
	Rebinding *Rebinding
	// Screening are texts that the target is declared to refuse in the arguments of tools.
	Screening []string
	// BlockAfter is how many bad tokens make the target block an address, and BlockFor how long; 0 where it blocks none.
	BlockAfter int
	BlockFor   time.Duration
	// SecondIssuer, if set, is another issuer whose tokens the target trusts, with a key of its own: best of the same kid.
	SecondIssuer Issuer
	// Verification, if set, is where the target asks about opaque tokens in a manner of its own; made by
	// ServeVerification. VerificationAccepts is the body of the answer for a good token.
	Verification        *Introspection
	VerificationAccepts string
	// GrantsPage is the URL at which users see what acts for them, and end it; empty where there is none.
	GrantsPage string
	// IDTokenCallback is the URL to which a login page sends the ID token that a browser got elsewhere, and
	// IDTokenParameter its parameter; empty where there is none.
	IDTokenCallback, IDTokenParameter string
	// Introspection, if set, is where the target asks about opaque tokens; made by ServeIntrospection.
	Introspection *Introspection
	// Register permits the suite to register clients (RFC 7591), which it deletes again where the server lets
	// it. Nil means: on loopback, and where there are Users.
	Register *bool
	// Driver is how users sign in: auto, browser, form, or manual. Empty is auto: plain forms, and a browser for
	// what they cannot do. With manual a person signs in once, at the address that OnNotice tells.
	Driver string
	// Recipe, if set, says what the browser does on login pages that cannot be understood by themselves.
	Recipe *Recipe
	// BrowserNoSandbox runs the browser without its sandbox, which root in a container needs.
	BrowserNoSandbox bool
	// Patience is how long the target may take to honour a revocation; 5 s if zero.
	Patience time.Duration
	// Header is sent with every request to the target's origin, for servers behind a gate. The values
	// appear in no report.
	Header []reports.Field
	// Origins are browser origins that the server is meant to allow.
	Origins []string

	// Only and Skip select requirements by id or glob ("RS-DISC-*"); LabelFilter by Ginkgo's language
	// over ids, areas, levels, tiers and roles.
	Only, Skip  []string
	LabelFilter string
	// Shard, if set, runs one part of the selected checks; reports.Merge puts the parts together.
	Shard reports.Shard

	// AllowIntrusive permits checks that may trip limits or strain the target. Nil means: only on loopback.
	AllowIntrusive *bool
	// AllowHosts are host names that may resolve to addresses that are not public.
	AllowHosts []string
	// ConnectTo maps "host:port" to the "host:port" to dial in its place.
	ConnectTo map[string]string
	// SignInAt is the issuer identifier of the authorization server at which users sign in, and which is judged by what it
	// does, where the target names several; empty: the first one whose metadata has the endpoints of the code flow.
	SignInAt string
	// NameServer, as "host:port", is asked for addresses in place of the system's resolver.
	NameServer string
	// RootCAs replaces the system's certificate authorities.
	RootCAs *x509.CertPool

	Timeout     time.Duration // of the whole run; 10 minutes if zero
	MaxRequests int           // of the whole run; 8000 if zero
	Concurrency int           // requests in flight; 16 if zero, 32 on loopback
	Rate        float64       // requests per second; 50 if zero, unlimited on loopback

	// Seed, if set, makes two runs alike but for what the target draws and for the time: random values follow from it, in
	// the whole process, and requests follow one by one where they need not meet. The values can be predicted then: it is
	// for targets in the own network.
	Seed *int64
	// OnPart is called as each part of a run with a Seed begins, with its name: a fake begins its own values anew.
	OnPart func(part string)

	// OnResult is called with each verdict as it falls, from several goroutines.
	OnResult func(reports.Result)
	// OnNotice is called with what the user should know about the run itself, such as that the browser runs
	// without its sandbox.
	OnNotice func(string)
	// OnSelected is called once with the number of checks selected.
	OnSelected func(n int)
}

// Recipe says how to go through login pages that cannot be understood by themselves; RecipePage is one of them, and
// Step one thing to do there.
type (
	Recipe     = login.Recipe
	RecipePage = login.RecipePage
	Step       = login.Step
)

// User is somebody who can sign in.
type User struct {
	Name, Password string
	// OneTime is the base32 secret of an authenticator app, or empty.
	OneTime string
	// Sacrificial says that the account may be locked: it is used for nothing but to guess its password.
	Sacrificial bool
}

// Client is a client that the authorization server knows already.
type Client struct {
	ID, Secret string
	// Method is how it authenticates: none (without Secret), client_secret_basic (with), client_secret_post, or
	// private_key_jwt (with Key).
	Method      string
	RedirectURI string
	// Key is its private key in PEM, and KeyID the kid under which the authorization server knows it.
	Key, KeyID string
	// Machine says that the client acts for itself, by the client_credentials grant. It needs no RedirectURI. Scopes are
	// those that it may have then.
	Machine bool
	Scopes  []string
}

// Tool is a tool of the target that may be called.
type Tool struct {
	Name string
	// Scope is what calling it takes; empty means that a valid token is enough.
	Scope     string
	Arguments map[string]any
	// DeniedOnly says that it is called only with tokens that must be refused.
	DeniedOnly bool
	// TellsCaller says that its result names the caller.
	TellsCaller bool
	// Effect is the name of the Tool whose result shows the text that replaces "{marker}" in these Arguments, once
	// this one has done its work.
	Effect string
	// Upstream says that it calls an API of somebody else.
	Upstream bool
	// HandleFrom is the name of the Tool whose result holds the handle that replaces "{handle}" in these Arguments.
	HandleFrom string
	// ACR is the authentication context class (acr) that calling it takes; empty where any login will do.
	ACR string
	// Elicits says that it asks the user for something (elicitation), so that it is not called like others.
	Elicits bool
	// Private is a text in the result that only the first user may see, with these very Arguments.
	Private string
}

// Object is something of the first user that is reached by a resource, a prompt, or a completion.
type Object struct {
	// Resource is the URI of a resource, Prompt the name of a prompt with its Arguments.
	Resource, Prompt string
	Arguments        map[string]string
	// Argument, if set, is to be completed from Value, in the template that Resource is then, or in Prompt.
	Argument, Value string
	// Private is a text in the answer that only the first user may see.
	Private string
	// ChangedBy is the name of a Tool whose call by the first user changes the Resource.
	ChangedBy string
}

// Credential is a static credential of the target: one that comes from no authorization server.
type Credential struct {
	// Name is what reports call it by; they never show the Value.
	Name string
	// Header is the field of an API key; empty for a bearer token.
	Header, Value string
	// User is what the target should take its bearer for, as Tool.TellsCaller tells it; may be empty.
	User string
	// Tools are the names, or prefixes that end in *, of the Tools that it may call. Nil means all.
	Tools []string
	// Withdrawn says that it must be refused.
	Withdrawn bool
	// Foreign says that it is a token of another provider, which must be refused too.
	Foreign bool
	// Limit is how many requests the target is meant to serve it in each Window; 0 where none is declared. A
	// credential with a limit is used for nothing else.
	Limit  int
	Window time.Duration
}

// Issuer is an authorization server under the user's control, whose tokens the target trusts.
type Issuer interface {
	// Identifier is its issuer identifier.
	Identifier() string
	// Claims are those of an ordinary access token for the target.
	Claims(subject string, scopes []string) map[string]any
	// Header is the JOSE header of an ordinary access token.
	Header() map[string]any
	// Signature signs a JWS signing input with the key that Header names.
	Signature(input []byte) ([]byte, error)
}

// Upstream is an authorization server under the user's control at which the target, as a proxy, signs its users in.
type Upstream interface {
	// Identifier is its issuer identifier.
	Identifier() string
	// Issued are the codes and tokens that it has issued so far, in order.
	Issued() []string
	// Answer replaces what its token endpoint answers, made from the ordinary response, until it is called with nil.
	Answer(func(ordinary map[string]any) (status int, mediaType, body string))
	// IDToken signs claims as an ID token.
	IDToken(claims map[string]any) string
	// EndGrants withdraws every grant that it has given since a time.
	EndGrants(since time.Time)
}

// KeyServer is an Issuer that publishes its keys, and lets the suite change what it publishes for a while.
type KeyServer interface {
	Issuer
	// ServeKeys replaces what is answered to a request for the key set, made from the ordinary set, until it is called
	// with nil. A status of 0 closes the connection.
	ServeKeys(func(ordinary map[string]any) (status int, mediaType, body string))
	// KeyFetches is how often others than the suite asked for the key set.
	KeyFetches() int
}

// Clock is the target's, where the suite may move it: forth, and back again.
type Clock interface {
	Advance(d time.Duration) error
}

// SharedSecret signs tokens that the target takes.
type SharedSecret struct {
	Value, Issuer, Audience string
}

// ownToken is an ordinary one, as good as one that was given: by the issuer that the target trusts, or under the secret that
// it shares. Empty without either.
func (c *Config) ownToken() string {
	var scopes []string
	for _, t := range c.Tools {
		if t.Scope != "" && !t.DeniedOnly && !slices.Contains(scopes, t.Scope) {
			scopes = append(scopes, t.Scope)
		}
	}
	switch {
	case c.Issuer != nil:
		input := mint.Input(mint.Header(c.Issuer.Header()), mint.Claims(c.Issuer.Claims("alice", scopes)))
		signature, err := c.Issuer.Signature([]byte(input))
		if err != nil {
			return "" // which the checks that need tokens say
		}
		return input + "." + mint.Base64(signature)
	case c.SharedSecret.Value != "":
		return c.SharedSecret.token(scopes)
	case c.Verification != nil && c.VerificationAccepts != "":
		token := c.Verification.Token()
		token.Say(introspector.Answer{Body: c.VerificationAccepts})
		return token.Value
	case c.Introspection != nil:
		token, now := c.Introspection.Token(), time.Now().Unix()
		active, _ := json.Marshal(map[string]any{ // plain values
			"active": true, "sub": "alice", "client_id": "client-1", "scope": strings.Join(scopes, " "), "token_type": "Bearer", "aud": c.URL, "iat": now, "exp": now + 3600,
		})
		token.Say(introspector.Answer{Body: string(active)})
		return token.Value
	}
	return ""
}

// token is an ordinary one, for an hour.
func (s SharedSecret) token(scopes []string) string {
	now := time.Now().Unix()
	claims := mint.Claims{"sub": "alice", "client_id": "client-1", "iss": s.Issuer, "aud": s.Audience, "iat": now, "exp": now + 3600, "jti": check.Random(12)}
	if len(scopes) > 0 {
		claims["scope"] = strings.Join(scopes, " ")
	}
	return mint.HS256(mint.Header{"alg": "HS256", "typ": "JWT"}, claims, []byte(s.Value))
}

// Documents serves client ID metadata documents. Its CA method returns the certificate authority that the
// authorization server has to trust, in PEM.
type Documents = documents.Server

// ServeDocuments listens for the authorization server. publicURL is the https URL, without a path, under which
// it reaches the address; empty means the address itself. Close it after the run.
func ServeDocuments(listen, publicURL string) (*Documents, error) {
	return documents.New(listen, publicURL)
}

// Introspection is an introspection endpoint (RFC 7662). Its URL method returns the address that the target has to ask.
type Introspection = introspector.Server

// ServeIntrospection listens for the target. Close it after the run.
func ServeIntrospection(listen string) (*Introspection, error) { return introspector.New(listen) }

// Rebinding answers for a DNS zone in which every name means a public address first and a private one then. Its Address
// method returns where it answers.
type Rebinding = rebind.Server

// ServeRebinding answers DNS queries for a zone, and watches a port of the private address, which must be one of this
// machine. The port must be that of the public address, where something has to listen. Close it after the run.
func ServeRebinding(listen, zone string, public, private netip.Addr, port string) (*Rebinding, error) {
	return rebind.New(listen, zone, public, private, port)
}

// ServeVerification listens for a target that asks about opaque tokens at a path, in a manner of its own. Close it after
// the run.
func ServeVerification(listen, path string) (*Introspection, error) {
	return introspector.NewAt(listen, path, introspector.Answer{Status: 200, Body: `{"valid":false,"active":false,"error":"invalid_token"}`})
}

// API stands for the API of somebody else that a target calls: it records how it is called.
type API = listener.Listener

// ServeAPI listens for the target. Close it after the run.
func ServeAPI(listen string) (*API, error) { return listener.OpenAt(listen) }

// UsageError is the error of a configuration that names something unknown or selects nothing.
type UsageError struct{ Problem string }

func (u *UsageError) Error() string { return u.Problem }

func usage(format string, args ...any) error { return &UsageError{fmt.Sprintf(format, args...)} }

// Checks returns the ids that have a check, in the order of registration. It fails on any mistake of
// registration, naming all of them.
func Checks() ([]string, error) {
	reg, err := check.Collect(areas)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, c := range reg.All() {
		ids = append(ids, c.Requirement.ID)
	}
	return ids, nil
}

// preparation is one run being prepared and carried out.
type preparation struct {
	cfg     Config
	reg     *check.Registry
	world   *check.World
	engine  *check.Engine
	run     reports.Run
	started time.Time
	cancel  context.CancelFunc
	client  *wire.Client
	session *session.Session
	closers []func()
	clock   *clock

	picturing sync.Mutex
	pictures  []reports.Screenshot
}

// prepare validates the configuration, surveys the target and makes the engine.
func prepare(ctx context.Context, cfg Config) (context.Context, *preparation, error) {
	reg, err := check.Collect(areas)
	if err != nil {
		return ctx, nil, err
	}
	if err := cfg.validate(reg); err != nil {
		return ctx, nil, err
	}
	u, _ := document.ParseURL(cfg.URL)
	s := &preparation{cfg: cfg, reg: reg, started: time.Now()}
	if cfg.Seed != nil {
		chance.Suites.Seed(*cfg.Seed)
	}
	cfg.part("the beginning")
	timeout := cfg.Timeout
	if timeout == 0 {
		timeout = 10 * time.Minute
	}
	ctx, s.cancel = context.WithTimeout(ctx, timeout)
	s.clock = watchClock(ctx, *wallClock.Load())
	if cfg.Token == "" && len(cfg.Users) == 0 && cfg.Driver != "manual" {
		cfg.Token = cfg.ownToken()
	}
	secrets := &reports.Secrets{}
	secrets.Add("access_token", cfg.Token)
	if i := strings.LastIndexByte(cfg.Token, '.'); i >= 0 {
		secrets.Add("signature", cfg.Token[i+1:])
	}
	for _, f := range cfg.Header {
		secrets.Add("header", f.Value)
	}
	secrets.Add("shared_secret", cfg.SharedSecret.Value)
	for _, c := range cfg.Credentials {
		secrets.Add("credential", c.Value)
	}
	guard := wire.NewGuard(u.Hostname(), cfg.AllowHosts)
	guard.ConnectTo = cfg.ConnectTo
	if cfg.NameServer != "" {
		guard.Resolve = wire.NameServer(cfg.NameServer)
	}
	for to := range cfg.ConnectTo { // what the user redirects is the user's own
		if host, _, err := net.SplitHostPort(cfg.ConnectTo[to]); err == nil {
			guard.Own = append(guard.Own, host)
		}
	}
	s.client = wire.New(wire.Options{
		Guard: guard, Roots: cfg.RootCAs, Secrets: secrets, Limits: cfg.limits(guard.Loopback), Header: cfg.Header, HeaderOrigin: u.Scheme + "://" + u.Host,
		UserAgent: "mcpauth/" + Version + " ({check}; +https://github.com/mcpauth/conformance)",
	})
	intrusive := guard.Loopback
	if cfg.AllowIntrusive != nil {
		intrusive = *cfg.AllowIntrusive
	}
	sv, err := survey.Take(ctx, s.client, survey.Input{Endpoint: cfg.URL, Revisions: cfg.Revisions, Token: cfg.Token, Tools: cfg.guarded(), InTurn: cfg.Seed != nil})
	if err == nil {
		if wrong := cfg.signInAt(sv); wrong != nil {
			s.cancel()
			return ctx, nil, wrong
		}
		sv = s.login(ctx, sv, secrets, guard.Loopback)
	}
	s.world = &check.World{Client: s.client, Survey: sv, Secrets: secrets, Intrusive: intrusive, Origins: cfg.Origins, Session: s.session, Patience: cfg.Patience, Credentials: cfg.credentials(), Implies: cfg.Implies, Privileged: cfg.Privileged, BodyLimit: cfg.BodyLimit, OtherResource: cfg.OtherResource}
	s.world.Tools, s.world.Special = cfg.tools()
	for _, o := range cfg.Objects {
		s.world.Objects = append(s.world.Objects, check.Object(o))
	}
	if cfg.Issuer != nil {
		s.world.Issuer = cfg.Issuer
	}
	if cfg.Upstream != nil {
		s.world.Upstream = cfg.Upstream
	}
	if cfg.Enterprise != nil {
		s.world.Enterprise = &check.Enterprise{Issuer: cfg.Enterprise, Subject: cmp.Or(cfg.EnterpriseSubject, "alice")}
	}
	s.world.Rebinding, s.world.Screening, s.world.BlockAfter, s.world.BlockFor = cfg.Rebinding, cfg.Screening, cfg.BlockAfter, cfg.BlockFor
	if cfg.SecondIssuer != nil {
		s.world.Second = cfg.SecondIssuer
	}
	s.world.Verifier, s.world.VerifierAccepts, s.world.GrantsPage = cfg.Verification, cfg.VerificationAccepts, cfg.GrantsPage
	s.world.IDTokenCallback, s.world.IDTokenParameter = cfg.IDTokenCallback, cmp.Or(cfg.IDTokenParameter, "idToken")
	s.world.API, s.world.MaxWait = cfg.API, cfg.MaxWait
	if cfg.Clock != nil {
		s.world.Clock = cfg.Clock
	}
	s.world.SharedSecret, s.world.SharedIssuer, s.world.SharedAudience = cfg.SharedSecret.Value, cfg.SharedSecret.Issuer, cfg.SharedSecret.Audience
	s.world.Documents, s.world.Introspector = cfg.Documents, cfg.Introspection
	if s.world.Patience == 0 {
		s.world.Patience = 5 * time.Second
	}
	if cfg.Seed != nil {
		s.world.BeginPart = cfg.part
	}
	s.engine = &check.Engine{Registry: reg, World: s.world, OnResult: cfg.OnResult, Timeout: check.OrdinaryTimeout + cfg.MaxWait}
	s.run = reports.Run{
		Tool: reports.Tool{Name: "mcpauth", Version: Version}, Started: s.started, Catalogue: requirements.Digest(),
		Target: reports.Target{URL: cfg.URL, Tier: "T1", File: cfg.File, Line: cfg.Line}, Results: []reports.Result{}, Discovered: []reports.Fact{}, Exchanges: []reports.Exchange{},
		Revisions: sv.Status,
	}
	if cfg.Shard.Count > 0 {
		s.run.Shard = &cfg.Shard
	}
	if sv.Token != "" {
		s.run.Target.Tier = "T2"
	}
	if cfg.Issuer != nil || cfg.Introspection != nil || cfg.Upstream != nil || cfg.API != nil || cfg.Enterprise != nil || cfg.Verification != nil {
		s.run.Target.Tier = "T3"
	}
	for _, r := range requirements.All() {
		if r.Pending {
			s.run.Pending++
		}
	}
	var unreachable *survey.Unreachable
	if errors.As(err, &unreachable) {
		s.run.Unreachable = unreachable.Why
		err = nil
	}
	return ctx, s, err
}

// part begins the random values of a part of the run, where there is a seed.
func (c *Config) part(name string) {
	if c.Seed == nil {
		return
	}
	chance.Suites.Turn(name)
	if c.OnPart != nil {
		c.OnPart(name)
	}
}

func (c *Config) validate(reg *check.Registry) error {
	u, err := document.ParseURL(c.URL)
	if err != nil {
		hint := ""
		if !strings.Contains(c.URL, "://") && c.URL != "" {
			hint = "; did you mean https://" + c.URL + "?"
		}
		return usage("the URL %q cannot be tested: %v%s", c.URL, err, hint)
	}
	if u.User != nil || u.Fragment != "" {
		return usage("the URL %q must have no user name and no fragment", u.Redacted())
	}
	if c.Seed != nil && !Own(c.URL) {
		return usage("a seed makes states, verifiers and keys predictable: it is for targets in your own network, and %s is not", c.URL)
	}
	for _, r := range c.Revisions {
		if !slices.Contains(requirements.Revisions, r) {
			return usage("unknown revision %q; known are %s", r, strings.Join(requirements.Revisions, ", "))
		}
	}
	if c.Recipe != nil && (c.Driver == "form" || c.Driver == "manual") {
		return usage("a login recipe is followed in a browser: sign in by auto or browser, not by %s", c.Driver)
	}
	if c.Driver == "manual" && len(c.Users) > 0 {
		return usage("with a login by hand nobody else can sign in: leave the user out, or sign in by auto, browser or form")
	}
	for _, pattern := range append(slices.Clone(c.Only), c.Skip...) {
		if err := known(reg, pattern); err != nil {
			return err
		}
	}
	if c.LabelFilter != "" {
		if _, err := types.ParseLabelFilter(c.LabelFilter); err != nil {
			return usage("the label filter %q cannot be read: %v", c.LabelFilter, strings.Join(strings.Fields(err.Error()), " "))
		}
	}
	for _, o := range c.Objects {
		switch {
		case o.Resource == "" && o.Prompt == "":
			return usage("an object is neither a resource nor a prompt")
		case o.Private == "":
			return usage("%s: nothing tells what only the first user may see (private)", check.Object(o).Name())
		case o.ChangedBy != "" && !slices.ContainsFunc(c.Tools, func(tool Tool) bool { return tool.Name == o.ChangedBy }):
			return usage("%s: it is changed by %s, which is not among the tools", check.Object(o).Name(), o.ChangedBy)
		}
	}
	for _, tool := range c.Tools {
		if tool.HandleFrom != "" && !slices.ContainsFunc(c.Tools, func(other Tool) bool { return other.Name == tool.HandleFrom }) {
			return usage("tool %s: its handle comes from %s, which is not among the tools", tool.Name, tool.HandleFrom)
		}
		if tool.Effect == "" {
			continue
		}
		if !slices.ContainsFunc(c.Tools, func(other Tool) bool { return other.Name == tool.Effect }) {
			return usage("tool %s: its effect is shown by %s, which is not among the tools", tool.Name, tool.Effect)
		}
		if b, _ := json.Marshal(tool.Arguments); !strings.Contains(string(b), check.Marker) {
			return usage("tool %s: its effect cannot be told from that of others: put %s into its arguments", tool.Name, check.Marker)
		}
	}
	for i, given := range c.Credentials {
		if given.Limit < 0 || given.Limit > mostLimit || given.Limit > 0 && given.Window <= 0 {
			return usage("credential %d (%s): want a limit of 1 to %d requests in a time; declare a smaller one on a test instance", i+1, given.Name, mostLimit)
		}
		if given.Value == "" || strings.ContainsAny(given.Value+given.Header, "\r\n") || strings.ContainsAny(given.Header, " :") {
			return usage("credential %d (%s): want a value and a header name that fit in a header field", i+1, given.Name)
		}
	}
	if _, err := document.ParseURL(c.OtherResource); c.OtherResource != "" && (err != nil || c.OtherResource == c.URL) {
		return usage("the other resource %q: want the URL of another MCP endpoint", c.OtherResource)
	}
	if c.MaxWait < 0 {
		return usage("a wait of %v is none: want a time such as 90s", c.MaxWait)
	}
	if n := len(c.SharedSecret.Value); n > 0 && n < 8 {
		return usage("the shared secret has %d bytes: want at least 8", n)
	}
	for _, client := range c.Clients {
		if client.Key == "" {
			if client.Method == oauth.PrivateKey {
				return usage("client %s: private_key_jwt takes a key", client.ID)
			}
			continue
		}
		if _, err := mint.ParseKey(client.KeyID, []byte(client.Key)); err != nil {
			return usage("client %s: its key cannot be used: %v", client.ID, err)
		}
	}
	if c.NameServer != "" {
		if _, err := netip.ParseAddrPort(c.NameServer); err != nil {
			return usage("name server %q: want an address and a port, such as 192.0.2.53:53", c.NameServer)
		}
	}
	for from, to := range c.ConnectTo {
		for _, hp := range []string{from, to} {
			if _, _, err := net.SplitHostPort(hp); err != nil {
				return usage("connect-to %q: want host:port", hp)
			}
		}
	}
	return nil
}

// mostLimit is the highest limit that is tried: more would be an attack.
const mostLimit = 300

// known refuses a pattern that matches no requirement, and one that matches only pending ones.
func known(reg *check.Registry, pattern string) error {
	pending := false
	for _, r := range requirements.All() {
		if ok, err := path.Match(pattern, r.ID); err != nil {
			return usage("the pattern %q cannot be read: %v", pattern, err)
		} else if !ok {
			continue
		}
		if _, has := reg.Lookup(r.ID); has {
			return nil
		}
		pending = true
	}
	if pending {
		return usage("%s has no check yet", pattern)
	}
	return usage("no requirement matches %q; mcpauth list shows them all%s", pattern, nearest(pattern))
}

func nearest(id string) string {
	best, score := "", 0
	for _, r := range requirements.All() {
		n := 0
		for _, word := range strings.Split(strings.ToUpper(id), "-") {
			if len(word) > 2 && strings.Contains(r.ID, word) {
				n += len(word)
			}
		}
		if n > score {
			best, score = r.ID, n
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

func (c *Config) limits(loopback bool) wire.Limits {
	l := wire.Limits{Requests: int64(c.MaxRequests), Concurrency: c.Concurrency, Rate: c.Rate}
	if loopback {
		if l.Concurrency == 0 {
			l.Concurrency = 32
		}
	} else if l.Rate == 0 {
		l.Rate = 50
	}
	return l
}

// guarded are the tools that may turn out to be what is protected, where nothing else is: those whose call changes nothing
// first.
func (c *Config) guarded() []survey.Tool {
	var out []survey.Tool
	plain, _ := c.tools()
	for _, wanted := range []bool{true, false} {
		for _, t := range plain {
			if !t.DeniedOnly && t.Effect == "" && t.TellsCaller == wanted {
				out = append(out, survey.Tool{Name: t.Name, Arguments: t.Arguments})
			}
		}
	}
	return out
}

// tools are those that may be called as they are, and those that need something in their arguments first.
func (c *Config) tools() (plain, special []check.Tool) {
	for _, t := range c.Tools {
		if tool := check.Tool(t); tool.IsSpecial() {
			special = append(special, tool)
		} else {
			plain = append(plain, tool)
		}
	}
	return plain, special
}

func (c *Config) credentials() []check.Credential {
	var out []check.Credential
	for i, given := range c.Credentials {
		if out = append(out, check.Credential(given)); given.Name == "" {
			out[i].Name = fmt.Sprintf("credential %d", i+1)
		}
	}
	return out
}

// selects applies Only and Skip.
func (c *Config) selects(id string) bool {
	match := func(patterns []string) bool {
		return slices.ContainsFunc(patterns, func(p string) bool { ok, _ := path.Match(p, id); return ok })
	}
	return (len(c.Only) == 0 || match(c.Only)) && !match(c.Skip)
}

func (s *preparation) selected() []string {
	filter, _ := types.ParseLabelFilter(s.cfg.LabelFilter) // validated before
	var ids []string
	n := 0
	for _, c := range s.reg.All() {
		if s.cfg.selects(c.Requirement.ID) && (s.cfg.LabelFilter == "" || filter(c.Labels())) {
			if s.cfg.Shard.Has(n) {
				ids = append(ids, c.Requirement.ID)
			}
			n++
		}
	}
	return ids
}

// finish gathers the results into the run and lets go of everything.
func (s *preparation) finish(ctx context.Context) reports.Redacted {
	s.run.Results, s.run.Exchanges = s.engine.Collect()
	s.run.Discovered = facts(s.world.Survey)
	s.run.Discovered = append(s.run.Discovered, s.farewell(ctx)...)
	s.run.Screenshots = s.pictures
	return s.close(ctx)
}

func (s *preparation) close(ctx context.Context) reports.Redacted {
	if moved := s.clock.moved(); moved != 0 {
		s.run.Doubt = fmt.Sprintf("the clock of this machine was moved by %v during the run, and the times of tokens hang on it", moved)
	}
	s.run.Interrupted = errors.Is(ctx.Err(), context.Canceled)
	s.run.Requests = s.client.Sent()
	s.run.Duration = reports.Since(s.started)
	s.cancel()
	s.client.Close()
	if s.cfg.Seed != nil {
		chance.Suites.Forget()
	}
	return reports.Redact(s.run, s.world.Secrets)
}

// Surveyed is what a look at a target's metadata and first answers tells.
type Surveyed struct {
	Revisions []reports.RevisionStatus
	// Protected says that anonymous callers are refused.
	Protected bool
	// Issuers are the authorization servers that it names; those without metadata too.
	Issuers []string
	Scopes  []string // of the challenge, else of the resource
	Tools   []string // where listing is open to the token given, or to everybody
	// Registration and Documents say how a client may introduce itself to the first authorization server.
	Registration, Documents bool
	// Skew is how far the target's clock is ahead of ours; 0 where it does not tell the time.
	Skew        time.Duration
	Unreachable string // why nothing could be learned; empty where something was
}

// Look surveys a target without judging it. It registers nothing, and signs nobody in.
func Look(ctx context.Context, cfg Config) (Surveyed, error) {
	no := false
	cfg.Register, cfg.Users = &no, nil
	ctx, s, err := prepare(ctx, cfg)
	if err != nil {
		return Surveyed{}, err
	}
	defer s.close(ctx)
	sv := s.world.Survey
	out := Surveyed{Revisions: sv.Status, Tools: sv.Listed, Unreachable: s.run.Unreachable}
	for _, ex := range sv.Refused {
		out.Protected = out.Protected || expect.Status(ex) == 401
		if then, err := time.Parse("Mon, 02 Jan 2006 15:04:05 GMT", expect.Header(ex, "Date")); err == nil {
			out.Skew = then.Sub(ex.Started).Round(time.Second)
		}
		if v, ok := expect.Param(ex, "scope"); ok && out.Scopes == nil {
			out.Scopes = strings.Fields(v)
		}
	}
	if d := sv.Resource(); d != nil && out.Scopes == nil {
		out.Scopes, _ = d.Object.Strings("scopes_supported")
	}
	for i := range sv.Servers {
		out.Issuers = append(out.Issuers, sv.Servers[i].Issuer)
	}
	if server, ok := authorizationServer(sv, ""); ok {
		out.Registration = server.Registration != ""
		for i := range sv.Servers {
			if m := sv.Servers[i].Metadata(); m != nil && sv.Servers[i].Issuer == server.Issuer {
				out.Documents, _ = m.Object.Bool("client_id_metadata_document_supported")
			}
		}
	}
	return out, nil
}

func facts(sv *survey.Survey) []reports.Fact {
	facts := []reports.Fact{}
	if d := sv.Resource(); d != nil {
		facts = append(facts, reports.Fact{Name: "protected resource metadata", Value: d.URL + " (" + d.Place + ")"})
	}
	for i := range sv.Servers {
		a := &sv.Servers[i]
		value := a.Issuer + ", no metadata found"
		if m := a.Metadata(); m != nil {
			value = a.Issuer + ", metadata at " + m.URL
		}
		facts = append(facts, reports.Fact{Name: "authorization server", Value: value})
	}
	if len(sv.Listed) > 0 {
		facts = append(facts, reports.Fact{Name: "tools", Value: strings.Join(sv.Listed, ", ")})
	}
	for _, w := range []string{"stateful", "stateless"} {
		for k, public := range sv.Public {
			if string(k) == w && len(public) > 0 {
				facts = append(facts, reports.Fact{Name: "public on the " + w + " wire", Value: strings.Join(public, ", ")})
			}
		}
	}
	return facts
}

// process guards Ginkgo, whose tree and configuration are global to the process.
var process sync.Mutex

// verdictOnly is the testing.T of a run whose outcome is read from the results.
type verdictOnly struct{}

func (verdictOnly) Fail() {}

// Run tests a target and returns the redacted report. The error is a UsageError, or says that the tool
// itself failed; findings, and a target that cannot be reached, are not errors. Runs in one process wait
// for each other. A Ginkgo suite must use Register instead.
func Run(ctx context.Context, cfg Config) (reports.Redacted, error) {
	process.Lock()
	defer process.Unlock()
	ctx, s, err := prepare(ctx, cfg)
	if err != nil {
		return reports.Redacted{}, err
	}
	if s.run.Unreachable != "" {
		return s.close(ctx), nil
	}
	ids := s.selected()
	if len(ids) == 0 {
		s.cancel()
		return reports.Redacted{}, usage("the filters select no check; mcpauth list shows what there is")
	}
	if cfg.OnSelected != nil {
		cfg.OnSelected(len(ids))
	}
	s.engine.Start(ctx, ids)
	s.ginkgo(ids)
	return s.finish(ctx), nil
}

// ginkgo walks the tree and waits, in it, for the verdicts of the selected checks.
func (s *preparation) ginkgo(ids []string) {
	out := formatter.ColorableStdOut
	formatter.ColorableStdOut = io.Discard
	defer func() { formatter.ColorableStdOut = out }()
	globals.Reset()
	defer globals.Reset()
	suite, reporter := ginkgo.GinkgoConfiguration()
	suite.FocusStrings, suite.SkipStrings, suite.LabelFilter = nil, nil, ""
	suite.Timeout, suite.GracePeriod, suite.RandomSeed = time.Hour, time.Second, 1
	suite.OutputInterceptorMode = "none"
	reporter.JUnitReport, reporter.JSONReport, reporter.GoJSONReport, reporter.TeamcityReport = "", "", "", ""
	chosen := *s.reg
	chosen.ByArea = map[string][]*check.Check{}
	for _, id := range ids {
		c, _ := s.reg.Lookup(id)
		chosen.ByArea[c.Requirement.Area] = append(chosen.ByArea[c.Requirement.Area], c)
	}
	chosen.Tree(s.engine.Wait)
	ginkgo.RunSpecs(verdictOnly{}, "mcpauth", suite, reporter)
}

// Test tests a target under go test: a subtest for each requirement. A FAIL, an INCONCLUSIVE and an ERROR
// fail their subtest; a WARN does not. It returns the report for a user who wants to write it.
func Test(t *testing.T, cfg Config) reports.Redacted {
	t.Helper()
	ctx, s, err := prepare(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if s.run.Unreachable != "" {
		t.Errorf("the target could not be tested: %s", s.run.Unreachable)
		return s.close(ctx)
	}
	ids := s.selected()
	s.engine.Start(ctx, ids)
	s.reg.Subtests(t, func(id string) bool { return slices.Contains(ids, id) }, s.engine.Wait)
	return s.finish(ctx)
}

// Register writes the suite into the Ginkgo tree that is being built: call it at the top level or in a
// container of a suite of your own. The target is surveyed when the first of the checks runs. done, if not
// nil, gets the report at the end of the suite.
func Register(configure func() Config, done func(reports.Redacted)) {
	reg, err := check.Collect(areas)
	if err != nil {
		panic(err)
	}
	var once sync.Once
	var s *preparation
	var ctx context.Context
	var failed error
	start := func() {
		if ctx, s, failed = prepare(context.Background(), configure()); failed == nil && s.run.Unreachable == "" {
			s.engine.Start(ctx, s.selected())
		}
	}
	reg.Tree(func(id string) []reports.Result {
		once.Do(start)
		switch {
		case failed != nil:
			return []reports.Result{{ID: id, Verdict: reports.Errored, Reason: failed.Error()}}
		case s.run.Unreachable != "":
			return []reports.Result{{ID: id, Verdict: reports.Inconclusive, Reason: s.run.Unreachable}}
		}
		if r := s.engine.Wait(id); r != nil {
			return r
		}
		return []reports.Result{{ID: id, Verdict: reports.NotTested, Reason: "left out by the configuration"}}
	})
	if done != nil {
		ginkgo.ReportAfterSuite("mcpauth", func(ginkgo.Report) {
			if s != nil && failed == nil {
				done(s.finish(ctx))
			}
		})
	}
}

// Loopback reports whether a URL points at this machine, by its form.
func Loopback(rawURL string) bool {
	u, err := document.ParseURL(rawURL)
	if err != nil {
		return false
	}
	if a, err := netip.ParseAddr(u.Hostname()); err == nil {
		return a.IsLoopback()
	}
	return document.LoopbackHost(u.Hostname())
}

// Own reports whether a URL points at this machine or into a private network, by its form.
func Own(rawURL string) bool {
	u, err := document.ParseURL(rawURL)
	return err == nil && (Loopback(rawURL) || document.PrivateHost(u.Hostname()))
}

// TokenFromEnvironment reads an access token from an environment variable, and fails clearly if it is
// not set.
func TokenFromEnvironment(name string) (string, error) {
	v := strings.TrimSpace(os.Getenv(name))
	if v == "" {
		return "", usage("the environment variable %s, which should hold the access token, is not set", name)
	}
	return v, nil
}
