package document

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
)

// ParseURL parses an absolute http or https URL by RFC 3986, without repairing anything.
func ParseURL(s string) (*url.URL, error) {
	if s == "" {
		return nil, errors.New("empty")
	}
	for i := 0; i < len(s); i++ {
		if b := s[i]; b <= 0x20 || b >= 0x7f || strings.IndexByte("\"<>\\^`{|}", b) >= 0 {
			return nil, fmt.Errorf("character %q at position %d is not allowed in a URI", b, i)
		}
	}
	u, err := url.Parse(s)
	if err != nil {
		return nil, withoutURL(err, s)
	}
	switch {
	case u.Scheme == "":
		return nil, errors.New("no scheme: a relative reference")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("scheme %q, want https", u.Scheme)
	case u.Hostname() == "":
		return nil, errors.New("no host")
	}
	return u, nil
}

// withoutURL removes the URL from an error of url.Parse, and a port that may be a part of a password.
func withoutURL(err error, address string) error {
	var e *url.Error
	if errors.As(err, &e) {
		err = e.Err
	}
	if strings.Contains(address, "@") && strings.Contains(err.Error(), "port") {
		return errors.New("invalid port after host")
	}
	return err
}

// LoopbackHost reports whether the form of a host name or literal says that it is on this machine.
func LoopbackHost(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}

// PrivateHost reports whether the form of a host says that the public internet cannot reach it.
func PrivateHost(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if LoopbackHost(host) {
		return true
	}
	if a, err := netip.ParseAddr(host); err == nil {
		a = a.Unmap()
		return a.IsPrivate() || a.IsLinkLocalUnicast() || a.IsUnspecified() || netip.MustParsePrefix("100.64.0.0/10").Contains(a)
	}
	return !strings.Contains(host, ".") || strings.HasSuffix(host, ".local") || strings.HasSuffix(host, ".internal")
}

// SameOrigin reports whether two URLs have the same scheme, host and port.
func SameOrigin(a, b string) bool {
	x, err1 := ParseURL(a)
	y, err2 := ParseURL(b)
	return err1 == nil && err2 == nil && Origin(x) == Origin(y)
}

// Origin returns scheme and authority of u, without the default port.
func Origin(u *url.URL) string {
	host := strings.ToLower(u.Hostname())
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if p := u.Port(); p != "" && p != map[string]string{"http": "80", "https": "443"}[u.Scheme] {
		host = net.JoinHostPort(strings.ToLower(u.Hostname()), p)
	}
	return u.Scheme + "://" + host
}

// WellKnown inserts a well-known suffix between host and path (RFC 8615, RFC 9728 section 3.1, RFC 8414 section 3.1). It drops a lone or
// trailing slash of the path, and keeps the query.
func WellKnown(u *url.URL, suffix string) string {
	out := Origin(u) + "/.well-known/" + suffix + strings.TrimSuffix(u.EscapedPath(), "/")
	if u.RawQuery != "" {
		out += "?" + u.RawQuery
	}
	return out
}

// Base64URL encodes without padding, as JOSE does.
func Base64URL(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
