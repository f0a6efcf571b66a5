package session

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// How long a notification may take that is due, and how long one is waited for at the least that is not.
const (
	due    = 2 * time.Second
	undue  = 30 * time.Millisecond
	leeway = 11 * time.Minute // beyond any tolerance for clocks that differ
)

// streams are the checks on notifications: who gets them, and until when.
func streams() {
	Practice("RS-SESSION-STREAM-EXPIRY", func(t *T) {
		o, change, _ := t.MCP.Changing()
		token, kill := mortal(t)
		stream, agreed := watching(t, token, o)
		began := time.Now()
		t.MCP.CallTool(t.MCP.FirstToken(), change)
		if !agreed || !stream.Waits(o.Resource, due) {
			t.NotApplicable("no notification comes that %s has changed", o.Resource)
		}
		silence := longer(began)
		t.Controlled()
		kill()
		for end := time.Now().Add(t.Patience); ; {
			stream.Drain() // what was delivered before
			if ex := t.MCP.CallTool(t.MCP.FirstToken(), change); !expect.Ran(ex) {
				t.Inconclusive("%s is answered with %s", change.Name, expect.Describe(ex))
			}
			if !stream.Waits(o.Resource, silence) {
				t.Refused()
				return
			}
			if time.Now().After(end) {
				t.Unmet(stream.Close(), "no notification on a stream whose token has died", "%v after its end one is delivered", t.Patience)
				return
			}
		}
	})

	Should("RS-SESSION-SUBSCRIPTION-ACCESS", func(t *T) {
		o, change, _ := t.MCP.Changing()
		owner := t.MCP.FirstToken()
		own, agreed := watching(t, owner, o)
		other, accepted := watching(t, t.MCP.SecondToken(), o)
		began := time.Now()
		t.MCP.CallTool(owner, change)
		if !agreed || !own.Waits(o.Resource, due) {
			t.NotApplicable("the first user is not notified that %s has changed", o.Resource)
		}
		t.Controlled()
		switch {
		case other.Waits(o.Resource, longer(began)):
			t.Unmet(other.Close(), "no notification for another user about "+o.Resource, "it is delivered")
		case accepted:
			t.Advise(nil, "a subscription to another user's resource to be refused", "it is acknowledged, and nothing delivered")
		default:
			t.Refused()
		}
	})

	// "Servers MUST NOT replay messages that would have been delivered on a different stream."
	Must("RS-SESSION-EVENT-ISOLATION", func(t *T) {
		o, change, _ := t.MCP.Changing()
		owner, stranger := mcp.Bearer(t.MCP.FirstToken()), mcp.Bearer(t.MCP.SecondToken())
		mine := t.MCP.MustOpenSession(strings.TrimPrefix(owner.Value, "Bearer "))
		t.Send(mine.Method("resources/subscribe", map[string]any{"uri": o.Resource}))
		stream := t.MCP.OpenStream(mine.Using("GET").Request())
		changed := func() { t.Send(mine.Method("tools/call", change.Params())) }
		changed()
		if !stream.Waits(o.Resource, due) {
			t.NotApplicable("no notification comes that %s has changed", o.Resource)
		}
		ids := EventIDs(stream.Close())
		if len(ids) == 0 {
			t.NotApplicable("events carry no ids: nothing can be resumed")
		}
		changed() // missed
		again := func(call mcp.Call, id string) *Stream {
			return t.MCP.OpenStream(call.Using("GET").With(mcp.Field("Last-Event-ID", id)).Request())
		}
		began := time.Now()
		if !again(mine, ids[0]).Waits(o.Resource, due) {
			t.NotApplicable("nothing is replayed to the stream's own session")
		}
		silence := longer(began)
		t.Controlled()
		foreign := t.MCP.MustOpenSession(strings.TrimPrefix(stranger.Value, "Bearer "))
		another := t.MCP.MustOpenSession(strings.TrimPrefix(owner.Value, "Bearer "))
		opened := map[string]*Stream{"the first user's event, in another session of the same user": again(another, ids[0])}
		for _, id := range append(neighbours(ids[0]), ids[0], "0", "1", "*") {
			opened["the second user, with Last-Event-ID "+t.Hide(id)] = again(foreign, id)
		}
		t.Sleep(silence)
		for about, s := range Sorted(opened) {
			if s.Waits(o.Resource, 10*time.Millisecond) {
				t.Finding(s.Close(), about, "nothing of another stream", "its events are replayed")
			} else {
				t.Refused()
			}
		}
	})
}

// longer is five times what the notification took that was due: after that silence, none comes.
func longer(began time.Time) time.Duration { return max(undue, min(5*time.Since(began), due)) }

// watching subscribes to a resource and opens the stream for notifications; agreed tells whether the target said yes.
func watching(t *T, token string, o Object) (stream *Stream, agreed bool) {
	call := t.MCP.MustOpenSession(token)
	if t.Wire == mcp.Stateless {
		stream = t.MCP.OpenStream(call.Method("subscriptions/listen", map[string]any{"notifications": map[string]any{"resourceSubscriptions": []string{o.Resource}}}).Request())
		first, ok := stream.Next(due)
		return stream, ok && strings.Contains(first, o.Resource)
	}
	agreed = expect.Accepted(t.Send(call.Method("resources/subscribe", map[string]any{"uri": o.Resource})))
	return t.MCP.OpenStream(call.Using("GET").Request()), agreed
}

// mortal is a token of the first user that can be made to die.
func mortal(t *T) (token string, kill func()) {
	if t.Session != nil && t.Session.Ready && t.AS.Server().Revocation != "" {
		tokens := t.AS.MustGetTokens()
		return tokens.Access, func() {
			t.AS.Revoke(tokens, tokens.Access)
			if ex, dead := t.MCP.UntilRefused(tokens.Access); !dead {
				t.Inconclusive("a revoked token is still answered with %s (AS-REVOKE-RS-PROPAGATION)", expect.Describe(ex))
			}
		}
	}
	if !t.Mint.Trusted() {
		t.NotTested("it needs a token that can be revoked, or one that expires soon")
	}
	token = t.Mint.Token(map[string]any{"exp": time.Now().Add(time.Minute).Unix()})
	return token, func() {
		t.Elapse(time.Minute + leeway)
		if ex := t.MCP.Use(token); t.MCP.Served(ex) {
			t.Inconclusive("an expired token is still served (RS-TOKEN-EXPIRED)")
		}
	}
}

var number = regexp.MustCompile(`[0-9]+$`)

// neighbours are the ids beside one that ends in a number.
func neighbours(id string) []string {
	n, err := strconv.Atoi(number.FindString(id))
	if err != nil {
		return nil
	}
	stem := number.ReplaceAllString(id, "")
	return []string{stem + strconv.Itoa(n-1), stem + strconv.Itoa(n+1)}
}
