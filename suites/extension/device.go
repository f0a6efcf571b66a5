package extension

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/login"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/session"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// shortest is the length of the shortest user code that nobody can guess as fast as a form can be sent (RFC 8628 section 5.1).
const shortest = 6

// RFC 8628.
func devices() { Must("AS-DEVICE-GRANT", bindsDeviceCodes) }

func bindsDeviceCodes(t *T) {
	if _, err := document.ParseURL(t.AS.Endpoint("device_authorization_endpoint")); err != nil {
		t.NotApplicable("the metadata names no device_authorization_endpoint")
	}
	d, ex := t.AS.Device(t.AS.AnyClient())
	if code, status := oauth.ErrorCode(ex), expect.Status(ex); code != "" && status >= 400 && status < 500 {
		t.NotApplicable("the client may not use the device grant: error %s", code)
	}
	if !t.Expect(ex).To(beginDevice) {
		return
	}
	t.Expect(ex).To(sayWhenItExpires, nameSafePage)
	t.Expect(ex).Ideally(haveLongUserCode)
	code := oauth.Object(ex).String("device_code")
	t.Expect(t.AS.Poll(d, code), "a device code that no user has approved").To(expect.RefuseGrant("authorization_pending", "slow_down"))
	t.Expect(t.AS.Poll(d, "mcpauth-no-code"), "an unknown device code").To(expect.RefuseGrant("invalid_grant", "expired_token"))
	refusesSimilarCodes(t, d)
	other := anotherClient(t, d)
	if other != nil {
		t.Expect(t.AS.Poll(*other, code), "the device code of another client").To(refuseAnotherClient)
	}
	t.Expect(codes(t, d, code)).Ideally(expect.BeUnguessable("device codes")) // RFC 8628 section 5.2: SHOULD
	approveDevice(t, d, other)
	authenticatesDevices(t)
}

// refusesSimilarCodes polls with near misses of device codes, each of which nobody has polled with.
func refusesSimilarCodes(t *T, d Device) {
	polled := Attempt[Edit]{Name: "a poll with a device code that no user has approved", Good: beFound, Send: func(edits ...Edit) any {
		code := oauth.Object(t.AS.AskForDevice(d)).String("device_code")
		if code == "" {
			t.Inconclusive("no further device code is issued: %s", expect.Describe(t.Last()))
		}
		return t.AS.Poll(d, code, edits...)
	}}
	Refuses(t, polled, append(NearMisses("device_code"), InheritedAs("device_code").In("device_code")...), notBeFound)
}

// beFound expects that a device is known (RFC 8628 section 3.5).
var beFound = expect.ServedBy(pending)

var notBeFound = expect.Refusing("a device code that is not known (RFC 8628 section 3.5)", func(ex *reports.Exchange) string {
	if pending(ex) && oauth.ErrorCode(ex) != "slow_down" || oauth.Object(ex).String("access_token") != "" {
		return expect.Describe(ex)
	}
	return ""
})

// authenticatesDevices judges the poll of a client with a secret, for a code that its user has approved (RFC 8628 section 3.4).
func authenticatesDevices(t *T) {
	const about = "a client with a secret"
	c := t.AS.Confidential()
	if c == nil {
		t.Note("%s: not tried, since there is none", about)
		return
	}
	d, ex := t.AS.Device(c)
	if oauth.Object(ex).String("device_code") == "" || d.Public() || t.AS.ApprovedDevice(d) == "" {
		t.Note("%s: not tried, since none gets a device code that its user can approve: %s", about, expect.Describe(ex))
		return
	}
	if good := t.AS.DeviceRedemption(d); Offers(t, good, about) {
		Refuses(t, good, t.AS.WrongSecrets(d.Client).In(about), expect.RefuseGrant("invalid_client", "invalid_request"))
	}
}

// codes returns a device code and three more, or as many as are issued.
func codes(t *T, d Device, first string) []string {
	out := []string{first}
	for range 3 {
		if code := oauth.Object(t.AS.AskForDevice(d)).String("device_code"); code != "" {
			out = append(out, code)
		}
	}
	return out
}

// anotherClient returns a second client that may use the grant as well; nil if there is none.
func anotherClient(t *T, d Device) *Device {
	other, _ := t.Session.Client(t.Context(), session.Second)
	if other == nil || other.ID == d.ID {
		t.Note("without a second client, whether a device code belongs to its client was not tried")
		return nil
	}
	theirs, ex := t.AS.Device(other)
	if oauth.Object(ex).String("device_code") == "" {
		t.Note("the second client may not use the device grant, so whether a device code belongs to its client was not tried")
		return nil
	}
	return &theirs
}

// refuseAgain expects a refusal, also of a poll that comes too soon.
var refuseAgain = expect.RefuseGrant("invalid_grant", "expired_token", "slow_down")

// refuseAnotherClient expects a refusal. Before the approval of the user, a server may look at the approval first.
var refuseAnotherClient = expect.RefuseGrant("invalid_grant", "invalid_request", "authorization_pending", "slow_down")

// RFC 8628 section 3.2.
var beginDevice = expect.Serving("HTTP 200 with device_code, user_code and verification_uri", func(ex *reports.Exchange) string {
	o := oauth.Object(ex)
	for _, name := range []string{"device_code", "user_code", "verification_uri"} {
		if expect.Status(ex) != 200 || o.String(name) == "" {
			return expect.Describe(ex)
		}
	}
	return ""
})

var sayWhenItExpires = expect.That("expires_in as a positive number", func(ex *reports.Exchange) string {
	v, _ := oauth.Object(ex).Get("expires_in")
	if n, ok := expect.Number(v); ok && n > 0 {
		return ""
	}
	return "expires_in: " + document.Text(v)
})

var nameSafePage = expect.That("verification_uri by https", func(ex *reports.Exchange) string {
	page := oauth.Object(ex).String("verification_uri")
	if u, err := document.ParseURL(page); err != nil || u.Scheme != "https" && !document.LoopbackHost(u.Hostname()) {
		return page
	}
	return ""
})

const longEnough = "a user code of at least 6 characters, which nobody can guess at a form (RFC 8628 section 5.1)"

var haveLongUserCode = expect.That(longEnough, func(ex *reports.Exchange) string {
	bare := strings.NewReplacer("-", "", " ", "").Replace(oauth.Object(ex).String("user_code"))
	if len(bare) >= shortest {
		return ""
	}
	return fmt.Sprintf("the user code has %d characters", len(bare))
})

// approveDevice makes the first user allow a device, if its page can be understood: then a token is issued, once, and to its client only.
func approveDevice(t *T, d Device, other *Device) {
	refusesStrangers(t, d)
	code := t.AS.ApprovedDevice(d)
	if code == "" {
		return
	}
	answer := t.AS.Poll(d, code)
	if t.AS.Tokens(answer, d.Client) == nil {
		t.Note("the page at verification_uri_complete could not be gone through, so no token came: %s", expect.Describe(answer))
		return
	}
	again := t.AS.Poll(d, code)
	t.Expect(again, "a device code that was already exchanged for a token").Ideally(refuseAgain)
	refusesDenied(t, d)
	if other == nil {
		return
	}
	if code = t.AS.ApprovedDevice(d); code != "" {
		refusesAnotherClient(t, d, other, code)
	}
}

// refusesDenied polls after the user has denied (RFC 8628 section 3.5). A page may ask again before a denial counts: then the device waits.
func refusesDenied(t *T, d Device) {
	const about = "a device code that its user has denied"
	code := t.AS.DeniedDevice(d)
	if code == "" {
		t.Note("%s: not tried, since its page offers no way to deny", about)
		return
	}
	answer := t.AS.Poll(d, code)
	t.AS.Tokens(answer, d.Client) // those of a server with the defect are secrets, too
	if pending(answer) {
		t.Note("%s: the device is told to wait, as if nobody had decided", about)
		return
	}
	t.Expect(answer, about).To(expect.RefuseGrant("access_denied", "invalid_grant", "expired_token"))
}

// refusesAnotherClient polls with an approved code as another client. Where that has to wait, and the code's own client too, nothing shows
// that the approval was seen.
func refusesAnotherClient(t *T, d Device, other *Device, code string) {
	const stolen = "the device code of another client, after the user has approved it"
	theirs := t.AS.Poll(*other, code)
	t.AS.Tokens(theirs, other.Client)
	if pending(theirs) {
		if own := t.AS.Poll(d, code); t.AS.Tokens(own, d.Client) == nil {
			t.Leave(stolen, "its own client gets no token, either: "+expect.Describe(own))
			return
		}
	}
	t.Expect(theirs, stolen).To(refuseAnotherClient)
}

// pending reports that an answer asks a device to wait.
func pending(ex *reports.Exchange) bool {
	return slices.Contains([]string{"authorization_pending", "slow_down"}, oauth.ErrorCode(ex))
}

// refusesStrangers approves a device code in a browser without a login, which must have no effect. It has a code of its own, so that nobody
// polls too soon with the others (RFC 8628 section 3.5).
func refusesStrangers(t *T, d Device) {
	code, page := t.AS.OfferedDevice(d)
	if page.URL == "" {
		t.Note("what follows the approval of a device code: not tried, since it needs a user who signs in (--username), and a " +
			"verification_uri_complete")
		return
	}
	t.Pages.Confirm(page, login.NewJar())
	polled := t.AS.Poll(d, code)
	t.Expect(polled, "a device code that no signed-in user has approved").To(expect.RefuseGrant("authorization_pending", "slow_down"))
}
