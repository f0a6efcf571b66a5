package login

import "context"

// Driver carries an authorization request through the pages in its own way and leaves the cookies that it
// got in the agent's jar.
type Driver interface {
	Authorize(ctx context.Context, agent *Agent, start string, r Route) *Outcome
	// Close ends whatever the driver started.
	Close()
}
