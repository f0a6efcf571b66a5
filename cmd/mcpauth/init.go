package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites"
)

// initCommand writes a target file from a first look at the target.
func initCommand() *cobra.Command {
	var o options
	var path string
	var force bool
	c := &cobra.Command{
		Use: "init URL", Short: "Write a commented target file for a server", Args: cobra.ExactArgs(1),
		Long: `init asks the server for its metadata and its first answers, as any client does, and writes a target
file with what it learned, and with comments on what else a target file may say. It does not sign in
and registers nothing.`,
		Example: "  mcpauth init https://mcp.example.com/mcp --output target.yaml",
		PreRunE: func(c *cobra.Command, _ []string) error { return fromEnvironment(c) },
		RunE: func(c *cobra.Command, args []string) error {
			return o.writeTarget(c, args[0], path, force)
		},
	}
	o.some(c.Flags(), append(ofGroups("Network"), "revision", "header-env", "client-cert", "client-key", "token-env", "timeout",
		"max-requests", "rate", "concurrency"))
	c.Flags().StringVarP(&path, "output", "o", "target.yaml", "file to write; - for standard output")
	c.Flags().BoolVar(&force, "force", false, "replace the file if it is there")
	return c
}

// writeTarget surveys a server, and writes its target file. It replaces an existing file only with force.
func (o *options) writeTarget(c *cobra.Command, url, path string, force bool) error {
	cfg, err := o.config(c, url)
	if err != nil {
		return err
	}
	seen, err := suites.Look(c.Context(), cfg)
	if err != nil {
		return &exit{reports.ExitUsage, err}
	}
	if seen.Unreachable != "" {
		return &exit{reports.ExitUndecided, errors.New(seen.Unreachable)}
	}
	text := targetText(url, &seen)
	if ownOutput(path) {
		fmt.Fprint(c.OutOrStdout(), text)
		return nil
	}
	if err := mayWrite(path, force); err != nil {
		return &exit{reports.ExitUsage, err}
	}
	if err := replace(path, []byte(text)); err != nil {
		return &exit{reports.ExitToolFailed, err}
	}
	notice(c, "wrote %s; add what a URL cannot say, then: mcpauth run -c %s", path, path)
	return nil
}

// mayWrite returns an error if a file exists and must not be replaced.
func mayWrite(path string, force bool) error {
	through, err := writtenThrough(path)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(path); err == nil && !through && !force {
		return fmt.Errorf("%s exists already; --force replaces it", path)
	}
	return nil
}

// targetText returns the target file. Texts of the target are quoted, so that they stay values.
func targetText(url string, seen *suites.Surveyed) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	aboutServer(line, url, seen)
	aboutLogin(line, seen)
	aboutScopes(line, seen)
	aboutTools(line, seen)
	line("# mcpauth tries every kind of token on a test instance that trusts an issuer run by mcpauth. Never use a server of real users.")
	line("# fake_idp: {listen: \"127.0.0.1:9400\", issuer: \"http://127.0.0.1:9400\", audience: %s}", quoted(url))
	return b.String()
}

// writeLine writes a line of a target file.
type writeLine func(format string, args ...any)

// aboutServer writes the URL of the server, its revisions, and its protection.
func aboutServer(line writeLine, url string, seen *suites.Surveyed) {
	line("# What mcpauth tests, and with what. mcpauth schema target prints every key; secrets are named, never written down.")
	line("version: 1")
	line("target:")
	line("  url: %s", quoted(url))
	if reports.Named(url) != url {
		line("  # Its query has a secret: keep this file out of version control.")
	}
	for _, r := range seen.Revisions {
		line("  # %s (%s): %s, %s", r.Revision, reports.WireWords(r.Wire), r.Words(), comment(r.Why))
	}
	line("  # revisions: [\"2025-11-25\"]              # judge these only; by default all that the server speaks")
	line("  # headers: {X-Gateway: {env: GATEWAY_KEY}} # for a server behind a gate")
	line("  # client_certificate: {certificate: {file: client.pem}, key: {file: client-key.pem}} # for a gate that demands one")
	line("  # body_limit: 1048576                    # bytes of the largest message that the server is meant to accept")
	line("  # public: [initialize, tools/list]         # methods that are meant for everybody, without a token; true: all of them")
	if !seen.Protected {
		line("  # The server did not ask for authorization.")
	}
	for _, issuer := range seen.Issuers {
		line("  # authorization server: %s", comment(issuer))
	}
}

// aboutLogin writes the users and the clients.
func aboutLogin(line writeLine, seen *suites.Surveyed) {
	line("# With a user, mcpauth signs in and judges the authorization server too. With a second one, it tests whether users are kept apart.")
	line("# login:")
	line("#   users:")
	line("#     - {username: alice, password: {env: ALICE_PASSWORD}}")
	line("#     - {username: bob, password: {env: BOB_PASSWORD}}")
	if seen.Registration {
		line("# Clients register themselves there, and are deleted again where the server allows it.")
	} else {
		line("# Clients cannot register themselves there: name one that is registered.")
		line("# client:")
		line("#   registration: pre-registered")
		line("#   clients:")
		line("#     - {id: CLIENT_ID, secret: {env: CLIENT_SECRET}, redirect_uri: \"http://127.0.0.1:8765/callback\"}")
	}
	if seen.Documents {
		line("# It accepts client ID metadata documents: --cimd-listen and --cimd-url serve them.")
	}
}

// aboutScopes writes the scopes, and the lifetime of their tokens.
func aboutScopes(line writeLine, seen *suites.Surveyed) {
	line("# scopes:")
	line("#   request: [%s]", strings.Join(comments(seen.Scopes), ", "))
	line("#   base: []                               # what every request needs, whatever it asks for")
	line("#   implies: {\"notes:admin\": [\"notes:write\"]} # the scopes that a broader one includes")
	line("# Lifetimes of codes and tokens, so that checks wait no longer than necessary.")
	line("# lifetimes:")
	line("#   code: 60s")
	line("#   access: 10m")
	line("#   refresh: 720h                         # without use")
}

// aboutTools writes the tools, and other credentials that they accept.
func aboutTools(line writeLine, seen *suites.Surveyed) {
	line("# The tools that may be called, and the scopes that each needs: all of scope, one of any_of. denied-only: only with tokens that " +
		"must be refused.")
	line("# tools:")
	tools := seen.Tools
	if len(tools) == 0 {
		tools = []string{"read_note"}
	}
	for _, tool := range tools {
		line("#   - {name: %s, scope: \"\", arguments: {}}", quoted(tool))
	}
	line("#   - {name: admin_reset, scope: admin, call: denied-only}")
	line("#   # effect: the tool that shows what this one did, by the text instead of {marker}.")
	line("#   - {name: write_note, scope: [\"notes:read\", \"notes:write\"], arguments: {text: \"{marker}\"}, effect: list_notes}")
	line("#   - {name: list_notes, any_of: [\"notes:read\", \"notes:admin\"]}")
	line("#   - {name: whoami, tells: caller}        # says who the server thinks the caller is")
	line("# Static tokens and API keys.")
	line("# credentials:")
	line("#   - {kind: api-key, header: X-API-Key, value: {env: API_KEY}, tools: [\"read_*\"]}")
}

// quoted returns a string as a YAML value on one line: JSON strings are valid YAML.
func quoted(s string) string {
	b, _ := json.Marshal(reports.OneLine(s, 8<<10)) // strings always marshal; a truncated URL would be another one
	return string(b)
}

// comment returns a text that cannot end its comment.
func comment(s string) string { return reports.OneLine(s, 200) }

func comments(list []string) []string {
	out := slices.Clone(list)
	for i := range out {
		out[i] = quoted(out[i])
	}
	return out
}
