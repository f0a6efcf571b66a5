package flaws

import (
	"github.com/mcpauth/conformance/fakes/idp"
	"github.com/mcpauth/conformance/fakes/mcpserver"
	"github.com/mcpauth/conformance/fakes/reference"
)

// lacks leaves out defences of the MCP server or of the authorization server.
func lacks[D idp.Defence | mcpserver.Defence](defences ...D) func(o *reference.Options) {
	return func(o *reference.Options) {
		for _, d := range defences {
			switch d := any(d).(type) {
			case idp.Defence:
				o.Behaviour.Lacks = append(o.Behaviour.Lacks, d)
			case mcpserver.Defence:
				o.Policy.Lacks = append(o.Policy.Lacks, d)
			}
		}
	}
}

// responses changes the answers of an endpoint of the authorization server.
func responses(endpoint string, bend func(members map[string]any)) func(o *reference.Options) {
	return behaviour(func(b *idp.Behaviour) {
		b.Response = func(at string, members map[string]any) {
			if at == endpoint {
				bend(members)
			}
		}
	})
}

// one returns the flaw of a server that lacks a single defence. The defence describes the flaw.
func one(name string, d idp.Defence, noticed string, also ...string) Flaw {
	return Flaw{Name: name, Says: "The server lacks this defence: " + string(d) + ".", Bend: lacks(d), Noticed: []string{noticed}, Also: also}
}

// alsoNoticed adds checks that must notice a flaw.
func alsoNoticed(f Flaw, ids ...string) Flaw {
	f.Noticed = append(f.Noticed, ids...)
	return f
}

var tokenEndpoint = []Flaw{
	{
		Name: "as-wrong-error", Says: "An unknown client gets invalid_grant.",
		Bend: behaviour(func(b *idp.Behaviour) { b.UnknownError = "invalid_grant" }), Noticed: []string{"AS-TOKEN-UNKNOWN-CLIENT"},
		// Every check that expects an error about an unknown client: the error is the same for a wrong secret.
		Also: []string{"AS-DCR-SECRET-WORKS", "AS-TOKEN-*", "AS-REFRESH-CONFIDENTIAL-AUTH", "AS-REVOKE-CLIENT-AUTH", "AS-PAR-BASIC",
			"AS-CIMD-KEY-AUTH-ENFORCED", "AS-TX-VALIDATION", "AS-CC-ASSERTION-REJECTED"},
	},
	one("token-as-html", idp.TokenJSON, "AS-TOKEN-SUCCESS-SHAPE"),
	one("token-stored", idp.TokenNoStore, "AS-TOKEN-NO-STORE"),
	alsoNoticed(one("token-expiry-string", idp.NumericExpiry, "AS-TOKEN-EXPIRES-IN"), "AS-TOKEN-SUCCESS-SHAPE"),
	one("token-for-a-year", idp.ShortLived, "AS-TOKEN-SHORT-LIVED", "AS-INTROSPECT-ACTIVE-SHAPE", "AS-TOKEN-EXPIRES-IN"),
	one("token-scope-constant", idp.ReportScope, "AS-TOKEN-SCOPE-REPORTED", "AS-INTROSPECT-ACTIVE-SHAPE"),
	one("token-query", idp.PostOnly, "AS-TOKEN-POST-ONLY", "AS-REVOKE-REQUEST-FORM", "AS-INTROSPECT-REQUEST-FORM"),
	one("token-media-type-exact", idp.MediaTypeParameters, "AS-TOKEN-CONTENT-TYPE"),
	one("token-json-null", idp.FormOnly, "AS-TOKEN-JSON-BODY"),
	one("token-last-wins", idp.RefuseRepeated, "AS-TOKEN-DUPLICATE-PARAMS"),
	one("token-empty-scope-refused", idp.IgnoreUnknownAtToken, "AS-TOKEN-UNKNOWN-AND-EMPTY", "AS-PKCE-REJECT-MISSING-VERIFIER"),
	one("token-unknown-grant-crashes", idp.GrantErrors, "AS-TOKEN-GRANT-TYPE-ERRORS",
		"AS-CC-ASSERTION-ACCEPTED", "AS-CC-SECRET-FLOW", "AS-DCR-NO-PRIVILEGED-GRANTS", "AS-DEVICE-GRANT",
		"AS-META-GRANTS-MATCH-BEHAVIOUR", "AS-TOKEN-CLIENT-CREDENTIALS-PUBLIC", "AS-TOKEN-ERROR-SHAPE", "AS-TOKEN-PASSWORD-GRANT-OFF"),
	one("token-password-grant", idp.NoPasswordGrant, "AS-TOKEN-PASSWORD-GRANT-OFF", "AS-META-GRANTS-MATCH-BEHAVIOUR"),
	one("token-public-client-credentials", idp.NoPublicCredentials, "AS-TOKEN-CLIENT-CREDENTIALS-PUBLIC",
		"AS-DCR-NO-PRIVILEGED-GRANTS", "AS-META-GRANTS-MATCH-BEHAVIOUR"),
	one("token-unknown-code-crashes", idp.KnowCodes, "AS-TOKEN-INVALID-CODE", "AS-TOKEN-ERROR-SHAPE", "AS-TOKEN-OVERSIZED",
		"AS-TOKEN-TYPE-CONFUSION"),
	one("token-code-reusable", idp.SingleUse, "AS-TOKEN-CODE-SINGLE-USE", "AS-TOKEN-CODE-RACE"),
	one("token-code-race", idp.AtomicCodes, "AS-TOKEN-CODE-RACE"),
	{
		Name: "token-code-race-seldom", Says: "Each seventeenth code works several times in concurrent requests.",
		Bend: behaviour(func(b *idp.Behaviour) { b.RaceOfEach = 17 }), Noticed: []string{"AS-TOKEN-CODE-RACE"},
	},
	one("token-replay-only-refused", idp.ReplayRevokes, "AS-TOKEN-CODE-REPLAY-REVOKES"),
	one("token-any-replay-revokes", idp.ReplayNeedsProof, "AS-TOKEN-CODE-REPLAY-NO-DOS"),
	one("token-code-of-any-client", idp.CodeClient, "AS-TOKEN-CODE-BOUND-CLIENT", "AS-TOKEN-CODE-REPLAY-NO-DOS"),
	rowOf(one("token-code-of-any-document", idp.CodeOfDocuments, "AS-TOKEN-CODE-BOUND-CLIENT"),
		"the code of the client of a metadata document"),
	one("token-any-redirect", idp.CodeRedirect, "AS-TOKEN-CODE-BOUND-REDIRECT", "AS-TOKEN-DUPLICATE-PARAMS"),
	one("token-redirect-needed", idp.OptionalRedirect, "AS-TOKEN-REDIRECT-OPTIONAL"),
	one("token-no-basic-challenge", idp.BasicChallenge, "AS-TOKEN-INVALID-CLIENT-BASIC"),
	one("token-secret-optional", idp.CheckSecret, "AS-TOKEN-WRONG-SECRET", "AS-REFRESH-CONFIDENTIAL-AUTH", "AS-REVOKE-CLIENT-AUTH",
		"AS-TOKEN-METHOD-PINNED", "AS-CIMD-KEY-AUTH-ENFORCED", "AS-INTROSPECT-AUTH-REQUIRED", "AS-PAR-BASIC"),
	one("token-method-unpinned", idp.PinMethod, "AS-TOKEN-METHOD-PINNED", "AS-REFRESH-CONFIDENTIAL-AUTH", "AS-REVOKE-CLIENT-AUTH",
		"AS-TOKEN-WRONG-SECRET", "AS-INTROSPECT-AUTH-REQUIRED", "AS-PAR-BASIC"),
	one("token-no-post-secret", idp.SecretByPost, "AS-TOKEN-SECRET-POST", "AS-DCR-SECRET-WORKS",
		"AS-META-AUTH-METHODS-TRUE", "AS-REVOKE-CLIENT-AUTH"),
	alsoNoticed(one("token-basic-needs-client-id", idp.SecretByBasic, "AS-TOKEN-SECRET-BASIC",
		"AS-CC-SECRET-FLOW", "AS-META-AUTH-METHODS-TRUE", "AS-REFRESH-BOUND-CLIENT",
		"AS-TOKEN-CODE-BOUND-CLIENT", "AS-TOKEN-INVALID-CLIENT-BASIC", "AS-TOKEN-PASSWORD-GRANT-OFF"), "AS-DCR-SECRET-WORKS"),
	rowOf(one("basic-needs-client-id", idp.SecretByBasic, "AS-META-AUTH-METHODS-TRUE", "AS-CC-SECRET-FLOW", "AS-DCR-SECRET-WORKS",
		"AS-TOKEN-INVALID-CLIENT-BASIC", "AS-TOKEN-SECRET-BASIC"), "client_secret_basic"),
	one("token-two-clients", idp.OneClient, "AS-TOKEN-TWO-METHODS",
		"AS-CC-SECRET-FLOW", "AS-DCR-NO-PRIVILEGED-GRANTS", "AS-DCR-SECRET-WORKS", "AS-META-AUTH-METHODS-TRUE",
		"AS-REFRESH-BOUND-CLIENT", "AS-TOKEN-CODE-BOUND-CLIENT", "AS-TOKEN-SECRET-BASIC"),
	// Other checks expect a status that fits an error.
	one("token-error-with-200", idp.ErrorShape, "AS-TOKEN-ERROR-SHAPE",
		"AS-CC-*", "AS-CIMD-KEY-AUTH-ENFORCED", "AS-CONSENT-REVOCABLE", "AS-DCR-NO-PRIVILEGED-GRANTS", "AS-DCR-SECRET-WORKS",
		"AS-DCRM-DELETE",
		"AS-DEVICE-GRANT", "AS-META-GRANTS-MATCH-BEHAVIOUR",
		"AS-DPOP-BINDING", "AS-EMA-*", "AS-INTROSPECT-*", "AS-PAR-*", "AS-PKCE-*", "AS-REFRESH-*", "AS-RES-*", "AS-REVOKE-*",
		"AS-TOKEN-*", "AS-TX-*"),
	one("token-error-echoes", idp.SilentErrors, "AS-TOKEN-ERROR-NO-LEAK"),
	one("token-cors-on-success-only", idp.CORSOnErrors, "AS-TOKEN-CORS"),
	one("token-grants-unchecked", idp.RegisteredGrants, "AS-TOKEN-UNAUTHORIZED-GRANT", "AS-REFRESH-CLIENT-CAPABILITY"),
	one("token-type-confusion", idp.KnowTokenType, "AS-TOKEN-TYPE-CONFUSION"),
	one("token-oversized", idp.BoundedInput, "AS-TOKEN-OVERSIZED", "AS-TOKEN-INVALID-CODE"),
	one("token-bare-claims", idp.TokenClaims, "AS-TOKEN-JWT-CLAIMS"),
	{
		Name: "token-readable", Says: "Access tokens are the user's name, encoded.",
		Bend: lacks(idp.UniqueTokens), Noticed: []string{"AS-TOKEN-RANDOM"},
		Also: []string{
			"AS-EMA-VALID-ACCEPTED", "AS-INTROSPECT-ACTIVE-SHAPE", "AS-INTROSPECT-REQUEST-FORM", "AS-REFRESH-NEW-ACCESS-TOKEN",
			"AS-TX-VALIDATION", "RS-AUD-MATCHES-PRM",
		},
	},
}

var refreshing = []Flaw{
	one("refresh-handler-missing", idp.WorkingRefresh, "AS-REFRESH-WORKS", "AS-DPOP-BINDING"),
	one("refresh-same-access", idp.FreshAccess, "AS-REFRESH-NEW-ACCESS-TOKEN", "AS-REFRESH-SCOPE-NARROW"),
	one("refresh-counts", idp.RandomRefresh, "AS-REFRESH-RANDOM"),
	one("refresh-unknown-crashes", idp.KnowRefresh, "AS-REFRESH-INVALID", "AS-TOKEN-ERROR-SHAPE", "AS-TOKEN-TYPE-CONFUSION"),
	one("refresh-narrow-for-good", idp.NarrowOnce, "AS-REFRESH-SCOPE-NARROW"),
	one("refresh-widens", idp.NoWidening, "AS-REFRESH-SCOPE-WIDEN"),
	one("refresh-no-rotation", idp.RotateRefresh, "AS-REFRESH-ROTATES"),
	one("refresh-old-lives", idp.OldRefreshDies, "AS-REFRESH-OLD-DIES", "AS-REFRESH-RACE"),
	one("refresh-reuse-only-refused", idp.ReuseRevokesFamily, "AS-REFRESH-REUSE-REVOKES-FAMILY", "AS-REFRESH-REUSE-KILLS-ACCESS"),
	one("refresh-reuse-spares-access", idp.ReuseKillsAccess, "AS-REFRESH-REUSE-KILLS-ACCESS"),
	one("refresh-race", idp.OneLineage, "AS-REFRESH-RACE", "AS-REFRESH-OLD-DIES"),
	one("refresh-any-client", idp.RefreshClient, "AS-REFRESH-BOUND-CLIENT"),
	one("refresh-without-secret", idp.RefreshNeedsSecret, "AS-REFRESH-CONFIDENTIAL-AUTH", "AS-CIMD-KEY-AUTH-ENFORCED"),
	one("refresh-for-everybody", idp.RegisteredGrants, "AS-REFRESH-CLIENT-CAPABILITY", "AS-TOKEN-UNAUTHORIZED-GRANT"),
}

var inspection = []Flaw{
	rowOf(one("revoke-spares-rotated", idp.RevokeRotated, "AS-REVOKE-REFRESH-TOKEN", "AS-REVOKE-REFRESH-KILLS-ACCESS"),
		"a revoked refresh token that a refresh issued"),
	one("revoke-nothing", idp.RevokeRefresh, "AS-REVOKE-REFRESH-TOKEN", "AS-REVOKE-*", "AS-REFRESH-REVOKED"),
	{
		Name: "revoke-spares-machines", Says: "Access tokens of clients that act for themselves are not revoked.",
		Row:  "a revoked access token of a client that acts for itself",
		Bend: behaviour(func(b *idp.Behaviour) { b.SparesMachines = true }), Noticed: []string{"AS-REVOKE-ACCESS-TOKEN"},
	},
	{
		Name: "revoke-by-half", Says: "A refresh token is not revoked if its access token was revoked before.",
		Row:  "a refresh token that was revoked after its access token",
		Bend: behaviour(func(b *idp.Behaviour) { b.RevokesPairs = true }), Noticed: []string{"AS-REVOKE-REFRESH-TOKEN"},
	},
	{
		Name: "revoke-only-access", Says: "Revocation works for access tokens only.",
		Bend: lacks(idp.RevokeRefresh), Noticed: []string{"AS-REFRESH-REVOKED"}, Also: []string{"AS-REVOKE-*"},
	},
	{
		Name: "resource-server-never-hears", Says: "The MCP server verifies the signature only, and does not learn of a revocation.",
		Bend: lacks(mcpserver.CheckRevocation), Noticed: []string{"RS-TOKEN-REVOKED"},
		Also: []string{
			"AS-DCRM-DELETE", "AS-REFRESH-REUSE-KILLS-ACCESS", "AS-REVOKE-ACCESS-TOKEN", "AS-REVOKE-REFRESH-KILLS-ACCESS",
			"AS-TOKEN-CODE-REPLAY-REVOKES",
		},
	},
	{
		Name: "resource-server-takes-refresh-tokens", Says: "The MCP server accepts a refresh token as an access token.",
		Bend: policy(func(p *mcpserver.Policy) { p.OpaquePrefix = "rt_" }), Noticed: []string{"RS-TOKEN-REFRESH-OR-CODE"},
		Also: []string{"AS-TOKEN-TYPE-CONFUSION"},
	},
	one("revoke-access-lives", idp.RevokeAccess, "AS-REVOKE-ACCESS-TOKEN", "RS-TOKEN-REVOKED", "AS-INTROSPECT-INACTIVE",
		"AS-USERINFO-TOKEN-STATE"),
	one("revoke-spares-access", idp.RevokeGrant, "AS-REVOKE-REFRESH-KILLS-ACCESS"),
	one("revoke-unknown-404", idp.RevokeUnknown, "AS-REVOKE-UNKNOWN-200"),
	one("revoke-others", idp.RevokeOwn, "AS-REVOKE-WRONG-CLIENT"),
	rowed("revoke-others-with-a-secret", "revoked by a client with a secret", idp.RevokeConfidential, "AS-REVOKE-WRONG-CLIENT"),
	one("revoke-without-secret", idp.RevokeAuthenticates, "AS-REVOKE-CLIENT-AUTH", "AS-REVOKE-WRONG-CLIENT"),
	one("revoke-needs-secret", idp.RevokePublic, "AS-REVOKE-PUBLIC-CLIENT",
		"AS-REVOKE-ACCESS-TOKEN", "AS-REVOKE-HINTS", "AS-REVOKE-REFRESH-KILLS-ACCESS", "AS-REVOKE-REFRESH-TOKEN",
		"AS-REVOKE-UNKNOWN-200"),
	one("revoke-hint-enum", idp.RevokeAnyHint, "AS-REVOKE-HINTS"),
	one("revoke-by-url", idp.RevokeByPost, "AS-REVOKE-REQUEST-FORM"),
	one("revoke-no-cors", idp.RevokeCORS, "AS-REVOKE-CORS"),
	alsoNoticed(one("introspect-open", idp.IntrospectAuth, "AS-INTROSPECT-AUTH-REQUIRED", "AS-INTROSPECT-OTHER-CLIENT"),
		"AS-INTROSPECT-BAD-CREDENTIALS"),
	{
		Name: "introspect-unlisted", Says: "An introspection endpoint that the metadata does not name answers anybody.", Row: "/introspect",
		Noticed: []string{"AS-INTROSPECT-SIDE-ENDPOINTS"},
		Bend:    all(lacks(idp.IntrospectAuth), metadata(func(d map[string]any) { delete(d, "introspection_endpoint") })),
	},
	one("introspect-bad-base64", idp.IntrospectErrors, "AS-INTROSPECT-BAD-CREDENTIALS", "AS-INTROSPECT-AUTH-REQUIRED"),
	one("introspect-strings", idp.IntrospectShape, "AS-INTROSPECT-ACTIVE-SHAPE", "AS-INTROSPECT-REQUEST-FORM"),
	one("introspect-dead-active", idp.IntrospectState, "AS-INTROSPECT-INACTIVE", "AS-TOKEN-EXPIRY-ENFORCED"),
	one("introspect-tells-why", idp.IntrospectSilence, "AS-INTROSPECT-NO-LEAK"),
	one("introspect-any-client", idp.IntrospectOwn, "AS-INTROSPECT-OTHER-CLIENT"),
	rowOf(one("introspect-refresh-of-others", idp.IntrospectOwnRefresh, "AS-INTROSPECT-OTHER-CLIENT", "AS-INTROSPECT-INACTIVE",
		"AS-INTROSPECT-REFRESH-TOKEN"), "another client's refresh token"),
	one("introspect-hint-hides", idp.IntrospectAnyHint, "AS-INTROSPECT-REQUEST-FORM"),
	{
		Name: "introspect-revoked-refresh-active", Says: "A revoked refresh token is active.", Row: "a revoked refresh token",
		Bend: lacks(idp.IntrospectTypes, idp.IntrospectState), Noticed: []string{"AS-INTROSPECT-INACTIVE"},
		Also: []string{"AS-INTROSPECT-*", "AS-TOKEN-EXPIRY-ENFORCED"},
	},
	one("introspect-refresh-as-access", idp.IntrospectTypes, "AS-INTROSPECT-REFRESH-TOKEN", "AS-INTROSPECT-INACTIVE"),
	one("tokeninfo-open", idp.NoTokenInfo, "AS-INTROSPECT-SIDE-ENDPOINTS"),
	one("userinfo-no-challenge", idp.UserinfoChallenge, "AS-USERINFO-UNAUTHENTICATED"),
	one("userinfo-client-as-sub", idp.UserinfoSubject, "AS-USERINFO-SHAPE"),
	one("userinfo-all-claims", idp.UserinfoScopes, "AS-USERINFO-SCOPES"),
	one("userinfo-without-openid", idp.UserinfoOpenID, "AS-USERINFO-SCOPES", "AS-CC-SUBJECT-DISTINCT"),
	one("userinfo-dead-token", idp.UserinfoState, "AS-USERINFO-TOKEN-STATE", "AS-TOKEN-TYPE-CONFUSION"),
	one("userinfo-query", idp.UserinfoHeaderOnly, "AS-USERINFO-NO-QUERY-TOKEN"),
	rowOf(one("userinfo-query-of-post", idp.UserinfoPostedQuery, "AS-USERINFO-NO-QUERY-TOKEN"), "POST, the token in the query"),
	one("userinfo-password-hash", idp.UserinfoClean, "AS-USERINFO-HYGIENE"),
}
