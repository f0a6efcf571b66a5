package proxy

import (
	"net/url"
	"strings"

	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/login"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func state() {
	Must("AS-PROXY-STATE-AFTER-CONSENT", bindsAfterConsent)
	Must("AS-PROXY-STATE-VALIDATED", validatesState)
	Must("AS-PROXY-STATE-BOUND-TO-BROWSER", bindsStateToBrowser)
	Must("AS-PROXY-STATE-FRESH", makesOwnStates)
}

// refuseCallback expects a callback not to lead to a code for the client.
func refuseCallback(t *T, leg *UpstreamRequest, callback string, jar *login.Jar, about string) {
	o := ended{t.Upstream.Return(leg, callback, jar, login.Leave)}
	if t.Expect(o, about).To(bringNoCode) {
		t.Expect(o, about).Ideally(bringNoPage)
	}
}

var bringNoCode = expect.Refusing("a refusal of the callback from the upstream", func(o ended) string {
	if o.code() {
		return "a code is sent to the client"
	}
	return ""
})

var bringNoPage = expect.That("a refusal of the callback from the upstream, without a page", func(o ended) string {
	if o.Stage == login.AtConsent {
		return "the callback is accepted, and the user is asked about the client"
	}
	return ""
})

func bindsAfterConsent(t *T) {
	signedIn(t)
	p := ownPage(t)
	before := p.Jar.Copy()
	_, leg := t.Upstream.Submit(p.Grant, p.approval(), p.Jar)
	if leg == nil {
		t.Inconclusive("the approval does not lead upstream")
	}
	if SameCookies(before, p.Jar, leg.Callback) {
		t.Inconclusive("the approval sets no cookie: what binds the browser to its upstream request is kept by the server, and not seen")
	}
	refuseCallback(t, leg, t.Upstream.SignIn(leg, login.NewJar()), before, "with the cookies from before the approval")
}

func validatesState(t *T) {
	old := signedIn(t)
	Each(t, Cases[func(q url.Values)]{
		{"without state", func(q url.Values) { q.Del("state") }},
		{"an empty state", func(q url.Values) { q.Set("state", "") }},
		{"a changed state", func(q url.Values) { q.Set("state", t.Hide(flipped(q.Get("state"), 3))) }},
		{"the beginning of the state", func(q url.Values) { q.Set("state", t.Hide(q.Get("state")[:len(q.Get("state"))/2])) }},
		{"the state of another", func(q url.Values) { q.Set("state", old.Query.Get("state")) }},
	}, func(t *T, bend func(q url.Values)) {
		leg := t.Upstream.MustReach()
		u, err := url.Parse(t.Upstream.SignIn(leg, login.NewJar()))
		if err != nil {
			t.Inconclusive("the callback is not a URL")
		}
		q := u.Query()
		bend(q)
		u.RawQuery = q.Encode()
		refuseCallback(t, leg, u.String(), leg.Jar, "")
	})
	leg := t.Upstream.MustReach()
	callback, again := t.Upstream.SignIn(leg, login.NewJar()), t.Upstream.SignIn(leg, login.NewJar()) // each has its own code
	jar := leg.Jar.Copy()
	if o := t.Upstream.Return(leg, callback, leg.Jar, login.Approve); o.Params.Get("code") == "" {
		t.Inconclusive("this proves nothing: an ordinary callback ended %s", o.Stage)
	}
	refuseCallback(t, leg, again, jar, "the state for the second time, with a new code")
}

func bindsStateToBrowser(t *T) {
	signedIn(t)
	leg, victim := t.Upstream.MustReach(), login.NewJar()
	refuseCallback(t, leg, t.Upstream.SignIn(leg, victim), victim, "in another browser than the one that was sent upstream")
	leg, other := t.Upstream.MustReach(), t.Upstream.MustReach()
	refuseCallback(t, leg, t.Upstream.SignIn(leg, login.NewJar()), other.Jar, "in a browser with an upstream request of its own")
}

const fixed = "mcpauth-fixed-client-state-0123456789"

func makesOwnStates(t *T) {
	var states []string
	for range 3 {
		leg := t.Upstream.MustReach(With("state", fixed))
		if !t.Expect(leg.Query.Get("state")).SeenIn(leg.Exchange).To(beOwnState) {
			return
		}
		states = append(states, leg.Query.Get("state"))
	}
	t.Expect(states).To(expect.BeUnguessable("states of upstream requests"))
}

var beOwnState = expect.That("a state of the proxy's own in each upstream request", func(v string) string {
	switch {
	case v == "":
		return "the upstream request has no state"
	case strings.Contains(v, fixed):
		return "state=" + v + ", which has the client's state in it"
	}
	return ""
})
