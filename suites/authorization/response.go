package authorization

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/login"
	"github.com/mcpauth/conformance/suites/internal/oauth"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// odd are states that a careless server changes. They are the same in each run.
func odd() Cases[string] {
	all := make([]byte, 0, 95)
	for b := byte(0x20); b <= 0x7e; b++ {
		all = append(all, b)
	}
	return Cases[string]{
		{"all printable ASCII", "s" + string(all) + "s"},
		{"reserved characters", "a+b c%20d%2Be&f=g#h;i,j"},
		{"colour codes of a terminal", "a[31mb[0mc"},
		{"percent signs", "%25%32%35"},
		{"markup", `<b>\"'&amp;</b>`}, {"0", "0"}, {"null", "null"}, {"spaces around it", " a b "},
	}
}

// ordinary are states that clients send: random values of 128 bits and more, in base64url.
func ordinary() Cases[string] {
	return characters(22, 32, 43)
}

// long are states that contain data, such as an encoded object. No clause limits their length.
func long() Cases[string] {
	return characters(512, 513, 1000, 2000)
}

// characters are random states of these lengths.
func characters(lengths ...int) (out Cases[string]) {
	for _, n := range lengths {
		out = out.And(fmt.Sprintf("%d characters", n), Random(n)[:n])
	}
	return out
}

func returnsStateExactly(t *T) {
	t.AS.MustAuthorize() // the control
	Each(t, ordinary().In("state"), func(t *T, state string) {
		t.Expect(t.AS.MustReachDecision(t.AS.Authorize(With("state", state)))).To(acceptState, returnState(state))
	})
	Each(t, append(odd(), long()...).In("state"), func(t *T, state string) {
		g := t.AS.MustReachDecision(t.AS.Authorize(With("state", state)))
		t.Expect(g).Ideally(acceptState)
		t.Expect(g).To(returnState(state))
	})
	Each(t, Cases[string]{{"in a form", Random(43)[:43]}}.In("state"), func(t *T, state string) {
		g := t.AS.MustReachDecision(t.AS.Authorize(With("state", state), inForm))
		if !g.Posted {
			t.NotApplicable("the answer does not come in a form: %s", g.Describe())
		}
		t.Expect(g).To(returnState(state))
	})
}

// inForm asks for the answer in a form (OAuth 2.0 Form Post Response Mode), for which a server may have other code.
var inForm = With("response_mode", "form_post")

var acceptState = expect.That("a code: no clause limits the length or the characters of state further", func(g *Grant) string {
	if g.Code() == "" {
		return g.Describe()
	}
	return ""
})

// returnState expects the answer, if the client gets one, to contain the state of the request, or an equivalent form of it, once. The
// text of the expectation contains no random value, so that it is the same in a second try.
var returnState = expect.Family("returnState", func(state string, variants ...string) expect.Matcher {
	return expect.That("the state of the request, once, if the client gets an answer", func(g *Grant) string {
		got := g.Answer("state")
		if g.Stage != login.Answered || len(got) == 1 && (got[0] == state || slices.Contains(variants, got[0])) {
			return ""
		}
		if len(got) == 0 || got[0] == "" {
			return "no state, where the request has " + printable(state)
		}
		return "state " + printable(strings.Join(got, " and ")) + " for state " + printable(state)
	})
})

// earlyErrors are requests that many servers answer with an error of their own. A server need not: the row is then not decided.
var earlyErrors = Cases[Edit]{
	{"no code_challenge", Without("code_challenge")},
	{"a scope that does not exist", Scope("mcpauth_bogus")},
	{"a resource that does not exist", With("resource", Attacker)},
	{"prompt=none", With("prompt", "none")},
}

// erring is a request that ends with an error.
type erring struct {
	state string
	by    Edit
}

func returnsStateWithErrors(t *T) {
	var rows Cases[erring]
	for _, state := range append(ordinary()[:1], odd()[:3]...) {
		rows = rows.And(state.Name, erring{state.Value, With("response_type", "mcpauth_bogus")})
	}
	for _, early := range earlyErrors {
		rows = rows.And(early.Name, erring{rows[2].Value.state, early.Value})
	}
	rows = rows.And("an error in a form", erring{rows[2].Value.state, Edits(inForm, Scope("mcpauth_bogus"))})
	rows = rows.And("a denial", erring{rows[2].Value.state, Denying()})
	Each(t, rows, func(t *T, e erring) {
		g := t.AS.MustReachDecision(t.Pages.Asked(e.by, With("state", e.state)))
		switch {
		case g.PushError != "":
			t.NotApplicable("requests are pushed, and their errors come without a state (RFC 9126 section 2.3): %s", g.Describe())
		case g.Stage != login.Answered || g.Code() != "":
			t.NotApplicable("the client gets no error: %s", g.Describe())
		}
		t.Expect(g).To(returnState(e.state))
	})
}

func response() {
	Must("AS-AUTHZ-STATE-EXACT", returnsStateExactly)

	Practice("AS-AUTHZ-STATE-ABSENT", inventsNoState)
	Must("AS-AUTHZ-STATE-ON-ERROR", returnsStateWithErrors)
	Practice("AS-AUTHZ-RESPONSE-MODE", answersWhereAsked)
	Must("AS-AUTHZ-HEADER-INJECTION", encodesState)
	Must("AS-AUTHZ-DENY", tellsOfADenial)
	Practice("AS-AUTHZ-PROMPT-NONE", approvesNothingInSilence)
	Must("AS-AUTHZ-CODE-RANDOM", issuesUnguessableCodes)
	Must("AS-AUTHZ-CODE-HIDES-CHALLENGE", hidesTheChallenge)
	Must("AS-AUTHZ-NO-TOKEN-FRONT-CHANNEL", keepsCredentialsOutOfURLs)
}

func inventsNoState(t *T) {
	Each(t, Cases[Edit]{{"no state", Without("state")}, {"an empty state", With("state", "")}}, func(t *T, edit Edit) {
		g := t.AS.MustReachDecision(t.AS.Authorize(edit))
		if t.Expect(g).Ideally(acceptNoState) && t.Expect(g).To(expect.That("no state in the answer", func(g *Grant) string {
			if v := strings.Join(g.Answer("state"), ""); v != "" {
				return "the answer has state " + printable(v)
			}
			return ""
		})) {
			t.Expect(g).Ideally(expect.That("no state in the answer", func(g *Grant) string {
				if len(g.Answer("state")) > 0 {
					return "the answer has an empty state"
				}
				return ""
			}))
		}
	})
}

var acceptNoState = expect.That("a code: state is optional", func(g *Grant) string {
	if len(g.Answer("code")) == 0 {
		return g.Describe()
	}
	return ""
})

func answersWhereAsked(t *T) {
	Each(t, Cases[Edit]{
		{"no response_mode", Without("response_mode")},
		{"response_mode query", With("response_mode", "query")},
	}, func(t *T, edit Edit) {
		t.Expect(t.AS.MustReachDecision(t.AS.Authorize(edit))).To(answerInQuery, notAnswerInFragment)
	})
	Each(t, Cases[Edit]{
		{"response_mode form_post", With("response_mode", "form_post")},
		{"response_mode mcpauth_bogus", With("response_mode", "mcpauth_bogus")},
	}, func(t *T, edit Edit) { t.Expect(t.AS.MustReachDecision(t.AS.Authorize(edit))).To(notAnswerInFragment) })
	Each(t, Cases[Edit]{{"response_mode web_message", With("response_mode", "web_message")}}, func(t *T, edit Edit) {
		g := t.AS.Authorize(edit, EvenUnanswered()) // a page with a script may appear; no other window is there to receive its message
		if p := g.Page(); p != nil {
			t.Expect(p).SeenIn(g.PageExchanges[len(g.Pages)-1]).To(postToTheClientOnly)
		} else if g.Stage == login.Failed {
			t.Inconclusive("%s", g.Describe())
		}
	})
}

var answerInQuery = expect.That("a code in the query of the redirect URI, or in a form", func(g *Grant) string {
	if g.Code() == "" {
		return g.Describe()
	}
	return ""
})

var notAnswerInFragment = expect.That("no answer in the fragment, where none was asked for", func(g *Grant) string {
	if len(g.InFragment["code"]) > 0 {
		return "the code is in the fragment"
	}
	return ""
})

// toAnybody matches a script that posts a message to the other window, whatever its origin.
var toAnybody = regexp.MustCompile(`postMessage\s*\([^;]*,\s*["'\x60]\*["'\x60]`)

var postToTheClientOnly = expect.That("a message to the origin of the redirect URI only", func(p *login.Page) string {
	if toAnybody.MatchString(p.Source) {
		return `the page posts a message to "*"`
	}
	return ""
})

func encodesState(t *T) {
	Each(t, Cases[string]{
		{"CR LF and a header field", "x\r\nSet-Cookie: mcpauth=1"},
		{"& and a code", "x&code=INJECTED"},
		{"# and a code", "x#code=INJECTED"},
		{"& and an iss", "x&iss=" + attacker},
	}.In("state"), func(t *T, state string) {
		g := t.AS.MustReachDecision(t.AS.Authorize(With("state", state)))
		if !t.Expect(g).To(setNoCookie, answerAtTheRedirectURI) || len(g.Answer("code")) == 0 {
			return // control characters are outside the grammar of state and may be refused
		}
		t.Expect(g).To(haveOneCode, returnState(state, withoutControls(state)))
	})
}

// withoutControls is a state without its control characters, as a server may return it: control characters are outside its grammar (RFC
// 6749 appendix A.5).
func withoutControls(state string) string {
	return strings.NewReplacer("\r", "", "\n", "").Replace(state)
}

var setNoCookie = expect.That("no header field of the client's making", func(g *Grant) string {
	for _, c := range expect.HeaderValues(g.Exchange, "Set-Cookie") {
		if strings.HasPrefix(c, "mcpauth=") {
			return "state adds the header field Set-Cookie"
		}
	}
	return ""
})

var answerAtTheRedirectURI = expect.That("the answer at the redirect URI", func(g *Grant) string {
	if g.Stage == login.Elsewhere && strings.HasPrefix(g.Location, g.RedirectURI) {
		return "the browser is sent to " + g.Location
	}
	return ""
})

// AS-AUTHZ-RESPONSE-MODE judges a server that answers in the fragment.
var haveOneCode = expect.That("exactly one code, and nothing after it", func(g *Grant) string {
	switch codes := g.Answer("code"); {
	case slices.Contains(codes, "INJECTED"):
		return "state adds the parameter code"
	case len(codes) != 1:
		return fmt.Sprintf("%d codes", len(codes))
	case g.Fragment && len(g.Params["code"]) > 0:
		return "state adds a fragment"
	}
	return ""
})

func tellsOfADenial(t *T) {
	g := t.AS.MustReachDecision(t.Pages.Asked(Denying()))
	switch {
	case g.Code() != "" && !g.Consented:
		t.Pages.NoConsent(g, "this request is not asked about")
	case g.Stage == login.AtConsent:
		t.NotApplicable("the consent page offers no way to deny")
	}
	if t.Expect(g, "a denial").To(bringNoCode, answerAtNoOtherAddress) {
		if g.Stage == login.Answered {
			t.Expect(g, "a denial").To(expect.NameError("access_denied"))
		} else {
			t.Expect(g, "a denial").Ideally(tellTheClient)
		}
	}
	t.Expect(t.AS.MustReachDecision(t.AS.Authorize(As(g.Client))), "the next request after a denial").Ideally(expect.EndWithCode())
}

var bringNoCode = expect.That("error access_denied", func(g *Grant) string {
	if g.Code() != "" {
		return "a code is issued"
	}
	return ""
})

// answerAtNoOtherAddress allows a way over addresses of the authorization server, and a page that nobody is told by.
var answerAtNoOtherAddress = expect.That("no answer at another address than the redirect URI (OAuth 2.1 section 4.1.2.1)",
	func(g *Grant) string {
		u, err := url.Parse(g.Location)
		if g.Stage != login.Elsewhere || err != nil || !ofClient(u, g.RedirectURI) {
			return ""
		}
		fragment, _ := url.ParseQuery(u.EscapedFragment())
		if u.Query().Has("error") || u.Query().Has("state") || fragment.Has("error") || fragment.Has("state") {
			return "the browser is sent to " + g.Location
		}
		return ""
	})

// ofClient reports whether an address is the client's, or of no server: the authorization server itself may have several hosts.
func ofClient(u *url.URL, redirectURI string) bool {
	home, err := url.Parse(redirectURI)
	return u.Scheme != "http" && u.Scheme != "https" || login.Reserved(u.Hostname()) || err == nil && u.Host == home.Host
}

var tellTheClient = expect.That("error access_denied sent to the client", func(g *Grant) string { return g.Describe() })

func approvesNothingInSilence(t *T) {
	rows := Cases[Edit]{{"nobody signed in", Nobody()}}
	if t.Session.Ready && t.Session.Asked && t.Session.Register {
		if c, _ := t.AS.Register(nil); c != nil {
			rows = rows.And("a client that the user never approved", As(c))
		}
	}
	Each(t, rows, func(t *T, who Edit) {
		g := stopping(t, who, With("prompt", "none"))
		if t.Expect(g).To(notApprove) && t.AS.Lists("scopes_supported", "openid") && showsPage(g) {
			openID := Scope(append(t.Session.RequestedScopes(), "openid")...)
			t.Expect(stopping(t, who, With("prompt", "none"), openID)).Ideally(showNothing)
		}
	})
}

func showsPage(g *Grant) bool { return g.Stage == login.AtLogin || g.Stage == login.AtConsent }

// showNothing is for servers of OpenID Connect; others need not support prompt.
var showNothing = expect.That("an error, and no page, for prompt=none (OpenID Connect Core section 3.1.2.1)", func(g *Grant) string {
	if showsPage(g) {
		return g.Describe()
	}
	return ""
})

var notApprove = expect.That("error login_required or consent_required, or a page", func(g *Grant) string {
	if g.Code() != "" {
		return "a code is issued"
	}
	return ""
})

func issuesUnguessableCodes(t *T) {
	var codes []string
	for range 6 {
		codes = append(codes, t.AS.MustAuthorize().Code())
	}
	t.Expect(codes).To(expect.BeUnguessable("codes"))
}

func hidesTheChallenge(t *T) {
	g := t.AS.MustAuthorize()
	for name, values := range Sorted(g.Params) {
		for _, v := range values {
			if name != "state" { // the client itself chose the state
				t.Expect(v, name).SeenIn(g.Exchange).To(hide(g.Pair.Challenge))
			}
		}
	}
}

var hide = expect.Family("hide", func(challenge string) expect.Matcher {
	return expect.That("nothing in the answer from which the code challenge can be read", func(v string) string {
		if reveals(v, challenge, 3) {
			return "the answer has the challenge, encoded but not encrypted"
		}
		return ""
	})
})

func keepsCredentialsOutOfURLs(t *T) {
	g := t.AS.MustAuthorize(SignedOut())
	tokens := t.AS.Tokens(t.AS.Redeem(g), g.Client)
	for _, h := range g.Hops {
		t.Expect(h.To, "a redirect").SeenIn(g.Exchange).To(carryNoCredential(tokens))
	}
	for _, p := range g.Pages {
		t.Expect(p.URL.String(), "the page %q", p.Title).SeenIn(g.Exchange).To(carryNoCredential(tokens))
		t.Expect(p, "the page %q", p.Title).SeenIn(g.Exchange).To(postPasswords)
	}
	if u := t.Session.Identity(g.User).User; u != nil && u.Password != "" {
		for _, ex := range t.Transcript() { // a script may send a form in another way than its markup says
			t.Expect(ex).To(lackPassword(u.Password))
		}
	}
}

var postPasswords = expect.That("a form that sends the password by POST", func(p *login.Page) string {
	for _, f := range p.Forms {
		if f.Method == "GET" && f.Password() != nil && !p.Rendered {
			return "the login form sends the password in the URL"
		}
	}
	return ""
})

var lackPassword = expect.Family("lackPassword", func(password string) expect.Matcher {
	return expect.That("a password sent in a body only", func(ex *reports.Exchange) string {
		if strings.Contains(ex.Request.URL, url.QueryEscape(password)) {
			return "the password is in the URL of a request"
		}
		return ""
	})
})

// jwt is a JWT in a URL.
var jwt = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*`)

// carryNoCredential expects no token of the user, and no password, in the path and the query of a URL.
var carryNoCredential = expect.Family("carryNoCredential", func(tokens *oauth.Tokens) expect.Matcher {
	return expect.That("no credential in a URL", func(address string) string {
		bare, _, _ := strings.Cut(address, "#")
		u, err := url.Parse(bare)
		if err != nil {
			return ""
		}
		for name := range u.Query() {
			if slices.Contains(credentials, strings.ToLower(name)) {
				return "the query has the parameter " + name
			}
		}
		if tokens != nil && (strings.Contains(bare, tokens.Access) || tokens.Refresh != "" && strings.Contains(bare, tokens.Refresh)) {
			return "the URL contains a token of the token response"
		}
		if _, claims := oauth.Claims(jwt.FindString(bare)); claims.String("sub") != "" || claims.String("email") != "" {
			return "the URL contains a JWT about the user"
		}
		return ""
	})
})

// credentials are the names of parameters that contain one.
var credentials = []string{"access_token", "refresh_token", "id_token", "idtoken", "password", "client_secret"}

func printable(s string) string {
	if len(s) > 60 {
		s = s[:60] + "…"
	}
	return "‹" + s + "›"
}

// around is the part of a text where something is wrong.
func around(s string, at int) string {
	if len(s) > 60 && at > 30 {
		s = "…" + strings.ToValidUTF8(s[at-20:], "")
	}
	return printable(strings.NewReplacer("\r", `\r`, "\n", `\n`).Replace(s))
}

// reveals decodes a value in every usual way, to a certain depth, and looks for what it must not contain.
func reveals(v, secret string, depth int) bool {
	if strings.Contains(v, secret) {
		return true
	}
	if depth == 0 || len(v) < len(secret) {
		return false
	}
	return slices.ContainsFunc(decoded(v), func(s string) bool { return reveals(s, secret, depth-1) })
}

// decoded are the contents of a value: decoded in each usual way, or the segments of a JWT.
func decoded(v string) (inner []string) {
	for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		if b, err := enc.DecodeString(v); err == nil {
			inner = append(inner, string(b))
		}
	}
	if b, err := hex.DecodeString(v); err == nil {
		inner = append(inner, string(b))
	}
	if s, err := url.QueryUnescape(v); err == nil && s != v {
		inner = append(inner, s)
	}
	if strings.Count(v, ".") >= 2 {
		inner = append(inner, strings.Split(v, ".")...)
	}
	return inner
}

func issuer() {
	Should("AS-AUTHZ-ISS-PRESENT", namesTheIssuer)
	Must("AS-AUTHZ-ISS-EXACT", namesTheRightIssuer)

	Must("AS-AUTHZ-ISS-ADVERTISED", advertisesIss)
	Must("AS-AUTHZ-ISS-PROMISED", keepsThePromiseOfIss)
}

func advertisesIss(t *T) {
	g := t.AS.MustAuthorize()
	if len(g.Answer("iss")) == 0 {
		t.NotApplicable("iss is never sent (AS-AUTHZ-ISS-PRESENT)")
	}
	v, isBool := t.AS.Server().Metadata.Bool("authorization_response_iss_parameter_supported")
	t.Expect(v && isBool).SeenIn(g.Exchange).To(expect.That(
		"authorization_response_iss_parameter_supported: true in the metadata, because iss is sent", func(said bool) string {
			if said {
				return ""
			}
			return "iss is in the answer, and the metadata does not promise it"
		}))
}

// answered is where an authorization request ended. The row is not decided where the client gets no answer.
func answered(t *T, g *Grant) *Grant {
	t.AS.MustReachDecision(g)
	if g.Stage != login.Answered {
		t.NotApplicable("the client gets no answer: %s", g.Describe())
	}
	return g
}

func namesTheIssuer(t *T) {
	Each(t, Cases[[]Edit]{
		{"a request that gets a code", nil},
		{"a request that gets an error", []Edit{With("response_type", "mcpauth_bogus")}},
	}, func(t *T, edits []Edit) { t.Expect(answered(t, t.AS.Authorize(edits...))).To(carryIss) })
}

// carryIss allows a signed answer, which contains iss in its claims (JARM).
var carryIss = expect.That("iss in the answer (RFC 9207 section 2)", func(g *Grant) string {
	if len(g.Answer("iss")) == 0 && len(g.Answer("response")) == 0 {
		return "iss is absent: " + g.Describe()
	}
	return ""
})

func namesTheRightIssuer(t *T) {
	issuer := t.AS.Server().Named()
	Each(t, Cases[[]Edit]{
		{"a request that gets a code", nil},
		{"a request that gets an error", []Edit{With("response_type", "mcpauth_bogus")}},
		{"a request that gets a code in a form", []Edit{inForm}},
		{"a request with an iss of its own", []Edit{With("iss", "https://attacker.example")}},
	}, func(t *T, edits []Edit) {
		g := answered(t, t.AS.Authorize(edits...))
		if len(g.Answer("iss")) == 0 {
			t.NotApplicable("iss is not sent (AS-AUTHZ-ISS-PRESENT)")
		}
		t.Expect(g).To(expect.That("iss, once, equal to the issuer of the metadata, "+issuer, func(g *Grant) string {
			if got := g.Answer("iss"); len(got) != 1 || got[0] != issuer {
				return "iss " + strings.Join(got, " and ")
			}
			return ""
		}))
	})
}

func keepsThePromiseOfIss(t *T) {
	if v, _ := t.AS.Server().Metadata.Bool("authorization_response_iss_parameter_supported"); !v {
		t.NotApplicable("the metadata does not promise iss")
	}
	rows := append(Cases[Edit]{
		{"a code", Unchanged},
		{"a code in a form", inForm},
		{"an unknown response_type", With("response_type", "mcpauth_bogus")},
		{"an error in a form", Edits(inForm, Scope("mcpauth_bogus"))},
	}, earlyErrors...)
	Each(t, rows, func(t *T, edit Edit) { t.Expect(answered(t, t.AS.Authorize(edit))).To(carryIss) })
	Each(t, Cases[Edit]{{"a denial", Denying()}}, func(t *T, denial Edit) {
		t.Expect(answered(t, t.Pages.Asked(denial))).To(carryIss)
	})
}
