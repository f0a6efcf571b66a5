package mcpserver

// Defence is one thing that the server does right unless Policy.Lacks contains it.
type Defence string

// The defences of authentication: which requests are served.
const (
	RequireToken          Defence = "a request without a token is refused"
	GuardEveryMethod      Defence = "every JSON-RPC method needs a token, not only tools/call"
	GuardHandshake        Defence = "the handshake needs a token"
	GuardTools            Defence = "a tool that exists needs a token, like one that does not"
	GuardEveryAgent       Defence = "every client needs a token, whatever its User-Agent"
	GuardEveryFetch       Defence = "every client needs a token, whatever fields its HTTP library adds"
	GuardNotifications    Defence = "notifications need a token"
	GuardVerbs            Defence = "GET and DELETE need a token"
	GuardStateless        Defence = "the protocol without sessions needs a token"
	GuardAnyVersion       Defence = "a request of an old protocol version needs a token"
	GuardPathVariants     Defence = "the endpoint with a trailing slash needs a token"
	GuardSideRoutes       Defence = "no other route runs tools without a token"
	ServeLists            Defence = "a valid token gets tools/list"
	SessionIsNoCredential Defence = "a session id is not a substitute for a token"
	TokenPerRequest       Defence = "every request on a connection needs its own token"
	SurviveFloods         Defence = "many bad tokens do not lock out other callers"
)

// The defences of recognizing a credential.
const (
	NoQueryToken       Defence = "a token in the query string is ignored"
	NoBodyToken        Defence = "a token in the message is ignored"
	NoCookieToken      Defence = "a token in a cookie is ignored"
	NoCookieCredential Defence = "a cookie is not a credential"
	OnlyBearer         Defence = "the scheme of a token is Bearer"
	SchemeAnyCase      Defence = "the comparison of the scheme ignores letter case"
	OneCredential      Defence = "two Authorization fields are refused"
	SurviveTwoFields   Defence = "two Authorization fields do not crash the server"
	StrictSyntax       Defence = "a token with quotes around it is refused"
)

// The defences of verifying a token.
const (
	VerifyTokens         Defence = "a string that is not a token is refused"
	VerifySignature      Defence = "the signature of a JWT is verified"
	RefuseZeroSignature  Defence = "an ECDSA signature of zeros is refused"
	RefuseEmptySignature Defence = "an empty signature is refused"
	RefuseNone           Defence = "the algorithm none is refused in every spelling"
	RefuseSymmetric      Defence = "HS256 with the public key as secret is refused"
	RefuseEmbedded       Defence = "a key in the token's header is not trusted"
	RefuseEmbeddedRSA    Defence = "an RSA key in the token's header is not trusted"
	RefuseCertificates   Defence = "a certificate in the token's header is not trusted"
	RefuseSymmetricEC    Defence = "HS256 with the public EC key as secret is refused"
	RefuseNoAlgorithm    Defence = "a token without an algorithm is refused"
	ThreeSegments        Defence = "a JWT with a fourth segment is refused"
	RefuseKidPath        Defence = "a kid is not a path to a key file"
	RefuseWeakSecret     Defence = "HS256 with a secret from a tutorial is refused"
	KidIsNoProof         Defence = "a known kid without a good signature is refused"
	KnowKid              Defence = "a token with an unknown kid is refused"
	FetchNoHeaderURLs    Defence = "the URLs in jku and x5u are not fetched"
	RefuseCritical       Defence = "a token with an unknown critical extension is refused"
	RefuseDuplicates     Defence = "a token with duplicate members is refused"
	LastMemberCounts     Defence = "of two members with one name the last one is used"
	ClaimsWithCase       Defence = "the comparison of claim names is case-sensitive"
	StrictEncoding       Defence = "base64url with padding or another alphabet is refused"
	CheckType            Defence = "the typ of a token is checked"
	CheckRevocation      Defence = "a revoked token is refused before it expires"
	RevocationFirst      Defence = "a revoked token is refused as revoked, also where it lacks a scope"
	VerifyEveryTime      Defence = "a token is verified at every request"
	SurviveJWE           Defence = "an encrypted token does not crash the server"
)

// The defences of a token's claims.
const (
	CheckExpiry        Defence = "an expired token is refused"
	ExpiryFirst        Defence = "an expired token is refused as expired, also where it lacks a scope"
	RequireExpiry      Defence = "a token without expiry is refused"
	NumericDates       Defence = "an expiry that is not a number is refused"
	CheckNotBefore     Defence = "a token that is not valid yet is refused"
	NumericNotBefore   Defence = "a token whose nbf is not a number is refused"
	CheckIssuer        Defence = "the issuer of a token is checked"
	WholeIssuer        Defence = "the issuer is compared as a whole"
	IssuerCase         Defence = "the comparison of the issuer is case-sensitive"
	IssuerSlash        Defence = "the issuer is compared with the slash at its end"
	RequireSubject     Defence = "a token without a subject is refused"
	SurviveOddSubjects Defence = "a quote in the subject does not crash the server"
	UserIsSubject      Defence = "the user is the token's subject, not its client"
	CheckAudience      Defence = "the audience of a token is checked"
	RequireAudience    Defence = "a token without audience is refused"
	AudiencePath       Defence = "the audience is compared with its path"
	WholeAudience      Defence = "the audience is compared to its end"
	AudienceCase       Defence = "the comparison of the audience is case-sensitive"
	AudienceAlone      Defence = "the audience is not searched for inside a longer string"
	AudienceClaim      Defence = "only the claim aud names the audience"
	MachineAudience    Defence = "a client that acts for itself needs the right audience too"
	FixedAudience      Defence = "the audience does not depend on the request's Host"
)

// The defences of scopes and of the tools that need them.
const (
	CheckScopes             Defence = "a tool needs its scope"
	AllScopes               Defence = "a tool that needs two scopes needs both"
	ScopeOverHTTP           Defence = "a missing scope is answered by an HTTP status, not by a tool result"
	ScopesAreStrings        Defence = "the keys of an object in the claim scope are not scopes"
	WholeScope              Defence = "a scope is compared as a whole"
	EmptyScopeIsNone        Defence = "a token without scope may call no tool that needs one"
	ImplyDownwards          Defence = "the narrower scope does not include the broader one"
	ToolScopeIsName         Defence = "a scope mcp:tool:NAME names one tool and is not a pattern"
	HiddenNotCallable       Defence = "a tool that is hidden from a caller cannot be called"
	ListPerCaller           Defence = "each caller gets a tool list of their own"
	ScopeFirst              Defence = "the scope is checked before the tool acts"
	NotificationsRunNothing Defence = "a call without an id runs no tool"
	LastNameCounts          Defence = "the scope checked is that of the tool that runs, also where a message names two"
	NoBatches               Defence = "a batch is not judged by its first message"
	CheckACR                Defence = "a tool that needs a strong login refuses a weak one"
	ACRError                Defence = "a weak login is answered insufficient_user_authentication, not insufficient_scope"
)

// The defences of objects that belong to one user.
const (
	UserPerRequest        Defence = "a tool acts for the user of its own request"
	UserAfterBody         Defence = "the user of a call is known when the whole message has come"
	CancelOwn             Defence = "a cancellation ends only calls of its own session"
	NoUserHeader          Defence = "a header field does not name the user"
	NoUserArgument        Defence = "an argument does not name the user"
	OwnNotes              Defence = "a user reads their own notes only"
	HandleOwner           Defence = "a handle works for its owner only"
	RandomHandles         Defence = "handles are random"
	OwnResources          Defence = "a user reads their own diary only, by resource and by prompt"
	CompleteOwn           Defence = "completion does not suggest names of other users"
	SubscribeOwn          Defence = "a user subscribes to their own resources only"
	StreamsEnd            Defence = "a stream ends with its token"
	StreamsExpire         Defence = "a stream ends when its token expires"
	StreamsRevoked        Defence = "a stream ends when its token is revoked"
	EventsPerStream       Defence = "a stream replays its own events only"
	TaskOwner             Defence = "a task is visible to its owner only"
	OwnerBeforeCancelling Defence = "the owner of a task is looked at before it is cancelled"
	ListOwnTasks          Defence = "tasks/list shows the caller's own tasks only"
	RandomTasks           Defence = "task ids are random"
	SealState             Defence = "a request state that the client changed is refused"
	StateUser             Defence = "a request state belongs to its user"
	StateRequest          Defence = "a request state belongs to its request"
	StateExpires          Defence = "a request state expires"
	StateOnce             Defence = "a request state works once"
)

// The defences of elicitation.
const (
	AskNoPassword        Defence = "no form asks for a credential"
	NoTokenInLinks       Defence = "the URL to link an account does not contain the caller's token"
	LinkIsNoLogin        Defence = "opening the URL to link an account signs no user in"
	LinkNeedsLogin       Defence = "an account is linked only after a user signed in"
	LinkOwner            Defence = "only the user who asked for it can link an account"
	OwnLinkedAccount     Defence = "a user's tools use the account which that user linked"
	NoLoginByElicitation Defence = "no user is asked to sign in by elicitation"
	NoLoginForBadTokens  Defence = "no user with a bad token is asked to sign in by elicitation"
)

// The defences of the HTTP+SSE transport.
const (
	GuardLegacyStream   Defence = "its stream needs a token"
	GuardLegacyMessages Defence = "its messages need a token beside the session id"
	LegacyOwner         Defence = "its messages need a token of the user who opened the stream"
)

// The defences of the issuer's published keys.
const (
	RefreshKeys     Defence = "keys are fetched again when an unknown kid appears"
	LimitKeyFetches Defence = "unknown kids do not make the server fetch keys every time"
	ForgetKeys      Defence = "a withdrawn key is no longer used"
	KeysFailClosed  Defence = "no token is accepted while the keys cannot be fetched"
	AlgorithmOfKey  Defence = "a key is used with its own algorithm only"
	CompareMAC      Defence = "the MAC under a shared secret is compared"
	KeysPerIssuer   Defence = "each issuer's tokens are verified with that issuer's keys"
)

// The defences of values that tools forward.
const (
	KeepToken           Defence = "the caller's token does not go to the API"
	KeepHeaders         Defence = "the caller's header fields do not go to the API"
	KeyForAPI           Defence = "the key for the API goes to the API only"
	OwnStatus           Defence = "the API's refusal does not become the server's own"
	HideUpstreamPage    Defence = "a failed tool does not show the page of the API"
	HideUpstreamRequest Defence = "an error does not show the request to the API"
	HideKeyInResults    Defence = "a result does not show the request to the API"
	RefuseForeignTokens Defence = "a token of the API does not work here"
	HideToken           Defence = "a tool's result does not show the caller's token"
)

// The defences of tokens that are bound to a key or a certificate.
const (
	BoundNeedsProof       Defence = "a token that is bound to a key does not work as a bearer token"
	DPoPNeedsProof        Defence = "a token under the scheme DPoP needs a proof"
	BoundNeedsCertificate Defence = "a token that is bound to a certificate needs it"
	NoCertificateHeader   Defence = "a certificate in a header field is ignored"
)

// The defences of introspection and of other ways to verify a token remotely.
const (
	IntrospectNoCrash    Defence = "a failed introspection is not a reason to crash"
	IntrospectFailClosed Defence = "no token is accepted while introspection fails"
	LookAtActive         Defence = "active is checked"
	ActiveIsTrue         Defence = "active is true only if it is the JSON value true"
	IntrospectClaims     Defence = "expiry, audience and scope of an introspection answer are checked"
	IntrospectNoStale    Defence = "an introspection answer from before a failure does not count"
	IntrospectAgain      Defence = "an introspection answer is not kept for ever"
	IntrospectByPost     Defence = "a token is not sent in a query string"
	IntrospectAlone      Defence = "the caller's cookies are not sent to the introspection endpoint"
	VerifyFailClosed     Defence = "no token is accepted while the verification endpoint fails"
	ReadVerification     Defence = "the body of a verification answer is read, not only its status"
	ValidIsTrue          Defence = "valid is true only if it is the JSON value true"
	VerifyNoRedirects    Defence = "a redirect of the verification endpoint is not followed"
	AskInParallel        Defence = "one pending introspection does not block others"
)

// The defences of limits and of load.
const (
	LimitRequests      Defence = "each credential has its limit"
	LimitPerCaller     Defence = "a caller who reaches the limit does not block other callers"
	LimitEnds          Defence = "the limit ends with its window"
	AtomicLimit        Defence = "requests that arrive at once are counted one by one"
	ListsAreCheap      Defence = "a few lists do not reach the limit"
	LimitCompletion    Defence = "completion is limited"
	SurviveCompletions Defence = "many completions do not crash the server"
	BlockByPeer        Defence = "the address that is blocked is the peer's, not the one in X-Forwarded-For"
	LimitUnpacked      Defence = "a compressed message is not unpacked without limit"
	SurviveDepth       Defence = "a deeply nested message does not crash the server"
)

// The defences of input and output.
const (
	ValidateArguments  Defence = "arguments are validated"
	ScreenDecoded      Defence = "arguments are screened after decoding"
	NeedArguments      Defence = "an argument that is needed is not left out"
	RefuseNull         Defence = "null is not a text"
	CountBody          Defence = "the length of a message is counted, also where it is not declared"
	NoNestedSecrets    Defence = "no tool accepts an API key in an object"
	ResourcesAreNames  Defence = "a resource is not opened by an arbitrary path"
	EscapePath         Defence = "the page for an unknown path escapes it"
	NoDebugTool        Defence = "no tool for debugging is listed"
	NoSecretParameters Defence = "no tool accepts an API key as a parameter"
)

// The defences of static tokens and API keys.
const (
	WholeStatic     Defence = "a static token is compared as a whole"
	StaticTools     Defence = "a static token may call its own tools only"
	WithdrawnDies   Defence = "a withdrawn credential is refused"
	ConstantTime    Defence = "static credentials are compared in constant time"
	KeyTools        Defence = "a key may call its own tools only"
	KeyCase         Defence = "the comparison of keys is case-sensitive"
	KeyIsNoBearer   Defence = "a key does not work as a bearer token"
	NoQueryKey      Defence = "a key in the query string is ignored"
	SurviveOddKeys  Defence = "a key that is not ASCII does not crash the server"
	KeyPerRequest   Defence = "every request of a session needs the key"
	KeyUser         Defence = "a key acts for its own user"
	TokenIsNoKey    Defence = "a token does not work as a key"
	BothCredentials Defence = "a key and a token together are refused if either is bad"
	NoAddedRights   Defence = "a key and a token together have no more rights than either"
	ToolNames       Defence = "tools are looked up by their whole name"
)

// The defences of refusals.
const (
	RefuseByStatus     Defence = "a missing or bad token is refused by an HTTP status"
	RefuseBeforeTools  Defence = "requests are refused before a tool runs, not by its result"
	ScopeInChallenge   Defence = "the challenge names the scope"
	SilentRefusals     Defence = "a refusal does not show the credential"
	EscapeDescription  Defence = "a challenge does not quote the credential"
	SameForBrowsers    Defence = "browsers get the same answer as other clients"
	NoSessionOnRefusal Defence = "a refusal sets no session id"
)

// The defences of its metadata.
const (
	MetadataAtPath Defence = "the metadata is at the well-known location for the endpoint's path"
	OpenMetadata   Defence = "the metadata needs no token"
	MetadataCORS   Defence = "browser clients can read the metadata"
	NoSniffing     Defence = "the metadata has X-Content-Type-Options: nosniff"
	FixedHost      Defence = "no URL follows the request's Host or forwarded headers"
	NoFallback     Defence = "unknown paths are answered 404, not 200 with HTML"
	OneMetadata    Defence = "unknown well-known suffixes have no document"
)

// The defences of transport.
const (
	CheckOrigin       Defence = "a foreign Origin is refused"
	AllowOwnOrigin    Defence = "the server's own Origin is allowed"
	OriginEveryVerb   Defence = "Origin is checked at every HTTP method"
	NoReflectedOrigin Defence = "no foreign origin is allowed to read answers with credentials"
	CheckHost         Defence = "a foreign Host is refused"
	OpenPreflight     Defence = "a preflight needs no token"
	ExposeChallenge   Defence = "browser clients can read the challenge"
	CheckVersion      Defence = "an unsupported protocol version is refused"
	CheckHeaders      Defence = "Mcp-Method and Mcp-Name must match the message"
	HSTS              Defence = "answers over https have Strict-Transport-Security"
)

// The defences of sessions.
const (
	NoStatelessSessions  Defence = "the protocol without sessions ignores Mcp-Session-Id"
	BindSession          Defence = "a session belongs to its user"
	ScopesPerRequest     Defence = "scopes are those of the request's token, not of the session's first one"
	SessionOutlivesToken Defence = "a session continues under a new token of its user"
	CheckSession         Defence = "unknown and ended sessions are answered 404"
	OwnSessionIDs        Defence = "a session id that a client chose is not adopted"
	TokenInEveryRequest  Defence = "a session needs a token in each request, also after a good one"
	VerifyBeforeEnding   Defence = "the token is verified before DELETE ends a session"
	MessagesNameStreams  Defence = "a message of the old transport that names no stream goes to none"
)
