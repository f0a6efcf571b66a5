package extension

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/login"
	"github.com/mcpauth/conformance/suites/internal/nearmiss"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/session"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func pushedRequests() { Must("AS-PAR-BASIC", bindsPushedRequests) }

// pusher pushes authorization requests of a client, and starts flows with them.
type pusher struct {
	endpoint string
	client   *oauth.Client
	pair     oauth.PKCE
}

func bindsPushedRequests(t *T) {
	p := pusher{t.AS.Endpoint("pushed_authorization_request_endpoint"), t.AS.AnyClient(), oauth.NewPKCE(43)}
	if p.endpoint == "" {
		t.NotApplicable("the metadata names no pushed_authorization_request_endpoint")
	}
	used := p.mustPush(t)
	t.Expect([]string{used, p.mustPush(t), p.mustPush(t)}, "three pushed requests").To(beUnpredictable)
	g := t.AS.MustReachDecision(p.begin(t, p.client, used))
	if !t.Expect(g, "a request that was pushed").To(expect.EndWithCode()) {
		return
	}
	g.RedirectURI = p.client.RedirectURI
	if ex := t.AS.Redeem(g); t.AS.Tokens(ex, p.client) == nil {
		t.Inconclusive("the code of a pushed request cannot be redeemed: %s", expect.Describe(ex))
	}
	t.Expect(p.begin(t, p.client, used), "a request_uri for the second time (RFC 9126 section 7.3)").Ideally(endWithoutSecondCode)
	tryForeignRequest(t, p)
	p.refuseSimilar(t)
	refuseBadPushes(t, p)
	letPushedRequestDecide(t, p)
	if t.AS.PushedOnly() {
		plain := t.AS.Authorize(As(p.client), Unpushed())
		t.Expect(plain, "a plain request where pushed ones are required").To(expect.EndWithoutCode("invalid_request"))
	}
}

// pushing is a pushed request (RFC 9126 section 2.1).
func (p pusher) pushing(t *T) Attempt[Edit] {
	return Attempt[Edit]{Name: "an ordinary pushed request", Good: bePushed, Send: func(edits ...Edit) any {
		return t.AS.Push(p.endpoint, p.client, p.pair, edits...)
	}}
}

// mustPush is the request_uri of a pushed request.
func (p pusher) mustPush(t *T, edits ...Edit) string {
	ex := expect.ExchangeOf(p.pushing(t).Send(edits...))
	uri := oauth.Object(ex).String("request_uri")
	if uri == "" {
		t.Inconclusive("an ordinary request cannot be pushed: %s", expect.Describe(ex))
	}
	t.Expect(ex).To(answerPush)
	return uri
}

var beUnpredictable = expect.That("request_uri values that cannot be predicted (RFC 9126 section 2.2)", func(values []string) string {
	if weak, slight := expect.Weakness(values); !slight {
		return weak
	}
	return ""
})

// begin sends the browser of a client to the authorization endpoint, with a request_uri.
func (p pusher) begin(t *T, by *oauth.Client, uri string, edits ...Edit) *Grant {
	query := oauth.Form{{Name: "client_id", Value: by.ID}, {Name: "request_uri", Value: uri}}
	return t.AS.Authorize(append([]Edit{As(by), Pair(p.pair), Instead(query), Unpushed()}, edits...)...)
}

var bePushed = expect.ServedBy(func(ex *reports.Exchange) bool { return oauth.Object(ex).String("request_uri") != "" })

var answerPush = expect.That("HTTP 201 with request_uri and expires_in (RFC 9126 section 2.2)", func(ex *reports.Exchange) string {
	seconds, ok := oauth.Seconds(oauth.Object(ex))
	if expect.Status(ex) == 201 && ok && seconds > 0 {
		return ""
	}
	return fmt.Sprintf("%s, and expires_in is %s", expect.Describe(ex), expect.InSeconds(seconds))
})

var endWithoutSecondCode = expect.That("a request_uri that leads to one code", func(g *Grant) string {
	if g.Code() == "" {
		return ""
	}
	return "the request_uri leads to a second code"
})

// tryForeignRequest uses a request_uri as another client, which has the same redirect URI.
func tryForeignRequest(t *T, p pusher) {
	other, _ := t.Session.Client(t.Context(), session.Second)
	if other == nil || other.RedirectURI != p.client.RedirectURI {
		t.Note("without a second client, whether a request_uri belongs to its client was not tried")
		return
	}
	t.Expect(p.begin(t, other, p.mustPush(t)), "the request_uri of another client").To(beForeign)
}

// refuseSimilar opens near misses of a request_uri. What comes before its last colon is the same for every request, and stays.
func (p pusher) refuseSimilar(t *T) {
	opened := Attempt[Edit]{Name: "a request that was pushed", Good: expect.Proceed(), Send: func(edits ...Edit) any {
		return p.begin(t, p.client, p.mustPush(t), edits...)
	}}
	var rows Cases[Edit]
	for _, w := range nearmiss.Ways(nearmiss.Changed, nearmiss.Shorter, nearmiss.Longer, nearmiss.LetterCase) {
		rows = rows.And(w.Name, Change("request_uri", func(uri string) string {
			at := strings.LastIndexByte(uri, ':') + 1
			return uri[:at] + w.To(uri[at:])
		}))
	}
	Refuses(t, opened, rows.In("request_uri"), beForeign)
}

var beForeign = expect.Unless(expect.Refusing("a refusal (RFC 9126 section 2.2)", func(g *Grant) string {
	if g.Code() != "" || g.Stage == login.AtConsent {
		return g.Describe()
	}
	return ""
}), notDecided)

// notDecided says why a request that ended without a code shows no refusal.
func notDecided(g *Grant) string { why, _ := g.Undecided(); return why }

// unchallenged is a flow that begins with a pushed request without a challenge, and ends without a verifier.
func (p pusher) unchallenged(t *T) *Flow {
	ex := expect.ExchangeOf(p.pushing(t).Send(Without("code_challenge", "code_challenge_method")))
	uri := oauth.Object(ex).String("request_uri")
	if uri == "" {
		return &Flow{Grant: &Grant{Outcome: &login.Outcome{Stage: login.Answered, Exchange: ex}, Client: p.client}, Answer: ex}
	}
	return p.redeeming(t, p.begin(t, p.client, uri), Without("code_verifier"))
}

// needsChallenge expects pushed requests to need a challenge, if others need one: AS-PKCE-REQUIRE-CHALLENGE reports a server that never
// does. The whole flow is run: some servers refuse such a request only after the login, or at the token endpoint.
func (p pusher) needsChallenge(t *T) {
	unchallenged := Edits(Without("code_challenge", "code_challenge_method"), AtToken(Without("code_verifier")))
	plain, _ := t.AS.CodeFlow(As(p.client)).Send(unchallenged).(*Flow)
	if why := expect.NoAnswer(plain.Evidence()); why != "" || plain.Stage == login.Lost || plain.Stage == login.Failed {
		t.Leave("a request without code_challenge", cmp.Or(why, plain.Describe()))
		return
	}
	if oauth.Object(plain.Answer).String("access_token") != "" {
		t.Note("no authorization request needs a code_challenge here (AS-PKCE-REQUIRE-CHALLENGE)")
		return
	}
	t.Expect(p.unchallenged(t), "a pushed request without code_challenge").To(expect.GiveNoTokens("invalid_request"))
}

// refuseBadPushes expects a pushed request to be refused for what the authorization and token endpoints refuse (RFC 9126 section 2.1).
func refuseBadPushes(t *T, p pusher) {
	codes := []string{"invalid_request", "invalid_redirect_uri", "unsupported_response_type", "invalid_client", "request_uri_not_supported"}
	Refuses(t, p.pushing(t), Cases[Edit]{
		{"a redirect URI that is not registered", With("redirect_uri", "https://attacker.example/cb")},
		{"a request_uri within the request", With("request_uri", "urn:ietf:params:oauth:request_uri:x")},
		{"an unknown response_type", With("response_type", "mcpauth")},
	}, expect.RefuseGrant(codes...))
	p.needsChallenge(t)
	if c, _ := t.Session.Client(t.Context(), session.Confidential); c != nil {
		Refuses(t, pusher{p.endpoint, c, p.pair}.pushing(t), t.AS.WrongSecrets(c), expect.RefuseGrant("invalid_client", "invalid_request"))
	}
}

// letPushedRequestDecide sends a query that contradicts the pushed request: it is refused, or the query is ignored (RFC 9126
// section 4). With a challenge of its own, whoever changes the query could redeem the code.
func letPushedRequestDecide(t *T, p pusher) {
	state := p.begin(t, p.client, p.mustPush(t, With("state", "mcpauth-pushed")), With("state", "mcpauth-query"))
	t.Expect(state, "a query with another state").To(ignoreQuery)
	elsewhere := []Edit{With("redirect_uri", "https://attacker.example/cb"), AnswersAt(p.client.RedirectURI)}
	t.Expect(p.begin(t, p.client, p.mustPush(t), elsewhere...), "a query with another redirect_uri").To(ignoreQuery)
	own := oauth.NewPKCE(43)
	challenged := Edits(With("code_challenge", own.Challenge), With("code_challenge_method", "S256"))
	flow := p.redeeming(t, p.begin(t, p.client, p.mustPush(t), challenged), With("code_verifier", own.Verifier))
	t.Expect(flow, "a query with another code_challenge, and its verifier").To(expect.GiveNoTokens())
}

// redeeming is the flow of a grant, whose code is redeemed with an edit.
func (p pusher) redeeming(t *T, g *Grant, edit Edit) *Flow {
	flow := &Flow{Grant: g}
	if flow.RedirectURI = p.client.RedirectURI; flow.Code() != "" {
		flow.Answer = t.AS.Redeem(flow.Grant, edit)
		t.AS.Tokens(flow.Answer, p.client)
	}
	return flow
}

const pushedOnly = "the pushed parameters, not those in the query (RFC 9126 section 4)"

var ignoreQuery = expect.Unless(expect.Refusing(pushedOnly, func(g *Grant) string {
	switch {
	case strings.Contains(g.Location, "attacker.example"):
		return "the browser is sent to " + g.Location
	case g.Params.Get("state") == "mcpauth-query":
		return "state is that of the query"
	}
	return ""
}), notDecided)
