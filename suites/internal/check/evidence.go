package check

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/fixtures/requirements"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/login"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/wire"
)

// evidence records the failures that a check has met.
type evidence struct {
	failures []requirements.Failure // the failures that the requirement is about
}

// failure returns the reason why an exchange has no proper answer; empty if it has one.
func failure(ex *reports.Exchange) requirements.Failure {
	switch status := expect.Status(ex); {
	case ex == nil:
		return ""
	case isOurs(ex.Error):
		return ours
	case ex.Response == nil || ex.Error != "":
		return requirements.NoAnswer
	case status == 429:
		return requirements.RateLimit
	case status >= 500:
		return requirements.ServerError
	}
	return ""
}

// cutShort reports whether only a part of an answer has come: the rest may contain what is missing.
func cutShort(ex *reports.Exchange) bool { return ex != nil && ex.Response != nil && ex.Error != "" }

// unseen reports whether a matcher had no answer to look at, or only a part of one. A stream that stays open is an answer, and a
// connection that the target closes may be a refusal.
func unseen(ex *reports.Exchange, k expect.Kind) bool {
	switch {
	case cutShort(ex), failure(ex) == ours:
		return true
	case ex == nil || ex.Response != nil || ex.Error == wire.Silent:
		return false
	}
	return k == expect.Look
}

// ours is a failure of mcpauth itself: of its limits, its time, or its browser. No requirement is about it.
const ours requirements.Failure = "mcpauth"

func isOurs(failed string) bool {
	return wire.Ours(failed) || failed == errLimited.Error() || strings.HasPrefix(failed, login.BrowserFailed)
}

// anyShowsNothing returns a failed exchange of a finding's evidence that the requirement is not about; nil if there is none.
func (t *T) anyShowsNothing(exchanges []*reports.Exchange) *reports.Exchange {
	for _, ex := range exchanges {
		if f := failure(ex); f != "" && !t.isAbout(f) {
			return ex
		}
	}
	return nil
}

// restsOnAnswers returns the end of a check. If one of its requests failed, it does not show that a feature is absent, or that a
// declaration is needed. HTTP 501 does (RFC 9110 section 15.6.2). If all of them failed, nothing shows that the target does what it should.
func (t *T) restsOnAnswers(ended *stop) *stop {
	failed, all := t.failedOf(t.own())
	if ended == nil && all && len(t.findings) == 0 {
		t.spoilt = true
		return &stop{reports.Inconclusive, Because(t, failed, noAnswerShows(failed))}
	}
	absent := ended != nil && (ended.verdict == reports.NotApplicable || ended.verdict == reports.NotTested && t.missing == "")
	if !absent || t.declared != "" || failed == nil {
		return ended
	}
	t.spoilt = true
	return &stop{reports.Inconclusive, Because(t, failed, fmt.Sprintf("%s, or so it seems: a request of the check failed (%s)",
		ended.reason, expect.Describe(failed)))}
}

// noAnswerShows says that none of some requests got an answer that shows anything.
func noAnswerShows(failed *reports.Exchange) string {
	return "no request got an answer that shows anything: " + expect.Describe(failed)
}

// failedOf is the first failure among exchanges, and whether all of them failed. An open stream without an event has not failed.
func (t *T) failedOf(exchanges []*reports.Exchange) (first *reports.Exchange, all bool) {
	all = len(exchanges) > 0
	for _, ex := range exchanges {
		if f := failure(ex); f == "" || t.isAbout(f) || notImplemented(ex) || t.keptSilent(ex) {
			all = false
			continue
		}
		all = all && !expect.OpenedSilently(ex)
		if first == nil {
			first = ex
		}
	}
	return first, all
}

func notImplemented(ex *reports.Exchange) bool {
	return expect.Status(ex) == http.StatusNotImplemented && ex.Error == ""
}

// isAbout reports whether the requirement is about a failure, which can then be evidence.
func (t *T) isAbout(f requirements.Failure) bool { return f != "" && slices.Contains(t.failures, f) }

// showsNothing says why a failure is not evidence.
func (t *T) showsNothing(ex *reports.Exchange, expected string) string {
	return Because(t, ex, expect.Describe(ex)+", which shows nothing of what is expected: "+expected)
}

// Because returns the reason why an exchange decides nothing. What fails at every bad token, or at every unknown code, gets one common
// reason, which reports show once.
func Because(t *T, ex *reports.Exchange, why string) string {
	if failure(ex) != requirements.ServerError {
		return why
	}
	garbage := t.Survey.Bogus[t.wire()]
	if failure(garbage) == requirements.ServerError && ex.Request.URL == garbage.Request.URL {
		return fixFirst("bad token", garbage, "RS-CHALLENGE-NO-5XX", `HTTP 401 and error="invalid_token"`)
	}
	if unknown := t.AS.unknownCode(ex.Request.URL); failure(unknown) == requirements.ServerError {
		return fixFirst("unknown code", unknown, "AS-TOKEN-INVALID-CODE", `HTTP 400 and error "invalid_grant"`)
	}
	return why
}

// Unanswered is Because for an exchange that is not a proper answer; empty for a proper one.
func Unanswered(t *T, ex *reports.Exchange) string {
	if why := expect.NoAnswer(ex); why != "" {
		return Because(t, ex, why)
	}
	return ""
}

// LeaveIfFailed leaves a failed answer undecided that was searched for something forbidden: what a server error shows is evidence, and
// what it does not show is none.
func LeaveIfFailed(t *T, ex *reports.Exchange) {
	if why := Unanswered(t, ex); why != "" {
		t.Leave("", why)
	}
}

// first ends a reason that many requirements may share.
const first = ", and test again"

// fixFirst says that one defect hides what is to be seen, which requirement reports it, and the answer that would show it.
func fixFirst(what string, ex *reports.Exchange, id, due string) string {
	const reason = "every %s is answered with HTTP %d, which shows no refusal (%s): answer it with %s"
	return fmt.Sprintf(reason, what, expect.Status(ex), id, due) + first
}

// unknownCode returns the answer of the token endpoint to an unknown code; nil if the address is another one, or there is no client. It is
// asked for once in a run, and only after a server error; a second request shows whether that was a short failure.
func (t AuthorizationServer) unknownCode(address string) *reports.Exchange {
	if t.Session == nil || address == "" || address != t.Session.Server.Token {
		return nil
	}
	return Once(t.T, "the answer to an unknown code", func() (ex *reports.Exchange) {
		t.guarded(func() *stop {
			c := t.AnyClient()
			for tries := 0; tries == 0 || tries < 2 && failure(ex) == requirements.ServerError; tries++ {
				ex = t.TokenRequest(c, With("grant_type", "authorization_code"), With("code", "mcpauth-no-code"),
					With("redirect_uri", c.RedirectURI), With("code_verifier", oauth.NewPKCE(43).Verifier))
			}
			return nil
		})
		return ex
	})
}
