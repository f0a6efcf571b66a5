package main

import (
	"slices"

	"github.com/spf13/cobra"

	"github.com/mcpauth/conformance/fakes/designs"
	"github.com/mcpauth/conformance/fakes/idp/presets"
	"github.com/mcpauth/conformance/fixtures/profiles"
	"github.com/mcpauth/conformance/fixtures/requirements"
)

// complete makes shells complete requirement ids and other fixed words. They are collected when a shell asks.
func complete(root *cobra.Command) {
	for _, c := range descendants(root) {
		if c.Name() == "explain" {
			c.ValidArgsFunction = words(requirementIDs)
		}
		for name, list := range completions {
			if c.Flags().Lookup(name) != nil {
				_ = c.RegisterFlagCompletionFunc(name, words(list)) // the flag exists, and has no other
			}
		}
	}
}

func words(list func() []string) cobra.CompletionFunc {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return list(), cobra.ShellCompDirectiveNoFileComp
	}
}

// completions are the values of flags with a fixed list. The description for the shell follows a tab.
var completions = map[string]func() []string{
	"only": requirementIDs, "skip": requirementIDs, "profile": profiles.Names, "preset": presetNames, "design": designNames,
	"revision": fixed(requirements.Revisions...),
	"fail-on":  fixed("must", "should", "practice", "none"),
	"color":    fixed("auto", "always", "never"),
	"login":    fixed("auto", "browser", "form", "manual"),
	"format":   fixed("table", "json"),
	"tier":     fixed("T0", "T1", "T2", "T3"),
	"level":    fixed("MUST", "SHOULD", "MAY", "BCP"),
	"report":   fixed("html", "markdown", "junit", "json", "ndjson", "sarif", "har", "github", "badge", "console", "matrix"),
}

func fixed(list ...string) func() []string {
	return func() []string { return list }
}

func presetNames() (out []string) {
	for _, p := range presets.All {
		out = append(out, p.Name+"\t"+p.Says)
	}
	return out
}

func designNames() (out []string) {
	for _, d := range designs.All {
		out = append(out, d.Name+"\t"+d.Says)
	}
	return out
}

func requirementIDs() (out []string) {
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
