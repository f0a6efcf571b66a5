package flaws

import (
	"fmt"
	"strings"

	"github.com/mcpauth/conformance/fakes/idp"
	"github.com/mcpauth/conformance/fakes/reference"
)

// proxied returns the flaw of a proxy that lacks one defence.
func proxied(name string, d idp.Defence, noticed string, also ...string) Flaw {
	bend := func(o *reference.Options) { o.Proxy, o.Behaviour.Lacks = true, []idp.Defence{d} }
	return Flaw{Name: name, Says: "The proxy lacks this defence: " + string(d) + ".", Bend: bend, Noticed: []string{noticed}, Also: also}
}

// remembering puts a flaw on a proxy that remembers approvals.
func remembering(f Flaw) Flaw {
	bend := f.Bend
	f.Bend = func(o *reference.Options) {
		bend(o)
		o.Behaviour.Consent = "once"
	}
	return f
}

var proxies = []Flaw{
	proxied("proxy-asks-nobody", idp.ProxyConsent, "AS-PROXY-CONSENT-PER-CLIENT",
		"AS-CONSENT-NEW-SCOPE", "AS-CONSENT-NO-SILENT-REPEAT", "AS-CONSENT-REQUIRED", "AS-PROXY-CONSENT-BEFORE-UPSTREAM"),
	proxied("proxy-believes-browsers", idp.BrowserIDToken, "AS-PROXY-BROWSER-ID-TOKEN"),
	inRows(proxied("proxy-lets-browsers-in", idp.BrowserBringsToken, "AS-PROXY-BROWSER-ID-TOKEN"), "nothing", "no token"),
	proxied("proxy-token-outlives-upstream", idp.UpstreamStatus, "RS-PASS-UPSTREAM-STATUS"),
	proxied("proxy-asks-afterwards", idp.ConsentBeforeUpstream, "AS-PROXY-CONSENT-BEFORE-UPSTREAM", "AS-PROXY-*"),
	proxied("proxy-names-own-scopes-only", idp.ConsentNamesUpstream, "AS-PROXY-CONSENT-CONTENT"),
	inRows(proxied("proxy-form-of-anybody", idp.BindTransaction, "AS-PROXY-CONSENT-CSRF", "AS-AUTHZ-TRANSACTION-BINDING"),
		"a form that another browser was shown", "a form that another browser was shown, in one with a page of its own"),
	proxied("proxy-framed", idp.NoFraming, "AS-PROXY-CONSENT-NOFRAME", "AS-AUTHZ-CLICKJACKING"),
	remembering(proxied("proxy-approvals-unsealed", idp.SealedApprovals, "AS-PROXY-CONSENT-COOKIE", "AS-CONSENT-NO-SILENT-REPEAT")),
	approvesByCookie(),
	remembering(proxied("proxy-approves-all", idp.ApprovalPerClient, "AS-PROXY-CONSENT-COOKIE",
		"AS-CONSENT-NEW-SCOPE", "AS-CONSENT-NO-SILENT-REPEAT", "AS-CONSENT-REQUIRED", "AS-PROXY-CONSENT-PER-CLIENT")),
	proxied("proxy-bound-before-consent", idp.BindAfterConsent, "AS-PROXY-STATE-AFTER-CONSENT"),
	proxied("proxy-bound-to-nobody", idp.BindUpstreamState, "AS-PROXY-STATE-BOUND-TO-BROWSER", "AS-PROXY-STATE-AFTER-CONSENT"),
	proxied("proxy-state-ignored", idp.CheckUpstreamState, "AS-PROXY-STATE-VALIDATED", "AS-PROXY-STATE-*"),
	proxied("proxy-passes-state-on", idp.FreshUpstreamState, "AS-PROXY-STATE-FRESH", "AS-AUTHZ-STATE-EXACT"),
	proxied("proxy-asks-for-more", idp.ModestUpstreamRequest, "AS-PROXY-UPSTREAM-REQUEST", "AS-PROXY-CONSENT-CONTENT",
		"AS-PROXY-UPSTREAM-ID-TOKEN"),
	proxied("proxy-hands-token-on", idp.OwnTokens, "AS-PROXY-UPSTREAM-TOKEN-HIDDEN"),
	tellsUpstream("token", "the token response", "/token"),
	tellsUpstream("refresh", "the answer to a refresh", "refresh"),
	tellsUpstream("id-token", "the ID token's claims", "ID token"),
	tellsUpstream("userinfo", "the userinfo response", "/userinfo"),
	tellsUpstream("introspection", "the introspection response", "/introspect"),
	inRows(proxied("proxy-takes-upstream-tokens", idp.OnlyOwnTokens, "AS-PROXY-UPSTREAM-TOKEN-NOT-GRANT"), issuedUpstream()...),
	proxyWith("redeems-upstream-codes", "A code that is not its own is redeemed at the upstream.", "AS-PROXY-UPSTREAM-TOKEN-NOT-GRANT",
		"an unused code of the upstream, as code", func(b *idp.Behaviour) { b.RedeemsUpstream = true }),
	proxied("proxy-crashes-with-upstream", idp.UpstreamErrors, "AS-PROXY-UPSTREAM-ERROR"),
	proxied("proxy-believes-id-token", idp.VerifyUpstreamIDToken, "AS-PROXY-UPSTREAM-ID-TOKEN", "AS-PROXY-BROWSER-ID-TOKEN"),
	proxied("proxy-accounts-by-mail", idp.AccountsBySubject, "AS-PROXY-ACCOUNT-LINKING"),
	proxied("proxy-outlives-upstream", idp.FollowUpstream, "AS-PROXY-UPSTREAM-LIFECYCLE"),
	proxied("proxy-state-twice", idp.UpstreamStateOnce, "AS-PROXY-STATE-VALIDATED"),
	looseState("missing", "without state", func(_, _ string, sent bool) bool { return !sent }),
	looseState("empty", "an empty state", func(_, got string, sent bool) bool { return sent && got == "" }),
	looseState("short", "the beginning of the state", func(kept, got string, _ bool) bool {
		return got != "" && len(got) < len(kept) && strings.HasPrefix(kept, got)
	}),
	looseState("by-length", "a changed state", func(kept, got string, _ bool) bool { return len(got) == len(kept) }),
	approvalsBare(),
	believedUpstream("issuer", "another issuer", claim("iss", "https://attacker.example")),
	believedUpstream("audience", "another audience", claim("aud", "another-client")),
	believedUpstream("azp", "a foreign azp", claim("azp", "another-client")),
	believedUpstream("expired", "expired", past("exp")),
	believedUpstream("of-tomorrow", "issued in the future", ahead("iat")),
	believedUpstream("nonce", "another nonce", claim("nonce", "mcpauth-wrong")),
	believedUpstream("no-nonce", "no nonce", noClaim("nonce")),
	believedUpstream("unsigned", "alg none", header("alg", "none")),
}

// proxyWith returns the flaw of a proxy that behaves in another way.
func proxyWith(name, says, noticed, row string, bend func(b *idp.Behaviour)) Flaw {
	return Flaw{
		Name: "proxy-" + name, Says: says, Noticed: []string{noticed}, Row: row,
		Bend: func(o *reference.Options) {
			o.Proxy = true
			bend(&o.Behaviour)
		},
	}
}

// inRows expects a finding in each of these rows.
func inRows(f Flaw, rows ...string) Flaw {
	f.Rows = rows
	return f
}

// tellsUpstream has a token of the upstream in one of its own responses.
func tellsUpstream(name, row, endpoint string) Flaw {
	f := proxyWith("tells-upstream-in-"+name, "A token of the upstream is in "+row+".", "AS-PROXY-UPSTREAM-TOKEN-HIDDEN", row,
		func(b *idp.Behaviour) { b.TellsUpstream = endpoint })
	f.Also = []string{"AS-USERINFO-HYGIENE"}
	return f
}

// issuedUpstream are the rows for each value that an upstream issues for a code, and each place of it.
func issuedUpstream() (rows []string) {
	rows = append(rows, "an unused code of the upstream, as code")
	for i := range 3 {
		name := fmt.Sprintf("what the upstream issued, number %d of 3", i+1)
		rows = append(rows, name+", as code", name+", as refresh_token", "at userinfo, "+name, "at introspection, "+name)
	}
	return rows
}

// approvesByCookie is a proxy that asks nobody who has a cookie of approvals, whatever is in it.
func approvesByCookie() Flaw {
	f := proxyWith("approves-by-cookie", "A cookie of approvals counts for everything, whatever is in it.", "AS-PROXY-CONSENT-COOKIE", "",
		func(b *idp.Behaviour) { b.Lacks = []idp.Defence{idp.SealedApprovals, idp.ApprovalPerClient} })
	f.Also = []string{"AS-CONSENT-NEW-SCOPE", "AS-CONSENT-NO-SILENT-REPEAT", "AS-CONSENT-REQUIRED", "AS-PROXY-CONSENT-PER-CLIENT"}
	return remembering(inRows(f, "the first character changed", "a character in the middle changed", "a character near the end changed"))
}

// approvalsBare returns the flaw of an approval cookie without attributes.
func approvalsBare() Flaw {
	f := proxyWith("approvals-bare", "The cookie that records approvals has no attributes.", "AS-PROXY-CONSENT-COOKIE",
		"the cookie as_approvals", func(b *idp.Behaviour) { b.BareCookies = []string{"as_approvals"} })
	f.Also = []string{"AS-LOGIN-COOKIE-ATTRIBUTES", "AS-CONSENT-NO-SILENT-REPEAT"}
	return remembering(f)
}

// looseState accepts an upstream answer whose state is similar to that of the request, or unrelated to it.
func looseState(name, row string, matches func(kept, got string, sent bool) bool) Flaw {
	f := proxyWith("state-"+name, "An upstream answer counts: "+row+".", "AS-PROXY-STATE-VALIDATED", row,
		func(b *idp.Behaviour) { b.StateMatches = matches })
	f.Also = []string{"AS-PROXY-STATE-*", "AS-PROXY-UPSTREAM-ERROR"}
	return f
}

// believedUpstream accepts an ID token of the upstream by its header and claims alone.
func believedUpstream(name, row string, is func(header, claims map[string]any) bool) Flaw {
	f := proxyWith("believes-id-token-"+name, "An ID token of the upstream is accepted: "+row+".", "AS-PROXY-UPSTREAM-ID-TOKEN", row,
		func(b *idp.Behaviour) { b.Believes = is })
	f.Also = []string{"AS-PROXY-BROWSER-ID-TOKEN", "AS-PROXY-UPSTREAM-ID-TOKEN", "AS-CC-*", "AS-EMA-*", "AS-CIMD-KEY-AUTH-ENFORCED"}
	return f
}
