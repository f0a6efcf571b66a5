package check

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/survey"
	"github.com/mcpauth/conformance/suites/internal/wire"
)

// A target that answers the probe has not stopped with the requests that failed before. Refusals with HTTP 400, which a front end may send,
// say nothing of it.
func TestAnAnsweredProbeEndsTheBlame(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	w := &World{Survey: &survey.Survey{URL: &url.URL{Scheme: "http", Host: "127.0.0.1:1"}, Anonymous: map[mcp.Wire]*reports.Exchange{
		mcp.Stateful: {Request: reports.Request{Method: "GET", URL: server.URL + "/mcp"}, Response: &reports.Response{Status: 404}}}},
		Client: wire.New(wire.Options{Guard: wire.NewGuard("127.0.0.1", nil)})}
	t.Cleanup(w.Client.Close)
	w.Begin()
	ended := func(path string, status int) {
		w.sent(t.Context(), &reports.Exchange{Check: "AS-TOKEN-OVERSIZED", Started: time.Now(), Response: &reports.Response{Status: status},
			Request: reports.Request{Method: "POST", URL: server.URL + path}})
	}
	for range inARow {
		ended("/early", 500)
		ended("/token", 400)
	}
	assert.Empty(t, w.Stopped())
	server.Close()
	for range inARow {
		ended("/late", 500)
	}
	assert.Contains(t, w.Stopped(), "the first without a proper answer is POST "+server.URL+"/late")
}

// The reason names the request that was sent first of those without an answer: it may be what stopped the target, though the wait for
// another one ended before.
func TestTheReasonNamesTheFirstRequestWithoutAnAnswer(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close() // nothing answers there any more
	probe := &reports.Exchange{Request: reports.Request{Method: "GET", URL: server.URL + "/mcp"}, Response: &reports.Response{Status: 401}}
	w := &World{Survey: &survey.Survey{URL: &url.URL{Scheme: "http", Host: "127.0.0.1:1"}, Anonymous: map[mcp.Wire]*reports.Exchange{
		mcp.Stateful: probe}}, Client: wire.New(wire.Options{Guard: wire.NewGuard("127.0.0.1", nil)})}
	t.Cleanup(w.Client.Close)
	w.Begin()
	began := time.Now()
	failed := func(check, path string, after time.Duration) {
		w.sent(t.Context(), &reports.Exchange{Check: check, Started: began.Add(after), Error: "no whole answer within the time limit",
			Request: reports.Request{Method: "POST", URL: server.URL + path}})
	}
	failed("AS-AUTHZ-CODE-RANDOM", "/authorize?x=1", time.Second)
	failed("AS-REFRESH-WORKS", "/token", 0)
	for i := range inARow - 2 {
		failed(fmt.Sprint("AS-", i), "/later", 2*time.Second)
	}
	assert.Equal(t, "the target stopped answering after 3 requests; the first without a proper answer is POST "+server.URL+
		"/token (AS-REFRESH-WORKS)", w.Stopped())
}
