package main

import (
	"cmp"
	_ "embed"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/mcpauth/conformance/fakes/idp"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites"
)

// targetSchema is the JSON Schema of a target file.
//
//go:embed target.schema.json
var targetSchema []byte

// targetFile says what a URL cannot. Secrets stand in it by reference only.
type targetFile struct {
	line    int // on which the target's URL stands
	Version int `yaml:"version"`
	Target  struct {
		URL       string            `yaml:"url"`
		Revisions []string          `yaml:"revisions"`
		Headers   map[string]secret `yaml:"headers"`
		Origins   []string          `yaml:"origins"`
		BodyLimit int               `yaml:"body_limit"`
		Other     string            `yaml:"other_resource"`
		Screening []string          `yaml:"screening"`
		Block     struct {
			After int           `yaml:"after"`
			For   time.Duration `yaml:"for"`
		} `yaml:"address_block"`
	} `yaml:"target"`
	Login struct {
		Driver string `yaml:"driver"`
		Issuer string `yaml:"issuer"`
		Recipe string `yaml:"recipe"`
		Users  []struct {
			Username string `yaml:"username"`
			Password secret `yaml:"password"`
			TOTP     secret `yaml:"totp"`

			Sacrificial bool `yaml:"sacrificial"`
		} `yaml:"users"`
		GrantsPage string `yaml:"grants_page"`
		IDToken    struct {
			URL       string `yaml:"url"`
			Parameter string `yaml:"parameter"`
		} `yaml:"id_token_callback"`
	} `yaml:"login"`
	Client struct {
		Registration string `yaml:"registration"`
		Clients      []struct {
			ID          string `yaml:"id"`
			Secret      secret `yaml:"secret"`
			AuthMethod  string `yaml:"auth_method"`
			RedirectURI string `yaml:"redirect_uri"`
			Key         secret `yaml:"key"`
			KeyID       string `yaml:"key_id"`
			Machine     bool   `yaml:"machine"`

			Scopes []string `yaml:"scopes"`
		} `yaml:"clients"`
	} `yaml:"client"`
	Scopes struct {
		Request []string            `yaml:"request"`
		Implies map[string][]string `yaml:"implies"`

		Privileged []string `yaml:"privileged"`
	} `yaml:"scopes"`
	Tools []struct {
		Name      string         `yaml:"name"`
		Scope     string         `yaml:"scope"`
		Arguments map[string]any `yaml:"arguments"`
		Call      string         `yaml:"call"`
		Tells     string         `yaml:"tells"`
		Effect    string         `yaml:"effect"`
		Private   string         `yaml:"private"`
		Upstream  bool           `yaml:"upstream"`
		Handle    string         `yaml:"handle_from"`
		Elicits   bool           `yaml:"elicits"`
		ACR       string         `yaml:"acr"`
	} `yaml:"tools"`
	Objects []struct {
		Resource  string            `yaml:"resource"`
		Prompt    string            `yaml:"prompt"`
		Arguments map[string]string `yaml:"arguments"`
		Argument  string            `yaml:"argument"`
		Value     string            `yaml:"value"`
		Private   string            `yaml:"private"`
		ChangedBy string            `yaml:"changed_by"`
	} `yaml:"objects"`
	Credentials []credential `yaml:"credentials"`
	FakeIDP     *struct {
		Listen   string `yaml:"listen"`
		Issuer   string `yaml:"issuer"`
		Audience string `yaml:"audience"`

		Algorithm string `yaml:"algorithm"`
		Key       secret `yaml:"key"`
	} `yaml:"fake_idp"`
	Rebinding *struct {
		Listen  string     `yaml:"listen"`
		Zone    string     `yaml:"zone"`
		Public  netip.Addr `yaml:"public"`
		Private netip.Addr `yaml:"private"`
		Port    string     `yaml:"port"`
	} `yaml:"rebinding"`
	SecondIDP *struct {
		Listen   string `yaml:"listen"`
		Issuer   string `yaml:"issuer"`
		Audience string `yaml:"audience"`
	} `yaml:"second_idp"`
	Verify *struct {
		Listen  string `yaml:"listen"`
		Path    string `yaml:"path"`
		Accepts string `yaml:"accepts"`
	} `yaml:"verify"`
	Enterprise *struct {
		Listen  string `yaml:"listen"`
		Issuer  string `yaml:"issuer"`
		Subject string `yaml:"subject"`
	} `yaml:"enterprise"`
	Introspection *struct {
		Listen string `yaml:"listen"`
	} `yaml:"introspection"`
	SharedSecret *struct {
		Value    secret `yaml:"value"`
		Issuer   string `yaml:"issuer"`
		Audience string `yaml:"audience"`
	} `yaml:"shared_secret"`
	API *struct {
		Listen string `yaml:"listen"`
	} `yaml:"upstream_api"`
	Upstream *struct {
		Listen       string `yaml:"listen"`
		Issuer       string `yaml:"issuer"`
		ClientID     string `yaml:"client_id"`
		ClientSecret secret `yaml:"client_secret"`
		RedirectURI  string `yaml:"redirect_uri"`
	} `yaml:"upstream"`
	Limits struct {
		Intrusive   *bool   `yaml:"intrusive"`
		Rate        float64 `yaml:"rate"`
		Concurrency int     `yaml:"concurrency"`
		Requests    int     `yaml:"requests"`
	} `yaml:"limits"`
}

// credential is a static token or an API key.
type credential struct {
	Kind      string    `yaml:"kind"`
	Name      string    `yaml:"name"`
	Header    string    `yaml:"header"`
	Value     secret    `yaml:"value"`
	User      string    `yaml:"user"`
	Tools     *[]string `yaml:"tools"`
	Scopes    *[]string `yaml:"scopes"`
	Withdrawn bool      `yaml:"withdrawn"`
	Foreign   bool      `yaml:"foreign"`
	Limit     struct {
		Requests int           `yaml:"requests"`
		Window   time.Duration `yaml:"window"`
	} `yaml:"limit"`
}

// secret is a value that is named, not written down.
type secret struct {
	Env  string `yaml:"env"`
	File string `yaml:"file"`
}

// value resolves a secret; a file's path is relative to the target file's folder.
func (s secret) value(folder string) (string, error) {
	switch {
	case s.Env != "" && s.File != "":
		return "", errors.New("names both an environment variable and a file")
	case s.Env != "":
		v := os.Getenv(s.Env)
		if v == "" {
			return "", fmt.Errorf("the environment variable %s is not set", s.Env)
		}
		return v, nil
	case s.File != "":
		b, err := os.ReadFile(filepath.Join(folder, s.File))
		return strings.TrimRight(string(b), "\r\n"), err
	}
	return "", nil
}

// problems gathers what is wrong with a file, so that all of it is said at once.
type problems struct {
	path string
	all  []error
}

func (p *problems) add(n *yaml.Node, format string, args ...any) {
	where := p.path
	if n != nil {
		where = fmt.Sprintf("%s:%d:%d", p.path, n.Line, n.Column)
	}
	p.all = append(p.all, fmt.Errorf("%s: %s", where, fmt.Sprintf(format, args...)))
}

// readTarget reads a target file. The error names every mistake with file, line and column.
func readTarget(path string) (*targetFile, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	p := &problems{path: path}
	var root yaml.Node
	if err := yaml.Unmarshal(b, &root); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(root.Content) == 0 {
		return nil, fmt.Errorf("%s: the file is empty", path)
	}
	var t targetFile
	unknownKeys(p, root.Content[0], reflect.TypeFor[targetFile]())
	if len(p.all) == 0 {
		if err := root.Content[0].Decode(&t); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		t.check(p, root.Content[0])
		t.line = child(child(root.Content[0], "target"), "url").Line
	}
	return &t, errors.Join(p.all...)
}

// unknownKeys compares the keys of a mapping with the fields of a type, all the way down.
func unknownKeys(p *problems, n *yaml.Node, t reflect.Type) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t.Kind() == reflect.Slice && n.Kind == yaml.SequenceNode:
		for _, e := range n.Content {
			unknownKeys(p, e, t.Elem())
		}
	case t.Kind() == reflect.Map && n.Kind == yaml.MappingNode:
		for i := 1; i < len(n.Content); i += 2 {
			unknownKeys(p, n.Content[i], t.Elem())
		}
	case t.Kind() == reflect.Struct && n.Kind == yaml.MappingNode:
		for i := 0; i < len(n.Content); i += 2 {
			key := n.Content[i]
			if f, ok := field(t, key.Value); ok {
				unknownKeys(p, n.Content[i+1], f.Type)
				continue
			}
			p.add(key, "unknown key %q%s", key.Value, suggestion(t, key.Value))
		}
	case t == reflect.TypeFor[secret]() && n.Kind == yaml.ScalarNode:
		p.add(n, "a secret is named, never written down: use {env: NAME} or {file: PATH}")
	}
}

func field(t reflect.Type, key string) (reflect.StructField, bool) {
	for i := range t.NumField() {
		if f := t.Field(i); f.IsExported() && yamlName(f) == key {
			return f, true
		}
	}
	return reflect.StructField{}, false
}

// yamlName is the key under which a field is written, without its options.
func yamlName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	return name
}

func suggestion(t reflect.Type, key string) string {
	var known []string
	for i := range t.NumField() {
		name := yamlName(t.Field(i))
		if !t.Field(i).IsExported() {
			continue
		}
		known = append(known, name)
		if len(key) > 2 && (strings.HasPrefix(name, key[:3]) || strings.HasPrefix(key, name)) {
			return fmt.Sprintf("; did you mean %s?", name)
		}
	}
	return "; known are " + strings.Join(known, ", ")
}

// check looks at the values.
func (t *targetFile) check(p *problems, n *yaml.Node) {
	if t.Version != 1 {
		p.add(n, "version %d: want version: 1", t.Version)
	}
	if t.Target.BodyLimit < 0 || t.Target.BodyLimit > 0 && t.Target.BodyLimit < 4096 {
		p.add(n, "target.body_limit %d: want the bytes of the largest message, at least 4096", t.Target.BodyLimit)
	}
	if t.Target.URL == "" {
		p.add(n, "target.url is missing")
	}
	if !slices.Contains([]string{"", "auto", "browser", "form", "manual"}, t.Login.Driver) {
		p.add(n, "login.driver %q: want auto, browser, form or manual", t.Login.Driver)
	}
	if !slices.Contains([]string{"", "auto", "dcr", "pre-registered"}, t.Client.Registration) {
		p.add(n, "client.registration %q: want auto, dcr or pre-registered", t.Client.Registration)
	}
	for i, c := range t.Client.Clients {
		if c.RedirectURI == "" && !c.Machine {
			p.add(at(child(n, "client"), "clients", i), "client.clients: %s: redirect_uri is missing; only a client that acts for itself (machine: true) has none", c.ID)
		}
	}
	for i, c := range t.Credentials {
		c.check(p, at(n, "credentials", i))
	}
	for i, tool := range t.Tools {
		n := at(n, "tools", i)
		if tool.Name == "" {
			p.add(n, "tools: a tool without a name")
		}
		if !slices.Contains([]string{"", "caller"}, tool.Tells) {
			p.add(n, "tools: %s: tells %q: want caller", tool.Name, tool.Tells)
		}
		if !slices.Contains([]string{"", "allowed", "denied-only"}, tool.Call) {
			p.add(n, "tools: %s: call %q: want allowed or denied-only", tool.Name, tool.Call)
		}
	}
	if s := t.SharedSecret; s != nil && (s.Value == secret{} || s.Issuer == "" || s.Audience == "") {
		p.add(n, "shared_secret needs value, issuer and audience")
	}
	if t.API != nil && t.API.Listen == "" {
		p.add(n, "upstream_api needs listen, the address at which the target's tools call")
	}
	if t.Introspection != nil && t.Introspection.Listen == "" {
		p.add(n, "introspection needs listen, the address at which the target asks about tokens")
	}
	if u := t.Upstream; u != nil && (u.Listen == "" || u.Issuer == "" || u.ClientID == "" || u.ClientSecret == secret{} || u.RedirectURI == "" || len(t.Login.Users) == 0) {
		p.add(n, "upstream needs listen, issuer, client_id, client_secret and redirect_uri, and users under login who sign in there")
	}
	if t.FakeIDP != nil && (t.FakeIDP.Listen == "" || t.FakeIDP.Issuer == "" || t.FakeIDP.Audience == "") {
		p.add(n, "fake_idp needs listen, issuer and audience")
	}
	if t.FakeIDP != nil && t.FakeIDP.Algorithm != "" && !slices.Contains(idp.Algorithms, t.FakeIDP.Algorithm) {
		p.add(child(n, "fake_idp"), "fake_idp.algorithm %q: want one of %s; for HS256 use shared_secret", t.FakeIDP.Algorithm, strings.Join(idp.Algorithms, ", "))
	}
}

// check looks at the values of a credential.
func (c *credential) check(p *problems, n *yaml.Node) {
	switch {
	case c.Kind != "bearer" && c.Kind != "api-key":
		p.add(n, "credentials: kind %q: want bearer or api-key", c.Kind)
	case c.Kind == "bearer" && c.Header != "":
		p.add(n, "credentials: a bearer token stands in Authorization; for another header use kind: api-key")
	case c.Value == secret{}:
		p.add(n, "credentials: value is missing: use {env: NAME} or {file: PATH}")
	}
	if c.Tools != nil && c.Scopes != nil {
		p.add(n, "credentials: give tools or scopes, not both")
	}
}

// at is the i-th element of the list under a key, for its line.
func at(n *yaml.Node, key string, i int) *yaml.Node {
	if list := child(n, key); i < len(list.Content) {
		return list.Content[i]
	}
	return n
}

// child is the value under a key, or the mapping itself where it has none.
func child(n *yaml.Node, key string) *yaml.Node {
	for k := 0; k+1 < len(n.Content); k += 2 {
		if n.Content[k].Value == key {
			return n.Content[k+1]
		}
	}
	return n
}

// mayCall are the tools of a credential: those it names, or those that its scopes allow. Nil means all.
func (t *targetFile) mayCall(c credential) []string {
	switch {
	case c.Tools != nil:
		return append([]string{}, *c.Tools...)
	case c.Scopes == nil:
		return nil
	}
	out := []string{}
	for _, tool := range t.Tools {
		if tool.Scope == "" || slices.Contains(*c.Scopes, tool.Scope) {
			out = append(out, tool.Name)
		}
	}
	return out
}

// apply fills the configuration; what flags have set already stays.
func (t *targetFile) apply(path string, cfg *suites.Config) error {
	p := &problems{path: path}
	folder := filepath.Dir(path)
	resolve := func(what string, s secret) string {
		v, err := s.value(folder)
		if err != nil {
			p.add(nil, "%s: %v", what, err)
		}
		return v
	}
	if cfg.URL == "" {
		cfg.URL = t.Target.URL
	}
	cfg.File, cfg.Line = path, t.line
	if cfg.Revisions == nil {
		cfg.Revisions = t.Target.Revisions
	}
	if s := t.SharedSecret; s != nil {
		cfg.SharedSecret = suites.SharedSecret{Value: resolve("shared_secret", s.Value), Issuer: s.Issuer, Audience: s.Audience}
	}
	cfg.BodyLimit, cfg.OtherResource = t.Target.BodyLimit, t.Target.Other
	cfg.Origins = append(cfg.Origins, t.Target.Origins...)
	for name, v := range t.Target.Headers {
		cfg.Header = append(cfg.Header, reports.Field{Name: name, Value: resolve("target.headers."+name, v)})
	}
	slices.SortFunc(cfg.Header, func(a, b reports.Field) int { return strings.Compare(a.Name, b.Name) })
	if t.Login.Recipe != "" && cfg.Recipe == nil {
		recipe, err := readRecipe(filepath.Join(folder, t.Login.Recipe))
		if err != nil {
			p.add(nil, "login.recipe: %v", err)
		}
		cfg.Recipe = recipe
	}
	if t.Login.Driver != "" && (cfg.Driver == "" || cfg.Driver == "auto") {
		cfg.Driver = t.Login.Driver
	}
	if len(cfg.Users) == 0 {
		for _, u := range t.Login.Users {
			cfg.Users = append(cfg.Users, suites.User{Name: u.Username, Password: resolve("login.users: "+u.Username, u.Password), OneTime: resolve("login.users: "+u.Username, u.TOTP), Sacrificial: u.Sacrificial})
		}
	}
	for _, c := range t.Client.Clients {
		client := suites.Client{ID: c.ID, Secret: resolve("client.clients: "+c.ID, c.Secret), Method: c.AuthMethod, RedirectURI: c.RedirectURI, Key: resolve("client.clients: "+c.ID, c.Key), KeyID: c.KeyID, Machine: c.Machine, Scopes: c.Scopes}
		switch {
		case client.Method != "":
		case client.Key != "":
			client.Method = "private_key_jwt"
		case client.Secret != "":
			client.Method = "client_secret_basic"
		default:
			client.Method = "none"
		}
		cfg.Clients = append(cfg.Clients, client)
	}
	if t.Client.Registration != "" && cfg.Register == nil {
		register := t.Client.Registration != "pre-registered"
		cfg.Register = &register
	}
	cfg.SignInAt = cmp.Or(cfg.SignInAt, t.Login.Issuer)
	if cfg.Scopes == nil {
		cfg.Scopes = t.Scopes.Request
	}
	if cfg.Implies == nil {
		cfg.Implies = t.Scopes.Implies
	}
	cfg.Screening, cfg.BlockAfter, cfg.BlockFor = t.Target.Screening, t.Target.Block.After, t.Target.Block.For
	cfg.GrantsPage, cfg.IDTokenCallback, cfg.IDTokenParameter = t.Login.GrantsPage, t.Login.IDToken.URL, t.Login.IDToken.Parameter
	cfg.Privileged = t.Scopes.Privileged
	for _, tool := range t.Tools {
		cfg.Tools = append(cfg.Tools, suites.Tool{Name: tool.Name, Scope: tool.Scope, Arguments: tool.Arguments, DeniedOnly: tool.Call == "denied-only", TellsCaller: tool.Tells == "caller", Effect: tool.Effect, Private: tool.Private, Upstream: tool.Upstream, HandleFrom: tool.Handle, Elicits: tool.Elicits, ACR: tool.ACR})
	}
	for _, o := range t.Objects {
		cfg.Objects = append(cfg.Objects, suites.Object{Resource: o.Resource, Prompt: o.Prompt, Arguments: o.Arguments, Argument: o.Argument, Value: o.Value, Private: o.Private, ChangedBy: o.ChangedBy})
	}
	for i, c := range t.Credentials {
		given := suites.Credential{Name: c.Name, Header: c.Header, User: c.User, Tools: t.mayCall(c), Withdrawn: c.Withdrawn, Foreign: c.Foreign, Limit: c.Limit.Requests, Window: c.Limit.Window}
		if given.Name == "" {
			given.Name = fmt.Sprintf("credentials[%d]", i)
		}
		if c.Kind == "api-key" && c.Header == "" {
			given.Header = "X-API-Key"
		}
		given.Value = resolve(given.Name, c.Value)
		cfg.Credentials = append(cfg.Credentials, given)
		if c.Kind == "bearer" && !c.Withdrawn && !c.Foreign && c.Limit.Requests == 0 && cfg.Token == "" && len(cfg.Users) == 0 { // then it is the valid token that refusals are measured against
			cfg.Token = given.Value
		}
	}
	t.limits(cfg)
	return errors.Join(p.all...)
}

func (t *targetFile) limits(cfg *suites.Config) {
	if t.Limits.Intrusive != nil && cfg.AllowIntrusive == nil {
		cfg.AllowIntrusive = t.Limits.Intrusive
	}
	if t.Limits.Rate != 0 && cfg.Rate == 0 {
		cfg.Rate = t.Limits.Rate
	}
	if t.Limits.Concurrency != 0 && cfg.Concurrency == 0 {
		cfg.Concurrency = t.Limits.Concurrency
	}
	if t.Limits.Requests != 0 {
		cfg.MaxRequests = t.Limits.Requests
	}
}
