package consent

import (
	"strings"

	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/login"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func withdrawn() {
	Practice("AS-CONSENT-REVOCABLE", func(t *T) {
		t.AS.RefreshMustWork()
		c := t.AS.MustRegister(nil)
		tokens := t.AS.MustGetTokens(As(c))
		if tokens.Refresh == "" {
			t.NotApplicable("the authorization server issues no refresh token")
		}
		jar := t.Session.Identity(0).Borrow(t.Context())
		defer t.Session.Identity(0).Return(jar)
		out := t.Pages.Browse(t.GrantsPage, jar)
		form, ok := formOf(out.Page(), c.ID)
		if !ok {
			t.Inconclusive("%s, as the first user sees it, has no form that names the client %s (%s)", t.GrantsPage, c.ID, out.Why)
		}
		values := form.Values()
		if len(form.Buttons) > 0 && form.Buttons[0].Name != "" {
			values.Add(form.Buttons[0].Name, form.Buttons[0].Value)
		}
		t.Pages.Click(login.Submission(out.Page(), form, values), jar)
		if again := t.Pages.Browse(t.GrantsPage, jar); again.Page() != nil {
			if _, still := formOf(again.Page(), c.ID); still {
				t.Inconclusive("the client is still on the page after its form was sent")
			}
		}
		t.Controlled()
		if ex := t.AS.Refresh(tokens); t.AS.Tokens(ex, c) != nil {
			t.Unmet(ex, "a refusal of the refresh token after the user removed the client", "a new token is issued")
			return
		} else {
			t.RefusedWith(ex, "a refresh after the user removed the client", "invalid_grant")
		}
		if ex, dead := t.MCP.UntilRefused(tokens.Access); !dead && t.MCP.Served(ex) {
			t.Note("the access token lives on, as one that contains its own claims may until it expires")
		}
		if g := t.AS.Authorize(As(c), Leaving()); g.Code() != "" {
			t.Advise(g.Exchange, "to be asked again about a client that was removed", "%s", g.Describe())
		} else if expect.Crashed(g.Exchange) {
			t.RefusedBy(g.Exchange)
		}
	})
}

// formOf is the form on a page that names a client.
func formOf(p *login.Page, id string) (*login.Form, bool) {
	if p == nil {
		return nil, false
	}
	for i := range p.Forms {
		f := &p.Forms[i]
		for _, v := range f.Values() {
			if v.Value == id {
				return f, true
			}
		}
		if strings.Contains(f.Action, id) {
			return f, true
		}
	}
	return nil, false
}
