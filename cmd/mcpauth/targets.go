package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites"
)

// targetsCommand makes lists for run --targets from files of other programs.
func targetsCommand() *cobra.Command {
	c := &cobra.Command{Use: "targets", Short: "Make a list for run --targets from files of other programs"}
	c.AddCommand(&cobra.Command{
		Use: "from-registry FILE...", Short: "List the remote servers in saved pages of an MCP registry (/v0.1/servers)",
		Long: `Prints the URL of each server of type streamable-http, in its latest version and without duplicates. A URL with variables is
left out. Nothing is fetched: save the pages yourself, each with the nextCursor of the one before. - is standard input.`,
		Example: "  mcpauth targets from-registry page-*.json > targets.txt",
		Args:    cobra.MinimumNArgs(1), RunE: fromRegistry,
	})
	c.AddCommand(&cobra.Command{
		Use: "from-clients [FILE...]", Short: "List the remote servers in the configuration of MCP clients",
		Long: `Prints the URL of each remote server in mcp.json and similar files of editors and desktop clients, without duplicates. Header
fields, environment variables, user names and queries, where secrets are, are left out, and so is a server whose path may hold a key.
Without FILE it reads the files in the usual places.`,
		Example: "  mcpauth targets from-clients ~/.cursor/mcp.json",
		RunE:    fromClients,
	})
	return c
}

func fromRegistry(c *cobra.Command, paths []string) error {
	all, complete, err := readRegistries(c, paths)
	if err != nil {
		return &exit{reports.ExitUsage, err}
	}
	var entries []entry
	own := 0
	for _, u := range all.urls {
		if suites.Own(u) {
			own++
			continue
		}
		entries = append(entries, entry{URL: u})
	}
	leftOut(c, all.unusable, "remote", "the URL has variables, or cannot be used")
	leftOut(c, own, "remote", "a registry names what is in your own network; list it in a file of your own if it is yours")
	if !complete {
		notice(c, "every page refers to a next one (nextCursor): the list is not complete")
	}
	if _, err := fmt.Fprintln(c.OutOrStdout(), registryMark); err != nil {
		return &exit{reports.ExitToolFailed, err}
	}
	return printEntries(c, entries)
}

// readRegistries reads the pages of a registry. complete says that no page is missing at the end.
func readRegistries(c *cobra.Command, paths []string) (all registryList, complete bool, err error) {
	for _, path := range paths {
		b, err := readInput(path, c.InOrStdin())
		if err != nil {
			return all, false, err
		}
		found, err := readRegistry(b)
		if err != nil {
			return all, false, fmt.Errorf("%s: %w", path, err)
		}
		all.urls, all.unusable = append(all.urls, found.urls...), all.unusable+found.unusable
		complete = complete || found.next == ""
	}
	return all, complete, nil
}

// leftOut says how many were omitted, if any, and why.
func leftOut(c *cobra.Command, n int, of, why string) {
	if n > 0 {
		notice(c, "%s left out: %s", reports.Count(n, of), why)
	}
}

func printEntries(c *cobra.Command, entries []entry) error {
	for _, e := range distinct(entries) {
		if _, err := fmt.Fprintln(c.OutOrStdout(), e.URL); err != nil {
			return &exit{reports.ExitToolFailed, err}
		}
	}
	return nil
}

func fromClients(c *cobra.Command, paths []string) error {
	given := len(paths) > 0
	if !given {
		paths = usualConfigurations()
	}
	all, err := readClients(c, paths, given)
	if err != nil {
		return &exit{reports.ExitUsage, err}
	}
	if !given {
		notice(c, "read %d files: %s", len(paths), strings.Join(paths, ", "))
	}
	leftOut(c, all.local, "server", "run as a local command, without authorization to test")
	leftOut(c, all.unusable, "server", "the URL has variables, or cannot be used")
	leftOut(c, len(all.keyed), "server", fmt.Sprintf("the path of the URL may hold a key (%s); list the URL yourself if it does not",
		reports.OneLine(strings.Join(all.keyed, ", "), 300)))
	var entries []entry
	for _, u := range all.urls {
		entries = append(entries, entry{URL: u})
	}
	return printEntries(c, entries)
}

// readClients reads the servers of several configurations. A configuration that the user has not named may be unreadable.
func readClients(c *cobra.Command, paths []string, given bool) (all clientServers, err error) {
	for _, path := range paths {
		b, err := readInput(path, c.InOrStdin())
		if err != nil {
			return all, err
		}
		found, err := readClient(b)
		if err != nil && given {
			return all, fmt.Errorf("%s: %w", path, err)
		} else if err != nil {
			notice(c, "%s: %v", path, err)
		}
		all.urls, all.keyed = append(all.urls, found.urls...), append(all.keyed, found.keyed...)
		all.local, all.unusable = all.local+found.local, all.unusable+found.unusable
	}
	return all, nil
}

// usualConfigurations returns the configurations of MCP clients in their usual places.
func usualConfigurations() []string {
	home, err := os.UserHomeDir()
	if err != nil {
		return nil
	}
	config, err := os.UserConfigDir()
	if err != nil {
		config = filepath.Join(home, ".config")
	}
	return slices.DeleteFunc([]string{
		".mcp.json",
		filepath.Join(".vscode", "mcp.json"),
		filepath.Join(".cursor", "mcp.json"),
		filepath.Join(home, ".cursor", "mcp.json"),
		filepath.Join(home, ".claude.json"),
		filepath.Join(home, ".gemini", "settings.json"),
		filepath.Join(home, ".lmstudio", "mcp.json"),
		filepath.Join(home, ".codeium", "windsurf", "mcp_config.json"),
		filepath.Join(config, "Claude", "claude_desktop_config.json"),
		filepath.Join(config, "Code", "User", "mcp.json"),
		filepath.Join(config, "zed", "settings.json"),
	}, func(path string) bool {
		info, err := os.Stat(path)
		return err != nil || !info.Mode().IsRegular()
	})
}

// clientServers are the servers in the configuration of a client.
type clientServers struct {
	urls            []string
	keyed           []string // the names of those whose path may contain a key
	local, unusable int
	known           bool // the configuration has a place for servers
}

// serverMaps are the members in which clients store their servers, by name. Editors add their own name and a dot before it.
var serverMaps = []string{"mcpServers", "servers", "context_servers", "mcp"}

func holdsServers(member string) bool {
	return slices.Contains(serverMaps, member[strings.LastIndexByte(member, '.')+1:])
}

// readClient finds the servers in a client's configuration, at any depth: some store them for each project.
func readClient(b []byte) (clientServers, error) {
	var found clientServers
	var whole map[string]any
	if err := json.Unmarshal(withoutComments(withoutBOM(b)), &whole); err != nil {
		return found, fmt.Errorf("this is not a configuration in JSON: %w", err)
	}
	found.search(whole)
	if !found.known {
		return found, errors.New(`it has none of the members "` + strings.Join(serverMaps, `", "`) + `"`)
	}
	return found, nil
}

func (s *clientServers) search(object map[string]any) {
	for _, name := range slices.Sorted(maps.Keys(object)) {
		inner, ok := object[name].(map[string]any)
		switch {
		case !ok:
		case holdsServers(name):
			s.known = true
			for _, id := range slices.Sorted(maps.Keys(inner)) {
				s.add(id, inner[id])
			}
		default:
			s.search(inner)
		}
	}
}

// add adds one server. A map of servers may come instead, as in {"mcp": {"servers": {}}}.
func (s *clientServers) add(name string, value any) {
	server, ok := value.(map[string]any)
	if !ok {
		return
	}
	if slices.Contains(serverMaps, name) {
		s.search(map[string]any{name: server})
		return
	}
	switch address := remote(server); {
	case strings.ContainsAny(address, "{}") || !listable(address):
		s.unusable++
	case mayHoldKey(address):
		s.keyed = append(s.keyed, name)
	case address != "":
		s.urls = append(s.urls, address)
	default:
		s.local++
	}
}

// mayHoldKey reports whether the path of a URL may contain a key: some services give each user an unguessable address. A key is a UUID, or
// has 16 consecutive letters and digits, of both.
func mayHoldKey(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return true
	}
	if uuid.MatchString(u.Path) {
		return true
	}
	for _, run := range strings.FieldsFunc(u.Path, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		if len(run) >= 16 && strings.ContainsFunc(run, unicode.IsDigit) && strings.ContainsFunc(run, unicode.IsLetter) {
			return true
		}
	}
	return false
}

var uuid = regexp.MustCompile(`[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}`)

// remote returns the URL of a remote server without parts that may be secret; empty for a local one. The program mcp-remote gets the URL as
// an argument.
func remote(server map[string]any) string {
	var addresses []string
	for _, member := range []string{"url", "serverUrl", "httpUrl"} {
		if text, ok := server[member].(string); ok {
			addresses = append(addresses, text)
		}
	}
	bridge := false
	for _, argument := range argumentsOf(server) {
		if bridge {
			addresses = append(addresses, argument)
		}
		bridge = bridge || strings.Contains(argument, "mcp-remote")
	}
	for _, address := range addresses {
		if strings.ContainsAny(address, "{}") && strings.Contains(address, "://") {
			return "{}" // a variable, with any value
		}
		u, err := url.Parse(address)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			continue
		}
		u.User, u.RawQuery, u.Fragment, u.RawFragment = nil, "", "", ""
		return u.String()
	}
	return ""
}

func argumentsOf(server map[string]any) (out []string) {
	list, _ := server["args"].([]any)
	for _, a := range list {
		if text, ok := a.(string); ok {
			out = append(out, text)
		}
	}
	return out
}

// withoutComments removes from JSON the comments, and commas before a closing bracket: editors accept both.
func withoutComments(b []byte) []byte {
	var out bytes.Buffer
	for i := 0; i < len(b); {
		rest := b[i:]
		if n := commentLength(rest); n > 0 {
			i += n
			continue
		}
		n := 1
		switch rest[0] {
		case '"':
			n = stringLength(rest)
		case ']', '}':
			if t := bytes.TrimRight(out.Bytes(), " \t\r\n"); bytes.HasSuffix(t, []byte(",")) {
				out.Truncate(len(t) - 1)
			}
		}
		out.Write(rest[:n])
		i += n
	}
	return out.Bytes()
}

// commentLength returns the length of the comment at the beginning of a text; 0 if there is none. An unterminated one extends to the end.
func commentLength(b []byte) int {
	begin, end := []byte("//"), []byte("\n")
	if bytes.HasPrefix(b, []byte("/*")) {
		begin, end = []byte("/*"), []byte("*/")
	}
	if !bytes.HasPrefix(b, begin) {
		return 0
	}
	n := bytes.Index(b[len(begin):], end)
	switch {
	case n < 0:
		return len(b)
	case string(end) == "\n":
		return len(begin) + n // the line ends there too
	}
	return len(begin) + n + len(end)
}

// stringLength returns the length of the JSON string at the beginning of a text, with its quotes.
func stringLength(b []byte) int {
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(b)
}
