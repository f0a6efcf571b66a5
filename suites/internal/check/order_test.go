package check

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mcpauth/conformance/fixtures/requirements"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
)

func TestASeedGivesTheOrder(t *testing.T) {
	order := func(seed string) string {
		var checks []*Check
		for _, id := range []string{"A", "B", "C", "D", "E", "F", "G", "H"} {
			checks = append(checks, &Check{Requirement: &requirements.Requirement{ID: id}})
		}
		(&World{Order: seed}).reorder(checks)
		var ids []string
		for _, c := range checks {
			ids = append(ids, c.Requirement.ID)
		}
		return strings.Join(ids, "")
	}
	assert.Equal(t, "ABCDEFGH", order(""), "the checks are not in the order of the catalogue")
	assert.NotEqual(t, order("one"), order("two"))
	assert.Equal(t, order("one"), order("one"))
	sorted := strings.Split(order("one"), "")
	slices.Sort(sorted)
	assert.Equal(t, "ABCDEFGH", strings.Join(sorted, ""), "a check is missing")
}

// A check without keys runs before those that wait for the next fetch of the key set, so that one wait serves all. If none waits, it comes
// last of all. One that may put the target out of order runs after the second look at the others.
func TestChecksThatUpsetTheTargetComeLast(t *testing.T) {
	for name, c := range map[string]struct {
		wait func(t *T)
		want []string
	}{
		"a target that fetches rarely":  {(*T).afterOthers, []string{"a finding", "no keys", "a wait", "a finding", "out of order"}},
		"a target that fetches at once": {nil, []string{"a finding", "a finding", "out of order", "no keys"}},
	} {
		t.Run(name, func(t *testing.T) { assert.Equal(t, c.want, orderOf(t, c.wait)) })
	}
}

// orderOf runs a check of each kind, and returns the order in which they end. There is none that waits if wait is nil.
func orderOf(t *testing.T, wait func(t *T)) (order []string) {
	e := engine(t, "RS-TOKEN-GARBAGE", func(*T) {})
	e.Timeout, e.slots = OrdinaryTimeout, map[string]*slot{}
	e.World.Begin()
	made := func(id string, alone requirements.Alone, body func(*T)) *Check {
		r := &requirements.Requirement{ID: id, Level: "MUST", Alone: alone, Revisions: []string{"2025-11-25"}}
		e.slots[id] = &slot{done: make(chan struct{})}
		return &Check{Requirement: r, Level: r.Level, Body: func(t *T) {
			body(t)
			order = append(order, id)
		}}
	}
	s := &schedule{
		others:      []*Check{made("a finding", "", findsSomething)},
		withoutKeys: []*Check{made("no keys", requirements.Last, func(*T) {})},
		breaking:    []*Check{made("out of order", requirements.Last, func(*T) {})},
		alone:       map[requirements.Alone][]*Check{},
	}
	if wait != nil {
		s.alone[requirements.AtTheKeySet] = []*Check{made("a wait", requirements.AtTheKeySet, wait)}
	}
	e.carryOut(t.Context(), s)
	return order
}

func findsSomething(t *T) {
	good := &reports.Exchange{Number: 1, Response: &reports.Response{Status: 200}}
	t.Expect(good).To(expect.That("as before", func(*reports.Exchange) string { return "otherwise" }))
}
