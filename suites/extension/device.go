package extension

import (
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/login"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"

// shortest user code that is not guessed at the speed of a form (RFC 8628 section 5.1).
const shortest = 6

// RFC 8628.
func devices() {
	Must("AS-DEVICE-GRANT", func(t *T) {
		endpoint := t.AS.Endpoint("device_authorization_endpoint")
		if _, err := document.ParseURL(endpoint); err != nil {
			t.NotApplicable("the metadata names no device_authorization_endpoint")
		}
		c := t.AS.AnyClient()
		ask := func() *reports.Exchange {
			var f oauth.Form
			fields := c.Authenticate(&f)
			f.Set("client_id", c.ID)
			if scopes := t.Session.RequestedScopes(); len(scopes) > 0 {
				f.Set("scope", strings.Join(scopes, " "))
			}
			return t.Do(oauth.Request(endpoint, f, fields...))
		}
		ex := ask()
		first := oauth.Object(ex)
		if code, status := oauth.ErrorCode(ex), expect.Status(ex); code != "" && status >= 400 && status < 500 {
			t.NotApplicable("the client may not use the device grant: error %s", code)
		}
		if !begun(t, ex, first) {
			return
		}
		t.Controlled()
		poll := func(code string, edits ...Edit) *reports.Exchange {
			return t.AS.TokenRequest(c, append([]Edit{With("grant_type", deviceGrant), With("device_code", code)}, edits...)...)
		}
		t.RefusedWith(poll(first.String("device_code")), "a device code that nobody has allowed", "authorization_pending", "slow_down")
		t.RefusedWith(poll("mcpauth-no-code"), "an unknown device code", "invalid_grant", "expired_token")
		if other, _ := t.Session.Client(t.Context(), "second"); other != nil && other.ID != c.ID {
			t.RefusedWith(t.AS.TokenRequest(other, With("grant_type", deviceGrant), With("device_code", first.String("device_code"))), "the device code of another client", "invalid_grant", "invalid_request")
		}
		values := []string{first.String("device_code")}
		for range 3 {
			values = append(values, oauth.Object(ask()).String("device_code"))
		}
		t.Expect(values).To(expect.BeUnguessable("device codes"))
		approved(t, ask(), poll)
	})
}

// begun judges a device authorization response (RFC 8628 section 3.2).
func begun(t *T, ex *reports.Exchange, o *document.Object) bool {
	t.Secrets.Add("device_code", o.String("device_code"))
	if expect.Status(ex) != 200 || o.String("device_code") == "" || o.String("user_code") == "" || o.String("verification_uri") == "" {
		t.Unmet(ex, "HTTP 200 with device_code, user_code and verification_uri", "%s", expect.Describe(ex))
		return false
	}
	v, _ := o.Get("expires_in")
	if n, ok := expect.Number(v); !ok || n <= 0 {
		t.Unmet(ex, "expires_in as a positive number", "%v", v)
	}
	if u, err := document.ParseURL(o.String("verification_uri")); err != nil || u.Scheme != "https" && !document.LoopbackHost(u.Hostname()) {
		t.Unmet(ex, "verification_uri by https", "%q", o.String("verification_uri"))
	}
	if bare := strings.NewReplacer("-", "", " ", "").Replace(o.String("user_code")); len(bare) < shortest {
		t.Unmet(ex, "a user code that cannot be guessed", "it has %d characters", len(bare))
	}
	return true
}

// approved has the first user allow a device, where its page can be understood: then a token comes, once.
func approved(t *T, ex *reports.Exchange, poll func(code string, edits ...Edit) *reports.Exchange) {
	o := oauth.Object(ex)
	code, page := o.String("device_code"), o.String("verification_uri_complete")
	t.Secrets.Add("device_code", code)
	if page == "" || t.Session == nil || !t.Session.Ready {
		return
	}
	t.Pages.Confirm(wire.Request{Method: "GET", URL: page}, login.NewJar())
	jar := t.Session.Identity(0).Borrow(t.Context())
	t.Pages.Confirm(wire.Request{Method: "GET", URL: page}, jar)
	t.Session.Identity(0).Return(jar)
	answer := poll(code)
	if t.AS.Tokens(answer, t.AS.AnyClient()) == nil {
		t.Note("the page at verification_uri_complete could not be gone through, so no token came: %s", expect.Describe(answer))
		return
	}
	t.RefusedWith(poll(code), "a device code that has brought a token", "invalid_grant", "expired_token")
}
