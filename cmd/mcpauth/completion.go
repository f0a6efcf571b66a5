package main

import (
	"slices"

	"github.com/spf13/cobra"

	"github.com/mcpauth/conformance/fakes/designs"
	"github.com/mcpauth/conformance/fakes/idp/presets"
	"github.com/mcpauth/conformance/fixtures/profiles"
	"github.com/mcpauth/conformance/fixtures/requirements"
)

// complete makes shells complete requirement ids and other fixed words.
func complete(root *cobra.Command) {
	for _, c := range descendants(root) {
		if c.Name() == "explain" {
			c.ValidArgsFunction = words(requirementIDs()...)
		}
		for name, list := range fixedWords() {
			if c.Flags().Lookup(name) != nil {
				_ = c.RegisterFlagCompletionFunc(name, words(list...)) // the flag exists, and has no other
			}
		}
	}
}

func words(list ...string) cobra.CompletionFunc {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return list, cobra.ShellCompDirectiveNoFileComp
	}
}

// fixedWords returns the values of flags with a fixed list. The description for the shell follows a tab.
func fixedWords() map[string][]string {
	ids := requirementIDs()
	var presetNames, designNames []string
	for _, p := range presets.All {
		presetNames = append(presetNames, p.Name+"\t"+p.Says)
	}
	for _, d := range designs.All {
		designNames = append(designNames, d.Name+"\t"+d.Says)
	}
	return map[string][]string{
		"only": ids, "skip": ids, "revision": requirements.Revisions, "profile": profiles.Names(), "preset": presetNames, "design": designNames,
		"fail-on": {"must", "should", "practice", "none"},
		"color":   {"auto", "always", "never"},
		"login":   {"auto", "browser", "form", "manual"},
		"format":  {"table", "json"},
		"tier":    {"T0", "T1", "T2", "T3"},
		"level":   {"MUST", "SHOULD", "MAY", "BCP"},
		"report":  {"html", "markdown", "junit", "json", "ndjson", "sarif", "har", "github", "badge", "console", "matrix"},
	}
}

func requirementIDs() []string {
	var out []string
	for _, r := range requirements.All() {
		out = append(out, r.ID+"\t"+r.Title)
	}
	return out
}

func descendants(c *cobra.Command) []*cobra.Command {
	out := slices.Clone(c.Commands())
	for _, sub := range c.Commands() {
		out = append(out, descendants(sub)...)
	}
	return out
}
