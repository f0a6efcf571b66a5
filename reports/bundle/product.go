package bundle

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"go.yaml.in/yaml/v3"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// ProductSchema is the JSON Schema of PRODUCT.yaml.
//
//go:embed product.schema.json
var ProductSchema []byte

// Product describes the certified product, by its vendor.
type Product struct {
	Vendor  string `json:"vendor"`
	Product string `json:"product"`
	Version string `json:"version"`
	URL     string `json:"url"`
	Contact string `json:"contact"`
}

var productSchema = sync.OnceValue(func() *jsonschema.Schema {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(ProductSchema))
	if err != nil {
		panic(err) // it is part of the program
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	const name = "mcpauth:product" // absolute: the compiler resolves any other against the working directory, which may be gone
	if err := c.AddResource(name, document); err != nil {
		panic(err)
	}
	return c.MustCompile(name)
})

// ReadProduct reads PRODUCT.yaml. Its errors name the file and the line.
func ReadProduct(name string, text []byte) (Product, error) {
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		return Product{}, fmt.Errorf("%s: %s", name, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if len(root.Content) == 0 || root.Content[0].Kind != yaml.MappingNode {
		return Product{}, fmt.Errorf("%s:1: want the members vendor, product, version, url and contact", name)
	}
	members, lines := map[string]any{}, map[string]int{}
	for i := 0; i+1 < len(root.Content[0].Content); i += 2 {
		key, value := root.Content[0].Content[i], root.Content[0].Content[i+1]
		if lines[key.Value] > 0 {
			return Product{}, fmt.Errorf("%s:%d: %s appears twice", name, key.Line, key.Value)
		}
		if lines[key.Value] = key.Line; value.Kind != yaml.ScalarNode {
			return Product{}, fmt.Errorf("%s:%d: %s: want a text", name, value.Line, key.Value)
		}
		members[key.Value] = value.Value // version 1.0 is a text, not a number
	}
	if err := productSchema().Validate(members); err != nil {
		return Product{}, invalid(name, lines, err)
	}
	var p Product
	b, err := json.Marshal(members)
	if err != nil {
		return Product{}, err
	}
	return p, json.Unmarshal(b, &p)
}

func invalid(name string, lines map[string]int, err error) error {
	var problem *jsonschema.ValidationError
	if !errors.As(err, &problem) {
		return err
	}
	for len(problem.Causes) > 0 {
		problem = problem.Causes[0]
	}
	at, line := "", 1
	if len(problem.InstanceLocation) > 0 {
		at = problem.InstanceLocation[0]
		line = lines[at]
		at += ": "
	}
	says := problem.ErrorKind.LocalizedString(message.NewPrinter(language.English))
	if _, moves := problem.ErrorKind.(*kind.Not); moves {
		says = "want the version that was tested: this name moves to others"
	}
	return fmt.Errorf("%s:%d: %s%s (mcpauth schema product)", name, line, at, says)
}

var notInNames = regexp.MustCompile(`[^a-z0-9]+`)

// Folder returns the name of the product's submission folder: vendor-product.
func (p Product) Folder() string {
	name := func(s string) string { return strings.Trim(notInNames.ReplaceAllString(strings.ToLower(s), "-"), "-") }
	return name(p.Vendor) + "-" + name(p.Product)
}
