package mcp

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mcpauth/conformance/fixtures/costs"
	"github.com/mcpauth/conformance/reports"
)

// answer returns an exchange with a body of a media type.
func answer(mediaType, body string) *reports.Exchange {
	return &reports.Exchange{Response: &reports.Response{Status: 200, Header: []reports.Field{Field("Content-Type", mediaType)}, Body: body}}
}

func TestTheAnswerIsFoundBetweenOtherEvents(t *testing.T) {
	ex := answer("text/event-stream", "event: message\r\ndata: {\"jsonrpc\":\"2.0\",\r\ndata: \"method\":\"x\"}\r\n\r\n"+
		"data: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"a\":1}}\n\n")
	assert.NotNil(t, Read(ex).Result)
	assert.Len(t, Messages(ex), 2)
}

// Parsing the messages of a target takes memory and time in proportion to their size.
func FuzzMessages(f *testing.F) {
	for _, s := range []string{`{"jsonrpc":"2.0","id":1,"result":{}}`, "data: {}\n\n", "data: [\n", "data:\n\n", "data:-\n\n", "data:[1\n\n",
		`[{"jsonrpc":"2.0","error":{"code":1}}]`, "\r\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, part string) {
		if part == "" || len(part) > 64<<10 {
			t.Skip()
		}
		for _, body := range []string{part, strings.Repeat(part, 1+1<<20/len(part))} {
			for _, mediaType := range []string{"application/json", "text/event-stream"} {
				ex := answer(mediaType, body)
				costs.Bounded(t, len(body), 500, func() {
					Read(ex)
					Messages(ex)
				})
			}
		}
	})
}
