package suites

import (
	"net"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/onsi/ginkgo/v2/types"

	"github.com/mcpauth/conformance/fixtures/nearest"
	"github.com/mcpauth/conformance/fixtures/requirements"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/check"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/mint"
)

func (c *Config) validate(reg *check.Registry) error {
	for _, part := range []func() error{
		c.validURL, c.passive, c.validTarget, c.unserved, c.validLogin,
		func() error { return c.validChoice(reg) }, c.validKeys, c.validLimits, c.validNetwork,
	} {
		if err := part(); err != nil {
			return err
		}
	}
	return nil
}

func (c *Config) validURL() error {
	shown := reports.Named(reports.WithoutUserinfo(c.URL))
	u, err := document.ParseURL(c.URL)
	switch {
	case reports.IsNamed(c.URL) || reports.IsNamed(c.OtherResource):
		return usage("the URL is as a report shows it: write the secret instead of redacted-…")
	case strings.HasPrefix(c.URL, "/"):
		return usage("the URL %q has no scheme and no host: want one such as https://mcp.example.com/mcp", shown)
	case err != nil && !strings.Contains(c.URL, "://") && c.URL != "":
		scheme := "https://"
		if Own("http://" + c.URL) {
			scheme = "http://" // servers on this machine rarely have a certificate
		}
		return usage("the URL has no scheme; did you mean %s%s?", scheme, shown)
	case err != nil:
		return usage("the URL %q cannot be tested: %v", shown, err)
	case !possiblePort(u.Port()):
		return usage("the URL %q has the port %s: want one from 1 to 65535", shown, u.Port())
	case u.User != nil || u.Fragment != "":
		return usage("the URL %q must have no user name and no fragment", shown)
	case c.Seed != nil && !Own(c.URL):
		return usage("a seed makes states, verifiers and keys predictable: it is for targets in your own network, and %s is not", shown)
	}
	return nil
}

// possiblePort reports whether a server can listen at a port; empty is the default one.
func possiblePort(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return port == "" || err == nil && n > 0
}

func (c *Config) validTarget() error {
	if err := c.Validate(); err != nil {
		return usage("%v", err)
	}
	return nil
}

func (c *Config) validLogin() error {
	switch {
	case c.Recipe != nil && (c.Driver == "form" || c.Driver == "manual"):
		return usage("a login recipe is followed in a browser: sign in by auto or browser, not by %s", c.Driver)
	case c.Driver == "manual" && len(c.Users) > 0:
		return usage("with a login by hand no other user can sign in: leave the user out, or sign in by auto, browser or form")
	}
	return nil
}

func (c *Config) validChoice(reg *check.Registry) error {
	for _, r := range c.Revisions {
		if !slices.Contains(requirements.Revisions, r) {
			return usage("unknown revision %q; known are %s", r, strings.Join(requirements.Revisions, ", "))
		}
	}
	for _, pattern := range append(slices.Clone(c.Only), c.Skip...) {
		if err := known(reg, pattern); err != nil {
			return err
		}
	}
	if c.LabelFilter != "" {
		if _, err := types.ParseLabelFilter(c.LabelFilter); err != nil {
			return usage("the label filter %q cannot be read: %v", c.LabelFilter, strings.Join(strings.Fields(err.Error()), " "))
		}
	}
	return nil
}

func (c *Config) validKeys() error {
	for _, client := range c.Clients {
		if client.Key == "" {
			continue
		}
		if _, err := mint.ParseKey(client.KeyID, []byte(client.Key)); err != nil {
			return usage("client %s: its key cannot be used: %v", client.ID, err)
		}
	}
	return nil
}

func (c *Config) validLimits() error {
	_, err := document.ParseURL(c.OtherResource)
	switch {
	case c.OtherResource != "" && (err != nil || c.OtherResource == c.URL):
		return usage("the other resource %q: want the URL of another MCP endpoint", reports.Named(reports.WithoutUserinfo(c.OtherResource)))
	case c.MaxWait < 0:
		return usage("a wait of %v: want a positive time such as 90s", c.MaxWait)
	case c.Timeout < 0:
		return usage("a run of %v: want a positive time such as 10m", c.Timeout)
	case c.Concurrency < 0 || c.MaxRequests < 0 || c.Rate < 0:
		return usage("%d requests in flight, %d in all and %v a second: want no negative limit", c.Concurrency, c.MaxRequests, c.Rate)
	case c.ProveControl != "" && !reports.ValidNonce(c.ProveControl):
		return usage("the nonce %q: want 16 to 128 letters, digits, - and _, drawn at random", reports.OneLine(c.ProveControl, 150))
	}
	return nil
}

func (c *Config) validNetwork() error {
	if c.NameServer != "" {
		if _, err := netip.ParseAddrPort(c.NameServer); err != nil {
			return usage("name server %q: want an address and a port, such as 192.0.2.53:53", c.NameServer)
		}
	}
	for from, to := range c.ConnectTo {
		for _, hp := range []string{from, to} {
			if _, _, err := net.SplitHostPort(hp); err != nil {
				return usage("connect-to %q: want host:port", hp)
			}
		}
	}
	return nil
}

// unserved says which server is declared for the target to trust, and not there.
func (c *Config) unserved() error {
	for key, absent := range map[string]bool{
		"fake_idp": c.FakeIDP != nil && c.Issuer == nil, "second_idp": c.SecondIDP != nil && c.SecondIssuer == nil,
		"enterprise": c.EnterpriseIDP.Listen != "" && c.Enterprise == nil, "upstream": c.UpstreamIDP != nil && c.Upstream == nil,
	} {
		if absent {
			return usage("%s declares %s, and no such server runs: give one in the configuration, or test with the command mcpauth", c.File, key)
		}
	}
	return nil
}

// known refuses a pattern that matches no requirement, and one that matches only pending ones.
func known(reg *check.Registry, pattern string) error {
	pending := false
	for _, r := range requirements.All() {
		if ok, err := path.Match(pattern, r.ID); err != nil {
			return usage("the pattern %q cannot be read: %v", pattern, err)
		} else if !ok {
			continue
		}
		if _, has := reg.Lookup(r.ID); has {
			return nil
		}
		pending = true
	}
	if pending {
		return usage("%s has no check yet", pattern)
	}
	return usage("no requirement matches %q; mcpauth list --wide shows them all%s", pattern, suggested(pattern))
}

// suggested returns what a pattern probably means: an id, or the ids of an area.
func suggested(pattern string) string {
	var ids, areas []string
	for _, r := range requirements.All() {
		ids = append(ids, r.ID)
		if parts := strings.SplitN(r.ID, "-", 3); len(parts) == 3 {
			areas = append(areas, parts[0]+"-"+parts[1]+"-*")
		}
	}
	meant := nearest.Of(pattern, ids)
	if strings.Contains(pattern, "*") {
		meant = nearest.Of(pattern, areas)
	}
	if meant == "" {
		return ""
	}
	return "; did you mean " + meant + "?"
}
