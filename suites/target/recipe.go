package target

import (
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/mcpauth/conformance/suites/target/strict"
)

// Recipe says what to do on login pages that mcpauth does not recognize. Only a browser follows it.
type Recipe struct {
	// File is the file of the recipe, for errors.
	File string `yaml:"-"`
	// Pages are the pages of the login.
	Pages []RecipePage `yaml:"pages"`
}

// RecipePage says what to do on one page: Steps, or Approve and Deny.
type RecipePage struct {
	// Match is a glob of the page's URL without its query; * is anything between two slashes, ** anything.
	Match string `yaml:"match"`
	// Text, if set, has to be on the page too.
	Text string `yaml:"text"`
	// Steps are the actions on a page where the user signs in.
	Steps []Step `yaml:"steps"`
	// Approve is the element that approves, on a consent page.
	Approve []Step `yaml:"approve"`
	// Deny is the element that denies, on a consent page.
	Deny []Step `yaml:"deny"`
	// Line is the line in the file.
	Line int `yaml:"-"`
}

// Step is one action of a user. Exactly one of Fill, Click and Wait is set, to a CSS selector.
type Step struct {
	// Fill is the field to fill in.
	Fill string `yaml:"fill"`
	// Click is the element to click.
	Click string `yaml:"click"`
	// Wait is the element that must be on the page before the next step.
	Wait string `yaml:"wait"`
	// With is the value to fill in: username, password, or one-time-code.
	With string `yaml:"with"`
	// Text is the text to fill in, instead of With.
	Text string `yaml:"text"`
	// Optional skips the step if nothing matches its selector within a few seconds.
	Optional bool `yaml:"optional"`
	// Line is the line in the file.
	Line int `yaml:"-"`
}

// The values that a step may fill in.
const (
	WithUsername    = "username"
	WithPassword    = "password"
	WithOneTimeCode = "one-time-code"
)

// AsksForUser reports whether the page is where a user signs in.
func (p *RecipePage) AsksForUser() bool {
	return slices.ContainsFunc(p.Steps, func(s Step) bool {
		return s.With == WithUsername || s.With == WithPassword || s.With == WithOneTimeCode
	})
}

// LoadRecipe reads a login recipe. The error joins a Problem for each mistake, with file, line and column.
func LoadRecipe(path string) (*Recipe, error) {
	r := &strict.Reader{Path: path}
	var f struct {
		Version int `yaml:"version"`
		Recipe  `yaml:",inline"`
	}
	n, err := r.Decode(&f)
	if err != nil {
		return nil, err
	}
	if f.Version != 1 {
		r.Add(n, "version %d: want version: 1", f.Version)
	}
	if len(f.Pages) == 0 {
		r.Add(n, "pages is missing: a recipe names at least one page")
	}
	out := f.Recipe
	out.File = path
	for i := range out.Pages {
		out.Pages[i].check(r, strict.Child(n, "pages", i))
	}
	return &out, r.Err()
}

// check validates a page, and notes its line.
func (p *RecipePage) check(r *strict.Reader, at *yaml.Node) {
	p.Line = at.Line
	switch consent := len(p.Approve)+len(p.Deny) > 0; {
	case p.Match == "":
		r.Add(at, "pages: match is missing: a glob of the page's address, such as https://idp.example.com/login*")
	case consent && len(p.Steps) > 0:
		r.Add(at, "pages: %s: give steps, or approve and deny, not both", p.Match)
	case !consent && len(p.Steps) == 0:
		r.Add(at, "pages: %s: nothing is done there: give steps, or approve and deny", p.Match)
	case consent && len(p.Approve) == 0:
		r.Add(at, "pages: %s: approve is missing", p.Match)
	}
	for key, steps := range map[string][]Step{"steps": p.Steps, "approve": p.Approve, "deny": p.Deny} {
		for i := range steps {
			steps[i].check(r, key, strict.Child(at, key, i))
		}
	}
}

func (s *Step) check(r *strict.Reader, key string, at *yaml.Node) {
	s.Line = at.Line
	given := 0
	for _, selector := range []string{s.Fill, s.Click, s.Wait} {
		if selector != "" {
			given++
		}
	}
	switch {
	case given != 1:
		r.Add(at, "%s: a step has one of fill, click and wait, which is a CSS selector", key)
	case s.Fill == "" && (s.With != "" || s.Text != ""):
		r.Add(at, "%s: with and text belong to fill", key)
	case s.Fill != "" && (s.With == "") == (s.Text == ""):
		r.Add(at, "%s: fill %s: give with (username, password or one-time-code), or text", key, s.Fill)
	case !slices.Contains([]string{"", WithUsername, WithPassword, WithOneTimeCode}, s.With):
		r.Add(at, "%s: with %q: want username, password or one-time-code", key, s.With)
	}
}
