// Package mcpserver is the reference protected MCP server, for both protocols and every revision. What it does right is a list of
// defences, so that a flaw is the name of one in Policy.Lacks.
package mcpserver

import (
	"net/http"
	"slices"
	"time"

	"github.com/mcpauth/conformance/fakes/dpop"
)

// Policy is what the server does. Strict returns the right one.
type Policy struct {
	// Lacks are the defences that are left out.
	Lacks []Defence

	Features
	Variations
	Values
	Defects
}

// Features are what the server offers. Strict offers all of them; a right server may offer fewer.
type Features struct {
	Revisions    []string
	Sessions     bool
	LegacySSE    bool     // the HTTP+SSE transport
	DPoP         bool     // tokens that are bound to a key
	MutualTLS    bool     // tokens that are bound to a certificate, over https
	CORS         bool     // for browser clients
	ListsByScope bool     // a caller sees the tools that their token may call
	PRMRoot      bool     // the metadata is at the root of the origin too
	RateHeaders  string   // how limits are announced: "" not at all, fields, legacy, growing, garbled
	Screens      []string // texts that are refused in arguments
}

// Variations are what other right servers may do, and Strict does not.
type Variations struct {
	Public          []string                             // JSON-RPC methods that need no token
	DPoPRequired    bool                                 // every token must be bound to a key
	DPoPNonce       string                               // "" for none, random, or two defects: counted, never (none is good)
	NoTools         bool                                 // there are no tools
	NoEventIDs      bool                                 // events have no ids, so that no stream can be resumed
	NoTasks         bool                                 // no call becomes a task
	StateIgnored    bool                                 // nothing depends on the request state that comes back
	TellsTime       bool                                 // whoami tells the time too
	TemplatesOnly   bool                                 // resources are listed by a template only
	LateHeader      bool                                 // a stream has no header before its first event
	LateEvents      time.Duration                        // how late each event of the HTTP+SSE transport is
	CritUnknownOnly bool                                 // a critical extension that RFC 7515 defines is overlooked
	Accepts         func(claims map[string]any) bool     // which tokens are good, besides
	ScopesOf        func(claims map[string]any) []string // where scopes are in another claim than scope
	ListScope       string                               // the scope that a list needs; none if empty
	ScopeAtTheDoor  string                               // scopes that everything needs besides
	HidesTools      bool                                 // a tool that a caller may not call is answered like one that does not exist
	Realm           string                               // that the challenge names
	ClockAhead      time.Duration                        // how far the clock is ahead, which the Date field tells
	KeyPause        time.Duration                        // how long a key set is not fetched again, whatever it held
	// PauseAfterFailures has KeyPause hold after a fetch that failed, too.
	PauseAfterFailures bool
	BlockAfter         int                         // the number of bad tokens after which an address is blocked; 0: never
	BlockFor           time.Duration               // how long
	Form               func(params map[string]any) // changes what a form asks
	Link               func(address string) string // changes the address to which a user is sent
}

// Values are the numbers, names and words of the server, and what they are when they are zero.
type Values struct {
	Audience       string              // the audience demanded; the server's own URL if empty
	TokenIssuer    string              // the iss demanded; the authorization server's identifier if empty
	Leeway         time.Duration       // for clocks that differ
	Patience       time.Duration       // how long an answer about a token may take; half a second if zero
	Implies        map[string][]string // scopes that a broader one includes
	DPoPAlgorithms string              // that the challenge names
	Origins        []string            // allowed besides the server's own
	MostToken      int                 // longest credential looked at, in bytes; 0 crashes on long ones
	MostBody       int64               // longest message, in bytes
	RetryAfter     string
	CacheScope     string // of lists in the protocol without sessions
	Status         int    // of a refused token
	ScopeStatus    int    // of a missing scope
	OriginStatus   int    // of a foreign Origin
	LimitStatus    int    // of a request beyond the limit
	PRMType        string // the media type of the metadata
}

// Defects are wrong in a way that has a value. Strict has none.
type Defects struct {
	OpaquePrefix     string                                   // opaque tokens that begin so are accepted as the user's
	OnlyClient       string                                   // the one client whose tokens are good
	SampleToken      string                                   // a token from the documentation, which is accepted
	RunsBefore       func(token string) bool                  // for which bad tokens a tool runs before they are refused
	UnguardedTool    string                                   // a tool whose scope is forgotten
	StaticForgotten  string                                   // a static credential that is not loaded
	DPoPLacks        dpop.Part                                // what of a proof is not checked
	BelievesProof    func(header, claims map[string]any) bool // which proofs are accepted by their header and claims alone
	OneLimit         int                                      // replaces the limit of every credential
	LimitKey         func(*http.Request) string               // what is counted by, besides the credential
	RedirectTo       string                                   // where a refusal redirects to
	RedirectEndpoint int                                      // the status by which the endpoint redirects
	CacheControl     string                                   // of answers to authorized requests
	Crash            func(token string) bool                  // tokens that crash the server
	Opens            func(r *http.Request, body []byte) bool  // which requests need no token
	// Overlooks says which parts of a token are not checked: see the part constants.
	Overlooks func(r *http.Request, part string, claims map[string]any) bool
	// TakesStatic says which values are accepted as a static token or an API key.
	TakesStatic func(right, sent string, key bool) bool
	// TakesCertificate says for which requests a token that is bound to any certificate is accepted.
	TakesCertificate func(r *http.Request) bool

	SameToken    func(kept, sent string) bool                      // which token is accepted instead of one that was valid before
	ForgetsScope func(r *http.Request, params map[string]any) bool // which calls need no scope
	NamesTool    func(r *http.Request, name string) string         // which tool a name that is none stands for; "" for none
	SessionManners
	Capabilities   map[string]any
	ErrorCode      func(cause string) string
	Challenge      func(cause, url string) []string // replaces the WWW-Authenticate fields
	ScopeChallenge func(url, scope string) string
	PRM            func(place string, doc map[string]any)
	PRMEncode      func(doc map[string]any) string
	PRMRedirect    string
}

func (p *Policy) has(d Defence) bool { return !slices.Contains(p.Lacks, d) }

// Strict is the policy that satisfies every requirement.
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
