// Package mcpserver is the reference protected MCP server, for both protocols and every revision. A list of defences says what it does
// right; a flaw names one of them in Policy.Lacks.
package mcpserver

import (
	"net/http"
	"slices"
	"time"

	"github.com/mcpauth/conformance/fakes/dpop"
)

// Policy configures the server. Strict returns the right configuration.
type Policy struct {
	// Lacks are the missing defences.
	Lacks []Defence

	Features
	Variations
	Values
	Defects
}

// Features are the features of the server. Strict has all of them; a right server may have fewer.
type Features struct {
	Revisions    []string
	Sessions     bool
	LegacySSE    bool     // the HTTP+SSE transport
	DPoP         bool     // tokens that are bound to a key
	MutualTLS    bool     // tokens that are bound to a certificate, over https
	CORS         bool     // for browser clients
	ListsByScope bool     // the list has only the tools that the caller's token may call
	PRMRoot      bool     // the metadata is at the root of the origin too
	RateHeaders  string   // how limits are announced: "" (not at all), fields, legacy, growing, garbled
	Screens      []string // texts in arguments that are refused
}

// Variations are right behaviours that Strict does not have.
type Variations struct {
	Public          []string                             // JSON-RPC methods that need no token
	DPoPRequired    bool                                 // every token must be bound to a key
	DPoPNonce       string                               // "" for none, random, once, or a defect: counted, never (none is good)
	NoTools         bool                                 // there are no tools
	NoEventIDs      bool                                 // events have no ids, so that streams cannot be resumed
	NoTasks         bool                                 // calls never become tasks
	StateIgnored    bool                                 // nothing depends on the returned request state
	TellsTime       bool                                 // whoami returns the time too
	TemplatesOnly   bool                                 // a template is the only entry of the list of resources
	LateHeader      bool                                 // a stream has no header before its first event
	OneStream       time.Duration                        // a session has one stream, and refuses another for so long after its end
	LateEvents      time.Duration                        // the delay of each event of the HTTP+SSE transport
	CritUnknownOnly bool                                 // a critical extension that RFC 7515 defines is ignored
	Accepts         func(claims map[string]any) bool     // further tokens that are good
	ScopesOf        func(claims map[string]any) []string // reads scopes from another claim than scope
	ListScope       string                               // the scope that a list needs; none if empty
	ScopeAtTheDoor  string                               // scopes that every request needs
	HidesTools      bool                                 // a forbidden tool gets the answer of an unknown one
	Realm           string                               // the realm in the challenge
	ClockAhead      time.Duration                        // how far the clock, and the Date field, are ahead
	KeyPause        time.Duration                        // how long a key set is not fetched again, whatever it holds
	// PauseAfterFailures makes KeyPause apply after a failed fetch, too.
	PauseAfterFailures bool
	KeyFetches         int                         // the key set is fetched for unknown kids only, and so often a minute; 0: otherwise
	BlockAfter         int                         // the number of bad tokens after which an address is blocked; 0: never
	BlockFor           time.Duration               // the duration of a block
	Form               func(params map[string]any) // changes the fields of a form
	Link               func(address string) string // changes the address to which a user is sent
}

// Values are numbers, names and texts of the server. Zero values have defaults.
type Values struct {
	Audience       string              // the required audience; if empty, the server's own URL
	TokenIssuer    string              // the required iss; if empty, the authorization server's identifier
	Leeway         time.Duration       // allowed difference of clocks
	Patience       time.Duration       // the time limit for verifying a token remotely; if zero, half a second
	Implies        map[string][]string // the scopes that a broader one includes
	DPoPAlgorithms string              // algorithms in the challenge
	Origins        []string            // allowed besides the server's own origin
	MostToken      int                 // the longest credential that is read, in bytes; 0 crashes on long ones
	MostBody       int64               // the longest message, in bytes
	RetryAfter     string
	CacheScope     string // of lists in the protocol without sessions
	Status         int    // for a refused token
	ScopeStatus    int    // for a missing scope
	OriginStatus   int    // for a foreign Origin
	LimitStatus    int    // for a request beyond the limit
	PRMType        string // the media type of the metadata
}

// Defects are defects that need a value. Strict has none.
type Defects struct {
	OpaquePrefix     string                                   // opaque tokens with this prefix are accepted as the user's
	OnlyClient       string                                   // the only client whose tokens are good
	SampleToken      string                                   // a token from the documentation is accepted
	RunsBefore       func(token string) bool                  // the bad tokens for which a tool runs before they are refused
	UnguardedTool    string                                   // a tool without a scope check
	StaticForgotten  string                                   // a static credential that is not loaded
	DPoPLacks        dpop.Part                                // the part of a proof that is not checked
	BelievesProof    func(header, claims map[string]any) bool // proofs that are accepted by their header and claims alone
	OneLimit         int                                      // replaces the limit of every credential
	LimitKey         func(*http.Request) string               // what requests are counted by, besides the credential
	RedirectTo       string                                   // the address to which a refusal redirects
	RedirectEndpoint int                                      // the status with which the endpoint redirects
	CacheControl     string                                   // of answers to authorized requests
	Crash            func(token string) bool                  // tokens that crash the server
	Opens            func(r *http.Request, body []byte) bool  // requests that need no token
	// Pages is how many entries a page of a list has, by its method; 0, or nil: all of them. A negative number makes the first page empty,
	// and the second the rest.
	Pages func(method string) int
	// Called is told of each call of a tool that no check of its token or its scope refuses.
	Called func(r *http.Request, tool string)
	// Overlooks reports whether a part of a token is not checked: see the part constants.
	Overlooks func(r *http.Request, part string, claims map[string]any) bool
	// TakesAnswer accepts an introspection answer whatever its audience and its issuer: a flaw. Nil: never.
	TakesAnswer func(claims map[string]any) bool
	// UserOfAnswer reads the user from an introspection answer; the subject if it is nil.
	UserOfAnswer func(answer map[string]any) string
	// UserOf reads the user's name from the subject of a token.
	UserOf func(subject string) string
	// UserClaims name the user instead of the subject: a flaw. The first one that a token has counts.
	UserClaims []string
	// PassesOn changes the request of a tool to another server, for a caller with a token.
	PassesOn func(out *http.Request, token string)
	// TakesSecond accepts other names of the second issuer.
	TakesSecond func(issuer, second string) bool
	// TakesStatic accepts other values instead of a static token or an API key.
	TakesStatic func(right, sent string, key bool) bool
	// TakesCertificate accepts a token that is bound to any certificate, for some requests.
	TakesCertificate func(r *http.Request) bool

	KeyField string // the field of the key for the API, instead of Authorization

	SameToken    func(kept, sent string) bool                      // accepts a token instead of one that was valid before
	ForgetsScope func(r *http.Request, params map[string]any) bool // the calls that need no scope
	NamesTool    func(r *http.Request, name string) string         // the tool that runs for a name that no tool has; "": none
	SessionManners
	Capabilities   map[string]any
	ErrorCode      func(cause string) string
	BodyError      string                           // the error in the body of a 401; unauthorized if empty
	Challenge      func(cause, url string) []string // replaces the WWW-Authenticate fields
	ScopeChallenge func(url, scope string) string
	PRM            func(place string, doc map[string]any)
	PRMEncode      func(doc map[string]any) string
	PRMRedirect    string
}

func (p *Policy) has(d Defence) bool { return !slices.Contains(p.Lacks, d) }

// Strict returns the policy that satisfies every requirement.
func Strict() Policy {
	return Policy{
		Features: Features{
			Revisions: []string{"2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"},
			Sessions:  true, LegacySSE: true, DPoP: true, MutualTLS: true, CORS: true, ListsByScope: true, PRMRoot: true,
			RateHeaders: "fields", Screens: []string{"<script", "union select", "eval("},
		},
		Values: Values{
			Leeway: 30 * time.Second, Implies: map[string][]string{"notes:admin": {"notes:write"}}, DPoPAlgorithms: dpop.Algorithm,
			Origins: []string{"http://localhost:6274"}, MostToken: 16 << 10, MostBody: MostBody, RetryAfter: "1", CacheScope: "private",
			Status: http.StatusUnauthorized, ScopeStatus: http.StatusForbidden, OriginStatus: http.StatusForbidden,
			LimitStatus: http.StatusTooManyRequests, PRMType: "application/json",
		},
	}
}
