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

// A request may have another id than the ordinary one.
func TestTheAnswerHasTheIDOfItsRequest(t *testing.T) {
	for sent, came := range map[string]string{"0": "0", `"a"`: `"a"`, "1": "1"} {
		for _, mediaType := range []string{"application/json", "text/event-stream"} {
			body := `{"jsonrpc":"2.0","id":` + came + `,"result":{}}`
			if mediaType == "text/event-stream" {
				body = "data: " + body + "\n\n"
			}
			ex := answer(mediaType, body)
			ex.Request.Body = `{"id":` + sent + `,"method":"ping"}`
			assert.NotNil(t, Read(ex).Result, sent)
			assert.True(t, answers(ex.Request.Body)(`{"jsonrpc":"2.0","id":`+came+`,"result":{}}`), sent)
			ex.Request.Body = `{"id":"another","method":"ping"}`
			assert.Nil(t, Read(ex).Result, sent)
		}
	}
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
