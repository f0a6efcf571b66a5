package check

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/mcpauth/conformance/fixtures/requirements"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/deadline"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
)

// Engine runs checks at once, each on its own goroutine, and keeps every result in a slot that is
// written once.
type Engine struct {
	Registry *Registry
	World    *World
	Timeout  time.Duration // of one check; 30 s if zero
	OnResult func(reports.Result)

	slots map[string]*slot
}

type slot struct {
	done      chan struct{}
	results   []reports.Result
	exchanges []*reports.Exchange
}

// OrdinaryTimeout is that of a check that does not wait for something to expire.
const OrdinaryTimeout = 30 * time.Second

// Start begins the checks with the given ids. Those that must run alone follow when all others are done: first those
// that must be alone at one of the two servers, one by one at each, then the rest one by one.
func (e *Engine) Start(ctx context.Context, ids []string) {
	e.slots = map[string]*slot{}
	if e.Timeout == 0 {
		e.Timeout = OrdinaryTimeout
	}
	var others, timed, clocked []*Check
	alone := map[requirements.Alone][]*Check{}
	for _, id := range ids { // all slots first: the map is read-only once the first check runs
		c, ok := e.Registry.Lookup(id)
		if !ok || e.slots[id] != nil {
			continue
		}
		e.slots[id] = &slot{done: make(chan struct{})}
		if slices.ContainsFunc(c.Requirement.Needs, func(n string) bool { return n == "time" || n == "time-in-part" }) {
			timed = append(timed, c)
		} else if slices.Contains(c.Requirement.Needs, "clock") {
			clocked = append(clocked, c)
		} else if where := c.Requirement.Alone; where != "" {
			alone[where] = append(alone[where], c)
		} else {
			others = append(others, c)
		}
	}
	// Where the target limits requests, what is asked first is what is decided: MUSTs before all else.
	slices.SortStableFunc(others, func(a, b *Check) int { return weight(a) - weight(b) })
	inTurn := func(checks []*Check) {
		for _, c := range checks {
			e.run(ctx, c)
		}
	}
	if e.World.Seeded() {
		go inTurn(slices.Concat(others, alone[requirements.AtTheResourceServer], alone[requirements.AtTheAuthorizationServer], alone[requirements.Everywhere], clocked, timed))
		return
	}
	go func() {
		var together, waiting sync.WaitGroup
		turn := make(chan struct{}, atOnce)
		for _, c := range clocked { // first, since they wait longest, and for nobody
			waiting.Go(func() { e.run(ctx, c) })
		}
		for _, c := range others {
			if waits(c) {
				waiting.Go(func() { e.run(ctx, c) })
				continue
			}
			turn <- struct{}{}
			together.Go(func() {
				e.run(ctx, c)
				<-turn
			})
		}
		together.Wait()
		for _, where := range []requirements.Alone{requirements.AtTheResourceServer, requirements.AtTheAuthorizationServer} {
			together.Go(func() { inTurn(alone[where]) })
		}
		together.Wait()
		inTurn(alone[requirements.Everywhere])
		waiting.Wait()
		inTurn(timed) // when nobody else looks at the clock
	}()
}

// waits reports that a check mostly waits for the end of a limit's window: nobody waits for it in turn.
func waits(c *Check) bool { return c.Requirement.Area == "ratelimit" && c.Requirement.Intrusive }

// atOnce is how many checks are under way together; requests in flight are limited apart.
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

// Wait returns the results of a check that was started.
func (e *Engine) Wait(id string) []reports.Result {
	s := e.slots[id]
	if s == nil {
		return nil
	}
	<-s.done
	return s.results
}

// Collect waits for all checks and returns their results, in the catalogue's order, with the exchanges
// that they rest on.
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
	exchanges := make([]reports.Exchange, 0, len(seen))
	for _, ex := range seen {
		exchanges = append(exchanges, *ex)
	}
	sort.Slice(exchanges, func(i, j int) bool { return exchanges[i].Number < exchanges[j].Number })
	return results, exchanges
}

// job is one execution of a body: for one wire, or one revision, or once.
type job struct {
	wire      mcp.Wire
	revisions []string // judged by this execution, oldest first
}

func (e *Engine) run(ctx context.Context, c *Check) {
	s := e.slots[c.Requirement.ID]
	defer close(s.done)
	jobs, absent := e.jobs(c.Requirement)
	if absent != nil {
		s.results = append(s.results, *absent)
		e.report(*absent)
		return
	}
	type outcome struct {
		results   []reports.Result
		exchanges []*reports.Exchange
	}
	outcomes := make([]outcome, len(jobs))
	perform := func(i int) {
		o := &outcomes[i]
		o.results, o.exchanges = e.execute(ctx, c, jobs[i])
		for _, r := range o.results {
			e.report(r)
		}
	}
	var together sync.WaitGroup
	for i := range jobs {
		if !e.World.Seeded() && slices.Contains(c.Requirement.Needs, "clock") { // the same time passes on both wires
			together.Go(func() { perform(i) })
		} else {
			perform(i)
		}
	}
	together.Wait()
	for _, o := range outcomes {
		s.results = append(s.results, o.results...)
		s.exchanges = append(s.exchanges, o.exchanges...)
	}
}

func (e *Engine) report(r reports.Result) {
	if e.OnResult != nil {
		e.OnResult(r)
	}
}

// jobs splits a requirement into executions; where none is due it returns the result that says why.
func (e *Engine) jobs(r *requirements.Requirement) ([]job, *reports.Result) {
	judged := e.World.Survey.Judged()
	relevant := slices.DeleteFunc(slices.Clone(r.Revisions), func(rev string) bool { return !slices.Contains(judged, rev) })
	if len(relevant) == 0 {
		res := e.result(r, "", r.Revisions, r.Level)
		res.Verdict, res.Reason = reports.NotApplicable, "it is demanded at "+strings.Join(r.Revisions, ", ")+", which the target does not speak"
		for _, rev := range r.Revisions {
			if st := e.World.Survey.StatusOf(rev); st.Status == "unknown" {
				res.Verdict, res.Reason = reports.NotTested, rev+": "+st.Why
			}
		}
		return nil, &res
	}
	switch r.Judged {
	case requirements.PerRevision:
		var out []job
		for _, rev := range relevant {
			out = append(out, job{mcp.WireOf(rev), []string{rev}})
		}
		return out, nil
	case requirements.PerWire:
		byWire := map[mcp.Wire][]string{}
		for _, rev := range relevant {
			byWire[mcp.WireOf(rev)] = append(byWire[mcp.WireOf(rev)], rev)
		}
		var out []job
		for _, w := range []mcp.Wire{mcp.Stateful, mcp.Stateless} {
			if len(byWire[w]) > 0 {
				out = append(out, job{w, byWire[w]})
			}
		}
		return out, nil
	}
	return []job{{"", relevant}}, nil
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

// execute runs a body once and grades what it found, apart for each level that the judged revisions give
// the requirement.
func (e *Engine) execute(ctx context.Context, c *Check, j job) ([]reports.Result, []*reports.Exchange) {
	started := time.Now()
	r := c.Requirement
	if e.World.Seeded() {
		e.World.BeginPart(r.ID + " " + string(j.wire) + strings.Join(j.revisions, " "))
	}
	ctx, cancel := deadline.With(ctx, e.Timeout)
	defer cancel()
	t := newT(ctx, e.World, r.ID, j.wire, j.revisions[len(j.revisions)-1])
	t.failures = r.Evidence
	ended := t.guarded(func() *stop { return e.needs(t, r) })
	if ended == nil {
		ended = t.endOfRows(t.guarded(func() *stop { t.perform(c.Body); return nil }))
	}
	for _, f := range t.cleanups {
		f()
	}
	t.sealed = true
	for _, ex := range t.transcript {
		if ex.Check == t.id && !slices.Contains(t.lent, ex) {
			t.Client.Shorten(ex)
		}
	}

	byLevel := map[requirements.Level][]string{}
	var levels []requirements.Level
	for _, rev := range j.revisions {
		l, _ := r.LevelAt(rev)
		if byLevel[l] == nil {
			levels = append(levels, l)
		}
		byLevel[l] = append(byLevel[l], rev)
	}
	var out []reports.Result
	for _, l := range levels {
		res := e.result(r, j.wire, byLevel[l], l)
		res.Findings, res.Notes, res.Tried, res.Duration = t.findings, t.notes, t.tried, reports.Since(started)
		res.Verdict, res.Reason = grade(l, t.findings, ended)
		if res.Verdict == reports.NotTested {
			res.Missing = t.missing
		}
		if res.Verdict == reports.Fail {
			res.Headline = t.headline
		}
		for _, ex := range t.transcript {
			res.Evidence = append(res.Evidence, ex.Number)
		}
		out = append(out, res)
	}
	return out, t.transcript
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

// perform runs the body, and then the control if the body relies on a refusal without one.
func (t *T) perform(body func(*T)) {
	body(t)
	if t.unrefused != nil && t.Unmistaken() {
		t.Inconclusive("what has to be refused is answered with %s, which is no refusal", expect.Describe(t.unrefused))
	}
	if t.refusals > 0 && !t.controlled && t.Unmistaken() {
		t.sharedControl()
	}
}

func grade(l requirements.Level, findings []reports.Finding, ended *stop) (reports.Verdict, string) {
	if ended != nil && ended.verdict == reports.Errored {
		return reports.Errored, ended.reason
	}
	unmet, advice := 0, 0
	var first *reports.Finding
	for i := range findings {
		if findings[i].Advice {
			advice++
			if first == nil {
				first = &findings[i]
			}
			continue
		}
		if unmet++; unmet == 1 {
			first = &findings[i]
		}
	}
	switch {
	case unmet > 0 && l == requirements.Must:
		return reports.Fail, summarise(first, len(findings))
	case unmet > 0:
		return reports.Warn, summarise(first, len(findings))
	case ended != nil && ended.verdict != reports.NotTested:
		return ended.verdict, ended.reason
	case advice > 0:
		return reports.Warn, summarise(first, len(findings))
	case ended != nil:
		return ended.verdict, ended.reason
	}
	return reports.Pass, ""
}

func summarise(f *reports.Finding, n int) string {
	s := "expected " + f.Expected + "; observed " + f.Observed
	if f.About != "" {
		s += " (" + f.About + ")"
	}
	if n > 1 {
		s += fmt.Sprintf("; %d findings in all", n)
	}
	return s
}

// needs tries what the catalogue says a requirement needs, before the body runs.
func (e *Engine) needs(t *T, r *requirements.Requirement) *stop {
	if r.Intrusive || slices.Contains(r.Needs, "intrusive") {
		t.intrusive = true
		if s := e.World.Session; r.Role == requirements.AuthorizationServer && s != nil {
			t.strains(s.Server.Token)
		} else {
			t.strains(e.World.Survey.Endpoint)
		}
	}
	for _, name := range r.Needs {
		if s := e.need(t, name); s != nil {
			if !t.folded {
				t.missing = options[name]
			}
			return s
		}
	}
	return nil
}

func (e *Engine) need(t *T, name string) *stop {
	s := e.World.Survey
	absent := func(format string, args ...any) *stop {
		return &stop{reports.NotApplicable, fmt.Sprintf(format, args...)}
	}
	switch name {
	case "mcp-endpoint", "raw-socket", "declared-origins", "declared-public", "effect", "callback":
		return nil
	case "prm":
		if s.Resource() == nil {
			return absent("no protected resource metadata document was found (RS-DISC-PRM-PUBLISHED)")
		}
	case "challenge":
		return e.needChallenge(t)
	case "access-token":
		return e.needToken(t)
	case "caller":
		if e.open(t) {
			return nil
		}
		return e.needToken(t)
	case "tls":
		if s.URL.Scheme != "https" || document.LoopbackHost(s.URL.Hostname()) {
			return absent("the target is on loopback or not reached by https")
		}
	case "session":
		if s.Token == "" {
			return e.needToken(t)
		}
		if expect.Header(s.Handshake, "Mcp-Session-Id") == "" {
			return absent("the target assigns no session id")
		}
	case "dual-era":
		if len(e.spokenWires()) < 2 {
			return absent("the target speaks one wire only")
		}
	case "modern-wire":
		if _, ok := s.Newest(mcp.Stateless); !ok {
			return absent("the target does not speak the stateless wire")
		}
	case "issuer", "metadata", "metadata-oidc", "issuer-tls", "issuer-with-path", "jwks":
		return e.needServer(name)
	case "login", "login-2", "client-public", "client-public-2", "client-confidential", "client-fresh", "client-two-redirects", "client-https-redirect",
		"client-loopback", "client-query-redirect", "client-confidential-or-pkce-optional", "dcr", "dcr-mgmt", "refresh-grant", "revocation-endpoint",
		"introspection-endpoint", "introspection-creds", "userinfo-endpoint", "userinfo-or-introspection", "scopes-2", "consent-page", "token-visible",
		"id-token", "user-credentials", "wrong-kind-of-token", "revocable-token":
		return e.needSession(t, name)
	case "cimd-host":
		if e.World.Documents == nil {
			return &stop{reports.NotTested, "it needs an address of ours that the authorization server can reach and trust (--cimd-listen)"}
		}
		return e.needSession(t, "metadata-session")
	case "static-token", "static-token-2", "static-revoked", "static-credential", "api-key", "api-key-limited", "multi-auth":
		return e.needCredential(t, name)
	case "tool-whoami":
		if _, ok := t.MCP.WhoAmI(); !ok {
			return &stop{reports.NotTested, "it needs a tool that tells who its caller is (tools in the target file, tells: caller)"}
		}
	case "tool-effect":
		if _, _, ok := t.MCP.EffectiveTool(); !ok {
			return &stop{reports.NotTested, "it needs a tool with a scope whose effect another tool shows (tools in the target file, effect)"}
		}
	case "object-owned":
		if !slices.ContainsFunc(e.World.Tools, func(tool Tool) bool { return tool.Private != "" }) {
			return &stop{reports.NotTested, "it needs a tool whose result only the first user may see (tools in the target file, private)"}
		}
	case "scope-hierarchy":
		if len(e.World.Implies) == 0 {
			return absent("no scope is declared to imply another (scopes.implies in the target file)")
		}
	case "tool-free":
		if !slices.ContainsFunc(e.World.Tools, func(tool Tool) bool { return !tool.DeniedOnly }) {
			return &stop{reports.NotTested, "it needs a tool that may be called (tools in the target file)"}
		}
	case "time":
		if e.World.Clock == nil && e.World.MaxWait == 0 {
			return &stop{reports.NotTested, "it takes time for something to expire; let it wait with --max-wait"}
		}
	case "time-in-part": // what a check does without a clock is worth while
	case "clock": // what a check waits is short, or said to be too long
	case "legacy-wire":
		if _, ok := s.Newest(mcp.Stateful); !ok {
			return absent("the target does not speak the stateful wire")
		}
	case "declared-limits":
		if len(t.MCP.Metered()) == 0 {
			return &stop{reports.NotTested, "it needs a credential with the limit that it is meant to have (credentials in the target file, limit)"}
		}
	case "declared-size":
		if e.World.BodyLimit == 0 {
			return &stop{reports.NotTested, "it needs the size of the largest message that the target is meant to take (target.body_limit in the target file)"}
		}
	case "fake-jwks":
		if r := e.needIssuer(t); r != nil {
			return r
		}
		if t.Mint.KeyServer() == nil {
			return &stop{reports.NotTested, "it needs an issuer whose published keys can be changed"}
		}
	case "hmac-mode":
		if e.World.SharedSecret.Value == "" {
			return &stop{reports.NotTested, "it needs the secret with which the target verifies HS256 (shared_secret in the target file)"}
		}
	case "fake-jwt":
		return e.needIssuer(t)
	case "fake-introspection":
		return e.needIntrospection(t)
	case "access-token-jwt":
		if e.World.Issuer == nil && strings.Count(e.World.Survey.Token, ".") != 2 {
			if e.World.Survey.Token == "" {
				return e.needToken(t)
			}
			return absent("the access token is opaque")
		}
		return e.needToken(t)
	case "tools-matrix":
		if len(e.World.Tools) == 0 {
			return &stop{reports.NotTested, "it needs tools that may be called (tools in the target file)"}
		}
	case "ext-cc":
		if e.World.Session == nil {
			return e.needSession(t, "metadata-session")
		}
		if !t.AS.ClientCredentials() && len(e.World.Session.Machines()) == 0 {
			return absent("grant_types_supported does not list client_credentials: the extension is not offered")
		}
	case "client-machine":
		if len(e.World.Session.Machines()) == 0 {
			return &stop{reports.NotTested, "it needs a client that acts for itself (client.clients in the target file, machine: true)"}
		}
	case "client-jwt":
		if t.AS.MachineWithKey() == nil {
			return &stop{reports.NotTested, "it needs a client that acts for itself and authenticates by private_key_jwt (client.clients in the target file, machine: true, key)"}
		}
	case "fake-upstream":
		if e.World.API == nil || len(t.Upstream.Tools()) == 0 {
			return &stop{reports.NotTested, "it needs a target whose tools call an API of ours (upstream_api in the target file, and tools with upstream: true)"}
		}
	case "tool-url":
		if len(t.MCP.FetchingTools()) == 0 {
			return &stop{reports.NotTested, "it needs a tool that fetches a URL of its arguments (tools in the target file, with {url} in its arguments)"}
		}
	case "foreign-token":
		if e.World.API == nil && e.World.Upstream == nil && len(t.MCP.ForeignTokens()) == 0 {
			return &stop{reports.NotTested, "it needs a token of another provider (credentials in the target file, foreign: true), or an API or upstream of ours"}
		}
	case "sacrificial-user":
		if e.World.Session == nil || e.World.Session.Sacrificial() == nil {
			return &stop{reports.NotTested, "it needs an account that may be locked (login.users in the target file, sacrificial: true)"}
		}
	case "same-host":
		if !document.LoopbackHost(s.URL.Hostname()) {
			return absent("the target is not on this machine's loopback")
		}
	case "tool-args":
		if len(e.World.Tools) == 0 {
			return &stop{reports.NotTested, "it needs tools that may be called (tools in the target file)"}
		}
	case "tool-handle":
		if _, _, ok := t.MCP.HandleTools(); !ok {
			return &stop{reports.NotTested, "it needs a tool that returns a handle, and one that takes it (tools in the target file, handle_from)"}
		}
	case "fake-two-issuers":
		if e.World.SecondIssuer == nil {
			return &stop{reports.NotTested, "it needs a target that trusts two issuers of ours (fake_idp and second_idp in the target file)"}
		}
		return e.needIssuer(t)
	case "fake-verify-url":
		if e.World.Verifier == nil || e.World.Verify.Accepts == "" {
			return &stop{reports.NotTested, "it needs a target that asks us about tokens in a manner of its own (verify in the target file)"}
		}
	case "grants-page":
		if e.World.GrantsPage == "" {
			return &stop{reports.NotTested, "it needs the page at which users end what acts for them (login.grants_page in the target file)"}
		}
	case "id-token-callback":
		return e.needIDTokenCallback()
	case "controlled-dns":
		if e.World.Rebinding == nil || e.World.Documents == nil {
			return &stop{reports.NotTested, "it needs a DNS zone that we answer for, and an address of ours for documents (rebinding in the target file, --cimd-listen)"}
		}
	case "declared-screening":
		if len(e.World.Screening) == 0 {
			return &stop{reports.NotApplicable, "no text is declared that the target refuses in arguments (target.screening in the target file)"}
		}
	case "declared-block":
		if e.World.BlockAfter == 0 {
			return &stop{reports.NotApplicable, "the target is not declared to block addresses (target.address_block in the target file)"}
		}
	case "second-address":
		if !document.LoopbackHost(s.URL.Hostname()) {
			return &stop{reports.NotTested, "it needs a second address to send from, which there is for a target on loopback only"}
		}
	case "step-up-auth":
		if !slices.ContainsFunc(e.World.Special, func(tool Tool) bool { return tool.ACR != "" }) {
			return &stop{reports.NotTested, "it needs a tool that takes a stronger login (tools in the target file, acr)"}
		}
	case "privileged-scope":
		if len(e.World.Privileged) == 0 {
			return &stop{reports.NotTested, "it needs a scope that the first user may grant and the second may not (scopes.privileged in the target file)"}
		}
	case "object-private":
		if len(e.World.Objects) == 0 {
			return &stop{reports.NotTested, "it needs a resource, a prompt or a completion that shows something to the first user only (objects in the target file)"}
		}
	case "object-changing":
		if _, _, ok := t.MCP.Changing(); !ok {
			return &stop{reports.NotTested, "it needs a resource of the first user that changes by a tool (objects in the target file, changed_by)"}
		}
	case "tool-elicits":
		if len(t.MCP.Eliciting()) == 0 {
			return &stop{reports.NotTested, "it needs a tool that asks the user for something (tools in the target file, elicits: true)"}
		}
	case "ext-ema":
		if !t.AS.Lists("grant_types_supported", JWTBearer) {
			return absent("grant_types_supported does not list the grant of identity assertions: the extension is not offered")
		}
	case "controlled-idp":
		return e.needEnterprise()
	case "dpop":
		if len(t.MCP.DPoPAlgorithms()) == 0 && !t.MCP.DPoPRequired() {
			return absent("the metadata does not offer DPoP")
		}
	case "mtls":
		if !t.MCP.MutualTLS() {
			return absent("the metadata does not offer tokens that are bound to certificates")
		}
	case "proxy":
		return e.needProxy(t)
	case "login-or-controlled-upstream":
		return e.needSession(t, "login")
	case "controlled-upstream":
		if e.World.Upstream == nil {
			return &stop{reports.NotTested, "it needs a target whose users sign in at an authorization server of ours (upstream in the target file)"}
		}
		if len(e.World.Upstream.Issued()) == 0 {
			return &stop{reports.Inconclusive, "the target has sent nobody to the upstream given, " + e.World.Upstream.Identifier()}
		}
	case "browser": // plain forms do, and a browser where they do not
	case "two-resources":
		if e.World.OtherResource == "" {
			return &stop{reports.NotTested, "it needs another MCP endpoint under the same authorization server (target.other_resource in the target file)"}
		}
	case "tool-scope":
		if len(t.MCP.ScopedTools()) == 0 {
			return &stop{reports.NotTested, "it needs a tool with a scope that may be called (tools in the target file)"}
		}
	case "access-token-second-user":
		if e.World.Issuer != nil && e.needIssuer(t) == nil {
			return nil
		}
		return e.needSession(t, "login-2")
	case "access-token-narrow", "access-token-broad":
		return e.needScoped(t)
	case "intrusive": // which needs has looked at
	default:
		n, _ := requirements.LookupNeed(name)
		return &stop{reports.NotTested, "it needs what was not given: " + n.Meaning}
	}
	return nil
}

func (e *Engine) spokenWires() []mcp.Wire {
	var out []mcp.Wire
	for _, st := range e.World.Survey.Status {
		w := mcp.Wire(st.Wire)
		if (st.Status == "spoken" || st.Status == "declared") && !slices.Contains(out, w) {
			out = append(out, w)
		}
	}
	return out
}

// judgedWires are those of the revisions that are judged, the stateful one first.
func (e *Engine) judgedWires() []mcp.Wire {
	var out []mcp.Wire
	for _, rev := range e.World.Survey.Judged() {
		if w := mcp.WireOf(rev); !slices.Contains(out, w) {
			out = append(out, w)
		}
	}
	return out
}

func (e *Engine) needChallenge(t *T) *stop {
	s := e.World.Survey
	wires := []mcp.Wire{t.Wire}
	if t.Wire == "" {
		wires = e.judgedWires()
	}
	open := true
	for _, w := range wires {
		if expect.Status(s.Refused[w]) == 401 {
			return nil
		}
		open = open && expect.Accepted(s.Refused[w])
		if s.InTools[w] && !strings.HasPrefix(t.id, "RS-CHALLENGE-") && !strings.HasPrefix(t.id, "RS-DISC-") {
			return nil // it is protected all the same
		}
	}
	ex := s.Refused[wires[0]]
	t.transcript = append(t.transcript, ex)
	if open {
		return t.unguarded(ex)
	}
	if slices.ContainsFunc(wires, func(w mcp.Wire) bool { return s.InTools[w] }) {
		return &stop{reports.NotApplicable, "there is no 401 to look at: tools refuse inside their results (RS-CHALLENGE-NO-AUTH-ERROR-IN-200)"}
	}
	return &stop{reports.Inconclusive, "the anonymous request is not answered 401 but with " + expect.Describe(ex) + " (RS-CHALLENGE-401-STATUS)"}
}

// open reports that anonymous callers are served on the judged wire.
func (e *Engine) open(t *T) bool { return expect.Accepted(e.World.Survey.Refused[t.wire()]) }

func (e *Engine) needToken(t *T) *stop {
	s := e.World.Survey
	if s.Token == "" {
		return &stop{reports.NotTested, "it needs a valid access token; give one with --token-env"}
	}
	wires := []mcp.Wire{t.Wire}
	if t.Wire == "" {
		wires = e.spokenWires()
	}
	for _, w := range wires {
		if expect.Accepted(s.Refused[w]) {
			return t.unguarded(s.Refused[w])
		}
		if ex := s.WithToken[w]; !s.Served(w, ex) {
			t.transcript = append(t.transcript, ex)
			return &stop{reports.Inconclusive, fmt.Sprintf("the token given is answered with %s on the %s wire, so nothing can be concluded from it", expect.Describe(ex), w)}
		}
	}
	return nil
}

func (e *Engine) needServer(name string) *stop {
	s := e.World.Survey
	absent := func(reason string) *stop { return &stop{reports.NotApplicable, reason} }
	if len(s.Servers) == 0 {
		return absent("no authorization server is named by the target")
	}
	has := false
	for i := range s.Servers {
		a := &s.Servers[i]
		switch name {
		case "issuer":
			has = has || a.Err == nil
		case "metadata":
			has = has || a.Metadata() != nil
		case "metadata-oidc":
			for j := range a.Documents {
				has = has || a.Documents[j].Found() && strings.HasPrefix(a.Documents[j].Place, "oidc")
			}
		case "issuer-tls":
			has = has || strings.HasPrefix(a.Issuer, "https://") && !loopbackURL(a.Issuer)
		case "issuer-with-path":
			u, err := document.ParseURL(a.Issuer)
			has = has || err == nil && strings.Trim(u.Path, "/") != ""
		case "jwks":
			has = has || a.JWKS.URL != ""
		}
	}
	if has {
		return nil
	}
	return absent(map[string]string{
		"issuer":           "no authorization server entry is a URL that could be asked (RS-DISC-AS-ENTRIES)",
		"metadata":         "no authorization server metadata was found (AS-META-PUBLISHED)",
		"metadata-oidc":    "no OpenID discovery document is served",
		"issuer-tls":       "the authorization server is on loopback or not reached by https",
		"issuer-with-path": "the issuer has no path",
		"jwks":             "the metadata names no jwks_uri",
	}[name])
}

func loopbackURL(s string) bool {
	u, err := document.ParseURL(s)
	return err == nil && document.LoopbackHost(u.Hostname())
}
