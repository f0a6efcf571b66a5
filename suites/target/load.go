package target

import (
	_ "embed"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/mcpauth/conformance/suites/target/strict"
)

//go:generate go run ./internal/generate

// Schema is the JSON Schema of a target file.
//
//go:embed target.schema.json
var Schema []byte

// File is the content of a target file.
type File struct {
	// Version is the version of the file format: 1.
	Version int `yaml:"version" need:"yes"`
	Target  `yaml:",inline"`
}

// Load reads a target file, the secrets that it names, and its login recipe. The error joins a Problem for each mistake,
// with file, line and column. Secrets under the keys in replaced, such as login.users, need not exist, because the
// caller replaces these values.
func Load(path string, replaced ...string) (Target, error) {
	r := &strict.Reader{Path: path, Replaced: replaced}
	var f File
	n, err := r.Decode(&f)
	if err != nil {
		return Target{}, err
	}
	t := f.Target
	t.File, t.Line = path, strict.Child(n, "target", "url").Line
	if f.Version != 1 {
		r.Add(strict.Child(n, "version"), "version %d: want version: 1", f.Version)
	}
	if t.RecipeFile != "" && !slices.Contains(replaced, "login.recipe") {
		t.readRecipe(r, strict.Child(n, "login", "recipe"))
	}
	t.leaveOut(replaced)
	t.Complete()
	t.inFile(r, n)
	for _, m := range t.mistakes() {
		r.Add(strict.Child(n, m.path...), "%s", m.text)
	}
	return t, r.Err()
}

// leaveOut removes values that the caller replaces, so that they are not judged.
func (t *Target) leaveOut(replaced []string) {
	if slices.Contains(replaced, "target.client_certificate") {
		t.ClientCertificate = ClientCertificate{}
	}
	if slices.Contains(replaced, "target.url") {
		t.URL = ""
	}
}

// readRecipe reads the login recipe. Each of its mistakes is one of the target file. A relative path is relative to the target file.
func (t *Target) readRecipe(r *strict.Reader, at *yaml.Node) {
	path := t.RecipeFile
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(t.File), path)
	}
	var err error
	if t.Recipe, err = LoadRecipe(path); err != nil {
		for text := range strings.SplitSeq(err.Error(), "\n") {
			r.Add(at, "login.recipe: %s", text)
		}
	}
}

// inFile checks what is mandatory in a file, but not in a Go value.
func (t *Target) inFile(r *strict.Reader, n *yaml.Node) {
	for i, c := range t.Clients {
		if c.RedirectURI == "" && !c.Machine && !c.Introspects {
			r.Add(strict.Child(n, "client", "clients", i),
				"client.clients: %s: redirect_uri is missing; only a client that acts for itself (machine: true) or introspects (introspects: true) "+
					"has none", c.ID)
		}
	}
	for i, c := range t.Credentials {
		if at := strict.Child(n, "credentials", i); c.Kind == "bearer" && c.Header != "" {
			r.Add(at, "credentials: a bearer token is in Authorization; for another header use kind: api-key")
		} else if strict.Child(at, "tools") != at && strict.Child(at, "scopes") != at {
			r.Add(at, "credentials: give tools or scopes, not both")
		}
	}
	if t.UpstreamIDP != nil && len(t.Users) == 0 && !slices.Contains(r.Replaced, "login.users") {
		r.Add(strict.Child(n, "upstream"), "upstream needs users under login, who sign in there")
	}
}

// Complete sets the values that follow from the others, as the comments of the fields say. Load and each run do it.
func (t *Target) Complete() {
	t.Clients, t.Credentials = slices.Clone(t.Clients), slices.Clone(t.Credentials)
	for i := range t.Clients {
		t.Clients[i].Method = t.Clients[i].method()
	}
	for i := range t.Credentials {
		c := &t.Credentials[i]
		if c.Name == "" {
			c.Name = fmt.Sprintf("credentials[%d]", i)
		}
		if c.Kind == "api-key" && c.Header == "" {
			c.Header = "X-API-Key"
		}
		if c.Scopes != nil && c.Tools == nil {
			c.Tools = t.callable(c.Scopes)
		}
		bearer := c.Header == "" && !c.Withdrawn && !c.Foreign && c.Limit == 0
		if bearer && t.Token == "" && len(t.Users) == 0 {
			t.Token = c.Value
		}
	}
}

// callable returns the names of the tools for which these scopes are enough.
func (t *Target) callable(scopes []string) []string {
	out := []string{}
	for _, tool := range t.Tools {
		if tool.Permitted(scopes, func(held, needed string) bool { return held == needed }) {
			out = append(out, tool.Name)
		}
	}
	return out
}

// method returns how the client authenticates.
func (c *Client) method() string {
	switch {
	case c.Method != "":
		return c.Method
	case c.Key != "":
		return "private_key_jwt"
	case c.Secret != "":
		return "client_secret_basic"
	}
	return "none"
}
