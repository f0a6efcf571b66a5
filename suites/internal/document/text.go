package document

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Text returns a value of a document as JSON.
func Text(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case []any:
		items := make([]string, len(v))
		for i, item := range v {
			items[i] = Text(item)
		}
		return "[" + strings.Join(items, ", ") + "]"
	case *Object:
		members := make([]string, len(v.Members))
		for i, m := range v.Members {
			members[i] = Text(m.Name) + ": " + Text(m.Value)
		}
		return "{" + strings.Join(members, ", ") + "}"
	case string:
		var b strings.Builder
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		_ = e.Encode(v) // a string always marshals
		return strings.TrimSuffix(b.String(), "\n")
	}
	return fmt.Sprint(v)
}
