package json_test

import (
	encoding "encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/reports/har"
	"github.com/mcpauth/conformance/reports/json"
)

// parts is a writer that records the longest single write.
type parts struct {
	strings.Builder
	longest int
}

func (p *parts) Write(b []byte) (int, error) {
	p.longest = max(p.longest, len(b))
	return p.Builder.Write(b)
}

// Exchanges are encoded one after another, however many there are, and none is lost.
func TestExchangesAreWrittenInParts(t *testing.T) {
	run := reports.Run{Exchanges: make([]reports.Exchange, 3_000)}
	for i := range run.Exchanges {
		e := &run.Exchanges[i]
		e.Number, e.Request.URL = i+1, "https://mcp.example.com/##vso[x]"
		e.Response = &reports.Response{Status: 200, Body: strings.Repeat("\u009b##", i%400) + `,"exchanges":[]` + "#"}
	}
	redacted := reports.Redact(run, &reports.Secrets{})

	var whole parts
	require.NoError(t, json.Write(&whole, redacted))
	assert.Less(t, whole.longest, 256<<10)
	var read struct{ Exchanges []reports.Exchange }
	require.NoError(t, encoding.Unmarshal([]byte(whole.String()), &read))
	assert.Equal(t, redacted.Run().Exchanges, read.Exchanges)
	assert.NotContains(t, whole.String(), "##vso")
	assert.NotContains(t, whole.String(), "\u009b")

	var archive parts
	require.NoError(t, har.Write(&archive, redacted))
	assert.Less(t, archive.longest, 256<<10)
	var entries struct{ Log struct{ Entries []any } }
	require.NoError(t, encoding.Unmarshal([]byte(archive.String()), &entries))
	assert.Len(t, entries.Log.Entries, 3_000)
}
