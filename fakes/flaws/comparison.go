package flaws

import (
	"net/url"
	"path"
	"strings"

	"github.com/mcpauth/conformance/fakes/idp"
)

// redirectMatch returns the flaw of a comparison of redirect URIs that is too weak.
func redirectMatch(name, says, row string, takes func(registered, sent string) bool) Flaw {
	return Flaw{
		Name: "authorize-redirect-" + name, Says: says, Row: row, Noticed: []string{"AS-AUTHZ-REDIRECT-EXACT"},
		Also: []string{"AS-AUTHZ-LOOPBACK-STRICT", "AS-CIMD-REDIRECT-LISTED"},
		Bend: behaviour(func(b *idp.Behaviour) { b.TakesRedirect = takes }),
	}
}

// clientMatch returns the flaw of a comparison of client identifiers that is too weak.
func clientMatch(name, says, row string, takes func(id, sent string) bool) Flaw {
	return Flaw{
		Name: "authorize-client-" + name, Says: says, Row: row, Noticed: []string{"AS-AUTHZ-UNKNOWN-CLIENT"},
		Also: []string{"AS-AUTHZ-MISSING-CLIENT", "AS-TOKEN-*", "AS-REFRESH-*", "AS-CIMD-*"},
		Bend: behaviour(func(b *idp.Behaviour) { b.TakesClient = takes }),
	}
}

// parsed compares two URLs by their parts.
func parsed(same func(a, b *url.URL) bool) func(string, string) bool {
	return func(registered, sent string) bool {
		a, err1 := url.Parse(registered)
		b, err2 := url.Parse(sent)
		return err1 == nil && err2 == nil && a.Scheme == b.Scheme && same(a, b)
	}
}

var comparisons = []Flaw{
	redirectMatch("any-query", "The query of a redirect URI is not compared.", "the query left out",
		parsed(func(a, b *url.URL) bool { return a.Host == b.Host && a.Path == b.Path && b.User == nil })),
	redirectMatch("any-path", "Of a redirect URI, only the host is compared.", "another path",
		parsed(func(a, b *url.URL) bool { return a.Host == b.Host && b.User == nil })),
	redirectMatch("two-slashes", "Slashes in a path are counted once.", "a slash of the path twice",
		parsed(func(a, b *url.URL) bool {
			return a.Host == b.Host && path.Clean(b.Path) == a.Path && a.RawQuery == b.RawQuery && b.User == nil
		})),
	redirectMatch("path-parameter", "What follows a semicolon in a path is not compared.", "a parameter of the last segment",
		parsed(func(a, b *url.URL) bool {
			whole, _, _ := strings.Cut(b.Path, ";")
			return a.Host == b.Host && whole == a.Path && a.RawQuery == b.RawQuery && b.User == nil
		})),
	redirectMatch("subdomain", "Subdomains of a registered host are accepted.", "a subdomain",
		parsed(func(a, b *url.URL) bool {
			return strings.HasSuffix(b.Host, "."+a.Host) && a.RequestURI() == b.RequestURI()
		})),
	redirectMatch("host-suffix", "A host that ends like the registered one is accepted.", "a host that ends in the same letters",
		parsed(func(a, b *url.URL) bool { return strings.HasSuffix(b.Host, a.Host) && a.RequestURI() == b.RequestURI() })),
	redirectMatch("letter-case", "Paths are compared without regard to letter case.", "the path in another letter case",
		parsed(func(a, b *url.URL) bool {
			return a.Host == b.Host && strings.EqualFold(a.RequestURI(), b.RequestURI()) && b.User == nil
		})),
	redirectMatch("any-port", "The port of any host may vary.", "another port",
		parsed(func(a, b *url.URL) bool {
			return a.Hostname() == b.Hostname() && a.RequestURI() == b.RequestURI() && b.User == nil
		})),
	redirectMatch("trailing-slash", "A slash at the end of the path is ignored.", "a slash more at the end of the path",
		parsed(func(a, b *url.URL) bool {
			return a.Host == b.Host && b.Path == a.Path+"/" && a.RawQuery == b.RawQuery && b.User == nil
		})),
	alsoNoticed(redirectMatch("fragment", "The fragment of a redirect URI is not compared.", "a fragment",
		func(registered, sent string) bool { return strings.HasPrefix(sent, registered+"#") }), "AS-AUTHZ-LOOPBACK-STRICT"),
	redirectMatch("dot-as-pattern", "Registered URIs are used as regular expressions.", "a letter instead of a dot of the host",
		func(registered, sent string) bool { return sent == strings.Replace(registered, ".", "x", 1) }),

	clientMatch("letter-case", "Client identifiers are compared without regard to letter case.", "upper and lower case swapped",
		strings.EqualFold),
	clientMatch("prefix", "A client is found by the beginning of its identifier.", "the last character left out",
		func(id, sent string) bool { return len(sent) > 4 && strings.HasPrefix(id, sent) }),
	clientMatch("trimmed", "White space around a client identifier is ignored.", "a space after it",
		func(id, sent string) bool { return id == strings.TrimSpace(sent) }),
	{
		Name: "authorize-short-state-refused", Says: "A state of fewer than 32 characters is refused.", Row: "22 characters",
		Bend:    behaviour(func(b *idp.Behaviour) { b.State = func(v string) (string, bool) { return v, len(v) >= 32 } }),
		Noticed: []string{"AS-AUTHZ-STATE-EXACT"}, Also: []string{"AS-AUTHZ-*", "AS-PAR-*"},
	},
	{
		Name: "authorize-long-state-cut", Says: "A state is cut off after 512 characters.", Row: "513 characters",
		Bend:    behaviour(func(b *idp.Behaviour) { b.State = func(v string) (string, bool) { return v[:min(512, len(v))], true } }),
		Noticed: []string{"AS-AUTHZ-STATE-EXACT"},
	},
	{
		Name: "authorize-long-state-refused", Says: "A state of more than 1000 characters is refused.", Row: "2000 characters",
		Bend:    behaviour(func(b *idp.Behaviour) { b.State = func(v string) (string, bool) { return v, len(v) <= 1000 } }),
		Noticed: []string{"AS-AUTHZ-STATE-EXACT"}, Also: []string{"AS-AUTHZ-ERROR-STATUS"},
	},
}
