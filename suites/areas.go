package suites

import (
	"sync"

	"github.com/mcpauth/conformance/suites/abuse"
	"github.com/mcpauth/conformance/suites/audience"
	"github.com/mcpauth/conformance/suites/authorization"
	"github.com/mcpauth/conformance/suites/challenge"
	"github.com/mcpauth/conformance/suites/cimd"
	"github.com/mcpauth/conformance/suites/consent"
	"github.com/mcpauth/conformance/suites/credentials"
	"github.com/mcpauth/conformance/suites/discovery"
	"github.com/mcpauth/conformance/suites/elicitation"
	"github.com/mcpauth/conformance/suites/extension"
	"github.com/mcpauth/conformance/suites/internal/check"
	"github.com/mcpauth/conformance/suites/introspection"
	"github.com/mcpauth/conformance/suites/keys"
	"github.com/mcpauth/conformance/suites/login"
	"github.com/mcpauth/conformance/suites/metadata"
	"github.com/mcpauth/conformance/suites/passthrough"
	"github.com/mcpauth/conformance/suites/pkce"
	"github.com/mcpauth/conformance/suites/proxy"
	"github.com/mcpauth/conformance/suites/ratelimit"
	"github.com/mcpauth/conformance/suites/refresh"
	"github.com/mcpauth/conformance/suites/registration"
	"github.com/mcpauth/conformance/suites/revocation"
	"github.com/mcpauth/conformance/suites/scope"
	"github.com/mcpauth/conformance/suites/senderconstrained"
	"github.com/mcpauth/conformance/suites/session"
	"github.com/mcpauth/conformance/suites/token"
	"github.com/mcpauth/conformance/suites/tokenvalidation"
	"github.com/mcpauth/conformance/suites/transport"
	"github.com/mcpauth/conformance/suites/userinfo"
)

// registry returns the checks of all areas. They are the same for all runs of a process, and registered once.
var registry = sync.OnceValues(func() (*check.Registry, error) { return check.Collect(areas) })

// areas is the explicit list of all areas, in the order of reports. A test compares it with the folders.
var areas = []check.Area{
	{Name: "discovery", Register: discovery.Register},
	{Name: "challenge", Register: challenge.Register},
	{Name: "metadata", Register: metadata.Register},
	{Name: "keys", Register: keys.Register},
	{Name: "registration", Register: registration.Register},
	{Name: "cimd", Register: cimd.Register},
	{Name: "authorization", Register: authorization.Register},
	{Name: "login", Register: login.Register},
	{Name: "consent", Register: consent.Register},
	{Name: "proxy", Register: proxy.Register},
	{Name: "pkce", Register: pkce.Register},
	{Name: "token", Register: token.Register},
	{Name: "refresh", Register: refresh.Register},
	{Name: "revocation", Register: revocation.Register},
	{Name: "introspection", Register: introspection.Register},
	{Name: "userinfo", Register: userinfo.Register},
	{Name: "extension", Register: extension.Register},
	{Name: "audience", Register: audience.Register},
	{Name: "scope", Register: scope.Register},
	{Name: "tokenvalidation", Register: tokenvalidation.Register},
	{Name: "senderconstrained", Register: senderconstrained.Register},
	{Name: "credentials", Register: credentials.Register},
	{Name: "elicitation", Register: elicitation.Register},
	{Name: "passthrough", Register: passthrough.Register},
	{Name: "ratelimit", Register: ratelimit.Register},
	{Name: "abuse", Register: abuse.Register},
	{Name: "session", Register: session.Register},
	{Name: "transport", Register: transport.Register},
}
