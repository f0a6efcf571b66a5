package mcp

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mcpauth/conformance/reports"
)

// paged serves a list with one tool a page; the page after the last is answered with an error.
func paged(pages int, broken bool) func(Call) *reports.Exchange {
	return func(c Call) *reports.Exchange {
		n := 0
		if cursor, ok := c.Params["cursor"].(string); ok {
			_, _ = fmt.Sscanf(cursor, "page %d", &n)
		}
		next := ""
		if n < pages-1 || broken {
			next = fmt.Sprintf(`,"nextCursor":"page %d"`, n+1)
		}
		body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"tool %d"}]%s}}`, n, next)
		if n == pages {
			body = `{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"Invalid cursor"}}`
		}
		return &reports.Exchange{Response: &reports.Response{Status: 200, Body: body}}
	}
}

func TestListsAreReadPageByPage(t *testing.T) {
	for _, c := range []struct {
		name         string
		pages        int
		broken       bool
		read, listed int
		whole        bool
	}{
		{"one page", 1, false, 1, 1, true},
		{"as many as are read", MostPages, false, MostPages, MostPages, true},
		{"one more than is read", MostPages + 1, false, MostPages, MostPages, false},
		{"a cursor that is refused", 2, true, 3, 2, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := ReadList(Call{RPC: "tools/list"}, paged(c.pages, c.broken))
			assert.Len(t, l.Pages, c.read)
			assert.Len(t, l.Entries("tools"), c.listed)
			assert.Equal(t, c.whole, l.Whole)
		})
	}
}
