package flaws

import (
	"github.com/mcpauth/conformance/fakes/mcpserver"
	"github.com/mcpauth/conformance/fakes/reference"
)

// keySets are flaws of how the MCP server treats its issuer's keys, and of what else it trusts.
var keySets = []Flaw{
	{
		Name: "keys-once", Says: "The keys are fetched once.",
		Bend: lacks(mcpserver.RefreshKeys), Noticed: []string{"RS-TOKEN-KEY-ROTATION"},
	},
	{
		Name: "keys-every-time", Says: "The keys are fetched for every unknown kid.",
		Bend: lacks(mcpserver.LimitKeyFetches), Noticed: []string{"RS-ABUSE-JWKS-AMPLIFICATION"},
	},
	{
		Name: "keys-for-ever", Says: "A key that was fetched is kept.",
		Bend: lacks(mcpserver.ForgetKeys), Noticed: []string{"RS-TOKEN-KEY-WITHDRAWN"},
	},
	{
		Name: "keys-fail-open", Says: "While the keys cannot be fetched, every token is accepted.",
		Bend: lacks(mcpserver.KeysFailClosed), Noticed: []string{"RS-TOKEN-JWKS-OUTAGE"},
	},
	{
		Name: "keys-any-algorithm", Says: "A key is used with whatever algorithm a token names.",
		Rows: []string{"alg rs256 in small letters", "alg RS256 with a space", "alg RS1", "RS384 by a key for RS256", "PS256 by a key for RS256"},
		Bend: lacks(mcpserver.AlgorithmOfKey), Noticed: []string{"RS-TOKEN-ALG-ALLOWLIST"},
	},
	{
		Name: "shared-secret-loose", Says: "With a shared secret, the MAC is not compared.",
		Bend: lacks(mcpserver.CompareMAC), Noticed: []string{"RS-TOKEN-HMAC-MODE"}, Also: []string{"RS-TOKEN-*"},
	},
	{
		Name: "issuer-of-any-tenant", Says: "The beginning of the issuer is enough, since the keys are the same.",
		Bend: lacks(mcpserver.WholeIssuer), Noticed: []string{"RS-TOKEN-TENANT-CONFUSION"}, Also: []string{"RS-TOKEN-WRONG-ISS"},
	},
	{ // the audience is ignored in every way
		Name: "audience-of-id-jag", Says: "Identity assertions of the enterprise are accepted as access tokens.",
		Bend: lacks(mcpserver.CheckType, mcpserver.CheckAudience), Noticed: []string{"RS-EXT-EMA-IDJAG-REFUSED"},
		Also: []string{
			"RS-AUD-*", "RS-EXT-CC-TOKEN", "RS-TOKEN-DUPLICATE-MEMBERS", "RS-TOKEN-FORMAT-CONFUSION", "RS-TOKEN-HMAC-MODE",
			"RS-TOKEN-TYP",
		},
	},
	{
		Name: "any-arguments", Says: "Arguments are not validated.",
		Bend: lacks(mcpserver.ValidateArguments), Noticed: []string{"RS-ABUSE-INPUT-VALIDATION"},
	},
	{
		Name: "handles-of-anybody", Says: "A handle works for every caller who knows it.",
		Bend: lacks(mcpserver.HandleOwner), Noticed: []string{"RS-SESSION-HANDLE-OWNERSHIP"},
	},
	{
		Name: "handles-counted", Says: "Handles are consecutive numbers.",
		Bend: lacks(mcpserver.RandomHandles), Noticed: []string{"RS-SESSION-HANDLE-OWNERSHIP"},
	},
	{
		Name: "flood-locks", Says: "After many bad tokens, all callers are refused.",
		Bend: lacks(mcpserver.SurviveFloods), Noticed: []string{"RS-RATE-ANONYMOUS"},
	},
	{
		Name: "listens-everywhere", Says: "A local server listens on every address.",
		Bend: func(o *reference.Options) { o.Everywhere = true }, Noticed: []string{"RS-TRANSPORT-LOCAL-BIND"},
	},
	{
		Name: "one-client-only", Says: "Only the first client's tokens are good.",
		Bend: policy(func(p *mcpserver.Policy) { p.OnlyClient = "client-1" }), Noticed: []string{"RS-TOKEN-OTHER-CLIENT"},
		Also: []string{"RS-EXT-CC-TOKEN", "RS-TOKEN-*", "RS-SESSION-*", "RS-SCOPE-*"},
	},
}
