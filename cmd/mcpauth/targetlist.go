package main

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/target/strict"
)

// entry is one target of a list: a URL, or a target file.
type entry struct {
	URL  string
	File string // the path of its target file; empty for a URL alone
	name string // the path in the list
	at   string // its place in the list, for errors
	// foreign says that it comes from a registry, and the user has not reviewed it.
	foreign bool
	// recipe is the path of the login recipe in the target file.
	recipe string
}

// listed reads the targets of --targets: lines with URLs and paths of target files, or pages of the MCP registry's /v0.1/servers.
func (o *options) listed(stdin io.Reader) ([]entry, error) {
	b, err := readInput(o.targets, stdin)
	if err != nil {
		return nil, &exit{reports.ExitUsage, fmt.Errorf("--targets: %w", err)}
	}
	entries, err := parseList(b, o.targets)
	if err != nil {
		return nil, &exit{reports.ExitUsage, err}
	}
	if len(entries) == 0 {
		return nil, &exit{reports.ExitUsage, fmt.Errorf("--targets %s: it contains no target", o.targets)}
	}
	return entries, nil
}

func parseList(b []byte, path string) ([]entry, error) {
	if !looksLikeJSON(b) {
		return lines(b, path)
	}
	found, err := readRegistry(b)
	if err != nil {
		return nil, fmt.Errorf("--targets %s: %w", path, err)
	}
	if found.next != "" {
		return nil, fmt.Errorf("--targets %s: its last page refers to a next one (nextCursor %q): save all pages, and join them with "+
			"mcpauth targets from-registry", path, reports.OneLine(found.next, 100))
	}
	var entries []entry
	for _, u := range found.urls {
		entries = append(entries, entry{URL: u, at: path, foreign: true})
	}
	return entries, nil
}

// readInput reads a file; - is standard input.
func readInput(path string, stdin io.Reader) ([]byte, error) {
	if path == "-" {
		return strict.ReadAll(stdin, mostInput)
	}
	return strict.ReadFile(path, mostInput)
}

// Limits of files that are read at once, in bytes: files written by hand, or from a registry, are far smaller.
const (
	mostInput        = 64 << 20
	mostCertificates = 16 << 20
	mostText         = 1 << 20 // keys and PRODUCT.yaml
)

// withoutBOM removes the byte order mark that some editors write.
func withoutBOM(b []byte) []byte { return bytes.TrimPrefix(b, []byte("\ufeff")) }

func looksLikeJSON(b []byte) bool {
	b = bytes.TrimLeft(withoutBOM(b), " \t\r\n")
	return len(b) > 0 && (b[0] == '{' || b[0] == '[')
}

// eachLine calls f for each line that is neither empty nor a comment; an error of f names the line.
func eachLine(b []byte, path string, f func(line, at string) error) error {
	s := bufio.NewScanner(bytes.NewReader(withoutBOM(b)))
	n := 1
	for ; s.Scan(); n++ {
		line := strings.TrimSpace(s.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		at := fmt.Sprintf("%s:%d", path, n)
		if err := f(line, at); err != nil {
			return fmt.Errorf("%s: %w", at, err)
		}
	}
	if err := s.Err(); err != nil {
		return fmt.Errorf("%s:%d: %w", path, n, err)
	}
	return nil
}

// registryMark marks a list that was made from pages of a registry: the user has not reviewed its URLs.
const registryMark = "# from a registry: what is in your own network is not tested"

// lines reads a list with one target on each line. The path of a target file is relative to the folder of the list.
func lines(b []byte, path string) (out []entry, err error) {
	foreign := bytes.Contains(b, []byte(registryMark))
	err = eachLine(b, path, func(line, at string) error {
		if strings.Contains(line, "://") {
			_, err := canonical(line)
			out = append(out, entry{URL: line, at: at, foreign: foreign})
			return err
		}
		file := line
		if !filepath.IsAbs(file) && path != "-" {
			file = filepath.Join(filepath.Dir(path), file)
		}
		out = append(out, entry{File: file, name: filepath.ToSlash(filepath.Clean(line)), at: at})
		return nil
	})
	return out, err
}

// canonical returns the canonical form of a target's URL: scheme and host in lower case, without a default port.
func canonical(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", notAURL(err, address)
	}
	if u.Scheme = strings.ToLower(u.Scheme); u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return "", fmt.Errorf("%s: want the http or https URL of an MCP endpoint", reports.Named(reports.WithoutUserinfo(address)))
	}
	if u.User != nil {
		return "", fmt.Errorf("%s: a list holds no user name and no password: leave them out", reports.Named(reports.WithoutUserinfo(address)))
	}
	host := strings.ToLower(u.Hostname())
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port := u.Port(); port != "" && port != map[string]string{"http": "80", "https": "443"}[u.Scheme] {
		host += ":" + port
	}
	u.Host, u.Fragment, u.RawFragment = host, "", ""
	u.Path = cmp.Or(u.Path, "/")
	return u.String(), nil
}

// notAURL removes from an error of url.Parse the parts of the URL that may be secret.
func notAURL(err error, address string) error {
	var e *url.Error
	if errors.As(err, &e) {
		err = e.Err
	}
	_, rest, _ := strings.Cut(address, "://")
	switch authority, _, _ := strings.Cut(rest, "/"); {
	case strings.Contains(authority, "@"):
		err = errors.New("leave out the user name and the password")
	case strings.Contains(address, "@") && strings.Contains(err.Error(), "port"): // the quoted text may be a part of a password
		err = errors.New("invalid port after host")
	}
	return fmt.Errorf("not a URL: %w", err)
}

// key returns the folder name of a target: a digest of its canonical URL, and of the path of its file in the list.
func (e *entry) key() string {
	id, err := canonical(e.URL)
	if err != nil {
		id = e.URL
	}
	if e.File != "" {
		id += "\n" + e.name
	}
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:12])
}

// distinct removes duplicates.
func distinct(entries []entry) []entry {
	seen := map[string]bool{}
	return slices.DeleteFunc(entries, func(e entry) bool {
		k := e.key()
		if seen[k] {
			return true
		}
		seen[k] = true
		return false
	})
}

// registryPage is the answer of an MCP registry at /v0.1/servers, or at /v0/servers in earlier versions, where a server is not wrapped.
type registryPage struct {
	Servers []struct {
		registryServer
		Server *registryServer `json:"server"`
		Meta   struct {
			Official struct {
				Status   string `json:"status"`
				IsLatest *bool  `json:"isLatest"`
			} `json:"io.modelcontextprotocol.registry/official"`
		} `json:"_meta"`
	} `json:"servers"`
	Metadata struct {
		NextCursor string `json:"nextCursor"`
	} `json:"metadata"`
}

// longestURL is the longest URL in a list from a third party.
const longestURL = 2000

// listable reports whether a URL can be a line of a list without changes.
func listable(address string) bool { return reports.OneLine(address, longestURL) == address }

type registryServer struct {
	Remotes []struct {
		Type string `json:"type"`
		URL  string `json:"url"`
	} `json:"remotes"`
}

// registryList is the content of registry pages.
type registryList struct {
	urls     []string
	unusable int    // remotes whose URL has variables, or is invalid
	next     string // the cursor of the last page; empty if it is the last of all
}

// readRegistry reads one page or several consecutive ones: the streamable HTTP endpoints of servers in their latest version that need no
// variables.
func readRegistry(b []byte) (registryList, error) {
	var all registryList
	d := json.NewDecoder(bytes.NewReader(withoutBOM(b)))
	for {
		var page registryPage
		if err := d.Decode(&page); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return all, fmt.Errorf("this is not a page of an MCP registry: %w", err)
		}
		if page.Servers == nil {
			return all, errors.New(`this is not a page of an MCP registry: it has no "servers"`)
		}
		all.add(&page)
	}
}

func (l *registryList) add(page *registryPage) {
	l.next = page.Metadata.NextCursor
	for _, s := range page.Servers {
		if m := s.Meta.Official; m.Status == "deleted" || m.IsLatest != nil && !*m.IsLatest {
			continue
		}
		if s.Server == nil {
			s.Server = &s.registryServer
		}
		for _, r := range s.Server.Remotes {
			if r.Type != "streamable-http" {
				continue
			}
			if _, err := canonical(r.URL); err != nil || strings.Contains(r.URL, "{") || !listable(r.URL) {
				l.unusable++
				continue
			}
			l.urls = append(l.urls, r.URL)
		}
	}
}
