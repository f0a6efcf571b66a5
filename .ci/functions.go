// Functions names each function whose body is longer than 25 lines: "file:line: name has n lines", those of checks first.
// Tests, generated files and lists of registrations (Must, Should, May, Practice, Describe) may be longer.
// .ci/lines counts what it prints.
package main

import (
	"bufio"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"slices"
)

const longest = 25

var (
	exempt = regexp.MustCompile(`_test\.go$|(^|/)gen_\w+\.go$`)
	checks = regexp.MustCompile(`^suites/\w+/\w+\.go$`)
)

// The names of the files come from standard input, one a line.
func main() {
	var inChecks, others []string
	for files := bufio.NewScanner(os.Stdin); files.Scan(); {
		found, err := longFunctions(files.Text())
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		if checks.MatchString(files.Text()) {
			inChecks = append(inChecks, found...)
		} else {
			others = append(others, found...)
		}
	}
	for _, f := range inChecks {
		fmt.Println("check " + f)
	}
	for _, f := range others {
		fmt.Println(f)
	}
}

func longFunctions(file string) ([]string, error) {
	if exempt.MatchString(file) {
		return nil, nil
	}
	set := token.NewFileSet()
	parsed, err := parser.ParseFile(set, file, nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var long []string
	for _, d := range parsed.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Body == nil || isList(f.Body) {
			continue
		}
		if n := set.Position(f.Body.Rbrace).Line - set.Position(f.Body.Lbrace).Line - 1; n > longest {
			long = append(long, fmt.Sprintf("%s: %s has %d lines", set.Position(f.Pos()), f.Name.Name, n))
		}
	}
	return long, nil
}

// isList reports whether a function does nothing but register checks by their names.
func isList(body *ast.BlockStmt) bool {
	return !slices.ContainsFunc(body.List, func(s ast.Stmt) bool { return !isRegistration(s) })
}

func isRegistration(s ast.Stmt) bool {
	e, ok := s.(*ast.ExprStmt)
	if !ok {
		return false
	}
	call, ok := e.X.(*ast.CallExpr)
	if !ok || len(call.Args) != 2 {
		return false
	}
	name, _ := call.Fun.(*ast.Ident)
	function, inPlace := call.Args[1].(*ast.FuncLit)
	switch {
	case name == nil:
		return false
	case name.Name == "Describe":
		return !inPlace || isList(function.Body)
	}
	return !inPlace && slices.Contains([]string{"Must", "Should", "May", "Practice"}, name.Name)
}
