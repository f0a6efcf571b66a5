package check

import (
	"slices"
	"time"

	"github.com/mcpauth/conformance/suites/internal/session"
)

// aMoment is longer than a second, so that a value that is made from the time is another one afterwards.
const aMoment = 1100 * time.Millisecond

// Compared returns issued values for a comparison with each other. A server may return to a user and client the token that they hold
// already, as long as it is valid. Then it returns these tokens, with those of another client and another user.
func Compared(t *T, values []string, issue func(edits ...Edit) string) []string {
	own := slices.Compact(slices.Clone(values))
	if len(own) == len(values) {
		return values
	}
	if t.Sleep(aMoment); issue() != own[len(own)-1] {
		return values // the same within a second only
	}
	// A server may give each registration the same client_id.
	if second, _ := t.Session.Client(t.ctx, session.Second); second != nil && second.ID != t.AS.AnyClient().ID {
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
