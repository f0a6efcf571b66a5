package main

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/mcpauth/conformance/suites"
)

// recipeSchema is the JSON Schema of a login recipe.
//
//go:embed recipe.schema.json
var recipeSchema []byte

// recipeFile says what to do on login pages that cannot be understood by themselves.
type recipeFile struct {
	Version int `yaml:"version"`
	Pages   []struct {
		Match   string       `yaml:"match"`
		Text    string       `yaml:"text"`
		Steps   []recipeStep `yaml:"steps"`
		Approve []recipeStep `yaml:"approve"`
		Deny    []recipeStep `yaml:"deny"`
	} `yaml:"pages"`
}

type recipeStep struct {
	Fill     string `yaml:"fill"`
	With     string `yaml:"with"`
	Text     string `yaml:"text"`
	Click    string `yaml:"click"`
	Wait     string `yaml:"wait"`
	Optional bool   `yaml:"optional"`
}

// readRecipe reads a login recipe. The error names every mistake with file, line and column.
func readRecipe(path string) (*suites.Recipe, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var root yaml.Node
	if err := yaml.Unmarshal(b, &root); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(root.Content) == 0 {
		return nil, fmt.Errorf("%s: the file is empty", path)
	}
	p, n := &problems{path: path}, root.Content[0]
	unknownKeys(p, n, reflect.TypeFor[recipeFile]())
	if len(p.all) > 0 {
		return nil, errors.Join(p.all...)
	}
	var f recipeFile
	if err := n.Decode(&f); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if f.Version != 1 {
		p.add(n, "version %d: want version: 1", f.Version)
	}
	if len(f.Pages) == 0 {
		p.add(n, "pages is missing: a recipe names at least one page")
	}
	out := &suites.Recipe{File: path}
	for i, page := range f.Pages {
		at := at(n, "pages", i)
		switch consent := len(page.Approve)+len(page.Deny) > 0; {
		case page.Match == "":
			p.add(at, "pages: match is missing: a glob of the page's address, such as https://idp.example.com/login*")
		case consent && len(page.Steps) > 0:
			p.add(at, "pages: %s: give steps, or approve and deny, not both", page.Match)
		case !consent && len(page.Steps) == 0:
			p.add(at, "pages: %s: nothing is done there: give steps, or approve and deny", page.Match)
		case consent && len(page.Approve) == 0:
			p.add(at, "pages: %s: approve is missing", page.Match)
		}
		out.Pages = append(out.Pages, suites.RecipePage{
			Match: page.Match, Text: page.Text, Line: at.Line,
			Steps: steps(p, at, "steps", page.Steps), Approve: steps(p, at, "approve", page.Approve), Deny: steps(p, at, "deny", page.Deny),
		})
	}
	return out, errors.Join(p.all...)
}

// steps reads the list of steps under a key of a page.
func steps(p *problems, page *yaml.Node, key string, list []recipeStep) []suites.Step {
	var out []suites.Step
	for i, s := range list {
		at := at(page, key, i)
		given := 0
		for _, selector := range []string{s.Fill, s.Click, s.Wait} {
			if selector != "" {
				given++
			}
		}
		switch {
		case given != 1:
			p.add(at, "%s: a step has one of fill, click and wait, which is a CSS selector", key)
		case s.Fill == "" && (s.With != "" || s.Text != ""):
			p.add(at, "%s: with and text belong to fill", key)
		case s.Fill != "" && (s.With == "") == (s.Text == ""):
			p.add(at, "%s: fill %s: give with (username, password or one-time-code), or text", key, s.Fill)
		case !slices.Contains([]string{"", "username", "password", "one-time-code"}, s.With):
			p.add(at, "%s: with %q: want username, password or one-time-code", key, s.With)
		}
		out = append(out, suites.Step{Fill: s.Fill, Click: s.Click, Wait: s.Wait, With: s.With, Text: s.Text, Optional: s.Optional, Line: at.Line})
	}
	return out
}
