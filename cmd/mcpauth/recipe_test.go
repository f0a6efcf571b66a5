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

func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}
