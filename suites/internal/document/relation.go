package document

import (
	"net/url"
	"strings"
)

// The relations of a resource identifier to the URL of an endpoint.
const (
	Same        = "the same"
	NoURL       = "no absolute URL"
	PlainHTTP   = "http for https"
	OtherOrigin = "another origin"
	Root        = "the root of the origin"
	OtherCase   = "another spelling of scheme, host or port"
	OtherSlash  = "another trailing slash"
	OtherQuery  = "another query"
	Prefix      = "a prefix of the path"
	OtherPath   = "another path"
)

// Relation returns the relation of a resource identifier to the URL that a client uses (RFC 9728, section 3.3: they must be identical). An
// empty path and "/" are the same.
func Relation(endpoint, resource string) string {
	mine, err := ParseURL(endpoint)
	if err != nil {
		return NoURL
	}
	u, err := ParseURL(resource)
	switch {
	case err != nil:
		return NoURL
	case resource == endpoint, mine.Path == "" && resource == endpoint+"/", mine.Path == "/" && resource+"/" == endpoint:
		return Same
	case u.Scheme == "http" && mine.Scheme == "https":
		return PlainHTTP
	case Origin(u) != Origin(mine):
		return OtherOrigin
	}
	return relatePaths(mine, u)
}

func relatePaths(mine, u *url.URL) string {
	path := strings.TrimSuffix(u.Path, "/")
	switch {
	case path == "":
		return Root
	case u.Path == mine.Path && u.RawQuery == mine.RawQuery:
		return OtherCase
	case path == strings.TrimSuffix(mine.Path, "/") && u.RawQuery == mine.RawQuery:
		return OtherSlash
	case u.Path == mine.Path:
		return OtherQuery
	case strings.HasPrefix(mine.Path, path+"/"):
		return Prefix
	}
	return OtherPath
}
