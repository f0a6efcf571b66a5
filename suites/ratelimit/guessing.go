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

// hindered reports that answers to guesses show a limit: a refusal that the first guess did not meet, or answers that
// come ever later.
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
	// OAuth 2.1 section 2.4.1: "the authorization server MUST protect any endpoint utilizing it against brute force attacks"
	Must("AS-RATE-CLIENT-SECRET", func(t *T) {
		c := t.AS.MustRegister(map[string]any{"token_endpoint_auth_method": t.Session.SecretMethod()})
		if c.Secret == "" {
			t.NotApplicable("no client with a secret can be registered")
		}
		guess := func(secret string) wire.Request {
			wrong := *c
			wrong.Secret = secret
			return t.AS.BuildTokenRequest(&wrong, With("grant_type", "authorization_code"), With("code", "mcpauth-no-code"), With("redirect_uri", c.RedirectURI), With("code_verifier", oauth.NewPKCE(43).Verifier))
		}
		if ex := t.IgnoringLimits(guess(c.Secret)); oauth.ErrorCode(ex) == "invalid_client" || ex.Response == nil {
			t.Inconclusive("the control failed: the right secret is answered with %s", expect.Describe(ex))
		}
		var answers []*reports.Exchange
		for range guesses {
			answers = append(answers, t.IgnoringLimits(guess("mcpauth-"+Random(12))))
		}
		t.Controlled()
		last := answers[len(answers)-1]
		const want = "throttling, growing delays or a lock before 50 wrong secrets of one client"
		switch {
		case hindered(answers):
			t.Refused()
		case len(c.Secret) < 20: // less than 128 bits in any usual alphabet
			t.Unmet(last, want, "all are answered at full speed, and the secret has %d characters only", len(c.Secret))
		default:
			t.Advise(last, want, "all are answered at full speed; a secret of %d characters cannot be guessed all the same", len(c.Secret))
		}
	})

	Must("AS-RATE-LOGIN", func(t *T) {
		attempts, in := passwords(t)
		if !attempts.hindered && in.Code() != "" {
			t.Unmet(attempts.last, "a limit, a delay, a lock or a question before 20 wrong passwords", "all are answered at full speed, and then the right one is let in at once")
			return
		}
		t.Refused()
		t.Controlled()
	})

	Practice("AS-RATE-LOGIN-RECOVERY", func(t *T) {
		attempts, in := passwords(t)
		if !attempts.hindered && in.Code() != "" {
			t.NotApplicable("no limit was seen (AS-RATE-LOGIN)")
		}
		user := t.Session.Sacrificial()
		for _, f := range []reports.Field{mcp.Field("X-Forwarded-For", "203.0.113.7"), mcp.Field("Forwarded", "for=203.0.113.8")} {
			if in.Code() != "" {
				break // the right password is let in anyway
			}
			if g := lifts(t, user, f); g != nil {
				t.Finding(g.Exchange, f.Name, "a limit that a header of the client's own does not lift", "with "+f.Name+": "+f.Value+" the user is let in")
			}
		}
		if ex, ok := t.Eventually(func() bool { in = t.AS.AuthorizeAs(user); return in.Code() != "" }); !ok {
			t.Inconclusive("after %v the right password is still refused: whether the lock ends was not seen (%s)", 5*t.Patience, expect.Describe(ex))
		}
		t.Refused()
		t.Controlled()
	})

	Practice("AS-RATE-NORMAL-USE", func(t *T) {
		tokens := t.AS.MustGetRefreshToken()
		for i := range 10 {
			ex := t.IgnoringLimits(t.AS.BuildRefresh(tokens))
			if s := expect.Status(ex); s == 429 || s == 403 {
				t.Unmet(ex, "ten refreshes in a row to pass", "the %d. is answered with %s", i+1, expect.Describe(ex))
				return
			}
			next := t.AS.Tokens(ex, tokens.Client)
			if next == nil {
				t.Inconclusive("an ordinary refresh fails (AS-REFRESH-WORKS): %s", expect.Describe(ex))
			}
			if next.Refresh == "" {
				next.Refresh = tokens.Refresh
			}
			tokens = next
		}
	})

	Practice("RS-RATE-ANONYMOUS", func(t *T) {
		token := t.MCP.FirstToken()
		good := func() *reports.Exchange { return t.IgnoringLimits(t.MCP.Call().With(mcp.Bearer(token)).Request()) }
		if ex := good(); !t.MCP.Served(ex) {
			t.Inconclusive("the control failed: the valid token is answered with %s", expect.Describe(ex))
		}
		t.Controlled()
		throttled := false
		for range 10 {
			var flood []wire.Request
			for range 20 {
				flood = append(flood, t.MCP.Call().With(mcp.Bearer(t.Hide("mcpauth-"+Random(24)))).Request())
			}
			for _, ex := range t.AllIgnoringLimits(flood) {
				throttled = throttled || expect.Status(ex) == 429
			}
			if ex := good(); expect.Status(ex) == 401 {
				t.Unmet(ex, "the valid token to stay good while others are guessed", "%s", expect.Describe(ex))
				return
			}
		}
		if !throttled {
			t.Note("200 bad tokens are answered without a limit, which matters where credentials are short (RS-STATIC-ENTROPY)")
		}
		if ex, ok := t.Eventually(func() bool { return t.MCP.Served(good()) }); !ok {
			t.Unmet(ex, "the valid token served after the flood", "%v later: %s", 5*t.Patience, expect.Describe(ex))
		}
	})
}

// lifts returns the grant that a header obtained while the account was locked, or nil. That the lock was still there is
// seen by an attempt after it that says nothing in a header: where logins take long, a lock may just have ended.
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
	last     *reports.Exchange
}

// passwords types 20 wrong passwords, each on a page of its own, and then the right one, which must work beforehand.
func passwords(t *T) (attempts, *Grant) {
	user := t.Session.Sacrificial()
	if ex, ok := t.Eventually(func() bool { return t.AS.AuthorizeAs(user).Code() != "" }); !ok {
		t.Inconclusive("the control failed: the sacrificial user does not get in with the right password, or is still locked out: %s", expect.Describe(ex))
	}
	var answers []*reports.Exchange
	questioned, first := false, ""
	for i := range logins {
		g := t.AS.AuthorizeAs(&login.User{Name: user.Name, Password: "mcpauth-wrong-" + strconv.Itoa(i)})
		if g.Code() != "" {
			t.Inconclusive("a wrong password is let in (AS-LOGIN-WRONG-PASSWORD)")
		}
		answers = append(answers, g.Exchange)
		text := ""
		if p := g.Page(); p != nil {
			text = strings.ToLower(p.Text)
		}
		if i == 0 {
			first = text
		}
		for _, word := range []string{"captcha", "too many", "locked"} { // that the first page did not say
			questioned = questioned || strings.Contains(text, word) && !strings.Contains(first, word)
		}
	}
	return attempts{hindered(answers) || questioned, answers[len(answers)-1]}, t.AS.AuthorizeAs(user)
}
