package ratelimit

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/login"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// guesses is how often a secret is guessed, and logins how often a password is.
const (
	guesses = 50
	logins  = 20
)

// hindered reports that the answers to guesses show a limit: a refusal with another status than the first answer, or slower answers.
func hindered(answers []*reports.Exchange) bool {
	first := expect.Status(answers[0])
	for _, ex := range answers {
		if s := expect.Status(ex); s != first && slices.Contains([]int{0, 403, 423, 429, 503}, s) {
			return true
		}
	}
	part := len(answers) / 5
	early, late := median(answers[:part]), median(answers[len(answers)-part:])
	return late >= 500*time.Millisecond && late >= 5*early
}

func median(answers []*reports.Exchange) time.Duration {
	var all []float64
	for _, ex := range answers {
		all = append(all, float64(ex.Duration))
	}
	slices.Sort(all)
	return time.Duration(all[len(all)/2] * float64(time.Millisecond))
}

func guessing() {
	Must("AS-RATE-CLIENT-SECRET", hindersGuessingOfSecrets)
	Must("AS-RATE-LOGIN", hindersGuessingOfPasswords)
	Practice("AS-RATE-LOGIN-RECOVERY", letsLockedUsersInAgain)
	Practice("AS-RATE-NORMAL-USE", servesOrdinaryRefreshes)
	Practice("RS-RATE-ANONYMOUS", keepsGoodTokensDuringAFlood)
}

// OAuth 2.1 section 2.4.1: "the authorization server MUST protect any endpoint utilizing it against brute force attacks".
func hindersGuessingOfSecrets(t *T) {
	c := t.AS.MustRegister(map[string]any{"token_endpoint_auth_method": t.AS.SecretMethod()})
	if c.Secret == "" {
		t.NotApplicable("no client with a secret can be registered")
	}
	g := &guesser{client: c}
	right := g.guess(t, c.Secret)
	t.Expect(right, "the right secret").AsControl(acceptSecret(g.grant != nil))
	g.grant = nil // the code of the grant is used up
	answers := wrongSecrets(t, g)
	if short := len(c.Secret) < 20; short { // less than 128 bits in any usual alphabet
		t.Expect(answers, "a secret of %d characters", len(c.Secret)).SeenIn(answers[guesses-1]).To(beHindered)
	} else {
		t.Expect(answers, "a secret of %d characters, which cannot be guessed anyway",
			len(c.Secret)).SeenIn(answers[guesses-1]).Ideally(beHindered)
	}
}

// acceptSecret expects a client to be authenticated; with a valid code it also gets tokens.
var acceptSecret = expect.Family("acceptSecret", func(withCode bool) expect.Matcher {
	return expect.Serving("an authenticated client", func(ex *reports.Exchange) string {
		if oauth.ErrorCode(ex) == "invalid_client" || expect.NoAnswer(ex) != "" || withCode && oauth.ReadTokens(ex) == nil {
			return expect.Describe(ex)
		}
		return ""
	})
})

// wrongSecrets are the answers to guesses; the check ends if the server does not compare them.
func wrongSecrets(t *T, g *guesser) []*reports.Exchange {
	var answers []*reports.Exchange
	for range guesses {
		answers = append(answers, g.guess(t, "mcpauth-"+Random(12)))
	}
	if expect.NoAnswer(answers[0]) == "" && oauth.ErrorCode(answers[0]) != "invalid_client" && expect.Status(answers[0]) != 401 {
		if t.Session.UserCount() == 0 {
			t.NotTested("the server looks at the code before the secret, and a good code needs a user who signs in (--username)")
		}
		t.Inconclusive("a wrong secret is answered with %s: whether it is compared is not seen", expect.Describe(answers[0]))
	}
	return answers
}

var beHindered = expect.That("throttling, growing delays or a lock before 50 wrong secrets of one client",
	func(answers []*reports.Exchange) string {
		if hindered(answers) {
			return ""
		}
		return "all are answered at full speed"
	})

// guesser sends token requests with secrets of a client. Everything except the secret is right, if a user can sign in: servers check
// code and client in any order.
type guesser struct {
	client *oauth.Client
	grant  *Grant
}

func (g *guesser) guess(t *T, secret string) *reports.Exchange {
	as := AsWithSecret(g.client, secret)
	if !t.Session.Ready {
		return t.IgnoringLimits(t.AS.BuildTokenRequest(g.client, as, With("grant_type", "authorization_code"), With("code", "mcpauth-no-code"),
			With("redirect_uri", g.client.RedirectURI), With("code_verifier", oauth.NewPKCE(43).Verifier)))
	}
	if g.grant == nil {
		g.grant = t.AS.MustAuthorize(As(g.client))
	}
	ex := t.IgnoringLimits(t.AS.BuildRedeem(g.grant, as))
	if oauth.ErrorCode(ex) == "invalid_grant" { // the earlier guess has used up the code
		g.grant = t.AS.MustAuthorize(As(g.client))
		ex = t.IgnoringLimits(t.AS.BuildRedeem(g.grant, as))
	}
	t.AS.Tokens(ex, g.client)
	return ex
}

func hindersGuessingOfPasswords(t *T) {
	attempts, in := passwords(t)
	attempts.in = in.Code() != ""
	t.Expect(attempts).SeenIn(attempts.last).To(stopGuessing)
}

var stopGuessing = expect.That("a limit, a delay, a lock or a question before 20 wrong passwords", func(a attempts) string {
	if a.hindered || !a.in {
		return ""
	}
	return "all are answered at full speed, and then the right one signs the user in at once"
})

func letsLockedUsersInAgain(t *T) {
	attempts, in := passwords(t)
	if !attempts.hindered && in.Code() != "" {
		t.NotApplicable("no limit was seen (AS-RATE-LOGIN)")
	}
	user := t.Session.Sacrificial()
	if in.Code() == "" { // otherwise the right password still signs the user in
		Each(t, Cases[reports.Field]{
			{"X-Forwarded-For", mcp.Field("X-Forwarded-For", "203.0.113.7")},
			{"Forwarded", mcp.Field("Forwarded", "for=203.0.113.8")},
		}, func(t *T, f reports.Field) {
			if g := lifts(t, user, f); g != nil {
				t.Expect(g).To(stayLocked)
			}
		})
	}
	if ex, ok := t.Eventually(func() bool { return t.AS.AuthorizeAs(user).Code() != "" }); !ok {
		t.Inconclusive("after %v the right password is still refused: whether the lock ends was not seen (%s)", 5*t.Patience, expect.Describe(ex))
	}
}

var stayLocked = expect.That("a lock that a header of the client's own does not lift", func(*Grant) string {
	return "with the header the user is signed in, and without it not"
})

func servesOrdinaryRefreshes(t *T) {
	number, ex := refreshesServed(t)
	if wait, ok := expect.RetryAfter(ex); number > 0 && ok && wait <= t.Patience+10*time.Second {
		t.Sleep(wait) // other requests of the run may have used the limit up
		number, ex = refreshesServed(t)
	}
	if number > 0 {
		t.Expect(ex, "refresh number %d in a row", number).To(expect.IssueTokens())
	}
}

// refreshesServed refreshes ten times. It returns the number of the refresh that met a limit, and the answer; 0 if none did.
func refreshesServed(t *T) (limited int, ex *reports.Exchange) {
	tokens := t.AS.MustGetRefreshToken()
	for i := range 10 {
		ex = t.IgnoringLimits(t.AS.BuildRefresh(tokens))
		if s := expect.Status(ex); s == 429 || s == 403 {
			return i + 1, ex
		}
		t.Expect(ex, "an ordinary refresh (AS-REFRESH-WORKS)").AsControl(expect.IssueTokens())
		next := t.AS.Tokens(ex, tokens.Client)
		if next.Refresh == "" {
			next.Refresh = tokens.Refresh
		}
		tokens = next
	}
	return 0, ex
}

// An attacker who guesses tokens must not be able to lock out the owner of the real token.
func keepsGoodTokensDuringAFlood(t *T) {
	token := t.MCP.FirstToken()
	good := func() *reports.Exchange { return t.IgnoringLimits(t.MCP.Call().With(mcp.Bearer(token)).Request()) }
	t.Expect(good(), "the valid token").AsControl(t.MCP.Serve())
	throttled := false
	for range 10 {
		throttled = badTokens(t, 20) || throttled
		if !t.Expect(good(), "the valid token while others are guessed").To(stayGood) {
			return
		}
	}
	if !throttled {
		t.Note("200 bad tokens are answered without a limit, which matters where credentials are short (RS-STATIC-ENTROPY)")
	}
	ex, ok := t.Eventually(func() bool { return t.MCP.Served(good()) })
	if !ok {
		t.Expect(ex, "the valid token after the flood, %v later", 5*t.Patience).To(t.MCP.Serve())
	}
}

// badTokens sends some at once, and reports whether one of them met a limit.
func badTokens(t *T, n int) (throttled bool) {
	var flood []wire.Request
	for range n {
		flood = append(flood, t.MCP.Call().With(mcp.Bearer(t.Hide("mcpauth-"+Random(24)))).Request())
	}
	for _, ex := range t.AllIgnoringLimits(flood) {
		throttled = throttled || expect.Status(ex) == 429
	}
	return throttled
}

var stayGood = expect.That("any answer but 401", func(ex *reports.Exchange) string {
	if expect.Status(ex) != 401 {
		return ""
	}
	return expect.Describe(ex)
})

// lifts returns the grant that a login with the header obtained while the account was locked, or nil. A later login without the header
// shows that the account is still locked: if logins are slow, the lock may have ended.
func lifts(t *T, user *login.User, header reports.Field) *Grant {
	for range 3 {
		g := t.AS.AuthorizeAs(user, Header(header))
		if g.Code() == "" {
			return nil
		}
		if after := t.AS.AuthorizeAs(user); after.Code() == "" && !expect.Crashed(after.Exchange) {
			return g
		}
		if _, in := passwords(t); in.Code() != "" {
			return nil
		}
	}
	t.Note("whether %s lifts the lock was not seen: each time the lock was over after it", header.Name)
	return nil
}

// attempts are wrong passwords of the account that may be locked.
type attempts struct {
	hindered bool
	in       bool // the right password signs the user in at once
	last     *reports.Exchange
}

// passwords types 20 wrong passwords, each on a new page, and then the right one, which must have worked before.
func passwords(t *T) (attempts, *Grant) {
	user := t.Session.Sacrificial()
	var right *Grant
	t.Eventually(func() bool { right = t.AS.AuthorizeAs(user); return right.Code() != "" })
	t.Expect(right, "the right password of the sacrificial user, who may still be locked out:").AsControl(expect.EndWithCode())
	var answers []*reports.Exchange
	questioned, first := false, ""
	for i := range logins {
		g := t.AS.AuthorizeAs(&login.User{Name: user.Name, Password: "mcpauth-wrong-" + strconv.Itoa(i)})
		if g.Code() != "" {
			t.Inconclusive("a wrong password signs the user in (AS-LOGIN-REJECT-WRONG-PASSWORD)")
		}
		answers = append(answers, g.Exchange)
		text := ""
		if p := g.Page(); p != nil {
			text = strings.ToLower(p.Text)
		}
		if i == 0 {
			first = text
		}
		for _, word := range []string{"captcha", "too many", "locked"} { // the first page did not say that
			questioned = questioned || strings.Contains(text, word) && !strings.Contains(first, word)
		}
	}
	return attempts{hindered: hindered(answers) || questioned, last: answers[len(answers)-1]}, t.AS.AuthorizeAs(user)
}
