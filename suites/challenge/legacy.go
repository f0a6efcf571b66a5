package challenge

import (
	"net/url"
	"strings"
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// opening is how long the first event of the old transport may take once its stream is open, answered how long an answer
// may take to come on it.
const (
	opening  = 300 * time.Millisecond
	answered = 2 * time.Second
)

// The HTTP+SSE transport of 2024-11-05, which some servers keep.
func legacy() {
	Must("RS-CHALLENGE-LEGACY-SSE", func(t *T) {
		offered := false
		anonymous, authorized := map[string]*Stream{}, map[string]*Stream{}
		for _, address := range oldAddresses(t) { // all at once, since each may keep silent
			anonymous[address], authorized[address] = oldStream(t, address), oldStream(t, address, t.MCP.BearerField())
		}
		t.Sleep(opening)
		for address, s := range Sorted(anonymous) {
			if messages := messagesOf(s, address); messages != "" {
				t.Finding(s.Close(), address+" without a token", "HTTP 401", "the stream opens, and names where messages go")
				offered = true
			}
		}
		for address, s := range Sorted(authorized) {
			if messages := messagesOf(s, address); messages != "" {
				offered = true
				oldMessages(t, s, messages)
			}
		}
		if !offered {
			t.NotApplicable("the HTTP+SSE transport of 2024-11-05 is not offered")
		}
	})
}

// oldAddresses are where the old transport may be.
func oldAddresses(t *T) []string {
	origin := t.Survey.URL.Scheme + "://" + t.Survey.URL.Host
	out := []string{origin + "/sse", t.Survey.Endpoint}
	if i := strings.LastIndexByte(t.Survey.URL.Path, '/'); i > 0 {
		out = append(out, origin+t.Survey.URL.Path[:i]+"/sse")
	}
	return out
}

func oldStream(t *T, address string, fields ...reports.Field) *Stream {
	return t.MCP.OpenStream(wire.Request{Method: "GET", URL: address, Header: append([]reports.Field{mcp.Field("Accept", "text/event-stream")}, fields...)})
}

// messagesOf is the address for messages that a stream's first event names; empty if there is none.
func messagesOf(s *Stream, address string) string {
	data, ok := s.Next(time.Millisecond)
	if data = strings.TrimSpace(data); !ok || !strings.HasPrefix(data, "/") && !strings.HasPrefix(data, "http") && !strings.Contains(data, "?") {
		return ""
	}
	base, err1 := url.Parse(address)
	to, err2 := url.Parse(strings.TrimSpace(data))
	if err1 != nil || err2 != nil {
		return ""
	}
	whole := base.ResolveReference(to)
	if _, err := document.ParseURL(whole.String()); err != nil || whole.Host != base.Host {
		return ""
	}
	return whole.String()
}

// oldMessages posts to the address of a stream: as its user, and as others.
func oldMessages(t *T, s *Stream, address string) {
	message := func(fields ...reports.Field) *reports.Exchange {
		return t.Do(wire.Request{Method: "POST", URL: address, Body: mcp.Initialize(address, "2024-11-05").Message(), Header: append([]reports.Field{mcp.Field("Content-Type", "application/json")}, fields...)})
	}
	if ex := message(t.MCP.BearerField()); !expect.Accepted(ex) && expect.Status(ex) != 202 || !s.Waits(`"result"`, answered) {
		t.Inconclusive("the control failed: a message to the stream's address is answered with %s, and nothing comes on the stream", expect.Describe(ex))
	}
	t.Controlled()
	t.Expect(message(), "a message without a token, to the address of an open stream").To(expect.Refuse(401))
	t.Expect(message(mcp.Bearer("mcpauth-not-a-token")), "a message with a bad token").To(expect.Refuse(401))
	if t.Mint.Trusted() || t.Session != nil && t.Session.Ready && t.Session.UserCount() > 1 {
		ex := message(mcp.Bearer(t.MCP.SecondToken()))
		if s.Waits(`"result"`, opening/2) {
			t.Finding(ex, "a message with another user's token", "a refusal", "it is answered on the first user's stream")
		} else {
			t.RefusedBy(ex)
		}
	}
}
