// Package mcpserver is the reference protected MCP server, on both wires and at every revision. Every
// defence is a named field of Policy, so that a flaw is one assignment.
package mcpserver

import (
	"net/http"
	"time"

	"github.com/mcpauth/conformance/fakes/dpop"
)

// Policy is what the server does. Strict returns the right one.
type Policy struct {
	Revisions []string

	// Who gets in.
	Authenticate          bool     // false: everybody
	Public                []string // JSON-RPC methods that need no token (a mixed server)
	GuardEveryMethod      bool     // false: only tools/call is guarded
	GuardNotifications    bool
	GuardVerbs            bool // GET and DELETE need a token too
	GuardStateless        bool // the stateless wire needs a token too
	GuardAnyVersion       bool // false: a 2024-11-05 request passes without a token
	GuardPathVariants     bool // false: the endpoint with a trailing slash passes without a token
	ServesLists           bool // false: even a valid token gets no tools/list
	GuardSideRoutes       bool // false: POST /tools/{name} runs tools without a token
	SessionIsNoCredential bool
	PerRequest            bool // false: a connection that was authorized once stays so

	// What counts as a credential.
	OnlyHeader         bool // false: ?access_token= counts too
	NoBodyToken        bool // false: params.auth.access_token counts too
	NoCookieToken      bool
	OnlyBearer         bool // false: any scheme, or none, counts
	SchemeAnyCase      bool
	OneCredential      bool   // false: of two Authorization fields any may be good
	StrictSyntax       bool   // false: quotes around the token are dropped
	Verify             bool   // false: any bearer string counts
	VerifySignature    bool   // false: any JWT with the right claims counts
	RefuseNone         bool   // false: alg none in odd spellings counts
	RefuseSymmetric    bool   // false: HS256 with the public key counts
	RefuseEmbedded     bool   // false: the header's jwk is trusted
	RefuseKidPath      bool   // false: a kid that is a path selects the empty key
	RefuseWeakSecret   bool   // false: HS256 with "your-jwt-secret-key" counts
	KidOnly            bool   // false: a known kid is enough
	CheckRevocation    bool   // false: a revoked token lives until it expires
	FetchesHeaderURLs  bool   // true: jku and x5u are fetched
	Audience           string // the audience demanded, if not the server's own URL
	RefuseCritical     bool   // false: crit is ignored
	RefuseDuplicates   bool   // false: of two members of a name the last one counts
	CritUnknownOnly    bool   // true: a crit that nobody may produce is overlooked, which is legitimate
	FoldCase           bool   // true: "AUD" is aud
	CheckExpiry        bool
	RequireExpiry      bool
	LooseDates         bool // true: exp may be anything
	CheckNotBefore     bool
	Leeway             time.Duration // for clocks that differ
	TokenIssuer        string        // the iss demanded, if not the authorization server's identifier
	AnyIssuer          bool          // true: iss is not looked at
	Accepts            func(claims map[string]any) bool
	ScopesOf           func(claims map[string]any) []string // where scopes do not stand in scope
	IssuerPrefix       bool                                 // true: the issuer's beginning is enough
	CheckAudience      bool
	RequireAudience    bool
	AudienceOrigin     bool // true: the audience's origin is enough
	ZeroSignature      bool // true: a signature of zeros passes
	AudiencePrefix     bool // true: the audience's beginning is enough
	AudienceFold       bool // true: the audience is compared without case
	AudienceInside     bool // true: the audience may stand anywhere in a string
	OtherAudience      bool // true: the claim resource will do
	MachineAnyAudience bool // true: a client that acts for itself needs no audience
	AudienceOfHost     bool // true: the audience may be the request's own host
	RequireSubject     bool
	OpaquePrefix       string // opaque tokens that begin so are taken for the user's
	SubjectCrash       bool   // true: a quote in sub crashes
	ScopeObjects       bool   // true: the keys of an object are scopes
	ScopeSubstring     bool   // true: a scope that holds the needed one will do
	EmptyScopeIsAll    bool   // true: a token without scope may do everything
	OnlyClient         string // the one client whose tokens are good; any if empty
	AnyType            bool   // true: typ is never read
	AnyKid             bool   // true: an unknown kid falls back to the only key
	LooseEncoding      bool   // true: base64 with padding will do
	IgnoresEmpty       bool   // true: an empty signature passes
	CheckScopes        bool   // false: every tool is open to every token
	ScopeStatus        int    // of a missing scope
	ScopeInResult      bool   // true: a missing scope is a tool result with isError
	ScopeChallenge     func(url, scope string) string
	UnguardedTool      string              // a tool whose scope is forgotten
	ScopeAtTheDoor     string              // a scope that everything needs, unrelated or not
	Implies            map[string][]string // scopes that a broader one includes
	ImpliesUpwards     bool                // true: the narrower scope includes the broader one too
	NoTools            bool                // true: the server has no tools, which is legitimate
	ListScope          string              // that a list takes; none if empty
	ListsByScope       bool                // false: everybody sees every tool
	CallsHidden        bool                // true: a tool that is not listed for a caller runs
	StaleList          bool                // true: the list is the one that was made for the caller before
	CacheScope         string              // of lists on the stateless wire
	ActsFirst          bool                // true: a tool acts before the scope is looked at
	FirstName          bool                // true: the scope is that of the first name in the message
	SharedUser         bool                // true: tools ask for the user of the request that came last
	CancelsAnybody     bool                // true: a cancellation ends the calls of others that have the same id
	UserFromHeader     bool                // true: X-User-Id names the user
	UserFromArguments  bool                // true: the argument user_id names the user
	EverybodysNotes    bool                // true: everybody reads the same notes
	ClientIsUser       bool                // true: the user is the token's client_id
	TellsTime          bool                // true: whoami tells the time too, which is legitimate
	CachesTokens       bool                // true: a token is verified once
	TwoCrash           bool                // true: two Authorization fields crash
	BatchByFirst       bool                // true: batches are served, and judged by their first message
	SampleToken        string

	// Tools and what they are given.
	AnyArguments     bool // true: arguments are not validated
	HandlesOfAnybody bool // true: who knows a handle may use it
	CountsHandles    bool // true: handles are counted up
	FloodLocks       bool // true: many bad tokens lock everybody out

	// The issuer's published keys.
	KeysOnce          bool // true: they are fetched once
	KeysEveryTime     bool // true: they are fetched for every unknown kid
	KeysForEver       bool // true: a key that was fetched is kept
	KeysFailOpen      bool // true: where they cannot be had, everybody gets in
	AnyAlgorithm      bool // true: a key serves whatever algorithm a token names
	SharedSecretLoose bool // true: with a shared secret, nothing of the MAC is compared

	// What tools hand on.
	PassesToken   bool // true: the caller's token goes to the API
	PassesHeaders bool // true: the caller's header fields go to the API
	KeyForAnyURL  bool // true: the key for the API goes to any address
	RelaysStatus  bool // true: the API's refusal becomes the server's own
	ShowsRequest  bool // true: an error shows the request to the API
	TakesForeign  bool // true: a token that the API takes is good here too

	// Tokens that are bound to a key or a certificate.
	DPoP              bool      // tokens bound to a key are taken with a proof
	DPoPRequired      bool      // no other token is taken
	DPoPAlgorithms    string    // that the challenge names
	DPoPAsBearer      bool      // true: a bound token will do without its key
	DPoPWithoutProof  bool      // true: under the scheme DPoP a proof may be missing
	DPoPLacks         dpop.Part // what of a proof is not looked at
	DPoPInternalURL   bool      // true: a proof must name an address that no client knows
	DPoPNonce         string    // "" for none, random, counted, never (none is good)
	MutualTLS         bool      // tokens bound to a certificate are taken, over https
	AnyCertificate    bool      // true: they will do without it
	CertificateHeader bool      // true: the certificate may be in a header field

	Screens           []string      // texts that are refused in arguments
	ScreensRaw        bool          // true: as they are written only
	BlockAfter        int           // bad tokens from an address, after which it is blocked; 0: never
	BlockFor          time.Duration // how long
	BlockForwarded    bool          // true: the address is the one that X-Forwarded-For names
	RateHeaders       string        // how limits are announced: "" not at all, fields, legacy, growing, garbled
	ACRIgnored        bool          // true: how somebody signed in does not matter
	ACRAsScope        bool          // true: a weak login is answered like a missing scope
	ToolScopePatterns bool          // true: a scope mcp:tool:NAME is a pattern

	// What belongs to a user besides tools.
	EverybodysResources bool // true: everybody reads the diaries, by resource, prompt and completion
	CompletesAnybody    bool // true: completion suggests the names of all users
	SubscribesAnybody   bool // true: everybody watches every resource
	StreamsOutlive      bool // true: a stream lives on when its token has died
	GlobalEvents        bool // true: events are counted up in one log for all
	UnlimitedCompletion bool // true: completion has no limit
	CompletionCrashes   bool // true: too many completions crash
	TasksOfAnybody      bool // true: who knows a task may have it
	TasksListed         bool // true: everybody sees all tasks
	TasksCounted        bool // true: tasks are counted up
	NoEventIDs          bool // true: events have no ids, so that nothing is resumed, which is legitimate
	StateIgnored        bool // true: nothing depends on the state that comes back, which is legitimate
	RefusesTasks        bool // true: no call is a task, which is legitimate
	StateUnsealed       bool // true: what the client returns is believed
	StateOfAnybody      bool // true: a state may be another user's
	StateForAnything    bool // true: a state may be that of another request
	StateForEver        bool // true: a state does not expire
	StateTwice          bool // true: a state may be used again
	AsksPassword        bool // true: a form asks for a credential
	ConnectByToken      bool // true: the address to link an account has the caller's token
	ConnectLoggedIn     bool // true: who opens it is taken for the user
	ConnectAnybody      bool // true: whoever opens it links an account
	ElicitsLogin        bool // true: who has no token is asked to sign in by elicitation
	LegacySSE           bool // the HTTP+SSE transport is served too
	LegacyOpen          bool // true: its stream opens for anybody
	LegacyBySession     bool // true: its session id is a credential
	LegacyOfAnybody     bool // true: any token will do for a message

	// Opaque tokens.
	IntrospectOpen       bool // true: where nobody answers, everybody gets in
	IntrospectTruthy     bool // true: active may be anything but false
	IntrospectActiveOnly bool // true: nothing but active is read
	IntrospectCache      bool // true: an answer is kept for ever
	IntrospectByQuery    bool // true: the token is asked about in the query
	IntrospectPassesOn   bool // true: the caller's cookies are passed on

	Patience       time.Duration // how long an answer about a token may take; half a second if zero
	VerifyByStatus bool          // true: of the verify endpoint, the status alone is read
	VerifyTruthy   bool          // true: valid may be anything but false
	VerifyFollows  bool          // true: a redirect of it is followed
	AsksOneByOne   bool          // true: while a question about a token is open, everything waits
	MergedKeys     bool          // true: the keys of all issuers are in one set
	LinkedLast     bool          // true: everybody uses the account that was linked last
	SlowCompare    bool          // true: static credentials are compared byte by byte

	// Limits of requests.
	Unlimited     bool                       // true: no limit holds
	OneLimit      int                        // replaces the limit of every credential
	LimitKey      func(*http.Request) string // what is counted by, besides the credential
	LimitForAll   bool                       // true: where one reaches its limit, all are refused
	LimitForEver  bool                       // true: who reaches the limit is locked out
	LimitStatus   int
	RetryAfter    string
	RacyLimit     bool  // true: counting is read, then write
	FewLists      bool  // true: a list of prompts is too much
	MostBody      int64 // bytes
	Compressed    bool  // true: compressed messages are unpacked whole, and are too much
	DeepCrash     bool  // true: a deep message crashes
	JWECrash      bool  // true: an encrypted token crashes
	LogsToken     bool  // true: a tool's result shows the caller's token
	DebugTool     bool  // true: debug_env is listed
	KeyParameter  bool  // true: a tool takes an API key, mirrored into a header field
	TemplatesOnly bool  // true: resources are not listed, but for a template
	OpensFiles    bool  // true: resources are opened by whatever path they name
	EchoesPath    bool  // true: the page for an unknown path shows it unescaped

	// Static tokens and API keys.
	StaticPrefix    bool   // true: a known token with more after it counts
	StaticForgotten string // a credential that is not loaded
	StaticAllRights bool   // true: the tools of a static token are never looked at
	WithdrawnLives  bool   // true: withdrawn credentials count
	KeyAllRights    bool   // true: the tools of a key are never looked at
	KeyAnyCase      bool   // true: keys are compared without case
	KeyAsBearer     bool   // true: a key counts as a bearer token
	KeyInQuery      bool   // true: ?api_key= counts
	KeyCrash        bool   // true: a key that is not ASCII crashes
	KeyAtHandshake  bool   // true: a key counts at the first request only
	KeyWithoutUser  bool   // true: the bearer of a key is taken for the last one with a token
	TokenAsKey      bool   // true: a token in the key's field counts
	FirstOfTwo      bool   // true: of a key and a token, either may be good
	AddsRights      bool   // true: the rights of a key and a token are added
	NamesArePaths   bool   // true: tools are looked up by the last part of their name

	// How it refuses.
	Status        int // of a missing or bad token
	Soft          bool
	InTools       bool // true: tools refuse by a result with isError, and nothing else is guarded
	RedirectTo    string
	ErrorCode     func(cause string) string
	Challenge     func(cause, url string) []string // replaces the WWW-Authenticate fields
	ScopeInField  bool
	Echo          bool // the refusal shows the credential
	Moody         bool // browsers are answered 403
	Crash         func(token string) bool
	SessionOnFail bool // refusals set a session id
	ReflectHeader bool // the refusal's description quotes the credential unescaped
	MostToken     int  // longest credential looked at, in bytes; 0 crashes on long ones

	// Metadata.
	PRMPath, PRMRoot bool
	PRM              func(place string, doc map[string]any)
	PRMEncode        func(doc map[string]any) string
	PRMType          string
	PRMGuarded       bool
	PRMRedirect      string
	PRMCORS          bool
	FixedHost        bool
	Fallback         bool // unknown paths answer 200 with HTML
	EchoPath         bool // any well-known suffix is answered by a document for it
	Capabilities     map[string]any

	// Transport.
	CheckOrigin      bool
	OriginStatus     int
	OwnOrigin        bool // its own origin is allowed
	OriginEveryVerb  bool
	CheckHost        bool
	Origins          []string // allowed besides the server's own
	CORS             bool
	GuardPreflight   bool // true: OPTIONS needs a token
	Expose           bool
	ReflectOrigin    bool // true: any origin, with credentials
	RedirectEndpoint int
	CacheControl     string
	CookieAuth       bool // sets a cookie that is a credential of its own
	CheckVersion     bool
	CheckHeaders     bool // Mcp-Method and Mcp-Name must match the message
	NoSessionHeader  bool // the stateless wire ignores Mcp-Session-Id
	HSTS             bool

	// Sessions.
	Sessions      bool
	NewSessionID  func() string
	BindSession   bool // a session belongs to its user
	SessionScopes bool // true: the scopes are those of the session's first token
	SessionToken  bool // true: a session belongs to one token
	CheckSession  bool // unknown and ended sessions are answered 404
	OwnSessionIDs bool // false: an id chosen by the client is adopted
}

// Strict is the policy that passes every requirement.
func Strict() Policy {
	return Policy{
		Revisions:    []string{"2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"},
		Authenticate: true, GuardEveryMethod: true, GuardNotifications: true, GuardVerbs: true, GuardStateless: true,
		GuardAnyVersion: true, GuardPathVariants: true, GuardSideRoutes: true, ServesLists: true, SessionIsNoCredential: true, PerRequest: true,
		OnlyHeader: true, NoBodyToken: true, NoCookieToken: true, OnlyBearer: true, SchemeAnyCase: true, OneCredential: true,
		StrictSyntax: true, Verify: true, VerifySignature: true, RefuseNone: true, RefuseSymmetric: true, RefuseEmbedded: true,
		RefuseKidPath: true, RefuseWeakSecret: true, KidOnly: true, CheckRevocation: true,
		RefuseCritical: true, RefuseDuplicates: true, CheckExpiry: true, RequireExpiry: true, CheckNotBefore: true, Leeway: 30 * time.Second,
		CheckAudience: true, RequireAudience: true, RequireSubject: true, CheckScopes: true, ListsByScope: true, CacheScope: "private", MostBody: MostBody, LimitStatus: http.StatusTooManyRequests, RetryAfter: "1",
		Implies: map[string][]string{"notes:admin": {"notes:write"}}, ScopeStatus: http.StatusForbidden,
		Status: http.StatusUnauthorized, ScopeInField: true, MostToken: 16 << 10,
		PRMPath: true, PRMRoot: true, PRMType: "application/json", PRMCORS: true, FixedHost: true,
		CheckOrigin: true, OriginStatus: http.StatusForbidden, OwnOrigin: true, OriginEveryVerb: true, CheckHost: true,
		Origins: []string{"http://localhost:6274"}, CORS: true, Expose: true, CheckVersion: true, CheckHeaders: true,
		NoSessionHeader: true, HSTS: true,
		Screens: []string{"<script", "union select", "eval("}, RateHeaders: "fields", LegacySSE: true, DPoP: true, DPoPAlgorithms: dpop.Algorithm, MutualTLS: true,
		Sessions: true, BindSession: true, CheckSession: true, OwnSessionIDs: true,
	}
}
