package flaws

import (
	"html"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/mcpauth/conformance/fakes/answer"
	"github.com/mcpauth/conformance/fakes/idp"
	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/fixtures/seeded"
)

// onePath are defects of real servers that are right everywhere but on one path: one kind of client, one grant, one endpoint, one order of
// events.
var onePath = slices.Concat(pathsOfCodes, pathsOfClients, pathsOfRedirects, pathsOfPages, pathsOfDocuments, pathsOfTokens, pathsOfProxies)

var pathsOfCodes = []Flaw{
	one("pkce-not-of-confidential-clients", idp.VerifierOfConfidential, "AS-PKCE-REJECT-WRONG-VERIFIER", "AS-PKCE-*"),
	one("pkce-not-of-documents", idp.VerifierOfDocuments, "AS-PKCE-REJECT-WRONG-VERIFIER", "AS-PKCE-*", "AS-CIMD-*"),
	pkceExempts("post", "client with client_secret_post", idp.VerifierOfPost, idp.ChallengeOfPost),
	pkceExempts("keys", "client with a key", idp.VerifierOfKeys, idp.ChallengeOfKeys, "AS-CIMD-*"),
	rowOf(one("pkce-not-required-of-documents", idp.ChallengeOfDocuments, "AS-PKCE-REQUIRE-CHALLENGE", "AS-PKCE-*", "AS-CIMD-*"),
		"of the client of a metadata document"),
	rowOf(one("authorize-posted-without-login", idp.AuthenticatePosted, "AS-AUTHZ-USER-AUTHENTICATED", "AS-AUTHZ-*"), "the request by POST"),
	rowOf(one("cimd-method-without-secret", idp.DocumentMethods, "AS-CIMD-REJECT-SHARED-SECRET", "AS-CIMD-*"), "without a client_secret"),
	one("pkce-not-of-pushed-requests", idp.PushedChallenge, "AS-PAR-BASIC", "AS-PKCE-*"),
	{
		Name: "pkce-not-of-posted-requests", Says: "An authorization request by POST needs no code_challenge.",
		Bend: challengeFor(func(r *http.Request) bool { return r.Method == http.MethodPost }), Noticed: []string{"AS-PKCE-REQUIRE-CHALLENGE"},
		Also: []string{"AS-PKCE-*"},
	},
	takes("as-a-list", "code_verifier[]", "AS-PKCE-REJECT-MISSING-VERIFIER", func(_ string, form url.Values) bool {
		return form.Has("code_verifier[]")
	}),
	one("replay-spares-refresh", idp.ReplayKillsRefresh, "AS-TOKEN-CODE-REPLAY-REVOKES", "AS-REFRESH-*"),
	one("replay-spares-rotated", idp.ReplayKillsRotated, "AS-TOKEN-CODE-REPLAY-REVOKES", "AS-REFRESH-*"),
	{
		Name: "refreshed-access-dead", Says: "A refresh ends every access token of its grant, the new one too.",
		Bend:    all(lacks(idp.WorkingRefreshed), behaviour(func(b *idp.Behaviour) { b.RefreshEndsAccess = true })),
		Noticed: []string{"AS-REFRESH-WORKS"}, Also: []string{"AS-REFRESH-*", "AS-REVOKE-*"},
	},
	one("reuse-of-old-only-refused", idp.OldReuseRevokes, "AS-REFRESH-REUSE-REVOKES-FAMILY", "AS-REFRESH-*"),
	rowOf(one("reuse-of-refreshed-only-refused", idp.ReuseOfRefreshed, "AS-REFRESH-REUSE-REVOKES-FAMILY", "AS-REFRESH-*"),
		"that a refresh issued"),
	rowOf(one("widened-at-second-refresh", idp.NoWideningLater, "AS-REFRESH-SCOPE-WIDEN", "AS-REFRESH-*"), "at a second refresh"),
	rowOf(one("audience-lost-at-second-refresh", idp.SameResourceLater, "AS-REFRESH-RESOURCE", "AS-REFRESH-*"), "after a second refresh"),
	rowOf(one("pkce-first-time-only", idp.VerifierEachTime, "AS-PKCE-REJECT-WRONG-VERIFIER", "AS-PKCE-*"), "for the second time"),
	alsoNoticed(rowOf(one("assertion-or-any-secret", idp.NoSecretForKeys, "AS-CC-ASSERTION-REJECTED", "AS-CIMD-KEY-AUTH-ENFORCED"),
		"a client_secret instead"), "AS-TOKEN-WRONG-SECRET"),
	one("reuse-kills-newest-access", idp.ReuseKillsEveryAccess, "AS-REFRESH-REUSE-KILLS-ACCESS", "AS-REFRESH-*"),
	rowOf(one("revoke-spares-refreshed-access", idp.RevokeRefreshed, "AS-REVOKE-ACCESS-TOKEN", "AS-REVOKE-*", "AS-INTROSPECT-*",
		"AS-USERINFO-*"), "that a refresh issued"),
	one("revoke-kills-newest-access", idp.RevokeEveryAccess, "AS-REVOKE-REFRESH-KILLS-ACCESS", "AS-REVOKE-*"),
}

// challengeFor supplies a challenge where it is missing, and accepts any verifier for it.
func challengeFor(which func(r *http.Request) bool) func(o *reference.Options) {
	own := s256("mcpauth-supplied-by-the-server-itself-0123456789")
	return all(
		behaviour(func(b *idp.Behaviour) {
			b.TakesVerifier = func(challenge, _ string, _ url.Values) bool { return challenge == own }
		}),
		wrapping(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			body := answer.Peek(r)
			if form, err := url.ParseQuery(string(body)); err == nil && strings.HasSuffix(r.URL.Path, "/authorize") && which(r) &&
				form.Get("code_challenge") == "" {
				form.Set("code_challenge", own)
				form.Set("code_challenge_method", "S256")
				replaceBody(r, form.Encode())
			}
			next.ServeHTTP(w, r)
		}))
}

var pathsOfClients = []Flaw{
	one("refresh-any-secret", idp.RefreshSecret, "AS-REFRESH-CONFIDENTIAL-AUTH", "AS-TOKEN-*"),
	inRows(one("revoke-any-secret", idp.RevokeSecret, "AS-REVOKE-CLIENT-AUTH", "AS-REVOKE-*"),
		"a wrong secret by Basic", "the secret, the middle character changed", "another client's secret"),
	inRows(one("introspect-any-secret", idp.IntrospectSecret, "AS-INTROSPECT-BAD-CREDENTIALS", "AS-INTROSPECT-*"),
		"a wrong secret", "the secret, upper and lower case swapped", "another client's secret"),
	one("revoke-names-nobody", idp.RevokeNamed, "AS-REVOKE-CLIENT-AUTH", "AS-REVOKE-*"),
	{
		Name: "token-basic-undecoded", Says: "Secrets have characters that are encoded in Basic, and the server does not decode them.",
		Bend: all(lacks(idp.DecodedBasic), oddSecrets), Noticed: []string{"AS-DCR-SECRET-WORKS", "AS-TOKEN-SECRET-BASIC"},
		Also: []string{"AS-META-AUTH-METHODS-TRUE"},
	},
	{
		Name: "dcr-short-secrets", Says: "Client secrets have six characters.", Noticed: []string{"AS-DCR-IDS-UNIQUE-RANDOM"},
		Bend: behaviour(func(b *idp.Behaviour) { b.SecretOf = func(string) string { return seeded.Fakes.Text(3) } }),
	},
	one("dcr-same-metadata-same-client", idp.OwnRegistration, "AS-DCR-IDS-UNIQUE-RANDOM", "AS-DCR-*"), // two clients of a run are the same
	{
		Name: "dcr-same-metadata-new-secret", Says: "Whoever registers a client again replaces its secret.",
		Bend:    all(lacks(idp.OwnRegistration), behaviour(func(b *idp.Behaviour) { b.RenewsSecrets = true })),
		Noticed: []string{"AS-DCR-IDS-UNIQUE-RANDOM"}, Also: []string{"AS-DCR-*"},
	},
	one("assertion-for-another-client", idp.AssertionNames, "AS-CC-ASSERTION-REJECTED", "AS-CIMD-*"),
	alsoNoticed(one("assertion-of-no-type", idp.AssertionTypeNamed, "AS-CC-ASSERTION-REJECTED", "AS-CIMD-*"), "AS-TOKEN-WRONG-SECRET"),
	rowOf(one("assertion-unverified-at-refresh", idp.AssertionAtRefresh, "AS-CIMD-KEY-AUTH-ENFORCED"), "a refresh"),
	rowOf(one("assertion-of-document-for-another-client", idp.AssertionNames, "AS-CIMD-KEY-AUTH-ENFORCED", "AS-CC-*"),
		"another client's assertion"),
	one("assertion-twice", idp.AssertionOnce, "AS-CC-ASSERTION-REJECTED", "AS-CIMD-*"),
	one("assertion-unverified-with-code", idp.AssertionForCode, "AS-CIMD-KEY-AUTH-ENFORCED", "AS-TOKEN-WRONG-SECRET"),
	registersAny("JaVaScRiPt", "javascript in mixed case", "AS-DCR-REJECT-DANGEROUS-SCHEME", func(uri string) bool {
		return strings.HasPrefix(strings.ToLower(uri), "javascript:") && !strings.HasPrefix(uri, "javascript:")
	}),
	registersAny("script-after-space", "a dangerous scheme after white space", "AS-DCR-REJECT-DANGEROUS-SCHEME", func(uri string) bool {
		return strings.TrimSpace(uri) != uri && strings.HasPrefix(strings.TrimSpace(uri), "javascript:")
	}),
	registersAny("script-with-tab", "a dangerous scheme with a tab or a line break in it", "AS-DCR-REJECT-DANGEROUS-SCHEME",
		func(uri string) bool {
			bare := strings.NewReplacer("\t", "", "\n", "", "\r", "").Replace(uri)
			return bare != uri && strings.Contains(bare, "script:")
		}),
}

func registersAny(name, row, noticed string, is func(uri string) bool) Flaw {
	return Flaw{
		Name: "dcr-takes-any-" + name, Says: "This is registered as a redirect URI: " + row + ".", Noticed: []string{noticed},
		Bend: behaviour(func(b *idp.Behaviour) { b.RegistersRedirect = func(_ int, uri string) bool { return is(uri) } }),
		Also: []string{"AS-DCR*"},
	}
}

func oddSecrets(o *reference.Options) {
	o.Behaviour.SecretOf = func(string) string { return seeded.Fakes.Text(24) + "+/%41=&" }
}

var pathsOfRedirects = []Flaw{
	rowOf(one("redirect-of-confidential-clients", idp.RedirectOfConfidential, "AS-AUTHZ-REDIRECT-UNREGISTERED", "AS-AUTHZ-*"),
		"of a client with a secret"),
	rowOf(one("redirect-of-posted-requests", idp.PostedRedirect, "AS-AUTHZ-REDIRECT-UNREGISTERED", "AS-AUTHZ-*"), "in a request by POST"),
	one("authorize-redirect-of-another-client", idp.OwnRedirect, "AS-AUTHZ-REDIRECT-UNREGISTERED"),
	one("authorize-error-to-any-redirect", idp.RedirectBeforeErrors, "AS-AUTHZ-REDIRECT-UNREGISTERED", "AS-AUTHZ-*"),
	one("authorize-prompt-none-to-any-redirect", idp.RedirectBeforePrompt, "AS-AUTHZ-REDIRECT-UNREGISTERED", "AS-AUTHZ-*"),
	one("par-any-redirect", idp.PushedRedirect, "AS-PAR-BASIC", "AS-AUTHZ-*"),
	one("par-counted", idp.RandomRequestURIs, "AS-PAR-BASIC"),
	one("par-of-par", idp.NoPushedRequestURI, "AS-PAR-BASIC"),
	{
		Name: "par-required-in-name-only", Says: "Pushed requests are said to be required, and others are accepted.",
		Noticed: []string{"AS-PAR-BASIC"},
		Bend:    metadata(func(d map[string]any) { d["require_pushed_authorization_requests"] = true }),
	},
}

// pageHeaders changes header fields of pages.
func pageHeaders(change func(h http.Header)) func(o *reference.Options) {
	return pageAnswers(func(_ *http.Request, _ url.Values, a authAnswer) { change(a.Fields) })
}

func policyOf(name, says, old, new, noticed string) Flaw {
	return Flaw{
		Name: "authorize-" + name, Says: says, Noticed: []string{noticed}, Also: []string{"AS-AUTHZ-*", "AS-PROXY-*", "AS-LOGIN-*"},
		Bend: pageHeaders(func(h http.Header) {
			h.Set("Content-Security-Policy", strings.Replace(h.Get("Content-Security-Policy"), old, new, 1))
		}),
	}
}

// remembered returns a flaw of a server that remembers consent.
func remembered(name string, d idp.Defence, noticed string, also ...string) Flaw {
	f := one(name, d, noticed, append(also, "AS-CONSENT-*")...)
	f.Bend = all(lacks(d), behaviour(func(b *idp.Behaviour) { b.Consent = "once" }))
	return f
}

// asking puts a flaw of the consent page on a server that does not ask again about a client that its user has approved.
func asking(f Flaw) Flaw {
	f.Name, f.Bend = f.Name+"-asked-once", all(f.Bend, behaviour(func(b *idp.Behaviour) { b.Consent = "once" }))
	f.Also = append(slices.Clone(f.Also), "AS-CONSENT-NO-SILENT-REPEAT", "AS-CONSENT-NEW-SCOPE")
	return f
}

var stateField = regexp.MustCompile(`name="state" value="([^"]+)"`)

var pathsOfPages = []Flaw{
	policyOf("framed-by-anybody", "frame-ancestors allows everybody.", "frame-ancestors 'none'", "frame-ancestors *", "AS-AUTHZ-CLICKJACKING"),
	policyOf("framed-by-https", "frame-ancestors allows every https origin.", "frame-ancestors 'none'", "frame-ancestors 'self' https:",
		"AS-AUTHZ-CLICKJACKING"),
	{
		Name: "authorize-framed-by-old-field", Says: "X-Frame-Options has a value that browsers ignore.",
		Noticed: []string{"AS-AUTHZ-CLICKJACKING"},
		Also:    []string{"AS-AUTHZ-CSP"},
		Bend: pageHeaders(func(h http.Header) {
			h.Set("Content-Security-Policy", strings.Replace(h.Get("Content-Security-Policy"), "; frame-ancestors 'none'", "", 1))
			h.Set("X-Frame-Options", "ALLOW-FROM https://app.example")
		}),
	},
	{
		Name: "authorize-framed-despite-old-field", Says: "frame-ancestors allows everybody, and browsers ignore X-Frame-Options beside it.",
		Noticed: []string{"AS-AUTHZ-CLICKJACKING"},
		Bend: pageHeaders(func(h http.Header) {
			h.Set("Content-Security-Policy", strings.Replace(h.Get("Content-Security-Policy"), "frame-ancestors 'none'", "frame-ancestors *", 1))
			h.Set("X-Frame-Options", "DENY")
		}),
	},
	policyOf("csp-of-everything", "The content security policy allows every script.", "default-src 'none'",
		"default-src * 'unsafe-inline' 'unsafe-eval'", "AS-AUTHZ-CSP"),
	policyOf("csp-of-https", "The content security policy allows scripts of every https origin.", "default-src 'none'",
		"default-src 'self' https:", "AS-AUTHZ-CSP"),
	{
		Name: "authorize-referrer-unsafe", Says: "Referrer-Policy is unsafe-url.", Noticed: []string{"AS-AUTHZ-NO-STORE"},
		Bend: pageHeaders(func(h http.Header) { h.Set("Referrer-Policy", "unsafe-url") }), Also: []string{"AS-AUTHZ-*"},
	},
	{
		Name: "login-quotes-user", Says: "The login page shows the user name that was wrong as markup.",
		Noticed: []string{"AS-AUTHZ-REFLECTED-XSS"},
		Bend: pageAnswers(func(r *http.Request, _ url.Values, a authAnswer) {
			a.insert(r.PostForm.Get("username"))
		}), Also: []string{"AS-LOGIN-*"},
	},
	{
		Name: "authorize-posts-state-as-markup", Says: "The page of form_post shows the state as markup.",
		Noticed: []string{"AS-AUTHZ-REFLECTED-XSS"},
		Bend: pageAnswers(func(_ *http.Request, _ url.Values, a authAnswer) {
			if m := stateField.FindSubmatch(a.Body.Bytes()); m != nil {
				a.insert(html.UnescapeString(string(m[1])))
			}
		}), Also: []string{"AS-AUTHZ-*"},
	},
	one("consent-token-not-compared", idp.CompareCSRF, "AS-CONSENT-CSRF"),
	one("consent-token-empty", idp.NonEmptyCSRF, "AS-CONSENT-CSRF"),
	{
		Name: "login-token-not-compared", Says: "Any token of a login form is accepted, and browsers send cookies with forms of other sites.",
		Bend:    all(lacks(idp.CompareLoginCSRF), behaviour(func(b *idp.Behaviour) { b.CrossSiteCookies = true })),
		Noticed: []string{"AS-LOGIN-CSRF"}, Also: []string{"AS-LOGIN-*", "AS-CONSENT-CSRF"},
	},
	remembered("consent-of-any-user", idp.ApprovalOfUser, "AS-CONSENT-REQUIRED"),
	remembered("consent-of-name", idp.ApprovalOfClient, "AS-CONSENT-REQUIRED"),
	remembered("consent-denied-remembered", idp.DenialIsNoApproval, "AS-CONSENT-REQUIRED", "AS-AUTHZ-DENY"),
	wrongPassword("login-longer-password", "What follows the password is not compared.", "one character more", strings.HasPrefix),
}

var pathsOfDocuments = []Flaw{
	documentURL("http", "http", func(u *url.URL) bool { return u.Scheme == "http" }),
	documentURL("fragment", "fragment", func(u *url.URL) bool { return u.Fragment != "" }),
	documentURL("user", "user", func(u *url.URL) bool { return u.User != nil }),
	documentURL("two-dots", "dot segments", func(u *url.URL) bool { return strings.Contains(u.EscapedPath(), "/../") }),
	documentURL("no-path", "no path", func(u *url.URL) bool { return u.Scheme == "https" && u.Path == "" }),
	documentURL("dot", "a single dot", func(u *url.URL) bool { return strings.Contains(u.EscapedPath(), "/./") }),
	documentStatus(http.StatusNotFound),
	documentStatus(http.StatusInternalServerError),
	documentID("prefix", func(id, claimed string) bool { return claimed != "" && strings.HasPrefix(id, claimed) }),
	documentID("longer", func(id, claimed string) bool { return strings.HasPrefix(claimed, id) }),
	documentID("letter-case", strings.EqualFold),
	documentID("slash", func(id, claimed string) bool { return claimed == id+"/" }),
	documentID("missing", func(_, claimed string) bool { return claimed == "" }),
	documentID("same-host", func(id, claimed string) bool {
		a, err1 := url.Parse(id)
		b, err2 := url.Parse(claimed)
		return err1 == nil && err2 == nil && a.Host == b.Host
	}),
}

func documentURL(name, row string, is func(u *url.URL) bool) Flaw {
	return Flaw{
		Name: "cimd-address-" + name, Says: "A document is fetched from an address that is not a client identifier: " + name + ".",
		Noticed: []string{"AS-CIMD-REJECT-BAD-URL"}, Also: []string{"AS-CIMD-*"}, Row: row,
		Bend: behaviour(func(b *idp.Behaviour) {
			b.TakesDocumentURL = func(id string) bool {
				u, err := url.Parse(id)
				return err == nil && is(u)
			}
		}),
	}
}

// documentStatus reads a document whatever its status says.
func documentStatus(status int) Flaw {
	code := strconv.Itoa(status)
	return Flaw{
		Name: "cimd-status-" + code, Says: "A document that is answered with " + code + " is read.", Row: "answered with " + code,
		Noticed: []string{"AS-CIMD-FETCH-FAILURE"}, Also: []string{"AS-CIMD-CACHE"},
		Bend: behaviour(func(b *idp.Behaviour) { b.TakesStatus = func(got int) bool { return got == status } }),
	}
}

func documentID(name string, same func(id, claimed string) bool) Flaw {
	return Flaw{
		Name: "cimd-identity-" + name, Says: "The client_id of a document is compared loosely: " + name + ".",
		Noticed: []string{"AS-CIMD-REJECT-ID-MISMATCH"}, Also: []string{"AS-CIMD-*"},
		Bend: behaviour(func(b *idp.Behaviour) { b.TakesDocumentID = same }),
	}
}

// tokensHave changes the claims of access tokens.
func tokensHave(bend func(claims map[string]any)) func(o *reference.Options) {
	return behaviour(func(b *idp.Behaviour) { b.AccessToken = func(_, claims map[string]any) { bend(claims) } })
}

var pathsOfTokens = []Flaw{
	one("introspect-by-any-token", idp.IntrospectNoTokens, "AS-INTROSPECT-AUTH-REQUIRED", "AS-INTROSPECT-*"),
	one("introspect-by-public-client", idp.IntrospectNoPublic, "AS-INTROSPECT-AUTH-REQUIRED", "AS-INTROSPECT-*"),
	rowOf(one("introspect-id-token-active", idp.IntrospectNoIDTokens, "AS-INTROSPECT-INACTIVE", "AS-INTROSPECT-*"), "an ID token"),
	{
		Name: "introspect-by-get", Says: "Introspection by GET needs no credentials.", Row: "GET, no credentials",
		Noticed: []string{"AS-INTROSPECT-AUTH-REQUIRED"}, Also: []string{"AS-INTROSPECT-REQUEST-FORM"},
		Bend: wrapping(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/introspect") && r.URL.Query().Has("token") {
				w.Header().Set("Content-Type", "application/json")
				_, _ = w.Write([]byte(`{"active":true,"sub":"alice"}`))
				return
			}
			next.ServeHTTP(w, r)
		}),
	},
	{
		Name: "introspect-without-kinds", Says: "Introspection calls refresh tokens active, and names the kind of no token.",
		Noticed: []string{"AS-INTROSPECT-REFRESH-TOKEN"}, Also: []string{"AS-INTROSPECT-INACTIVE"},
		Bend: all(lacks(idp.IntrospectTypes), responses("/introspect", func(m map[string]any) { delete(m, "token_type") })),
	},
	rowOf(one("introspect-ended-grant", idp.IntrospectGrant, "AS-INTROSPECT-INACTIVE", "AS-INTROSPECT-*"),
		"since its refresh token was revoked"),
	rowOf(one("userinfo-ended-grant", idp.UserinfoGrant, "AS-USERINFO-TOKEN-STATE", "AS-USERINFO-*"), "since its refresh token was revoked"),
	one("introspect-unsigned-active", idp.IntrospectSignature, "AS-INTROSPECT-INACTIVE", "AS-INTROSPECT-*"),
	one("userinfo-unsigned-token", idp.UserinfoSignature, "AS-USERINFO-TOKEN-STATE", "AS-USERINFO-*"),
	one("userinfo-id-token", idp.UserinfoAccessOnly, "AS-TOKEN-TYPE-CONFUSION", "AS-USERINFO-*"),
	alsoNoticed(rowOf(one("userinfo-code", idp.UserinfoNoCodes, "AS-TOKEN-TYPE-CONFUSION", "AS-USERINFO-*"), "code"),
		"AS-USERINFO-TOKEN-STATE"),
	{
		Name: "userinfo-by-post", Says: "userinfo answers to a POST without a token.", Row: "POST, no token",
		Noticed: []string{"AS-USERINFO-UNAUTHENTICATED"}, Also: []string{"AS-USERINFO-*"},
		Bend: wrapping(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/userinfo") && r.Header.Get("Authorization") == "" {
				w.Header().Set("Content-Type", "application/json")
				_, _ = w.Write([]byte(`{"sub":"alice"}`))
				return
			}
			next.ServeHTTP(w, r)
		}),
	},
	{
		Name: "userinfo-nested-token", Says: "userinfo has the token of another provider, in a list.", Noticed: []string{"AS-USERINFO-HYGIENE"},
		Bend: responses("/userinfo", func(m map[string]any) {
			m["identities"] = []any{map[string]any{"provider": "github", "access_token": "gho_16C7e42F292c6912E7710c838347Ae178B4a"}}
		}),
	},
	{
		Name: "userinfo-nickname", Says: "userinfo tells the nickname without the scope profile.", Noticed: []string{"AS-USERINFO-SCOPES"},
		Bend: responses("/userinfo", func(m map[string]any) { m["nickname"] = "Al" }), Row: "profile",
	},
	one("userinfo-by-cookie", idp.UserinfoNoCookies, "AS-USERINFO-UNAUTHENTICATED", "AS-USERINFO-*"),
	{
		Name: "userinfo-other-subject", Says: "userinfo has another sub than the ID token.", Noticed: []string{"AS-USERINFO-SHAPE"},
		Bend: responses("/userinfo", func(m map[string]any) { m["sub"] = "00u-" + m["sub"].(string) }),
	},
	inRows(one("revoke-hint-decides", idp.RevokeBothKinds, "AS-REVOKE-HINTS", "AS-REVOKE-*"),
		"a refresh token revoked with token_type_hint access_token", "an access token revoked with token_type_hint refresh_token"),
	one("scope-patterns", idp.NoScopePatterns, "AS-SCOPE-UNKNOWN", "AS-SCOPE-*"),
	one("resource-unknown-in-silence", idp.UnknownResourceTold, "AS-RES-UNKNOWN-TARGET", "AS-RES-*"),
	{
		Name: "resource-foreign-at-token", Says: "A token request brings a token for an unknown resource, although the grant is for another.",
		Bend: lacks(idp.GrantedResourceAtToken), Noticed: []string{"AS-RES-UNKNOWN-TARGET"},
		Row: "a foreign resource at the token request", Also: []string{"AS-RES-*", "AS-CC-SECRET-FLOW"},
	},
	one("resource-of-token-request", idp.KnownResourceAtToken, "AS-RES-UNKNOWN-TARGET", "AS-RES-*"),
	{
		Name: "token-scope-claim-wider", Says: "The scope claim of access tokens has more than was granted.",
		Noticed: []string{"AS-SCOPE-GRANTED-SUBSET"},
		Bend:    tokensHave(func(c map[string]any) { c["scope"] = "notes:read notes:write notes:admin" }),
		Also:    []string{"AS-EMA-VALID-ACCEPTED", "AS-REFRESH-SCOPE-NARROW", "AS-SCOPE-*", "AS-TOKEN-SCOPE-REPORTED"},
	},
	{
		Name: "token-exp-later", Says: "Access tokens live ten years longer than expires_in says.",
		Noticed: []string{"AS-TOKEN-EXPIRES-IN"},
		Bend: tokensHave(func(c map[string]any) {
			if exp, ok := c["exp"].(int64); ok {
				c["exp"] = exp + 10*365*24*3600
			}
		}),
	},
	storedTokens("of-exchanges", "token exchange", "token-exchange"), storedTokens("of-devices", "device", "device_code"),
	storedTokens("of-assertions", "identity assertion", "jwt-bearer"),
	{
		Name: "token-cached-privately", Says: "Token answers are private and expired, but may be stored.",
		Noticed: []string{"AS-TOKEN-NO-STORE"},
		Bend: tokenHeaders(func(_ *http.Request, h http.Header) {
			if h.Get("Cache-Control") != "" {
				h.Set("Cache-Control", "private, no-cache, max-age=0")
			}
		}),
	},
	asReflects("X-Forwarded-Proto"), asReflects("Forwarded"), asReflects("X-Original-Host"), asReflects("X-Forwarded-Server"),
	asReflects("X-Forwarded-Prefix"), asReflects("X-Forwarded-Port"),
	{
		Name: "as-any-issuer", Says: "The metadata is served for every issuer path.", Noticed: []string{"AS-META-NO-CATCH-ALL"},
		Bend: func(o *reference.Options) {
			o.Wrap = func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					for _, form := range []string{"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"} {
						if strings.HasPrefix(r.URL.Path, form+"/") {
							r.URL.Path = form
						}
					}
					next.ServeHTTP(w, r)
				})
			}
		}, Also: []string{"AS-META-*", "RS-DISC-*"},
	},
	{
		Name: "as-no-pkce-in-openid", Says: "PKCE is advertised in one of the two documents only.",
		Noticed: []string{"AS-META-S256-ADVERTISED"},
		Bend: behaviour(func(b *idp.Behaviour) {
			b.Metadata = func(place string, d map[string]any) {
				if place != "rfc8414" {
					delete(d, "code_challenge_methods_supported")
				}
			}
		}), Also: []string{"AS-META-*", "AS-PKCE-*"},
	},
}

// asReflects makes the authorization server's metadata copy a field of the request.
func asReflects(field string) Flaw {
	return Flaw{
		Name: "as-reflects-" + field, Says: "The metadata of the authorization server follows " + field + ".", Row: field,
		Noticed: []string{"AS-META-HOST-HEADER"}, Also: []string{"AS-META-*", "RS-DISC-*"},
		Bend: wrapping(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			value, known := strings.TrimPrefix(r.Header.Get(field), "host="), r.Host
			switch field {
			case "X-Forwarded-Proto":
				value, known = value+"://"+r.Host, "http://"+r.Host
			case "X-Forwarded-Prefix":
				value = r.Host + value
			case "X-Forwarded-Port":
				host, _, _ := net.SplitHostPort(r.Host)
				value = net.JoinHostPort(host, value)
			}
			if r.Header.Get(field) == "" || !strings.Contains(r.URL.Path, "/.well-known/") {
				next.ServeHTTP(w, r)
				return
			}
			a := answer.Of(next, r)
			page := strings.ReplaceAll(a.Body.String(), known, value)
			a.Say(page)
			a.Send(w)
		}),
	}
}

var pathsOfProxies = []Flaw{
	remembering(proxied("proxy-approval-at-any-address", idp.ApprovalPerAddress, "AS-CONSENT-NEW-SCOPE", "AS-CONSENT-*")),
	remembering(proxied("proxy-approval-by-name", idp.ApprovalNotByName, "AS-PROXY-CONSENT-COOKIE", "AS-CONSENT-*")),
	{
		Name: "proxy-quotes-upstream", Says: "The proxy shows the error of its upstream as markup.", Row: "as markup",
		Noticed: []string{"AS-PROXY-UPSTREAM-ERROR"},
		Bend: all(func(o *reference.Options) { o.Proxy = true }, wrapping(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			q := r.URL.Query()
			if strings.HasSuffix(r.URL.Path, "/callback") && q.Get("error") != "" {
				w.Header().Set("Content-Type", "text/html")
				w.WriteHeader(http.StatusBadRequest)
				_, _ = w.Write([]byte("<!doctype html><p>" + q.Get("error") + ": " + q.Get("error_description") + "</p>"))
				return
			}
			next.ServeHTTP(w, r)
		})), Also: []string{"AS-PROXY-*", "AS-AUTHZ-*"},
	},
	rowOf(proxied("proxy-form-without-token", idp.CheckCSRF, "AS-PROXY-CONSENT-CSRF", "AS-CONSENT-*"), "without the form's token"),
	ofNullOrigin("proxy-form", "/consent", "AS-PROXY-CONSENT-CSRF", all(lacks(idp.CheckCSRF), func(o *reference.Options) { o.Proxy = true })),
	rowOf(proxied("proxy-names-no-client", idp.ConsentNamesClient, "AS-PROXY-CONSENT-CONTENT", "AS-CONSENT-*"), "tester is absent"),
	rowOf(proxied("proxy-names-no-address", idp.ConsentNamesRedirect, "AS-PROXY-CONSENT-CONTENT", "AS-CONSENT-*",
		"AS-CIMD-CONSENT-HOSTS"), ":8765"),
	proxyWrapped("approves-by-get", "The form of the proxy is accepted by GET.", "AS-PROXY-CONSENT-CSRF", "by GET",
		func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/consent") && r.URL.RawQuery != "" {
				r.Method = http.MethodPost
				replaceBody(r, r.URL.RawQuery)
			}
			next.ServeHTTP(w, r)
		}),
	proxyCrash("denied", "the user cancels", func(q url.Values) bool { return q.Get("error") == "access_denied" }),
	proxyCrash("failed", "the upstream fails", func(q url.Values) bool { return q.Get("error") == "server_error" }),
	proxyCrash("without-code", "an answer without a code", func(q url.Values) bool { return !q.Has("error") && !q.Has("code") }),
	asksUpstream("implicit", `response_type="code token"`, func(q url.Values) { q.Set("response_type", "code token") }),
	asksUpstream("plain", `code_challenge_method="plain"`, func(q url.Values) { q.Set("code_challenge_method", "plain") }),
	asksUpstream("without-nonce", "no nonce", func(q url.Values) { q.Del("nonce") }),
	looseState("of-another", "the state of another", func(kept, got string, _ bool) bool {
		return len(kept) == len(got) && kept[:2] != got[:2]
	}),
}

// proxyWrapped returns the flaw of a proxy that handles some requests in its own way.
func proxyWrapped(name, says, noticed, row string, serve func(w http.ResponseWriter, r *http.Request, next http.Handler)) Flaw {
	return Flaw{
		Name: "proxy-" + name, Says: says, Row: row, Noticed: []string{noticed}, Also: []string{"AS-PROXY-*", "AS-CONSENT-*", "AS-AUTHZ-*"},
		Bend: all(func(o *reference.Options) { o.Proxy = true }, wrapping(serve)),
	}
}

// proxyCrash returns the flaw of a proxy that crashes on some answers of its upstream.
func proxyCrash(name, row string, which func(q url.Values) bool) Flaw {
	return proxyWrapped("crashes-"+name, "An answer of the upstream crashes the proxy: "+row+".", "AS-PROXY-UPSTREAM-ERROR", row,
		func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if strings.HasSuffix(r.URL.Path, "/callback") && which(r.URL.Query()) {
				http.Error(w, "KeyError: 'code'", http.StatusInternalServerError)
				return
			}
			next.ServeHTTP(w, r)
		})
}

// asksUpstream changes the requests of a proxy to its upstream.
func asksUpstream(name, row string, bend func(q url.Values)) Flaw {
	return proxyWrapped("asks-"+name, "The request to the upstream is bent: "+row+".", "AS-PROXY-UPSTREAM-REQUEST", row,
		func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			a := answer.Of(next, r)
			if to, err := url.Parse(a.Fields.Get("Location")); err == nil && strings.HasSuffix(to.Query().Get("redirect_uri"), "/callback") {
				q := to.Query()
				bend(q)
				to.RawQuery = q.Encode()
				a.Fields.Set("Location", to.String())
			}
			a.Send(w)
		})
}

// replaceBody gives a request another form.
func replaceBody(r *http.Request, form string) {
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(form)), int64(len(form))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
}

// pkceExempts returns the flaw of a server that has PKCE for all clients but one kind.
func pkceExempts(name, kind string, verifier, challenge idp.Defence, also ...string) Flaw {
	return Flaw{
		Name: "pkce-exempts-" + name, Says: "PKCE is for all clients but one kind: " + kind + ".", Bend: lacks(verifier, challenge), Row: kind,
		Noticed: []string{"AS-PKCE-REQUIRE-CHALLENGE-CONFIDENTIAL", "AS-PKCE-REJECT-MISSING-VERIFIER", "AS-PKCE-REJECT-WRONG-VERIFIER",
			"AS-PKCE-DOWNGRADE"}, Also: also,
	}
}

// storedTokens returns the flaw of a server whose answers to one grant may be stored.
func storedTokens(name, row, grant string) Flaw {
	return Flaw{
		Name: "token-stored-" + name, Says: "The answers to one grant may be stored: " + row + ".", Row: row,
		Noticed: []string{"AS-TOKEN-NO-STORE"},
		Bend: aroundToken(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			form, _ := url.ParseQuery(string(answer.Peek(r)))
			a := answer.Of(next, r)
			if strings.HasSuffix(form.Get("grant_type"), ":"+grant) {
				a.Fields.Del("Cache-Control")
			}
			a.Send(w)
		}),
	}
}
