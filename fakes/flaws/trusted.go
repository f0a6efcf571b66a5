package flaws

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mcpauth/conformance/fakes/mcpserver"
)

// Trusting returns the flaws that show only with tokens of every kind from issuers that the server trusts.
func Trusting() []Flaw {
	return slices.Concat(trusting, static, limits, introspections, passing, keySets, bound, private, remote, abuses, sharedSessions,
		parameterFields, ways, forged, halfway, copies, certificates(), credentialRows, serverProofs, rememberedTokens, forgottenScopes,
		keyNames, wholeTables, singleRows, secondIssuer, nearNames, forgottenKeys, forgottenLists, forgottenHalves, unsaid)
}

var trusting = []Flaw{
	{ // every check that sends a token to be refused sees it served
		Name: "nobody-asks", Says: "Tools have declared scopes, and the server requires no token.",
		Bend: lacks(mcpserver.RequireToken, mcpserver.GuardVerbs), Noticed: []string{"RS-CHALLENGE-401-STATUS"},
		Also: []string{
			"RS-ABUSE-INPUT-SCREENING", "RS-AUD-*", "RS-DPOP-*", "RS-MULTI-*", "RS-SESSION-*", "RS-TOKEN-*", "RS-TRANSPORT-*",
		},
	},
	{
		Name: "refused-in-tools", Says: "Each tool verifies the token by itself, and refuses with its result.",
		Bend:    lacks(mcpserver.RefuseBeforeTools, mcpserver.ScopeOverHTTP),
		Noticed: []string{"RS-CHALLENGE-401-STATUS", "RS-CHALLENGE-NO-AUTH-ERROR-IN-200"},
		Also: []string{
			"RS-APIKEY-TOOL-PERMISSIONS", "RS-SESSION-STREAM-NEEDS-TOKEN", "RS-SESSION-TASK-OWNERSHIP", "RS-STATIC-TOKEN-PERMISSIONS",
		},
	},
	{
		Name: "exp-ignored", Says: "The server ignores exp.",
		Bend: lacks(mcpserver.CheckExpiry), Noticed: []string{"RS-TOKEN-EXPIRED", "RS-TOKEN-CLOCK-SKEW"},
		Also: []string{
			"RS-TOKEN-NUMERIC-DATES", "RS-MULTI-NO-FALLTHROUGH",
			"RS-EXT-CC-TOKEN", "RS-TOKEN-HMAC-MODE", "RS-DPOP-PROOF",
		},
	},
	{
		Name: "exp-optional", Says: "A token without exp is accepted.",
		Bend: lacks(mcpserver.RequireExpiry), Noticed: []string{"RS-TOKEN-EXP-MISSING"}, Also: []string{"RS-TOKEN-HMAC-MODE"},
	},
	{
		Name: "exp-of-any-type", Says: "An exp that is not a number is treated as far in the future.",
		Bend: lacks(mcpserver.NumericDates), Noticed: []string{"RS-TOKEN-NUMERIC-DATES"},
	},
	{
		Name: "nbf-of-any-type", Says: "An nbf that is not a number is ignored.", Row: "nbf as a date in the future",
		Bend: lacks(mcpserver.NumericNotBefore), Noticed: []string{"RS-TOKEN-NUMERIC-DATES"}, Rows: []string{"nbf as an array"},
	},
	{
		Name: "nbf-ignored", Says: "The server ignores nbf.",
		Bend: lacks(mcpserver.CheckNotBefore), Noticed: []string{"RS-TOKEN-NBF", "RS-TOKEN-CLOCK-SKEW"},
	},
	{
		Name: "hour-of-grace", Says: "Clocks may differ by an hour.",
		Bend: policy(func(p *mcpserver.Policy) { p.Leeway = time.Hour + time.Minute }), Noticed: []string{"RS-TOKEN-CLOCK-SKEW"},
		Also: []string{"RS-TOKEN-EXPIRED", "RS-TOKEN-NBF", "RS-EXT-CC-TOKEN"},
	},
	{
		Name: "empty-signature", Says: "An empty signature is accepted.",
		Bend: lacks(mcpserver.RefuseEmptySignature), Noticed: []string{"RS-TOKEN-SIG-STRIPPED"},
		Also: []string{"RS-TOKEN-ALG-NONE", "RS-TOKEN-HMAC-MODE"},
	},
	{
		Name: "signature-ignored", Says: "Only the claims are checked.",
		Bend: lacks(mcpserver.VerifySignature), Noticed: []string{"RS-TOKEN-SIG-TAMPERED"},
		Also: []string{"RS-TOKEN-*", "RS-CHALLENGE-MALFORMED-400"},
	},
	{
		Name: "any-kid", Says: "An unknown kid falls back to the only key.",
		Bend: lacks(mcpserver.KnowKid), Noticed: []string{"RS-TOKEN-UNKNOWN-KID"},
	},
	{
		Name: "crit-ignored", Says: "Critical extensions are ignored.",
		Bend: lacks(mcpserver.RefuseCritical), Noticed: []string{"RS-TOKEN-CRIT-UNKNOWN"},
	},
	{
		Name: "duplicates-and-case", Says: "Of two members with one name the last one is used, and AUD is aud.",
		Bend: lacks(mcpserver.RefuseDuplicates, mcpserver.ClaimsWithCase), Noticed: []string{"RS-TOKEN-DUPLICATE-MEMBERS"},
	},
	{
		Name: "first-member-counts", Says: "Of two members with one name the first one is used.",
		Bend: lacks(mcpserver.RefuseDuplicates, mcpserver.LastMemberCounts), Noticed: []string{"RS-TOKEN-DUPLICATE-MEMBERS"},
	},
	{
		Name: "claims-without-case", Says: "AUD is aud.",
		Bend: lacks(mcpserver.ClaimsWithCase), Noticed: []string{"RS-TOKEN-DUPLICATE-MEMBERS"},
	},
	{
		Name: "scope-before-expiry", Says: "An expired token that lacks the scope of a tool is answered insufficient_scope.",
		Bend: lacks(mcpserver.ExpiryFirst), Noticed: []string{"RS-TOKEN-EXPIRED"}, Also: []string{"RS-SESSION-EXPIRY-MIDWAY"},
	},
	{
		Name: "token-limit-unsaid", Says: "A valid token of more than 4 KiB is answered like a bad one.",
		Bend: policy(func(p *mcpserver.Policy) { p.MostToken = 4 << 10 }), Noticed: []string{"RS-TOKEN-OVERSIZED"},
	},
	{
		Name: "fourth-segment", Says: "What follows the signature is ignored.",
		Bend: lacks(mcpserver.ThreeSegments), Noticed: []string{"RS-TOKEN-NONCANONICAL-ENCODING"}, Also: []string{"RS-TOKEN-GARBAGE"},
	},
	{
		Name: "issuer-without-case", Says: "The comparison of the issuer ignores letter case.",
		Bend: lacks(mcpserver.IssuerCase), Noticed: []string{"RS-TOKEN-WRONG-ISS"},
	},
	{
		Name: "token-issuer-slash", Says: "A slash at the end of the issuer makes no difference.",
		Bend: lacks(mcpserver.IssuerSlash), Noticed: []string{"RS-TOKEN-WRONG-ISS"},
	},
	{
		Name: "issuer-prefix", Says: "The beginning of the issuer is enough.",
		Bend: lacks(mcpserver.WholeIssuer), Noticed: []string{"RS-TOKEN-WRONG-ISS"}, Also: []string{"RS-TOKEN-TENANT-CONFUSION"},
	},
	{
		Name: "typ-ignored", Says: "The server ignores typ.",
		Bend: lacks(mcpserver.CheckType), Noticed: []string{"RS-TOKEN-TYP"},
		Also: []string{"RS-TOKEN-FORMAT-CONFUSION", "RS-EXT-EMA-IDJAG-REFUSED"},
	},
	{
		Name: "loose-base64", Says: "Padding and the other base64 alphabet are accepted.",
		Bend: lacks(mcpserver.StrictEncoding), Noticed: []string{"RS-TOKEN-NONCANONICAL-ENCODING"},
	},
	{
		Name: "no-subject", Says: "A token without a subject is accepted.",
		Bend: lacks(mcpserver.RequireSubject), Noticed: []string{"RS-TOKEN-REQUIRED-CLAIMS"},
	},
	{
		Name: "odd-subject-crashes", Says: "A quote in the subject crashes the query.",
		Bend: lacks(mcpserver.SurviveOddSubjects), Noticed: []string{"RS-TOKEN-CLAIM-ROBUSTNESS"},
	},
	{
		Name: "audience-ignored", Says: "The server ignores aud.",
		Bend: lacks(mcpserver.CheckAudience), Noticed: []string{"RS-AUD-WRONG", "RS-AUD-OTHER-CLAIM"},
		Also: []string{"RS-AUD-*", "RS-EXT-CC-TOKEN", "RS-EXT-EMA-IDJAG-REFUSED", "RS-TOKEN-HMAC-MODE"},
	},
	{
		Name: "audience-optional", Says: "A token without aud is accepted.",
		Bend: lacks(mcpserver.RequireAudience), Noticed: []string{"RS-AUD-MISSING"}, Also: []string{"RS-TOKEN-HMAC-MODE"},
	},
	{
		Name: "audience-inside", Says: "The audience may be anywhere in a string.",
		Bend: lacks(mcpserver.AudienceAlone), Noticed: []string{"RS-AUD-ARRAY"}, Also: []string{"RS-AUD-LOOKALIKE", "RS-AUD-SIBLING"},
	},
	{
		Name: "audience-prefix", Says: "The beginning of the audience is enough.",
		Bend: lacks(mcpserver.WholeAudience), Noticed: []string{"RS-AUD-LOOKALIKE"}, Also: []string{"RS-AUD-ARRAY", "RS-AUD-SIBLING"},
	},
	{
		Name: "audience-without-case", Says: "The comparison of the audience ignores letter case.",
		Bend: lacks(mcpserver.AudienceCase), Noticed: []string{"RS-AUD-NORMALISATION"}, Also: []string{"RS-AUD-ARRAY"},
	},
	{
		Name: "audience-in-resource", Says: "The claim resource is accepted instead of aud.",
		Bend: lacks(mcpserver.AudienceClaim), Noticed: []string{"RS-AUD-OTHER-CLAIM"},
	},
	{
		Name: "audience-follows-host", Says: "The audience is compared with the request's own host.",
		Bend: lacks(mcpserver.FixedAudience), Noticed: []string{"RS-AUD-HOST-DERIVED"}, Also: []string{"RS-AUD-LOOKALIKE"},
	},
	{
		Name: "scope-unchecked", Says: "Every tool is open to every token.",
		Bend:    lacks(mcpserver.CheckScopes),
		Noticed: []string{"RS-SCOPE-403-STATUS", "RS-SCOPE-EVERY-TOOL", "RS-SCOPE-NO-SUBSTRING", "RS-SCOPE-EMPTY"},
		Also:    []string{"RS-SCOPE-STRING-OR-ARRAY", "RS-SESSION-SCOPE-PER-REQUEST", "RS-EXT-CC-TOKEN", "RS-SCOPE-TOOL-NAMING"},
	},
	{
		Name: "scope-in-200", Says: "A missing scope is a JSON-RPC error in a 200.",
		Bend: policy(func(p *mcpserver.Policy) { p.ScopeStatus = 200 }), Noticed: []string{"RS-SCOPE-403-STATUS"},
		Also: []string{"RS-STATIC-TOKEN-PERMISSIONS", "RS-APIKEY-TOOL-PERMISSIONS"},
	},
	{
		Name: "scope-in-result", Says: "A missing scope is a tool result with isError.",
		Bend: lacks(mcpserver.ScopeOverHTTP), Noticed: []string{"RS-SCOPE-403-STATUS"},
		Also: []string{"RS-STATIC-TOKEN-PERMISSIONS", "RS-APIKEY-TOOL-PERMISSIONS"},
	},
	{
		Name: "scope-403-bare", Says: "The 403 has no challenge.",
		Bend:    policy(func(p *mcpserver.Policy) { p.ScopeChallenge = func(string, string) string { return "" } }),
		Noticed: []string{"RS-SCOPE-403-CHALLENGE", "RS-SCOPE-403-SCOPES", "RS-SCOPE-403-RESOURCE-METADATA"},
	},
	{
		Name: "scope-403-unquoted", Says: "The challenge of the 403 is not quoted.",
		Bend: policy(func(p *mcpserver.Policy) {
			p.ScopeChallenge = func(url, scope string) string {
				return `Bearer error="insufficient_scope", scope="` + scope + `", resource_metadata=` + url
			}
		}),
		Noticed: []string{"RS-CHALLENGE-GRAMMAR"}, Also: []string{"RS-SCOPE-*"}, Row: "a token without the scope of",
	},
	{
		Name: "scope-403-constant", Says: "Every 403 asks for the same scope.",
		Bend: policy(func(p *mcpserver.Policy) {
			p.ScopeChallenge = func(url, _ string) string {
				return `Bearer error="insufficient_scope", scope="mcp", resource_metadata="` + url + `"`
			}
		}),
		Noticed: []string{"RS-SCOPE-403-SCOPES", "RS-SCOPE-403-COMPLETE"},
	},
	{
		Name: "scope-403-without-metadata", Says: "Only the 401 names the metadata.",
		Bend: policy(func(p *mcpserver.Policy) {
			p.ScopeChallenge = func(_, scope string) string {
				return `Bearer error="insufficient_scope", scope="` + scope + `"`
			}
		}),
		Noticed: []string{"RS-SCOPE-403-RESOURCE-METADATA"},
	},
	{
		Name: "scope-403-varies", Says: "The challenged scopes change from call to call.",
		Bend: policy(func(p *mcpserver.Policy) {
			var n atomic.Int32
			p.ScopeChallenge = func(url, scope string) string {
				return fmt.Sprintf(`Bearer error="insufficient_scope", scope="%s notes:extra-%d", resource_metadata="%s"`, scope, n.Add(1), url)
			}
		}),
		Noticed: []string{"RS-SCOPE-CHALLENGE-CONSISTENT"},
	},
	{
		Name: "scope-403-catalogue", Says: "Every 403 asks for everything.",
		Bend: policy(func(p *mcpserver.Policy) {
			p.ScopeChallenge = func(url, _ string) string {
				return `Bearer error="insufficient_scope", resource_metadata="` + url + `", ` +
					`scope="notes:read notes:write notes:admin mcp:tool:roll_dice mcp:tool:flip_coin"`
			}
		}),
		Noticed: []string{"RS-SCOPE-CHALLENGE-NOT-CATALOGUE"},
	},
	{
		Name: "scopes-nowhere", Says: "Scopes are enforced, but not published.",
		Bend: policy(func(p *mcpserver.Policy) {
			p.Lacks = append(p.Lacks, mcpserver.ScopeInChallenge)
			p.PRM = func(_ string, doc map[string]any) { delete(doc, "scopes_supported") }
		}),
		Noticed: []string{"RS-DISC-SCOPES-PUBLISHED"}, Also: []string{"RS-CHALLENGE-SCOPE-PARAM", "RS-SCOPE-*"},
	},
	{
		Name: "scope-forgotten", Says: "The scope of one tool is not enforced.",
		Bend:    policy(func(p *mcpserver.Policy) { p.UnguardedTool = "admin_reset" }),
		Noticed: []string{"RS-SCOPE-EVERY-TOOL", "RS-SCOPE-403-STATUS"},
	},
	{
		Name: "one-of-two-scopes", Says: "A tool that needs two scopes runs with one of them.",
		Bend: lacks(mcpserver.AllScopes), Noticed: []string{"RS-SCOPE-EVERY-TOOL", "RS-SCOPE-403-STATUS"},
	},
	{
		Name: "tool-scope-is-pattern", Says: "A scope that names a tool is matched as a pattern.",
		Bend: lacks(mcpserver.ToolScopeIsName), Noticed: []string{"RS-SCOPE-TOOL-NAMING"},
	},
	{
		Name: "weak-login-will-do", Says: "The server ignores how the user signed in.",
		Bend: lacks(mcpserver.CheckACR), Noticed: []string{"RS-CHALLENGE-STEP-UP-AUTHN"},
	},
	{
		Name: "weak-login-is-a-scope", Says: "A weak login is answered like a missing scope.",
		Bend: lacks(mcpserver.ACRError), Noticed: []string{"RS-CHALLENGE-STEP-UP-AUTHN"},
	},
	{
		Name: "scope-substring", Says: "A scope that contains the needed one as text is enough.",
		Bend: lacks(mcpserver.WholeScope), Noticed: []string{"RS-SCOPE-NO-SUBSTRING"},
		Also: []string{"RS-SCOPE-HIERARCHY", "RS-SCOPE-STRING-OR-ARRAY", "RS-SCOPE-TOOL-NAMING"},
	},
	{
		Name: "scope-of-object", Says: "The keys of an object are accepted as scopes.",
		Bend: lacks(mcpserver.ScopesAreStrings), Noticed: []string{"RS-SCOPE-STRING-OR-ARRAY"},
	},
	{
		Name: "scope-empty-is-all", Says: "A token without scope may call every tool.",
		Bend: lacks(mcpserver.EmptyScopeIsNone), Noticed: []string{"RS-SCOPE-EMPTY"},
		Also: []string{"RS-SCOPE-STRING-OR-ARRAY", "RS-TOKEN-INTROSPECTION-CLAIMS"},
	},
	{
		Name: "scope-at-the-door", Says: "Each request needs every published scope.",
		Bend:    policy(func(p *mcpserver.Policy) { p.ScopeAtTheDoor = "notes:read notes:write" }),
		Noticed: []string{"RS-SCOPE-DOWNSCOPED-OK"},
		Also:    []string{"RS-SCOPE-HIERARCHY", "RS-SCOPE-EVERY-TOOL", "RS-SCOPE-STRING-OR-ARRAY"},
	},
	{
		Name: "session-of-anybody", Says: "A session works for every caller who knows its id.",
		Bend: lacks(mcpserver.BindSession), Noticed: []string{"RS-SESSION-BOUND-TO-USER"},
	},
	{
		Name: "session-of-one-token", Says: "A session belongs to the token that opened it.",
		Bend: lacks(mcpserver.SessionOutlivesToken), Noticed: []string{"RS-SESSION-TOKEN-RENEWAL"},
		Also: []string{"RS-SESSION-SCOPE-PER-REQUEST"},
	},
	{
		Name: "session-scopes", Says: "The scopes are those of the session's first token.",
		Bend: lacks(mcpserver.ScopesPerRequest), Noticed: []string{"RS-SESSION-SCOPE-PER-REQUEST"},
	},
	{
		Name: "session-id-cancels-anybody", Says: "A cancellation ends the calls of all callers with the same request id.",
		Bend: lacks(mcpserver.CancelOwn), Noticed: []string{"RS-SESSION-REQUEST-ID-ISOLATION"},
		Also: []string{"RS-SESSION-IDENTITY-BLEED", "RS-STATIC-TOKEN-PERMISSIONS", "RS-APIKEY-TOOL-PERMISSIONS"},
	},
	{
		Name: "shared-user", Says: "Tools read the user from a global variable.",
		Bend: lacks(mcpserver.UserPerRequest), Noticed: []string{"RS-SESSION-IDENTITY-BLEED"},
		Also: []string{
			"RS-SESSION-REQUEST-ID-ISOLATION", "RS-STATIC-TOKEN-ACCEPTED", "RS-APIKEY-ACCEPTED", "RS-MULTI-EACH-ALONE",
			"RS-TOKEN-CLIENT-USER-CONFUSION", "RS-SCOPE-OBJECT-OWNERSHIP",
		},
	},
	{
		Name: "shared-user-of-header", Says: "Tools read the user from a global variable, which is set when the header of a request arrives.",
		Bend: lacks(mcpserver.UserAfterBody), Noticed: []string{"RS-SESSION-IDENTITY-BLEED"},
		Row: "a call whose last byte comes after a call of the other user",
		Also: []string{
			"RS-SESSION-REQUEST-ID-ISOLATION", "RS-STATIC-TOKEN-ACCEPTED", "RS-APIKEY-ACCEPTED", "RS-MULTI-EACH-ALONE",
			"RS-TOKEN-CLIENT-USER-CONFUSION", "RS-SCOPE-OBJECT-OWNERSHIP",
		},
	},
	{
		Name: "acts-first", Says: "A tool acts before its scope is checked.",
		Bend: lacks(mcpserver.ScopeFirst), Noticed: []string{"RS-SCOPE-NOT-EXECUTED"}, Also: []string{"RS-SCOPE-BODY-AMBIGUITY"},
	},
	runsBefore("missing", "no token", func(token string) bool { return token == "" }),
	runsBefore("garbage", "a string that is not a token", func(token string) bool { return token != "" && strings.Count(token, ".") != 2 }),
	runsBefore("expired", "an expired token", func(token string) bool { return strings.Count(token, ".") == 2 && expired(token) }),
	runsBefore("foreign", "a token signed with another key", func(token string) bool {
		return strings.Count(token, ".") == 2 &&
			!expired(token)
	}),
	{
		Name: "open-for-other-agents", Says: "The server recognizes mcpauth by its User-Agent, and requires no token of other clients.",
		Bend: lacks(mcpserver.GuardEveryAgent), Noticed: []string{"RS-CHALLENGE-EVERY-CLIENT"}, Also: []string{"RS-CHALLENGE-*"},
	},
	{
		Name: "open-for-fetch", Says: "Requests with the header fields of a browser or of Node's fetch need no token.",
		Bend: lacks(mcpserver.GuardEveryFetch), Noticed: []string{"RS-CHALLENGE-EVERY-CLIENT"},
	},
	{
		Name: "open-tools", Says: "Lists and the handshake need a token, and existing tools run without one.",
		Bend: lacks(mcpserver.GuardTools), Noticed: []string{"RS-CHALLENGE-EXISTING-TOOLS"},
		Also: []string{"RS-ABUSE-INPUT-SCREENING", "RS-ELICIT-NOT-MCP-AUTH", "RS-TOKEN-EXPIRED"},
	},
	opensFor("tool-in-batch", "RS-CHALLENGE-EXISTING-TOOLS", "a batch of one message", func(_ *http.Request, body []byte) bool {
		return strings.HasPrefix(string(body), "[") && strings.Contains(string(body), "tools/call")
	}),
	{
		Name: "scope-of-first-name", Says: "The checked scope is that of the first name in the message.",
		Bend: lacks(mcpserver.LastNameCounts), Noticed: []string{"RS-SCOPE-BODY-AMBIGUITY"},
	},
	{
		Name: "scope-without-hierarchy", Says: "The broader scope is not treated as the narrower.",
		Bend: policy(func(p *mcpserver.Policy) { p.Implies = nil }), Noticed: []string{"RS-SCOPE-HIERARCHY"},
	},
	{
		Name: "scope-hierarchy-upwards", Says: "The narrower scope is treated as the broader.",
		Bend: lacks(mcpserver.ImplyDownwards), Noticed: []string{"RS-SCOPE-HIERARCHY"},
		Also: []string{"RS-SCOPE-EVERY-TOOL", "RS-SCOPE-403-STATUS"},
	},
	{
		Name: "scope-hides-only", Says: "What is not listed can be called.",
		Bend: lacks(mcpserver.HiddenNotCallable), Noticed: []string{"RS-SCOPE-HIDDEN-NOT-CALLABLE"},
		Also: []string{
			"RS-SCOPE-STRING-OR-ARRAY", "RS-SCOPE-EMPTY", "RS-SESSION-SCOPE-PER-REQUEST", "RS-SCOPE-EVERY-TOOL",
			"RS-STATIC-TOKEN-PERMISSIONS", "RS-APIKEY-TOOL-PERMISSIONS", "RS-SCOPE-403-STATUS", "RS-SCOPE-NO-SUBSTRING",
			"RS-EXT-CC-TOKEN", "RS-SCOPE-TOOL-NAMING",
		},
	},
	{
		Name: "list-of-another", Says: "The list is that of the previous caller.",
		Bend: lacks(mcpserver.ListPerCaller), Noticed: []string{"RS-SCOPE-LIST-PER-CALLER"},
		Also: []string{"RS-SCOPE-HIDDEN-NOT-CALLABLE"},
	},
	{
		Name: "list-public", Says: "Shared caches may keep the list of one caller for all.",
		Bend: policy(func(p *mcpserver.Policy) { p.CacheScope = "public" }), Noticed: []string{"RS-SCOPE-CACHESCOPE"},
	},
	{
		Name: "user-from-header", Says: "A header names the user.",
		Bend: lacks(mcpserver.NoUserHeader), Noticed: []string{"RS-SCOPE-OBJECT-OWNERSHIP"},
		Also: []string{"RS-SCOPE-OTHER-PRIMITIVES"},
	},
	{
		Name: "user-from-arguments", Says: "An argument names the user.",
		Bend: lacks(mcpserver.NoUserArgument), Noticed: []string{"RS-SCOPE-OBJECT-OWNERSHIP"},
	},
	{
		Name: "notes-of-everybody", Says: "Every user reads the notes of the first user.",
		Bend: lacks(mcpserver.OwnNotes), Noticed: []string{"RS-SCOPE-OBJECT-OWNERSHIP"}, Also: []string{"RS-EXT-CC-TOKEN"},
	},
	{
		Name: "client-is-user", Says: "The user is the token's client_id.",
		Bend: lacks(mcpserver.UserIsSubject), Noticed: []string{"RS-TOKEN-CLIENT-USER-CONFUSION"},
		Also: []string{
			"RS-SESSION-BOUND-TO-USER", "RS-SESSION-HANDLE-OWNERSHIP", "RS-SESSION-TASK-OWNERSHIP",
			"RS-SESSION-REQUESTSTATE-BINDING", "RS-CHALLENGE-LEGACY-SSE", "RS-SCOPE-OTHER-PRIMITIVES", "RS-SESSION-*",
		},
	},
	{
		Name: "client-is-user-of-answer", Says: "The user of an opaque token is the client_id of the introspection answer.",
		Row: "tokens that the target introspects", Noticed: []string{"RS-TOKEN-CLIENT-USER-CONFUSION"},
		Bend: policy(func(p *mcpserver.Policy) {
			p.UserOfAnswer = func(answer map[string]any) string { return fmt.Sprint(answer["client_id"]) }
		}),
	},
	{
		Name: "audience-origin", Says: "The origin of the audience is enough.",
		Bend: lacks(mcpserver.AudiencePath), Noticed: []string{"RS-AUD-SIBLING"},
		Also: []string{"RS-AUD-LOOKALIKE", "RS-AUD-NORMALISATION", "RS-AUD-ARRAY", "RS-AUD-WRONG"},
	},
	{
		Name: "zero-signature", Says: "A signature of zeros is accepted.",
		Bend: lacks(mcpserver.RefuseZeroSignature), Noticed: []string{"RS-TOKEN-ECDSA-EDGE"},
		Also: []string{"RS-TOKEN-SIG-STRIPPED", "RS-TOKEN-SIG-TAMPERED"},
	},
	{
		Name: "token-in-output", Says: "A tool's result shows the caller's token.",
		Bend: lacks(mcpserver.HideToken), Noticed: []string{"RS-ABUSE-SECRETS-IN-OUTPUT"},
		Also: []string{"RS-SESSION-IDENTITY-BLEED", "RS-TOKEN-CLIENT-USER-CONFUSION"},
	},
	{
		Name: "debug-tool", Says: "A tool for debugging is listed.",
		Bend: lacks(mcpserver.NoDebugTool), Noticed: []string{"RS-ABUSE-DEBUG-TOOLS"},
	},
	{
		Name: "key-parameter", Says: "A tool accepts an API key as a parameter.",
		Bend: lacks(mcpserver.NoSecretParameters), Noticed: []string{"RS-ABUSE-SENSITIVE-PARAMETERS"},
	},
	{
		Name: "path-in-page", Says: "The page for an unknown path shows it unescaped.",
		Bend: lacks(mcpserver.EscapePath), Noticed: []string{"RS-ABUSE-HEADER-INJECTION"},
	},
	{
		Name: "opens-files", Says: "A resource is opened by whatever path it names.",
		Bend: lacks(mcpserver.ResourcesAreNames), Noticed: []string{"RS-ABUSE-RESOURCE-TRAVERSAL"},
	},
	{
		Name: "body-unlimited", Says: "Any message is accepted, however long.",
		Bend: policy(func(p *mcpserver.Policy) { p.MostBody = 64 << 20 }), Noticed: []string{"RS-ABUSE-BODY-LIMIT"},
	},
	{
		Name: "body-too-limited", Says: "The limit is half of the declared one.",
		Bend: policy(func(p *mcpserver.Policy) { p.MostBody = mcpserver.MostBody / 2 }), Noticed: []string{"RS-ABUSE-BODY-LIMIT"},
	},
	{
		Name: "unpacks-everything", Says: "A compressed message is unpacked without limit.",
		Bend: lacks(mcpserver.LimitUnpacked), Noticed: []string{"RS-ABUSE-DECOMPRESSION"},
	},
	{
		Name: "deep-crash", Says: "A deep message overflows the stack.",
		Bend: lacks(mcpserver.SurviveDepth), Noticed: []string{"RS-ABUSE-DECOMPRESSION"},
	},
	{
		Name: "jwe-crash", Says: "An encrypted token crashes.",
		Bend: lacks(mcpserver.SurviveJWE), Noticed: []string{"RS-ABUSE-JWE-COST"},
		Also: []string{"RS-CHALLENGE-MALFORMED-400", "RS-TOKEN-GARBAGE", "RS-TOKEN-FORMAT-CONFUSION"},
	},
	{
		Name: "token-verified-once", Says: "A token is verified the first time only.",
		Bend: lacks(mcpserver.VerifyEveryTime), Noticed: []string{"RS-SESSION-EXPIRY-MIDWAY"},
		Also: []string{"RS-TOKEN-INTROSPECTION-CACHE"},
	},
	{
		Name: "batch-by-first", Says: "Of a batch, only the first message is authorized.",
		Bend: lacks(mcpserver.NoBatches), Noticed: []string{"RS-SCOPE-BATCH-MEMBERS"},
	},
	{
		Name: "two-fields-crash", Says: "Two Authorization fields crash.",
		Bend: lacks(mcpserver.SurviveTwoFields), Noticed: []string{"RS-CHALLENGE-MALFORMED-400"},
		Also: []string{"RS-TOKEN-DUPLICATE-CREDENTIALS"},
	},
	{
		Name: "quotes-break-out", Says: "A challenge quotes the credential as it is.",
		Bend: lacks(mcpserver.EscapeDescription), Noticed: []string{"RS-ABUSE-HEADER-INJECTION"},
		Also: []string{"RS-CHALLENGE-BODY-HYGIENE", "RS-TOKEN-OVERSIZED"},
	},
	{
		Name: "opens-files-by-template", Says: "A resource is opened by whatever path its template is filled with.",
		Bend: policy(func(p *mcpserver.Policy) {
			p.TemplatesOnly = true
			p.Lacks = append(p.Lacks, mcpserver.ResourcesAreNames)
		}),
		Noticed: []string{"RS-ABUSE-RESOURCE-TRAVERSAL"},
	},
}

// runsBefore returns the flaw of a server whose tools run before it refuses some bad tokens.
func runsBefore(kind, says string, runs func(token string) bool) Flaw {
	return Flaw{
		Name: "runs-before-refusal-" + kind, Says: "A tool acts before the call is refused, with " + says + ".",
		Bend:    policy(func(p *mcpserver.Policy) { p.RunsBefore = runs }),
		Noticed: []string{"RS-SCOPE-NOT-EXECUTED", "RS-CHALLENGE-EXISTING-TOOLS"}, Also: []string{"RS-SCOPE-BODY-AMBIGUITY"},
	}
}

// expired reports whether the exp of a JWT has passed.
func expired(token string) bool {
	b, _ := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	var claims struct {
		Exp int64 `json:"exp"`
	}
	return json.Unmarshal(b, &claims) == nil && claims.Exp < time.Now().Unix()
}
