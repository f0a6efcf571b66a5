package authorization

import (
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"regexp"
	"strings"

	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/login"
	"github.com/mcpauth/conformance/suites/internal/oauth"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// odd are states that a careless server damages.
func odd() Cases[string] {
	all := make([]byte, 0, 95)
	for b := byte(0x20); b <= 0x7e; b++ {
		all = append(all, b)
	}
	Shuffle(all)
	return Cases[string]{
		{"all printable ASCII", "s" + string(all) + "s"}, {"reserved characters", "a+b c%20d%2Be&f=g#h;i,j"}, {"percent signs", "%25%32%35"},
		{"markup", `<b>\"'&amp;</b>`}, {"0", "0"}, {"null", "null"}, {"spaces around it", " a b "},
	}
}

// ordinary are states that clients send: random values of 128 bits and more, in base64url.
func ordinary() Cases[string] {
	return Cases[string]{{"22 characters", Random(22)}, {"32 characters", Random(32)}, {"43 characters", Random(43)}}
}

// long are states that hold something, such as an encoded object. No clause limits their length.
func long() Cases[string] {
	return Cases[string]{{"512 characters", Random(512)}, {"513 characters", Random(513)}, {"1000 characters", Random(1000)}, {"2000 characters", Random(2000)}}
}

func returnsStateExactly(t *T) {
	t.AS.MustAuthorize() // the control
	Each(t, ordinary(), func(t *T, state string) {
		t.Expect(t.AS.MustReachDecision(t.AS.Authorize(With("state", state)))).To(acceptState, returnState(state))
	})
	Each(t, append(odd(), long()...), func(t *T, state string) {
		g := t.AS.MustReachDecision(t.AS.Authorize(With("state", state)))
		t.Expect(g).Ideally(acceptState)
		t.Expect(g).To(returnState(state))
	})
}

var acceptState = expect.That("a code: no clause limits the length or the characters of state further", func(g *Grant) string {
	if g.Code() == "" {
		return g.Describe()
	}
	return ""
})

// returnState expects the answer, if the client gets one, to carry the state of the request, once.
func returnState(state string) expect.Matcher {
	return expect.That("state "+printable(state)+", once, if the client gets an answer", func(g *Grant) string {
		got := g.Answer("state")
		if g.Stage != login.Answered || len(got) == 1 && got[0] == state {
			return ""
		}
		return "state " + printable(strings.Join(got, " and "))
	})
}

func returnsStateWithErrors(t *T) {
	states := append(ordinary()[:1], odd()[:2]...)
	Each(t, states, func(t *T, state string) {
		g := t.AS.MustReachDecision(t.AS.Authorize(With("response_type", "mcpauth_bogus"), With("state", state)))
		if g.Stage != login.Answered {
			t.Inconclusive("the authorization server shows an error page and never sends the error to the client: %s", g.Describe())
		}
		t.Expect(g).To(returnState(state))
	})
	if g := t.AS.Authorize(Denying(), With("state", states[2].Value)); g.Consented || g.Error() != "" {
		t.Expect(g, "a denial").To(returnState(states[2].Value))
	}
}

func response() {
	Must("AS-AUTHZ-STATE-EXACT", returnsStateExactly)

	Practice("AS-AUTHZ-STATE-ABSENT", func(t *T) {
		for about, edit := range Sorted(map[string]Edit{"no state": Without("state"), "an empty state": With("state", "")}) {
			g := t.AS.MustReachDecision(t.AS.Authorize(edit))
			switch {
			case g.Code() == "":
				t.Advise(g.Exchange, "state to be optional", "%s: %s", about, g.Describe())
			case g.Params.Get("state") != "":
				t.Finding(g.Exchange, about, "no state in the answer", "state is invented")
			case g.Params.Has("state"):
				t.Advise(g.Exchange, "no state in the answer", "%s: state= is sent", about)
			}
		}
	})

	Must("AS-AUTHZ-STATE-ON-ERROR", returnsStateWithErrors)

	Practice("AS-AUTHZ-RESPONSE-MODE", func(t *T) {
		advertised, _ := t.AS.Server().Metadata.Strings("response_modes_supported")
		for _, mode := range []string{"", "query", "mcpauth_bogus", "fragment", "form_post", "web_message"} {
			edit := Without("response_mode")
			if mode != "" {
				edit = With("response_mode", mode)
			}
			g := t.AS.MustReachDecision(t.AS.Authorize(edit))
			switch {
			case expect.Status(g.Exchange) >= 500:
				t.Finding(g.Exchange, "response_mode "+mode, "an answer", expect.Describe(g.Exchange))
			case mode != "fragment" && g.Fragment:
				t.Finding(g.Exchange, "response_mode "+mode, "the answer in the query", "it is sent in the fragment")
			case (mode == "" || mode == "query") && g.Code() == "" && !g.Posted:
				t.Finding(g.Exchange, "response_mode "+mode, "a code in the query", g.Describe())
			case mode == "web_message" && strings.Contains(page(g), `, "*")`):
				t.Finding(g.Exchange, "response_mode "+mode, "a message to the client's origin only", `postMessage to "*"`)
			}
		}
		_ = advertised
	})

	Must("AS-AUTHZ-HEADER-INJECTION", func(t *T) {
		for _, state := range []string{"x\r\nSet-Cookie: mcpauth=1", "x&code=INJECTED", "x#code=INJECTED", "x&iss=" + attacker} {
			g := t.AS.MustReachDecision(t.AS.Authorize(With("state", state)))
			for _, c := range expect.HeaderValues(g.Exchange, "Set-Cookie") {
				if strings.HasPrefix(c, "mcpauth=") {
					t.Finding(g.Exchange, "", "one header field", "state can add a Set-Cookie field")
				}
			}
			if g.Stage == login.Elsewhere && strings.HasPrefix(g.Location, g.RedirectURI) {
				t.Finding(g.Exchange, "", "the answer at the redirect URI", "the browser is sent to "+g.Location)
			}
			if g.Code() == "" {
				continue // control characters are outside the grammar of state and may be refused
			}
			if codes := g.Decoded("code"); len(codes) != 1 || codes[0] == "INJECTED" || g.Fragment {
				t.Finding(g.Exchange, "", "exactly one code", "state can add parameters to the answer")
			}
			t.Expect(g).To(returnState(state))
		}
	})

	Must("AS-AUTHZ-DENY", func(t *T) {
		g := t.AS.MustReachDecision(t.AS.Authorize(Denying()))
		switch {
		case g.Code() != "" && !g.Consented:
			t.NotApplicable("this request is not asked about, since the client was approved before")
		case g.Code() != "":
			t.Unmet(g.Exchange, "error access_denied", "denying brings a code")
		case g.Stage == login.AtConsent:
			t.NotApplicable("the consent page has no way to deny")
		case g.Stage != login.Answered:
			t.Advise(g.Exchange, "error access_denied sent to the client", "%s", g.Describe())
		case g.Error() != "access_denied":
			t.Unmet(g.Exchange, "error access_denied", "%s", g.Describe())
		}
		if again := t.AS.MustReachDecision(t.AS.Authorize()); again.Code() == "" {
			t.Advise(again.Exchange, "the consent page again after a denial", "%s", again.Describe())
		}
	})

	Practice("AS-AUTHZ-PROMPT-NONE", func(t *T) {
		silent := func(about string, edits ...Edit) {
			g := t.AS.Authorize(append(edits, With("prompt", "none"), StoppingAtLogin(), Leaving())...)
			if g.Code() != "" {
				t.Finding(g.Exchange, about, "login_required, consent_required or a page", "a code is issued")
			}
			if expect.Status(g.Exchange) >= 500 {
				t.Finding(g.Exchange, about, "an error or a page", expect.Describe(g.Exchange))
			}
			t.Refused()
		}
		silent("nobody signed in", Nobody())
		if t.Session.Ready && t.Session.Asked {
			if c, _ := t.AS.Register(nil); c != nil {
				silent("a client that the user never approved", As(c))
			}
		}
	})

	Must("AS-AUTHZ-CODE-RANDOM", func(t *T) {
		var codes []string
		for range 6 {
			codes = append(codes, t.AS.MustAuthorize().Code())
		}
		t.Expect(codes).To(expect.BeUnguessable("codes"))
	})

	Must("AS-AUTHZ-CODE-HIDES-CHALLENGE", func(t *T) {
		g := t.AS.MustAuthorize()
		for name, values := range Sorted(g.Params) {
			for _, v := range values {
				if name != "state" && reveals(v, g.Pair.Challenge, 3) {
					t.Unmet(g.Exchange, "nothing in the answer from which the code challenge can be read", "%s holds it", name)
				}
			}
		}
	})

	Must("AS-AUTHZ-NO-TOKEN-FRONT-CHANNEL", func(t *T) {
		g := t.AS.MustAuthorize(SignedOut())
		tokens := t.AS.Tokens(t.AS.Redeem(g), g.Client)
		for _, h := range g.Hops {
			inspect(t, g, h.To, tokens)
		}
		if word := t.Session.Identity(g.User).User; word != nil && word.Password != "" {
			for _, ex := range t.Transcript() { // scripts send forms as they like
				if strings.Contains(ex.Request.URL, url.QueryEscape(word.Password)) {
					t.Unmet(ex, "credentials sent by POST", "the password stands in the URL of a request")
				}
			}
		}
		for _, p := range g.Pages {
			inspect(t, g, p.URL.String(), tokens)
			for _, f := range p.Forms {
				if f.Method == "GET" && f.Password() != nil && !p.Rendered {
					t.Unmet(g.Exchange, "credentials sent by POST", "the login form sends the password in the URL")
				}
			}
		}
	})
}

// jwt is a JWT in a URL.
var jwt = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*`)

// inspect looks for credentials in the path and query of a URL.
func inspect(t *T, g *Grant, address string, tokens *oauth.Tokens) {
	bare, _, _ := strings.Cut(address, "#")
	u, err := url.Parse(bare)
	if err != nil {
		return
	}
	for name := range u.Query() {
		switch strings.ToLower(name) {
		case "access_token", "refresh_token", "id_token", "idtoken", "password", "client_secret":
			t.Unmet(g.Exchange, "no credential in a URL", "the query carries %s", name)
		}
	}
	if tokens != nil && (strings.Contains(bare, tokens.Access) || tokens.Refresh != "" && strings.Contains(bare, tokens.Refresh)) {
		t.Unmet(g.Exchange, "no credential in a URL", "a token of the token response is in it")
		return
	}
	if m := jwt.FindString(bare); m != "" {
		if _, claims := oauth.Claims(m); claims.String("sub") != "" || claims.String("email") != "" {
			t.Unmet(g.Exchange, "no credential in a URL", "a JWT about the user is in it")
		}
	}
}

func printable(s string) string {
	if len(s) > 60 {
		s = s[:60] + "…"
	}
	return "‹" + s + "›"
}

func page(g *Grant) string {
	if p := g.Page(); p != nil {
		return p.Source
	}
	return ""
}

// reveals decodes a value in every usual way, to a depth, and looks for what it must not hold.
func reveals(v, secret string, depth int) bool {
	if strings.Contains(v, secret) {
		return true
	}
	if depth == 0 || len(v) < len(secret) {
		return false
	}
	var inner []string
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
	for _, s := range inner {
		if reveals(s, secret, depth-1) {
			return true
		}
	}
	return false
}

func issuer() {
	Should("AS-AUTHZ-ISS-PRESENT", namesTheIssuer)
	Must("AS-AUTHZ-ISS-EXACT", namesTheRightIssuer)

	Must("AS-AUTHZ-ISS-ADVERTISED", func(t *T) {
		g := t.AS.MustAuthorize()
		if !g.Params.Has("iss") {
			t.NotApplicable("iss is never sent (AS-AUTHZ-ISS-PRESENT)")
		}
		if v, ok := t.AS.Server().Metadata.Bool("authorization_response_iss_parameter_supported"); !ok || !v {
			t.Unmet(g.Exchange, "authorization_response_iss_parameter_supported: true, since iss is sent", "the metadata does not say so")
		}
	})

	Must("AS-AUTHZ-ISS-PROMISED", keepsThePromiseOfIss)
}

// answered is where an authorization request ended. The row is not decided where the client gets no answer.
func answered(t *T, edits ...Edit) *Grant {
	g := t.AS.MustReachDecision(t.AS.Authorize(edits...))
	if g.Stage != login.Answered {
		t.NotApplicable("the client gets no answer: %s", g.Describe())
	}
	return g
}

func namesTheIssuer(t *T) {
	Each(t, Cases[[]Edit]{
		{"the answer with the code", nil},
		{"an error", []Edit{With("response_type", "mcpauth_bogus")}},
	}, func(t *T, edits []Edit) { t.Expect(answered(t, edits...)).To(carryIss) })
}

// carryIss allows a signed answer, which carries it inside (JARM).
var carryIss = expect.That("iss in the answer (RFC 9207 section 2)", func(g *Grant) string {
	if len(g.Answer("iss")) == 0 && len(g.Answer("response")) == 0 {
		return "there is none: " + g.Describe()
	}
	return ""
})

func namesTheRightIssuer(t *T) {
	issuer := t.AS.Server().Metadata.String("issuer")
	Each(t, Cases[[]Edit]{
		{"the answer with the code", nil},
		{"an error", []Edit{With("response_type", "mcpauth_bogus")}},
		{"a request with an iss of its own", []Edit{With("iss", "https://attacker.example")}},
	}, func(t *T, edits []Edit) {
		g := answered(t, edits...)
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
	Each(t, Cases[[]Edit]{
		{"a code", nil},
		{"a denial", []Edit{Denying()}},
		{"an unknown response_type", []Edit{With("response_type", "mcpauth_bogus")}},
		{"no code_challenge", []Edit{Without("code_challenge")}},
		{"prompt=none", []Edit{With("prompt", "none")}},
	}, func(t *T, edits []Edit) { t.Expect(answered(t, edits...)).To(carryIss) })
}
