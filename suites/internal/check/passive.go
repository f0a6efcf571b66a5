package check

import (
	"slices"

	"github.com/mcpauth/conformance/fixtures/requirements"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/wire"
)

const passive = "passive: this run reads documents and looks at the answer to a request without credentials, and does no more"

// fromTheFirstAnswer are requirements above T0 that the answer to a request without credentials decides.
var fromTheFirstAnswer = []string{"RS-CHALLENGE-401-STATUS"}

// only says why a passive run leaves out a requirement; nil if it does not.
func (w *World) only(r *requirements.Requirement) *stop {
	if !w.Passive || !r.Intrusive && (r.Tier == requirements.T0 || slices.Contains(fromTheFirstAnswer, r.ID)) {
		return nil
	}
	return &stop{reports.NotTested, passive}
}

// mayBeSent ends the check before it sends a request that the user does not allow.
func (t *T) mayBeSent(requests ...wire.Request) {
	for _, req := range requests {
		if !t.Client.MaySend(req) {
			t.NotTested("%s (it would send %s to %s)", passive, req.Method, endpoint(req.URL))
		}
		t.strains(req.URL)
	}
}
