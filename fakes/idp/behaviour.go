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
	// Metadata changes the document of a place before it is encoded.
	Metadata func(place string, doc map[string]any)
	// SignedMetadata changes the document once signed_metadata is in it.
	SignedMetadata func(doc map[string]any)
	// TakesRedirect accepts a redirect URI instead of another one that is registered, and TakesClient an identifier instead of that of
	// another client.
	TakesRedirect func(registered, sent string) bool
	TakesClient   func(id, sent string) bool
	// KeepsChallenge is what is kept of the code_challenge of a request that is accepted in spite of a bad one; TakesVerifier accepts a
	// verifier, and RefusesVerifier refuses one, with any challenge.
	KeepsChallenge  func(request url.Values) (kept string, ok bool)
	TakesVerifier   func(challenge, method string, form url.Values) bool
	RefusesVerifier func(verifier string) bool
	// TakesRefresh accepts a value instead of a refresh token that it nearly equals, and TakesCode one instead of a code; NotSent
	// stands for none. TakesSecret accepts another client secret, by the method with which it is sent.
	TakesRefresh func(issued, sent string) bool
	TakesCode    func(issued, sent string) bool
	TakesSecret  func(right, sent, method string) bool
	// TakesAssertion authenticates the client that a request names, with any assertion; TakesSubject accepts a subject token that no
	// issuer has issued.
	TakesAssertion func(request url.Values) bool
	TakesSubject   func(sent string) bool
	// TakesCodeRedirect accepts a redirect URI in a token request for that of the code, and TakesPublic a client_credentials
	// request of a public client by its secret; NotSent stands for none.
	TakesCodeRedirect func(right, sent string) bool
	TakesPublic       func(secret string) bool
	// Widens accepts scopes at a refresh that are not in the grant, and Retargets a resource.
	Widens    func(granted, requested []string) bool
	Retargets func(resource string) bool
	// RefreshFrom derives the refresh token from the access token that is issued with it: a flaw. Nil: they are unrelated.
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
	Certificates bool   // published keys have x5c, x5t and x5t#S256
	Redirect     string // answer well-known requests by a redirect to here
	Missing      []string
	UnknownError string // OAuth error for an unknown client
	Registration string // open, protected, closed, any-token, bare: protected without a challenge

	// Pages is the kind of login pages: plain (default), two-pages, javascript, popup, odd.
	Pages string
	// Consent is when users are asked: always (default), once, never.
	Consent string
	// ResponseMode is how answers travel unless the client asks: query (default) or form_post.
	ResponseMode string
	// RefreshTokens is false for a server that issues none.
	NoRefreshTokens bool
	// NoPublicRefresh issues them to confidential clients only.
	NoPublicRefresh bool
	// Response changes a response of an endpoint ("/token", "/register", "/introspect", "/userinfo", or "callback" for the parameters
	// sent to the client).
	Response func(endpoint string, members map[string]any)
	// DocumentRoots are the authorities trusted for client ID metadata documents; nil: none are fetched.
	DocumentRoots *x509.CertPool
	// DefaultScopes are those of clients that register none; nil lets them have any.
	DefaultScopes []string
	// Patience is how long the body of a client ID metadata document may take; half a second if zero.
	Patience time.Duration
	// AccessToken changes header and claims of every access token, which is then signed RS256.
	AccessToken func(header, claims map[string]any)
	// IDToken changes header and claims of every ID token before it is signed RS256.
	IDToken func(header, claims map[string]any)
	// Code makes codes; nil makes random ones.
	Code func() string
	// RefreshToken makes refresh tokens; nil makes random ones.
	RefreshToken func() string
	// Opaque, if set, begins every access token of the code flow; they are not JWTs then.
	Opaque string
	// FormAnswers sends form-encoded token answers to clients that do not ask for JSON.
	FormAnswers bool
	// IgnoresResource is a server that does not know resource indicators.
	IgnoresResource bool
	// LockTime is how long all logins are refused after too many failures; 60 ms if zero, for tests.
	LockTime time.Duration
	// Resolver is asked for the hosts of client ID metadata documents; nil is the system's.
	Resolver *net.Resolver
	// StateMatches reports that an upstream answer belongs to a request with another state, or none; nil: it never does.
	StateMatches func(kept, got string, sent bool) bool
	// BareCookies are names of cookies that are set without attributes.
	BareCookies []string
	// Believes reports that an assertion is accepted by its header and claims alone; nil: none is.
	Believes func(header, claims map[string]any) bool
	// DPoPLacks are the parts of a DPoP proof that are not checked.
	DPoPLacks dpop.Part
	// BelievesProof reports that a DPoP proof is accepted by its header and claims alone; nil: none is.
	BelievesProof func(header, claims map[string]any) bool
	Manners
	Registering
	Managing
	// Lacks are the defences that are left out.
	Lacks []Defence
}

func (b *Behaviour) has(d Defence) bool { return !slices.Contains(b.Lacks, d) }

// Ideal is the behaviour that satisfies every requirement.
func Ideal() Behaviour {
	return Behaviour{
		Places: []string{"rfc8414", "oidc-inserted", "oidc-appended"}, ContentType: "application/json", UnknownError: "invalid_client",
		Registration: "open",
	}
}
