package login

import "context"

// Driver follows an authorization request through the pages, and leaves the cookies in the agent's jar.
type Driver interface {
	Authorize(ctx context.Context, agent *Agent, start string, r Route) *Outcome
	// Close stops everything that the driver has started.
	Close()
}
