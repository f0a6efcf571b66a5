package suites

import "github.com/mcpauth/conformance/suites/internal/check"

// areas is the explicit list of all areas, in the order of reports. A test compares it with the folders.
var areas = []check.Area{}
