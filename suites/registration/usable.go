package registration

import (
	"fmt"
	"slices"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/login"
	"github.com/mcpauth/conformance/suites/internal/nearmiss"
	"github.com/mcpauth/conformance/suites/internal/oauth"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// withMadeUpCode is a token request that is good except for its code: the answer shows whether the client was authenticated.
func withMadeUpCode(c *oauth.Client) Edit {
	return Edits(With("grant_type", "authorization_code"), With("code", "mcpauth-made-up"), With("redirect_uri", c.RedirectURI),
		With("code_verifier", oauth.NewPKCE(43).Verifier))
}

// issuesSecretsThatWork compares the secret with one whose last character is another. If a server checks the code first, both answers
// are the same, and only a valid code shows more.
func issuesSecretsThatWork(t *T) {
	Each(t, secretMethods, func(t *T, method string) {
		c := client(t, changing{"token_endpoint_auth_method": method})
		if c.Secret == "" || c.Method != method {
			t.NotApplicable("the client is registered with token_endpoint_auth_method %s", c.Method)
		}
		right := t.AS.TokenRequest(c, withMadeUpCode(c))
		undecided := expect.NoAnswer(right) != ""
		if !undecided && !t.Expect(right, "the issued secret").To(authenticate(whatHelps(t, c, right))) {
			return
		}
		changed := lastChanged(t, c.Secret)
		wrong := t.AS.TokenRequest(c, withMadeUpCode(c), AsWithSecret(c, changed))
		if !undecided && oauth.ErrorCode(wrong) == "invalid_client" {
			t.Expect(wrong).To(expect.RefuseGrant("invalid_client"))
			return
		}
		comparesTheSecretOfAGoodRequest(t, c, right, changed)
	})
}

// comparesTheSecretOfAGoodRequest is for servers that check the code before the client, and for those that fail at an unknown code.
func comparesTheSecretOfAGoodRequest(t *T, c *oauth.Client, right *reports.Exchange, changed string) {
	if !t.Session.Ready {
		decided(t, right)
		t.NotTested("the right and a wrong secret get the same answer with an invented code; a code of a login (--username) shows more")
	}
	if oauth.ErrorCode(right) == "invalid_request" && needsMore(t, c) {
		return
	}
	Refuses(t, t.AS.Redemption(As(c)), Cases[Edit]{{"the secret, its last character changed", AsWithSecret(c, changed)}},
		expect.RefuseGrant("invalid_client"))
}

// needsMore reports, and judges, a server that redeems a good code only with client_id in the body, in addition to or instead of Basic.
func needsMore(t *T, c *oauth.Client) bool {
	good := t.AS.Redeem(t.AS.MustAuthorize(As(c)))
	if c.Method != oauth.Basic || expect.NoAnswer(good) != "" || t.AS.Tokens(good, c) != nil {
		return false
	}
	identified := With("client_id", c.ID)
	rows := Cases[Edit]{
		{"with client_id in the body too", identified},
		{"with client_id and client_secret in the body instead", Edits(Unidentified(), identified, With("client_secret", c.Secret))},
	}
	for _, more := range rows {
		if t.AS.Tokens(t.AS.Redeem(t.AS.MustAuthorize(As(c)), more.Value), c) != nil {
			t.Expect(more.Name, "the issued secret").SeenIn(good).To(authenticateAlone(expect.Describe(good)))
			return true
		}
	}
	return false
}

var authenticateAlone = expect.Family("authenticateAlone", func(answer string) expect.Matcher {
	return expect.That("authentication by the secret, as the client is registered", func(more string) string {
		return answer + "; " + more + ", tokens are issued"
	})
})

func lastChanged(t *T, secret string) string {
	misses := nearmiss.Of(secret, nearmiss.Changed)
	return t.Hide(misses[len(misses)-1].Value)
}

// authenticate expects a token request not to be refused for the client. Some servers answer a bad code with 401 too.
var authenticate = expect.Family("authenticate", func(helps string) expect.Matcher {
	return expect.Serving("authentication by the secret, as the client is registered", func(ex *reports.Exchange) string {
		if code := oauth.ErrorCode(ex); code == "invalid_client" || code == "" && expect.Status(ex) == 401 {
			return expect.Describe(ex) + helps
		}
		return ""
	})
})

// whatHelps reports a server that needs client_id in the body in addition to client_secret_basic, which AS-TOKEN-SECRET-BASIC judges.
func whatHelps(t *T, c *oauth.Client, refused *reports.Exchange) string {
	if oauth.ErrorCode(refused) != "invalid_client" || c.Method != oauth.Basic {
		return ""
	}
	if again := t.AS.TokenRequest(c, withMadeUpCode(c), With("client_id", c.ID)); oauth.ErrorCode(again) == "invalid_grant" {
		return "; with client_id in the body too, it is accepted"
	}
	return ""
}

// try is one of several attempts that should all have the same result.
type try struct {
	seen    *reports.Exchange
	problem string
}

// knowsClientsAtOnce tries more than once: if the server has several processes, perhaps only one of them knows the client.
func knowsClientsAtOnce(t *T) {
	c := client(t, nil)
	var pages, answers []try
	for range 3 {
		g := t.AS.Authorize(As(c), StoppingAtLogin(), Leaving(), Nobody())
		problem := ""
		if t.AS.Stopped(g) && g.Stage == login.ErrorPage {
			problem = g.Describe()
		}
		pages = append(pages, try{g.Exchange, problem})
		ex := redemptionOf(t, c)
		if why := Unanswered(t, ex); why != "" {
			t.Leave("the token endpoint", why)
			continue
		}
		if problem = ""; oauth.ErrorCode(ex) == "invalid_client" {
			problem = "error invalid_client"
		}
		answers = append(answers, try{ex, problem})
	}
	t.Expect(pages, "the authorization endpoint").SeenIn(worst(pages)).To(alwaysKnow)
	if len(answers) > 0 {
		t.Expect(answers, "the token endpoint").SeenIn(worst(answers)).To(alwaysKnow)
	}
}

// redemptionOf is the answer to a made-up code, or to the code of a login if the server fails over what it has not issued.
func redemptionOf(t *T, c *oauth.Client) *reports.Exchange {
	ex := t.AS.TokenRequest(c, withMadeUpCode(c))
	if expect.Status(ex) < 500 || !t.Session.Ready {
		return ex
	}
	if g := t.AS.Authorize(As(c)); g.Code() != "" {
		return t.AS.Redeem(g)
	}
	return ex
}

// worst is the first attempt that failed, or the last attempt.
func worst(tries []try) *reports.Exchange {
	if i := slices.IndexFunc(tries, func(a try) bool { return a.problem != "" }); i >= 0 {
		return tries[i].seen
	}
	return tries[len(tries)-1].seen
}

var alwaysKnow = expect.That("a client that is known as soon as it is registered, at each try", func(tries []try) string {
	bad := slices.DeleteFunc(slices.Clone(tries), func(a try) bool { return a.problem == "" })
	switch {
	case len(bad) == 0:
		return ""
	case len(bad) < len(tries):
		return fmt.Sprintf("%s, at %d of %d tries: do all processes share one store of clients?", bad[0].problem, len(bad), len(tries))
	}
	return bad[0].problem
})

// keepsUpstreamClientToItself registers two different clients, with a secret if they get one.
func keepsUpstreamClientToItself(t *T) {
	method := t.AS.SecretMethod()
	named := func(name string) *oauth.Client {
		uris := []string{t.Session.Callback + "/" + name}
		return client(t, changing{"client_name": t.AS.ClientName(" " + name), "redirect_uris": uris, "token_endpoint_auth_method": method})
	}
	a, b := named("one"), named("two")
	t.Expect(identifiers([]*oauth.Client{a, b})).SeenIn(b.Exchange).To(beDistinct)
	t.Expect(b, "client_secret").SeenIn(b.Exchange).To(expect.That("a secret of its own for every client", func(b *oauth.Client) string {
		if b.Secret != "" && a.Secret == b.Secret {
			return "two different clients get the same secret"
		}
		return ""
	}))
	leg := t.Upstream.RequestOf(t.AS.Authorize(As(a), Nobody(), Until(t.Upstream.IsRequest)))
	if leg == nil {
		return
	}
	t.Expect(leg.Query.Get("client_id"), "the request to the upstream").SeenIn(leg.Exchange).To(expect.That(
		"another client_id than the registered one", func(upstream string) string {
			if upstream == a.ID {
				return "client_id " + upstream + " is the one that the proxy itself has at the upstream"
			}
			return ""
		}))
}
