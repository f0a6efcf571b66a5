package suites_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const module = "github.com/mcpauth/conformance/"

type listedPackage struct {
	ImportPath string
	Imports    []string
}

func packages(t *testing.T) []listedPackage {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", module+"...").Output()
	require.NoError(t, err)
	var all []listedPackage
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listedPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else {
			require.NoError(t, err)
		}
		all = append(all, p)
	}
}

// layer returns the part of the project to which a package belongs.
func layer(pkg string) string {
	rel := strings.TrimPrefix(pkg, module)
	switch {
	case strings.HasPrefix(rel, "suites/tests/"):
		return "tests"
	case rel == "suites/target" || strings.HasPrefix(rel, "suites/target/"):
		return "target"
	case rel == "suites/conformance":
		return "cmd"
	case strings.HasPrefix(rel, "fakes/lab"):
		return "lab"
	case strings.HasPrefix(rel, "suites/internal/"):
		return "internal"
	case rel == "suites":
		return "suites"
	case strings.HasPrefix(rel, "suites/"):
		return "area"
	}
	first, _, _ := strings.Cut(rel, "/")
	return first
}

func TestWhoMayImportWhom(t *testing.T) {
	t.Parallel()
	allowed := map[string][]string{
		"fixtures": {"fixtures"},
		"reports":  {"reports", "fixtures"},
		"target":   {"target", "fixtures"},
		"internal": {"internal", "target", "reports", "fixtures"},
		"area":     {"internal", "target", "reports", "fixtures"},
		"suites":   {"area", "internal", "target", "reports", "fixtures"},
		"fakes":    {"fakes", "fixtures"},
		"lab":      {"lab", "fakes", "target", "fixtures"},
		"cmd":      {"suites", "target", "reports", "fakes", "lab", "fixtures"},
		"tests":    {"suites", "target", "reports", "fakes", "lab", "fixtures"},
	}
	outside := map[string][]string{ // libraries, and the layers that may use them
		"github.com/onsi/ginkgo/v2":        {"suites"}, // what the tests of an area link should be small
		"github.com/onsi/gomega":           {"internal"},
		"github.com/spf13/cobra":           {"cmd"},
		"github.com/stretchr/testify":      {"tests"},
		"github.com/santhosh-tekuri":       {"reports"}, // validates JSON reports that are read
		"net/http":                         {"internal", "fakes", "lab", "cmd", "tests"},
		"go.yaml.in/yaml/v3":               {"fixtures", "target", "cmd", "reports"}, // reports: PRODUCT.yaml of a certificate
		"github.com/go-rod/rod":            {"internal"},
		"github.com/modelcontextprotocol/": {},
	}
	all := packages(t)
	require.NotEmpty(t, all)
	for _, p := range all {
		from := layer(p.ImportPath)
		for _, i := range p.Imports {
			if strings.HasPrefix(i, module) {
				assert.Contains(t, allowed[from], layer(i), "%s imports %s", p.ImportPath, i)
				continue
			}
			for library, who := range outside {
				if strings.HasPrefix(i, library) {
					assert.Contains(t, who, from, "%s imports %s", p.ImportPath, i)
				}
			}
		}
	}
}

// Randomness that affects a run comes from the package seeded, so that a seed makes the run repeatable. Other packages may use the system's
// randomness for signatures, and for certificates that no report shows.
func TestRandomnessIsSeeded(t *testing.T) {
	signs := []string{"fixtures/seeded", "suites/internal/mint", "suites/internal/check", "suites/internal/documents", "suites/internal/wire",
		"fakes/idp", "fakes/kits", "fakes/reference"}
	for _, p := range packages(t) {
		for _, i := range p.Imports {
			if i == "crypto/rand" {
				assert.Contains(t, signs, strings.TrimPrefix(p.ImportPath, module), "%s imports %s", p.ImportPath, i)
			}
			if strings.HasPrefix(i, "math/rand") {
				assert.Equal(t, "seeded", path.Base(p.ImportPath), "%s imports %s", p.ImportPath, i)
			}
		}
	}
}

func TestLinkedModulesAreFew(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", module+"cmd/mcpauth").Output()
	require.NoError(t, err)
	modules := map[string]bool{}
	for _, m := range strings.Fields(string(out)) {
		modules[m] = true
	}
	assert.LessOrEqual(t, len(modules), 30)
}

// The licence of every linked module demands attribution only.
func TestLicencesOfLinkedModules(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}\t{{.Dir}}{{end}}", module+"cmd/mcpauth").Output()
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		path, dir, ok := strings.Cut(line, "\t")
		if !ok || seen[path] || strings.HasPrefix(path+"/", module) {
			continue
		}
		seen[path] = true
		text := ""
		for _, name := range []string{"LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE", "COPYING"} {
			if b, err := os.ReadFile(filepath.Join(dir, name)); err == nil {
				text = strings.Join(strings.Fields(string(b)), " ")
				break
			}
		}
		known := strings.Contains(text, "Permission is hereby granted, free of charge") || strings.Contains(text, "Apache License Version 2.0") ||
			strings.Contains(text, "Redistribution and use in source and binary forms")
		assert.True(t, known, "%s: the licence is unknown", path)
	}
	assert.NotEmpty(t, seen)
}
