package elicitation

import (
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/login"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/survey"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func urls() {
	Must("RS-ELICIT-URL-SAFE", sendsSafeURLs)
	Must("RS-ELICIT-URL-USER-BOUND", bindsURLsToUsers)
	Must("RS-ELICIT-NOT-MCP-AUTH", asksNoStrangers)
}

func sendsSafeURLs(t *T) {
	token, name := t.MCP.FirstToken(), userName(t)
	if slices.Contains(commonNames, strings.ToLower(name)) {
		t.Note("the user's name, %s, is a common word, so it is not looked for", name)
		name = ""
	}
	Each(t, linkingRows(t, token), func(t *T, e Elicitation) {
		u, err := url.Parse(e.URL)
		if err != nil {
			t.Expect(err.Error()).SeenIn(e.Exchange).To(beURL)
			return
		}
		l := link{u, token, name}
		t.Expect(l).SeenIn(e.Exchange).To(holdNoCredential, nameNobody)
		t.Expect(l).SeenIn(e.Exchange).Ideally(beHTTPS, identifyNobody)
		page := t.Get(e.URL, mcp.Field("Accept", "text/html"))
		t.Expect(page, "the page").To(knowNobody(name))
	})
}

// link is a URL to which the tool sends a user, with the texts that it must not contain.
type link struct {
	*url.URL
	token, name string
}

var beURL = expect.That("a URL", func(err string) string { return err })

var holdNoCredential = expect.That("no credential in the URL", func(l link) string {
	if l.token != "" && strings.Contains(l.String(), l.token) {
		return "the URL has the access token"
	}
	if _, has := l.User.Password(); has {
		return "the URL has a password before its host"
	}
	for _, p := range l.parts() {
		if p.Value != "" && slices.Contains(sensitive, strings.ToLower(p.Name)) {
			return "the URL has the parameter " + p.Name
		}
		if l.token != "" && strings.Contains(p.Value, l.token) {
			return "the access token is in " + p.Name
		}
	}
	return ""
})

// parts are the parameters of a URL, in its query and its fragment, and the segments of its path.
func (l link) parts() (out Cases[string]) {
	fragment, _ := url.ParseQuery(l.Fragment) // what cannot be read has no parameters
	for _, parameters := range []url.Values{l.Query(), fragment} {
		for name, values := range Sorted(parameters) {
			for _, v := range values {
				out = out.And(name, v)
			}
		}
	}
	for segment := range strings.SplitSeq(l.Path, "/") {
		out = out.And("the path", segment)
	}
	return out
}

var nameNobody = expect.That("nothing of the user in the URL", func(l link) string {
	for _, p := range l.parts() {
		if mail.MatchString(p.Value) {
			return "an e-mail address is in " + p.Name
		}
		if _, claims := oauth.Claims(p.Value); claims != nil {
			for _, said := range []string{"email", "name", "preferred_username"} {
				if claims.String(said) != "" {
					return "a JWT with the claim " + said + " is in " + p.Name
				}
			}
		}
	}
	if l.name != "" && mentions(l.String(), l.name) {
		return "the URL has the name of the user"
	}
	return ""
})

var identifyNobody = expect.That("nothing but a random identifier of the request in the URL", func(l link) string {
	for _, p := range l.parts() {
		if _, claims := oauth.Claims(p.Value); claims != nil && claims.String("sub") != "" {
			return "a JWT with the claim sub is in " + p.Name
		}
	}
	return ""
})

var beHTTPS = expect.That("an https URL", func(l link) string {
	if l.Scheme == "https" || document.LoopbackHost(l.Hostname()) {
		return ""
	}
	return "the scheme is " + l.Scheme
})

// sensitive are names of parameters that carry credentials. Others, such as token, key, code or session, may be random names of the
// request itself.
var sensitive = []string{"access_token", "id_token", "refresh_token", "api_key", "apikey", "password"}

var mail = regexp.MustCompile(`(?i)^[^\s@/:]+@[^\s@/:]+\.[a-z]+$`)

// commonNames are user names that are also ordinary words on pages.
var commonNames = []string{"account", "admin", "demo", "guest", "me", "member", "owner", "root", "test", "user"}

var knowNobody = expect.Family("knowNobody", func(name string) expect.Matcher {
	return expect.Show("a page that names no user until a user signs in", func(ex *reports.Exchange) string {
		if name == "" || expect.Status(ex) != 200 || !mentions(expect.Body(ex), name) {
			return ""
		}
		return "the page shows the name " + name
	})
})

// "The server MUST verify the identity of the user who opens the URL." Others open the URLs of all tools first: once the user who was asked
// has opened one, the other tools may no longer ask.
func bindsURLsToUsers(t *T) {
	token := t.AS.MustGetTokens().Access
	var tools []Tool
	for _, e := range linking(t, token) {
		if !slices.ContainsFunc(tools, func(tool Tool) bool { return tool.Name == e.Tool.Name }) {
			tools = append(tools, e.Tool)
		}
	}
	for _, tool := range tools {
		Each(t, Cases[int]{
			{"another user opens the URL of " + tool.Name, 1},
			{"no user who signs in opens the URL of " + tool.Name, -1},
		}, func(t *T, user int) { bindsURL(t, token, tool, user) })
	}
	for _, tool := range tools {
		if !FoundAny(t) { // otherwise an account is linked, so the tool may no longer ask
			linksForItsUser(t, token, tool)
		}
	}
}

func bindsURL(t *T, token string, tool Tool, user int) {
	address, ran := asked(t, token, tool)
	if ran != nil {
		t.NotApplicable("%s no longer asks: an account is linked", tool.Name)
	}
	visited := t.Pages.Visit(address, user)
	if ex := linked(t, token, tool); ex != nil {
		t.Expect(ex, "and follows it to the end").To(notRunYet)
		return
	}
	t.Expect(visited.Exchange).To(linkNothing)
}

// linksForItsUser is the control: the user who was asked can link the account. Where that shows nothing, the tool is undecided.
func linksForItsUser(t *T, token string, tool Tool) {
	address, ran := asked(t, token, tool)
	if ran == nil {
		out := t.Pages.Visit(address, 0)
		if ran = linked(t, token, tool); out.Stage == login.NeedsScript || ran == nil {
			t.Leave(tool.Name, "this proves nothing: the user who was asked opens the URL, and the tool asks again afterwards ("+out.Why+")")
			return
		}
	}
	t.Expect(ran, "%s, after the user who was asked opened the URL,", tool.Name).AsControl(expect.Run())
}

// asked is the URL to which a tool sends its user now; or, where it no longer asks, its answer.
func asked(t *T, token string, tool Tool) (address string, ran *reports.Exchange) {
	ex := t.MCP.CallCapably(tool, FormAndURL, mcp.Bearer(token))
	all := Elicitations(tool, ex)
	for _, e := range all {
		if e.URL != "" {
			return t.Hide(e.URL), nil
		}
	}
	if !expect.Ran(ex) || len(all) > 0 {
		t.Inconclusive("%s sent its user to a URL once, and not again: %s", tool.Name, expect.Describe(ex))
	}
	return "", ex
}

// linkNothing is always met: the tool has asked again, so it has linked no account.
var linkNothing = expect.Refusing("no linked account", func(*reports.Exchange) string { return "" })

var notRunYet = expect.That("an account that another user's visit does not link", func(ex *reports.Exchange) string {
	return "after that the tool runs: " + expect.Describe(ex)
})

func asksNoStrangers(t *T) {
	t.MCP.Anonymous()
	rows := Cases[stranger]{}
	for _, tool := range t.MCP.Eliciting() {
		rows = rows.And(tool.Name+" without a token", stranger{tool, nil}).
			And(tool.Name+" with a bad token", stranger{tool, []reports.Field{mcp.Bearer(survey.BogusToken)}})
	}
	Each(t, rows, func(t *T, s stranger) {
		tool, ex := s.tool, s.call(t)
		if expect.Ran(ex) && len(Elicitations(tool, ex)) == 0 && !t.MCP.Public("tools/call") && !linkShown.MatchString(Text(ex)) {
			t.NotApplicable("it runs without a good token (RS-CHALLENGE-EVERY-RPC-METHOD)")
		}
		t.Expect(ex).To(notElicit(tool))
		t.Expect(ex).Ideally(showNoLink)
	})
}

var notElicit = expect.Family("notElicit", func(tool Tool) expect.Matcher {
	return expect.Refusing("HTTP 401 with a challenge", func(ex *reports.Exchange) string {
		if len(Elicitations(tool, ex)) == 0 {
			return ""
		}
		return "the user is asked by elicitation"
	})
})

var linkShown = regexp.MustCompile(`https?://\S+`)

var showNoLink = expect.Show("HTTP 401 with a challenge", func(ex *reports.Exchange) string {
	if expect.Status(ex) != 200 || !linkShown.MatchString(Text(ex)) {
		return ""
	}
	return "a result with a link, which may be for a login"
})

// stranger is a caller of a tool without a good token.
type stranger struct {
	tool Tool
	with []reports.Field
}

// call calls the tool: on the stateful wire in a session that a token has opened, if there is one.
func (s stranger) call(t *T) *reports.Exchange {
	if t.Wire == mcp.Stateful && t.MCP.HasToken() {
		if call, refused := t.MCP.CapableSession(FormAndURL, t.MCP.BearerField()); refused == nil {
			return t.MCP.CallInto(call.Method("tools/call", s.tool.Params()).With(s.with...))
		}
	}
	return t.MCP.CallCapably(s.tool, FormAndURL, s.with...)
}

// linking are the URL mode elicitations of the declared tools.
func linking(t *T, token string) []Elicitation {
	out := slices.DeleteFunc(t.MCP.Elicited(token, FormAndURL), func(e Elicitation) bool { return e.URL == "" })
	if len(out) == 0 {
		t.NotApplicable("no declared tool sends its user to a URL")
	}
	for _, e := range out {
		t.Hide(e.URL)
	}
	return out
}

func linkingRows(t *T, token string) (out Cases[Elicitation]) {
	for _, e := range linking(t, token) {
		out = out.And("the URL of "+e.Tool.Name, e)
	}
	return out
}

// linked is the answer of a tool that no longer asks; nil if it still asks.
func linked(t *T, token string, tool Tool) *reports.Exchange {
	ex := t.MCP.CallCapably(tool, FormAndURL, mcp.Bearer(token))
	if expect.Ran(ex) && len(Elicitations(tool, ex)) == 0 {
		return ex
	}
	return nil
}

// userName is the name of the first user, if a user signs in.
func userName(t *T) string {
	if t.Session == nil || t.Session.UserCount() == 0 {
		return ""
	}
	return t.Session.Identity(0).User.Name
}

// mentions reports that a text contains a name as a word.
func mentions(text, name string) bool {
	found, err := regexp.MatchString(`(?i)\b`+regexp.QuoteMeta(name)+`\b`, text)
	return err == nil && found
}
