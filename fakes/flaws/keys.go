package flaws

import (
	"github.com/mcpauth/conformance/fakes/mcpserver"
	"github.com/mcpauth/conformance/fakes/reference"
)

// keySets are flaws of how the MCP server treats its issuer's keys, and of what else it trusts.
var keySets = []Flaw{
	{"keys-once", "The keys are fetched once.", policy(func(p *mcpserver.Policy) { p.KeysOnce = true }), []string{"RS-TOKEN-KEY-ROTATION"}, nil},
	{"keys-every-time", "The keys are fetched for every unknown kid.", policy(func(p *mcpserver.Policy) { p.KeysEveryTime = true }), []string{"RS-ABUSE-JWKS-AMPLIFICATION"}, nil},
	{"keys-for-ever", "A key that was fetched is kept.", policy(func(p *mcpserver.Policy) { p.KeysForEver = true }), []string{"RS-TOKEN-KEY-WITHDRAWN"}, nil},
	{"keys-fail-open", "Where the keys cannot be fetched, everybody gets in.", policy(func(p *mcpserver.Policy) { p.KeysFailOpen = true }), []string{"RS-TOKEN-JWKS-OUTAGE"}, nil},
	{"keys-any-algorithm", "A key serves whatever algorithm a token names.", policy(func(p *mcpserver.Policy) { p.AnyAlgorithm = true }), []string{"RS-TOKEN-ALG-ALLOWLIST"}, nil},
	{"shared-secret-loose", "With a shared secret, nothing of the MAC is compared.", policy(func(p *mcpserver.Policy) { p.SharedSecretLoose = true }), []string{"RS-TOKEN-HMAC-MODE"}, []string{"RS-TOKEN-*"}},
	{"issuer-of-any-tenant", "The issuer's beginning is enough, since the keys are the same.", policy(func(p *mcpserver.Policy) { p.IssuerPrefix = true }), []string{"RS-TOKEN-TENANT-CONFUSION"}, []string{"RS-TOKEN-WRONG-ISS"}},
	{"audience-of-id-jag", "The enterprise's assertions are taken too.", policy(func(p *mcpserver.Policy) { p.AnyType, p.CheckAudience = true, false }), []string{"RS-EXT-EMA-IDJAG-REFUSED"}, []string{"RS-*"}},
	{"any-arguments", "Arguments are not validated.", policy(func(p *mcpserver.Policy) { p.AnyArguments = true }), []string{"RS-ABUSE-INPUT-VALIDATION"}, nil},
	{"handles-of-anybody", "Who knows a handle may use it.", policy(func(p *mcpserver.Policy) { p.HandlesOfAnybody = true }), []string{"RS-SESSION-HANDLE-OWNERSHIP"}, nil},
	{"handles-counted", "Handles are counted up.", policy(func(p *mcpserver.Policy) { p.CountsHandles = true }), []string{"RS-SESSION-HANDLE-OWNERSHIP"}, nil},
	{"flood-locks", "Many bad tokens lock everybody out.", policy(func(p *mcpserver.Policy) { p.FloodLocks = true }), []string{"RS-RATE-ANONYMOUS"}, []string{"RS-*"}},
	{"listens-everywhere", "A local server listens on every address.", func(o *reference.Options) { o.Everywhere = true }, []string{"RS-TRANSPORT-LOCAL-BIND"}, nil},
	{"one-client-only", "Only the first client's tokens are good.", policy(func(p *mcpserver.Policy) { p.OnlyClient = "client-1" }), []string{"RS-TOKEN-OTHER-CLIENT"}, []string{"RS-EXT-CC-TOKEN", "RS-TOKEN-*", "RS-SESSION-*", "RS-SCOPE-*"}},
}
