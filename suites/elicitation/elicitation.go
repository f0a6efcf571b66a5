// Package elicitation holds the checks on what a server asks of its users through the client.
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

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// Register registers the area.
func Register() {
	Describe("MCP Elicitation: form mode", forms)
	Describe("MCP Elicitation: URL mode", urls)
}

// credential matches what names a secret; token alone may be a word of the trade.
var (
	credential = regexp.MustCompile(`(?i)pass(?:word|phrase|code)|api[ _-]?key|(?:access|refresh|bearer|auth\w*|session|api|bot|personal|git\w+|slack|oauth)[ _-]?tokens?\b|client[ _-]?secret|\bsecret\b|private[ _-]?key|card[ _-]?number|\bCVV2?\b|(?-i:\bPIN\b)`)
	mayBe      = regexp.MustCompile(`(?i)\btoken\b`)
)

func forms() {
	// "Servers MUST NOT use form mode elicitation to request sensitive information."
	Must("RS-ELICIT-NO-SECRETS-IN-FORM", func(t *T) {
		token, seen := t.MCP.FirstToken(), false
		for about, capabilities := range Sorted(map[string]map[string]any{"a client with forms and URLs": FormAndURL, "a client with forms only": FormOnly}) {
			for _, e := range t.MCP.Elicited(token, capabilities) {
				seen = true
				if e.URL != "" {
					continue
				}
				if said := credential.FindString(asked(e)); said != "" {
					t.Finding(e.Exchange, e.Tool.Name+", "+about, "no credential in a form", "it asks for "+strings.ToLower(said))
				} else if mayBe.MatchString(asked(e)) {
					t.Advise(e.Exchange, "no credential in a form", "%s, %s: it speaks of a token", e.Tool.Name, about)
				}
			}
		}
		if !seen {
			t.NotApplicable("no declared tool asks the user for anything")
		}
		t.Controlled()
		t.Refused()
	})
}

// asked is all that a form says to the user.
func asked(e Elicitation) string {
	out := []string{e.Message}
	properties := e.Schema.Object("properties")
	for _, name := range properties.Names() {
		p := properties.Object(name)
		out = append(out, strings.ReplaceAll(name, "_", " "), p.String("title"), p.String("description"))
	}
	return strings.Join(out, "\n")
}

func urls() {
	Must("RS-ELICIT-URL-SAFE", func(t *T) {
		token := t.MCP.FirstToken()
		for _, e := range linking(t, token) {
			u, err := url.Parse(e.URL)
			if err != nil {
				t.Finding(e.Exchange, e.Tool.Name, "a URL", err.Error())
				continue
			}
			for name := range Sorted(u.Query()) {
				if slices.Contains(doubtful, strings.ToLower(name)) {
					t.Note("the URL has the parameter %s, which is taken for a random name", name)
				}
			}
			for _, leak := range leaks(t, u, token) {
				t.Finding(e.Exchange, e.Tool.Name, "nothing of the user and no credential in the URL", leak)
			}
			if u.Scheme != "https" && !document.LoopbackHost(u.Hostname()) {
				t.Advise(e.Exchange, "https", "%s", u.Scheme)
			}
			page := t.Get(e.URL, mcp.Field("Accept", "text/html"))
			if name := userName(t); name != "" && expect.Status(page) == 200 && mentions(expect.Body(page), name) {
				t.Finding(page, e.Tool.Name, "a page that knows nobody until somebody signs in", "it shows "+name)
			}
			t.Refused()
		}
	})

	// "The server MUST verify the identity of the user who opens the URL."
	Must("RS-ELICIT-URL-USER-BOUND", func(t *T) {
		token := t.AS.MustGetTokens().Access
		for about, user := range Sorted(map[string]int{"another user": 1, "nobody": -1}) {
			e := linking(t, token)[0]
			visited := t.Pages.Visit(e.URL, user)
			if ex := linked(t, token, e.Tool); ex != nil {
				t.Finding(ex, about+" opens the URL, and goes on as far as it leads", "the first user not to be linked by it", "the tool runs then: "+expect.Describe(ex))
				return
			}
			t.RefusedBy(visited.Exchange)
		}
		e := linking(t, token)[0]
		if out := t.Pages.Visit(e.URL, 0); out.Stage == login.NeedsScript || linked(t, token, e.Tool) == nil {
			t.Inconclusive("the control failed: the user who was asked opens the URL, and %s asks again afterwards (%s)", e.Tool.Name, out.Why)
		}
		t.Controlled()
	})

	Must("RS-ELICIT-NOT-MCP-AUTH", func(t *T) {
		t.MCP.Anonymous()
		for _, tool := range t.MCP.Eliciting() {
			ex := anonymously(t, tool)
			if asked := Elicitations(tool, ex); len(asked) > 0 {
				t.Finding(ex, tool.Name+" without a token", "HTTP 401 with a challenge", "the user is asked by elicitation")
				continue
			}
			if expect.Ran(ex) && !t.MCP.Public("tools/call") {
				continue // RS-CHALLENGE-EVERY-METHOD
			}
			t.RefusedBy(ex)
		}
	})
}

// anonymously calls a tool without a token: on the stateful wire in a session that a token has opened, if there is one.
func anonymously(t *T, tool Tool) *reports.Exchange {
	if t.Wire == mcp.Stateful && t.MCP.HasToken() {
		if call, refused := t.MCP.CapableSession(FormAndURL, t.MCP.BearerField()); refused == nil {
			return t.MCP.CallInto(call.Method("tools/call", tool.Params()))
		}
	}
	return t.MCP.CallCapably(tool, FormAndURL)
}

// linking are the URL mode elicitations of the declared tools.
func linking(t *T, token string) []Elicitation {
	out := slices.DeleteFunc(t.MCP.Elicited(token, FormAndURL), func(e Elicitation) bool { return e.URL == "" })
	if len(out) == 0 {
		t.NotApplicable("no declared tool sends its user to a URL")
	}
	t.Controlled()
	for _, e := range out {
		t.Hide(e.URL)
	}
	return out
}

// linked is the answer of a tool that asks for nothing any more; nil where it still asks.
func linked(t *T, token string, tool Tool) *reports.Exchange {
	ex := t.MCP.CallCapably(tool, FormAndURL, mcp.Bearer(token))
	if expect.Ran(ex) && len(Elicitations(tool, ex)) == 0 {
		return ex
	}
	return nil
}

// sensitive are names of parameters that carry credentials or people, doubtful those that may as well hold a random name of
// the request itself.
var (
	sensitive = []string{"access_token", "id_token", "refresh_token", "api_key", "apikey", "password", "jwt", "email"}
	doubtful  = []string{"token", "key", "code", "session", "sessionid", "session_id", "username", "user", "user_id"}
)

// leaks are what a URL should not hold.
func leaks(t *T, u *url.URL, token string) []string {
	var out []string
	for name, values := range Sorted(u.Query()) {
		if slices.Contains(sensitive, strings.ToLower(name)) && values[0] != "" {
			out = append(out, "the parameter "+name)
		}
		if parts := strings.Split(values[0], "."); len(parts) == 3 && strings.HasPrefix(parts[0], "eyJ") {
			out = append(out, "a JWT in "+name)
		}
		if strings.Contains(values[0], "@") {
			out = append(out, "an e-mail address in "+name)
		}
	}
	if token != "" && strings.Contains(u.String(), token) {
		out = append(out, "the access token")
	}
	if name := userName(t); name != "" && mentions(u.String(), name) {
		out = append(out, "the user's name")
	}
	return out
}

// userName is the first user's, where somebody signs in.
func userName(t *T) string {
	if t.Session == nil || t.Session.UserCount() == 0 {
		return ""
	}
	return t.Session.Identity(0).User.Name
}

// mentions reports that a name stands in a text as a word.
func mentions(text, name string) bool {
	found, err := regexp.MatchString(`(?i)\b`+regexp.QuoteMeta(name)+`\b`, text)
	return err == nil && found
}
