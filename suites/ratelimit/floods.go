package ratelimit

import (
	"fmt"
	"strings"
	"time"

	"github.com/mcpauth/conformance/reports"
	. "github.com/mcpauth/conformance/suites/internal/check"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/wire"
)

// How many requests a flood has at most, and how many of them are sent at once.
const (
	completions   = 300
	tokenErrors   = 120
	registrations = 40
	atOnce        = 20
)

// longest is the longest Retry-After that the check waits for.
const longest = 20 * time.Second

func floods() {
	Must("RS-RATE-OTHER-OPERATIONS", limitsCompletion)
	Practice("AS-RATE-TOKEN-429", limitsTokenErrors)
	Practice("AS-RATE-REGISTRATION", limitsRegistration)
}

// MCP completion: "Servers MUST implement ... rate limiting".
func limitsCompletion(t *T) {
	token := t.MCP.FirstToken()
	request, declared := completion(t, t.MCP.MustOpenSession(token))
	if ex := t.Send(request); mcp.Read(ex).Code == "-32601" || expect.Status(ex) == 404 {
		t.NotApplicable("completion is not offered")
	} else if !declared && mcp.Read(ex).Error {
		t.NotTested("it needs a completion that is served (objects in the target file, argument): one of nothing is answered with %s",
			expect.Describe(ex))
	} else {
		t.Expect(ex, "an ordinary completion").AsControl(expect.Accept())
	}
	before := pulse(t, token)
	limit := flood(t, completions, func(int) wire.Request { return request.Request() },
		func(ex *reports.Exchange) bool { return !expect.Accepted(ex) })
	t.Expect(limit, "%d completions in a row", completions).Ideally(beALimit)
	if limit != nil && t.Expect(limit, "after many completions").To(notBeACrash) && !mcp.Read(limit).Error {
		t.Expect(limit, "after many completions").Ideally(expect.HaveStatus(429))
	}
	after := pulse(t, token)
	t.Expect(after, "another request after the flood").SeenIn(t.Last()).To(takeNoLonger(before))
}

var beALimit = expect.That("a limit: every revision requires one, and leaves its size open", func(limit *reports.Exchange) string {
	if limit != nil {
		return ""
	}
	return "all are served"
})

var notBeACrash = expect.That("a limit, or answers", func(ex *reports.Exchange) string {
	if !expect.Crashed(ex) || expect.Status(ex) == 503 {
		return ""
	}
	return expect.Describe(ex)
})

var takeNoLonger = expect.Family("takeNoLonger", func(before time.Duration) expect.Matcher {
	return expect.That("other requests served as before", func(after time.Duration) string {
		if after <= 10*before || after <= time.Second {
			return ""
		}
		return fmt.Sprintf("the same request takes %v, and took %v before the flood", after, before)
	})
})

func limitsTokenErrors(t *T) {
	c := errant(t)
	wrong, other := withUnknownCode(t, c), beside(t, c)
	ordinary := t.IgnoringLimits(wrong)
	status := expect.Status(ordinary)
	if status != 400 && status != 401 { // AS-TOKEN-ERROR-SHAPE judges 401
		t.Inconclusive("%s", Because(t, ordinary, "an unknown code is answered with "+expect.Describe(ordinary)))
	}
	limit := flood(t, tokenErrors, func(int) wire.Request { return wrong }, func(ex *reports.Exchange) bool {
		return expect.Status(ex) != status || oauth.ErrorCode(ex) != oauth.ErrorCode(ordinary)
	})
	other.refresh(t, limit)
	if t.Expect(limit, "%d errors in a row", tokenErrors).Ideally(beALimitAtTheTokenEndpoint) {
		endsInTime(t, limit, wrong, status)
		other.judge(t)
	}
}

// endsInTime judges the answer of a limit, and waits for the ordinary one.
func endsInTime(t *T, limit *reports.Exchange, wrong wire.Request, status int) {
	wait := throttle(t, limit)
	t.Expect(limit, "the answer of the limit").Ideally(beJSON,
		expect.HaveHeader("Cache-Control", expect.ValueThat("no-store", mentions("no-store"))))
	if wait > longest {
		t.Note("Retry-After asks for %v, which is not waited for", wait)
		return
	}
	ordinary := func() bool { return expect.Status(t.IgnoringLimits(wrong)) == status }
	t.Sleep(wait)
	ex, ok := t.Eventually(ordinary)
	if again, told := expect.RetryAfter(ex); !ok && told && again <= longest { // another limit may be reached, with a wait of its own
		t.Sleep(again)
		wait += again
		ex, _ = t.Eventually(ordinary)
	}
	t.Expect(ex, "the same request, %v after the limit", wait+5*t.Patience).To(expect.HaveStatus(status))
}

// bystander is a client that makes no errors, while another one reaches the limit.
type bystander struct {
	tokens    *oauth.Tokens     // to be refreshed; nil if there are none
	meanwhile *reports.Exchange // the answer to a refresh while the limit lasts; nil if none was sent
}

const ofBystander = "a refresh of another client while the limit lasts"

func (b *bystander) row(t *T, judge func(t *T, b *bystander)) {
	Each(t, Cases[*bystander]{{ofBystander, b}}, judge)
}

// beside is a client beside the one that makes errors.
func beside(t *T, errant *oauth.Client) *bystander {
	b := &bystander{}
	b.row(t, func(t *T, b *bystander) {
		switch {
		case !t.Session.Ready:
			Untried(t, ofBystander, ALogin)
		case t.AS.Refresher().ID == errant.ID:
			Untried(t, ofBystander, "a second client (dynamic registration)")
		default:
			b.authorize(t)
		}
	})
	return b
}

func (b *bystander) authorize(t *T) {
	tokens := t.AS.MustGetTokens(As(t.AS.Refresher()), t.AS.ForRefresh())
	if tokens.Refresh == "" {
		t.Note("%s: not tried, since no refresh token is issued", ofBystander)
		return
	}
	t.AS.RefreshMustWork(As(tokens.Client))
	b.tokens = tokens
}

func (b *bystander) refresh(t *T, limit *reports.Exchange) {
	if b.tokens != nil && limit != nil {
		b.meanwhile = t.IgnoringLimits(t.AS.BuildRefresh(b.tokens))
		t.AS.Tokens(b.meanwhile, b.tokens.Client)
	}
}

// judge expects that the limit for one client's errors ends no grant of another. A server may count by address, and so refuse everybody
// here for a while: from here, that looks the same as one limit for all clients.
func (b *bystander) judge(t *T) {
	if b.meanwhile == nil {
		return
	}
	b.row(t, func(t *T, b *bystander) {
		if s := expect.Status(b.meanwhile); s != 429 && s != 503 {
			t.Expect(b.meanwhile).To(expect.IssueTokens())
			return
		}
		t.Note("the limit also holds for a refresh of another client from the same address: %s", expect.Describe(b.meanwhile))
		ex := t.AS.Refresh(b.tokens)
		t.AS.Tokens(ex, b.tokens.Client)
		t.Expect(ex, "after the limit").To(expect.IssueTokens())
	})
}

// errant is the client that makes errors: a new one where one can be registered.
func errant(t *T) *oauth.Client {
	if t.Session.Register {
		if own, _ := t.AS.Register(nil); own != nil {
			return own
		}
	}
	return t.AS.AnyClient()
}

func withUnknownCode(t *T, c *oauth.Client) wire.Request {
	return t.AS.BuildTokenRequest(c, With("grant_type", "authorization_code"), With("code", "mcpauth-no-code"),
		With("redirect_uri", c.RedirectURI), With("code_verifier", oauth.NewPKCE(43).Verifier))
}

var beALimitAtTheTokenEndpoint = expect.That("a limit at the token endpoint", func(limit *reports.Exchange) string {
	if limit != nil {
		return ""
	}
	return "all are answered"
})

var beJSON = expect.That("a body in JSON", func(ex *reports.Exchange) string {
	if oauth.Object(ex) != nil {
		return ""
	}
	return expect.MediaType(ex)
})

func mentions(word string) func(any) bool {
	return func(v any) bool {
		s, _ := v.(string)
		return strings.Contains(strings.ToLower(s), word)
	}
}

// RFC 7591 section 5 speaks of rate limits for open registration.
func limitsRegistration(t *T) {
	m := t.AS.ClientMetadata()
	refused := flood(t, registrations, func(int) wire.Request { return t.Session.Registration(m) }, func(ex *reports.Exchange) bool {
		return t.Session.Registered(ex, m) == nil
	})
	if t.Expect(refused, "%d registrations in a row", registrations).Ideally(beALimitForRegistration) {
		throttle(t, refused)
	}
}

var beALimitForRegistration = expect.That("a limit for open registration", func(limit *reports.Exchange) string {
	if limit != nil {
		return ""
	}
	return "all clients are registered"
})

// flood sends up to n requests, some at once, until an answer is the one that is looked for; nil if none is.
func flood(t *T, n int, request func(i int) wire.Request, found func(*reports.Exchange) bool) *reports.Exchange {
	var first *reports.Exchange
	for sent := 0; sent < n && first == nil; {
		var part []wire.Request
		for ; len(part) < atOnce && sent < n; sent++ {
			part = append(part, request(sent))
		}
		for _, ex := range t.AllIgnoringLimits(part) {
			if found(ex) && first == nil {
				first = ex
			}
		}
	}
	return first
}

// throttle judges the answer of a limit: 429, or 503, with a Retry-After. It returns how long the answer asks the client to wait.
func throttle(t *T, ex *reports.Exchange) time.Duration {
	if !t.Expect(ex, "the answer of the limit").To(expect.HaveStatus(429, 503)) {
		return 0
	}
	wait, _ := expect.RetryAfter(ex)
	if expect.Header(ex, "Retry-After") == "" {
		t.Expect(ex, "the answer of the limit").Ideally(expect.HaveHeader("Retry-After", expect.NotEmpty))
	} else {
		t.Expect(ex, "the answer of the limit").To(waitProperly)
	}
	return wait
}

// pulse is the shortest duration of three ordinary requests.
func pulse(t *T, token string) time.Duration {
	least := time.Hour
	for range 3 {
		ex := t.IgnoringLimits(t.MCP.Call().With(mcp.Bearer(token)).Request())
		least = min(least, time.Duration(float64(ex.Duration)*float64(time.Millisecond)))
	}
	return least
}

// completion asks for a completion: of a declared object, or of one that does not exist if none is declared.
func completion(t *T, call mcp.Call) (request mcp.Call, declared bool) {
	for _, o := range t.Objects {
		if o.Argument != "" {
			return o.Call(call), true
		}
	}
	return Completion("mcpauth", "mcpauth", "m").Call(call), false
}
