package main

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites"
	"github.com/mcpauth/conformance/suites/target"
	"github.com/mcpauth/conformance/suites/target/strict"
)

// chosen returns the targets of this run: those of its part of the list, without opted-out ones and duplicates, each with its URL.
func (o *options) chosen(entries []entry) ([]entry, error) {
	part, err := partOf("split", o.fleet.split)
	if err != nil {
		return nil, err
	}
	out, err := readOptOuts(o.fleet.optOut)
	if err != nil {
		return nil, err
	}
	var mine []entry
	for _, e := range entries {
		if err := e.readFile(); err != nil {
			return nil, fmt.Errorf("%s: %w", e.at, err)
		}
		id, err := canonical(e.URL)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.at, err)
		}
		if inPart(id, part) && !out.has(id) {
			mine = append(mine, e)
		}
	}
	mine = distinct(mine)
	return mine, o.introduced(mine)
}

// readFile reads the URL and the recipe of an entry from its target file, if it has one.
func (e *entry) readFile() error {
	if e.File == "" {
		return nil
	}
	t, err := target.Load(e.File)
	if err != nil {
		return err
	}
	if e.URL = t.URL; t.Recipe != nil {
		e.recipe = t.Recipe.File
	}
	return nil
}

// introduced requires a contact if the list has servers outside the user's network.
func (o *options) introduced(entries []entry) error {
	if strings.ContainsAny(o.fleet.contact, "\r\n()") {
		return fmt.Errorf("--contact %q: want a URL or an address, without brackets", o.fleet.contact)
	}
	for _, e := range entries {
		if !suites.Own(e.URL) && o.fleet.contact == "" {
			return fmt.Errorf("the list has servers beyond your own network, such as %s: say with --contact how their owners reach you",
				reports.Named(e.URL))
		}
	}
	return nil
}

// inPart reports whether a target is in a part. Only its URL decides, so that other targets keep their part when a list grows.
func inPart(canonicalURL string, part reports.Shard) bool {
	if part.Count == 0 {
		return true
	}
	sum := sha256.Sum256([]byte(canonicalURL))
	return int(binary.BigEndian.Uint64(sum[:])%uint64(part.Count)) == part.Index-1
}

// optOuts are the opted-out hosts and URLs.
type optOuts map[string]bool

func readOptOuts(path string) (optOuts, error) {
	out := optOuts{}
	if path == "" {
		return out, nil
	}
	b, err := strict.ReadFile(path, mostInput)
	if err != nil {
		return nil, fmt.Errorf("--opt-out: %w", err)
	}
	return out, eachLine(b, path, func(line, _ string) error {
		if strings.Contains(line, "://") {
			id, err := canonical(line)
			out[id] = true
			return err
		}
		if strings.ContainsAny(line, "/ \t") || strings.Contains(strings.TrimPrefix(line, "*."), "*") {
			return errors.New("want a host, *.host or a URL: " + reports.OneLine(line, 100))
		}
		out[strings.ToLower(line)] = true
		return nil
	})
}

// has reports whether the owner of a URL has opted out: with the URL, its host, or all names below a domain.
func (o optOuts) has(canonicalURL string) bool {
	if o[canonicalURL] {
		return true
	}
	u, err := url.Parse(canonicalURL)
	if err != nil {
		return false
	}
	host := u.Hostname()
	if o[host] || o[u.Host] {
		return true
	}
	for i := strings.IndexByte(host, '.'); i >= 0; i = strings.IndexByte(host, '.') {
		if host = host[i+1:]; o["*."+host] {
			return true
		}
	}
	return false
}
