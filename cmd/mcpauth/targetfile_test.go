package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/mcpauth/conformance/suites"
)

const wholeTarget = `version: 1
target:
  url: https://mcp.example.com/mcp
  revisions: [2025-11-25]
  headers: {X-Gateway: {env: GATEWAY_KEY}}
  origins: ["https://app.example.com"]
  other_resource: https://mcp.example.com/other
login:
  driver: form
  users:
    - {username: alice, password: {env: ALICE_PASSWORD}, totp: {env: ALICE_TOTP}}
    - {username: bob, password: {file: bob.txt}}
client:
  registration: pre-registered
  clients:
    - {id: robot, key: {file: bob.txt}, key_id: k1, machine: true, scopes: [read]}
    - {id: demo, secret: {env: DEMO_SECRET}, auth_method: client_secret_post, redirect_uri: "http://127.0.0.1:8765/callback"}
scopes: {request: [read], implies: {"notes:admin": ["notes:read"]}}
tools:
  - {name: read_note, scope: "notes:read", arguments: {id: 1}}
  - {name: admin_reset, scope: "notes:admin", call: denied-only}
  - {name: whoami, tells: caller}
  - {name: write_note, scope: "notes:write", arguments: {text: "{marker}"}, effect: read_note, private: "a note"}
  - {name: weather, upstream: true}
credentials:
  - {kind: bearer, name: github, value: {env: READ_TOKEN}, foreign: true}
  - {kind: bearer, name: reader, value: {env: READ_TOKEN}, scopes: ["notes:read"], user: reader}
  - {kind: api-key, value: {env: READ_TOKEN}, tools: ["read_*"]}
  - {kind: api-key, header: X-Old, value: {env: READ_TOKEN}, withdrawn: true}
fake_idp: {listen: "127.0.0.1:9400", issuer: "http://127.0.0.1:9400", audience: "https://mcp.example.com/mcp"}
introspection: {listen: "127.0.0.1:9401"}
shared_secret: {value: {env: DEMO_SECRET}, issuer: "https://as.example.com", audience: "https://mcp.example.com/mcp"}
upstream_api: {listen: "127.0.0.1:9403"}
upstream: {listen: "127.0.0.1:9402", issuer: "http://127.0.0.1:9402", client_id: mcp, client_secret: {env: DEMO_SECRET}, redirect_uri: "https://mcp.example.com/callback"}
limits: {intrusive: false, rate: 20, concurrency: 4, requests: 1000}
`

func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

func TestTargetFile(t *testing.T) {
	for _, name := range []string{"GATEWAY_KEY", "ALICE_PASSWORD", "ALICE_TOTP", "DEMO_SECRET", "READ_TOKEN"} {
		t.Setenv(name, "value-of-"+name)
	}
	path := write(t, "target.yaml", wholeTarget)
	require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(path), "bob.txt"), []byte("bobs password\n"), 0o600))
	target, err := readTarget(path)
	require.NoError(t, err)
	var cfg suites.Config
	require.NoError(t, target.apply(path, &cfg))
	assert.Equal(t, "https://mcp.example.com/mcp", cfg.URL)
	assert.Equal(t, []string{"2025-11-25"}, cfg.Revisions)
	assert.Equal(t, []suites.User{{Name: "alice", Password: "value-of-ALICE_PASSWORD", OneTime: "value-of-ALICE_TOTP"}, {Name: "bob", Password: "bobs password"}}, cfg.Users)
	assert.Equal(t, "client_secret_post", cfg.Clients[1].Method)
	assert.Equal(t, suites.Client{ID: "robot", Method: "private_key_jwt", Key: "bobs password", KeyID: "k1", Machine: true, Scopes: []string{"read"}}, cfg.Clients[0])
	assert.Equal(t, []suites.Credential{
		{Name: "github", Value: "value-of-READ_TOKEN", Foreign: true},
		{Name: "reader", Value: "value-of-READ_TOKEN", User: "reader", Tools: []string{"read_note", "whoami", "weather"}},
		{Name: "credentials[2]", Header: "X-API-Key", Value: "value-of-READ_TOKEN", Tools: []string{"read_*"}},
		{Name: "credentials[3]", Header: "X-Old", Value: "value-of-READ_TOKEN", Withdrawn: true},
	}, cfg.Credentials)
	assert.Empty(t, cfg.Token, "the login gives the token")
	assert.Equal(t, []suites.Tool{{Name: "read_note", Scope: "notes:read", Arguments: map[string]any{"id": 1}}, {Name: "admin_reset", Scope: "notes:admin", DeniedOnly: true}, {Name: "whoami", TellsCaller: true},
		{Name: "write_note", Scope: "notes:write", Arguments: map[string]any{"text": "{marker}"}, Effect: "read_note", Private: "a note"}, {Name: "weather", Upstream: true}}, cfg.Tools)
	assert.Equal(t, map[string][]string{"notes:admin": {"notes:read"}}, cfg.Implies)
	assert.False(t, *cfg.Register)
	assert.False(t, *cfg.AllowIntrusive)
	assert.Equal(t, 1000, cfg.MaxRequests)
	assert.Equal(t, suites.SharedSecret{Value: "value-of-DEMO_SECRET", Issuer: "https://as.example.com", Audience: "https://mcp.example.com/mcp"}, cfg.SharedSecret)
}

func TestAStaticTokenIsTheValidTokenWhereNobodySignsIn(t *testing.T) {
	t.Setenv("READ_TOKEN", "the-token")
	path := write(t, "target.yaml", "version: 1\ntarget: {url: x}\ncredentials:\n  - {kind: bearer, value: {env: READ_TOKEN}, withdrawn: true}\n  - {kind: bearer, value: {env: READ_TOKEN}}\n")
	target, err := readTarget(path)
	require.NoError(t, err)
	var cfg suites.Config
	require.NoError(t, target.apply(path, &cfg))
	assert.Equal(t, "the-token", cfg.Token)
}

func TestTargetFileSaysEverythingThatIsWrongAtOnce(t *testing.T) {
	path := write(t, "target.yaml", "version: 1\ntarget:\n  urll: https://x/\nlogin:\n  users:\n    - {username: alice, password: hunter2}\ntool: []\n")
	_, err := readTarget(path)
	require.Error(t, err)
	for _, want := range []string{`target.yaml:3:3: unknown key "urll"; did you mean url?`, "target.yaml:6:35: a secret is named, never written down", `target.yaml:7:1: unknown key "tool"; did you mean tools?`} {
		assert.ErrorContains(t, err, want)
	}
	assert.NotContains(t, err.Error(), "hunter2")
	for content, want := range map[string]string{
		"":                             "empty",
		"version: 2\ntarget: {url: x}": "want version: 1",
		"version: 1\ntarget: {}":       "target.url is missing",
		"version: 1\ntarget: {url: x}\nlogin: {driver: telepathy}":                 "login.driver",
		"version: 1\ntarget: {url: x}\ncredentials:\n  - {kind: cookie}":           "target.yaml:4:5: credentials: kind \"cookie\"",
		"version: 1\ntarget: {url: x}\ncredentials:\n  - {kind: api-key}":          "target.yaml:4:5: credentials: value is missing",
		"version: 1\ntarget: {url: x}\ncredentials: [{kind: bearer, header: X-A}]": "use kind: api-key",
		"version: 1\ntarget: {url: x}\ntools: [{name: a, tells: all}]":             "want caller",
		"version: [": "target.yaml",
	} {
		_, err := readTarget(write(t, "target.yaml", content))
		assert.ErrorContains(t, err, want, content)
	}
	target, err := readTarget(write(t, "target.yaml", "version: 1\ntarget: {url: x, headers: {A: {env: NOT_SET_ANYWHERE}}}"))
	require.NoError(t, err)
	assert.ErrorContains(t, target.apply("target.yaml", &suites.Config{}), "NOT_SET_ANYWHERE is not set")
}

func TestTargetSchemaAgreesWithTheReader(t *testing.T) {
	schema, err := jsonschema.UnmarshalJSON(strings.NewReader(string(targetSchema)))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	require.NoError(t, c.AddResource("target.json", schema))
	compiled, err := c.Compile("target.json")
	require.NoError(t, err)
	var v any
	require.NoError(t, yaml.Unmarshal([]byte(strings.Replace(wholeTarget, "[2025-11-25]", `["2025-11-25"]`, 1)), &v))
	b, err := json.Marshal(v)
	require.NoError(t, err)
	instance, err := jsonschema.UnmarshalJSON(strings.NewReader(string(b)))
	require.NoError(t, err)
	assert.NoError(t, compiled.Validate(instance))
	bad, err := jsonschema.UnmarshalJSON(strings.NewReader(`{"version":1,"target":{"urll":"x"}}`))
	require.NoError(t, err)
	assert.Error(t, compiled.Validate(bad))
}
