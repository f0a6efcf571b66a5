package suites_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fakes/answer"
	"github.com/mcpauth/conformance/fakes/idp"
	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites"
	"github.com/mcpauth/conformance/suites/tests/against"
)

// One check judges the pages of each authorization server that is right and differs from the reference.
func TestFairnessOfPages(t *testing.T) {
	t.Parallel()
	expectFairness(t, map[string]fairness{
		"the client's name in an attribute, with < as it is":      {behaving(namesInAttributes), nil, "AS-CONSENT-XSS", reports.Pass},
		"the name of a document in an attribute, with < as it is": {behaving(namesInAttributes), nil, "AS-CIMD-UNSAFE-URIS", reports.Pass},
		"a link of the server's own that goes back by a script": {behaving(adding(`<a href="javascript:history.back()">Back</a>`)), nil,
			"AS-CONSENT-XSS", reports.Pass},
		"a link of the server's own that shows a message by a script": {behaving(adding(
			`<a href="javascript:alert('Ask your administrator')">Help</a>`)), nil, "AS-CONSENT-XSS", reports.Pass},
		"a link element that browsers do not follow": {behaving(adding(`<link rel="canonical" href="https://www.example.org/">`)), nil,
			"AS-LOGIN-DISCLOSURE", reports.Pass},
		"a picture of another site as a video's": {behaving(adding(`<video poster="https://cdn.example/poster.png"></video>`)), nil,
			"AS-LOGIN-DISCLOSURE", reports.Warn},
		"registrations that ask for no consent page are refused": {behaving(func(b *idp.Behaviour) {
			b.RegistrationRefuses = []string{"skip_consent", "trusted", "first_party"}
		}), nil, "AS-CONSENT-REQUIRED", reports.Pass},
		"registrations that ask for no consent page are refused by another code": {behaving(refusesTrust), nil, "AS-CONSENT-REQUIRED",
			reports.Pass},
		"a consent page without a choice": {behaving(func(b *idp.Behaviour) {
			changing(b, func(_ *http.Request, a *answer.Answer) {
				a.Say(strings.ReplaceAll(a.Body.String(), `type="checkbox"`, `type="hidden"`))
			})
		}), nil, "AS-SCOPE-CONSENT-HONOURED", reports.NotApplicable},
		"one who registers as trusted is not asked about": {behaving(func(b *idp.Behaviour) { b.WaivesConsent = "trusted" }), nil,
			"AS-CONSENT-REQUIRED", reports.Warn},
		"hosts in a field that cannot be changed": {behaving(hostsInFields), nil, "AS-CIMD-CONSENT-HOSTS", reports.Pass},
		"SameSite cookies protect a form, beside a cookie that is not the session's": {behaving(func(b *idp.Behaviour) {
			b.BareForms, b.ScriptCookie = true, true
		}), nil, "AS-CONSENT-CSRF", reports.Pass},
		"SameSite cookies protect the login, beside a cookie that is not the session's": {behaving(func(b *idp.Behaviour) {
			b.ScriptCookie = true
			b.Lacks = []idp.Defence{idp.CompareLoginCSRF}
		}), nil, "AS-LOGIN-CSRF", reports.Pass},
		"a failed login ends at a page without a form, which may be framed": {behaving(failsWithoutForm), nil,
			"AS-AUTHZ-CLICKJACKING", reports.Pass},
		"failed logins are limited":                             {behaving(limitsFailedLogins), nil, "AS-AUTHZ-CLICKJACKING", reports.Pass},
		"error pages are plain text, without a policy":          {behaving(plainErrors), nil, "AS-AUTHZ-CSP", reports.Pass},
		"nonce in a field, with < as it is":                     {behaving(noncesInFields), nil, "AS-AUTHZ-REFLECTED-XSS", reports.Pass},
		"forms of other sites are recognized by Sec-Fetch-Site": {behaving(knowsOtherSites), nil, "AS-CONSENT-CSRF", reports.Pass},
		"redirect URIs on the host of the document only, and near misses": {func(o *reference.Options) {
			o.Behaviour.RedirectsToDocumentHost = true
		}, nil, "AS-CIMD-REDIRECT-LISTED", reports.Pass},
	})
}

// knowsOtherSites refuses forms that browsers send for another site; nothing else protects the consent form.
func knowsOtherSites(b *idp.Behaviour) {
	b.BareForms, b.CrossSiteCookies = true, true
	b.Wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost && r.Header.Get("Sec-Fetch-Site") == "cross-site" {
				http.Error(w, "The form is of another site.", http.StatusForbidden)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// refusesTrust refuses registrations with members that it does not know.
func refusesTrust(b *idp.Behaviour) {
	b.RegistrationRefuses = []string{"skip_consent", "trusted", "first_party"}
	b.Wrap = func(next http.Handler) http.Handler {
		return answer.Changed(next, "/register", func(_ *http.Request, a *answer.Answer) {
			if a.Status == http.StatusBadRequest {
				a.Say(`{"error":"invalid_request"}`)
			}
		})
	}
}

// failsWithoutForm answers a failed login with an error page that has nothing to click.
func failsWithoutForm(b *idp.Behaviour) {
	changing(b, func(_ *http.Request, a *answer.Answer) {
		if strings.Contains(a.Body.String(), `<p role="alert">`) && strings.Contains(a.Body.String(), "<title>Sign in") {
			a.Status = http.StatusUnauthorized
			a.Fields.Set("Content-Security-Policy", "default-src 'none'")
			a.Fields.Del("X-Frame-Options")
			a.Say("<!doctype html><title>Sign in</title><main><p>That did not work. Begin again in the application.</p></main>")
		}
	})
}

// limitsFailedLogins answers a failed login with HTTP 429.
func limitsFailedLogins(b *idp.Behaviour) {
	changing(b, func(_ *http.Request, a *answer.Answer) {
		if strings.Contains(a.Body.String(), `<p role="alert">`) {
			a.Status = http.StatusTooManyRequests
		}
	})
}

// plainErrors answers errors with plain text.
func plainErrors(b *idp.Behaviour) {
	changing(b, func(_ *http.Request, a *answer.Answer) {
		if a.Status >= http.StatusBadRequest && strings.Contains(a.Body.String(), "<title>That did not work") {
			a.Fields.Del("Content-Security-Policy")
			a.Fields.Set("Content-Type", "text/plain; charset=utf-8")
			a.Say("That did not work.")
		}
	})
}

// noncesInFields has the nonce in a hidden field of each page, with its quotation marks escaped only.
func noncesInFields(b *idp.Behaviour) {
	changing(b, func(r *http.Request, a *answer.Answer) {
		value := strings.ReplaceAll(r.URL.Query().Get("nonce"), `"`, "&#34;")
		a.Say(strings.Replace(a.Body.String(), "<form ", `<input type="hidden" form="none" value="`+value+`"><form `, 1))
	})
}

var clientName = regexp.MustCompile(`<strong>(.*?)</strong> asks`)

// namesInAttributes shows the client's name as the value of an attribute, too, with its quotation marks escaped only.
func namesInAttributes(b *idp.Behaviour) {
	changing(b, func(_ *http.Request, a *answer.Answer) {
		page := a.Body.String()
		if m := clientName.FindStringSubmatch(page); m != nil {
			page = strings.Replace(page, "</main>", `<img alt="`+strings.NewReplacer("&lt;", "<", "&gt;", ">").Replace(m[1])+`"></main>`, 1)
		}
		a.Say(page)
	})
}

// adding adds markup to each page.
func adding(markup string) func(b *idp.Behaviour) {
	return func(b *idp.Behaviour) {
		changing(b, func(_ *http.Request, a *answer.Answer) {
			page := strings.Replace(a.Body.String(), "</main>", markup+"</main>", 1)
			a.Say(page)
		})
	}
}

var answerGoesTo = regexp.MustCompile(`<p>The answer goes to <strong>(.*?)</strong>.</p>\n(<form [^>]*>)`)

// hostsInFields shows where the answer goes in a field.
func hostsInFields(b *idp.Behaviour) {
	changing(b, func(_ *http.Request, a *answer.Answer) {
		page := answerGoesTo.ReplaceAllString(a.Body.String(), `$2<label>The answer goes to <input readonly value="$1"></label>`)
		a.Say(page)
	})
}

// changing changes the answers of the authorization endpoint and of the consent page.
func changing(b *idp.Behaviour, change func(r *http.Request, a *answer.Answer)) {
	b.Wrap = func(next http.Handler) http.Handler {
		for _, path := range []string{"/consent", "/authorize", "/login"} {
			next = answer.Changed(next, path, change)
		}
		return next
	}
}

// A declared client has its own redirect URI; the redirect URIs of further clients are not made from it.
func TestTheRedirectURIOfADeclaredClientMatters(t *testing.T) {
	t.Parallel()
	for check, want := range map[string]reports.Verdict{
		"AS-AUTHZ-REDIRECT-VERBATIM": reports.Pass, "AS-AUTHZ-REDIRECT-OMITTED": reports.Pass, "AS-TOKEN-CODE-BOUND-REDIRECT": reports.Pass,
	} {
		t.Run(check, func(t *testing.T) {
			t.Parallel()
			r := against.Start(t, reference.Ideal())
			r.IDP.AddClient("declared", "", "http://127.0.0.1:8765/app/return")
			cfg := against.SigningIn(r)
			cfg.Skip, cfg.Only = nil, []string{check}
			cfg.Clients = append(cfg.Clients, suites.Client{ID: "declared", Method: "none", RedirectURI: "http://127.0.0.1:8765/app/return"})
			run, err := against.Evaluate(t, cfg)
			require.NoError(t, err)
			require.NotEmpty(t, run.Results)
			for _, result := range run.Results {
				assert.Equal(t, want, result.Verdict, result.Reason)
			}
		})
	}
}
