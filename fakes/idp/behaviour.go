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

// Behaviour configures an authorization server. Ideal returns the right configuration.
type Behaviour struct {
	// Places are the well-known locations that are served: rfc8414, oidc-inserted, oidc-appended, and the mistaken rfc8414-appended.
	Places []string
	// Metadata changes the document of a location before it is encoded.
	Metadata func(place string, doc map[string]any)
	// SignedMetadata changes the document after signed_metadata is added.
	SignedMetadata func(doc map[string]any)
	// TakesRedirect accepts a redirect URI instead of a registered one, and TakesClient an identifier instead of another client's.
	TakesRedirect func(registered, sent string) bool
	TakesClient   func(id, sent string) bool
	// KeepsChallenge returns the stored form of a bad code_challenge that is accepted. TakesVerifier accepts a verifier, and
	// RefusesVerifier refuses one, whatever the challenge.
	KeepsChallenge  func(request url.Values) (kept string, ok bool)
	TakesVerifier   func(challenge, method string, form url.Values) bool
	RefusesVerifier func(verifier string) bool
	// TakesRefresh accepts a value instead of a similar refresh token, and TakesCode a value instead of a code; NotSent means that none was
	// sent. TakesSecret accepts another client secret, depending on how it is sent.
	TakesRefresh func(issued, sent string) bool
	TakesCode    func(issued, sent string) bool
	TakesSecret  func(right, sent, method string) bool
	// TakesDevice accepts a value instead of a similar device code, and TakesPushed instead of a similar request_uri.
	TakesDevice func(issued, sent string) bool
	TakesPushed func(issued, sent string) bool
	// TakesAssertion authenticates the client that a request names, whatever the assertion. TakesSubject accepts a subject token that no
	// issuer has issued.
	TakesAssertion func(request url.Values) bool
	TakesSubject   func(sent string) bool
	// TakesCodeRedirect accepts a redirect URI in a token request instead of the code's, and TakesPublic a client_credentials request of a
	// public client with this secret; NotSent means that none was sent.
	TakesCodeRedirect func(right, sent string) bool
	TakesPublic       func(secret string) bool
	// TakesResource returns the audience for a resource that is not the server's own; false where it is not accepted.
	TakesResource func(own, sent string) (audience string, ok bool)
	// Widens accepts scopes at a refresh that are not in the grant, and Retargets accepts another resource.
	Widens    func(granted, requested []string) bool
	Retargets func(resource string) bool
	// RefreshFrom derives the refresh token from the access token issued with it: a flaw. Nil: they are unrelated.
	RefreshFrom func(access string) string
	// TellsUpstream is the endpoint of a proxy whose response has a token of the upstream, "refresh", or "ID token" for its claims: a flaw.
	TellsUpstream string
	// RedeemsUpstream makes a proxy redeem at its upstream a code that is not its own: a flaw.
	RedeemsUpstream bool
	// RefreshedSeconds is the expires_in of refreshed tokens; if zero, the usual one.
	RefreshedSeconds int
	// Wrap wraps the server's handler.
	Wrap func(http.Handler) http.Handler
	// RegistrationNeeds are members that every registration must have, and ConfirmsGrant reports the grant types that are registered though
	// they do not exist.
	RegistrationNeeds []string
	ConfirmsGrant     func(grant string) bool
	// State returns the stored form of a state; false refuses the request.
	State func(sent string) (kept string, ok bool)
	// Encode replaces the encoding of the document.
	Encode       func(place string, doc map[string]any) string
	ContentType  string
	JWKS         func(doc map[string]any)
	Certificates bool   // published keys have x5c, x5t and x5t#S256
	Redirect     string // redirect well-known requests to this address
	Missing      []string
	UnknownError string // OAuth error for an unknown client
	Registration string // open, protected, closed, any-token, bare: protected without a challenge

	// Pages is the kind of login pages: plain (default), two-pages, password (no name is asked for), javascript, popup, odd.
	Pages string
	// Consent says when users are asked: always (default), once, never.
	Consent string
	// ResponseMode is used unless the client asks for another: query (default) or form_post.
	ResponseMode string
	// NoRefreshTokens issues no refresh tokens.
	NoRefreshTokens bool
	// NoPublicRefresh issues refresh tokens to confidential clients only.
	NoPublicRefresh bool
	// Response changes a response of an endpoint: "/token", "/register", "/introspect", "/userinfo", "refresh" and "credentials" for the
	// token responses of these grants, or "callback" for the parameters that are sent to the client.
	Response func(endpoint string, members map[string]any)
	// DocumentRoots are the authorities trusted for client ID metadata documents; nil: no document is fetched.
	DocumentRoots *x509.CertPool
	// DefaultScopes are the scopes of clients that register none; nil: any scope.
	DefaultScopes []string
	// DropsScopes grants a request without the scopes that its client did not register, where others refuse it. No answer to a
	// registration without scopes says so.
	DropsScopes bool
	// Patience is the time limit for the body of a client ID metadata document; if zero, half a second.
	Patience time.Duration
	// AccessToken changes the header and claims of every access token, which is then signed with RS256.
	AccessToken func(header, claims map[string]any)
	// SessionOf makes the value of a user's session cookie, if set; otherwise it is random. UserOf finds a user in a request without a
	// known session, if set.
	SessionOf func(user string) string
	UserOf    func(r *http.Request, session string) string
	// IDToken changes the header and claims of every ID token before it is signed with RS256.
	IDToken func(header, claims map[string]any)
	// Code makes codes; nil: random ones.
	Code func() string
	// RefreshToken makes refresh tokens; nil: random ones.
	RefreshToken func() string
	// Opaque, if set, is the prefix of every access token of the code flow, which is then not a JWT.
	Opaque string
	// FormAnswers sends form-encoded token responses to clients that do not ask for JSON.
	FormAnswers bool
	// IgnoresResource ignores resource indicators.
	IgnoresResource bool
	// SecretAnywhere takes the secret of a client by either method, as most services for other applications do.
	SecretAnywhere bool
	// UserAddsScopes says that a consent form may name scopes that were not requested.
	UserAddsScopes bool
	// LimitOfOthers is the status of all token requests while one client is over its limit of errors; if zero, they are served.
	LimitOfOthers int
	// LockTime is how long all logins are refused after too many failures; if zero, 60 ms.
	LockTime time.Duration
	// Resolver resolves the hosts of client ID metadata documents; nil: the system's resolver.
	Resolver *net.Resolver
	// StateMatches accepts an upstream answer with another state, or without one; nil: never.
	StateMatches func(kept, got string, sent bool) bool
	// BareCookies are the names of cookies that are set without attributes.
	BareCookies []string
	// Believes accepts an assertion by its header and claims alone; nil: never.
	Believes func(header, claims map[string]any) bool
	// DPoPLacks is the part of a DPoP proof that is not checked.
	DPoPLacks dpop.Part
	// BelievesProof accepts a DPoP proof by its header and claims alone; nil: never.
	BelievesProof func(header, claims map[string]any) bool
	Manners
	Registering
	Managing
	// Lacks are the missing defences.
	Lacks []Defence
}

func (b *Behaviour) has(d Defence) bool { return !slices.Contains(b.Lacks, d) }

// Ideal returns the behaviour that satisfies every requirement.
func Ideal() Behaviour {
	return Behaviour{
		Places: []string{"rfc8414", "oidc-inserted", "oidc-appended"}, ContentType: "application/json", UnknownError: "invalid_client",
		Registration: "open",
	}
}
