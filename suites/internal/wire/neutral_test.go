package wire

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mcpauth/conformance/reports"
)

func TestANeutralRequestKeepsWhatIsTheUsers(t *testing.T) {
	t.Parallel()
	c := &Client{opt: Options{Neutral: true}}
	for _, row := range []struct{ check, text, sent string }{
		{"RS-SCOPE-EMPTY", `"clientInfo":{"name":"mcpauth"}`, `"clientInfo":{"name":"mcp-cli"}`},
		{"RS-SCOPE-EMPTY", `"name":"mcpauth_no_such_tool"`, `"name":"mcp-cli_no_such_tool"`},
		{"RS-SCOPE-EMPTY", "scope=mcpauth:unknown", "scope=mcpauth:unknown"}, // the check searches the answer for this value
		{"RS-SCOPE-EMPTY", "client_id=mcpauth-of-the-user", "client_id=mcpauth-of-the-user"},
		{"RS-CHALLENGE-EVERY-CLIENT", "session=mcpauth", "session=mcp-cli"},
	} {
		assert.Equal(t, row.sent, c.Introduced(row.check, row.text))
		assert.Equal(t, row.text, (&Client{}).Introduced(row.check, row.text))
	}
	credential := reports.Field{Name: "Authorization", Value: "Bearer mcpauth-of-the-user"}
	assert.Equal(t, credential, c.introduced("RS-CHALLENGE-EVERY-CLIENT", Request{Header: []reports.Field{credential}}).Header[0])
	coded := c.introduced("RS-TRANSPORT-HEADER-MISMATCH", Request{Header: []reports.Field{
		{Name: "Mcp-Name", Value: "=?base64?bWNwYXV0aF9ub19zdWNoX3Rvb2w=?="}, // mcpauth_no_such_tool
		{Name: "Mcp-Name", Value: "=?base64?not Base64?="},
	}}).Header
	assert.Equal(t, "=?base64?bWNwLWNsaV9ub19zdWNoX3Rvb2w=?=", coded[0].Value) // mcp-cli_no_such_tool
	assert.Equal(t, "=?base64?not Base64?=", coded[1].Value)
}
