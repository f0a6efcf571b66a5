package suites

import (
	"context"
	"slices"
	"sync"

	"github.com/onsi/ginkgo/v2"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/check"
)

// Register adds the suite to the Ginkgo tree that is being built. Call it at the top level, or in a container of your own
// suite. It surveys the target when the first check runs. done, if not nil, gets the report when the suite or the container
// ends.
//
// The specs carry labels (id, area, level, tier, role), for Ginkgo's label filter. At the top level they run on all of
// Ginkgo's parallel processes. Each process surveys the target and signs in on its own. In a container they run in order, on one
// process, because Ginkgo has no other way to run code at the end of a container.
func Register(configure func() Config, done func(reports.Redacted)) *Registered {
	reg, err := registry()
	if err != nil {
		panic(err)
	}
	r := &Registered{configure: configure, done: done, reg: reg, evaluated: map[string]*check.Engine{}}
	inside, ordered := container()
	switch {
	case !inside:
		addSpecs(reg, r.results, inParallel)
		ginkgo.ReportAfterSuite("mcpauth", func(ginkgo.Report) { r.Finish() })
	case ordered:
		ginkgo.Describe("mcpauth", r.inOrder)
	default:
		ginkgo.Describe("mcpauth", ginkgo.Ordered, ginkgo.ContinueOnFailure, r.inOrder)
	}
	return r
}

// container reports whether the tree is being built inside a container, and whether that one is ordered.
func container() (inside, ordered bool) {
	defer func() { _ = recover() }() // which is how Ginkgo says that there is no container
	report := ginkgo.CurrentTreeConstructionNodeReport()
	return true, report.IsInOrderedContainer
}

// Registered is a suite that Register has added to a Ginkgo tree.
type Registered struct {
	configure func() Config
	done      func(reports.Redacted)
	reg       *check.Registry
	start     sync.Once
	finish    sync.Once

	ctx       context.Context
	s         *preparation
	failed    error
	mu        sync.Mutex
	evaluated map[string]*check.Engine // by id, where checks are evaluated one by one
}

func (r *Registered) inOrder() {
	addSpecs(r.reg, r.results, oneByOne)
	ginkgo.AfterAll(r.Finish)
}

// Finish ends the run: it deletes the clients that the suite registered, and calls done with the report, once. You need to call
// it only in the AfterSuite of a suite that runs in parallel: there Ginkgo reports the end to the first process only. In all
// other cases it is called for you.
func (r *Registered) Finish() {
	r.finish.Do(func() {
		if r.s == nil {
			return // no check ran here
		}
		for _, c := range r.reg.All() {
			if e := r.evaluated[c.Requirement.ID]; e != nil {
				r.s.engines = append(r.s.engines, e)
			}
		}
		report := r.s.finish(r.ctx)
		if r.done != nil {
			r.done(report)
		}
	})
}

// prepare surveys the target. If all selected checks will run, they start at once, concurrently. Otherwise each one is
// evaluated when its spec runs.
func (r *Registered) prepare() {
	r.ctx, r.s, r.failed = prepare(context.Background(), r.configure())
	if r.failed == nil && r.s.run.Unreachable == "" && runsEverything() {
		r.s.start(r.ctx, r.s.selected())
	}
}

// runsEverything reports whether Ginkgo was not asked to leave specs out, or to share them among processes.
func runsEverything() bool {
	suite, _ := ginkgo.GinkgoConfiguration()
	chosen := len(suite.FocusStrings) + len(suite.SkipStrings) + len(suite.FocusFiles) + len(suite.SkipFiles)
	return chosen == 0 && suite.LabelFilter == "" && suite.ParallelTotal == 1
}

// results returns the results of one check, for its spec.
func (r *Registered) results(id string) []reports.Result {
	r.start.Do(r.prepare)
	switch {
	case r.failed != nil:
		return []reports.Result{{ID: id, Verdict: reports.Errored, Reason: r.failed.Error()}}
	case r.s.run.Unreachable != "":
		return []reports.Result{{ID: id, Verdict: reports.Inconclusive, Reason: r.s.run.Unreachable}}
	case !slices.Contains(r.s.selected(), id):
		return []reports.Result{{ID: id, Verdict: reports.NotTested, Reason: "left out by the configuration"}}
	}
	return r.engine(id).Wait(id)
}

// engine returns the engine that evaluates a check.
func (r *Registered) engine(id string) *check.Engine {
	if len(r.s.engines) > 0 {
		return r.s.engines[0]
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.evaluated[id] == nil {
		r.evaluated[id] = r.s.engine()
		r.evaluated[id].Start(r.ctx, []string{id})
	}
	return r.evaluated[id]
}
