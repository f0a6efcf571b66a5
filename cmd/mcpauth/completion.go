package main

import (
	"slices"

	"github.com/spf13/cobra"

	"github.com/mcpauth/conformance/fakes/designs"
	"github.com/mcpauth/conformance/fakes/idp/presets"
	"github.com/mcpauth/conformance/fixtures/profiles"
	"github.com/mcpauth/conformance/fixtures/requirements"
)

// complete has shells complete requirement ids and the other fixed words.
func complete(root *cobra.Command) {
	ids := func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		var out []string
		for _, r := range requirements.All() {
			out = append(out, r.ID+"\t"+r.Title)
		}
		return out, cobra.ShellCompDirectiveNoFileComp
	}
	words := func(list ...string) cobra.CompletionFunc {
		return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return list, cobra.ShellCompDirectiveNoFileComp
		}
	}
	var presetNames, designNames []string
	for _, p := range presets.All {
		presetNames = append(presetNames, p.Name+"\t"+p.Says)
	}
	for _, d := range designs.All {
		designNames = append(designNames, d.Name+"\t"+d.Says)
	}
	for name, f := range map[string]cobra.CompletionFunc{
		"only": ids, "skip": ids, "revision": words(requirements.Revisions...), "fail-on": words("must", "should", "practice", "none"),
		"color": words("auto", "always", "never"),
		"login": words("auto", "browser", "form", "manual"), "format": words("table", "json"), "tier": words("T0", "T1", "T2", "T3"),
		"level":  words("MUST", "SHOULD", "MAY", "BCP"),
		"report": words("html", "markdown", "junit", "json", "ndjson", "sarif", "har", "github", "badge", "console", "matrix"),
		"preset": words(presetNames...), "design": words(designNames...),
		"profile": func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return profiles.Names(), cobra.ShellCompDirectiveNoFileComp
		},
	} {
		for _, c := range descendants(root) {
			if c.Flags().Lookup(name) != nil {
				_ = c.RegisterFlagCompletionFunc(name, f) // the flag exists, and has no other
			}
		}
	}
	for _, c := range descendants(root) {
		if c.Name() == "explain" {
			c.ValidArgsFunction = ids
		}
	}
}

func descendants(c *cobra.Command) []*cobra.Command {
	out := slices.Clone(c.Commands())
	for _, sub := range c.Commands() {
		out = append(out, descendants(sub)...)
	}
	return out
}
