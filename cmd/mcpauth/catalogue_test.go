package main_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fixtures/requirements"
	"github.com/mcpauth/conformance/suites/target"
)

var (
	flagInText  = regexp.MustCompile(`(?:^|[^\w-])--([a-z][a-z-]+)`)
	fieldInText = regexp.MustCompile(`([a-z_]+) in the target file`)
)

// Each flag in a text of the catalogue is a flag of run, and each field is one of the target file.
func TestTheCatalogueNamesWhatCanBeGiven(t *testing.T) {
	t.Parallel()
	code, help, errs := mcpauth(t, "run", "--help")
	require.Zero(t, code, errs)
	check := func(id, text string) {
		for _, m := range flagInText.FindAllStringSubmatch(text, -1) {
			assert.True(t, strings.Contains(help, "--"+m[1]+" "), "%s: run has no flag --%s", id, m[1])
		}
		for _, m := range fieldInText.FindAllStringSubmatch(text, -1) {
			known := m[1] == "declared" || strings.Contains(string(target.Schema), `"`+m[1]+`":`)
			assert.True(t, known, "%s: the target file has no field %s", id, m[1])
		}
	}
	for i := range requirements.All() {
		r := &requirements.All()[i]
		check(r.ID, strings.Join(slices.Concat([]string{r.Statement, r.Why, r.Flaw, r.Remediation}, r.Procedure, r.Variations), "\n"))
	}
	for _, n := range requirements.Needs() {
		check("the need "+n.Name, n.Meaning)
	}
}
