package idp

import (
	"crypto/x509"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/mcpauth/conformance/fakes/dpop"
)

// Behaviour is what an authorization server does. Ideal returns the right one.
type Behaviour struct {
	// Places are the well-known forms served: rfc8414, oidc-inserted, oidc-appended,
	// and the mistaken rfc8414-appended.
	Places []string
	// Metadata bends the document of a place before it is encoded.
	Metadata func(place string, doc map[string]any)
	// SignsMetadata adds signed_metadata, and SignedMetadata bends the document then.
	SignsMetadata  bool
	SignedMetadata func(doc map[string]any)
	// TakesRedirect accepts a redirect URI for another one that is registered, and TakesClient an identifier for that of
	// another client.
	TakesRedirect func(registered, sent string) bool
	TakesClient   func(id, sent string) bool
	// KeepsChallenge is what is kept of the code_challenge of a request that is accepted whatever is wrong with it; TakesVerifier accepts
	// a verifier, and RefusesVerifier refuses one, whatever the challenge.
	KeepsChallenge  func(request url.Values) (kept string, ok bool)
	TakesVerifier   func(challenge, method string, form url.Values) bool
	RefusesVerifier func(verifier string) bool
	// TakesRefresh accepts a value for a refresh token that it nearly equals, and TakesCode one for a code; NotSent stands for none.
	// TakesSecret accepts another client secret, by the method with which it is sent.
	TakesRefresh func(issued, sent string) bool
	TakesCode    func(issued, sent string) bool
	TakesSecret  func(right, sent, method string) bool
	// TakesCodeRedirect accepts a redirect URI in a token request for that of the code, and TakesPublic a client_credentials
	// request of a public client by its secret; NotSent stands for none.
	TakesCodeRedirect func(right, sent string) bool
	TakesPublic       func(secret string) bool
	// Widens accepts scopes at a refresh beyond those of the grant, and Retargets a resource.
	Widens    func(granted, requested []string) bool
	Retargets func(resource string) bool
	// RefreshFrom makes a refresh token from the access token beside it: a flaw. Nil: they have nothing in common.
	RefreshFrom func(access string) string
	// RefreshedSeconds is the expires_in of refreshed tokens; the usual one if zero.
	RefreshedSeconds int
	// Wrap wraps the server's handler.
	Wrap func(http.Handler) http.Handler
	// RegistrationNeeds are members without which no client is registered, and ConfirmsGrant a grant type that is registered
	// though it does not exist.
	RegistrationNeeds []string
	ConfirmsGrant     func(grant string) bool
	// State is what is kept of a state; false refuses the request.
	State func(sent string) (kept string, ok bool)
	// Encode replaces the encoding of the document.
	Encode       func(place string, doc map[string]any) string
	ContentType  string
	JWKS         func(doc map[string]any)
	Certificates bool // published keys have x5c, x5t and x5t#S256
	CORS         bool
	FixedHost    bool   // false: URLs follow the request's Host and forwarded headers
	AnyVersion   bool   // false: an unknown MCP-Protocol-Version is answered 400
	NoFallback   bool   // false: unknown paths are answered 200 with HTML
	Redirect     string // answer well-known requests by a redirect to here
	Missing      []string
	UnknownError string // OAuth error for an unknown client
	CrashOnToken bool   // the token endpoint answers 500
	HSTS         bool   // Strict-Transport-Security over https
	Registration string // open, protected, closed, any-token, bare: protected without a challenge

	// Pages is the manner of the login: plain (default), two-pages, javascript, popup, odd.
	Pages string
	// Consent is when users are asked: always (default), once, never.
	Consent string
	// ResponseMode is how answers travel unless the client asks: query (default) or form_post.
	ResponseMode string
	// RefreshTokens is false for a server that issues none.
	NoRefreshTokens bool
	// Response bends a response of an endpoint ("/token", "/register", "/introspect", "/userinfo", or
	// "callback" for the parameters sent to the client).
	Response func(endpoint string, members map[string]any)
	// DocumentRoots are the authorities trusted for client ID metadata documents; nil: none are fetched.
	DocumentRoots *x509.CertPool
	// DefaultScopes are those of clients that register none; nil lets them have any.
	DefaultScopes []string
	// Patience is how long the body of a client ID metadata document may take; half a second if zero.
	Patience time.Duration
	// AccessToken bends header and claims of every access token, which is then signed RS256.
	AccessToken func(header, claims map[string]any)
	// IDToken bends header and claims of every ID token before it is signed RS256.
	IDToken func(header, claims map[string]any)
	// Code makes codes; nil makes random ones.
	Code func() string
	// RefreshToken makes refresh tokens; nil makes random ones.
	RefreshToken func() string
	// Opaque, if set, begins every access token of the code flow; they are no JWTs then.
	Opaque string
	// FormAnswers has token answers form-encoded for clients that do not ask for JSON.
	FormAnswers bool
	// IgnoresResource is a server that has never heard of resource indicators.
	IgnoresResource bool
	// LockTime is how long nobody is let in after too many failures; 60 ms if zero, for tests.
	LockTime time.Duration
	// Resolver is asked for the hosts of client ID metadata documents; nil is the system's.
	Resolver *net.Resolver
	// StateMatches reports that an upstream answer belongs to a request with another state, or none; nil: it never does.
	StateMatches func(kept, got string, sent bool) bool
	// BareCookies are names of cookies that are set without attributes.
	BareCookies []string
	// Believes reports that an assertion is accepted by its header and claims, whatever else is wrong with it; nil: none is.
	Believes func(header, claims map[string]any) bool
	// DPoPLacks is what of a DPoP proof is not looked at.
	DPoPLacks dpop.Part
	// BelievesProof reports that a DPoP proof is accepted by its header and claims, whatever else is wrong with it; nil: none is.
	BelievesProof func(header, claims map[string]any) bool
	Manners
	Registering
	Managing
	// Lacks are the defences that are left out.
	Lacks []Defence
}

func (b *Behaviour) has(d Defence) bool { return !slices.Contains(b.Lacks, d) }

// Ideal is the behaviour that passes every requirement.
func Ideal() Behaviour {
	return Behaviour{
		Places: []string{"rfc8414", "oidc-inserted", "oidc-appended"}, ContentType: "application/json", CORS: true, FixedHost: true,
		AnyVersion: true, NoFallback: true, UnknownError: "invalid_client", Registration: "open", HSTS: true, SignsMetadata: true,
	}
}

// Defence is one thing that the server does right unless Behaviour.Lacks names it.
type Defence string

// The defences of the authorization endpoint and its pages.
const (
	AuthorizeByGet        Defence = "GET is routed at the authorization endpoint"
	AuthenticateUser      Defence = "a user signs in before a code is issued"
	CheckPassword         Defence = "the password is compared"
	KnowClient            Defence = "an unknown client gets an error page, not a redirect"
	RequireClient         Defence = "a missing client_id is refused in order"
	MatchRedirect         Defence = "redirect_uri is one that the client registered"
	MatchWholeRedirect    Defence = "redirect_uri is compared as a whole, not by its beginning"
	KeepRedirectQuery     Defence = "answers are appended to the query of the redirect URI"
	NoDefaultRedirect     Defence = "of two registered redirect URIs none is the default"
	LoopbackAnyPort       Defence = "the port of a loopback redirect URI may vary"
	LoopbackOnlyPort      Defence = "nothing but the port of a loopback redirect URI may vary"
	CheckResponseType     Defence = "an unsupported response_type is refused"
	RequireResponseType   Defence = "a missing response_type is refused"
	NoImplicit            Defence = "no access token leaves the authorization endpoint"
	CheckResponseMode     Defence = "an answer is sent by query unless the client asks otherwise"
	KeepState             Defence = "state is returned exactly"
	NoInventedState       Defence = "no state is returned where none was sent"
	StateOnError          Defence = "errors carry the state"
	SendIssuer            Defence = "answers carry iss"
	OwnIssuer             Defence = "iss is the issuer's, never the request's"
	IssuerOnError         Defence = "errors carry iss"
	RefuseDuplicates      Defence = "a repeated parameter is refused at the authorization endpoint"
	IgnoreUnknown         Defence = "unknown parameters are ignored"
	IgnoreEmpty           Defence = "an empty parameter counts as absent"
	ErrorStatus           Defence = "an error page has an error status"
	SurviveOddInput       Defence = "odd input does not crash the authorization endpoint"
	CleanErrorText        Defence = "error texts quote nothing of the request"
	EncodeAnswers         Defence = "answers are percent-encoded into the redirect"
	EscapePages           Defence = "pages escape what they quote"
	HonourDenial          Defence = "a denial is sent to the client as access_denied"
	HonourPromptNone      Defence = "prompt=none never yields a code without consent"
	RandomCodes           Defence = "codes are random"
	OpaqueCodes           Defence = "codes hold nothing readable"
	NoCORSOnPages         Defence = "pages allow no other origin"
	SeeOther              Defence = "a POST is never redirected with 307"
	NoStoreOnPages        Defence = "pages and redirects are not stored"
	NoFraming             Defence = "pages cannot be framed"
	ContentSecurityPolicy Defence = "pages have a content security policy"
	NoEarlyRedirect       Defence = "errors do not redirect before the user did anything"
	NoRequestObjects      Defence = "request objects that were not verified are refused"
	ServerSideTransaction Defence = "the request is kept by the server, not in the form"
	BindTransaction       Defence = "a transaction belongs to the browser that began it"
	UserPerSession        Defence = "the user is the one of the browser's own session"
	CheckCSRF             Defence = "the consent form needs its token"
	ConsentPost           Defence = "consent is given by POST only"
	ConsentNamesClient    Defence = "the consent page names the client"
	ConsentNamesScopes    Defence = "the consent page names the scopes"
	ConsentNamesRedirect  Defence = "the consent page names the host that gets the answer"
	ConsentedScopesOnly   Defence = "scopes that were not requested cannot be approved"
	LoginCSRF             Defence = "the login form needs its token"
	SameLoginError        Defence = "a wrong password and an unknown user look alike"
	FreshSession          Defence = "the session id changes at login"
	CookieAttributes      Defence = "cookies are HttpOnly and SameSite, and Secure over https"
	LoginByPost           Defence = "credentials are accepted by POST only"
	OwnPagesOnly          Defence = "pages load nothing from others"
	FixedReturn           Defence = "no return URL is taken from the request"
	NoDemoCredentials     Defence = "there are no well-known credentials"
)

// The defences of PKCE.
const (
	RequireChallenge             Defence = "a request without code_challenge is refused"
	RequireChallengeConfidential Defence = "a request of a confidential client without code_challenge is refused"
	RefusePlain                  Defence = "code_challenge_method plain is refused"
	NoDefaultMethod              Defence = "a missing code_challenge_method is refused"
	KnowMethod                   Defence = "an unknown code_challenge_method is refused"
	CheckChallengeFormat         Defence = "a code_challenge that is no SHA-256 hash is refused"
	RequireVerifier              Defence = "a missing code_verifier is refused"
	CheckVerifier                Defence = "a wrong code_verifier is refused"
	WholeVerifier                Defence = "the code_verifier is compared as a whole"
	HashVerifier                 Defence = "the code_challenge itself is no code_verifier"
	LongVerifiers                Defence = "verifiers of every legal length work"
	CheckVerifierFormat          Defence = "a code_verifier outside the legal form is refused"
	Base64URLChallenge           Defence = "the hash is compared in base64url"
	URLAlphabet                  Defence = "the characters - and _ of a challenge are understood"
	NoDowngrade                  Defence = "a code_verifier without code_challenge is refused"
	ChallengePerCode             Defence = "each code keeps its own code_challenge"
	PKCEErrors                   Defence = "errors about PKCE have their own code"
)

// The defences of the token endpoint and of refreshing.
const (
	TokenJSON            Defence = "token answers are JSON with status 200"
	TokenNoStore         Defence = "token answers are not stored"
	NumericExpiry        Defence = "expires_in is a number of seconds"
	ShortLived           Defence = "access tokens live an hour"
	UniqueTokens         Defence = "no two access tokens are alike"
	ReportScope          Defence = "the granted scope is reported as it is"
	PostOnly             Defence = "parameters are read from the body only"
	MediaTypeParameters  Defence = "parameters of the media type are allowed"
	FormOnly             Defence = "JSON bodies are refused"
	RefuseRepeated       Defence = "a repeated parameter is refused at the token endpoint"
	IgnoreUnknownAtToken Defence = "unknown and empty parameters are ignored at the token endpoint"
	GrantErrors          Defence = "an unknown grant type is answered in order"
	NoPasswordGrant      Defence = "the password grant does not exist"
	NoPublicCredentials  Defence = "a public client gets no token for itself"
	KnowCodes            Defence = "a code that was never issued is refused in order"
	SingleUse            Defence = "a code works once"
	AtomicCodes          Defence = "a code works once, also at once"
	ReplayRevokes        Defence = "a replayed code revokes what it brought"
	ReplayNeedsProof     Defence = "a replay by somebody else revokes nothing"
	CodeClient           Defence = "a code belongs to its client"
	CodePublic           Defence = "a code is of no use to another public client"
	CodeConfidential     Defence = "a code is of no use to a confidential client that did not get it"
	CodeNamed            Defence = "a token request without client_id is refused"
	ReplayNeedsClient    Defence = "a used code of another client revokes nothing"
	ReplayKillsAccess    Defence = "the access tokens of a replayed code end"
	CodeRedirect         Defence = "a code belongs to its redirect URI"
	OptionalRedirect     Defence = "a missing redirect_uri does not crash the token endpoint"
	BasicChallenge       Defence = "a failed Basic authentication is challenged"
	CheckSecret          Defence = "the client secret is compared"
	PinMethod            Defence = "a client authenticates by its registered method"
	SecretByPost         Defence = "client_secret_post works"
	SecretByBasic        Defence = "client_secret_basic works without client_id in the body"
	OneClient            Defence = "header and body name one client"
	ErrorShape           Defence = "errors are JSON with an error status"
	SilentErrors         Defence = "errors echo no secret"
	CORSOnErrors         Defence = "errors can be read by browser clients too"
	RegisteredGrants     Defence = "a client uses its registered grant types only"
	KnowTokenType        Defence = "one kind of token is not treated as another"
	BoundedInput         Defence = "oversized input is refused"
	TokenClaims          Defence = "access tokens name issuer, audience and expiry"
	RotateRefresh        Defence = "refresh tokens rotate"
	OldRefreshDies       Defence = "a used refresh token is refused"
	ReuseRevokesFamily   Defence = "the reuse of a refresh token revokes its family"
	ReuseKillsAccess     Defence = "the reuse of a refresh token kills its access tokens"
	OneLineage           Defence = "two refreshes at once leave one lineage"
	RefreshClient        Defence = "a refresh token belongs to its client"
	RefreshPublic        Defence = "a refresh token is of no use to another public client"
	RefreshConfidential  Defence = "a refresh token is of no use to a confidential client that did not receive it"
	RefreshNamed         Defence = "a refresh without client_id is refused"
	RefreshUnharmed      Defence = "an attempt of another client does not end a refresh token"
	OwnSecret            Defence = "a secret is compared with that of the client that is named"
	RefreshNeedsSecret   Defence = "a confidential client authenticates when it refreshes"
	NarrowOnce           Defence = "a narrowed refresh leaves the grant as it was"
	NoWidening           Defence = "a refresh cannot widen the scope"
	KnowRefresh          Defence = "a refresh token that was never issued is refused in order"
	RandomRefresh        Defence = "refresh tokens are random"
	FreshAccess          Defence = "a refresh yields a new access token"
	NoSideDoor           Defence = "there is no second refresh endpoint"
	SideDoorKnows        Defence = "the second refresh endpoint refuses what was never issued"
	SideDoorClient       Defence = "the second refresh endpoint asks for the client"
	SideDoorRotates      Defence = "the second refresh endpoint refuses what was used"
	WorkingRefresh       Defence = "an issued refresh token works"
	KnownScopes          Defence = "unknown scopes are never granted"
	ScopeCase            Defence = "scopes are compared with case"
	NoScopeAtToken       Defence = "a code's scope cannot be widened at the token endpoint"
	RequestedScopesOnly  Defence = "no more is granted than was requested"
	NamedDefaultScope    Defence = "a request without scope gets a modest default"
	ObtainableScopes     Defence = "the advertised scopes can be obtained"
	StepUp               Defence = "a second request may add a scope"
	KnowResource         Defence = "the resource parameter is understood"
	BindAudience         Defence = "the audience is the requested resource"
	KnownResources       Defence = "unknown resources are refused"
	WholeResource        Defence = "resources are compared as a whole"
	CodeResources        Defence = "the token request selects among the resources of the grant"
	RefreshResources     Defence = "a refresh selects among the resources of the grant"
	RefreshNoResource    Defence = "a refresh without resource keeps that of the grant"
	RefreshSameResource  Defence = "a refresh for the resource of the grant keeps it"
	EveryResource        Defence = "of several resources every one is looked at"
	OneDefaultResource   Defence = "a token that was requested without resource is meant for one"
	ResourceForm         Defence = "a malformed resource is refused"
	SignedTokens         Defence = "JWTs are signed with a published key"
	StrongKeys           Defence = "no JWT is signed with a guessable secret"
	RightIDToken         Defence = "ID tokens name their client and carry the nonce"
)

// The defences of registration, revocation, introspection and userinfo.
const (
	RegisterCreated       Defence = "a registration is answered 201"
	EchoMetadata          Defence = "the registered metadata is returned"
	NoNulls               Defence = "absent metadata is left out"
	NoSecretForPublic     Defence = "public clients get no secret"
	SecretExpiry          Defence = "a secret comes with its expiry"
	WorkingSecret         Defence = "the issued secret works"
	RegistrationDefaults  Defence = "defaults are stated"
	IgnoreUnknownMetadata Defence = "unknown metadata is ignored"
	AnyApplicationType    Defence = "application_type native is allowed"
	SafeSchemes           Defence = "dangerous redirect schemes are refused"
	NoPlainHTTP           Defence = "http redirect URIs are loopback only"
	ExactLoopback         Defence = "hosts that look like loopback are refused"
	NoFragments           Defence = "redirect URIs with a fragment are refused"
	AbsoluteRedirects     Defence = "redirect URIs are absolute"
	NoWildcards           Defence = "redirect URIs are no patterns"
	PrivateSchemes        Defence = "private schemes have a dot"
	RequireRedirects      Defence = "redirect_uris is required"
	RegistrationErrors    Defence = "registration errors have the RFC's form"
	SurviveOddBodies      Defence = "odd bodies do not crash registration"
	ConsistentTypes       Defence = "grant and response types fit each other"
	NoPrivilegedGrants    Defence = "self-registered clients get redirect-based grants only"
	RegisteredScope       Defence = "a client gets its registered scopes only"
	OwnIDs                Defence = "identifiers are the server's choice"
	RandomSecrets         Defence = "client secrets are random"
	RegisterNoStore       Defence = "registration answers are not stored"
	NoClientList          Defence = "clients cannot be listed"
	ClientsKept           Defence = "a registered client is known everywhere"
	LoopbackRegistered    Defence = "loopback redirect URIs can be registered"
	NoUnsignedStatements  Defence = "unsigned software statements count for nothing"
	DistinctClients       Defence = "every registration gets an identifier of its own"
	ManagementToken       Defence = "a registration is managed with its own token"
	RevalidateUpdates     Defence = "updates are validated like registrations"
	DeleteClients         Defence = "a deleted client is gone"
	RevokeRefresh         Defence = "a revoked refresh token is dead"
	RevokeAccess          Defence = "a revoked access token is dead"
	RevokeGrant           Defence = "revoking a refresh token kills its access tokens"
	RevokeUnknown         Defence = "revoking an unknown token is answered 200"
	RevokeOwn             Defence = "a client revokes its own tokens only"
	RevokeAuthenticates   Defence = "a confidential client authenticates when it revokes"
	RevokePublic          Defence = "public clients may revoke"
	RevokeAnyHint         Defence = "token_type_hint is only a hint"
	RevokeByPost          Defence = "tokens are revoked by POST only"
	RevokeCORS            Defence = "browser clients may revoke"
	IntrospectAuth        Defence = "introspection needs credentials"
	IntrospectErrors      Defence = "bad credentials are refused in order"
	IntrospectShape       Defence = "introspection answers have the RFC's types"
	IntrospectState       Defence = "dead tokens are inactive"
	IntrospectSilence     Defence = "inactive answers say nothing else"
	IntrospectOwn         Defence = "a client sees its own tokens only"
	IntrospectAnyHint     Defence = "the hint does not hide a token"
	IntrospectTypes       Defence = "refresh tokens do not pass for access tokens"
	NoTokenInfo           Defence = "there is no unguarded tokeninfo endpoint"
	UserinfoChallenge     Defence = "userinfo challenges"
	UserinfoSubject       Defence = "userinfo names the subject"
	UserinfoScopes        Defence = "userinfo answers by scope"
	UserinfoState         Defence = "userinfo refuses dead tokens"
	UserinfoOpenID        Defence = "userinfo needs the scope openid"
	UserinfoHeaderOnly    Defence = "userinfo takes no token from the query"
	UserinfoClean         Defence = "userinfo holds no credential"
)

// The defences of client ID metadata documents.
const (
	DocumentsAtAll    Defence = "documents are fetched at all"
	DocumentURLs      Defence = "only a proper https URL is a client identifier"
	DocumentIdentity  Defence = "a document names its own address as client_id"
	DocumentContent   Defence = "a document without redirect_uris is refused"
	DocumentRedirects Defence = "redirects to a document are not followed"
	DocumentSecrets   Defence = "a document holds no shared secret"
	DocumentFailures  Defence = "a document that cannot be fetched names no client"
	DocumentRetries   Defence = "a failure is not remembered"
	DocumentFreshness Defence = "a document is fetched again when it is stale"
	DocumentSize      Defence = "a document is small"
	DocumentTime      Defence = "a document that takes long is given up"
	DocumentAddresses Defence = "documents are not fetched from private addresses"
	DocumentHosts     Defence = "the consent page names the host of the document"
	LocalhostWarning  Defence = "the consent page warns of an application on the user's own machine"
)

// The defences of a proxy before another authorization server.
const (
	ProxyConsent          Defence = "users are asked about every client, before the proxy's own identity is used upstream"
	ConsentBeforeUpstream Defence = "users are asked before they are sent upstream"
	ConsentNamesUpstream  Defence = "the consent page names what is asked of the upstream"
	SealedApprovals       Defence = "the cookie that remembers approvals is sealed"
	ApprovalPerClient     Defence = "an approval counts for one client"
	BindAfterConsent      Defence = "the browser is bound to its upstream request by the approval"
	BindUpstreamState     Defence = "an upstream answer counts in the browser that was sent there"
	CheckUpstreamState    Defence = "an upstream answer without a known state counts for nothing"
	FreshUpstreamState    Defence = "every upstream request has a state of its own"
	ModestUpstreamRequest Defence = "the upstream is asked for what the proxy needs, and no more"
	OwnTokens             Defence = "no token of the upstream leaves the proxy"
	OnlyOwnTokens         Defence = "tokens of the upstream count for nothing"
	UpstreamErrors        Defence = "errors of the upstream become errors for the client"
	UpstreamStateOnce     Defence = "a state counts for one upstream answer"
	VerifyUpstreamIDToken Defence = "the upstream's ID token is verified"
	AccountsBySubject     Defence = "accounts are told apart by subject, not by e-mail"
	FollowUpstream        Defence = "nothing is refreshed here that has ended upstream"
)

// The defences of clients that authenticate by a key, or act for themselves.
const (
	VerifyAssertions   Defence = "the signature of a client assertion is verified"
	AssertionClaims    Defence = "issuer, subject, audience and expiry of a client assertion are checked"
	AssertionsAlone    Defence = "a client assertion names its client by itself"
	DocumentKeys       Defence = "a client whose document holds a key authenticates by it"
	CredentialsScope   Defence = "a client that acts for itself gets its own scopes only"
	CredentialsRefresh Defence = "client credentials bring no refresh token"
	MachineSubject     Defence = "a client that acts for itself is its own subject"
	MachineNoUser      Defence = "userinfo knows no client"
)

// The defences against guessing.
const (
	LimitPasswords Defence = "passwords are not guessed at full speed"
	LimitByAccount Defence = "guesses are counted by account, not by what a header says of the address"
	LimitSecrets   Defence = "client secrets are not guessed at full speed"
	ManyRefreshes  Defence = "ten refreshes in a row are nothing out of the ordinary"
)

// The defences of time, and of pushed requests.
const (
	AccessExpires   Defence = "introspection and userinfo look at the expiry of an access token"
	CodesExpire     Defence = "codes expire"
	RefreshExpires  Defence = "refresh tokens that lie idle expire"
	PushedByOwner   Defence = "a client that pushes a request authenticates"
	PushedClient    Defence = "a pushed request belongs to its client"
	PushedOnce      Defence = "a pushed request brings one code"
	PushedAlone     Defence = "of a pushed request, no parameter is taken from the query"
	PushedValidated Defence = "a pushed request is validated when it is pushed"
)

// The defences around sender-constrained tokens.
const (
	NoSniffing    Defence = "browsers are told not to guess what the metadata is"
	DPoPOffered   Defence = "tokens are bound to a key on request, and the metadata says so"
	DPoPOnRequest Defence = "a token that is requested with a proof is a DPoP token (which is optional)"
	DPoPBinding   Defence = "a token that is requested with a proof is bound to its key"
	DPoPRefresh   Defence = "the refresh token of a public client is bound to its key"
)

// The defences of identity assertions and of token exchange.
const (
	AssertionsForConfidential Defence = "identity assertions are for confidential clients"
	AssertionType             Defence = "an identity assertion says what it is"
	AssertionAudience         Defence = "an identity assertion is meant for this server"
	AssertionClient           Defence = "an identity assertion names the client that sends it"
	AssertionTime             Defence = "an identity assertion is of now"
	AssertionIssuer           Defence = "only the enterprise is asked for its keys"
	AssertionSignature        Defence = "the signature of an identity assertion is verified"
	AssertionScope            Defence = "no scope is granted beyond the assertion's"
	AssertionResource         Defence = "the token is for the assertion's resource"
	AssertionRefresh          Defence = "an identity assertion brings no refresh token"
	ExchangeForConfidential   Defence = "token exchange is for confidential clients"
	ExchangeVerifies          Defence = "a subject token is verified"
	ExchangeNarrows           Defence = "an exchanged token is no more powerful than its subject token"
)

// The defences of load and privilege.
const (
	LimitErrors         Defence = "errors at the token endpoint are limited, for a client"
	ErrorLimitStatus    Defence = "a limit at the token endpoint is answered 429"
	LimitRegistrations  Defence = "registrations under one name are limited"
	GrantsEnd           Defence = "what a user removes from the list of applications ends"
	RandomDeviceCodes   Defence = "device codes cannot be guessed"
	DeviceNeedsUser     Defence = "a device gets a token when its user has allowed it"
	DeviceClient        Defence = "a device code belongs to its client"
	DeviceOnce          Defence = "a device code brings one token"
	LogoutEnds          Defence = "who signs out is signed out"
	LogoutStays         Defence = "nobody is sent to an address after signing out that no client registered"
	SameClientOnRefresh Defence = "a refreshed token names the client that refreshed it"
	SameUserOnRefresh   Defence = "a refreshed token stands for the user who signed in"
	PinnedAddress       Defence = "a document is fetched from the address that was checked"
	LimitFetches        Defence = "strangers do not make the server fetch at full speed"
	BrowserIDToken      Defence = "an ID token that a browser brings is verified"
	UpstreamStatus      Defence = "an access token ends with the upstream session that it is bound to"
	PrivilegedUsers     Defence = "a scope that belongs to some users is granted by no other"
)
