package check

import (
	"crypto/sha256"
	"slices"
	"strings"
)

// reorder puts checks into the order of the seed, if there is one, so that a target cannot exploit the usual order.
func (w *World) reorder(checks []*Check) {
	if w.Order == "" {
		return
	}
	place := func(c *Check) string {
		sum := sha256.Sum256([]byte(w.Order + "\x00" + c.Requirement.ID))
		return string(sum[:])
	}
	slices.SortFunc(checks, func(a, b *Check) int { return strings.Compare(place(a), place(b)) })
}
