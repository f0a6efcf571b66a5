package idp

import (
	"fmt"
	"html"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/mcpauth/conformance/fakes/login"
	"github.com/mcpauth/conformance/fixtures/seeded"
)

// The device authorization grant (RFC 8628).
const (
	deviceGrant    = "urn:ietf:params:oauth:grant-type:device_code"
	deviceEndpoint = "/device_authorization"
	devicePage     = "/device"
	deviceLife     = 10 * time.Minute
)

// device is a device that waits for its user.
type device struct {
	userCode, client string
	scopes           []string
	expires          time.Time
	user             string // the user who has approved
	denied, used     bool
}

// deviceAuthorization starts the grant (RFC 8628 section 3.1).
func (s *Server) deviceAuthorization(w http.ResponseWriter, r *http.Request) {
	if e := s.form(w, r); e != nil {
		s.writeOAuthError(w, r, e)
		return
	}
	c, e := s.authenticate(r)
	if e != nil {
		s.writeOAuthError(w, r, e)
		return
	}
	if s.Behaviour.DevicesRegister && !slices.Contains(c.grantTypes, deviceGrant) {
		s.writeOAuthError(w, r, refuse("unauthorized_client", "the client has not registered the grant"))
		return
	}
	d := &device{userCode: userCode(), client: c.id, scopes: strings.Fields(r.PostForm.Get("scope")), expires: s.now().Add(deviceLife)}
	if len(d.scopes) == 0 {
		d.scopes = []string{"notes:read"}
	}
	code := random(32)
	s.mu.Lock()
	if !s.Behaviour.has(RandomDeviceCodes) {
		code = fmt.Sprintf("device-%06d", len(s.devices))
	}
	s.devices[code] = d
	s.mu.Unlock()
	page := strings.TrimSuffix(s.Issuer, "/") + devicePage
	w.Header().Set("Cache-Control", "no-store")
	writeJSON(w, http.StatusOK, map[string]any{
		"device_code": code, "user_code": d.userCode, "verification_uri": page, "verification_uri_complete": page + "?user_code=" + d.userCode,
		"expires_in": int(deviceLife.Seconds()), "interval": 1,
	})
}

// userCode returns eight letters without vowels (RFC 8628 section 6.1).
func userCode() string {
	const letters = "BCDFGHJKLMNPQRSTVWXZ"
	b := seeded.Fakes.Bytes(8)
	for i := range b {
		b[i] = letters[int(b[i])%len(letters)]
	}
	return string(b[:4]) + "-" + string(b[4:])
}

// deviceDecision is the page where a signed-in user decides about a device.
func (s *Server) deviceDecision(w http.ResponseWriter, r *http.Request) {
	user := s.user(r)
	if user == "" && s.Behaviour.LoginAnywhere {
		s.loginHere(w, r, r.URL.RequestURI())
		return
	}
	if user == "" && s.Behaviour.has(DeviceNeedsUser) {
		s.errorPage(w, http.StatusUnauthorized, "Sign in first.")
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	code := r.FormValue("user_code")
	if code == "" && s.Behaviour.LoginAnywhere {
		s.page(w, http.StatusOK, "message", login.Page{Title: "Enter the code of your device"})
		return
	}
	s.mu.Lock()
	var found *device
	for _, d := range s.devices {
		if d.userCode == code && s.now().Before(d.expires) {
			found = d
		}
	}
	s.mu.Unlock()
	if found == nil {
		s.errorPage(w, http.StatusNotFound, "The code is not known.")
		return
	}
	csrf := s.seal("device " + code + user)
	if r.Method == http.MethodPost {
		if r.PostFormValue("csrf") != csrf {
			s.errorPage(w, http.StatusForbidden, "The form is not ours.")
			return
		}
		s.mu.Lock()
		found.user, found.denied = user, r.PostFormValue("decision") != "approve"
		s.mu.Unlock()
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, "<!doctype html><title>Done</title><p>You can go back to your device.</p>")
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "frame-ancestors 'none'")
	w.Header().Set("Cache-Control", "no-store")
	fmt.Fprintf(w, `<!doctype html><title>Allow access?</title><form method="post"><h1>Allow access?</h1><p>%s wants %s.</p>
<input type="hidden" name="user_code" value="%s"><input type="hidden" name="csrf" value="%s">
<button type="submit" name="decision" value="approve">Allow</button>
<button type="submit" name="decision" value="deny">Deny</button></form>`,
		html.EscapeString(s.nameOf(found.client)), html.EscapeString(strings.Join(found.scopes, " ")), html.EscapeString(code), csrf)
}

// deviceToken answers a device that polls for the decision of its user (RFC 8628 section 3.5).
func (s *Server) deviceToken(r *http.Request, c *client) (map[string]any, *oauthError) {
	b := &s.Behaviour
	s.mu.Lock()
	d := similar(s.devices, r.PostForm.Get("device_code"), b.TakesDevice, func(d *device) bool { return d.client == c.id && d.user == "" })
	s.mu.Unlock()
	switch {
	case d == nil, d.client != c.id && b.has(DeviceClient) && (d.user == "" || b.has(DeviceClientToTheEnd)), d.used && b.has(DeviceOnce):
		return nil, refuse("invalid_grant", "the device code is not known")
	case s.now().After(d.expires) && b.has(DevicesExpire):
		return nil, refuse("expired_token", "the device code has expired")
	case d.denied && b.DeniedUnknown:
		return nil, refuse("invalid_grant", "the device code is not known")
	case d.denied && b.has(DeviceDenial):
		return nil, refuse("access_denied", "the user denied")
	case d.user == "" && b.has(DeviceNeedsUser):
		return nil, refuse("authorization_pending", "the user has not decided yet")
	}
	d.used = true
	g := &grant{client: c.id, user: d.user, scopes: d.scopes, resources: s.Resources[:1], given: s.now()}
	return s.answerToken(g, d.scopes, g.resources, s.newRefresh(g, d.scopes)), nil
}

// similar returns the value of a key. If there is none, it returns one whose key a flaw accepts instead.
func similar[V any](all map[string]V, sent string, takes func(issued, sent string) bool, of func(V) bool) V {
	v, ok := all[sent]
	if ok || takes == nil {
		return v
	}
	for issued, other := range all {
		if of(other) && takes(issued, sent) {
			return other
		}
	}
	return v
}
