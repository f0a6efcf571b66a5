package check

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/onsi/gomega/types"

	"github.com/mcpauth/conformance/fixtures/seeded"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/deadline"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/documents"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/introspector"
	"github.com/mcpauth/conformance/suites/internal/listener"
	"github.com/mcpauth/conformance/suites/internal/login"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/nearmiss"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/rebind"
	"github.com/mcpauth/conformance/suites/internal/session"
	"github.com/mcpauth/conformance/suites/internal/survey"
	"github.com/mcpauth/conformance/suites/internal/wire"
	"github.com/mcpauth/conformance/suites/target"
)

// World is what all checks of a run share.
type World struct {
	// Target has the declarations of the user. Its Tools, Objects and Credentials follow below in the form for checks.
	target.Target
	// Tools may be called without preparation; Special ones need a URL, a handle or a stronger login first.
	Tools, Special []Tool
	Objects        []Object
	Credentials    []Credential

	Client *wire.Client
	// Opened are the sessions that the run has opened at the target.
	Opened  *mcp.Opened
	Survey  *survey.Survey
	Secrets *reports.Secrets
	// Intrusive says whether checks may load the host of a URL or trip its limits; nil: never.
	Intrusive func(address string) bool
	// Passive says that the run only reads: no registration, no login, no attack.
	Passive bool
	// MayAttack says that the user permits attacks on the target, wherever it is.
	MayAttack bool
	// Session is shared by the checks that act as clients; nil if no authorization server is available.
	Session *session.Session
	// Again surveys the target and signs in again, for the second look at findings; nil if that is not possible.
	Again func(ctx context.Context) (*survey.Survey, *session.Session)
	*pulse
	*learned
	// Documents serves client ID metadata documents to the authorization server; nil if that cannot reach mcpauth.
	Documents *documents.Server
	// KeyFetchesBefore is the number of requests for the issuer's key set before the run.
	KeyFetchesBefore int
	// StandbyKeys are published with the issuer's own from the beginning of the run; none if the issuer is judged.
	StandbyKeys Standby
	// Rebinding resolves names with changing addresses; nil if the authorization server does not use mcpauth's name server.
	Rebinding *rebind.Server
	// API replaces the external API that the target calls; nil if the target does not call mcpauth.
	API *listener.Listener
	// Verifier verifies opaque tokens for the target with a proprietary protocol.
	Verifier *introspector.Server
	// Introspector introspects opaque tokens for the target; nil if the target does not use it.
	Introspector *introspector.Server
	// Say tells the user something about the run itself; nil if nobody listens.
	Say func(notice string)
	// MaxWait is how long a check may wait if the target's clock cannot be moved.
	MaxWait time.Duration
	// KeyWait is how long the checks on key sets together wait for a new fetch of the key set by the target.
	KeyWait time.Duration
	// Patience is how long a revocation or rotation may take to become effective everywhere.
	Patience time.Duration
	// Order, if set, is the seed for the order of the checks; by default it is that of the catalogue.
	Order string
	// KeepBasis makes results keep what they were judged from.
	KeepBasis bool
	// BeginPart restarts the random values of a part of the run; nil without a seed.
	BeginPart func(part string)
}

// learned is knowledge that checks share.
type learned struct {
	shared sync.Map // see Once
	trust  sync.Once
	// distrusted says why the issuer's tokens are not usable.
	distrusted string
	// trustIsOpen says that no answer shows whether the target trusts the issuer.
	trustIsOpen bool
	keyCache    keyCache
	spread      spread
	// unrefreshed says why refresh tokens prove nothing here, once that is known; empty if an ordinary refresh works.
	unrefreshed atomic.Pointer[string]
}

// Begin prepares a world for its first check.
func (w *World) Begin() { w.pulse, w.learned = newPulse(), &learned{} }

// Seeded reports whether the run has a seed. Everything then runs in sequence if it can, because a target's own random values would
// otherwise depend on the order of requests.
func (w *World) Seeded() bool { return w.BeginPart != nil }

// T is the world of one check while it runs: it sends, records and judges. A check may use it from one goroutine, and not after it has
// returned.
type T struct {
	*World
	// Revision is the newest judged revision, and Wire its wire.
	Revision string
	Wire     mcp.Wire

	AS       AuthorizationServer
	MCP      MCPServer
	Mint     Minter
	Pages    Pages
	Upstream UpstreamSide
	Sibling  Siblings

	evidence
	basis
	token       string // the user's token for this check
	ctx         context.Context
	run         context.Context // of which the check is a part
	id          string
	transcript  []*reports.Exchange
	lent        []*reports.Exchange // exchanges that other checks use too
	calmStreams []*Stream           // streams that may be silent
	findings    []reports.Finding
	notes       []string
	refusals    int
	controlled  bool
	controls    []*reports.Exchange // exchanges that show served requests
	browser     sync.Mutex
	inBrowser   []*reports.Exchange
	sealed      bool
	intrusive   bool // the check loads every host that it sends to
	cleanups    []func()
	rows        []string // the current rows, the innermost last
	rowBegan    int      // length of the transcript at the start of the innermost row
	tried       []string // the rows so far, in order
	metAlone    bool     // an expectation outside of all rows is met
	undecided   []undecided
	failedTwice int    // rows that got a server error twice
	lasting     bool   // the target stays as a finding says
	headline    string // the beginning of every report if the check fails
	folded      bool   // another check judges the cause: the user can supply nothing that would help
	unmet       string // the unmet need for which the check did not run
	declared    string // the features, by their names in the target file, that the owner declares absent
	missing     string // the option that would meet the unmet need
}

// stop ends a check early with a verdict other than PASS or FAIL.
type stop struct {
	verdict reports.Verdict
	reason  string
}

func (t *T) end(v reports.Verdict, format string, args ...any) {
	panic(stop{v, reports.AtMost(mostSaid, fmt.Sprintf(format, args...))})
}

// Inconclusive ends the check: it ran without a decision.
func (t *T) Inconclusive(format string, args ...any) { t.end(reports.Inconclusive, format, args...) }

// NotApplicable ends the check: the feature is legitimately absent.
func (t *T) NotApplicable(format string, args ...any) { t.end(reports.NotApplicable, format, args...) }

// NotTested ends the check: the user has not supplied what it needs.
func (t *T) NotTested(format string, args ...any) { t.end(reports.NotTested, format, args...) }

// NotTestedWithout is NotTested with an unmet need of the catalogue, which the headline then names.
func (t *T) NotTestedWithout(need, format string, args ...any) {
	if features, absent := t.declaredAbsent(need); features != "" {
		t.declared = features
		t.NotApplicable("the server does not have %s, as its owner declares", absent)
	}
	if met := needs[need].met; met != nil {
		if l := met(t); l != nil && l.undecided { // the user supplied it
			t.Inconclusive("%s", l.why)
		}
	}
	t.missing = needs[need].give
	t.NotTested(format, args...)
}

// Cleanup registers a function to run after the check.
func (t *T) Cleanup(f func()) { t.cleanups = append(t.cleanups, f) }

// RawPost returns the protected call as raw bytes, with extra header lines, each ended by CR LF.
func RawPost(t *T, lines string) wire.Request { return RawCall(t, t.MCP.Call(), lines) }

// RawCall is RawPost for any call.
func RawCall(t *T, call mcp.Call, lines string) wire.Request {
	req := call.Request()
	path := t.Survey.URL.RequestURI()
	var b strings.Builder
	fmt.Fprintf(&b, "POST %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: %s\r\n", path, t.Survey.URL.Host, t.Client.UserAgent(t.id))
	for _, f := range req.Header {
		fmt.Fprintf(&b, "%s: %s\r\n", f.Name, f.Value)
	}
	fmt.Fprintf(&b, "%sContent-Length: %d\r\nConnection: close\r\n\r\n%s", lines, len(req.Body), req.Body)
	return wire.Request{Method: "POST", URL: t.Survey.Endpoint, Raw: []byte(b.String()), Until: req.Until}
}

// ChunkedCall returns a call without a known length (RFC 9112 section 7.1).
func ChunkedCall(t *T, c mcp.Call) wire.Request {
	r := c.Request()
	var b strings.Builder
	fmt.Fprintf(&b, "POST %s HTTP/1.1\r\nHost: %s\r\n", t.Survey.URL.RequestURI(), t.Survey.URL.Host)
	for _, f := range r.Header {
		fmt.Fprintf(&b, "%s: %s\r\n", f.Name, f.Value)
	}
	fmt.Fprintf(&b, "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(r.Body), r.Body)
	return wire.Request{Method: "POST", URL: t.Survey.Endpoint, Raw: []byte(b.String()), Until: r.Until}
}

// mostSaid bounds a sentence of a result, in bytes, including quotes.
const mostSaid = 8 << 10

// Note adds a sentence to the result.
func (t *T) Note(format string, args ...any) {
	t.notes = append(t.notes, reports.AtMost(mostSaid, fmt.Sprintf(format, args...)))
}

// Untried notes a part of the check that cannot be tried without something that the user did not supply.
func Untried(t *T, what, needs string) { t.Note("%s: not tried, since it needs %s", what, needs) }

// Needs of parts of checks, for Untried.
const (
	ATrustedIssuer = "a target that trusts an issuer run by mcpauth (fake_idp in the target file)"
	AToken         = "a valid access token (--token-env)"
	ALogin         = "a user who signs in (--username)"
	ASecondUser    = "a second user (--second-username)"
	AMachine       = "a client that acts for itself (client.clients in the target file, machine: true)"
	AScopedTool    = "a tool with a scope that may be called (tools in the target file)"
)

// Since reports whether the judged revision is at least the given one.
func (t *T) Since(revision string) bool { return t.Revision >= revision }

// MayStrain reports whether checks may load the host of a URL or trip its limits.
func (t *T) MayStrain(address string) bool { return t.Intrusive != nil && t.Intrusive(address) }

// strains ends an intrusive check before it sends to a host that it must not load.
func (t *T) strains(addresses ...string) {
	for _, a := range addresses {
		if l := t.forbidden(a); l != nil {
			t.missing = allowIntrusive
			t.NotTested("%s", l.why)
		}
	}
}

// forbidden says why an intrusive check may not send to an address; nil if it may.
func (t *T) forbidden(address string) *lack {
	if !t.intrusive || t.MayStrain(address) {
		return nil
	}
	return missing("it is intrusive; allow it with --allow-intrusive, and beyond your own network with --i-am-authorized "+
		"(it would send to %s)", endpoint(address))
}

// Do sends any request and records it.
func (t *T) Do(req wire.Request) *reports.Exchange {
	t.mayBeSent(req)
	if t.sealed {
		panic("the check " + t.id + " used its T after it returned")
	}
	ex := t.withinLimits(req)
	t.transcript = append(t.transcript, ex)
	t.sent(t.ctx, ex)
	t.mustBeThere()
	switch {
	case ex.Error == wire.ErrBudget.Error():
		t.Inconclusive("%s; raise it with --max-requests", ex.Error)
	case wire.Unsent(ex.Error) && t.surveyed(req.URL):
		t.Inconclusive("%s", ex.Error)
	case retryable(ex):
		t.Inconclusive("the target limits requests to %s (HTTP %d, Retry-After %q): lift the limit for the test, or run fewer checks at a "+
			"time with --only", endpoint(req.URL), ex.Response.Status, expect.Header(ex, "Retry-After"))
	case t.ctx.Err() != nil:
		t.timeIsOver()
	case changes(req) && expect.Succeeded(ex) && cutShort(ex) && !t.isAbout(failure(ex)):
		t.Inconclusive("%s: only a part of the answer came, so nothing shows that the request had its effect", expect.Describe(ex))
	}
	return ex
}

// surveyed reports whether the survey got an answer from the host of a URL, so that this machine can reach it.
func (t *T) surveyed(address string) bool {
	u, err := document.ParseURL(address)
	if err != nil {
		return false
	}
	_, answered := t.plainest(document.Origin(u))
	return answered
}

// changes reports whether a request may change state at the target (RFC 9110 section 9.2.1).
func changes(req wire.Request) bool {
	return req.Raw == nil && !slices.Contains([]string{"GET", "HEAD", "OPTIONS"}, req.Method)
}

// timeIsOver ends the check when its time limit, or that of the run, is reached.
func (t *T) timeIsOver() {
	switch {
	case t.run == nil || t.run.Err() == nil:
	case errors.Is(t.run.Err(), context.Canceled):
		t.Inconclusive(reports.NotReached)
	default:
		t.Inconclusive("the time for this run is over: raise it with --timeout")
	}
	t.Inconclusive("the time for this check is over")
}

// mustBeThere ends the check if the target no longer answers.
func (t *T) mustBeThere() {
	if why := t.Stopped(); why != "" {
		t.Inconclusive("%s", why)
	}
}

// IgnoringLimits sends a request and records it, ignoring the target's limits: for the checks on limits.
func (t *T) IgnoringLimits(req wire.Request) *reports.Exchange {
	return t.AllIgnoringLimits([]wire.Request{req})[0]
}

// AllIgnoringLimits is IgnoringLimits for many concurrent requests.
func (t *T) AllIgnoringLimits(requests []wire.Request) []*reports.Exchange {
	t.mayBeSent(requests...)
	out := make([]*reports.Exchange, len(requests))
	t.each(len(requests), !t.Seeded() || same(requests), func(i int) {
		requests[i].Together = true
		out[i] = t.Client.Do(t.ctx, t.id, requests[i])
	})
	t.settle(out, same(requests))
	t.transcript = append(t.transcript, out...)
	t.sent(t.ctx, out...)
	t.mustBeThere()
	if t.ctx.Err() != nil {
		t.timeIsOver()
	}
	return out
}

// Sleep waits, unless the run ends first.
func (t *T) Sleep(d time.Duration) {
	select {
	case <-time.After(d):
	case <-t.ctx.Done():
	}
}

// idle is Sleep while other checks run: it does not count as the check's own time.
func (t *T) idle(d time.Duration) {
	defer deadline.Pause(t.ctx)()
	t.Sleep(d)
}

// AtItsPace returns the time limit for something that usually ends in time: longer at a target that is slow in everything.
func AtItsPace(t *T, usually time.Duration) time.Duration {
	if t.Client == nil {
		return usually
	}
	return t.Client.AtItsPace(t.ctx, t.Survey.URL, usually)
}

// Elapse advances the target's time: by its clock, which is set back after the check, or by waiting.
func (t *T) Elapse(d time.Duration) {
	switch {
	case t.Clock != nil:
		if err := t.Clock.Advance(d); err != nil {
			t.Inconclusive("the target's clock could not be moved: %v", err)
		}
		t.Cleanup(func() { _ = t.Clock.Advance(-d) }) // it could be moved before
	case d <= t.MaxWait:
		t.Sleep(d)
	default:
		t.NotTested("it takes %v for something to expire; let it wait as long with --max-wait, or shorten the lifetimes of a test instance", d)
	}
}

// Once makes a value that several checks of a run share. If making it ends the check, it ends each of them. The time counts only for the
// check that makes it.
func Once[V any](t *T, key string, f func() V) V {
	v, made := t.World.shared.LoadOrStore(key, sync.OnceValue(func() V {
		began := len(t.transcript)
		defer func() { t.lent = append(t.lent, t.transcript[min(began, len(t.transcript)):]...) }()
		return f()
	}))
	if made {
		defer deadline.Pause(t.ctx)()
	}
	return v.(func() V)()
}

// endpoint returns an address without its query.
func endpoint(address string) string {
	bare, _, _ := strings.Cut(address, "?")
	return bare
}

// Send sends a call.
func (t *T) Send(c mcp.Call) *reports.Exchange { return t.Do(c.Request()) }

// OldTLS reports whether the server at u agrees to TLS 1.1 or older.
func (t MCPServer) OldTLS(u *url.URL) (bool, error) { return t.Client.OldTLS(t.ctx, u) }

// SettleForSeed waits, with a seed, until a target on this machine has had time to finish, so that the number of tries is always the same.
func (t *T) SettleForSeed() {
	if t.Seeded() {
		t.Sleep(calm)
	}
}

// NextSecond waits, with a seed, until a second has just begun: tokens use whole seconds.
func (t *T) NextSecond() {
	if t.Seeded() {
		t.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second + 5*time.Millisecond)))
	}
}

const calm = 250 * time.Millisecond

// Variant is one of several independent requests that a check sends concurrently.
type Variant struct {
	About   string
	Request wire.Request
}

// Call makes a variant of a call.
func Call(c mcp.Call, about string, args ...any) Variant {
	return Variant{fmt.Sprintf(about, args...), c.Request()}
}

// All sends the variants concurrently, which saves time, and returns their exchanges in order.
func (t *T) All(variants []Variant) []*reports.Exchange { return t.all(variants, !t.Seeded()) }

// Race is All for variants that must arrive concurrently: in sequence they would show nothing.
func (t *T) Race(variants []Variant) []*reports.Exchange {
	variants = slices.Clone(variants)
	for i := range variants {
		variants[i].Request.Together = true
	}
	return t.all(variants, true)
}

func (t *T) all(variants []Variant, atOnce bool) []*reports.Exchange {
	children := make([]*T, len(variants))
	ended := make([]any, len(variants))
	requests := make([]wire.Request, len(variants))
	t.each(len(variants), atOnce, func(i int) {
		requests[i] = variants[i].Request
		children[i] = newT(t.ctx, t.World, t.id, t.Wire, t.Revision)
		defer func() { ended[i] = recover() }()
		children[i].Do(requests[i])
	})
	out := make([]*reports.Exchange, 0, len(variants))
	for i, child := range children {
		if ended[i] != nil {
			t.transcript = append(t.transcript, child.transcript...)
			panic(ended[i])
		}
		last := len(child.transcript) - 1
		t.transcript = append(t.transcript, child.transcript[:last]...)
		out = append(out, child.transcript[last])
	}
	t.settle(out, same(requests))
	t.transcript = append(t.transcript, out...)
	return out
}

// Around sends a raw request, and calls, one after another, when the target has all of it but its last byte. That follows when they are
// answered, or after a time: a target may serve no other request meanwhile. It reports whether they were answered in time.
func Around(t *T, req wire.Request, calls []mcp.Call, atMost time.Duration) (halted *reports.Exchange, answered bool) {
	other, result := newT(t.ctx, t.World, t.id, t.Wire, t.Revision), make(chan bool, 1)
	begun, received := false, false
	req.Midway = func() {
		if begun { // a limit refused the request, and it is sent again
			answered = false
			return
		}
		begun = true
		go func() { result <- other.guarded(func() *stop { other.inTurn(calls); return nil }) == nil }()
		select {
		case answered = <-result:
			received = true
		case <-time.After(atMost):
		}
	}
	defer func() {
		if begun && !received {
			<-result
		}
		t.transcript = append(t.transcript, other.transcript...)
	}()
	halted = t.Do(req)
	return halted, answered
}

func (t *T) inTurn(calls []mcp.Call) {
	for _, c := range calls {
		t.Do(c.Request())
	}
}

// each calls f for the numbers below n, concurrently or in sequence.
func (t *T) each(n int, atOnce bool, f func(i int)) {
	var together sync.WaitGroup
	for i := range n {
		if atOnce {
			together.Go(func() { f(i) })
		} else {
			f(i)
		}
	}
	together.Wait()
}

// settle orders the exchanges of concurrent requests, if a seed demands it: the seed decides which of several equal requests came first.
func (t *T) settle(exchanges []*reports.Exchange, equal bool) {
	if !t.Seeded() {
		return
	}
	var numbers []int
	for _, ex := range exchanges {
		numbers = append(numbers, ex.Number)
	}
	slices.Sort(numbers)
	if equal {
		slices.SortStableFunc(exchanges, func(a, b *reports.Exchange) int { return strings.Compare(answered(a), answered(b)) })
	}
	for i, ex := range exchanges {
		ex.Number = numbers[i]
	}
}

// answered returns an answer without its time.
func answered(ex *reports.Exchange) string {
	if ex.Response == nil {
		return "~" + ex.Error
	}
	return fmt.Sprint(ex.Response.Status, ex.Response.Body,
		slices.DeleteFunc(slices.Clone(ex.Response.Header), func(f reports.Field) bool { return f.Name == "Date" }))
}

// same reports whether requests are equal.
func same(requests []wire.Request) bool {
	return !slices.ContainsFunc(requests, func(r wire.Request) bool {
		first := requests[0]
		return r.Method != first.Method || r.URL != first.URL || r.Body != first.Body || !slices.Equal(r.Header, first.Header) ||
			string(r.Raw) != string(first.Raw)
	})
}

// ExpectAll sends the variants concurrently, and expects the same of each.
func (t *T) ExpectAll(variants []Variant, m types.GomegaMatcher) {
	for i, ex := range t.All(variants) {
		t.Expect(ex, "%s", variants[i].About).To(m)
	}
}

// Get fetches a document without credentials.
func (t *T) Get(address string, fields ...reports.Field) *reports.Exchange {
	h := fields
	if !slices.ContainsFunc(h, func(f reports.Field) bool { return strings.EqualFold(f.Name, "Accept") }) {
		h = append([]reports.Field{mcp.Field("Accept", "application/json")}, h...)
	}
	return t.Do(wire.Request{Method: "GET", URL: address, Header: h})
}

// Cite adds an exchange of the survey, or one that checks share, to this check's evidence.
func (t *T) Cite(ex *reports.Exchange) *reports.Exchange {
	if ex == nil {
		t.Inconclusive("the survey has no such exchange")
	}
	if !slices.Contains(t.transcript, ex) {
		t.transcript = append(t.transcript, ex)
	}
	return ex
}

// CiteIfAsked is Cite for an exchange that the survey may lack because the address is invalid.
func CiteIfAsked(t *T, ex *reports.Exchange) {
	if ex != nil {
		t.Cite(ex)
	}
}

// Call returns the minimal protected request on this wire, without credentials.
func (t MCPServer) Call() mcp.Call {
	return t.CallAt(t.Revision)
}

// CallAt returns Call at a revision, if it belongs to the judged wire.
func (t MCPServer) CallAt(revision string) mcp.Call {
	w := t.wire()
	c := t.Survey.Protected[w]
	c.Mirrored = t.Survey.Mirrored
	if c.Revision != revision && mcp.WireOf(revision) == w {
		c.Revision = revision
		if c.RPC == "initialize" {
			c = mcp.Initialize(c.Endpoint, revision) // it has no parameters for tools
		}
	}
	return c
}

// HasToken reports whether the user supplied a token.
func (t MCPServer) HasToken() bool { return t.Survey.Token != "" }

// BearerField returns the Authorization field of the user's valid token.
func (t MCPServer) BearerField() reports.Field { return mcp.Bearer(t.Token()) }

// Anonymous returns the target's answer to the protected request without credentials.
func (t MCPServer) Anonymous() *reports.Exchange { return t.Cite(t.Survey.Refused[t.wire()]) }

// wire returns the judged wire, or the newest wire of the judged revisions if wires are not judged separately.
func (t *T) wire() mcp.Wire {
	if t.Wire != "" {
		return t.Wire
	}
	if _, ok := t.Survey.Newest(mcp.Stateful); ok {
		return mcp.Stateful
	}
	return mcp.Stateless
}

// handshake are the messages that open a session and keep it alive: if the handshake is public, they may be public too.
var handshake = []string{"initialize", "server/discover", "ping", "notifications/initialized"}

// Public reports whether a JSON-RPC method is public by the server's design.
func (t MCPServer) Public(method string) bool {
	public := t.Survey.Public[t.wire()]
	return slices.Contains(public, method) || len(public) > 0 && slices.Contains(handshake, method)
}

// PublicHandshake reports whether a method belongs to the handshake and the handshake is public.
func (t MCPServer) PublicHandshake(method string) bool {
	return len(t.Survey.Public[t.wire()]) > 0 && slices.Contains(handshake, method)
}

// Handshake returns the method that opens a conversation on the judged wire.
func (t MCPServer) Handshake() string {
	if t.wire() == mcp.Stateless {
		return "server/discover"
	}
	return "initialize"
}

// CallInSession returns a call for any method, in an ordinary session: that of the user's token, if there is one, so that only the
// credential of a request is wrong.
func (t MCPServer) CallInSession() mcp.Call {
	if t.HasToken() {
		if call, refused := t.SessionAs(t.BearerField()); refused == nil {
			return call
		}
	}
	return t.Call()
}

// CallOfAnybody returns a call for any method by an anonymous caller: in a session without a token if possible, else as CallInSession.
func (t MCPServer) CallOfAnybody() mcp.Call {
	if t.PublicHandshake(t.Handshake()) {
		if call, refused := t.SessionAs(); refused == nil {
			return call
		}
	}
	return t.CallInSession()
}

// ownCredentials returns the user's credentials: a token, or else an API key, or else none.
func (t MCPServer) ownCredentials() []reports.Field {
	if t.HasToken() {
		return []reports.Field{t.BearerField()}
	}
	if keys := t.APIKeys(); len(keys) > 0 {
		return []reports.Field{keys[0].Field()}
	}
	return nil
}

// Bogus returns the target's answer to an invalid bearer token.
func (t MCPServer) Bogus() *reports.Exchange {
	return t.Cite(t.Survey.Bogus[t.wire()])
}

// Authorized adds the user's token to a call, if there is one: a server that serves anonymous callers may need none.
func (t MCPServer) Authorized(c mcp.Call) mcp.Call {
	if t.HasToken() {
		return c.With(t.BearerField())
	}
	return c
}

// Serve expects the protected call to get past authorization.
func (t MCPServer) Serve() expect.Matcher {
	return expect.BeServedOrUnknown(t.Survey.AsksForUnknownTool(t.wire()))
}

// Hide keeps a value made from a secret out of reports, and returns it. One or two characters, such as a wildcard, disclose nothing, and
// are in every text.
func (t *T) Hide(value string) string {
	if len(value) > tellsNothing {
		t.Secrets.Add("derived", value)
	}
	return value
}

// tellsNothing is the maximum length of a value made from a secret that discloses nothing.
const tellsNothing = 2

// NearMiss returns a secret with the character at an index changed, and keeps it out of reports, because it discloses most of the secret.
func (t *T) NearMiss(secret string, at int) string {
	return t.Hide(nearmiss.ChangedAt(secret, at))
}

// HidePart hides a value made from a token, unless it is only the beginning of a JWT without the signature: that is not secret, and other
// tokens begin alike.
func (t Minter) HidePart(part, token string) string {
	if header, _ := oauth.Claims(token); header != nil && strings.HasPrefix(token, part) && strings.Count(part, ".") < 2 {
		return part
	}
	return t.Hide(part)
}

// Control shows that the target serves what it should, so that a refusal counts. With a token it sends the authorized request again;
// without one it uses a request that the survey saw served.
func (t MCPServer) Control() {
	t.controlled = true
	if t.HasToken() {
		ex := t.Send(t.Call().With(t.BearerField()))
		if !t.Survey.Served(t.wire(), ex) {
			t.Inconclusive("this proves nothing: the valid token is answered with %s", expect.Describe(ex))
		}
		t.controlledBy(ex, t.Serve())
		return
	}
	t.sharedControl()
}

// ServedOrControl sends a request that should be served. If it is not, the control follows, and the request again: a target that fails now
// and then gets no finding.
func (t MCPServer) ServedOrControl(req wire.Request, control func()) *reports.Exchange {
	ex := t.Do(req)
	if !t.Served(ex) {
		control()
		ex = t.Do(req)
	}
	return ex
}

func (t *T) sharedControl() {
	t.controlled = true
	if keys := t.MCP.APIKeys(); !t.MCP.HasToken() && len(keys) > 0 { // the credential that the user supplied
		ex := t.Send(t.MCP.Call().With(keys[0].Field()))
		if !t.Survey.Served(t.wire(), ex) {
			t.Inconclusive("this proves nothing: %s is answered with %s", keys[0].Name, expect.Describe(ex))
		}
		t.controlledBy(ex, t.MCP.Serve())
		return
	}
	w := t.Wire
	if w == "" {
		w = mcp.Stateful
		if ex, ok := t.Survey.Alive(mcp.Stateless); ok {
			t.aliveBy(ex)
			return
		}
	}
	ex, ok := t.Survey.Alive(w)
	if ex != nil {
		t.aliveBy(ex)
	}
	if !ok {
		t.Inconclusive("your server also rejects valid requests, so its refusals prove nothing (%s)", expect.Describe(ex))
	}
}

// aliveBy cites what the survey saw served: the protected request, or a public document.
func (t *T) aliveBy(ex *reports.Exchange) {
	m := t.MCP.Serve()
	if !m.Judge(ex).Met {
		m = expect.HaveStatus(200)
	}
	t.Cite(ex)
	if m.Judge(ex).Met {
		t.controlledBy(ex, m)
	}
}

// Random returns n random bytes in base64url.
func Random(n int) string { return seeded.Suites.Text(n) }

// Assertion is an expectation about one value.
type Assertion struct {
	t      *T
	actual any
	about  string
	seen   *reports.Exchange
	minor  bool // nobody gains access, whatever the matcher says
}

// Expect starts an expectation; about identifies the variant.
func (t *T) Expect(actual any, about ...any) Assertion {
	a := Assertion{t: t, actual: actual}
	if len(about) > 0 {
		format, _ := about[0].(string)
		a.about = fmt.Sprintf(format, about[1:]...)
	}
	return a
}

// SeenIn names the exchange that shows the value, if the value does not know it.
func (a Assertion) SeenIn(ex *reports.Exchange) Assertion {
	a.seen = ex
	return a
}

// To records a finding for each matcher that is not satisfied, and reports whether all were.
func (a Assertion) To(matchers ...types.GomegaMatcher) bool { return a.judgeAll(matchers, false) }

// Ideally is To for behaviour that is risky but allowed: the finding is at most a warning.
func (a Assertion) Ideally(matchers ...types.GomegaMatcher) bool { return a.judgeAll(matchers, true) }

// AsControl ends the check undecided if the value is not what the target should serve: a refusal beside it would prove nothing.
func (a Assertion) AsControl(m expect.Matcher) {
	m = a.t.asked(m)
	if m.Kind() != expect.Control {
		panic("a control needs a matcher of what the target serves")
	}
	j, ex := m.Judge(a.actual), a.exchange()
	if ex != nil {
		a.t.Cite(ex)
	}
	if observed := cmp.Or(j.Undecided, j.Observed); !j.Met {
		if _, answer := a.actual.(*reports.Exchange); answer {
			observed = "is answered with " + observed
		}
		a.t.Inconclusive("this proves nothing: %s %s", a.about, observed)
	}
	a.t.served("the control: "+strings.TrimRight(a.about, ",: "), a.actual, ex, m)
}

func (a Assertion) judgeAll(matchers []types.GomegaMatcher, advice bool) bool {
	ok := true
	for _, m := range matchers {
		if own, is := m.(expect.Matcher); is {
			ok = a.judge(own, advice) && ok
		} else {
			ok = a.judgeForeign(m, advice) && ok
		}
	}
	return ok
}

func (a Assertion) judge(m expect.Matcher, advice bool) bool {
	m = a.t.asked(m)
	j, ex := m.Judge(a.actual), a.exchange()
	a.minor = j.Minor
	cited := expect.ComparedWith(m)
	outcome := a.t.amountsTo(j, m.Kind(), ex, a.t.MCP.RefusedInside(ex), cited)
	a.judged(m, outcome, ex, advice, func() {
		switch outcome {
		case reports.StepMet:
			a.count(m.Kind())
			if j.Advice != nil {
				a.record(m, ex, j.Advice.Expected, j.Advice.Observed, true)
			}
		case reports.StepRefusedInside:
			a.count(expect.Refusal)
		case reports.StepUndecided:
			if j.Met { // by a part of an answer
				cited = []*reports.Exchange{ex}
			}
			if failed := a.t.anyShowsNothing(cited); failed != nil {
				j.Undecided = a.t.showsNothing(failed, j.Expected)
			}
			a.t.leaveExchange(ex, a.about, j)
		default:
			a.record(m, ex, j.Expected, cmp.Or(j.Observed, j.Undecided), advice)
		}
	})
	return outcome == reports.StepMet || outcome == reports.StepRefusedInside
}

func (a Assertion) judgeForeign(m types.GomegaMatcher, advice bool) bool {
	ok, err := m.Match(a.actual)
	switch {
	case err != nil:
		a.record(m, a.exchange(), "a value that can be judged", err.Error(), advice)
	case !ok:
		a.record(m, a.exchange(), "see observed", strings.Join(strings.Fields(m.FailureMessage(a.actual)), " "), advice)
	}
	return ok && err == nil
}

func (a Assertion) exchange() *reports.Exchange {
	if a.seen != nil {
		return a.seen
	}
	return expect.ExchangeOf(a.actual)
}

// count records what a satisfied matcher shows: the target refused, or it served what it should.
func (a Assertion) count(k expect.Kind) {
	a.t.metAlone = a.t.metAlone || len(a.t.rows) == 0
	switch k {
	case expect.Refusal:
		a.t.refusals++
	case expect.Control:
		a.t.controlled = true
	}
}

// witnessed reports whether a server run by mcpauth has seen the value, so that it cannot come from a failed answer of the target. That
// nothing came may be because the target failed.
func witnessed(actual any) bool {
	switch seen := actual.(type) {
	case *listener.Listener:
		return seen.Connections() > 0
	case []listener.Request:
		return len(seen) > 0
	}
	return false
}

// record adds a finding about a value to the current row, unless its evidence is a failure.
func (a Assertion) record(m types.GomegaMatcher, ex *reports.Exchange, expected, observed string, advice bool) {
	t, about := a.t, a.about
	if f := failure(ex); f != "" && !t.isAbout(f) {
		t.Cite(ex)
		t.leave(about, t.showsNothing(ex, expected), reports.Inconclusive)
		return
	}
	if !witnessed(a.actual) {
		if failed := t.anyShowsNothing(a.basis(m, ex)); failed != nil {
			t.spoilt = true
			t.leave(about, t.showsNothing(failed, expected), reports.Inconclusive)
			return
		}
	}
	if why := t.byTurns(ex); why != "" {
		t.spoilt = true
		t.leave(about, why, reports.Inconclusive)
		return
	}
	f := a.finding(expected, observed, advice)
	if ex != nil {
		t.Cite(ex)
		f.Exchange = ex.Number
	}
	t.findings = append(t.findings, f)
	t.step(reports.BasisStep{Outcome: reports.BodyFound, About: f.About, Exchange: f.Exchange, Advice: advice, Finding: &f})
}

func (a Assertion) finding(expected, observed string, advice bool) reports.Finding {
	return reports.Finding{About: a.t.about(a.about), Looked: !sent(a.actual), Expected: expected, Observed: observed, Advice: advice,
		Minor: a.minor}
}

// sent reports whether a value is the outcome of one request or flow, so that the name of the judgement is that of what was sent.
func sent(actual any) bool {
	switch actual.(type) {
	case *reports.Exchange, *oauth.Tokens, *Grant, *Flow:
		return true
	}
	return false
}

// basis returns what a finding may rest on besides the exchange that shows it: the exchanges that the value holds, and all that the row
// sent; without one that shows it, all that the check sent. One answer that a named matcher judges stands for itself.
func (a Assertion) basis(m types.GomegaMatcher, shows *reports.Exchange) []*reports.Exchange {
	if shows == nil {
		return a.t.own()
	}
	switch v := a.actual.(type) {
	case Basis:
		return v.Basis()
	case *reports.Exchange, *oauth.Tokens, expect.JWT, *Grant, *Flow, *login.Page:
		if own, is := m.(expect.Matcher); is && expect.CallOf(own) != nil { // which knows what it compares with
			return expect.ComparedWith(own)
		}
	}
	others := append(slices.Clone(a.t.transcript[:a.t.rowBegan]), a.t.lent...) // whoever happens to send what is lent
	ofTheRow := slices.DeleteFunc(a.t.own(), func(ex *reports.Exchange) bool { return slices.Contains(others, ex) })
	return append(ofTheRow, expect.Held(a.actual)...)
}

// Basis is a value that knows all its answers: other failed requests of the row do not affect it.
type Basis interface{ Basis() []*reports.Exchange }

// own returns the exchanges that the check itself caused.
func (t *T) own() []*reports.Exchange {
	return slices.DeleteFunc(slices.Clone(t.transcript), func(ex *reports.Exchange) bool { return ex.Check != t.id })
}

// leaveExchange leaves undecided what an exchange does not decide.
func (t *T) leaveExchange(ex *reports.Exchange, about string, j expect.Judgement) {
	if ex != nil {
		t.Cite(ex)
	}
	verdict := reports.Inconclusive
	if j.Untried {
		verdict = reports.NotTested
	}
	t.leave(about, Because(t, ex, j.Undecided), verdict)
}

// RefusedInside reports whether a tool refused with a result, like all tools of the target. That is the wrong signal, which the checks on
// the challenge report; all others count it as a refusal.
func (t MCPServer) RefusedInside(ex *reports.Exchange) bool {
	return t.Survey.InTools[t.wire()] && !strings.HasPrefix(t.id, "RS-CHALLENGE-") && ex != nil && expect.RefusedInside(ex)
}

// Resource returns the protected resource metadata that a client would use.
func (t MCPServer) Resource() *survey.Document {
	d := t.Survey.Resource()
	if d == nil {
		t.NotApplicable("no protected resource metadata document was found (RS-DISC-PRM-PUBLISHED)")
	}
	t.Cite(d.Exchange)
	return d
}

// Resources returns all protected resource metadata documents of the survey, one for each URL.
func (t MCPServer) Resources() []*survey.Document {
	var out []*survey.Document
	seen := map[string]bool{}
	for i := range t.Survey.Resources {
		if d := &t.Survey.Resources[i]; d.Found() && !seen[d.URL] {
			seen[d.URL] = true
			t.Cite(d.Exchange)
			out = append(out, d)
		}
	}
	if len(out) == 0 {
		t.NotApplicable("no protected resource metadata document was found (RS-DISC-PRM-PUBLISHED)")
	}
	return out
}

// Each judges every authorization server that has metadata; about names it if there are several.
func (t AuthorizationServer) Each(judge func(s *survey.Server, m *survey.Document)) {
	n := 0
	for _, s := range t.Servers() {
		if m := s.Metadata(); m != nil {
			n++
			t.Cite(m.Exchange)
			judge(s, m)
		}
	}
	if n == 0 {
		t.NotApplicable("no authorization server metadata was found (AS-META-PUBLISHED)")
	}
}

// Servers returns the authorization servers that the target names. Those that mcpauth runs are not judged.
func (t AuthorizationServer) Servers() []*survey.Server { return t.judgedServers() }

// Loopback reports whether the target is on this machine.
func (t MCPServer) Loopback() bool { return document.LoopbackHost(t.Survey.URL.Hostname()) }
