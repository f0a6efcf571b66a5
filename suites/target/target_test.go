package target_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/mcpauth/conformance/fixtures/costs"
	"github.com/mcpauth/conformance/fixtures/requirements"
	"github.com/mcpauth/conformance/suites/target"
	"github.com/mcpauth/conformance/suites/target/internal/schema"
)

const wholeTarget = `version: 1
target:
  url: https://mcp.example.com/mcp
  revisions: [2025-11-25]
  headers: {X-Gateway: {env: GATEWAY_KEY}}
  client_certificate: {certificate: {file: client.pem}, key: {file: client.pem}}
  origins: ["https://app.example.com"]
  other_resource: https://mcp.example.com/other
  public: [initialize, tools/list]
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
upstream:
  {listen: "127.0.0.1:9402", issuer: "http://127.0.0.1:9402", client_id: mcp, client_secret: {env: DEMO_SECRET},
   redirect_uri: "https://mcp.example.com/callback"}
limits: {intrusive: false, rate: 20, concurrency: 4, requests: 1000}
`

func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// clientCertificate returns a certificate followed by its key.
func clientCertificate(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})) +
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
}

// A certificate without its key is an error in the Go API, too.
func TestAClientCertificateHasAKey(t *testing.T) {
	both := clientCertificate(t)
	whole := target.Target{Server: target.Server{ClientCertificate: target.ClientCertificate{CertificatePEM: both, CertificateKey: both}}}
	require.NoError(t, whole.Validate())
	for name, c := range map[string]target.ClientCertificate{"no key": {CertificatePEM: both}, "no certificate": {CertificateKey: both},
		"another key": {CertificatePEM: both, CertificateKey: clientCertificate(t)}} {
		half := target.Target{Server: target.Server{ClientCertificate: c}}
		assert.ErrorContains(t, half.Validate(), "the client certificate cannot be used", name)
	}
}

func TestTargetFile(t *testing.T) {
	for _, name := range []string{"GATEWAY_KEY", "ALICE_PASSWORD", "ALICE_TOTP", "DEMO_SECRET", "READ_TOKEN"} {
		t.Setenv(name, "value-of-"+name)
	}
	path := write(t, "target.yaml", wholeTarget)
	require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(path), "bob.txt"), []byte("bobs password\n"), 0o600))
	pair := clientCertificate(t)
	require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(path), "client.pem"), []byte(pair), 0o600))
	cfg, err := target.Load(path)
	require.NoError(t, err)
	assert.Equal(t, target.ClientCertificate{CertificatePEM: strings.TrimRight(pair, "\n"), CertificateKey: strings.TrimRight(pair, "\n")},
		cfg.ClientCertificate)
	assert.Equal(t, "https://mcp.example.com/mcp", cfg.URL)
	assert.Equal(t, []string{"2025-11-25"}, cfg.Revisions)
	assert.Equal(t, []target.User{{Name: "alice", Password: "value-of-ALICE_PASSWORD", OneTime: "value-of-ALICE_TOTP"},
		{Name: "bob", Password: "bobs password"}}, cfg.Users)
	assert.Equal(t, "client_secret_post", cfg.Clients[1].Method)
	assert.Equal(t, target.Client{ID: "robot", Method: "private_key_jwt", Key: "bobs password", KeyID: "k1", Machine: true,
		Scopes: []string{"read"}}, cfg.Clients[0])
	assert.Equal(t, []target.Credential{
		{Kind: "bearer", Name: "github", Value: "value-of-READ_TOKEN", Foreign: true},
		{Kind: "bearer", Name: "reader", Value: "value-of-READ_TOKEN", User: "reader", Scopes: []string{"notes:read"},
			Tools: []string{"read_note", "whoami", "weather"}},
		{Kind: "api-key", Name: "credentials[2]", Header: "X-API-Key", Value: "value-of-READ_TOKEN", Tools: []string{"read_*"}},
		{Kind: "api-key", Name: "credentials[3]", Header: "X-Old", Value: "value-of-READ_TOKEN", Withdrawn: true},
	}, cfg.Credentials)
	assert.Empty(t, cfg.Token, "the configuration has a token although it has a login")
	assert.Equal(t, []target.Tool{{Name: "read_note", Scope: "notes:read", Arguments: map[string]any{"id": 1}},
		{Name: "admin_reset", Scope: "notes:admin", DeniedOnly: true}, {Name: "whoami", TellsCaller: true},
		{Name: "write_note", Scope: "notes:write", Arguments: map[string]any{"text": "{marker}"}, Effect: "read_note", Private: "a note"},
		{Name: "weather", Upstream: true}}, cfg.Tools)
	assert.Equal(t, map[string][]string{"notes:admin": {"notes:read"}}, cfg.Implies)
	assert.False(t, *cfg.Register)
	assert.False(t, *cfg.AllowIntrusive)
	assert.Equal(t, 1000, cfg.MaxRequests)
	assert.Equal(t, target.SharedSecret{Value: "value-of-DEMO_SECRET", Issuer: "https://as.example.com",
		Audience: "https://mcp.example.com/mcp"}, cfg.SharedSecret)
}

func TestAStaticTokenIsTheValidTokenWhereNobodySignsIn(t *testing.T) {
	t.Setenv("READ_TOKEN", "the-token")
	path := write(t, "target.yaml", "version: 1\ntarget: {url: http://x}\ncredentials:\n"+
		"  - {kind: bearer, value: {env: READ_TOKEN}, withdrawn: "+
		"true}\n  - {kind: bearer, value: {env: READ_TOKEN}}\n")
	cfg, err := target.Load(path)
	require.NoError(t, err)
	assert.Equal(t, "the-token", cfg.Token)
}

func TestTargetFileSaysEverythingThatIsWrongAtOnce(t *testing.T) {
	path := write(t, "target.yaml", "version: 1\ntarget:\n  urll: https://x/\nlogin:\n  users:\n    - {username: alice, password: "+
		"hunter2}\ntool: []\n")
	_, err := target.Load(path)
	require.Error(t, err)
	for _, want := range []string{`target.yaml:3:3: unknown key "urll"; did you mean url?`,
		"target.yaml:6:35: a secret is named, never written down", `target.yaml:7:1: unknown key "tool"; did you mean tools?`} {
		assert.ErrorContains(t, err, want)
	}
	assert.NotContains(t, err.Error(), "hunter2")
	for content, want := range map[string]string{
		"":                                    "empty",
		"version: 2\ntarget: {url: http://x}": "want version: 1",
		"version: 1\ntarget: {}":              "target.url is missing",
		"version: 1\ntarget: {url: http://x}\nlogin: {driver: telepathy}": "login.driver",
		"version: 1\ntarget: {url: http://x}\ncredentials:\n  - {kind: cookie}": "target.yaml:4:12: credentials.kind " +
			"\"cookie\"",
		"version: 1\ntarget: {url: http://x}\ncredentials:\n  - {kind: api-key}": "target.yaml:4:5: credentials.value " +
			"is missing: use {env: NAME} or {file: PATH}",
		"version: 1\ntarget: {url: http://x}\ncredentials: [{kind: bearer, header: X-A, value: {env: HOME}}]": "use kind: api-key",
		"version: 1\ntarget: {url: http://x}\ntools: [{name: a, tells: all}]":                                 "want caller",
		"version: 1\ntarget:\n  url: http://x\n  public: perhaps": "target.yaml:4:11: target.public " +
			"\"perhaps\": want true, false or a list",
		"version: 1\ntarget: {url: http://x, public: [tools/lists]}": "target.yaml:2:34: target.public " +
			"\"tools/lists\": want initialize, ",
		"version: [": "target.yaml",
	} {
		_, err := target.Load(write(t, "target.yaml", content))
		assert.ErrorContains(t, err, want, content)
	}
	_, err = target.Load(write(t, "target.yaml", "version: 1\ntarget: {url: http://x, headers: {A: {env: NOT_SET_ANYWHERE}}}"))
	assert.ErrorContains(t, err, "target.yaml:2:38: target.headers.A: the environment variable NOT_SET_ANYWHERE is not set")
}

func TestTargetSchemaAgreesWithTheReader(t *testing.T) {
	schema, err := jsonschema.UnmarshalJSON(strings.NewReader(string(target.Schema)))
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

const wholeRecipe = `version: 1
pages:
  - match: https://idp.example.com/login*
    steps:
      - {click: "#cookies", optional: true}
      - {fill: "#user", with: username}
      - {fill: "#tenant", text: acme}
      - {fill: "input[name=pw]", with: password}
      - {click: "#go"}
  - match: https://idp.example.com/**/allow
    text: wants to
    approve: [{wait: "#ready"}, {click: "#yes"}]
    deny: [{click: "#no"}]
`

func TestRecipe(t *testing.T) {
	folder := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(folder, "recipe.yaml"), []byte(wholeRecipe), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "target.yaml"),
		[]byte("version: 1\ntarget: {url: http://x}\nlogin: {recipe: recipe.yaml}\n"), 0o600))
	path := filepath.Join(folder, "target.yaml")
	cfg, err := target.Load(path)
	require.NoError(t, err)
	require.NotNil(t, cfg.Recipe)
	require.Len(t, cfg.Recipe.Pages, 2)
	assert.Equal(t, target.Step{Fill: "input[name=pw]", With: "password", Line: 8}, cfg.Recipe.Pages[0].Steps[3])
	assert.Equal(t, target.RecipePage{Match: "https://idp.example.com/**/allow", Text: "wants to", Line: 10,
		Approve: []target.Step{{Wait: "#ready", Line: 12}, {Click: "#yes", Line: 12}}, Deny: []target.Step{{Click: "#no", Line: 13}}},
		cfg.Recipe.Pages[1])
}

func TestRecipeSaysEverythingThatIsWrongAtOnce(t *testing.T) {
	for content, want := range map[string][]string{
		"":                      {"the file is empty"},
		"version: 1\npages: []": {"a recipe names at least one page"},
		"version: 1\npages:\n  - {match: a, step: []}": {`recipe.yaml:3:16: unknown key "step"; did you mean steps?`},
		"version: 2\npages:\n  - {steps: [{click: a, fill: b}]}": {"want version: 1",
			"recipe.yaml:3:5: pages: match is missing", "recipe.yaml:3:14: steps: a step has one of fill, click and wait"},
		"version: 1\npages:\n  - {match: a, deny: [{click: b}]}": {"approve is missing"},
		"version: 1\npages:\n  - {match: a}":                     {"nothing is done there"},
		"version: 1\npages:\n  - match: a\n    steps: [{fill: b}, {fill: b, with: pin}, {click: b, text: c}]": {"give with (username",
			`with "pin"`, "belong to fill"},
	} {
		_, err := target.LoadRecipe(write(t, "recipe.yaml", content))
		for _, w := range want {
			assert.ErrorContains(t, err, w, content)
		}
	}
	_, err := target.Load(write(t, "target.yaml", "version: 1\ntarget: {url: http://x}\nlogin: {recipe: nowhere.yaml}\n"))
	assert.ErrorContains(t, err, "nowhere.yaml")
	assert.ErrorContains(t, err, "target.yaml:3:17: login.recipe")

	recipe := write(t, "recipe.yaml", "version: 1\npages:\n  - {match: a, steps: [{fil: b}]}\n  - {match: b, stesp: []}\n")
	_, err = target.Load(write(t, "target.yaml", "version: 1\ntarget: {url: http://x}\nlogin: {recipe: "+recipe+"}\n"))
	require.Error(t, err)
	lines := strings.Split(err.Error(), "\n")
	assert.Len(t, lines, 2, "a mistake in a recipe is not reported as a mistake in the file")
	for i, line := range lines {
		assert.Contains(t, line, "target.yaml:3:17: login.recipe: "+recipe+":"+strconv.Itoa(3+i))
	}
}

// A text that is not YAML is reported with the line in which the parser stops, or in which the unfinished value begins.
func TestATextThatIsNotYAMLIsReportedWithItsLine(t *testing.T) {
	for content, want := range map[string]string{
		"version: 1\ntarget: {url: http://x\ntools: []\n":          "target.yaml:2: this is not YAML: did not find expected ',' or '}'",
		"target: {url: http://x\ntools: []\n":                      "target.yaml:2: this is not YAML: did not find expected ',' or '}'",
		"version: 1\ntools:\n  - a\n b: c\n":                       "target.yaml:4: this is not YAML: did not find expected key",
		"version: 1\ntarget:\n  url: \"x\n":                        "target.yaml:3: this is not YAML: found unexpected end of stream",
		"version: @1\n":                                            "target.yaml:1: this is not YAML: found character that cannot start",
		"version: 1\ntarget: {url: http://x}\n\nlogin: users: a\n": "target.yaml:4: this is not YAML: mapping values are not allowed",
	} {
		_, err := target.Load(write(t, "target.yaml", content))
		assert.ErrorContains(t, err, want, content)
	}
}

// The schema is generated: go generate ./suites/target writes it again, and fails if a field has no comment.
func TestTheSchemaIsTheGeneratedOne(t *testing.T) {
	generated, err := schema.Of(".")
	require.NoError(t, err)
	assert.Equal(t, string(generated), string(target.Schema), "the schema is out of date: run go generate ./suites/target")
	for _, revision := range requirements.Revisions {
		assert.Contains(t, string(target.Schema), `"`+revision+`"`)
	}
}

// A secret of the file may be missing if a flag replaces it.
func TestSecretsThatAreReplacedNeedNotBeThere(t *testing.T) {
	path := write(t, "target.yaml", "version: 1\ntarget: {url: http://x}\nlogin: {users: [{username: a, password: {env: NOT_SET}}]}\n")
	_, err := target.Load(path)
	require.ErrorContains(t, err, "login.users.password: the environment variable NOT_SET is not set")
	_, err = target.Load(path, "login.users")
	assert.NoError(t, err)
}

// Anchors and aliases may hold any value, also secrets and words.
func TestAliases(t *testing.T) {
	t.Setenv("READ_TOKEN", "the-token")
	loaded, err := target.Load(write(t, "target.yaml", `version: 1
target: {url: http://x}
tools: [{name: a, call: &word denied-only}, {name: b, call: *word}]
credentials: [{kind: api-key, name: a, value: &secret {env: READ_TOKEN}}, {kind: api-key, name: b, value: *secret}]
`))
	require.NoError(t, err)
	assert.Equal(t, []bool{true, true}, []bool{loaded.Tools[0].DeniedOnly, loaded.Tools[1].DeniedOnly})
	assert.Equal(t, []string{"the-token", "the-token"}, []string{loaded.Credentials[0].Value, loaded.Credentials[1].Value})
}

// Declarations are validated too, and the error has their place.
func TestWrongDeclarations(t *testing.T) {
	t.Setenv("READ_TOKEN", "the-token")
	for content, want := range map[string]string{
		"tools: [{name: a, effect: b, arguments: {x: '{marker}'}}]": "target.yaml:3:27: tool a: its " +
			"effect is shown by b, which is not among the tools",
		"objects: [{resource: 'a:b', private: x, changed_by: b}]": "target.yaml:3:53: the resource " +
			"a:b: it is changed by b",
		"shared_secret: {value: {env: READ_TOKEN}, issuer: x}":                                              "shared_secret.audience is missing",
		"credentials: [{kind: bearer, value: {env: READ_TOKEN}, limit: {requests: 301, window: 1s}}]":       "want at most 300",
		"credentials: [{kind: bearer, value: {env: READ_TOKEN}, tools: [], scopes: []}]":                    "give tools or scopes, not both",
		"upstream: {listen: a, issuer: b, client_id: c, client_secret: {env: READ_TOKEN}, redirect_uri: d}": "upstream needs users under login",
		"login: {users: [{username: a, password: {env: READ_TOKEN, file: x}}]}":                             "a secret has one of env and file",
		"limits: {rate: fast}":                            "target.yaml:3:16: limits.rate: want a number",
		"tools: {name: a}":                                "target.yaml:3:8: tools: want a list",
		"limits: {intrusive: maybe}":                      "limits.intrusive: want true or false",
		"tols: []":                                        "did you mean tools?",
		"cleint: {}":                                      "did you mean client?",
		"login: {grants_page: /grants}":                   "target.yaml:3:22: login.grants_page: want a URL such as",
		"login: {issuer: id.example}":                     "target.yaml:3:17: login.issuer: want a URL such as",
		"login: {trust_endpoints: [a.example]}":           "target.yaml:3:27: login.trust_endpoints: want a URL such as",
		"login: {id_token_callback: {url: /cb}}":          "login.id_token_callback.url: want a URL such as",
		"client: {clients: [{id: a, redirect_uri: /cb}]}": "client a: redirect_uri: want a URL such as",
		"tools: [{name: a}, {name: b}, {name: a}]":        "target.yaml:3:31: tool a is declared twice",
		"tools: [{name: a, arguments: {x: 1, x: 2}}]":     `target.yaml:3:37: the key "x" is already in line 3`,
		"tools: []\ntools: []":                            `target.yaml:4:1: the key "tools" is already in line 3`,
		"limits: {rate: -1}":                              "target.yaml:3:16: limits.rate -1: want no negative value",
		"limits: {concurrency: -1}":                       "limits.concurrency -1: want no negative value",
		"lifetimes: {code: -3s}":                          "lifetimes.code -3s: want no negative value",
		"concurrency: 3":                                  "did you mean limits.concurrency?",
		"username: a":                                     "did you mean login.users[].username?",
		"upstream_api: {listen: '9000'}":                  "target.yaml:3:24: upstream_api.listen: want an address and a port",
		"enterprise: {listen: ':9', issuer: id}":          "target.yaml:3:36: enterprise.issuer: want a URL such as",
		"verify: {listen: ':9', path: v, accepts: a}":     "verify.path: want a path such as /verify",
		"login: {users: [{username: a, password: {env: READ_TOKEN}}, {username: a, password: {env: READ_TOKEN}}]}": "login.users: a is " +
			"declared twice: want different accounts",
	} {
		_, err := target.Load(write(t, "target.yaml", "version: 1\ntarget: {url: http://x}\n"+content+"\n"))
		assert.ErrorContains(t, err, want, content)
	}
}

// The URL of a file is one, unless the command line gives another.
func TestTheURLOfATargetFile(t *testing.T) {
	for url, want := range map[string]string{
		"/mcp": "want a URL such as", "mcp.example.com/mcp": "want a URL such as", "ftp://a/b": "want a URL such as",
		"${MCP_URL}": "variables are not replaced here",
	} {
		path := write(t, "target.yaml", "version: 1\ntarget:\n  url: "+url+"\n")
		_, err := target.Load(path)
		assert.ErrorContains(t, err, "target.yaml:3:8: target.url: ")
		assert.ErrorContains(t, err, want, url)
		loaded, err := target.Load(path, "target.url")
		assert.NoError(t, err)
		assert.Empty(t, loaded.URL)
	}
}

// All target files in the repository remain valid.
func TestTargetFilesOfTheRepositoryAreRead(t *testing.T) {
	var files []string
	for _, pattern := range []string{"../../fixtures/targets/*.yaml", "../../interop/*/target*.yaml"} {
		found, err := filepath.Glob(pattern)
		require.NoError(t, err)
		files = append(files, found...)
	}
	require.Greater(t, len(files), 15)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, m := range regexp.MustCompile(`env: *(\w+)`).FindAllStringSubmatch(string(text), -1) {
			t.Setenv(m[1], "value-of-"+m[1])
		}
		loaded, err := target.Load(file)
		assert.NoError(t, err)
		assert.NotEmpty(t, loaded.URL, file)
	}
}

// public is a list of methods, or true for all of them.
func TestPublicMethods(t *testing.T) {
	for content, want := range map[string][]string{
		"true": {target.EveryMethod}, "false": {}, "[initialize, tools/list]": {"initialize", "tools/list"},
	} {
		got, err := target.Load(write(t, "target.yaml", "version: 1\ntarget: {url: http://x, public: "+content+"}\n"))
		require.NoError(t, err)
		assert.Equal(t, want, got.PublicMethods)
	}
}

func TestFeaturesThatAServerDoesNotHave(t *testing.T) {
	got, err := target.Load(write(t, "target.yaml", "version: 1\ntarget: {url: http://x, without: [api_keys, elicitation]}\n"))
	require.NoError(t, err)
	assert.Equal(t, []string{"api_keys", "elicitation"}, got.Without)
	_, err = target.Load(write(t, "target.yaml", "version: 1\ntarget:\n  url: http://x\n  without: [api_key]\n"))
	assert.ErrorContains(t, err, `target.yaml:4:13: target.without "api_key": want api_keys, elicitation,`)
}

// An origin of a browser has a scheme and a host, and no path.
func TestOriginsInATargetFile(t *testing.T) {
	for origins, wrong := range map[string]bool{
		"['https://a.example', 'http://127.0.0.1:6274', 'vscode-webview://id']": false,
		"['https://a.example', a.example]":                                      true,
		"['https://a.example/']":                                                true,
	} {
		_, err := target.Load(write(t, "target.yaml", "version: 1\ntarget: {url: http://x, origins: "+origins+"}\n"))
		if wrong {
			assert.ErrorContains(t, err, "target.origins: want a URL such as", origins)
		} else {
			assert.NoError(t, err, origins)
		}
	}
}

// Reading any target file takes memory and time in proportion to it. Each mistake is reported with its place in the file, and only {env:
// NAME} and {file: PATH} look up secrets.
func FuzzTargetFile(f *testing.F) {
	f.Add(wholeTarget)
	f.Add("version: 1\ntarget: {url: http://127.0.0.1:1/mcp}\n")
	f.Add("a: &a [*a]\nb: {<<: *a}\n")
	f.Add("a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\nd: [*c,*c]\n" + strings.Repeat("[", 100))
	f.Add(strings.Repeat("- ", 2000) + "x")
	f.Add("version: 1e999\ntarget: {url: !!binary x}\nlimits: {rate: .nan, requests: 99999999999999999999}\n")
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 1<<16 || strings.Contains(text, "/") && strings.Contains(text, "file") && text != wholeTarget {
			t.Skip() // no file of this machine is read
		}
		path := write(t, "target.yaml", text)
		var err error
		costs.Bounded(t, len(text), 4000, func() { _, err = target.Load(path) })
		if err == nil {
			return
		}
		for line := range strings.SplitSeq(err.Error(), "\n") {
			if !strings.Contains(line, path) && !strings.HasPrefix(line, "  ") && !strings.HasPrefix(line, "yaml: ") {
				t.Errorf("%q does not say where", line)
			}
		}
	})
}

// Reading any login recipe takes memory and time in proportion to it.
func FuzzRecipe(f *testing.F) {
	f.Add("version: 1\npages:\n- {match: https://a.example/*, steps: [{fill: '#u', with: username}, {click: button}]}\n")
	f.Add("a: &a [x,x]\nb: &b [*a,*a]\npages: [*b,*b]\n" + strings.Repeat("[", 200))
	f.Add("version: 1\npages:\n" + strings.Repeat("- {approve: [{}], deny: [{}]}\n", 300))
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 1<<16 {
			t.Skip()
		}
		path := write(t, "recipe.yaml", text)
		costs.Bounded(t, len(text), 4000, func() { _, _ = target.LoadRecipe(path) })
	})
}

// A target from Go has the values that a file leaves out, too, and the caller's lists stay as they are.
func TestComplete(t *testing.T) {
	clients := []target.Client{{ID: "a"}, {ID: "b", Secret: "s"}, {ID: "c", Key: "k"}, {ID: "d", Secret: "s", Method: "client_secret_post"}}
	var full target.Target
	full.Clients, full.Credentials = clients, []target.Credential{{Kind: "api-key", Value: "v"}}
	full.Complete()
	var methods []string
	for _, c := range full.Clients {
		methods = append(methods, c.Method)
	}
	assert.Equal(t, []string{"none", "client_secret_basic", "private_key_jwt", "client_secret_post"}, methods)
	assert.Equal(t, "X-API-Key", full.Credentials[0].Header)
	assert.Empty(t, clients[0].Method)
}
