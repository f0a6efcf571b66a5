package session

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// due is how long an expected notification may take, and undue the minimum wait for one that must not arrive. Within due, the target is
// asked others times for something else.
const (
	others = 10
	due    = 2 * time.Second
	undue  = 30 * time.Millisecond
	leeway = 11 * time.Minute // beyond any tolerance for clocks that differ
)

// watched is a stream of notifications about a resource, and what it delivered.
type watched struct {
	*Stream
	resource string
	within   time.Duration // the time in which a notification would have arrived
}

// Evidence is the exchange of the stream. It closes the stream.
func (w watched) Evidence() *reports.Exchange { return w.Close() }

// deliverNothing expects a stream to report no change.
var deliverNothing = expect.Family("deliverNothing", func(about string) expect.Matcher {
	return expect.Refusing("no notification "+about, func(w watched) string {
		if w.Waits(w.resource, w.within) {
			return "the stream gets the notification that " + w.resource + " has changed"
		}
		return ""
	})
})

// changes ends the check if the tool that changes a resource does not run.
func changes(t *T, token string, tool Tool) {
	if ex := t.MCP.CallTool(token, tool); !expect.Ran(ex) {
		t.Inconclusive("%s is answered with %s", tool.Name, expect.Describe(ex))
	}
}

// mustBeTold ends the check if no stream reports a change: then a silent stream is evidence of nothing. It returns how long a silent
// stream must be watched.
func mustBeTold(t *T, stream *Stream, o Object, change func()) (silence time.Duration) {
	t.SettleForSeed()
	for range 2 { // a stream may begin after the first change
		began := time.Now()
		change()
		if waits(t, stream, o.Resource) {
			t.Expect(true, "the first user's stream").AsControl(tellOfChange)
			return longer(t, began)
		}
	}
	if ex := stream.Close(); expect.Status(ex) >= 400 && expect.Status(ex) < 500 {
		t.NotApplicable("there is no stream of notifications: the target answers with %s", expect.Describe(ex))
	}
	t.Inconclusive("the first user subscribes to %s, and its stream says nothing of two changes", o.Resource)
	return 0 // Inconclusive ends the check
}

// waits waits for an event that contains a text.
func waits(t *T, stream *Stream, text string) bool {
	for {
		if data, ok := next(t, stream); !ok || strings.Contains(data, text) {
			return ok
		}
	}
}

// next is the next event of a stream. The wait ends when the target has answered other requests since then, and not at a time: under load,
// its events are as late as its answers.
func next(t *T, stream *Stream) (data string, ok bool) {
	for range others {
		if data, ok = stream.Next(AtItsPace(t, due) / others); ok || stream.Over() {
			return data, ok
		}
		t.Send(t.MCP.Authorized(t.MCP.Call()))
	}
	return "", false
}

// tellOfChange expects a stream to have reported a change.
var tellOfChange = expect.Serving("the notification of a change", func(told bool) string {
	if told {
		return ""
	}
	return "reports no change"
})

// A cached verification may still be used for a moment.
func endsStreamsWithTheirToken(t *T) { Each(t, deaths(t), endsStreamWithItsToken) }

func endsStreamWithItsToken(t *T, mortal func(t *T) (token string, kill func())) {
	o, change, _ := t.MCP.Changing()
	token, kill := mortal(t)
	stream := mustWatch(t, t.MCP.MustOpenSession(token), o)
	changed := func() { changes(t, t.MCP.TokenBeside(), change) }
	silence := mustBeTold(t, stream, o, changed)
	if stream.Ended() {
		t.Inconclusive("the stream ended while its token was good")
	}
	kill()
	t.SettleForSeed()
	for end := time.Now().Add(t.Patience); time.Now().Before(end); {
		stream.Drain() // discards what was delivered before
		if changed(); !stream.Waits(o.Resource, silence) {
			t.Expect(stream).To(endDelivery)
			return
		}
	}
	stream.Drain()
	changed()
	expected := fmt.Sprintf("on a stream whose token ended %s ago", expect.Span(t.Patience))
	t.Expect(watched{stream, o.Resource, silence}).To(deliverNothing(expected))
}

// endDelivery is always met: the caller has seen that the stream sends nothing more.
var endDelivery = expect.Refusing("nothing more on the stream", func(*Stream) string { return "" })

func tellsOnlyWhoMayRead(t *T) {
	o, change, _ := t.MCP.Changing()
	owner := t.MCP.FirstToken()
	own := mustWatch(t, t.MCP.MustOpenSession(owner), o)
	other, accepted, _ := watch(t, t.MCP.MustOpenSession(t.MCP.SecondToken()), o)
	silence := mustBeTold(t, own, o, func() { changes(t, owner, change) })
	if t.Expect(watched{other, o.Resource, silence}, "another user").To(deliverNothing("about " + o.Resource)) {
		t.Expect(accepted, "another user").Ideally(expect.That("a refusal of a subscription to another user's resource", func(yes bool) string {
			if yes {
				return "the subscription is acknowledged, and nothing delivered"
			}
			return ""
		}))
	}
}

// "Servers MUST NOT replay messages that would have been delivered on a different stream."
func replaysOnlyTheirOwnEvents(t *T) {
	o, change, _ := t.MCP.Changing()
	owner, stranger := t.MCP.FirstToken(), t.MCP.SecondToken()
	mine := t.MCP.MustOpenSession(owner)
	stream := mustWatch(t, mine, o)
	changed := func() { t.Send(mine.Method("tools/call", change.Params())) }
	mustBeTold(t, stream, o, changed)
	ids := EventIDs(stream.Close())
	if len(ids) == 0 {
		t.NotApplicable("events carry no ids: nothing can be resumed")
	}
	changed() // this event is sent while no stream is open
	silence := mustReplay(t, mine, ids[0], o)
	rows := Cases[*Stream]{{"another session of the same user, with the id of an event", resumed(t, t.MCP.MustOpenSession(owner), ids[0])}}
	for _, id := range otherIDs(ids[0]) { // each in its own session, because a session may allow one stream only
		rows = rows.And("another user, with "+id.Name, resumed(t, t.MCP.MustOpenSession(stranger), t.Hide(id.Value)))
	}
	t.Sleep(silence)
	for range others { // under load, what a server replays is as late as its answers
		t.Send(t.MCP.Authorized(t.MCP.Call()))
	}
	Each(t, rows, func(t *T, s *Stream) {
		t.Expect(watched{s, o.Resource, soon}).To(deliverNothing("of another stream"))
	})
}

// mustReplay ends the check if a resumed stream delivers nothing, and returns how long a silent stream must be watched.
func mustReplay(t *T, call mcp.Call, id string, o Object) time.Duration {
	stream := resumed(t, call, id)
	for tries := 1; stream.Conflicts() && tries < mostTries; tries++ {
		t.Sleep(placeKept)
		stream = resumed(t, call, id)
	}
	if stream.Conflicts() {
		t.Inconclusive("the stream has ended, and its session still has no place for another one: HTTP 409")
	}
	began := time.Now()
	if !waits(t, stream, o.Resource) {
		t.NotApplicable("nothing is replayed to the stream's own session")
	}
	return longer(t, began)
}

// placeKept is the pause between tries to resume a stream, and mostTries their number. Until a server notices that its client has closed a
// stream, it may refuse another one. Under load each try takes longer, too.
const (
	placeKept = 100 * time.Millisecond
	mostTries = 50
)

// resumed is a stream that continues after an event.
func resumed(t *T, call mcp.Call, id string) *Stream {
	return t.MCP.OpenStream(call.Using("GET").With(mcp.Field("Last-Event-ID", id)).Request())
}

// soon is how long a delivered notification may have taken.
const soon = 10 * time.Millisecond

// longer is five times as long as the expected notification took. After that time, the check expects none.
func longer(t *T, began time.Time) time.Duration {
	return max(undue, min(5*time.Since(began), AtItsPace(t, due)))
}

// mustWatch is the stream of a user who subscribes to a resource. Where the target does not let it, the check does not apply.
func mustWatch(t *T, call mcp.Call, o Object) *Stream {
	stream, agreed, answer := watch(t, call, o)
	if agreed {
		return stream
	}
	if answer == nil {
		answer = stream.Close()
	}
	if expect.Crashed(answer) || expect.Status(answer) < 300 && answer.Response.Body == "" {
		t.Inconclusive("the subscription of the first user to %s is not acknowledged in time", o.Resource)
	}
	t.NotApplicable("the first user cannot subscribe to %s: the target answers with %s", o.Resource, expect.Describe(answer))
	return nil
}

// watch subscribes to a resource and opens the stream for notifications. It reports whether the target agreed; answer is that of a
// subscription that does not use the stream itself.
func watch(t *T, call mcp.Call, o Object) (stream *Stream, agreed bool, answer *reports.Exchange) {
	if t.Wire == mcp.Stateless {
		wanted := map[string]any{"resourceSubscriptions": []string{o.Resource}}
		stream = t.MCP.OpenStream(call.Method("subscriptions/listen", map[string]any{"notifications": wanted}).Request())
		first, ok := next(t, stream)
		return stream, ok && strings.Contains(first, o.Resource), nil
	}
	answer = t.Send(call.Method("resources/subscribe", map[string]any{"uri": o.Resource}))
	return t.MCP.OpenStream(call.Using("GET").Request()), expect.Accepted(answer), answer
}

// deaths are tokens of the first user that the check can make invalid, by the way in which they end.
func deaths(t *T) (rows Cases[func(t *T) (token string, kill func())]) {
	revocable := t.Session != nil && t.Session.Ready && t.AS.Server().Revocation != ""
	if revocable {
		rows = rows.And("the token is revoked", revocableToken)
	}
	switch {
	case t.Mint.Trusted() && (!revocable || t.Clock != nil || t.MaxWait >= time.Minute+leeway):
		return rows.And("the token expires", shortToken)
	case revocable:
		Untried(t, "a token that expires", "an issuer run by mcpauth that the target trusts, and time (--max-wait)")
	default:
		t.NotTested("it needs a token that can be revoked: a login (--username) at a server with a revocation endpoint; or, for one that " +
			"expires soon, an issuer run by mcpauth that the target trusts")
	}
	return rows
}

// revocableToken is a token that is good until it is revoked. Where its revocation has no effect here, the streams may go on.
func revocableToken(t *T) (token string, kill func()) {
	tokens := t.AS.MustGetTokens()
	return tokens.Access, func() {
		if ex := t.AS.Revoke(tokens, tokens.Access); !expect.Confirmed(ex) {
			t.Inconclusive("the token could not be revoked: %s", expect.Describe(ex))
		}
		if ex, dead := t.MCP.UntilRefused(tokens.Access); !dead {
			t.NotApplicable("a revoked token is still answered with %s (RS-TOKEN-REVOKED)", expect.Describe(ex))
		}
	}
}

// shortToken is a token that is good for a minute.
func shortToken(t *T) (token string, kill func()) {
	token = t.Mint.Token(map[string]any{"exp": time.Now().Add(time.Minute).Unix()})
	return token, func() {
		t.Elapse(time.Minute + leeway)
		if ex := t.MCP.Use(token); t.MCP.Served(ex) {
			t.Inconclusive("an expired token is still served (RS-TOKEN-EXPIRED)")
		}
	}
}

var number = regexp.MustCompile(`[0-9]+$`)

// otherIDs are the id of an event, those beside it, if it ends in a number, and ids that a server may read as all events. The names are the
// same in each run, so that a second look can confirm them.
func otherIDs(id string) Cases[string] {
	rows := Cases[string]{{"the id of an event", id}}
	if n, err := strconv.Atoi(number.FindString(id)); err == nil {
		stem := number.ReplaceAllString(id, "")
		rows = rows.And("the id before that of an event", stem+strconv.Itoa(n-1)).And("the id after that of an event", stem+strconv.Itoa(n+1))
	}
	return rows.And("Last-Event-ID 0", "0").And("Last-Event-ID 1", "1").And("Last-Event-ID *", "*")
}
