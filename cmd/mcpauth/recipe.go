package main

import _ "embed"

// recipeSchema is the JSON Schema of a login recipe.
//
//go:embed recipe.schema.json
var recipeSchema []byte
