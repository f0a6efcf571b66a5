package flaws

import (
	"net/http"
	"strings"

	"github.com/mcpauth/conformance/fakes/mcpserver"
)

// keyNames are weak ways to find the tool for a name, at a server with a key for read_*.
var keyNames = []Flaw{
	keyNamed("prefix", `the name "read_"`, func(name string) string { return only(name == "read_", "read_note") }),
	keyNamed("pattern", `the name "read_*"`, func(name string) string { return only(name == "read_*", "read_note") }),
	keyNamed("stem", `the name "read"`, func(name string) string { return only(name == "read", "read_note") }),
	keyNamed("nul", `the name "read_\x00write_note"`, after("\x00")),
	keyNamed("space", `the name "read_ write_note"`, after("_ ")),
	keyNamed("query", `the name "write_note?read_"`, until("?")),
	keyNamed("fragment", `the name "write_note#read_"`, until("#")),
	keyNamed("case", `the name "READ_NOTE"`, func(name string) string { return only(name == "READ_NOTE", "read_note") }),
	keyNamed("trimmed", `the name " read_note"`, func(name string) string { return only(name == " read_note", "read_note") }),
}

// only returns the text if the condition holds.
func only(condition bool, text string) string {
	if condition {
		return text
	}
	return ""
}

func after(mark string) func(name string) string {
	return func(name string) string {
		_, tool, _ := strings.Cut(name, mark)
		return tool
	}
}

func until(mark string) func(name string) string {
	return func(name string) string {
		tool, _, found := strings.Cut(name, mark)
		return only(found, tool)
	}
}

// keyNamed runs a tool for the bearer of a key under a name that no tool has.
func keyNamed(name, row string, tool func(name string) string) Flaw {
	found := func(r *http.Request, name string) string {
		return only(r.Header.Get(mcpserver.KeyHeader) != "", tool(name))
	}
	return Flaw{
		Name: "key-name-" + name, Says: "A tool is found by a name that it does not have: " + row + ".", Row: row,
		Noticed: []string{"RS-APIKEY-WILDCARDS"}, Also: []string{"RS-SCOPE-*"},
		Bend: policy(func(p *mcpserver.Policy) {
			p.NamesTool = found
			p.ForgetsScope = func(r *http.Request, params map[string]any) bool {
				name, _ := params["name"].(string)
				return found(r, name) != ""
			}
		}),
	}
}
