package check

import (
	"context"
	"sync"

	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/session"
)

// grantsAtOnce is how many checks end grants at a time.
const grantsAtOnce = 8

// endGrants runs the checks that end grants of their own: at once where that ends no other grant of the user, or none of another
// client, which a bystander shows before and afterwards. Where it does, and where nobody can tell, each is alone.
func (e *Engine) endGrants(ctx context.Context, checks []*Check) {
	if len(checks) == 0 {
		return
	}
	var seen *bystander
	for _, apart := range []context.Context{ctx, session.WithOwnClients(ctx)} {
		if seen = e.World.bystander(apart); seen != nil {
			ctx = apart
			break
		}
	}
	if seen == nil {
		for _, c := range checks {
			e.run(ctx, c)
		}
		return
	}
	all := e.tryAtOnce(ctx, checks)
	apart := seen.alive(ctx)
	for i, c := range checks {
		if !apart {
			all[i] = e.try(ctx, c)
		}
		e.conclude(all[i])
	}
}

// tryAtOnce executes checks beside each other.
func (e *Engine) tryAtOnce(ctx context.Context, checks []*Check) []*tried {
	all := make([]*tried, len(checks))
	places := make(chan struct{}, grantsAtOnce)
	var together sync.WaitGroup
	for i, c := range checks {
		places <- struct{}{}
		together.Go(func() {
			all[i] = e.try(ctx, c)
			<-places
		})
	}
	together.Wait()
	return all
}

// bystander is a grant that no check uses.
type bystander struct {
	*World
	tokens *oauth.Tokens
	served bool // the target serves its access token
}

// bystander makes one that outlives the replay of another grant's code; nil where there is none whose end could be seen.
func (w *World) bystander(ctx context.Context) *bystander {
	tokens := w.Session.Bystander(ctx)
	if tokens == nil {
		return nil
	}
	b := &bystander{w, tokens, w.Survey.Serves(ctx, w.Client, tokens.Access)}
	if tokens.Refresh == "" { // an access token may be a JWT, which nobody asks whether its grant has ended
		return nil
	}
	if w.Session.Replay(ctx); !b.alive(ctx) {
		return nil
	}
	return b
}

// alive reports that everything of the grant works as it did.
func (b *bystander) alive(ctx context.Context) bool {
	if b.served && !b.Survey.Serves(ctx, b.Client, b.tokens.Access) {
		return false
	}
	if b.tokens.Refresh == "" {
		return true
	}
	next := b.Session.Refreshed(ctx, b.tokens)
	if next == nil {
		return false
	}
	b.tokens = next
	return true
}
