package login

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/go-rod/rod"

	"github.com/mcpauth/conformance/suites/target"
)

// Time limits for the element of a step.
const (
	forRequired = 6 * time.Second
	forOptional = 400 * time.Millisecond
)

// pageOf returns the first page of the recipe for an address and a text, or nil.
func pageOf(r *target.Recipe, address *url.URL, text string) *target.RecipePage {
	if r == nil {
		return nil
	}
	bare := address.Scheme + "://" + address.Host + address.Path
	for i := range r.Pages {
		if p := &r.Pages[i]; Matches(p.Match, bare) && strings.Contains(text, p.Text) {
			return p
		}
	}
	return nil
}

// Matches reports whether an address matches a glob: * matches anything between two slashes, and ** anything.
func Matches(glob, address string) bool {
	expression := strings.NewReplacer(`\*\*`, ".*", `\*`, "[^/]*").Replace(regexp.QuoteMeta(glob))
	ok, _ := regexp.MatchString("^"+expression+"$", address) // a quoted text is always a valid expression
	return ok
}

// follow performs the steps of a recipe's page; true means that the login is over.
func (d *drive) follow(ctx context.Context, page *rod.Page, p *Page, r *target.RecipePage) bool {
	steps := r.Steps
	switch consent := len(r.Approve) > 0 || len(r.Deny) > 0; {
	case consent && d.route.Decision == Leave:
		d.end(AtConsent, "")
		return true
	case consent && d.route.Decision == Deny:
		if steps = r.Deny; len(steps) == 0 {
			d.end(AtConsent, "%s:%d: the recipe has no steps to deny (deny)", d.Recipe.File, r.Line)
			return true
		}
	case consent:
		steps, d.out.Consented = r.Approve, true
	case r.AsksForUser() && (d.route.StopAtLogin || d.agent.User == nil):
		d.end(AtLogin, "the page %q asks for a user", p.Title)
		return true
	}
	if d.followed[r]++; d.followed[r] > 1 && r.AsksForUser() {
		d.end(Refused, "the login page came again: %q", Shorten(p.Text))
		return true
	}
	if d.followed[r] > 3 {
		d.end(Lost, "the page of %s:%d came again and again: %s", d.Recipe.File, r.Line, Shorten(p.Text))
		return true
	}
	for i := range steps {
		if err := d.take(ctx, page, &steps[i]); err != nil {
			if len(d.answer) > 0 || ctx.Err() != nil {
				return false // the page went away because the flow is over
			}
			d.end(Failed, "%s:%d: %v; the page says: %s", d.Recipe.File, steps[i].Line, err, Shorten(p.Text))
			return true
		}
		if steps[i].Fill != "" { // some pages show the filled-in value, which does not make a new page
			if s, ok := d.see(ctx, page); ok {
				d.acted[page.TargetID] = s.state()
			}
		}
	}
	d.since = time.Now()
	return false
}

// take performs one step of the recipe.
func (d *drive) take(ctx context.Context, page *rod.Page, s *target.Step) error {
	selector, patience := s.Fill+s.Click+s.Wait, forRequired
	if s.Optional {
		patience = forOptional
	}
	within, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	element, err := page.Context(within).Element(selector)
	if err != nil {
		if s.Optional {
			return nil
		}
		return fmt.Errorf("nothing on the page matches %q", selector)
	}
	element = element.Context(ctx)
	switch {
	case s.Wait != "":
		return nil
	case s.Click != "":
		_, err = element.Evaluate(rod.Eval(`function() { this.click() }`).ByUser())
		return err
	}
	value, err := d.filling(page, element, s)
	if err != nil {
		return err
	}
	_, err = element.Evaluate(rod.Eval(`function(value) {
		this.focus(); const d = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(this), 'value');
		if (d) d.set.call(this, value); else this.textContent = value;
		this.dispatchEvent(new Event('input', {bubbles: true})); this.dispatchEvent(new Event('change', {bubbles: true}));
	}`, value).ByUser())
	return err
}

// filling returns the value of a step. A secret goes only where the network cannot read it.
func (d *drive) filling(page *rod.Page, field *rod.Element, s *target.Step) (string, error) {
	if s.With == "" {
		return s.Text, nil
	}
	info, err := page.Info()
	if err != nil {
		return "", err
	}
	form, err := formOf(field, info.URL)
	if err != nil {
		return "", err
	}
	at, err := url.Parse(info.URL)
	if err != nil {
		return "", err
	}
	if why := d.agent.careless(&Page{URL: at, Title: info.Title}, form); why != "" {
		return "", errors.New(why)
	}
	d.secret = true
	d.out.SignedIn = true
	switch u := d.agent.User; s.With {
	case target.WithUsername:
		d.out.Named = true
		return u.Name, nil
	case target.WithPassword:
		d.out.Typed = true
		return u.Password, nil
	default:
		if u.OneTime == "" {
			return "", fmt.Errorf("the recipe asks for a one-time code, and the user has no authenticator here")
		}
		code, err := oneTimeCode(u.OneTime, time.Now())
		if err == nil {
			d.agent.Secrets.Add("one_time_code", "one-time-code="+code)
		}
		return code, err
	}
}

// formOf returns the form of a field with its destination; a field without a form stays on its page.
func formOf(field *rod.Element, page string) (*Form, error) {
	result, err := field.Evaluate(rod.Eval(`function() {
		const get = (e, name) => {
			const v = Element.prototype.getAttribute.call(e, name);
			try { return v ? new URL(v, document.baseURI).href : ''; } catch { return v; }
		};
		const f = this.form; if (!f) return JSON.stringify([]);
		const others = [...document.querySelectorAll('[formaction]')].filter(e => e.form === f);
		return JSON.stringify([get(f, 'action'), ...others.map(e => get(e, 'formaction'))]);
	}`))
	if err != nil {
		return nil, err
	}
	var addresses []string
	if err := json.Unmarshal([]byte(result.Value.Str()), &addresses); err != nil {
		return nil, err
	}
	f := &Form{Action: page}
	for i, address := range addresses {
		if i == 0 {
			f.Action = cmp.Or(address, page)
		} else {
			f.Buttons = append(f.Buttons, Input{Action: address})
		}
	}
	return f, nil
}
