package expect

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
)

// ScopeToken reports whether s is one scope token (RFC 6749 section 3.3).
func ScopeToken(s string) bool {
	for i := 0; i < len(s); i++ {
		if b := s[i]; b < 0x21 || b > 0x7e || b == '"' || b == '\\' {
			return false
		}
	}
	return s != ""
}

// Omnibus reports whether the name of a scope means everything.
func Omnibus(scope string) bool {
	s := strings.ToLower(scope)
	switch s {
	case "*", "all", "full", "full-access", "full_access", "admin", "root":
		return true
	}
	return strings.HasSuffix(s, ":*") || strings.HasSuffix(s, ".*") || strings.HasSuffix(s, ".all")
}

// PrivateKeyMembers returns the names of private and symmetric members with a value in any JWK of a JSON answer (RFC 7518 section 6).
func PrivateKeyMembers(ex *reports.Exchange) []string {
	var names []string
	privateMembers(parsed(ex), func(name, _ string) { names = append(names, name) })
	return names
}

// PrivateKeyValues returns the values of those members.
func PrivateKeyValues(ex *reports.Exchange) []string {
	var values []string
	privateMembers(parsed(ex), func(_, value string) { values = append(values, value) })
	return values
}

// privateOf are the private members by kty. AKP is for keys of post-quantum algorithms.
var privateOf = map[string][]string{
	"RSA": {"d", "p", "q", "dp", "dq", "qi", "oth"},
	"EC":  {"d"},
	"OKP": {"d"},
	"oct": {"k"},
	"AKP": {"priv"},
}

// privateMembers finds JWKs at any depth: objects with a kty.
func privateMembers(v any, found func(name, value string)) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			privateMembers(e, found)
		}
	case *document.Object:
		for _, name := range privateOf[v.String("kty")] {
			if member, _ := v.Get(name); member != nil && member != "" {
				found(name, fmt.Sprint(member))
			}
		}
		for _, m := range v.Members {
			privateMembers(m.Value, found)
		}
	}
}

// parsed returns the JSON object in an answer, or nil.
func parsed(ex *reports.Exchange) any {
	if o, _, err := document.ParseObject(Body(ex)); err == nil {
		return o
	}
	return nil
}

// Keys returns the objects in the keys array of a JWK set.
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

// member returns a string member of a JSON answer.
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
