package challenge

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// opening is how long the first event of the old transport may take once its stream is open. At an address of its own it may take
// longer, openingOwn: the endpoint of the current transport also opens streams, and those may stay silent. onStream is how long an
// answer on the stream may take.
const (
	opening    = 300 * time.Millisecond
	openingOwn = 3 * time.Second
	onStream   = 2 * time.Second
)

// guardsOldTransport is about the HTTP+SSE transport of 2024-11-05, which some servers keep.
func guardsOldTransport(t *T) {
	addresses := oldAddresses(t)
	anonymous, authorized := make([]*Stream, len(addresses)), make([]*Stream, len(addresses))
	for i, address := range addresses { // all at once, because each may stay silent
		anonymous[i], authorized[i] = oldStream(t, address), oldStream(t, address, t.MCP.BearerField())
	}
	opened, offered := time.Now(), false
	for i, address := range addresses {
		if messagesOf(anonymous[i], address, silent(t, address)-time.Since(opened)) != "" {
			offered = true
			t.Expect(anonymous[i].Close(), "%s without a token", address).To(notOpen)
		}
	}
	for i, address := range addresses {
		if messages := messagesOf(authorized[i], address, silent(t, address)-time.Since(opened)); messages != "" {
			offered = true
			oldMessages(t, authorized[i], messages)
		}
	}
	if !offered {
		t.NotApplicable("the HTTP+SSE transport of 2024-11-05 is not offered")
	}
}

// silent is how long a stream at an address may send nothing.
func silent(t *T, address string) time.Duration {
	if address == t.Survey.Endpoint {
		return AtItsPace(t, opening)
	}
	return AtItsPace(t, openingOwn)
}

// oldAddresses are where the old transport may be.
func oldAddresses(t *T) []string {
	origin := t.Survey.URL.Scheme + "://" + t.Survey.URL.Host
	out := []string{origin + "/sse", t.Survey.Endpoint}
	if i := strings.LastIndexByte(t.Survey.URL.Path, '/'); i > 0 {
		out = append(out, origin+t.Survey.URL.Path[:i]+"/sse")
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func oldStream(t *T, address string, fields ...reports.Field) *Stream {
	header := append([]reports.Field{mcp.Field("Accept", "text/event-stream")}, fields...)
	s := t.MCP.OpenStream(wire.Request{Method: "GET", URL: address, Header: header})
	if address == t.Survey.Endpoint {
		return s.MayKeepSilent() // the stream of Streamable HTTP
	}
	return s
}

// messagesOf is the address for messages that a stream's first event names; empty if there is none in time.
func messagesOf(s *Stream, address string, within time.Duration) string {
	data, ok := s.Next(within)
	data = strings.TrimSpace(data)
	if !ok || !strings.HasPrefix(data, "/") && !strings.HasPrefix(data, "http") && !strings.Contains(data, "?") {
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
	message := func(fields ...reports.Field) *reports.Exchange { return oldMessage(t, address, fields...) }
	began := time.Now()
	t.Expect(message(t.MCP.BearerField()), "a message to the stream's address").AsControl(answerOn(s, AtItsPace(t, onStream)))
	enough := min(5*time.Since(began), AtItsPace(t, onStream)) // after that time, the check expects no answer
	t.Expect(message(), "a message without a token, to the address of an open stream").To(expect.Refuse(401))
	t.Expect(message(mcp.Bearer("mcpauth-not-a-token")), "a message with a bad token").To(expect.Refuse(401))
	namingNoStream(t, s, address, enough)
	if t.Mint.Trusted() || t.Session != nil && t.Session.Ready && t.Session.UserCount() > 1 {
		again := message(t.MCP.BearerField()) // a server may answer only the first initialize of a stream
		t.Expect(again, "the message to the stream's address once more").AsControl(answerOn(s, AtItsPace(t, onStream)))
		ex := message(mcp.Bearer(t.MCP.SecondToken()))
		t.Expect(ex, "a message with another user's token").To(notAnswerOn(s, enough))
		namingNoStream(t, s, address, enough, mcp.Bearer(t.MCP.SecondToken()))
	} else {
		Untried(t, "a message with another user's token", ASecondUser)
	}
}

func oldMessage(t *T, address string, fields ...reports.Field) *reports.Exchange {
	header := append([]reports.Field{mcp.Field("Content-Type", "application/json")}, fields...)
	return t.Do(wire.Request{Method: "POST", URL: address, Body: mcp.Initialize(address, "2024-11-05").Message(), Header: header})
}

// namingNoStream posts a message of a stranger that names no stream. The server must not choose the stream of a user, such as the only one
// that is open. It may refuse the message in any way.
func namingNoStream(t *T, s *Stream, address string, enough time.Duration, fields ...reports.Field) {
	whose := "without a token"
	if len(fields) > 0 {
		whose = "with another user's token"
	}
	if bare, _, named := strings.Cut(address, "?"); named {
		ex := oldMessage(t, bare, fields...)
		t.Expect(ex, "a message %s that names no stream", whose).To(notAnswerOn(s, enough))
	}
}

var notOpen = expect.That("HTTP 401", func(*reports.Exchange) string { return "the stream opens, and names where messages go" })

// answerOn expects a message to be answered on its user's stream.
func answerOn(s *Stream, within time.Duration) expect.Matcher {
	return expect.Serving("an answer on the stream", func(ex *reports.Exchange) string {
		if (expect.Accepted(ex) || expect.Status(ex) == 202) && s.Waits(`"result"`, within) {
			return ""
		}
		return expect.Describe(ex) + ", and nothing comes on the stream"
	})
}

// notAnswerOn expects no answer on the stream of the first user.
func notAnswerOn(s *Stream, within time.Duration) expect.Matcher {
	answered := s.Waits(`"result"`, max(within, opening/2))
	return expect.Refusing("a refusal", func(*reports.Exchange) string {
		if answered {
			return "the message is answered on the first user's stream"
		}
		return ""
	})
}
