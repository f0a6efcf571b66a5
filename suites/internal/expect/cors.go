package expect

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
)

// AllowPreflight expects a preflight answer that lets a browser send the request for a page of an origin (Fetch, CORS-preflight fetch): an
// ok status, the origin, and the method and header fields that are not safelisted.
func AllowPreflight(origin, method string, fields ...string) Matcher {
	expected := "an answer that lets a page of " + origin + " send the request: HTTP 2xx, Access-Control-Allow-Origin with this origin or *"
	if !safelisted(method) {
		expected += ", Access-Control-Allow-Methods with " + method
	}
	if len(fields) > 0 {
		expected += ", Access-Control-Allow-Headers with " + strings.Join(fields, ", ")
	}
	return named(&matcher{kind: Look, judge: func(actual any) Judgement {
		observed := preflightProblem(ExchangeOf(actual), origin, method, fields)
		return Judgement{Met: observed == "", Expected: expected, Observed: observed}
	}}, "AllowPreflight", origin, method, fields)
}

func preflightProblem(ex *reports.Exchange, origin, method string, fields []string) string {
	if s := Status(ex); s < 200 || s > 299 {
		return Describe(ex)
	}
	if v := Header(ex, "Access-Control-Allow-Origin"); v != "*" && v != origin {
		return allowing(ex, "Access-Control-Allow-Origin")
	}
	if !safelisted(method) && !allows(ex, "Access-Control-Allow-Methods", method) {
		return allowing(ex, "Access-Control-Allow-Methods")
	}
	for _, field := range fields {
		if !allows(ex, "Access-Control-Allow-Headers", field) {
			return allowing(ex, "Access-Control-Allow-Headers")
		}
	}
	return ""
}

// BeReadable expects an answer that a page of an origin may read (Fetch, CORS check, without credentials).
func BeReadable(origin string) Matcher {
	expected := "Access-Control-Allow-Origin with " + origin + " or *, so that a page of this origin can read the answer"
	return named(&matcher{kind: Look, judge: func(actual any) Judgement {
		ex := ExchangeOf(actual)
		v := Header(ex, "Access-Control-Allow-Origin")
		return Judgement{Met: v == "*" || v == origin, Expected: expected, Observed: allowing(ex, "Access-Control-Allow-Origin")}
	}}, "BeReadable", origin)
}

// safelisted reports whether a method needs no permission by a preflight (Fetch, CORS-safelisted method).
func safelisted(method string) bool { return slices.Contains([]string{"GET", "HEAD", "POST"}, method) }

// allows reports whether a list has a member. A * covers everything except Authorization (Fetch, CORS non-wildcard request-header name).
func allows(ex *reports.Exchange, list, member string) bool {
	for v := range strings.SplitSeq(strings.Join(HeaderValues(ex, list), ","), ",") {
		v = strings.TrimSpace(v)
		if strings.EqualFold(v, member) || v == "*" && !strings.EqualFold(member, "authorization") {
			return true
		}
	}
	return false
}

// allowing describes the status of an answer and one of its fields.
func allowing(ex *reports.Exchange, field string) string {
	if v := HeaderValues(ex, field); len(v) > 0 {
		return fmt.Sprintf("HTTP %d with %s: %s", Status(ex), field, strings.Join(v, ", "))
	}
	return fmt.Sprintf("HTTP %d without %s", Status(ex), field)
}
