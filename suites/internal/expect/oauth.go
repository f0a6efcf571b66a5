package expect

import (
	"encoding/json"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
)

// ScopeToken reports that s is one scope token (RFC 6749 section 3.3).
func ScopeToken(s string) bool {
	for i := 0; i < len(s); i++ {
		if b := s[i]; b < 0x21 || b > 0x7e || b == '"' || b == '\\' {
			return false
		}
	}
	return s != ""
}

// Omnibus reports that a scope means everything, by its name.
func Omnibus(scope string) bool {
	s := strings.ToLower(scope)
	switch s {
	case "*", "all", "full", "full-access", "full_access", "admin", "root":
		return true
	}
	return strings.HasSuffix(s, ":*") || strings.HasSuffix(s, ".*") || strings.HasSuffix(s, ".all")
}

// PrivateKeyMembers are the names of private or symmetric members in a JWK set (RFC 7518 section 6).
func PrivateKeyMembers(ex *reports.Exchange) []string {
	if ex == nil || ex.Response == nil {
		return nil
	}
	o, _, err := document.ParseObject(ex.Response.Body)
	if err != nil {
		return nil
	}
	var out []string
	for _, k := range Keys(o) {
		for _, name := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
			if _, ok := k.Get(name); ok {
				out = append(out, name)
			}
		}
		if k.String("kty") == "oct" {
			out = append(out, "kty oct")
		}
	}
	return out
}

// Keys are the objects in the keys array of a JWK set.
func Keys(set *document.Object) []*document.Object {
	v, _ := set.Get("keys")
	list, _ := v.([]any)
	var out []*document.Object
	for _, e := range list {
		if o, ok := e.(*document.Object); ok {
			out = append(out, o)
		}
	}
	return out
}

// member is a string member of a JSON answer.
func member(ex *reports.Exchange, name string) string {
	if ex == nil || ex.Response == nil {
		return ""
	}
	o, _, err := document.ParseObject(ex.Response.Body)
	if err != nil {
		return ""
	}
	return o.String(name)
}

// Number reads a JSON number.
func Number(v any) (float64, bool) {
	switch n := v.(type) {
	case json.Number:
		f, err := n.Float64()
		return f, err == nil
	case float64:
		return n, true
	}
	return 0, false
}
