package login

import "strings"

// readByBrowsers reads a relative Location like a browser, unlike url.Parse: a backslash is a slash, and any number of slashes leads to
// another host, as does the other scheme without a slash (WHATWG URL section 4.4).
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
