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
	require.NoError(t, os.WriteFile(filepath.Join(folder, "target.yaml"), []byte("version: 1\ntarget: {url: x}\nlogin: {recipe: recipe.yaml}\n"), 0o600))
	path := filepath.Join(folder, "target.yaml")
	target, err := readTarget(path)
	require.NoError(t, err)
	var cfg suites.Config
	require.NoError(t, target.apply(path, &cfg))
	require.NotNil(t, cfg.Recipe)
	require.Len(t, cfg.Recipe.Pages, 2)
	assert.Equal(t, suites.Step{Fill: "input[name=pw]", With: "password", Line: 8}, cfg.Recipe.Pages[0].Steps[3])
	assert.Equal(t, suites.RecipePage{Match: "https://idp.example.com/**/allow", Text: "wants to", Line: 10, Approve: []suites.Step{{Wait: "#ready", Line: 12}, {Click: "#yes", Line: 12}}, Deny: []suites.Step{{Click: "#no", Line: 13}}}, cfg.Recipe.Pages[1])
}

func TestRecipeSaysEverythingThatIsWrongAtOnce(t *testing.T) {
	for content, want := range map[string][]string{
		"":                      {"the file is empty"},
		"version: 1\npages: []": {"a recipe names at least one page"},
		"version: 1\npages:\n  - {match: a, step: []}":                                                        {`recipe.yaml:3:16: unknown key "step"; did you mean steps?`},
		"version: 2\npages:\n  - {steps: [{click: a, fill: b}]}":                                              {"want version: 1", "recipe.yaml:3:5: pages: match is missing", "recipe.yaml:3:14: steps: a step has one of fill, click and wait"},
		"version: 1\npages:\n  - {match: a, deny: [{click: b}]}":                                              {"approve is missing"},
		"version: 1\npages:\n  - {match: a}":                                                                  {"nothing is done there"},
		"version: 1\npages:\n  - match: a\n    steps: [{fill: b}, {fill: b, with: pin}, {click: b, text: c}]": {"give with (username", `with "pin"`, "belong to fill"},
	} {
		_, err := readRecipe(write(t, "recipe.yaml", content))
		for _, w := range want {
			assert.ErrorContains(t, err, w, content)
		}
	}
	target, err := readTarget(write(t, "target.yaml", "version: 1\ntarget: {url: x}\nlogin: {recipe: nowhere.yaml}\n"))
	require.NoError(t, err)
	assert.ErrorContains(t, target.apply("target.yaml", &suites.Config{}), "login.recipe: open nowhere.yaml")
}

func TestRecipeSchemaAgreesWithTheReader(t *testing.T) {
	schema, err := jsonschema.UnmarshalJSON(strings.NewReader(string(recipeSchema)))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	require.NoError(t, c.AddResource("recipe.json", schema))
	compiled, err := c.Compile("recipe.json")
	require.NoError(t, err)
	var v any
	require.NoError(t, yaml.Unmarshal([]byte(wholeRecipe), &v))
	b, err := json.Marshal(v)
	require.NoError(t, err)
	instance, err := jsonschema.UnmarshalJSON(strings.NewReader(string(b)))
	require.NoError(t, err)
	assert.NoError(t, compiled.Validate(instance))
}
