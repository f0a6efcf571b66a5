package target_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/mcpauth/conformance/suites/target"
)

// A target file says what a URL cannot: users, clients, what a tool needs.
func ExampleLoad() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "target.yaml")
	text := `version: 1
target: {url: "https://mcp.example.com/mcp"}
tools:
  - {name: read_note, scope: "notes:read"}
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		log.Fatal(err)
	}

	t, err := target.Load(file)
	if err != nil {
		log.Fatal(err) // with the file, the line and the column of each mistake
	}
	fmt.Println(t.URL, t.Tools[0].Name, "needs", t.Tools[0].Needs())
	// Output: https://mcp.example.com/mcp read_note needs notes:read
}

// A program may declare the same in Go.
func ExampleAt() {
	t := target.At("https://mcp.example.com/mcp")
	t.Tools = []target.Tool{{Name: "read_note", HandleFrom: "open_notes"}}
	fmt.Println(t.Validate())
	// Output: tool read_note: its handle comes from open_notes, which is not among the tools
}
