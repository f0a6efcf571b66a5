package target

import (
	"net/netip"
	"strings"
	"time"
)

// Served are the servers that the suite runs while it tests, because the target was set up to trust them or to call them.
type Served struct {
	// FakeIDP is an authorization server run by the suite that the target trusts: tier T3.
	FakeIDP *FakeIDP `yaml:"fake_idp"`
	// SecondIDP is another issuer that the target trusts, beside fake_idp: tier T3.
	SecondIDP *SecondIDP `yaml:"second_idp"`
	// EnterpriseIDP is an identity provider whose identity assertions the authorization server accepts: tier T3.
	EnterpriseIDP EnterpriseIDP `yaml:"enterprise"`
	// UpstreamIDP is the authorization server at which the target, as a proxy, signs the users under login in: tier T3.
	UpstreamIDP *UpstreamIDP `yaml:"upstream"`
	// UpstreamAPI is where tools with upstream: true call the suite instead of a third-party API: tier T3.
	UpstreamAPI *Listener `yaml:"upstream_api"`
	// IntrospectionAt is where the target introspects opaque tokens (RFC 7662), at http://LISTEN/introspect: tier T3.
	IntrospectionAt *Listener `yaml:"introspection"`
	// Verify is where the target verifies tokens with its own protocol, at http://LISTEN + path: tier T3.
	Verify Verify `yaml:"verify"`
	// RebindingZone is a DNS zone of names whose address changes, for client ID metadata documents: tier T3.
	RebindingZone *RebindingZone `yaml:"rebinding"`
}

// FakeIDP is an authorization server that the target trusts.
type FakeIDP struct {
	// Listen is the address at which it listens.
	Listen string `yaml:"listen" need:"yes"`
	// Issuer is its issuer identifier.
	Issuer string `yaml:"issuer" need:"yes"`
	// Audience is the aud of tokens for the target.
	Audience string `yaml:"audience" need:"yes"`
	// Algorithm is the algorithm of its signatures; RS256 if absent. For HS256 use shared_secret.
	Algorithm string `yaml:"algorithm" enum:"RS256,ES256,EdDSA"`
	// Key is the RSA key that signs RS256, in PEM; one that is published with this program if absent.
	Key string `yaml:"key" secret:"yes"`
}

// SecondIDP is another issuer that the target trusts.
type SecondIDP struct {
	// Listen is the address at which its keys are served.
	Listen string `yaml:"listen" need:"yes"`
	// Issuer is its issuer identifier.
	Issuer string `yaml:"issuer" need:"yes"`
	// Audience is the aud of tokens for the target.
	Audience string `yaml:"audience" need:"yes"`
}

// Runs reports whether mcpauth runs an issuer that the target trusts: fake_idp or second_idp.
func (t *Target) Runs(issuer string) bool {
	is := func(own string) bool { return strings.TrimSuffix(issuer, "/") == strings.TrimSuffix(own, "/") }
	return t.FakeIDP != nil && is(t.FakeIDP.Issuer) || t.SecondIDP != nil && is(t.SecondIDP.Issuer)
}

// EnterpriseIDP is an identity provider of enterprise-managed authorization.
type EnterpriseIDP struct {
	// Listen is the address at which it listens.
	Listen string `yaml:"listen" need:"yes"`
	// Issuer is its issuer identifier.
	Issuer string `yaml:"issuer" need:"yes"`
	// Subject is a user of the authorization server; alice if absent.
	Subject string `yaml:"subject"`
}

// UpstreamIDP is an authorization server at which a proxy signs its users in.
type UpstreamIDP struct {
	// Listen is the address at which it listens.
	Listen string `yaml:"listen" need:"yes"`
	// Issuer is its issuer identifier.
	Issuer string `yaml:"issuer" need:"yes"`
	// ClientID is the target's client there.
	ClientID string `yaml:"client_id" need:"yes"`
	// ClientSecret is that client's secret.
	ClientSecret string `yaml:"client_secret" need:"yes" secret:"yes"`
	// RedirectURI is the target's callback.
	RedirectURI string `yaml:"redirect_uri" need:"yes"`
}

// Listener is an address at which the target calls the suite.
type Listener struct {
	// Listen is the address.
	Listen string `yaml:"listen" need:"yes"`
}

// Verify is an endpoint of the suite at which the target validates tokens.
type Verify struct {
	// Listen is the address.
	Listen string `yaml:"listen" need:"yes"`
	// Path is the path of the endpoint.
	Path string `yaml:"path" need:"yes"`
	// Accepts is the body of the answer for a valid token.
	Accepts string `yaml:"accepts" need:"yes"`
}

// RebindingZone is a DNS zone in which each name resolves to a public address the first time, and to a private one afterwards.
type RebindingZone struct {
	// Listen is where DNS queries for the zone are answered, by UDP.
	Listen string `yaml:"listen" need:"yes"`
	// Zone is the name of the zone.
	Zone string `yaml:"zone" need:"yes"`
	// Public is the address of the first answer, where the documents are.
	Public netip.Addr `yaml:"public" need:"yes"`
	// Private is the address of later answers, one of this machine.
	Private netip.Addr `yaml:"private" need:"yes"`
	// Port is the port at both addresses.
	Port string `yaml:"port" need:"yes"`
}

// Controlled are servers that the tester runs, as Go values. A target file names their addresses instead: see Served.
type Controlled struct {
	// Issuer, if set, mints tokens that the target trusts: tier T3.
	Issuer Issuer
	// SecondIssuer, if set, is another issuer whose tokens the target trusts. It has its own key, preferably with the same kid.
	SecondIssuer Issuer
	// Enterprise, if set, signs identity assertions that the authorization server accepts (enterprise-managed
	// authorization): tier T3.
	Enterprise Issuer
	// Upstream, if set, is where the target's users sign in: tier T3.
	Upstream Upstream
	// Clock, if set, moves the target's clock, so that checks need not wait for codes and tokens to expire.
	Clock Clock
}

// Issuer is an authorization server under the user's control, whose tokens the target trusts.
type Issuer interface {
	// Identifier is its issuer identifier.
	Identifier() string
	// Claims are the claims of an ordinary access token for the target.
	Claims(subject string, scopes []string) map[string]any
	// Header is the JOSE header of an ordinary access token.
	Header() map[string]any
	// Signature signs a JWS signing input with the key that Header names.
	Signature(input []byte) ([]byte, error)
}

// KeyServer is an Issuer that publishes its keys, and lets the suite change what it publishes for a while.
type KeyServer interface {
	Issuer
	// ServeKeys sets a function that makes the answer to each request for the key set from the ordinary set; nil restores the
	// ordinary answer. A status of 0 closes the connection.
	ServeKeys(func(ordinary map[string]any) (status int, mediaType, body string))
	// KeyFetches is the number of requests for the key set, including those of the suite.
	KeyFetches() int
}

// Upstream is an authorization server under the user's control at which the target, as a proxy, signs its users in.
type Upstream interface {
	// Identifier is its issuer identifier.
	Identifier() string
	// Issued are the codes and tokens that it has issued so far, in order.
	Issued() []string
	// Answer sets a function that makes the answer of the token endpoint from the ordinary one; nil restores the ordinary answer.
	Answer(func(ordinary map[string]any) (status int, mediaType, body string))
	// IDToken signs claims as an ID token.
	IDToken(claims map[string]any) string
	// EndGrants revokes every grant that was given since a time.
	EndGrants(since time.Time)
}

// Clock moves the target's clock, forward and back again.
type Clock interface {
	Advance(d time.Duration) error
}
