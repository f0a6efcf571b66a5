// Package survey learns the properties of a target before any check runs: whether it is protected, its challenge, its metadata and that of
// its authorization servers, and the revisions and wires that it speaks.
package survey

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/mcpauth/conformance/fixtures/requirements"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/wire"
)

// Check is the name under which the survey's requests are recorded.
const Check = "survey"

// Input is what the user supplies.
type Input struct {
	Endpoint  string
	Revisions []string // declared by the user; empty: all that the target speaks
	Token     string   // a valid access token, or empty
	// Tools may be called, and may use a credential: if everything else is open to everybody, they may be the protected part.
	Tools []Tool
	// InTurn sends requests in sequence.
	InTurn bool
}

// Tool is a tool that may be called.
type Tool struct {
	Name      string
	Arguments map[string]any
}

// Survey is the result. It is immutable after Take.
type Survey struct {
	Input
	Earlier   *Survey // the survey before the login; nil for the first
	URL       *url.URL
	Anonymous map[mcp.Wire]*reports.Exchange // the probe without credentials
	WithToken map[mcp.Wire]*reports.Exchange // Protected with the user's token, if any
	Bogus     map[mcp.Wire]*reports.Exchange // Protected with a bearer value that cannot be valid
	// Handshake is the answer to initialize with the token, or without one if that works.
	Handshake *reports.Exchange
	// Protected is the minimal request that anonymous callers are refused: the probe itself, unless the handshake is public.
	Protected map[mcp.Wire]mcp.Call
	// Unanswered has how the question failed whether the target speaks a revision.
	Unanswered map[string]string
	Refused    map[mcp.Wire]*reports.Exchange // the answer to Protected without credentials
	Public     map[mcp.Wire][]string          // JSON-RPC methods that anonymous callers may use
	// AnyoneCalls says that an anonymous tool call gets past authorization: the error is that the tool does not exist.
	AnyoneCalls map[mcp.Wire]bool
	// InTools says that tools refuse with their results, inside successful HTTP answers.
	InTools   map[mcp.Wire]bool
	Resources []Document // protected resource metadata, in the order of clients
	Origin    Document   // RFC 8414 metadata at the MCP server's origin (2025-03-26)
	Servers   []Server   // the authorization servers listed
	Status    []reports.RevisionStatus
	Listed    []string // the names of tools, if the list is accessible
	// Mirrored are the parameters of listed tools that clients repeat in header fields.
	Mirrored  map[string][]mcp.Mirror
	exchanges []*reports.Exchange
	failed    []wire.Request
	mu        sync.Mutex
}

// Document is a metadata document, or the answer that came instead.
type Document struct {
	URL      string
	Place    string // challenge, path, root; rfc8414, oidc-inserted, oidc-appended; origin; jwks
	Exchange *reports.Exchange
	// Redirect is the redirect within the origin that led to Exchange, or nil.
	Redirect *reports.Exchange
	Object   *document.Object // nil unless the answer was 200 with a JSON object
	Oddities []string
	Err      error // why Object is nil
}

// Found reports whether the document was served.
func (d *Document) Found() bool { return d.Object != nil }

// Answered returns the URL of the document itself, which differs from URL after a redirect.
func (d *Document) Answered() string {
	if d.Redirect != nil {
		return d.Exchange.Request.URL
	}
	return d.URL
}

// Unreachable reports whether the document's host gave no complete answer, or got no request because its address is not public.
func (d *Document) Unreachable() bool { return d.Exchange != nil && d.Exchange.Error != "" }

// Server is an authorization server with its metadata at all locations.
type Server struct {
	Issuer    string
	Err       error // the issuer is not a usable URL
	Documents []Document
	JWKS      Document
}

// Unreachable says why the server gave no answer at one of its locations, or got no request; empty if it answered.
func (s *Server) Unreachable() string {
	for i := range s.Documents {
		if d := &s.Documents[i]; d.Unreachable() {
			return d.Exchange.Error
		}
	}
	return ""
}

// Metadata returns the first document, in MCP's order of discovery.
func (s *Server) Metadata() *Document {
	return firstFound(s.Documents)
}

// Merged has the members of all documents of the server that name its own issuer, each from the first one that has it: some members, such
// as userinfo_endpoint, are only in OpenID documents. If none names it, it is the first document.
func (s *Server) Merged() *document.Object {
	var merged *document.Object
	for i := range s.Documents {
		d := &s.Documents[i]
		if !d.Found() || d.Object.String("issuer") != s.Issuer {
			continue
		}
		if merged == nil {
			merged = &document.Object{}
		}
		for _, m := range d.Object.Members {
			if _, known := merged.Get(m.Name); !known {
				merged.Members = append(merged.Members, m)
			}
		}
	}
	if m := s.Metadata(); merged == nil && m != nil {
		return m.Object
	}
	return merged
}

func firstFound(documents []Document) *Document {
	if i := slices.IndexFunc(documents, func(d Document) bool { return d.Found() }); i >= 0 {
		return &documents[i]
	}
	return nil
}

// At returns the document of a location.
func (s *Server) At(place string) *Document {
	for i := range s.Documents {
		if s.Documents[i].Place == place {
			return &s.Documents[i]
		}
	}
	return nil
}

// Resource returns the protected resource metadata that a client would use: the first one.
func (s *Survey) Resource() *Document {
	return firstFound(s.Resources)
}

// Exchanges returns all exchanges of the survey.
func (s *Survey) Exchanges() []*reports.Exchange { return s.exchanges }

// Failed returns the requests that got no answer or a server error.
func (s *Survey) Failed() []wire.Request { return s.failed }

// Answered reports whether a request got an answer below HTTP 500.
func Answered(ex *reports.Exchange) bool { return ex.Response != nil && ex.Response.Status < 500 }

// Judged returns the revisions that checks judge, oldest first.
func (s *Survey) Judged() []string {
	var out []string
	for _, r := range s.Status {
		if r.Status == "spoken" || r.Status == "declared" || r.Status == "assumed" {
			out = append(out, r.Revision)
		}
	}
	return out
}

// StatusOf returns what is known about a revision.
func (s *Survey) StatusOf(revision string) reports.RevisionStatus {
	for _, r := range s.Status {
		if r.Revision == revision {
			return r
		}
	}
	return reports.RevisionStatus{Revision: revision, Status: "unknown"}
}

// Newest returns the newest judged revision of a wire.
func (s *Survey) Newest(w mcp.Wire) (string, bool) {
	j := s.Judged()
	for i := len(j) - 1; i >= 0; i-- {
		if mcp.WireOf(j[i]) == w {
			return j[i], true
		}
	}
	return "", false
}

// Alive reports whether some public document or authorized request was served, so that a refusal elsewhere counts; the exchange shows it.
func (s *Survey) Alive(w mcp.Wire) (*reports.Exchange, bool) {
	if s.Token != "" {
		ex := s.WithToken[w]
		return ex, ex != nil && s.Served(w, ex)
	}
	if d := s.Resource(); d != nil {
		return d.Exchange, true
	}
	for i := range s.Servers {
		if d := s.Servers[i].Metadata(); d != nil {
			return d.Exchange, true
		}
	}
	if s.Origin.Found() {
		return s.Origin.Exchange, true
	}
	return s.Refused[w], expect.Accepted(s.Refused[w]) // a server without authorization serves this
}

// TokenRefused says how the user's token was refused; empty if any wire of the target accepted it.
func (s *Survey) TokenRefused() string {
	why := ""
	for _, w := range []mcp.Wire{mcp.Stateful, mcp.Stateless} {
		ex := s.WithToken[w]
		if _, judged := s.Newest(w); ex == nil || !judged {
			continue
		}
		if s.Served(w, ex) {
			return ""
		}
		why = "it is answered with " + expect.Describe(ex)
	}
	return why
}

// BogusToken is an ordinary bearer token that no server has issued.
const BogusToken = "bWNwYXV0aC1ub3QtYS12YWxpZC10b2tlbi0wMDAwMDAwMQ"

// Take surveys a target. It fails only if the endpoint gives no HTTP answer, or none that an MCP endpoint would give.
func Take(ctx context.Context, client *wire.Client, in Input) (*Survey, error) {
	u, err := document.ParseURL(in.Endpoint)
	if err != nil {
		return nil, err
	}
	s := empty(in, u)
	t := &taker{ctx: ctx, client: client, s: s, inTurn: in.InTurn}
	t.endpoint()
	stateful := s.Anonymous[mcp.Stateful]
	if stateful.Response == nil && s.Anonymous[mcp.Stateless].Response == nil {
		return s, &Unreachable{Why: stateful.Error}
	}
	t.resources()
	t.both(t.servers, t.revisions)
	for _, ex := range s.exchanges { // requests that were not sent say nothing
		if ex.Error == wire.ErrBudget.Error() {
			return s, &Unreachable{Why: wire.ErrBudget.Error() + " before the target was surveyed; raise it with --max-requests"}
		}
	}
	if why := t.diagnose(); why != "" {
		return s, &Unreachable{why, t.instead}
	}
	return s, nil
}

// empty returns an empty survey.
func empty(in Input, u *url.URL) *Survey {
	return &Survey{
		Input: in, URL: u, Unanswered: map[string]string{},
		Anonymous: map[mcp.Wire]*reports.Exchange{}, WithToken: map[mcp.Wire]*reports.Exchange{},
		Bogus: map[mcp.Wire]*reports.Exchange{}, Protected: map[mcp.Wire]mcp.Call{}, Refused: map[mcp.Wire]*reports.Exchange{},
		Mirrored: map[string][]mcp.Mirror{},
		Public:   map[mcp.Wire][]string{}, InTools: map[mcp.Wire]bool{}, AnyoneCalls: map[mcp.Wire]bool{},
	}
}

// Unreachable is the error of a target that gave no HTTP answer, or that is not an MCP endpoint. Why is a paragraph for the user.
type Unreachable struct {
	Why     string
	Instead string // the URL that the user probably meant; empty if none is known
}

func (u *Unreachable) Error() string { return u.Why }

type taker struct {
	ctx    context.Context
	client *wire.Client
	s      *Survey
	inTurn bool
	// instead is the URL that the user probably meant, if this one is not an MCP endpoint.
	instead string
}

// both runs functions concurrently, or in sequence.
func (t *taker) both(fs ...func()) {
	var wg sync.WaitGroup
	for _, f := range fs {
		if t.inTurn {
			f()
		} else {
			wg.Go(f)
		}
	}
	wg.Wait()
}

func (t *taker) do(req wire.Request) *reports.Exchange {
	ex := t.client.Do(t.ctx, Check, req)
	t.s.mu.Lock()
	t.s.exchanges = append(t.s.exchanges, ex)
	if !Answered(ex) {
		t.s.failed = append(t.s.failed, req)
	}
	t.s.mu.Unlock()
	return ex
}

func (t *taker) call(c mcp.Call) *reports.Exchange { return t.do(c.Request()) }

// endpoint sends the probes, and the requests for metadata that need no answer first.
func (t *taker) endpoint() {
	s := t.s
	s.Resources, s.Origin = guesses(s.URL)
	var mu sync.Mutex
	jobs := t.probes(&mu)
	for i := range s.Resources {
		jobs = append(jobs, func() { t.fetch(&s.Resources[i]) })
	}
	jobs = append(jobs, func() { t.fetch(&s.Origin) })
	t.both(jobs...)
	t.both(func() { t.protection(mcp.Stateful, &mu) }, func() { t.protection(mcp.Stateless, &mu) })
}

// guesses returns the usual locations of a target's metadata: that of the resource, and that of an authorization server at its origin.
func guesses(u *url.URL) (resources []Document, server Document) {
	origin := document.Origin(u)
	root := origin + "/.well-known/oauth-protected-resource"
	resources = []Document{{Place: "path", URL: document.WellKnown(u, "oauth-protected-resource")}, {Place: "root", URL: root}}
	if resources[0].URL == root {
		resources = resources[1:]
	}
	return resources, Document{Place: "origin", URL: origin + "/.well-known/oauth-authorization-server"}
}

// probes sends the probe on each wire without a token, with a bad one, and with the user's.
func (t *taker) probes(mu *sync.Mutex) (jobs []func()) {
	s := t.s
	set := func(m map[mcp.Wire]*reports.Exchange, w mcp.Wire, ex *reports.Exchange) {
		mu.Lock()
		m[w] = ex
		mu.Unlock()
	}
	for _, w := range []mcp.Wire{mcp.Stateful, mcp.Stateless} {
		probe := mcp.Probe(s.Endpoint, newest(w))
		jobs = append(jobs,
			func() { set(s.Anonymous, w, t.call(probe)) },
			func() { set(s.Bogus, w, t.call(probe.With(mcp.Bearer(BogusToken)))) })
		if s.Token != "" {
			jobs = append(jobs, func() { set(s.WithToken, w, t.withToken(probe)) })
		}
	}
	return jobs
}

// withToken sends the probe with the user's token, and twice more where it is refused: an instance of the target may not know the token.
func (t *taker) withToken(probe mcp.Call) (ex *reports.Exchange) {
	call := probe.With(mcp.Bearer(t.s.Token))
	for range 3 {
		if ex = t.call(call); expect.Status(ex) != 401 {
			break
		}
		call = call.OnFreshConnection()
	}
	return ex
}

func newest(w mcp.Wire) string {
	if w == mcp.Stateless {
		return mcp.NewestStateless
	}
	return mcp.NewestStateful
}

// protection finds the minimal request that anonymous callers are refused. A public handshake is legitimate (mixed servers): then the first
// refused list or call counts. It calls no tool that exists.
func (t *taker) protection(w mcp.Wire, mu *sync.Mutex) {
	s := t.s
	probe := mcp.Probe(s.Endpoint, newest(w))
	mu.Lock()
	anonymous := s.Anonymous[w]
	s.Protected[w], s.Refused[w] = probe, anonymous
	if w == mcp.Stateful {
		s.Handshake = cmp.Or(s.WithToken[w], anonymous)
	}
	mu.Unlock()
	if expect.Accepted(anonymous) {
		t.behind(w, t.opened(w, probe, anonymous), mu)
	}
}

// opened returns a call in the conversation of a handshake. Many servers serve nothing before the client has ended the handshake, and no
// other user in a session.
func (t *taker) opened(w mcp.Wire, probe mcp.Call, handshake *reports.Exchange, credentials ...reports.Field) mcp.Call {
	if w == mcp.Stateless {
		return probe
	}
	if id := expect.Header(handshake, "Mcp-Session-Id"); id != "" {
		probe = probe.InSession(id)
	}
	if agreed := mcp.Read(handshake).Result.String("protocolVersion"); slices.Contains(requirements.Revisions, agreed) {
		probe.Revision = agreed
	}
	t.call(probe.Method("notifications/initialized", nil).With(credentials...))
	return probe
}

// noTool are the parameters of a call of a tool that does not exist.
var noTool = map[string]any{"name": "mcpauth_no_such_tool", "arguments": map[string]any{}}

// behind finds, behind a public handshake, what anonymous callers may use, and the first request that they are refused.
func (t *taker) behind(w mcp.Wire, probe mcp.Call, mu *sync.Mutex) {
	found, calls, public := false, false, []string{probe.RPC}
	for _, c := range []mcp.Call{
		probe.Method("tools/list", nil), probe.Method("tools/call", noTool),
		probe.Method("resources/list", nil), probe.Method("prompts/list", nil),
	} {
		ex := t.call(c)
		if status := expect.Status(ex); status == 401 || status == 403 {
			t.refused(w, c, ex, mu)
			found = true
			break
		}
		calls = calls || c.RPC == "tools/call" && (expect.Accepted(ex) || expect.UnknownTool(ex))
		if expect.Accepted(ex) {
			public = append(public, c.RPC)
			if c.RPC == "tools/list" {
				t.tools(mcp.Continue(c, ex, t.call))
			}
		}
	}
	mu.Lock()
	t.s.Public[w], t.s.AnyoneCalls[w] = public, calls
	mu.Unlock()
	if !found {
		t.inTools(w, probe, mu)
	}
}

// refused records a call that anonymous callers are refused: in the session of the token, if there is one, because sessions may be bound to
// users, and only the token may be missing.
func (t *taker) refused(w mcp.Wire, c mcp.Call, ex *reports.Exchange, mu *sync.Mutex) {
	mu.Lock()
	handshake := t.s.WithToken[w]
	mu.Unlock()
	if c.SessionID != "" && expect.Header(handshake, "Mcp-Session-Id") != "" {
		own := t.opened(w, mcp.Probe(c.Endpoint, newest(w)), handshake, mcp.Bearer(t.s.Token)).Method(c.RPC, c.Params)
		if again := t.call(own); expect.Status(again) == expect.Status(ex) && !expect.Accepted(again) &&
			expect.RefusedInside(again) == expect.RefusedInside(ex) {
			c, ex = own, again
		}
	}
	mu.Lock()
	t.s.Protected[w], t.s.Refused[w] = c, ex
	mu.Unlock()
	t.mixed(w, c, mu)
}

// mostTools bounds the declared tools that are called without a credential.
const mostTools = 3

// inTools finds a declared tool that authorizes its caller itself.
func (t *taker) inTools(w mcp.Wire, probe mcp.Call, mu *sync.Mutex) {
	for i, tool := range t.s.Input.Tools {
		if i == mostTools {
			return
		}
		mu.Lock()
		probe.Mirrored = t.s.Mirrored
		mu.Unlock()
		c := probe.Method("tools/call", map[string]any{"name": tool.Name, "arguments": tool.Arguments})
		ex := t.call(c)
		status := expect.Status(ex)
		if status != 401 && status != 403 && !expect.RefusedInside(ex) {
			continue
		}
		mu.Lock()
		t.s.InTools[w] = status < 300
		mu.Unlock()
		t.refused(w, c, ex, mu)
		return
	}
}

// mixed repeats the protected call of a server with a public handshake with the user's token and with a bad one: at the handshake any token
// would seem good.
func (t *taker) mixed(w mcp.Wire, c mcp.Call, mu *sync.Mutex) {
	bogus := t.call(c.With(mcp.Bearer(BogusToken)))
	var good *reports.Exchange
	if t.s.Token != "" {
		good = t.call(c.With(mcp.Bearer(t.s.Token)))
	}
	mu.Lock()
	defer mu.Unlock()
	t.s.Bogus[w] = bogus
	if good != nil {
		t.s.WithToken[w] = good
	}
}

// Served reports whether an answer got past authorization: the requested result, or, if the protected call names a tool that does not
// exist, the error about that.
func (s *Survey) Served(w mcp.Wire, ex *reports.Exchange) bool {
	return expect.Accepted(ex) || s.AsksForUnknownTool(w) && expect.UnknownTool(ex)
}

// AsksForUnknownTool reports whether the protected request calls a tool that does not exist.
func (s *Survey) AsksForUnknownTool(w mcp.Wire) bool { return s.Protected[w].RPC == "tools/call" }

// Serves tests whether a token is accepted where anonymous callers are refused.
func (s *Survey) Serves(ctx context.Context, client *wire.Client, token string) bool {
	for _, w := range []mcp.Wire{mcp.Stateful, mcp.Stateless} {
		if s.Refused[w] != nil && !expect.Accepted(s.Refused[w]) {
			if s.Served(w, client.Do(ctx, Check, s.Protected[w].With(mcp.Bearer(token)).Request())) {
				return true
			}
		}
	}
	return false
}

func (t *taker) tools(list mcp.List) {
	t.s.mu.Lock()
	defer t.s.mu.Unlock()
	for _, o := range list.Entries("tools") {
		name := o.String("name")
		if name != "" && !slices.Contains(t.s.Listed, name) {
			t.s.Listed = append(t.s.Listed, name)
		}
		if mirrors := mcp.Mirrors(o.Object("inputSchema")); len(mirrors) > 0 {
			t.s.Mirrored = maps.Clone(t.s.Mirrored) // the other wire may be reading it
			t.s.Mirrored[name] = mirrors
		}
	}
}

// resources fetches the documents that the challenges name, and puts them first, in the order of clients.
func (t *taker) resources() {
	s := t.s
	named := s.named()
	var jobs []func()
	for i := range named {
		if named[i].Exchange == nil {
			jobs = append(jobs, func() { t.fetch(&named[i]) })
		}
	}
	t.both(jobs...)
	s.Resources = append(named, s.Resources...)
}

// named returns the documents that the challenges name, once each, with those that were fetched already.
func (s *Survey) named() (out []Document) {
	for _, ex := range []*reports.Exchange{s.Refused[mcp.Stateful], s.Refused[mcp.Stateless], s.Bogus[mcp.Stateful], s.Bogus[mcp.Stateless]} {
		for _, c := range expect.Challenges(ex) {
			v, ok := c.Param("resource_metadata")
			if !ok || slices.ContainsFunc(out, func(d Document) bool { return d.URL == v }) {
				continue
			}
			d := Document{URL: v}
			for i := range s.Resources {
				if s.Resources[i].URL == v {
					d = s.Resources[i]
				}
			}
			d.Place = "challenge"
			out = append(out, d)
		}
	}
	return out
}

// fetch fetches a metadata document like a client: without credentials.
func (t *taker) fetch(d *Document) {
	d.Fetch(func(address string) *reports.Exchange {
		return t.do(wire.Request{Method: "GET", URL: address, Header: []reports.Field{mcp.Field("Accept", "application/json")}})
	})
}

// mostRedirects bounds the redirects that are followed for a document: as many as ordinary HTTP clients follow.
const mostRedirects = 10

// Fetch reads the document at its URL, or where redirects within the origin lead. Where another redirect is left, Err says why.
func (d *Document) Fetch(get func(address string) *reports.Exchange) {
	if _, err := document.ParseURL(d.URL); err != nil {
		d.Err = err
		return
	}
	d.Exchange = get(d.URL)
	asked := []string{d.URL}
	for to := redirectWithin(d.URL, d.Exchange); to != "" && len(asked) <= mostRedirects && !slices.Contains(asked, to); {
		if d.Redirect == nil {
			d.Redirect = d.Exchange
		}
		asked, d.Exchange = append(asked, to), get(to)
		to = redirectWithin(to, d.Exchange)
	}
	if d.Object, d.Oddities, d.Err = ReadDocument(d.Exchange); d.Redirects() {
		d.Err = &unfollowed{d.Exchange, len(asked)}
	}
}

// Redirects reports whether the last answer is a redirect, which was not followed.
func (d *Document) Redirects() bool {
	status := expect.Status(d.Exchange)
	return status >= 300 && status <= 399 && expect.Header(d.Exchange, "Location") != ""
}

// unfollowed is the error of a document behind a redirect that was not followed.
type unfollowed struct {
	last  *reports.Exchange
	asked int
}

func (u *unfollowed) Error() string {
	location := reports.OneLine(expect.Header(u.last, "Location"), 200)
	switch {
	case redirectWithin(u.last.Request.URL, u.last) == "":
		return fmt.Sprintf("HTTP %d to %s, which is not followed: it is not another URL of the same origin", expect.Status(u.last), location)
	case u.asked > mostRedirects:
		return fmt.Sprintf("HTTP %d to %s, which is not followed: %d redirects led there", expect.Status(u.last), location, mostRedirects)
	}
	return fmt.Sprintf("HTTP %d to %s, which is not followed: the redirects go in a circle", expect.Status(u.last), location)
}

// redirectWithin returns the destination of a redirect within the origin of an address, or "".
func redirectWithin(address string, ex *reports.Exchange) string {
	location := expect.Header(ex, "Location")
	base, err := document.ParseURL(address)
	if status := expect.Status(ex); err != nil || status < 300 || status > 399 || location == "" {
		return ""
	}
	to, err := base.Parse(location)
	if err != nil || document.Origin(to) != document.Origin(base) || to.String() == address {
		return ""
	}
	to.Fragment = ""
	return to.String()
}

// ReadDocument parses an exchange as a metadata document: 200 with one complete JSON object.
func ReadDocument(ex *reports.Exchange) (*document.Object, []string, error) {
	if ex.Error != "" {
		return nil, nil, &Unreachable{Why: ex.Error}
	}
	if ex.Response.Status != 200 {
		return nil, nil, &status{ex.Response.Status}
	}
	return document.ParseObject(ex.Response.Body)
}

// status is the error of a document with another status than 200.
type status struct{ code int }

func (s *status) Error() string { return "HTTP " + strconv.Itoa(s.code) }

// servers fetches the metadata of every listed authorization server at all locations, and their keys.
func (t *taker) servers() {
	s := t.s
	var issuers []string
	for i := range s.Resources {
		list, _ := s.Resources[i].Object.Get("authorization_servers")
		entries, _ := list.([]any)
		for _, e := range entries {
			if issuer, ok := e.(string); ok && !slices.Contains(issuers, issuer) && len(issuers) < mostServers {
				issuers = append(issuers, issuer)
			}
		}
	}
	if len(issuers) == 0 && s.Origin.Found() {
		issuers = []string{document.Origin(s.URL)} // 2025-03-26: the authorization base URL, which clients use if they find no other
	}
	s.Servers = make([]Server, len(issuers))
	var jobs []func()
	for i := range issuers {
		s.Servers[i].Issuer = issuers[i]
		jobs = append(jobs, func() { t.server(&s.Servers[i]) })
	}
	t.both(jobs...)
}

// mostServers bounds the authorization servers of one document that get requests.
const mostServers = 5

func (t *taker) server(a *Server) {
	u, err := document.ParseURL(a.Issuer)
	if err != nil {
		a.Err = err
		return
	}
	for _, p := range Places(u) {
		a.Documents = append(a.Documents, Document{Place: p[0], URL: p[1]})
	}
	var jobs []func()
	for i := range a.Documents {
		if a.Documents[i].URL == t.s.Origin.URL && t.s.Origin.Exchange != nil {
			place := a.Documents[i].Place
			a.Documents[i] = t.s.Origin
			a.Documents[i].Place = place
			continue
		}
		jobs = append(jobs, func() { t.fetch(&a.Documents[i]) })
	}
	t.both(jobs...)
	if uri := a.Merged().String("jwks_uri"); uri != "" { // some have it only in the OpenID document
		a.JWKS = Document{Place: "jwks", URL: uri}
		t.fetch(&a.JWKS)
	}
}

// Places returns the well-known locations of an issuer's metadata in MCP's order of discovery.
func Places(issuer *url.URL) [][2]string {
	p := [][2]string{{"rfc8414", document.WellKnown(issuer, "oauth-authorization-server")}}
	if strings.TrimSuffix(issuer.EscapedPath(), "/") == "" {
		return append(p, [2]string{"oidc-appended", document.Origin(issuer) + "/.well-known/openid-configuration"})
	}
	return append(p,
		[2]string{"oidc-inserted", document.WellKnown(issuer, "openid-configuration")},
		[2]string{"oidc-appended", document.Origin(issuer) + strings.TrimSuffix(issuer.EscapedPath(), "/") + "/.well-known/openid-configuration"})
}

// revisions finds out which revisions the target speaks, as far as possible.
func (t *taker) revisions() {
	s := t.s
	found := map[string]reports.RevisionStatus{}
	t.statelessRevisions(found)
	t.statefulRevisions(found)
	for _, rev := range requirements.Revisions {
		st, ok := found[rev]
		if !ok {
			st = t.undecided(rev)
		}
		st.Revision, st.Wire = rev, string(mcp.WireOf(rev))
		if len(s.Revisions) > 0 {
			if slices.Contains(s.Revisions, rev) {
				st.Status, st.Why = "declared", "named by the user"
			} else if st.Status != "not-spoken" {
				st.Status, st.Why = "not-spoken", "left out by the user"
			}
		}
		s.Status = append(s.Status, st)
	}
}

// authorized returns the answer to a probe that may have got past authorization, with its credentials.
func (t *taker) authorized(w mcp.Wire) (*reports.Exchange, []reports.Field) {
	if expect.Accepted(t.s.Anonymous[w]) || t.s.Token == "" {
		return t.s.Anonymous[w], nil
	}
	return t.s.WithToken[w], []reports.Field{mcp.Bearer(t.s.Token)}
}

func (t *taker) statelessRevisions(found map[string]reports.RevisionStatus) {
	ex, token := t.authorized(mcp.Stateless)
	rev := mcp.NewestStateless
	a := mcp.Read(ex)
	switch {
	case expect.Accepted(ex) && leavesOut(a.Result, rev):
		found[rev] = reports.RevisionStatus{Status: "not-spoken", Why: "server/discover is served, but does not list it in supportedVersions"}
	case expect.Accepted(ex):
		found[rev] = reports.RevisionStatus{Status: "spoken", Why: "server/discover is served"}
		if token != nil {
			t.tools(mcp.ReadList(mcp.Probe(t.s.Endpoint, rev).Method("tools/list", nil).With(token...), t.call))
		}
	case a.Error && a.Code == "-32022":
		found[rev] = reports.RevisionStatus{Status: "not-spoken", Why: "UnsupportedProtocolVersion"}
	case expect.Status(ex) == 401 || expect.Status(ex) == 403:
	case expect.Status(ex) >= 400 && expect.Status(ex) < 500:
		found[rev] = reports.RevisionStatus{Status: "not-spoken", Why: "server/discover is answered " + expect.Describe(ex)}
	case a.Error:
		found[rev] = reports.RevisionStatus{Status: "not-spoken", Why: "server/discover is answered with a JSON-RPC error"}
	}
}

// leavesOut reports whether a discover result lists its versions, without this one.
func leavesOut(result *document.Object, revision string) bool {
	versions, ok := result.Strings("supportedVersions")
	return ok && !slices.Contains(versions, revision)
}

// statefulRevisions sends each revision in a handshake, and reads the offered one.
func (t *taker) statefulRevisions(found map[string]reports.RevisionStatus) {
	ex, token := t.authorized(mcp.Stateful)
	if !expect.Accepted(ex) {
		t.withoutHandshake(ex, found)
		return
	}
	var mu sync.Mutex
	var jobs []func()
	for _, rev := range requirements.Revisions[:3] {
		jobs = append(jobs, func() {
			answer := ex
			if rev != mcp.NewestStateful {
				answer = t.call(mcp.Initialize(t.s.Endpoint, rev).With(token...))
			}
			status, told := offered(answer, rev)
			mu.Lock()
			defer mu.Unlock()
			if told {
				found[rev] = status
			} else if why := expect.NoAnswer(answer); why != "" {
				t.s.Unanswered[rev] = why
			}
		})
	}
	t.both(jobs...)
}

// withoutHandshake reads an answer to initialize that is not a handshake.
func (t *taker) withoutHandshake(ex *reports.Exchange, found map[string]reports.RevisionStatus) {
	status, why := expect.Status(ex), expect.NoAnswer(ex)
	refused := status >= 400 && status < 500 && status != 401 && status != 403
	for _, rev := range requirements.Revisions[:3] {
		switch {
		case why != "":
			t.s.Unanswered[rev] = why
		case refused && found[mcp.NewestStateless].Status == "spoken":
			found[rev] = reports.RevisionStatus{Status: "not-spoken", Why: "initialize is answered " + expect.Describe(ex)}
		}
	}
}

// offered reports whether a revision is spoken, by the answer to initialize with that revision.
func offered(answer *reports.Exchange, rev string) (status reports.RevisionStatus, told bool) {
	switch version := mcp.Read(answer).Result.String("protocolVersion"); version {
	case "":
		return status, false
	case rev:
		return reports.RevisionStatus{Status: "spoken", Why: "initialize agrees on it"}, true
	default:
		return reports.RevisionStatus{Status: "not-spoken", Why: "initialize offers " + version + " instead"}, true
	}
}

// undecided returns the status of a revision about which the target says nothing without a token. The stateful revisions with protected
// resource metadata are assumed: most servers speak them. The others are judged only if the user names them, so that a server is not judged
// by a revision that it never claimed.
func (t *taker) undecided(rev string) reports.RevisionStatus {
	if rev == "2025-03-26" || mcp.WireOf(rev) == mcp.Stateless {
		return reports.RevisionStatus{Status: "unknown",
			Why: "the target asks for a token before it says; give one, or name the revision with --revision"}
	}
	return reports.RevisionStatus{Status: "assumed",
		Why: "the target asks for a token before it says; give one, or name the revisions with --revision"}
}

// LoopbackIssuer reports whether the form of an issuer says that it is on this machine.
func LoopbackIssuer(issuer string) bool {
	u, err := document.ParseURL(issuer)
	return err == nil && document.LoopbackHost(u.Hostname())
}
