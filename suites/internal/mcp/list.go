package mcp

import (
	"maps"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
)

// MostPages bounds how many pages of a list are read.
const MostPages = 10

// List is a list of a server, page by page (MCP Pagination).
type List struct {
	// Pages has at least one answer.
	Pages []*reports.Exchange
	// Whole reports whether the last page is the end of the list: only then nothing more is listed.
	Whole bool
}

// ReadList requests a list, and each page that the one before names (nextCursor).
func ReadList(c Call, send func(Call) *reports.Exchange) List { return Continue(c, send(c), send) }

// Continue is ReadList after the first answer.
func Continue(c Call, first *reports.Exchange, send func(Call) *reports.Exchange) List {
	for l := (List{Pages: []*reports.Exchange{first}}); ; {
		result := Read(l.Last()).Result
		next := result.String("nextCursor")
		if next == "" || len(l.Pages) == MostPages {
			l.Whole = result != nil && next == ""
			return l
		}
		params := map[string]any{}
		maps.Copy(params, c.Params)
		params["cursor"] = next
		l.Pages = append(l.Pages, send(c.Method(c.RPC, params)))
	}
}

// First is the first answer.
func (l List) First() *reports.Exchange { return l.Pages[0] }

// Last is the last answer.
func (l List) Last() *reports.Exchange { return l.Pages[len(l.Pages)-1] }

// Entries returns the objects in a member of all pages.
func (l List) Entries(member string) (out []*document.Object) {
	for _, page := range l.Pages {
		out = append(out, Read(page).Objects(member)...)
	}
	return out
}
