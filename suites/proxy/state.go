package proxy

import (
	"net/url"
	"strings"

	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/login"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// ignored expects a callback to bring the client nothing.
func ignored(t *T, leg *UpstreamRequest, callback string, jar *login.Jar, about string) {
	const want = "a refusal of the upstream's answer"
	switch o := t.Upstream.Return(leg, callback, jar, login.Leave); {
	case o.Params.Get("code") != "":
		t.Finding(o.Exchange, about, want, "a code is sent to the client")
	case o.Stage == login.AtConsent:
		t.Advise(o.Exchange, want, "%s: it is taken, and the user is asked about the client", about)
	default:
		t.RefusedBy(o.Exchange)
	}
}

func state() {
	Must("AS-PROXY-STATE-AFTER-CONSENT", func(t *T) {
		signedIn(t)
		g, p, f, values := ownPage(t)
		before := g.Jar.Copy()
		_, leg := t.Upstream.Submit(g, login.Submission(p, f, values), g.Jar)
		if leg == nil {
			t.Inconclusive("the approval does not lead upstream")
		}
		if SameCookies(before, g.Jar, leg.Callback) {
			t.Inconclusive("the approval sets no cookie: what binds the browser to its upstream request is kept by the server, and not seen")
		}
		ignored(t, leg, t.Upstream.SignIn(leg, login.NewJar()), before, "with the cookies from before the approval")
	})

	Must("AS-PROXY-STATE-VALIDATED", func(t *T) {
		old := signedIn(t)
		for about, bend := range Sorted(map[string]func(q url.Values){
			"without state":        func(q url.Values) { q.Del("state") },
			"an empty state":       func(q url.Values) { q.Set("state", "") },
			"a changed state":      func(q url.Values) { q.Set("state", t.Hide(flipped(q.Get("state"), 3))) },
			"the state of another": func(q url.Values) { q.Set("state", old.Query.Get("state")) },
		}) {
			leg := t.Upstream.MustReach()
			u, err := url.Parse(t.Upstream.SignIn(leg, login.NewJar()))
			if err != nil {
				t.Inconclusive("the callback is no URL")
			}
			q := u.Query()
			bend(q)
			u.RawQuery = q.Encode()
			ignored(t, leg, u.String(), leg.Jar, about)
		}
		leg := t.Upstream.MustReach()
		callback := t.Upstream.SignIn(leg, login.NewJar())
		jar := leg.Jar.Copy()
		if o := t.Upstream.Return(leg, callback, leg.Jar, login.Approve); o.Params.Get("code") == "" {
			t.Inconclusive("the control failed: an ordinary callback ended %s", o.Stage)
		}
		ignored(t, leg, callback, jar, "a second time")
	})

	Must("AS-PROXY-STATE-BOUND-TO-BROWSER", func(t *T) {
		signedIn(t)
		leg, victim := t.Upstream.MustReach(), login.NewJar()
		ignored(t, leg, t.Upstream.SignIn(leg, victim), victim, "in another browser than the one that was sent upstream")
		leg, other := t.Upstream.MustReach(), t.Upstream.MustReach()
		ignored(t, leg, t.Upstream.SignIn(leg, login.NewJar()), other.Jar, "in a browser with an upstream request of its own")
	})

	Must("AS-PROXY-STATE-FRESH", func(t *T) {
		const fixed = "mcpauth-fixed-client-state-0123456789"
		var states []string
		for range 3 {
			leg := t.Upstream.MustReach(With("state", fixed))
			v := leg.Query.Get("state")
			if v == "" || strings.Contains(v, fixed) {
				t.Unmet(leg.Exchange, "a state of the proxy's own in each upstream request", "state=%q where the client's state is %q", v, fixed)
				return
			}
			states = append(states, v)
		}
		t.Expect(states).To(expect.BeUnguessable("states of upstream requests"))
	})
}
