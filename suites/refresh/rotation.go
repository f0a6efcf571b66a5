package refresh

import (
	"fmt"
	"slices"
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/oauth"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func rotates(t *T) {
	tokens := t.AS.MustGetRefreshToken()
	if !tokens.Client.Public() {
		t.NotApplicable("the client is confidential; rotation is for public clients")
	}
	seen := []string{tokens.Refresh}
	for range 2 {
		next := t.AS.MustRefresh(tokens) // it contains the old refresh token if the answer has none
		if !t.Expect(next, "a refresh").To(bringNewRefreshToken(seen)) {
			return
		}
		seen, tokens = append(seen, next.Refresh), next
	}
}

var bringNewRefreshToken = expect.Family("bringNewRefreshToken", func(seen []string) expect.Matcher {
	return expect.That("a new refresh token with every refresh", func(next *oauth.Tokens) string {
		if slices.Contains(seen, next.Refresh) {
			return "no new refresh token: the used one stays valid"
		}
		return ""
	})
})

// mustRotate is a flow at a server that rotates refresh tokens. A public client must not keep a used one (OAuth 2.1 section 4.3.1).
func mustRotate(t *T) *oauth.Tokens {
	probe := t.AS.MustGetRefreshToken()
	if !probe.Client.Public() {
		t.NotApplicable("the client is confidential; what follows rotation is for public clients")
	}
	if next := t.AS.MustRefresh(probe); next.Refresh == probe.Refresh {
		t.NotApplicable("refresh tokens do not rotate (AS-REFRESH-ROTATES)")
	}
	return t.AS.MustGetRefreshToken()
}

// overlap is how long a used refresh token may continue to work, for lost responses. No clause names a time; this one is a choice of
// mcpauth.
const overlap = time.Minute

// waitOut waits until an overlap is over: by the target's clock, or as long as the user lets a check wait. It reports how long it
// waited, and whether that was all of it.
func waitOut(t *T) (waited time.Duration, over bool) {
	if t.Clock != nil || t.MaxWait > overlap {
		t.Elapse(overlap + time.Second)
		return overlap, true
	}
	waited = max(t.Patience, t.MaxWait)
	t.Sleep(waited)
	return waited, false
}

// A refresh token that works again within the overlap is a warning. Another family shows whether the overlap ends.
func endsUsedTokens(t *T) {
	tokens := mustRotate(t)
	t.AS.MustRefresh(tokens)
	ex := t.AS.Refresh(tokens)
	if t.AS.Tokens(ex, tokens.Client) == nil {
		t.Expect(ex, "a used refresh token").To(expect.RefuseGrant("invalid_grant"))
		return
	}
	t.Expect(ex, "a used refresh token at once").Ideally(expect.RefuseGrant())
	tokens = t.AS.MustGetRefreshToken()
	t.AS.MustRefresh(tokens)
	waited, over := waitOut(t)
	late := t.AS.Refresh(tokens)
	if t.AS.Tokens(late, tokens.Client) != nil && !over {
		t.Note("a used refresh token still works after %v; a run with --max-wait %v shows whether it ends", waited, overlap+time.Second)
		return
	}
	t.Expect(late, "a used refresh token after %s", expect.Span(waited)).To(expect.RefuseGrant("invalid_grant"))
}

// usedAgain are the tokens for a refresh token that is used again; nil for a refusal. After a crash, the server may not have seen
// the request.
func usedAgain(t *T, used *oauth.Tokens) *oauth.Tokens {
	ex := t.AS.Refresh(used)
	if expect.Crashed(ex) {
		t.Inconclusive("a refresh token that is used again is answered with %s", expect.Describe(ex))
	}
	return t.AS.Tokens(ex, used.Client)
}

// reused is a family whose oldest refresh token was used again, and refused: its oldest and its newest tokens.
func reused(t *T) (first, newest *oauth.Tokens) {
	first = mustRotate(t)
	newest = t.AS.MustRefresh(t.AS.MustRefresh(first))
	if usedAgain(t, first) == nil {
		return first, newest
	}
	waited, over := waitOut(t)
	switch {
	case usedAgain(t, first) == nil:
	case over:
		t.NotApplicable("a used refresh token still works (AS-REFRESH-OLD-DIES)")
	default:
		t.NotTestedWithout("time", "a used refresh token still works after %v; let the run wait with --max-wait %v", waited, overlap+time.Second)
	}
	return first, newest
}

func revokesFamilyOnReuse(t *T) {
	_, newest := reused(t)
	last := t.AS.Refresh(newest)
	t.AS.Tokens(last, newest.Client)
	t.Expect(last, "the newest refresh token of a family after reuse").To(expect.RefuseGrant("invalid_grant"))
	refreshed := t.AS.MustRefresh(mustRotate(t))
	newest = t.AS.MustRefresh(t.AS.MustRefresh(refreshed))
	if usedAgain(t, refreshed) != nil {
		return // within an overlap
	}
	last = t.AS.Refresh(newest)
	t.AS.Tokens(last, newest.Client)
	t.Expect(last, "the newest refresh token after reuse of one that a refresh issued").To(expect.RefuseGrant("invalid_grant"))
}

func endsAccessOnReuse(t *T) {
	t.MCP.MustWork(t.AS.MustGetTokens(), "the access token has no effect here that could end")
	first, newest := reused(t)
	last, _ := t.MCP.UntilRefused(newest.Access)
	if t.Expect(last, "the newest access token of a family after reuse").Ideally(expect.RefuseAnyway()) {
		last, _ = t.MCP.UntilRefused(first.Access)
		t.Expect(last, "the oldest access token of a family after reuse").Ideally(expect.RefuseAnyway())
	}
}

func keepsOneLineage(t *T) {
	tokens := mustRotate(t)
	lineages := raceRefreshes(t, tokens)
	if len(lineages) < 2 {
		return
	}
	t.Sleep(t.Patience)
	alive := 0
	for _, next := range Sorted(lineages) {
		if t.AS.Tokens(t.AS.Refresh(next), tokens.Client) != nil {
			alive++
		}
	}
	if overlaps(t) { // within the overlap, a client that retries may get several answers
		t.Expect(alive, "5 refreshes at once").Ideally(oneLineage)
		return
	}
	t.Expect(alive, "5 refreshes at once").To(oneLineage)
}

// raceRefreshes refreshes five times at once, and returns the outcome by the new refresh tokens.
func raceRefreshes(t *T, tokens *oauth.Tokens) map[string]*oauth.Tokens {
	var same []Variant
	for i := range 5 {
		r := t.AS.BuildRefresh(tokens)
		r.Fresh = true
		same = append(same, Variant{About: fmt.Sprint(i), Request: r})
	}
	lineages := map[string]*oauth.Tokens{}
	answers := t.Race(same)
	if !slices.ContainsFunc(answers, func(ex *reports.Exchange) bool { return !expect.Crashed(ex) }) {
		t.Inconclusive("none of 5 refreshes sent at once is answered: %s", expect.Describe(answers[0]))
	}
	for _, ex := range answers {
		if next := t.AS.Tokens(ex, tokens.Client); next != nil && next.Refresh != "" {
			lineages[next.Refresh] = next
		}
	}
	return lineages
}

// overlaps reports that a used refresh token works again at once, and no longer when the overlap is over.
func overlaps(t *T) bool {
	tokens := t.AS.MustGetRefreshToken()
	t.AS.MustRefresh(tokens)
	if t.AS.Tokens(t.AS.Refresh(tokens), tokens.Client) == nil {
		return false
	}
	waitOut(t)
	return t.AS.Tokens(t.AS.Refresh(tokens), tokens.Client) == nil
}

var oneLineage = expect.That("one refresh token that works afterwards, at most", func(alive int) string {
	if alive <= 1 {
		return ""
	}
	return fmt.Sprintf("%d different refresh tokens work afterwards", alive)
})
