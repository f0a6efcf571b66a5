package check

import (
	"slices"
	"time"

	"github.com/mcpauth/conformance/suites/internal/session"
)

// aMoment is longer than a second, so that a value that is made from the time is another one afterwards.
const aMoment = 1100 * time.Millisecond

// Compared returns issued values for a comparison with each other. A server may return to a user and client the token that they hold
// already. Then it returns this token, with those of another client and another user.
func Compared(t *T, values []string, issue func(edits ...Edit) string) []string {
	own := slices.Compact(slices.Clone(values))
	if len(values) < 2 || len(own) > 1 {
		return values
	}
	if t.Sleep(aMoment); issue() != own[0] {
		return values // the same within a second only
	}
	if second, _ := t.Session.Client(t.ctx, session.Second); second != nil {
		own = append(own, issue(As(second)))
	}
	if t.Session.UserCount() > 1 {
		own = append(own, issue(By(1), SignedOut()))
	}
	if len(own) == 1 {
		t.Inconclusive("a user and client get the same token again, and there is no other client or user to compare with")
	}
	return own
}
