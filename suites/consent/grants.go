package consent

import (
	"strings"

	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/login"
	"github.com/mcpauth/conformance/suites/internal/oauth"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func endsWithdrawnGrants(t *T) {
	c := t.AS.MustRegister(nil)
	tokens := t.AS.MustGetRefreshToken(As(c))
	kept := t.AS.MustGetRefreshToken() // of another client
	removeOnPage(t, c)
	ex := t.AS.Refresh(tokens)
	t.AS.Tokens(ex, c)
	t.Expect(ex, "a refresh after the user removed the client").To(expect.RefuseGrant("invalid_grant"))
	other := t.AS.Refresh(kept)
	t.AS.Tokens(other, kept.Client)
	t.Expect(other, "a refresh by another client").Ideally(expect.IssueTokens())
	if last, dead := t.MCP.UntilRefused(tokens.Access); !dead && t.MCP.Served(last) {
		t.Note("the access token stays valid, as one that contains its own claims may until it expires")
	}
	t.Expect(t.AS.MustReachDecision(t.AS.Authorize(As(c), Leaving())), "the next request of the removed client").Ideally(beAsked)
}

// removeOnPage has the first user remove a client at the page that the target file names.
func removeOnPage(t *T, c *oauth.Client) {
	jar := t.Session.Identity(0).Borrow(t.Context())
	defer t.Session.Identity(0).Return(jar)
	out := t.Pages.Browse(t.GrantsPage, jar)
	form, ok := formOf(out.Page(), c.ID)
	if !ok {
		t.Inconclusive("%s, as the first user sees it, has no form that names the client %s (%s)", t.GrantsPage, c.ID, out.Why)
	}
	values := form.Values()
	if b := removing(form); b.Name != "" {
		values.Add(b.Name, b.Value)
	}
	t.Pages.Click(login.Submission(out.Page(), form, values), jar)
	again := t.Pages.Browse(t.GrantsPage, jar)
	if _, still := formOf(again.Page(), c.ID); still {
		t.Inconclusive("the client is still on the page after its form was sent")
	}
}

// removing is the button that removes the client: one whose text says so, else the first.
func removing(f *login.Form) login.Input {
	for _, b := range f.Buttons {
		said := strings.ToLower(b.Label + " " + b.Value + " " + b.Name)
		for _, word := range []string{"revoke", "remove", "delete", "disconnect", "withdraw", "unlink"} {
			if strings.Contains(said, word) {
				return b
			}
		}
	}
	if len(f.Buttons) == 0 {
		return login.Input{}
	}
	return f.Buttons[0]
}

// formOf is the form on a page that names a client.
func formOf(p *login.Page, id string) (*login.Form, bool) {
	if p == nil {
		return nil, false
	}
	for i := range p.Forms {
		f := &p.Forms[i]
		if strings.Contains(f.Action, id) {
			return f, true
		}
		for _, v := range f.Values() {
			if v.Value == id {
				return f, true
			}
		}
	}
	return nil, false
}
