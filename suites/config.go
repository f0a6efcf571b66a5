package suites

import (
	"crypto/x509"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/check"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/login"
	"github.com/mcpauth/conformance/suites/internal/survey"
	"github.com/mcpauth/conformance/suites/internal/wire"
)

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
	// KeyFetches is how often the key set was asked for.
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
