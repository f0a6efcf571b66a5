package suites_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// code is the source of the checks: the declarations of each package, by name.
type code struct {
	areas   map[string]declarations // the package of each area
	engine  declarations            // the packages below internal
	checked map[string][]ast.Node   // the code that each requirement is registered with
	area    map[string]string       // the package of each requirement
	known   map[string]string       // a cache for texts
}

type declarations map[string][]ast.Node

// readCode parses the packages of checks.
func readCode(t *testing.T) *code {
	t.Helper()
	c := &code{areas: map[string]declarations{}, engine: declarations{}, checked: map[string][]ast.Node{}, area: map[string]string{},
		known: map[string]string{}}
	files, err := filepath.Glob("*/*.go")
	require.NoError(t, err)
	inner, err := filepath.Glob("internal/*/*.go")
	require.NoError(t, err)
	for _, name := range append(files, inner...) {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.SkipObjectResolution)
		require.NoError(t, err)
		if strings.HasPrefix(filepath.ToSlash(name), "internal/") {
			c.engine.add(file)
			continue
		}
		area := filepath.Dir(name)
		if c.areas[area] == nil {
			c.areas[area] = declarations{}
		}
		c.areas[area].add(file)
		c.register(area, file)
	}
	return c
}

func (d declarations) add(file *ast.File) {
	for _, x := range file.Decls {
		switch x := x.(type) {
		case *ast.FuncDecl:
			d[x.Name.Name] = append(d[x.Name.Name], x)
		case *ast.GenDecl:
			for _, spec := range x.Specs {
				if v, ok := spec.(*ast.ValueSpec); ok {
					for _, name := range v.Names {
						d[name.Name] = append(d[name.Name], v)
					}
				}
			}
		}
	}
}

// register finds the calls that name a requirement: their other arguments are its check.
func (c *code) register(area string, file *ast.File) {
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		for _, arg := range call.Args {
			id, ok := arg.(*ast.BasicLit)
			if name := ""; ok {
				name = strings.Trim(id.Value, `"`)
				if ids.FindString(name) == name && name != "" {
					c.checked[name], c.area[name] = append(c.checked[name], call), area
				}
			}
		}
		return true
	})
}

// texts returns the string literals that the check of a requirement reaches, in its area and in the functions of the engine that it calls.
func (c *code) texts(id string) string {
	var out strings.Builder
	seen := map[ast.Node]bool{}
	var visit func(n ast.Node, inEngine bool)
	visit = func(n ast.Node, inEngine bool) {
		if seen[n] {
			return
		}
		seen[n] = true
		ast.Inspect(n, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.BasicLit:
				if n.Kind == token.STRING {
					out.WriteString(n.Value + "\n")
				}
			case *ast.Ident:
				if inEngine {
					return true
				}
				for _, d := range c.areas[c.area[id]][n.Name] {
					visit(d, false)
				}
				for _, d := range c.engine[n.Name] {
					visit(d, true)
				}
			}
			return true
		})
	}
	for _, n := range c.checked[id] {
		visit(n, false)
	}
	return out.String()
}

// names reports whether the code of a check contains a word.
func (c *code) names(id, word string) bool {
	if c.known[id] == "" {
		c.known[id] = c.texts(id)
	}
	return regexp.MustCompile(`(?i)(^|\W)` + regexp.QuoteMeta(word) + `($|\W)`).MatchString(c.known[id])
}

func TestCodeIsFoundByItsWords(t *testing.T) {
	c := readCode(t)
	assert.True(t, c.names("RS-CHALLENGE-PATH-VARIANTS", "X-Original-URL"))
	assert.False(t, c.names("RS-CHALLENGE-PATH-VARIANTS", "id_token_hint"))
}
