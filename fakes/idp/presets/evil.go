package presets

import "github.com/mcpauth/conformance/fakes/idp"

// evil is not a preset of a vendor: it works for honest clients, and accepts everybody else too.
var evil = Preset{Name: "evil", Says: "It works for honest clients, and for everybody else as well.", behaviour: func(b *idp.Behaviour) {
	b.Consent = "never"
	b.Lacks = []idp.Defence{
		idp.MatchWholeRedirect, idp.RequireChallenge, idp.RefusePlain, idp.NoDefaultMethod, idp.WholeVerifier, idp.NoDowngrade,
		idp.SingleUse, idp.ReplayRevokes, idp.CodeClient, idp.CodeRedirect,
		idp.CheckCSRF, idp.BindTransaction, idp.CookieAttributes, idp.NoFraming, idp.ContentSecurityPolicy, idp.SendIssuer,
		idp.RotateRefresh, idp.RefreshClient, idp.NoWidening, idp.KnownScopes,
		idp.KnownResources, idp.SafeSchemes, idp.NoPlainHTTP, idp.ExactLoopback, idp.RevokeOwn, idp.RevokeGrant, idp.IntrospectAuth,
		idp.IntrospectState, idp.UserinfoState, idp.LimitPasswords, idp.LimitSecrets,
	}
}}
