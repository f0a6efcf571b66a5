package nearmiss

import (
	"net/url"
	"strings"
)

// Attacker is the host in the near misses of a URL.
const Attacker = "attacker.example"

// parts of an absolute URL, as it is written.
type parts struct{ scheme, host, port, path, query string }

// String writes the URL. A query includes its question mark.
func (p parts) String() string {
	if p.port != "" {
		p.port = ":" + p.port
	}
	return p.scheme + "://" + p.host + p.port + p.path + p.query
}

// of edits the parts of an absolute URL. Other values have no such near miss.
func of(edit func(p *parts)) func(string) string {
	return func(good string) string {
		u, err := url.Parse(good)
		if err != nil || u.Scheme == "" || u.Host == "" {
			return good
		}
		p := parts{scheme: good[:len(u.Scheme)], host: u.Hostname(), port: u.Port()}
		if strings.Contains(p.host, ":") {
			p.host = "[" + p.host + "]"
		}
		_, rest, _ := strings.Cut(good, u.Host)
		p.path, p.query, _ = strings.Cut(rest, "?")
		if u.RawQuery != "" || u.ForceQuery {
			p.query = "?" + p.query
		}
		edit(&p)
		return p.String()
	}
}

// named reports whether a host is a name, which can have subdomains and letter case.
func named(host string) bool {
	return strings.ContainsFunc(host, func(r rune) bool { return r >= 'g' && r <= 'z' })
}

func onNames(edit func(p *parts)) func(p *parts) {
	return func(p *parts) {
		if named(p.host) {
			edit(p)
		}
	}
}

func onPaths(edit func(p *parts)) func(p *parts) {
	return func(p *parts) {
		if len(p.path) > 1 {
			edit(p)
		}
	}
}

var urlWays = []Way{
	{Host, "the host followed by another domain", of(func(p *parts) { p.host += "." + Attacker })},
	{Host, "the host as user information of another", of(func(p *parts) { p.host += "@" + Attacker })},
	{Host, "the host and port as user information of another", of(func(p *parts) {
		if p.port != "" {
			p.host, p.port = p.host+":"+p.port+"@"+Attacker, ""
		}
	})},
	{Host, "a backslash before another host", of(func(p *parts) { p.host += `\@` + Attacker })},
	{Host, "an encoded dot before another domain", of(func(p *parts) { p.host += "%2e" + Attacker })},
	{Host, "another host", of(func(p *parts) { p.host = Attacker })},
	{Host, "the URL in the query of another host", func(v string) string { return "https://" + Attacker + "/?" + v }},
	{Host, "a subdomain", of(onNames(func(p *parts) { p.host = "sub." + p.host }))},
	{Host, "a host that ends in the same letters", of(onNames(func(p *parts) { p.host = "evil" + p.host }))},
	{Host, "a letter instead of a dot of the host", of(onNames(func(p *parts) { p.host = strings.Replace(p.host, ".", "x", 1) }))},
	{User, "user information before the host", of(func(p *parts) { p.host = "mcpauth@" + p.host })},
	{Scheme, "the other scheme", of(func(p *parts) {
		if p.scheme = map[string]string{"http": "https", "https": "http"}[strings.ToLower(p.scheme)]; p.scheme == "" {
			p.scheme = "https"
		}
	})},
	{Port, "another port", of(func(p *parts) { p.port = map[bool]string{true: "8444", false: "8443"}[p.port == "8443"] })},
	{Slash, "a slash more at the end of the path", of(func(p *parts) {
		if p.path += "/"; strings.HasSuffix(p.path, "//") {
			p.path = strings.TrimSuffix(p.path, "//")
		}
	})},
	{Path, "another path", of(func(p *parts) { p.path = "/mcpauth-other" })},
	{Path, "one segment more", of(func(p *parts) { p.path = strings.TrimSuffix(p.path, "/") + "/evil" })},
	{Path, "one letter more at the end of the path", of(onPaths(func(p *parts) { p.path += "x" }))},
	{Path, "the path left out", of(onPaths(func(p *parts) { p.path = "/" }))},
	{Path, "dot segments to another path", of(onPaths(func(p *parts) { p.path += "/../evil" }))},
	{Path, "encoded dot segments", of(onPaths(func(p *parts) { p.path += "/..%2fevil" }))},
	{Path, "a slash of the path twice", of(onPaths(func(p *parts) {
		i := strings.LastIndex(p.path, "/")
		p.path = p.path[:i] + "/" + p.path[i:]
	}))},
	{Path, "a parameter of the last segment", of(onPaths(func(p *parts) { p.path += ";x" }))}, // RFC 3986 section 3.3
	{LetterCase, "the path in another letter case", of(onPaths(func(p *parts) { p.path = SwapCase(p.path) }))},
	{Encoded, "a slash of the path encoded", of(onPaths(func(p *parts) {
		if i := strings.LastIndex(p.path, "/"); i > 0 {
			p.path = p.path[:i] + "%2F" + p.path[i+1:]
		}
	}))},
	{Encoded, "the whole URL percent-encoded", url.QueryEscape},
	{Query, "a parameter more", of(func(p *parts) {
		if p.query == "" {
			p.query = "?x=1"
		} else {
			p.query += "&x=1"
		}
	})},
	{Query, "the query left out", of(func(p *parts) { p.query = "" })},
	{Query, "another parameter first", of(func(p *parts) {
		if p.query != "" {
			p.query = "?x=1&" + p.query[1:]
		}
	})},
	{Query, "a fragment", func(v string) string { return v + "#mcpauth" }},
	{Null, "a NUL byte at the end", func(v string) string { return v + "\x00" }},
	{Space, "a space after it", func(v string) string { return v + " " }},
	{Space, "a tab after it", func(v string) string { return v + "\t" }},
	{Equivalent, "the scheme in upper case", of(func(p *parts) { p.scheme = strings.ToUpper(p.scheme) })},
	{Equivalent, "the host in upper case", of(onNames(func(p *parts) { p.host = strings.ToUpper(p.host) }))},
	{Equivalent, "the default port written out", of(func(p *parts) {
		if p.port == "" {
			p.port = map[string]string{"http": "80", "https": "443"}[strings.ToLower(p.scheme)]
		}
	})},
	{Equivalent, "a letter of the path encoded", of(onPaths(func(p *parts) { p.path = encodedAt(p.path, 1) }))},
	{Equivalent, "dot segments that lead back", of(onPaths(func(p *parts) { p.path = "/x/.." + p.path }))},
}

func decoded(v string) string {
	if s, err := url.PathUnescape(v); err == nil {
		return s
	}
	return v
}
