package check

import (
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/wire"
)

const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"

// Device is a client that asks for device codes (RFC 8628).
type Device struct {
	*oauth.Client
	endpoint string
}

// Device returns a client that may use the device grant, with the answer to its first device authorization request: the given client, or
// one that is registered for the grant if that may not. An answer without a device code shows that neither may.
func (t AuthorizationServer) Device(c *oauth.Client) (Device, *reports.Exchange) {
	d := Device{c, t.Endpoint("device_authorization_endpoint")}
	ex := t.AskForDevice(d)
	if oauth.ErrorCode(ex) != "unauthorized_client" {
		return d, ex
	}
	changes := map[string]any{"grant_types": []string{"authorization_code", "refresh_token", deviceGrant}}
	if !c.Public() {
		changes["token_endpoint_auth_method"] = t.SecretMethod()
	}
	own, _ := t.Register(changes)
	if own == nil {
		return d, ex
	}
	d.Client = own
	return d, t.AskForDevice(d)
}

// AskForDevice sends a device authorization request (RFC 8628 section 3.1).
func (t AuthorizationServer) AskForDevice(d Device) *reports.Exchange {
	var f oauth.Form
	fields := d.Authenticate(&f)
	f.Set("client_id", d.ID)
	if scopes := t.Session.RequestedScopes(); len(scopes) > 0 {
		f.Set("scope", strings.Join(scopes, " "))
	}
	ex := t.Do(oauth.Request(d.endpoint, f, fields...))
	t.Secrets.Add("device_code", oauth.Object(ex).String("device_code"))
	return ex
}

// Poll sends the token request of a device (RFC 8628 section 3.4).
func (t AuthorizationServer) Poll(d Device, code string, edits ...Edit) *reports.Exchange {
	return t.TokenRequest(d.Client, append([]Edit{With("grant_type", deviceGrant), With("device_code", code)}, edits...)...)
}

// OfferedDevice returns a new device code, and the page where its user approves it; no page if there is none or nobody who can sign in.
func (t AuthorizationServer) OfferedDevice(d Device) (code string, page wire.Request) {
	o := oauth.Object(t.AskForDevice(d))
	if t.Session == nil || !t.Session.Ready {
		return "", page
	}
	return o.String("device_code"), wire.Request{Method: "GET", URL: o.String("verification_uri_complete")}
}

// ApprovedDevice returns a device code that the first user has approved, or "" where there is no page for that.
func (t AuthorizationServer) ApprovedDevice(d Device) (code string) {
	code, page := t.OfferedDevice(d)
	if page.URL == "" {
		return ""
	}
	jar := t.Session.Identity(0).Borrow(t.ctx)
	t.Pages.Approve(page, jar)
	t.Session.Identity(0).Return(jar)
	return code
}

// DeniedDevice returns a device code that the first user has denied, or "" where there is no page for that.
func (t AuthorizationServer) DeniedDevice(d Device) string {
	code, page := t.OfferedDevice(d)
	if page.URL == "" {
		return ""
	}
	jar := t.Session.Identity(0).Borrow(t.ctx)
	defer t.Session.Identity(0).Return(jar)
	if !t.Pages.Deny(page, jar) {
		return ""
	}
	return code
}

// DeviceRedemption returns a good poll of a device, with a new code that the user has approved.
func (t AuthorizationServer) DeviceRedemption(d Device) Attempt[Edit] {
	return Attempt[Edit]{Name: "an ordinary poll for an approved device code", Good: expect.IssueTokens(), Send: func(edits ...Edit) any {
		code := t.ApprovedDevice(d)
		if code == "" {
			t.NotApplicable("there is no page at verification_uri_complete where the user approves a device code")
		}
		ex := t.Poll(d, code, edits...)
		t.Tokens(ex, d.Client)
		return ex
	}}
}
