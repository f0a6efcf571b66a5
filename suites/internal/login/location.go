package login

import "strings"

// readByBrowsers is a relative Location as browsers read it, and url.Parse does not: a backslash is a slash, any number of slashes leads
// to another host, and so does the other scheme without a slash (WHATWG URL section 4.4).
func readByBrowsers(scheme, location string) string {
	path := location
	if end := strings.IndexAny(location, "?#"); end >= 0 {
		path = location[:end]
	}
	rest := location[len(path):]
	path = strings.ReplaceAll(path, `\`, "/")
	before, after, named := strings.Cut(path, ":")
	before = strings.ToLower(before)
	switch {
	case strings.HasPrefix(path, "//"):
		return "//" + strings.TrimLeft(path, "/") + rest
	case strings.HasPrefix(path, "/"):
		return path + rest
	case !named || strings.HasPrefix(location[len(before)+1:], "//") || before != "http" && before != "https":
		return location
	case before == scheme:
		return after + rest
	}
	return before + "://" + strings.TrimLeft(after, "/") + rest
}
