package wire

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
)

// FetchAgent is the User-Agent of Node's fetch, which most MCP clients send.
const FetchAgent = "node"

// fetch writes a request like Node's fetch (undici): HTTP/1.1, with the given fields in their order and letter case among its own. Go's
// client sorts the fields and normalizes their names, by which a target could identify it.
func (c *Client) fetch(ctx context.Context, req Request, ex *reports.Exchange) error {
	u, err := url.Parse(req.URL)
	if err != nil {
		return err
	}
	fields := []reports.Field{{Name: "host", Value: u.Host}, {Name: "connection", Value: "keep-alive"}}
	given := slices.DeleteFunc(slices.Clone(req.Header), func(f reports.Field) bool { return strings.EqualFold(f.Name, "User-Agent") })
	fields = append(append(fields, c.gate(u)...), given...)
	fields = append(fields, reports.Field{Name: "accept-language", Value: "*"}, reports.Field{Name: "sec-fetch-mode", Value: "cors"},
		reports.Field{Name: "user-agent", Value: FetchAgent}, reports.Field{Name: "accept-encoding", Value: "gzip, deflate"})
	if req.Body != "" {
		fields = append(fields, reports.Field{Name: "content-length", Value: fmt.Sprint(len(req.Body))})
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", req.Method, u.RequestURI())
	for _, f := range fields {
		if strings.ContainsAny(f.Name+f.Value, "\r\n\x00") {
			return fmt.Errorf("the field %s cannot be sent: it has a line break or a NUL in it", f.Name)
		}
		fmt.Fprintf(&b, "%s: %s\r\n", f.Name, f.Value)
	}
	b.WriteString("\r\n" + req.Body)
	ex.Request.Header = fields
	return c.raw(ctx, req, []byte(b.String()), ex)
}
