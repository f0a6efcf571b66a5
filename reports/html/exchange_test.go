package html

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestPrettyBodies(t *testing.T) {
	long := `{"first":1,"list":["` + strings.Repeat(`x","`, mostBody) + `"]}`
	deep := strings.Repeat("[", mostParsed/2) + strings.Repeat("]", mostParsed/2)
	for name, c := range map[string]struct {
		body, kind string
		begins     []string
		whole      bool
	}{
		"JSON":      {`{"a":1}`, "application/json", []string{"{", `  "a": 1`, "}"}, true},
		"long JSON": {long, "application/json", []string{"{", `  "first": 1,`, `  "list": [`, `    "x",`}, false},
		"deep JSON": {deep, "application/json", []string{strings.Repeat("[", mostBody) + "…"}, false},
		"an event": {"event: message\ndata: {\"a\":1}\n\n", "text/event-stream",
			[]string{"event: message", "data:", "{", `  "a": 1`}, true},
		"blank lines": {strings.Repeat("\n", 2*mostParsed), "text/plain", []string{"", ""}, false},
		"more than is parsed": {`{"a":"` + strings.Repeat("é", mostParsed), "application/json",
			[]string{`{"a":"` + strings.Repeat("é", (mostBody-6)/2) + "…"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			lines := pretty(c.body, c.kind)
			size := 0
			for i, l := range lines {
				size += len(strings.TrimSpace(l.text)) + 1
				if i < len(c.begins) {
					assert.Equal(t, c.begins[i], l.text)
				}
			}
			assert.GreaterOrEqual(t, len(lines), len(c.begins))
			assert.LessOrEqual(t, size, mostBody+len("…")+1)
			assert.Equal(t, c.whole, !strings.HasSuffix(lines[len(lines)-1].text, "…"))
		})
	}
}
