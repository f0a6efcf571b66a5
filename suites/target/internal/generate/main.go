// Command generate writes the JSON Schema of target files.
package main

import (
	"log"
	"os"

	"github.com/mcpauth/conformance/suites/target/internal/schema"
)

func main() {
	s, err := schema.Of(".")
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile("target.schema.json", s, 0o644); err != nil {
		log.Fatal(err)
	}
}
