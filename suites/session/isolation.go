package session

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/survey"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// rounds is how often requests overlap.
const rounds = 20

// "MCP servers MUST validate access tokens": each time, not once in a session.
func verifiesTokensEachTime(t *T) {
	t.NextSecond()
	expiring, used, longer := expiringToken(t)
	t.NextSecond()
	t.NextSecond()
	genuine := func() bool { return t.MCP.Served(t.MCP.Use(t.Mint.Token(nil))) }
	for range 80 + 20*longer { // another token with the same expiry shows when it expires
		ex := t.MCP.Use(t.Mint.Token(expiring))
		if expect.Crashed(ex) {
			t.Inconclusive("%s", Because(t, ex, "an expired token is answered with "+expect.Describe(ex)+", which is not a refusal"))
		}
		if !t.MCP.Served(ex) && genuine() {
			outlives(t, used)
			t.Expect(t.MCP.Use(t.Mint.Token(nil)), "a token of an hour, at the end of the other one,").AsControl(t.MCP.Serve())
			return
		}
		t.Sleep(50 * time.Millisecond)
	}
	t.Inconclusive("no end of the token's time was seen (RS-TOKEN-EXPIRED)")
}

func keepsCallersApart(t *T) {
	first, second := pair(t)
	other := observe(t, t.MCP.TokenBeside()) // a refusal may end its session
	for range rounds {
		got := t.Race([]Variant{
			first.ask("the first user"), second.ask("the second user"), other.without("nobody"), other.as(survey.BogusToken, "a bad token"),
		})
		t.Expect(got[0], "the first user").To(tell(first, second))
		t.Expect(got[1], "the second user").To(tell(second, first))
		t.Expect(got[2], "nobody").To(tellNobody(first, second))
		t.Expect(got[3], "a bad token").To(tellNobody(first, second))
		if FoundAny(t) {
			break
		}
	}
	keepsUserOfHeader(t, first, second)
}

// A message may be incomplete when the next request is served. A server that keeps the current user in a variable, from the header of a
// request, then runs the first call as the second user, however fast its tools are.
func keepsUserOfHeader(t *T, first, second *witness) {
	if _, alone := t.Client.OneAtATime(t.Context(), t.Survey.URL); alone {
		return // the second call would wait for the first one
	}
	for _, w := range [][2]*witness{{first, second}, {second, first}} {
		call := w[1].call.With(mcp.Bearer(w[1].token))
		again := []mcp.Call{call, call} // the first answer may come before the header of the halted call is read
		own := RawCall(t, w[0].call.With(mcp.Bearer(w[0].token)), "")
		halted, answered := Around(t, own, again, AtItsPace(t, 2*time.Second))
		if !answered || !expect.Ran(halted) {
			t.Note("a call whose last byte comes after calls of the other user: not tried, since the server does not serve both")
			return
		}
		t.Expect(halted, "a call whose last byte comes after a call of the other user").To(tell(w[0], w[1]))
	}
}

// Request ids are unique within a session only: two callers may well use the same one at once.
func keepsRequestIDsApart(t *T) {
	first, second := pair(t)
	cancelled := map[string]any{"requestId": mcp.ID, "reason": "mcpauth"}
	cancel := second.call.Method("notifications/cancelled", cancelled).With(mcp.Bearer(second.token))
	for range rounds {
		kept, ended, told := first.ask("the first user"), second.ask("the second user"), make(chan struct{})
		once := sync.OnceFunc(func() { close(told) }) // mcpauth sends a request again that a limit refuses
		kept.Request.Done = func(*reports.Exchange) { once() }
		ended.Request.Close = told // the server sends no answer to a cancelled call
		got := t.Race([]Variant{kept, ended, Call(cancel, "a cancellation by the second user")})
		t.Expect(got[0], "the first user, whose request id the second used and cancelled").To(tell(first, second))
		if FoundAny(t) {
			return
		}
	}
}

// expiringToken is the expiry of a token that has been used and expires soon, and a call with it in its session. Where requests
// take long, the token is valid for some seconds longer.
func expiringToken(t *T) (expiring map[string]any, used mcp.Call, longer int64) {
	for try := range 4 { // a second may end between any two requests
		longer = 1<<try - 1
		expiring = map[string]any{"exp": lastSecond(t) + longer}
		token := t.Mint.Token(expiring)
		call, refused := t.MCP.SessionOf(token)
		if refused != nil {
			continue
		}
		used = call.Method("tools/list", nil)
		if t.MCP.Public("tools/list") {
			used = t.MCP.Call().InSession(call.SessionID)
		}
		if used = used.With(mcp.Bearer(token)); passed(t, t.Send(used)) {
			return expiring, used, longer
		}
	}
	t.Inconclusive("the token always expires before it can be used")
	return nil, mcp.Call{}, 0
}

// outlives judges a call with an expired token: a cached verification may still be used for a moment.
func outlives(t *T, call mcp.Call) {
	for end := time.Now().Add(t.Patience); passed(t, t.Send(call)) && time.Now().Before(end); {
		t.Sleep(100 * time.Millisecond)
	}
	expected := fmt.Sprintf("a refusal, at the latest %v after a new token of the same expiry is refused", t.Patience)
	ex := t.Send(call)
	t.Expect(ex, "an expired token in its session, where it was used before").To(expect.Refusing(expected, func(ex *reports.Exchange) string {
		if passed(t, ex) {
			return "the token is still accepted: " + expect.Describe(ex)
		}
		return ""
	}))
}

// lastSecond is the expiry of a token that is accepted for at most one more second: servers tolerate clock differences.
func lastSecond(t *T) int64 {
	now := time.Now().Unix()
	good, bad := int64(-600), int64(300) // seconds ago
	if t.MCP.Served(t.MCP.Use(t.Mint.Token(map[string]any{"exp": now - bad}))) {
		t.Inconclusive("a token that expired five minutes ago is accepted (RS-TOKEN-EXPIRED)")
	}
	for bad-good > 1 {
		middle := (good + bad) / 2
		if now := time.Now().Unix(); t.MCP.Served(t.MCP.Use(t.Mint.Token(map[string]any{"exp": now - middle}))) {
			good = middle
		} else {
			bad = middle
		}
	}
	return time.Now().Unix() - good
}

// witness is a user in a session who asks the target for their own identity.
type witness struct {
	token string
	call  mcp.Call // in the witness's session, without credentials
	tool  Tool
	marks []string // words that are in every answer to this witness, and in no answer to the other
}

func observe(t *T, token string) *witness {
	tool, _ := t.MCP.WhoAmI()
	call, refused := t.MCP.SessionOf(token)
	if refused != nil {
		t.Inconclusive("no session opens: %s", expect.Describe(refused))
	}
	return &witness{token: token, tool: tool, call: call.Method("tools/call", tool.Params())}
}

// say are the words of an answer to the witness while no other request runs.
func (w *witness) say(t *T) []string {
	ex := t.Send(w.call.With(mcp.Bearer(w.token)))
	t.Expect(ex, w.tool.Name).AsControl(expect.Run())
	return Words(ex)
}

// pair are two users whom the target distinguishes. They ask again if it seems not to: on a target that mixes callers up, an answer may
// be that of a third.
func pair(t *T) (first, second *witness) {
	first, second = observe(t, t.MCP.FirstToken()), observe(t, t.MCP.SecondToken())
	for range 8 {
		a, b := [2][]string{first.say(t), first.say(t)}, [2][]string{second.say(t), second.say(t)}
		if first.marks, second.marks = Apart(a, b), Apart(b, a); len(first.marks) > 0 && len(second.marks) > 0 {
			return first, second
		}
	}
	t.NotApplicable("%s does not distinguish the users", first.tool.Name)
	return nil, nil
}

func (w *witness) ask(about string) Variant {
	return Call(w.call.With(mcp.Bearer(w.token)), "%s", about)
}
func (w *witness) without(about string) Variant { return Call(w.call, "%s", about) }
func (w *witness) as(token, about string) Variant {
	return Call(w.call.With(mcp.Bearer(token)), "%s", about)
}

// meant reports that an answer has a word that is only in answers to the witness.
func (w *witness) meant(ex *reports.Exchange) bool {
	said := Words(ex)
	return slices.ContainsFunc(w.marks, func(m string) bool { return slices.Contains(said, m) })
}

// tell expects the answer to a witness to name the witness, and no other user.
var tell = expect.Family("tell", func(w, other *witness) expect.Matcher {
	return expect.That("an answer with "+strings.Join(w.marks, " ")+", which names this caller", func(ex *reports.Exchange) string {
		switch {
		case !expect.Ran(ex):
			return expect.Describe(ex)
		case other.meant(ex), !w.meant(ex):
			return reports.OneLine(Text(ex), 100)
		}
		return ""
	})
})

var tellNobody = expect.Family("tellNobody", func(witnesses ...*witness) expect.Matcher {
	return expect.Refusing("nobody else's answer", func(ex *reports.Exchange) string {
		if slices.ContainsFunc(witnesses, func(w *witness) bool { return w.meant(ex) }) {
			return reports.OneLine(Text(ex), 100)
		}
		return ""
	})
})
