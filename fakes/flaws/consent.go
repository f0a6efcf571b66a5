package flaws

import (
	"net/http"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/fakes/idp"
	"github.com/mcpauth/conformance/fakes/reference"
)

// consents are the flaws of how users sign in and approve.
var consents = slices.Concat(approvals, logins, askedOnce)

// approvals are the flaws of the page where a user approves a client.
var approvals = []Flaw{
	{
		Name: "consent-never", Says: "A signed-in user is never asked for consent.",
		Bend:    behaviour(func(b *idp.Behaviour) { b.Consent = "never" }),
		Noticed: []string{"AS-CONSENT-REQUIRED", "AS-CONSENT-NO-SILENT-REPEAT", "AS-CONSENT-NEW-SCOPE"},
		Also:    []string{"AS-CONSENT-REVOCABLE"},
	},
	{
		Name: "consent-per-client", Says: "A client that was approved once is approved for every scope.", Row: "a further scope",
		Bend: behaviour(func(b *idp.Behaviour) { b.Consent = "client" }), Noticed: []string{"AS-CONSENT-NEW-SCOPE"},
		Also: []string{"AS-CONSENT-NO-SILENT-REPEAT", "AS-CONSENT-REVOCABLE"},
	},
	{
		Name: "consent-remembered", Says: "A client that was approved once is not asked about again.", Row: "another loopback port",
		Bend: behaviour(func(b *idp.Behaviour) { b.Consent = "once" }), Noticed: []string{"AS-CONSENT-NO-SILENT-REPEAT"},
		Also: []string{"AS-CONSENT-NEW-SCOPE", "AS-CONSENT-REVOCABLE"},
	},
	{
		Name: "consent-remembered-for-the-address", Says: "A client that was approved once, at a redirect URI, is not asked about again.",
		Row:  "the same request again",
		Bend: behaviour(func(b *idp.Behaviour) { b.Consent = "exact" }), Noticed: []string{"AS-CONSENT-NO-SILENT-REPEAT"},
		Also: []string{"AS-CONSENT-REVOCABLE"},
	},
	{
		Name: "consent-remembered-for-documents", Says: "A client with a metadata document that was approved once is not asked about again.",
		Row:  "of the client of a metadata document",
		Bend: behaviour(func(b *idp.Behaviour) { b.RemembersDocuments = true }), Noticed: []string{"AS-CONSENT-NO-SILENT-REPEAT"},
	},
	{
		Name: "consent-at-any-address", Says: "An approval counts for every redirect URI of the client.", Row: "a second redirect URI",
		Bend: behaviour(func(b *idp.Behaviour) { b.Consent = "once" }), Noticed: []string{"AS-CONSENT-NEW-SCOPE"},
		Also: []string{"AS-CONSENT-NO-SILENT-REPEAT", "AS-CONSENT-REVOCABLE"},
	},
	waived("skip_consent"), waived("trusted"), waived("first_party"),
	one("consent-anonymous", idp.ConsentNamesClient, "AS-CONSENT-CONTENT", "AS-CIMD-CONSENT-HOSTS"),
	one("consent-without-scopes", idp.ConsentNamesScopes, "AS-CONSENT-CONTENT"),
	one("consent-without-host", idp.ConsentNamesRedirect, "AS-CONSENT-CONTENT", "AS-CIMD-CONSENT-HOSTS"),
	rowOf(one("consent-no-csrf-token", idp.CheckCSRF, "AS-CONSENT-CSRF"), "without the form's token"),
	{
		Name: "consent-of-the-session",
		Says: "The session alone decides what is approved, and browsers send its cookies with forms of other sites.",
		Row:  "without the form's token", Noticed: []string{"AS-CONSENT-CSRF"}, Also: []string{"AS-LOGIN-COOKIE-ATTRIBUTES"},
		Bend: all(lacks(idp.CheckCSRF, idp.NamedTransaction), behaviour(func(b *idp.Behaviour) {
			b.TokenField, b.CrossSiteCookies = "code", true
		})),
	},
	ofNullOrigin("consent", "/consent", "AS-CONSENT-CSRF", lacks(idp.CheckCSRF)),
	rowOf(one("consent-by-get", idp.ConsentPost, "AS-CONSENT-CSRF"), "the approval in the URL"),
	ofAnother("browser"), ofAnother("user"),
	{
		Name: "consent-token-for-all", Says: "Every consent form has the same token.", Row: "the tokens of two forms",
		Bend: behaviour(func(b *idp.Behaviour) { b.FixedToken = "csrf-1" }), Noticed: []string{"AS-CONSENT-CSRF"},
	},
	rowOf(one("consent-markup", idp.EscapePages, "AS-CONSENT-XSS", "AS-AUTHZ-REFLECTED-XSS", "AS-CIMD-UNSAFE-URIS"), "client_name"),
	{
		Name: "consent-name-in-attribute", Says: "The client's name is the value of an attribute, and ends it at a quotation mark.",
		Row: "client_name with a quotation mark", Noticed: []string{"AS-CONSENT-XSS", "AS-CIMD-UNSAFE-URIS"},
		Bend: behaviour(func(b *idp.Behaviour) { b.NameInAttribute = true }),
	},
	{
		Name: "login-names-client", Says: "The login page shows the client's name as markup.", Row: `the page "Sign in"`,
		Noticed: []string{"AS-CONSENT-XSS"}, Also: []string{"AS-CIMD-UNSAFE-URIS"},
		Bend: behaviour(func(b *idp.Behaviour) { b.LoginNamesClient = true }),
	},
	{
		Name: "login-names-document", Says: "The login page shows the name in a client's document as markup.", Row: "client_name with markup",
		Noticed: []string{"AS-CIMD-UNSAFE-URIS"}, Also: []string{"AS-CONSENT-XSS"},
		Bend: behaviour(func(b *idp.Behaviour) { b.LoginNamesClient = true }),
	},
	showsRaw("client_uri"), showsRaw("logo_uri"), showsRaw("tos_uri"), showsRaw("policy_uri"), showsRaw("contacts"),
}

// ofNullOrigin tells the forms of other sites apart by Origin alone, and treats null as its own.
func ofNullOrigin(name, path, check string, unchecked func(o *reference.Options)) Flaw {
	return Flaw{
		Name: name + "-of-null-origin", Says: "Origin alone says that another site has sent a form, and null counts as the own: " + path + ".",
		Row: "sandboxed frame", Noticed: []string{check}, Also: []string{"AS-CONSENT-*", "AS-LOGIN-*", "AS-AUTHZ-TRANSACTION-BINDING"},
		Bend: all(unchecked, wrapping(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			origin := r.Header.Get("Origin")
			if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, path) && origin != "null" && origin != "http://"+r.Host {
				http.Error(w, "This form was sent by another site.", http.StatusForbidden)
				return
			}
			next.ServeHTTP(w, r)
		})),
	}
}

func ofAnother(whose string) Flaw {
	return Flaw{
		Name: "consent-of-another-" + whose, Says: "The consent form of another " + whose + " counts.",
		Row:  "a form that another " + whose + " was shown",
		Bend: lacks(idp.BindTransaction), Noticed: []string{"AS-CONSENT-CSRF"}, Also: []string{"AS-AUTHZ-TRANSACTION-BINDING", "AS-LOGIN-CSRF"},
	}
}

func showsRaw(member string) Flaw {
	return Flaw{
		Name: "consent-shows-" + member, Says: "The consent page shows " + member + " as it was registered.", Row: member,
		Bend: behaviour(func(b *idp.Behaviour) { b.ShowsRaw = []string{member} }), Noticed: []string{"AS-CONSENT-XSS"},
		Also: []string{"AS-CIMD-UNSAFE-URIS"},
	}
}

// askedOnce are flaws of the consent page at a server that remembers approvals: only a new client shows them.
var askedOnce = []Flaw{
	asking(one("authorize-denial-approved", idp.HonourDenial, "AS-AUTHZ-DENY")),
	asking(rowOf(one("consent-no-csrf-token", idp.CheckCSRF, "AS-CONSENT-CSRF"), "without the form's token")),
	asking(rowOf(one("consent-by-get", idp.ConsentPost, "AS-CONSENT-CSRF"), "the approval in the URL")),
	asking(rowOf(one("authorize-transaction-unbound", idp.BindTransaction, "AS-AUTHZ-TRANSACTION-BINDING", "AS-CONSENT-CSRF", "AS-LOGIN-CSRF"),
		"the browser of another user who signed in")),
	asking(one("authorize-global-user", idp.UserPerSession, "AS-AUTHZ-SUBJECT-CORRECT", "AS-SCOPE-USER-PRIVILEGE")),
	asking(despiteTheForm),
	asking(cors("consent", `the page "Allow access?"`, func(_ *http.Request, a authAnswer) bool { return a.shows("Allow access?") })),
	asking(without("AS-AUTHZ-NO-STORE", "stores-consent", "Cache-Control", `the page "Allow access?"`, "Allow access?")),
	asking(without("AS-AUTHZ-CLICKJACKING", "frames-consent", "Content-Security-Policy", `the page "Allow access?"`, "Allow access?")),
	asking(without("AS-AUTHZ-CSP", "no-csp-for-consent", "Content-Security-Policy", `the page "Allow access?"`, "Allow access?")),
	asking(formHolds("client_id", func(*form) func(o *reference.Options) { return lacks(idp.CodeClient) })),
	asking(quotes("login_hint", signedIn)),
}

// waived is the flaw of a client that exempts itself from the consent page, by a member that is for the administrator.
func waived(member string) Flaw {
	return Flaw{
		Name: "consent-waived-by-" + member, Says: "A client that registers " + member + " is not asked about.", Row: "registers " + member,
		Bend: behaviour(func(b *idp.Behaviour) { b.WaivesConsent = member }), Noticed: []string{"AS-CONSENT-REQUIRED"},
	}
}
