package flaws

import (
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/mcpauth/conformance/fakes/mcpserver"
)

// Trusting are the flaws of a server that only tokens of every kind, which it has reason to trust, bring out.
func Trusting() []Flaw {
	return slices.Concat(trusting, static, limits, introspections, passing, keySets, bound, private, remote)
}

var trusting = []Flaw{
	{"nobody-asks", "Tools have scopes by declaration, and nobody asks for a token.", policy(func(p *mcpserver.Policy) { p.Authenticate, p.GuardVerbs = false, false }), []string{"RS-CHALLENGE-401-STATUS"}, []string{"RS-*"}},
	{"refused-in-tools", "Each tool looks at its caller by itself, and refuses by its result.", policy(func(p *mcpserver.Policy) { p.InTools, p.ScopeInResult = true, true }), []string{"RS-CHALLENGE-401-STATUS", "RS-CHALLENGE-NO-AUTH-ERROR-IN-200"}, []string{"RS-*"}},
	{"exp-ignored", "Expiry is never looked at.", policy(func(p *mcpserver.Policy) { p.CheckExpiry = false }), []string{"RS-TOKEN-EXPIRED"}, []string{"RS-TOKEN-CLOCK-SKEW", "RS-TOKEN-NUMERIC-DATES", "RS-TOKEN-DUPLICATE-MEMBERS", "RS-MULTI-NO-FALLTHROUGH", "RS-EXT-CC-TOKEN", "RS-TOKEN-HMAC-MODE", "RS-DPOP-PROOF"}},
	{"exp-optional", "A token without expiry lives for ever.", policy(func(p *mcpserver.Policy) { p.RequireExpiry = false }), []string{"RS-TOKEN-EXP-MISSING"}, []string{"RS-TOKEN-HMAC-MODE"}},
	{"exp-of-any-type", "An expiry that is no number counts as far away.", policy(func(p *mcpserver.Policy) { p.LooseDates = true }), []string{"RS-TOKEN-NUMERIC-DATES"}, nil},
	{"nbf-ignored", "The beginning of validity is never looked at.", policy(func(p *mcpserver.Policy) { p.CheckNotBefore = false }), []string{"RS-TOKEN-NBF"}, []string{"RS-TOKEN-CLOCK-SKEW"}},
	{"hour-of-grace", "Clocks may differ by an hour.", policy(func(p *mcpserver.Policy) { p.Leeway = time.Hour + time.Minute }), []string{"RS-TOKEN-CLOCK-SKEW"}, []string{"RS-TOKEN-EXPIRED", "RS-TOKEN-NBF", "RS-EXT-CC-TOKEN"}},
	{"empty-signature", "An empty signature passes.", policy(func(p *mcpserver.Policy) { p.IgnoresEmpty = true }), []string{"RS-TOKEN-SIG-STRIPPED"}, []string{"RS-TOKEN-ALG-NONE", "RS-TOKEN-HMAC-MODE"}},
	{"signature-ignored", "Only the claims are checked.", policy(func(p *mcpserver.Policy) { p.VerifySignature = false }), []string{"RS-TOKEN-SIG-TAMPERED"}, []string{"RS-TOKEN-*", "RS-CHALLENGE-MALFORMED-400"}},
	{"any-kid", "An unknown kid falls back to the only key.", policy(func(p *mcpserver.Policy) { p.AnyKid = true }), []string{"RS-TOKEN-UNKNOWN-KID"}, nil},
	{"crit-ignored", "Critical extensions are ignored.", policy(func(p *mcpserver.Policy) { p.RefuseCritical = false }), []string{"RS-TOKEN-CRIT-UNKNOWN"}, nil},
	{"duplicates-and-case", "Of two members the last one counts, and AUD is aud.", policy(func(p *mcpserver.Policy) { p.RefuseDuplicates, p.FoldCase = false, true }), []string{"RS-TOKEN-DUPLICATE-MEMBERS"}, nil},
	{"issuer-prefix", "The issuer's beginning is enough.", policy(func(p *mcpserver.Policy) { p.IssuerPrefix = true }), []string{"RS-TOKEN-WRONG-ISS"}, []string{"RS-TOKEN-TENANT-CONFUSION"}},
	{"typ-ignored", "The type is never read.", policy(func(p *mcpserver.Policy) { p.AnyType = true }), []string{"RS-TOKEN-TYP"}, []string{"RS-TOKEN-FORMAT-CONFUSION", "RS-EXT-EMA-IDJAG-REFUSED"}},
	{"loose-base64", "Padding and the other alphabet are understood.", policy(func(p *mcpserver.Policy) { p.LooseEncoding = true }), []string{"RS-TOKEN-NONCANONICAL-ENCODING"}, nil},
	{"no-subject", "A token without a subject is good.", policy(func(p *mcpserver.Policy) { p.RequireSubject = false }), []string{"RS-TOKEN-REQUIRED-CLAIMS"}, nil},
	{"odd-subject-crashes", "A quote in the subject crashes the query.", policy(func(p *mcpserver.Policy) { p.SubjectCrash = true }), []string{"RS-TOKEN-CLAIM-ROBUSTNESS"}, nil},
	{"audience-ignored", "The audience is never looked at.", policy(func(p *mcpserver.Policy) { p.CheckAudience = false }), []string{"RS-AUD-WRONG", "RS-AUD-OTHER-CLAIM"}, []string{"RS-AUD-*", "RS-TOKEN-DUPLICATE-MEMBERS", "RS-EXT-CC-TOKEN", "RS-EXT-EMA-IDJAG-REFUSED", "RS-TOKEN-HMAC-MODE"}},
	{"audience-optional", "A token without audience is good.", policy(func(p *mcpserver.Policy) { p.RequireAudience = false }), []string{"RS-AUD-MISSING"}, []string{"RS-TOKEN-HMAC-MODE"}},
	{"audience-inside", "The audience may stand anywhere in a string.", policy(func(p *mcpserver.Policy) { p.AudienceInside = true }), []string{"RS-AUD-ARRAY"}, []string{"RS-AUD-LOOKALIKE", "RS-AUD-SIBLING"}},
	{"audience-prefix", "The audience's beginning is enough.", policy(func(p *mcpserver.Policy) { p.AudiencePrefix = true }), []string{"RS-AUD-LOOKALIKE"}, []string{"RS-AUD-ARRAY", "RS-AUD-SIBLING"}},
	{"audience-without-case", "The audience is compared without case.", policy(func(p *mcpserver.Policy) { p.AudienceFold = true }), []string{"RS-AUD-NORMALISATION"}, []string{"RS-AUD-ARRAY"}},
	{"audience-in-resource", "The claim resource will do.", policy(func(p *mcpserver.Policy) { p.OtherAudience = true }), []string{"RS-AUD-OTHER-CLAIM"}, nil},
	{"audience-follows-host", "The audience is compared with the request's own host.", policy(func(p *mcpserver.Policy) { p.AudienceOfHost = true }), []string{"RS-AUD-HOST-DERIVED"}, []string{"RS-AUD-LOOKALIKE"}},
	{"scope-unchecked", "Every tool is open to every token.", policy(func(p *mcpserver.Policy) { p.CheckScopes = false }), []string{"RS-SCOPE-403-STATUS", "RS-SCOPE-EVERY-TOOL", "RS-SCOPE-NO-SUBSTRING", "RS-SCOPE-EMPTY"}, []string{"RS-SCOPE-STRING-OR-ARRAY", "RS-SESSION-SCOPE-PER-REQUEST", "RS-EXT-CC-TOKEN", "RS-SCOPE-TOOL-NAMING"}},
	{"scope-in-200", "A missing scope is a JSON-RPC error in a 200.", policy(func(p *mcpserver.Policy) { p.ScopeStatus = 200 }), []string{"RS-SCOPE-403-STATUS"}, []string{"RS-STATIC-TOKEN-PERMISSIONS", "RS-APIKEY-TOOL-PERMISSIONS"}},
	{"scope-in-result", "A missing scope is a tool result with isError.", policy(func(p *mcpserver.Policy) { p.ScopeInResult = true }), []string{"RS-SCOPE-403-STATUS"}, []string{"RS-STATIC-TOKEN-PERMISSIONS", "RS-APIKEY-TOOL-PERMISSIONS"}},
	{"scope-403-bare", "The 403 has no challenge.", policy(func(p *mcpserver.Policy) { p.ScopeChallenge = func(string, string) string { return "" } }), []string{"RS-SCOPE-403-CHALLENGE", "RS-SCOPE-403-SCOPES", "RS-SCOPE-403-RESOURCE-METADATA"}, nil},
	{"scope-403-constant", "Every 403 asks for the same scope.", policy(func(p *mcpserver.Policy) {
		p.ScopeChallenge = func(url, _ string) string {
			return `Bearer error="insufficient_scope", scope="mcp", resource_metadata="` + url + `"`
		}
	}), []string{"RS-SCOPE-403-SCOPES", "RS-SCOPE-403-COMPLETE"}, nil},
	{"scope-403-without-metadata", "Only the 401 names the metadata.", policy(func(p *mcpserver.Policy) {
		p.ScopeChallenge = func(_, scope string) string {
			return `Bearer error="insufficient_scope", scope="` + scope + `"`
		}
	}), []string{"RS-SCOPE-403-RESOURCE-METADATA"}, nil},
	{"scope-403-varies", "The challenged scopes change from call to call.", policy(func(p *mcpserver.Policy) {
		var n atomic.Int32
		p.ScopeChallenge = func(url, scope string) string {
			return fmt.Sprintf(`Bearer error="insufficient_scope", scope="%s notes:extra-%d", resource_metadata="%s"`, scope, n.Add(1), url)
		}
	}), []string{"RS-SCOPE-CHALLENGE-CONSISTENT"}, nil},
	{"scope-403-catalogue", "Every 403 asks for everything.", policy(func(p *mcpserver.Policy) {
		p.ScopeChallenge = func(url, _ string) string {
			return `Bearer error="insufficient_scope", scope="notes:read notes:write notes:admin mcp:tool:roll_dice mcp:tool:flip_coin", resource_metadata="` + url + `"`
		}
	}), []string{"RS-SCOPE-CHALLENGE-NOT-CATALOGUE"}, nil},
	{"scopes-nowhere", "Scopes are enforced, but published nowhere.", policy(func(p *mcpserver.Policy) {
		p.ScopeInField = false
		p.PRM = func(_ string, doc map[string]any) { delete(doc, "scopes_supported") }
	}), []string{"RS-DISC-SCOPES-PUBLISHED"}, []string{"RS-CHALLENGE-SCOPE-PARAM", "RS-SCOPE-*"}},
	{"scope-forgotten", "One tool's scope is forgotten.", policy(func(p *mcpserver.Policy) { p.UnguardedTool = "admin_reset" }), []string{"RS-SCOPE-EVERY-TOOL"}, nil},
	{"tool-scope-is-pattern", "A scope that names a tool is matched as a pattern.", policy(func(p *mcpserver.Policy) { p.ToolScopePatterns = true }), []string{"RS-SCOPE-TOOL-NAMING"}, nil},
	{"weak-login-will-do", "How somebody signed in does not matter.", policy(func(p *mcpserver.Policy) { p.ACRIgnored = true }), []string{"RS-CHALLENGE-STEP-UP-AUTHN"}, nil},
	{"weak-login-is-a-scope", "A weak login is answered like a missing scope.", policy(func(p *mcpserver.Policy) { p.ACRAsScope = true }), []string{"RS-CHALLENGE-STEP-UP-AUTHN"}, nil},
	{"scope-substring", "A scope that holds the needed one will do.", policy(func(p *mcpserver.Policy) { p.ScopeSubstring = true }), []string{"RS-SCOPE-NO-SUBSTRING"}, []string{"RS-SCOPE-HIERARCHY", "RS-SCOPE-STRING-OR-ARRAY", "RS-SCOPE-TOOL-NAMING"}},
	{"scope-of-object", "The keys of an object are scopes.", policy(func(p *mcpserver.Policy) { p.ScopeObjects = true }), []string{"RS-SCOPE-STRING-OR-ARRAY"}, nil},
	{"scope-empty-is-all", "A token without scope may do everything.", policy(func(p *mcpserver.Policy) { p.EmptyScopeIsAll = true }), []string{"RS-SCOPE-EMPTY"}, []string{"RS-SCOPE-STRING-OR-ARRAY", "RS-TOKEN-INTROSPECTION-CLAIMS"}},
	{"scope-at-the-door", "Everything takes a scope that the tools do not need.", policy(func(p *mcpserver.Policy) { p.ScopeAtTheDoor = "notes:write" }), []string{"RS-SCOPE-DOWNSCOPED-OK"}, []string{"RS-SCOPE-HIERARCHY", "RS-SCOPE-EVERY-TOOL", "RS-SCOPE-STRING-OR-ARRAY"}},
	{"session-of-anybody", "A session belongs to whoever knows its id.", policy(func(p *mcpserver.Policy) { p.BindSession = false }), []string{"RS-SESSION-BOUND-TO-USER"}, nil},
	{"session-of-one-token", "A session belongs to the token that opened it.", policy(func(p *mcpserver.Policy) { p.SessionToken = true }), []string{"RS-SESSION-TOKEN-RENEWAL"}, []string{"RS-SESSION-SCOPE-PER-REQUEST"}},
	{"session-scopes", "The scopes are those of the session's first token.", policy(func(p *mcpserver.Policy) { p.SessionScopes = true }), []string{"RS-SESSION-SCOPE-PER-REQUEST"}, nil},
	{"session-id-cancels-anybody", "A cancellation ends the calls of all who use the same id.", policy(func(p *mcpserver.Policy) { p.CancelsAnybody = true }), []string{"RS-SESSION-REQUEST-ID-ISOLATION"}, []string{"RS-SESSION-IDENTITY-BLEED", "RS-STATIC-TOKEN-PERMISSIONS", "RS-APIKEY-TOOL-PERMISSIONS"}},
	{"shared-user", "Tools ask a global variable for the user.", policy(func(p *mcpserver.Policy) { p.SharedUser = true }), []string{"RS-SESSION-IDENTITY-BLEED"}, []string{"RS-SESSION-REQUEST-ID-ISOLATION", "RS-STATIC-TOKEN-ACCEPTED", "RS-APIKEY-ACCEPTED", "RS-MULTI-EACH-ALONE", "RS-TOKEN-CLIENT-USER-CONFUSION", "RS-SCOPE-OBJECT-OWNERSHIP"}},
	{"acts-first", "A tool acts before its scope is looked at.", policy(func(p *mcpserver.Policy) { p.ActsFirst = true }), []string{"RS-SCOPE-NOT-EXECUTED"}, []string{"RS-SCOPE-BODY-AMBIGUITY"}},
	{"scope-of-first-name", "The scope is that of the first name in the message.", policy(func(p *mcpserver.Policy) { p.FirstName = true }), []string{"RS-SCOPE-BODY-AMBIGUITY"}, nil},
	{"scope-without-hierarchy", "The broader scope is not taken for the narrower.", policy(func(p *mcpserver.Policy) { p.Implies = nil }), []string{"RS-SCOPE-HIERARCHY"}, nil},
	{"scope-hierarchy-upwards", "The narrower scope is taken for the broader.", policy(func(p *mcpserver.Policy) { p.ImpliesUpwards = true }), []string{"RS-SCOPE-HIERARCHY"}, []string{"RS-SCOPE-EVERY-TOOL"}},
	{"scope-hides-only", "What is not listed can be called.", policy(func(p *mcpserver.Policy) { p.CallsHidden = true }), []string{"RS-SCOPE-HIDDEN-NOT-CALLABLE"}, []string{"RS-SCOPE-STRING-OR-ARRAY", "RS-SCOPE-EMPTY", "RS-SESSION-SCOPE-PER-REQUEST", "RS-SCOPE-EVERY-TOOL", "RS-STATIC-TOKEN-PERMISSIONS", "RS-APIKEY-TOOL-PERMISSIONS", "RS-SCOPE-403-STATUS", "RS-SCOPE-NO-SUBSTRING", "RS-EXT-CC-TOKEN", "RS-SCOPE-TOOL-NAMING"}},
	{"list-of-another", "The list is the one that was made for the caller before.", policy(func(p *mcpserver.Policy) { p.StaleList = true }), []string{"RS-SCOPE-LIST-PER-CALLER"}, []string{"RS-SCOPE-HIDDEN-NOT-CALLABLE"}},
	{"list-public", "Shared caches may keep the list of one caller for all.", policy(func(p *mcpserver.Policy) { p.CacheScope = "public" }), []string{"RS-SCOPE-CACHESCOPE"}, nil},
	{"user-from-header", "A header names the user.", policy(func(p *mcpserver.Policy) { p.UserFromHeader = true }), []string{"RS-SCOPE-OBJECT-OWNERSHIP"}, []string{"RS-SCOPE-OTHER-PRIMITIVES"}},
	{"user-from-arguments", "An argument names the user.", policy(func(p *mcpserver.Policy) { p.UserFromArguments = true }), []string{"RS-SCOPE-OBJECT-OWNERSHIP"}, nil},
	{"notes-of-everybody", "Everybody reads the first user's notes.", policy(func(p *mcpserver.Policy) { p.EverybodysNotes = true }), []string{"RS-SCOPE-OBJECT-OWNERSHIP"}, []string{"RS-EXT-CC-TOKEN"}},
	{"client-is-user", "The user is the token's client_id.", policy(func(p *mcpserver.Policy) { p.ClientIsUser = true }), []string{"RS-TOKEN-CLIENT-USER-CONFUSION"}, []string{"RS-SESSION-BOUND-TO-USER", "RS-SESSION-HANDLE-OWNERSHIP", "RS-SESSION-TASK-OWNERSHIP", "RS-SESSION-REQUESTSTATE-BINDING", "RS-CHALLENGE-LEGACY-SSE", "RS-SCOPE-OTHER-PRIMITIVES", "RS-SESSION-*"}},
	{"audience-origin", "The audience's origin is enough.", policy(func(p *mcpserver.Policy) { p.AudienceOrigin = true }), []string{"RS-AUD-SIBLING"}, []string{"RS-AUD-LOOKALIKE", "RS-AUD-NORMALISATION", "RS-AUD-ARRAY", "RS-AUD-WRONG"}},
	{"zero-signature", "A signature of zeros passes.", policy(func(p *mcpserver.Policy) { p.ZeroSignature = true }), []string{"RS-TOKEN-ECDSA-EDGE"}, []string{"RS-TOKEN-SIG-STRIPPED", "RS-TOKEN-SIG-TAMPERED"}},
	{"token-in-output", "A tool's result shows the caller's token.", policy(func(p *mcpserver.Policy) { p.LogsToken = true }), []string{"RS-ABUSE-SECRETS-IN-OUTPUT"}, []string{"RS-SESSION-IDENTITY-BLEED", "RS-TOKEN-CLIENT-USER-CONFUSION"}},
	{"debug-tool", "A tool for debugging is listed.", policy(func(p *mcpserver.Policy) { p.DebugTool = true }), []string{"RS-ABUSE-DEBUG-TOOLS"}, nil},
	{"key-parameter", "A tool takes an API key as a parameter.", policy(func(p *mcpserver.Policy) { p.KeyParameter = true }), []string{"RS-ABUSE-SENSITIVE-PARAMETERS"}, nil},
	{"path-in-page", "The page for an unknown path shows it unescaped.", policy(func(p *mcpserver.Policy) { p.EchoesPath = true }), []string{"RS-ABUSE-HEADER-INJECTION"}, nil},
	{"opens-files", "A resource is opened by whatever path it names.", policy(func(p *mcpserver.Policy) { p.OpensFiles = true }), []string{"RS-ABUSE-RESOURCE-TRAVERSAL"}, nil},
	{"body-unlimited", "Any message is taken, however long.", policy(func(p *mcpserver.Policy) { p.MostBody = 64 << 20 }), []string{"RS-ABUSE-BODY-LIMIT"}, nil},
	{"body-too-limited", "The limit is half of what was said.", policy(func(p *mcpserver.Policy) { p.MostBody = mcpserver.MostBody / 2 }), []string{"RS-ABUSE-BODY-LIMIT"}, nil},
	{"unpacks-everything", "A compressed message is unpacked without limit.", policy(func(p *mcpserver.Policy) { p.Compressed = true }), []string{"RS-ABUSE-DECOMPRESSION"}, nil},
	{"deep-crash", "A deep message overflows the stack.", policy(func(p *mcpserver.Policy) { p.DeepCrash = true }), []string{"RS-ABUSE-DECOMPRESSION"}, nil},
	{"jwe-crash", "An encrypted token crashes.", policy(func(p *mcpserver.Policy) { p.JWECrash = true }), []string{"RS-ABUSE-JWE-COST"}, []string{"RS-CHALLENGE-MALFORMED-400", "RS-TOKEN-GARBAGE", "RS-TOKEN-FORMAT-CONFUSION"}},
	{"token-verified-once", "A token is verified the first time only.", policy(func(p *mcpserver.Policy) { p.CachesTokens = true }), []string{"RS-SESSION-EXPIRY-MIDWAY"}, []string{"RS-TOKEN-INTROSPECTION-CACHE"}},
	{"batch-by-first", "A batch is judged by its first message.", policy(func(p *mcpserver.Policy) { p.BatchByFirst = true }), []string{"RS-SCOPE-BATCH-MEMBERS"}, nil},
	{"two-fields-crash", "Two Authorization fields crash.", policy(func(p *mcpserver.Policy) { p.TwoCrash = true }), []string{"RS-CHALLENGE-MALFORMED-400"}, []string{"RS-TOKEN-DUPLICATE-CREDENTIALS"}},
	{"quotes-break-out", "A challenge quotes the credential as it is.", policy(func(p *mcpserver.Policy) { p.ReflectHeader = true }), []string{"RS-ABUSE-HEADER-INJECTION"}, []string{"RS-CHALLENGE-BODY-HYGIENE", "RS-TOKEN-OVERSIZED"}},
	{"opens-files-by-template", "A resource is opened by whatever path its template is filled with.", policy(func(p *mcpserver.Policy) { p.OpensFiles, p.TemplatesOnly = true, true }), []string{"RS-ABUSE-RESOURCE-TRAVERSAL"}, nil},
}
