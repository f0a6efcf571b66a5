package check

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mcpauth/conformance/fixtures/requirements"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/deadline"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/faults"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/session"
	"github.com/mcpauth/conformance/suites/internal/survey"
)

// Engine runs checks concurrently, each on its own goroutine, and stores each result in a slot that is written once.
type Engine struct {
	Registry *Registry
	World    *World
	Timeout  time.Duration // of one check; 30 s if zero
	OnResult func(reports.Result)
	// Citing, if set, chooses the exchanges that the run keeps.
	Citing *reports.Citing

	slots map[string]*slot
	ended atomic.Int64 // number of ended slots

	doubting sync.Mutex
	doubts   []*doubt
	repeated int      // executions, after server errors
	lasting  sync.Map // names of executions that cannot be repeated: what they found lasts
}

type slot struct {
	outcomes  []outcome
	open      atomic.Int32 // executions whose results are not final
	done      chan struct{}
	results   []reports.Result
	exchanges []*reports.Exchange
}

// outcome is the result of one execution.
type outcome struct {
	results   []reports.Result
	exchanges []*reports.Exchange
}

// OrdinaryTimeout is the time limit of a check that does not wait for something to expire.
const OrdinaryTimeout = time.Minute

// Start starts the checks with the given ids.
func (e *Engine) Start(ctx context.Context, ids []string) {
	e.slots = map[string]*slot{}
	if e.World.pulse == nil {
		e.World.Begin()
	}
	if e.Timeout == 0 {
		e.Timeout = OrdinaryTimeout
	}
	s := e.schedule(ids)
	e.World.pace.served = func() (done, all int) { return int(e.ended.Load()), len(e.slots) }
	ctx, end := context.WithCancel(ctx)
	go func() {
		select {
		case <-e.World.gone:
		case <-ctx.Done():
		}
		end()
	}()
	go func() {
		defer end()
		e.carryOut(ctx, s)
	}()
}

// carryOut checks the survey, runs the checks, and tries their findings a second time.
func (e *Engine) carryOut(ctx context.Context, s *schedule) {
	e.World.lookAtSurvey(ctx)
	if e.World.Seeded() {
		e.oneAfterAnother(ctx, s)
	} else {
		e.overlapping(ctx, s)
	}
	e.secondLook(ctx)
	e.inTurn(ctx, slices.Concat(s.breaking, s.withoutKeys)) // the second look at all others needs a target that serves
	e.secondLook(ctx)
}

// schedule says when each check runs.
type schedule struct {
	others, reading, signing, waiting, clocked, timed []*Check
	withoutKeys                                       []*Check // the target may serve nobody until it fetches the good key set
	breaking                                          []*Check // the target may serve nobody afterwards
	alone                                             map[requirements.Alone][]*Check
}

// schedule makes the slots of all checks first: the map is read-only after the first check starts.
func (e *Engine) schedule(ids []string) *schedule {
	s := &schedule{alone: map[requirements.Alone][]*Check{}}
	for _, id := range ids {
		if c, ok := e.Registry.Lookup(id); ok && e.slots[id] == nil {
			e.slots[id] = &slot{done: make(chan struct{})}
			s.add(c)
		}
	}
	e.World.reorder(s.others) // checks that run alone keep their order: those that trip limits come after those that a limit would stop
	// If the target limits requests, the first checks are the ones that are decided: MUSTs before all others.
	slices.SortStableFunc(s.others, func(a, b *Check) int { return weight(a) - weight(b) })
	if w := e.World; w.Session != nil && w.Session.InTurns() && !w.Seeded() {
		s.signing, s.others = apart(s.others, func(c *Check) bool { return w.Issuer == nil || signsIn(c) })
	}
	if !e.World.Seeded() {
		s.reading, s.others = apart(s.others, readsKeys)
		s.waiting, s.others = apart(s.others, waits)
	}
	return s
}

// add adds a check to those that run in the same way.
func (s *schedule) add(c *Check) {
	needs := func(words ...string) bool {
		return slices.ContainsFunc(c.Requirement.Needs, func(n string) bool { return slices.Contains(words, n) })
	}
	switch where := c.Requirement.Alone; {
	case needs("time", "time-in-part"):
		s.timed = append(s.timed, c)
	case needs("clock"):
		s.clocked = append(s.clocked, c)
	case where == requirements.Last && needs("fake-jwks"):
		s.withoutKeys = append(s.withoutKeys, c)
	case where == requirements.Last:
		s.breaking = append(s.breaking, c)
	case where != "":
		s.alone[where] = append(s.alone[where], c)
	default:
		s.others = append(s.others, c)
	}
}

// apart divides checks into those for which a condition holds, and the others.
func apart(checks []*Check, holds func(*Check) bool) (these, others []*Check) {
	for _, c := range checks {
		if holds(c) {
			these = append(these, c)
		} else {
			others = append(others, c)
		}
	}
	return these, others
}

// oneAfterAnother runs the checks in sequence, so that all runs with a seed are the same.
func (e *Engine) oneAfterAnother(ctx context.Context, s *schedule) {
	for _, c := range slices.Concat(s.alone[requirements.AtTheKeySet], s.others, s.alone[requirements.AtTheResourceServer],
		s.alone[requirements.AtTheAuthorizationServer], s.alone[requirements.AfterAWait], s.alone[requirements.Everywhere],
		s.clocked, s.timed) {
		e.run(ctx, c)
	}
}

// overlapping runs checks concurrently. Those that must run alone follow when all others have ended: first those that must be alone at one
// of the two servers, in sequence at each, then the rest in sequence. Checks that wait start first, and let others run meanwhile.
func (e *Engine) overlapping(ctx context.Context, s *schedule) {
	var together, waiting, rotating sync.WaitGroup
	servers, waiters := newServers(), &waiters{}
	resource, authorization, keySet := servers.at("resource"), servers.at("authorization"), servers.at("key set")
	both := servers.at("resource", "authorization")
	alone := func(where requirements.Alone, turns turns) {
		turns.each(s.alone[where], waiters, func(h *hold, c *Check) { e.run(withHold(ctx, h), c) })
	}
	fetched := make(chan struct{})
	begin := sync.OnceFunc(func() { close(fetched) })
	e.World.keyCache.onWait(begin)
	e.beginEach(ctx, &waiting, slices.Concat(s.clocked, s.waiting))
	alone(requirements.AfterAWait, both)
	both.take()
	reading := e.beginEach(ctx, &sync.WaitGroup{}, s.reading)
	rotating.Go(func() { // others run during the wait for a key cache
		defer begin()
		reading.Wait()
		alone(requirements.AtTheKeySet, keySet)
	})
	e.ordinary(ctx, s.others, fetched)
	e.inTurn(ctx, s.signing)
	rotating.Wait() // the following checks leave the target without keys, or count its requests for them
	both.give()
	together.Go(func() { alone(requirements.AtTheResourceServer, resource) })
	together.Go(func() { alone(requirements.AtTheAuthorizationServer, authorization) })
	together.Wait()
	alone(requirements.Everywhere, both)
	waiters.others.Wait()
	waiting.Wait()
	e.inTurn(ctx, s.timed) // while no other check measures time
	if waiters.any() {     // until the target fetches the key set again: one wait serves all checks on key sets
		e.inTurn(ctx, s.withoutKeys)
		s.withoutKeys = nil
	}
	waiters.resume()
}

func (e *Engine) inTurn(ctx context.Context, checks []*Check) {
	for _, c := range checks {
		e.run(ctx, c)
	}
}

// beginEach starts checks, and adds them to the group.
func (e *Engine) beginEach(ctx context.Context, group *sync.WaitGroup, checks []*Check) *sync.WaitGroup {
	for _, c := range checks {
		group.Go(func() { e.run(ctx, c) })
	}
	return group
}

// ordinary runs checks concurrently. Those that may present unknown keys to the target begin when the checks on key sets no longer need it
// to fetch the set: a target may do so ten times a minute.
func (e *Engine) ordinary(ctx context.Context, checks []*Check, fetched <-chan struct{}) {
	var together sync.WaitGroup
	presenting, others := apart(checks, func(c *Check) bool {
		return e.World.Issuer != nil && c.Requirement.Role == requirements.ResourceServer
	})
	together.Go(func() { e.someAtOnce(ctx, others) })
	together.Go(func() {
		<-fetched
		e.someAtOnce(ctx, presenting)
	})
	together.Wait()
}

// someAtOnce runs checks concurrently, at most atOnce at a time.
func (e *Engine) someAtOnce(ctx context.Context, checks []*Check) {
	var together sync.WaitGroup
	places := make(chan struct{}, atOnce)
	for _, c := range checks {
		places <- struct{}{}
		together.Go(func() {
			e.run(ctx, c)
			<-places
		})
	}
	together.Wait()
}

// signsIn reports whether a check signs a user in, where the tokens that it chooses come from an issuer run by mcpauth. Without one, any
// check may do so.
func signsIn(c *Check) bool {
	return slices.ContainsFunc(c.Requirement.Needs, func(word string) bool { return needs[word].signsIn })
}

// readsKeys reports whether a check judges the issuer's key set, which must be the ordinary one.
func readsKeys(c *Check) bool { return c.Requirement.Area == "keys" }

// waits reports whether a check mostly waits for the end of a limit's window, so that others need not wait for it.
func waits(c *Check) bool { return c.Requirement.Area == "ratelimit" && c.Requirement.Intrusive }

// atOnce is the maximum number of concurrent checks; concurrent requests have their own limit.
const atOnce = 64

func weight(c *Check) int {
	switch c.Level {
	case requirements.Must:
		return 0
	case requirements.Should:
		return 1
	}
	return 2
}

// Wait returns the results of a started check.
func (e *Engine) Wait(id string) []reports.Result {
	s := e.slots[id]
	if s == nil {
		return nil
	}
	<-s.done
	return s.results
}

// Collect waits for all checks, and returns their results in the order of the catalogue, with the exchanges on which they rest.
func (e *Engine) Collect() ([]reports.Result, []reports.Exchange) {
	seen := map[int]*reports.Exchange{}
	var results []reports.Result
	for _, c := range e.Registry.All() {
		s := e.slots[c.Requirement.ID]
		if s == nil {
			continue
		}
		<-s.done
		results = append(results, s.results...)
		for _, ex := range s.exchanges {
			seen[ex.Number] = ex
		}
	}
	for i := range results { // the run may notice later than the first checks that the target no longer answers
		if e.World.lostWithTheTarget(results[i], seen) {
			results[i].Reason = e.World.Stopped()
		}
	}
	exchanges := make([]reports.Exchange, 0, len(seen))
	for _, ex := range seen {
		exchanges = append(exchanges, *ex)
	}
	sort.Slice(exchanges, func(i, j int) bool { return exchanges[i].Number < exchanges[j].Number })
	return results, exchanges
}

// job is one execution of a check: for one wire, or for one revision, or once.
type job struct {
	wire      mcp.Wire
	revisions []string // that this execution judges, oldest first
}

// name returns a name that no other execution has.
func (j job) name(r *requirements.Requirement) string {
	if r.Judged == requirements.PerRevision {
		return r.ID + string(j.wire) + j.revisions[0]
	}
	return r.ID + string(j.wire)
}

func (e *Engine) run(ctx context.Context, c *Check) {
	s := e.slots[c.Requirement.ID]
	jobs, absent := e.jobs(c.Requirement)
	if absent != nil {
		e.leaveOut(s, *absent)
		return
	}
	s.outcomes = make([]outcome, len(jobs))
	s.open.Store(int32(len(jobs)))
	perform := func(i int) {
		o := &s.outcomes[i]
		o.results, o.exchanges = e.execute(ctx, c, jobs[i])
		doubted := slices.ContainsFunc(o.results, func(r reports.Result) bool { return doubtful(c.Requirement, r) })
		d := &doubt{check: c, job: jobs[i], results: o.results,
			lost: e.lostToOverlap(ctx, c.Requirement, o), failed: failedShortly(c.Requirement, o)}
		if (doubted || d.lost || d.failed) && !faults.OneLook(ctx) && !e.lasts(d) {
			e.doubt(d, s, o)
			return
		}
		e.settle(s, o)
	}
	e.perform(e.atOnce(ctx, c), jobs, perform)
}

// slow is the minimum answer time of a target for which a run mostly waits.
const slow = 200 * time.Millisecond

// atOnce reports whether the jobs of a check may run concurrently: if both wires wait for the same time, or if the target is slow.
func (e *Engine) atOnce(ctx context.Context, c *Check) bool {
	switch {
	case e.World.Seeded():
		return false
	case slices.Contains(c.Requirement.Needs, "clock"):
		return true
	}
	timed := slices.ContainsFunc(c.Requirement.Needs, func(n string) bool { return n == "time" || n == "time-in-part" })
	return c.Requirement.Alone == "" && !timed && e.World.Client.Quickest(ctx, e.World.Survey.URL) >= slow
}

// perform runs the jobs of a check in sequence, or concurrently.
func (e *Engine) perform(atOnce bool, jobs []job, perform func(i int)) {
	var together sync.WaitGroup
	for i := range jobs {
		if atOnce {
			together.Go(func() { perform(i) })
		} else {
			perform(i)
		}
	}
	together.Wait()
}

// leaveOut reports the result of a check without an execution.
func (e *Engine) leaveOut(s *slot, r reports.Result) {
	s.results = append(s.results, r)
	e.report(r)
	close(s.done)
	e.ended.Add(1)
}

// doubt schedules a second attempt before the results of an execution are reported.
func (e *Engine) doubt(d *doubt, s *slot, o *outcome) {
	d.settle = func(results []reports.Result, more []*reports.Exchange) {
		o.results, o.exchanges = results, append(o.exchanges, more...)
		e.settle(s, o)
	}
	e.doubting.Lock()
	defer e.doubting.Unlock()
	e.doubts = append(e.doubts, d)
}

// lasts reports whether an execution has left the target as its finding says, so that a second one would not get so far.
func (e *Engine) lasts(d *doubt) bool {
	_, is := e.lasting.Load(d.job.name(d.check.Requirement))
	return is
}

// settle reports the results of an execution, and closes the slot with the last one.
func (e *Engine) settle(s *slot, o *outcome) {
	for _, r := range o.results {
		e.report(r)
	}
	if s.open.Add(-1) > 0 {
		return
	}
	for i := range s.outcomes {
		o := &s.outcomes[i]
		s.results = append(s.results, o.results...)
		s.exchanges = append(s.exchanges, o.exchanges...)
		o.exchanges = nil
	}
	if e.Citing != nil {
		s.exchanges = e.Citing.Of(s.results, s.exchanges)
	}
	close(s.done)
	e.ended.Add(1)
}

// ownAuthorizationServer says that users sign in at an issuer that mcpauth runs (fake_idp, second_idp, introspection), or that the target
// has no other one; else "".
func (w *World) ownAuthorizationServer() string {
	const noOther = "the target names no other authorization server than "
	switch named := w.Survey.Servers; {
	case w.Session != nil && w.RunsIssuer(w.Session.Server.Issuer):
		return "users sign in at " + w.Session.Server.Issuer
	case len(w.judgedServers()) > 0:
		return ""
	case w.FakeIDP != nil:
		return noOther + strings.TrimSuffix(w.FakeIDP.Issuer, "/")
	case len(named) > 0:
		return noOther + named[0].Issuer
	}
	return ""
}

// RunsIssuer reports whether mcpauth runs the server that has this issuer identifier.
func (w *World) RunsIssuer(issuer string) bool {
	return w.Runs(issuer) || w.Introspector != nil && document.SameOrigin(issuer, w.Introspector.URL())
}

// judgedServers are the authorization servers that the target names, without those that mcpauth runs.
func (w *World) judgedServers() []*survey.Server {
	var out []*survey.Server
	for i := range w.Survey.Servers {
		if s := &w.Survey.Servers[i]; !w.RunsIssuer(s.Issuer) {
			out = append(out, s)
		}
	}
	return out
}

func (e *Engine) report(r reports.Result) {
	if e.OnResult != nil {
		e.OnResult(r)
	}
}

// jobs splits a requirement into executions. If there is none, it returns the result that says why.
func (e *Engine) jobs(r *requirements.Requirement) ([]job, *reports.Result) {
	judged := e.World.Survey.Judged()
	relevant := slices.DeleteFunc(slices.Clone(r.Revisions), func(rev string) bool { return !slices.Contains(judged, rev) })
	if len(relevant) == 0 {
		return nil, e.notSpoken(r)
	}
	if own := e.World.ownAuthorizationServer(); own != "" && r.Role == requirements.AuthorizationServer {
		return nil, e.ownServer(r, relevant, own)
	}
	var out []job
	switch r.Judged {
	case requirements.PerRevision:
		for _, rev := range relevant {
			out = append(out, job{mcp.WireOf(rev), []string{rev}})
		}
	case requirements.PerWire:
		for _, w := range []mcp.Wire{mcp.Stateful, mcp.Stateless} {
			of := slices.DeleteFunc(slices.Clone(relevant), func(rev string) bool { return mcp.WireOf(rev) != w })
			if len(of) > 0 {
				out = append(out, job{w, of})
			}
		}
	default:
		out = append(out, job{"", relevant})
	}
	return out, nil
}

// ownServer returns the result of a requirement for an authorization server that mcpauth runs.
func (e *Engine) ownServer(r *requirements.Requirement, revisions []string, own string) *reports.Result {
	res := e.result(r, "", revisions, r.Level)
	res.Verdict, res.Reason = reports.NotApplicable, "the authorization server is run by mcpauth, which judges nothing of its own"
	res.Observation = own
	return &res
}

// notSpoken returns the result of a requirement whose revisions the target does not speak, as far as known.
func (e *Engine) notSpoken(r *requirements.Requirement) *reports.Result {
	res := e.result(r, "", r.Revisions, r.Level)
	res.Verdict, res.Reason = reports.NotApplicable, "it is demanded at "+strings.Join(r.Revisions, ", ")+", which the target does not speak"
	res.Observation = spoken(e.World.Survey.Status)
	for _, rev := range r.Revisions {
		if st := e.World.Survey.StatusOf(rev); st.Status == "unknown" {
			res.Verdict, res.Reason, res.Observation = reports.NotTested, rev+": "+st.Why, ""
			if failed := e.World.failedToAsk(rev); failed != "" {
				res.Verdict, res.Reason = reports.Inconclusive, rev+": whether the target speaks it is not seen: "+failed
			}
		}
	}
	return &res
}

// failedToAsk says which failure hides whether the target speaks a revision; empty if none does.
func (w *World) failedToAsk(revision string) string {
	if w.Session != nil && w.Survey.Token == "" && w.Session.LoginLost(0) {
		return w.Session.NoLogin(0)
	}
	return w.Survey.Unanswered[revision]
}

func (e *Engine) result(r *requirements.Requirement, w mcp.Wire, revisions []string, level requirements.Level) reports.Result {
	res := reports.Result{
		ID: r.ID, Title: r.Title, Area: r.Area, Role: string(r.Role), Level: string(level), Tier: string(r.Tier),
		Wire: string(w), Revisions: revisions, Remediation: r.Remediation,
	}
	for _, s := range r.Sources {
		res.Sources = append(res.Sources, reports.Source(s))
	}
	return res
}

// endSessions ends the sessions that the check has opened at the target, except shared ones.
func (t *T) endSessions() {
	if t.Opened == nil || t.Stopped() != "" || t.ctx.Err() != nil {
		return
	}
	own := map[int]bool{}
	for _, ex := range t.unshared() {
		own[ex.Number] = true
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.ctx), releaseTime)
	defer cancel()
	t.Opened.End(ctx, mcp.Ending{Client: t.Client, Check: t.id, InTurn: t.Seeded(), Own: t.World.ownCredentials(),
		Endpoint: t.Survey.Endpoint, Of: func(number int) bool { return own[number] }})
}

// EndSessions ends the remaining sessions of the run at the target.
func (w *World) EndSessions(ctx context.Context) {
	if w.Stopped() == "" {
		w.Opened.End(ctx, mcp.Ending{Client: w.Client, Check: survey.Check, InTurn: w.Seeded(), Own: w.ownCredentials(),
			Endpoint: w.Survey.Endpoint, Of: func(int) bool { return true }})
	}
}

// ownCredentials returns the credentials that the user supplied or signed in for.
func (w *World) ownCredentials() []reports.Field {
	if w.Survey.Token != "" {
		return []reports.Field{mcp.Bearer(w.Survey.Token)}
	}
	for _, c := range w.Credentials {
		if c.Header != "" && !c.refusable() {
			return []reports.Field{c.Field()}
		}
	}
	return nil
}

// releaseClients deletes the clients that the check has registered, except shared ones.
func (t *T) releaseClients() {
	if t.Session == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.ctx), releaseTime)
	defer cancel()
	t.Session.Release(ctx, t.unshared())
}

// unshared returns the exchanges that only this check uses.
func (t *T) unshared() []*reports.Exchange {
	return slices.DeleteFunc(t.own(), func(ex *reports.Exchange) bool { return slices.Contains(t.lent, ex) })
}

// releaseTime is how long a check waits for its sessions and clients to end; the rest follows at the end of the run.
const releaseTime = 5 * time.Second

// execute runs a check once and grades its findings, separately for each level that the judged revisions give the requirement.
func (e *Engine) execute(ctx context.Context, c *Check, j job) ([]reports.Result, []*reports.Exchange) {
	started := time.Now()
	r := c.Requirement
	if e.World.Seeded() {
		e.World.BeginPart(r.ID + " " + string(j.wire) + strings.Join(j.revisions, " "))
	}
	run := ctx
	ctx, cancel := deadline.With(session.OwnedBy(ctx, j.name(r)), e.Timeout)
	defer cancel()
	t := newT(ctx, e.World, r.ID, j.wire, j.revisions[len(j.revisions)-1])
	t.failures, t.run = r.Evidence, run
	ended := t.carryOut(c)
	t.sealed = true
	if t.lasting {
		e.lasting.Store(j.name(r), true)
	}
	for _, ex := range t.unshared() {
		t.Client.Shorten(ex)
	}
	out := e.graded(t, r, j, ended)
	for i := range out {
		out[i].Duration = reports.Since(started)
	}
	return out, slices.Concat(t.transcript, t.uncited())
}

// carryOut runs a check if its needs are met, and cleans up after it.
func (t *T) carryOut(c *Check) *stop {
	ended := t.guarded(func() *stop { return t.tryAll(c.Requirement) })
	t.raw = ended
	if ended == nil {
		t.raw = t.guarded(func() *stop { t.perform(c.Body); return nil })
		ended = t.endOfRows(t.raw)
	}
	for _, f := range t.cleanups {
		f()
	}
	t.endSessions()
	t.releaseClients()
	return t.unlessInterrupted(t.ofATargetThatIsThere(t.restsOnAnswers(ended)))
}

// unlessInterrupted returns the end of a check. Whatever an interrupted check could not decide has one cause.
func (t *T) unlessInterrupted(ended *stop) *stop {
	if ended != nil && ended.verdict == reports.Inconclusive && errors.Is(t.run.Err(), context.Canceled) {
		return &stop{reports.Inconclusive, reports.NotReached}
	}
	return ended
}

// graded returns the results of a check, one for each level that the judged revisions give the requirement.
func (e *Engine) graded(t *T, r *requirements.Requirement, j job, ended *stop) (out []reports.Result) {
	byLevel := map[requirements.Level][]string{}
	var levels []requirements.Level
	for _, rev := range j.revisions {
		l, _ := r.LevelAt(rev)
		if byLevel[l] == nil {
			levels = append(levels, l)
		}
		byLevel[l] = append(byLevel[l], rev)
	}
	for _, l := range levels {
		res := e.result(r, j.wire, byLevel[l], l)
		res.Verdict, res.Reason = grade(l, t.findings, ended)
		res.Reason = reports.AtMost(mostSaid, res.Reason)
		t.fill(&res)
		out = append(out, res)
	}
	return out
}

// fill adds to a result the findings of its check, and their evidence.
func (t *T) fill(res *reports.Result) {
	res.Findings, res.Notes, res.Tried = t.findings, t.notes, t.tried
	res.Basis = t.keptBasis()
	switch res.Verdict {
	case reports.NotTested:
		res.Missing = t.missing
	case reports.NotApplicable:
		res.Observation = t.observation(t.unmet)
	case reports.Fail:
		res.Headline = t.headline
	}
	for _, ex := range slices.Concat(t.transcript, t.uncited()) {
		res.Evidence = append(res.Evidence, ex.Number)
		if slices.Contains(t.controls, ex) {
			res.Controls = append(res.Controls, ex.Number)
		}
	}
}

// guarded runs a part of a check, which may end it at any request.
func (t *T) guarded(part func() *stop) (ended *stop) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case stop:
			ended = &p
		default:
			ended = &stop{reports.Errored, fmt.Sprintf("the check panicked: %v\n%s", p, debug.Stack())}
		}
	}()
	return part()
}

// perform runs the check, and then the control if the check relies on a refusal without one.
func (t *T) perform(body func(*T)) {
	body(t)
	if t.refusals > 0 && !t.controlled && !FoundAny(t) {
		t.sharedControl()
	}
}

func grade(l requirements.Level, findings []reports.Finding, ended *stop) (reports.Verdict, string) {
	if ended != nil && ended.verdict == reports.Errored {
		return reports.Errored, ended.reason
	}
	unmet := slices.IndexFunc(findings, func(f reports.Finding) bool { return !f.Advice })
	switch {
	case unmet >= 0 && l == requirements.Must:
		return reports.Fail, summarise(&findings[unmet], len(findings))
	case unmet >= 0:
		return reports.Warn, summarise(&findings[unmet], len(findings))
	case ended != nil && ended.verdict != reports.NotTested:
		return ended.verdict, ended.reason
	case len(findings) > 0: // advice
		return reports.Warn, summarise(&findings[0], len(findings))
	case ended != nil:
		return ended.verdict, ended.reason
	}
	return reports.Pass, ""
}

func summarise(f *reports.Finding, n int) string {
	s := f.Said().String()
	if n > 1 {
		s += fmt.Sprintf("; %d findings in all", n)
	}
	return s
}
