package suites

import (
	"encoding/json"
	"net"
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/onsi/ginkgo/v2/types"

	"github.com/mcpauth/conformance/fixtures/requirements"
	"github.com/mcpauth/conformance/suites/internal/check"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/mint"
	"github.com/mcpauth/conformance/suites/internal/oauth"
)

func (c *Config) validate(reg *check.Registry) error {
	u, err := document.ParseURL(c.URL)
	if err != nil {
		hint := ""
		if !strings.Contains(c.URL, "://") && c.URL != "" {
			hint = "; did you mean https://" + c.URL + "?"
		}
		return usage("the URL %q cannot be tested: %v%s", c.URL, err, hint)
	}
	if u.User != nil || u.Fragment != "" {
		return usage("the URL %q must have no user name and no fragment", u.Redacted())
	}
	if c.Seed != nil && !Own(c.URL) {
		return usage("a seed makes states, verifiers and keys predictable: it is for targets in your own network, and %s is not", c.URL)
	}
	for _, r := range c.Revisions {
		if !slices.Contains(requirements.Revisions, r) {
			return usage("unknown revision %q; known are %s", r, strings.Join(requirements.Revisions, ", "))
		}
	}
	if c.Recipe != nil && (c.Driver == "form" || c.Driver == "manual") {
		return usage("a login recipe is followed in a browser: sign in by auto or browser, not by %s", c.Driver)
	}
	if c.Driver == "manual" && len(c.Users) > 0 {
		return usage("with a login by hand nobody else can sign in: leave the user out, or sign in by auto, browser or form")
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
	for _, o := range c.Objects {
		switch {
		case o.Resource == "" && o.Prompt == "":
			return usage("an object is neither a resource nor a prompt")
		case o.Private == "":
			return usage("%s: nothing tells what only the first user may see (private)", check.Object(o).Name())
		case o.ChangedBy != "" && !slices.ContainsFunc(c.Tools, func(tool Tool) bool { return tool.Name == o.ChangedBy }):
			return usage("%s: it is changed by %s, which is not among the tools", check.Object(o).Name(), o.ChangedBy)
		}
	}
	for _, tool := range c.Tools {
		if tool.HandleFrom != "" && !slices.ContainsFunc(c.Tools, func(other Tool) bool { return other.Name == tool.HandleFrom }) {
			return usage("tool %s: its handle comes from %s, which is not among the tools", tool.Name, tool.HandleFrom)
		}
		if tool.Effect == "" {
			continue
		}
		if !slices.ContainsFunc(c.Tools, func(other Tool) bool { return other.Name == tool.Effect }) {
			return usage("tool %s: its effect is shown by %s, which is not among the tools", tool.Name, tool.Effect)
		}
		if b, _ := json.Marshal(tool.Arguments); !strings.Contains(string(b), check.Marker) {
			return usage("tool %s: its effect cannot be told from that of others: put %s into its arguments", tool.Name, check.Marker)
		}
	}
	for i, given := range c.Credentials {
		if given.Limit < 0 || given.Limit > mostLimit || given.Limit > 0 && given.Window <= 0 {
			return usage("credential %d (%s): want a limit of 1 to %d requests in a time; declare a smaller one on a test instance", i+1, given.Name, mostLimit)
		}
		if given.Value == "" || strings.ContainsAny(given.Value+given.Header, "\r\n") || strings.ContainsAny(given.Header, " :") {
			return usage("credential %d (%s): want a value and a header name that fit in a header field", i+1, given.Name)
		}
	}
	if _, err := document.ParseURL(c.OtherResource); c.OtherResource != "" && (err != nil || c.OtherResource == c.URL) {
		return usage("the other resource %q: want the URL of another MCP endpoint", c.OtherResource)
	}
	if c.MaxWait < 0 {
		return usage("a wait of %v is none: want a time such as 90s", c.MaxWait)
	}
	if n := len(c.SharedSecret.Value); n > 0 && n < 8 {
		return usage("the shared secret has %d bytes: want at least 8", n)
	}
	for _, client := range c.Clients {
		if client.Key == "" {
			if client.Method == oauth.PrivateKey {
				return usage("client %s: private_key_jwt takes a key", client.ID)
			}
			continue
		}
		if _, err := mint.ParseKey(client.KeyID, []byte(client.Key)); err != nil {
			return usage("client %s: its key cannot be used: %v", client.ID, err)
		}
	}
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

// mostLimit is the highest limit that is tried: more would be an attack.
const mostLimit = 300

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
	return usage("no requirement matches %q; mcpauth list shows them all%s", pattern, nearest(pattern))
}

func nearest(id string) string {
	best, score := "", 0
	for _, r := range requirements.All() {
		n := 0
		for _, word := range strings.Split(strings.ToUpper(id), "-") {
			if len(word) > 2 && strings.Contains(r.ID, word) {
				n += len(word)
			}
		}
		if n > score {
			best, score = r.ID, n
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}
