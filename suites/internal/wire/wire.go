// Package wire is the only HTTP client of the suite. It dials only allowed addresses, never follows a redirect, bounds everything that a
// hostile target could make endless, and records every exchange.
package wire

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"compress/zlib"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/deadline"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/faults"
)

// Limits bound the cost of a run for mcpauth and the target. The zero value of a field means its default.
type Limits struct {
	Connect     time.Duration // 5 s
	Request     time.Duration // whole exchange, 15 s
	Silence     time.Duration // before the header of a stream that is peeked into, 3 s
	Header      int64         // bytes of response header, 64 KiB
	Body        int64         // bytes of response body after decompression, 1 MiB
	Ratio       int64         // decompressed to compressed, 100
	Events      int           // server-sent events of one stream, 256
	Requests    int64         // of the whole run, 16,000
	Concurrency int           // requests in flight, 16
	Rate        float64       // requests per second at each host; 0 is unlimited
	// BeyondRate and BeyondConcurrency apply to each host outside the user's network; the rate only if there is no other.
	BeyondRate        float64
	BeyondConcurrency int
}

func (l Limits) withDefaults() Limits {
	def := func(p *int64, v int64) {
		if *p == 0 {
			*p = v
		}
	}
	def((*int64)(&l.Connect), int64(5*time.Second))
	def((*int64)(&l.Request), int64(15*time.Second))
	def((*int64)(&l.Silence), int64(3*time.Second))
	def(&l.Header, 64<<10)
	def(&l.Body, 1<<20)
	def(&l.Ratio, 100)
	def(&l.Requests, 16_000)
	if l.Events == 0 {
		l.Events = 256
	}
	if l.Concurrency == 0 {
		l.Concurrency = 16
	}
	return l
}

// Options say where a client may connect, and how.
type Options struct {
	Guard     Guard
	Limits    Limits
	Shared    *Shared        // limits shared with other clients, or nil
	Roots     *x509.CertPool // nil: the system's
	UserAgent string
	// Neutral keeps the name of this tool out of requests.
	Neutral bool
	// Passive, if set, is the only endpoint that gets anything but reads.
	Passive string
	// Secrets, if set, gets the values of cookies, which may be in other places too.
	Secrets *reports.Secrets
	// Seen, if set, gets each completed exchange, with its request.
	Seen func(Request, *reports.Exchange)
	// Header is sent with every request to the target's own origin, and Certificate is used there: for servers behind a gate.
	Header       []reports.Field
	Certificate  *tls.Certificate
	HeaderOrigin string
}

// Client sends requests. It is safe for concurrent use.
type Client struct {
	opt       Options
	transport *http.Transport
	gated     *http.Transport // to the target's own origin
	slots     chan struct{}
	hosts     hosts
	sent      atomic.Int64
	number    atomic.Int64
	kept      atomic.Int64 // bytes of all exchanges beyond ordinary ones
	reading   atomic.Int64 // bytes of long bodies in progress
	answers   atomic.Int64
	waited    atomic.Int64 // nanoseconds for all answers
	asked     asked
}

// asked counts requests by URL, without the query.
type asked struct {
	mu sync.Mutex
	of map[string]Asked
}

// Asked is the number of requests to a URL.
type Asked struct {
	Answered int
	// Unsure are requests in progress, or without an answer: the server may or may not have seen them.
	Unsure int
}

func (a *asked) add(address string, answered, unsure int) {
	address, _, _ = strings.Cut(address, "?")
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.of == nil {
		a.of = map[string]Asked{}
	}
	so := a.of[address]
	a.of[address] = Asked{so.Answered + answered, so.Unsure + unsure}
}

// Asked returns the number of requests to a URL, with any query.
func (c *Client) Asked(address string) Asked {
	address, _, _ = strings.Cut(address, "?")
	c.asked.mu.Lock()
	defer c.asked.mu.Unlock()
	return c.asked.of[address]
}

// New makes a client.
func New(opt Options) *Client {
	opt.Limits = opt.Limits.withDefaults()
	c := &Client{opt: opt, slots: make(chan struct{}, opt.Limits.Concurrency)}
	c.hosts.byName, c.hosts.byAddr = map[string]*host{}, map[netip.Addr]*load{}
	c.transport = c.newTransport(func(*http.Transport) {})
	c.gated = c.transport
	if opt.Certificate != nil {
		c.gated = c.newTransport(func(t *http.Transport) { showing(opt.Certificate, t.TLSClientConfig) })
	}
	return c
}

// newTransport makes a transport with separate connections. It uses HTTP/2 of golang.org/x/net: the copy in the standard library of Go 1.26
// deadlocks when a window exceeds its limit.
func (c *Client) newTransport(change func(*http.Transport)) *http.Transport {
	t := &http.Transport{
		Proxy: nil, // a proxy would bypass the guard
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return c.listenedTo(ctx, network, address, nil)
		},
		TLSClientConfig:        c.verifying(""),
		TLSHandshakeTimeout:    c.opt.Limits.Connect,
		MaxResponseHeaderBytes: c.opt.Limits.Header,
		DisableCompression:     true,
		MaxIdleConnsPerHost:    c.opt.Limits.Concurrency,
		IdleConnTimeout:        30 * time.Second,
	}
	change(t)
	//lint:ignore SA1019 what is meant to take its place is the copy that waits for itself
	if err := http2.ConfigureTransport(t); err != nil {
		panic(err) // it is configured once
	}
	return t
}

// verifying returns the TLS configuration: current versions, with verification of the server's certificate.
func (c *Client) verifying(name string, protocols ...string) *tls.Config {
	return &tls.Config{RootCAs: c.opt.Roots, ServerName: name, MinVersion: tls.VersionTLS12, NextProtos: protocols}
}

// showing presents a client certificate to a server that requests one, whichever authorities it names.
func showing(certificate *tls.Certificate, config *tls.Config) *tls.Config {
	if certificate != nil {
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return certificate, nil }
	}
	return config
}

// certificateAt returns the client certificate for a URL's origin: only for the target's own, else nil.
func (c *Client) certificateAt(u *url.URL) *tls.Certificate {
	if !c.atTarget(u) {
		return nil
	}
	return c.opt.Certificate
}

// Close drops idle connections.
func (c *Client) Close() {
	c.transport.CloseIdleConnections()
	c.gated.CloseIdleConnections()
}

// Sent returns the number of requests sent so far.
func (c *Client) Sent() int { return int(c.sent.Load()) }

// Request is exactly what to send.
type Request struct {
	Method string
	URL    string
	Header []reports.Field // order is kept per name
	Body   string
	Host   string // overrides the Host field
	// Fresh uses a new connection.
	Fresh bool
	// Until ends the reading of an event stream early. It gets the data of each event.
	Until func(data string) bool
	// Peek ends the reading of an event stream after this time without an event; 0 waits for the limits.
	Peek time.Duration
	// Opened, if set, is called when the header of an event stream has arrived.
	Opened func()
	// Close, if set, ends the reading of an event stream when it is closed. The time limit of requests does not end it once its header has
	// arrived.
	Close <-chan struct{}
	// From, if set, is the local address to send from, on a new connection.
	From netip.Addr
	// Certificate, if set, is the client certificate, on a new connection.
	Certificate *tls.Certificate
	// Turn, if set, is called when it is the request's turn; with an error, the request is not sent.
	Turn func() error
	// Limited, if set, gets the header of an answer that may ask for a wait (429, 503), before another request has its place.
	Limited func(*reports.Exchange)
	// Done, if set, gets the exchange first. Such a request creates something that must be undone: once it is sent, the client waits for
	// its answer even if the run has ended.
	Done func(*reports.Exchange)
	// Together says that the request must meet others at the target: a slow target does not delay it.
	Together bool

	// Cleanup says that the request undoes an earlier one at the target: it is also sent beyond the limit of requests.
	Cleanup bool
	// Raw, if set, is written to the connection unchanged, instead of all other fields but URL.
	Raw []byte
	// Midway, if set, is called when Raw is written but for its last byte, which follows afterwards. The request has left its place to
	// others by then.
	Midway func()
	// Fetch writes the request like Node's fetch, so that only its content identifies the sender.
	Fetch bool

	// answered gets how the request ended, when the header of the answer has arrived.
	answered func(ending)
	silence  time.Duration // after this time, a silent stream with Peek counts as open without a header
}

// Get returns the first value of a header field, by name without case.
func Get(fields []reports.Field, name string) string {
	for _, f := range fields {
		if strings.EqualFold(f.Name, name) {
			return f.Value
		}
	}
	return ""
}

// Values returns all values of a header field.
func Values(fields []reports.Field, name string) []string {
	var out []string
	for _, f := range fields {
		if strings.EqualFold(f.Name, name) {
			out = append(out, f.Value)
		}
	}
	return out
}

// ErrRoom is the error of an answer that was cut because other long answers came at the same time. It says nothing about the target.
var ErrRoom = errors.New("mcpauth had no memory left for the whole answer, because other long answers came at the same time")

// ErrBudget is the error of a request beyond the limit of the run.
var ErrBudget = errors.New("the run has reached its limit of requests")

// Do sends req for a check and records the exchange. It always returns an exchange, whose Error says why there is no answer. Redirects are
// answers like any other.
func (c *Client) Do(ctx context.Context, check string, req Request) *reports.Exchange {
	ex := &reports.Exchange{Number: int(c.number.Add(1)), Check: check, Started: time.Now()}
	req = c.introduced(check, req)
	ex.Request = reports.Request{Method: req.Method, URL: req.URL, Body: recorded(req.Body), Raw: req.Raw != nil}
	c.asked.add(req.URL, 0, 1)
	err := c.do(ctx, check, req, ex)
	if err != nil {
		ex.Error = plain(err)
		if ex.Error == TimedOut && ctx.Err() != nil {
			ex.Error = Canceled // the time of the run or of the check is over, not that of the answer
		}
	}
	if ex.Response != nil {
		c.asked.add(req.URL, 1, -1)
	}
	ex.Duration = reports.Since(ex.Started)
	c.kept.Add(weight(ex))
	if c.opt.Seen != nil {
		c.opt.Seen(req, ex)
	}
	if req.Done != nil {
		req.Done(ex)
	}
	return ex
}

// parting is how long to wait for an answer after the end of the run.
const parting = 5 * time.Second

// recorded returns a request body for the record: of a very long one only the beginning.
func recorded(body string) string {
	if len(body) <= long {
		return body
	}
	return reports.Beginning(body, short)
}

// spend counts a request, unless the limit is reached.
func (c *Client) spend() error {
	if c.sent.Add(1) > c.opt.Limits.Requests {
		c.sent.Add(-1)
		return ErrBudget
	}
	return nil
}

func (c *Client) do(ctx context.Context, check string, req Request, ex *reports.Exchange) error {
	if !c.MaySend(req) {
		return ErrPassive
	}
	if !req.Cleanup {
		if err := c.spend(); err != nil {
			return err
		}
	}
	return c.queued(ctx, check, req, ex)
}

// queued sends a request in its turn: when the run has a free slot, and the host is not overloaded.
func (c *Client) queued(ctx context.Context, check string, req Request, ex *reports.Exchange) error {
	resume := deadline.Pause(ctx) // the queue does not count as a check's time
	defer resume()
	select {
	case c.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	held := &places{ends: []func(){func() { <-c.slots }}}
	defer held.leave()
	if req.Close != nil {
		req.whenOpened(held.leave)
	}
	req.Midway = both(held.leave, req.Midway)
	u, err := url.Parse(req.URL)
	if err != nil {
		return err
	}
	return c.admitted(ctx, c.at(ctx, u), held, resume, check, req, ex)
}

// places are the slots that a request holds. A stream that stays open returns them when its header arrives: others could wait for them
// while the check that holds the stream waits for others.
type places struct {
	once sync.Once
	ends []func()
}

func (s *places) leave() {
	s.once.Do(func() {
		for _, end := range s.ends {
			end()
		}
	})
}

// both returns one function that calls both; none if there is no second one.
func both(first, second func()) func() {
	if second == nil {
		return nil
	}
	return func() {
		first()
		second()
	}
}

// whenOpened adds what happens when the header of an event stream arrives.
func (r *Request) whenOpened(do func()) {
	then := r.Opened
	r.Opened = func() {
		do()
		if then != nil {
			then()
		}
	}
}

// admitted sends a request when its host is not overloaded; it does not call resume before.
func (c *Client) admitted(ctx context.Context, h *host, in *places, resume func(), check string, req Request, ex *reports.Exchange) error {
	end, err := h.load.begin(ctx)
	if err != nil {
		return err
	}
	in.ends = append(in.ends, end)
	if !req.Together {
		place, err := h.load.gate.enter(ctx)
		if err != nil {
			return err
		}
		defer place.leave()
		req.answered = place.answered
	}
	endShared, err := h.beginShared(ctx)
	if err != nil {
		return err
	}
	in.ends = append(in.ends, endShared)
	resume()
	req.silence = h.load.gate.atItsPace(c.opt.Limits.Silence)
	return c.begun(ctx, check, req, ex)
}

// begun sends a request without further waiting.
func (c *Client) begun(ctx context.Context, check string, req Request, ex *reports.Exchange) error {
	if req.Turn != nil {
		if err := req.Turn(); err != nil {
			return err
		}
	}
	run := ctx
	ctx, within, err := c.withFault(ctx, check, &req)
	if err != nil {
		return err
	}
	if req.Done != nil {
		ctx = context.WithoutCancel(ctx)
	}
	ctx, cancel := limited(ctx, &req, within)
	defer cancel()
	if req.Done != nil {
		defer context.AfterFunc(run, func() { time.AfterFunc(parting, cancel) })()
	}
	ex.Started = time.Now()
	err = c.written(ctx, check, req, ex)
	if err != nil && req.Close != nil && errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
		return context.DeadlineExceeded
	}
	return err
}

// limited limits the time of a request. A stream that the check closes has no limit once its header has arrived.
func limited(ctx context.Context, req *Request, within time.Duration) (context.Context, context.CancelFunc) {
	if req.Close == nil {
		return context.WithTimeout(ctx, within)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(within, func() { cancel(context.DeadlineExceeded) })
	req.whenOpened(func() { timer.Stop() })
	return ctx, func() {
		timer.Stop()
		cancel(nil)
	}
}

// written sends a request in the requested form.
func (c *Client) written(ctx context.Context, check string, req Request, ex *reports.Exchange) (err error) {
	switch {
	case req.Raw != nil:
		ex.Request.Body = string(req.Raw)
		err = c.raw(ctx, req, req.Raw, ex)
	case req.Fetch:
		err = c.fetch(ctx, req, ex)
	default:
		return c.send(ctx, check, req, ex)
	}
	if err != nil { // at its time limit, mcpauth closes the connection itself
		return cmp.Or(ctx.Err(), err)
	}
	c.awaited(ctx, time.Since(ex.Started))
	return nil
}

// withFault prepares the failure of a request in a test, and returns its time limit.
func (c *Client) withFault(ctx context.Context, check string, req *Request) (context.Context, time.Duration, error) {
	f := faults.OfRequest(ctx, check)
	if f == nil {
		return ctx, c.opt.Limits.Request, nil
	}
	req.Fresh = true
	return faults.Dialling(ctx, f.Dial), cmp.Or(f.Within, c.opt.Limits.Request), f.Err
}

func (c *Client) send(ctx context.Context, check string, req Request, ex *reports.Exchange) error {
	var body io.Reader
	if req.Body != "" {
		body = strings.NewReader(req.Body)
	}
	hr, err := http.NewRequestWithContext(ctx, req.Method, req.URL, body)
	if err != nil {
		return err
	}
	if u := hr.URL; u.Scheme != "http" && u.Scheme != "https" {
		return neverDialled(u.Scheme)
	}
	for _, f := range c.header(hr.URL, check, req.Header) {
		hr.Header[http.CanonicalHeaderKey(f.Name)] = append(hr.Header[http.CanonicalHeaderKey(f.Name)], f.Value)
		if len(f.Value) > longField {
			f.Value = reports.Beginning(f.Value, 64)
		}
		ex.Request.Header = append(ex.Request.Header, reports.Field{Name: once(f.Name), Value: once(f.Value)})
	}
	// An empty value is not sent, but lets the transport retry the request on a new connection if the server has closed an idle one: no
	// verdict may depend on that race.
	hr.Header["X-Idempotency-Key"] = []string{}
	hr.Host = req.Host
	if req.Host != "" {
		ex.Request.Header = append(ex.Request.Header, reports.Field{Name: "Host", Value: req.Host})
	}
	rt := c.transportTo(hr.URL)
	if req.Fresh || req.Certificate != nil || req.From.IsValid() {
		rt = c.newTransport(func(t *http.Transport) {
			t.DisableKeepAlives = true
			if req.From.IsValid() {
				t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
					return c.listenedTo(ctx, network, address, &net.TCPAddr{IP: req.From.AsSlice()})
				}
			}
			showing(cmp.Or(req.Certificate, c.certificateAt(hr.URL)), t.TLSClientConfig)
		})
		defer rt.CloseIdleConnections()
	}
	return c.exchange(ctx, rt, hr, req, ex)
}

// transportTo returns the transport for a URL.
func (c *Client) transportTo(u *url.URL) *http.Transport {
	if c.atTarget(u) {
		return c.gated
	}
	return c.transport
}

// hung is how long a request may take to end after its time limit.
const hung = time.Second

// exchange sends a request and reads the answer. It ends at its time limit even if the transport does not.
func (c *Client) exchange(ctx context.Context, rt http.RoundTripper, hr *http.Request, req Request, ex *reports.Exchange) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ctx, spoken := c.listening(ctx, req, cancel)
	defer spoken()
	type outcome struct {
		response *reports.Response
		err      error
	}
	ended := make(chan outcome, 1)
	go func() {
		began := time.Now()
		resp, err := rt.RoundTrip(hr.WithContext(c.counting(ctx, hr.URL, cancel)))
		c.ended(ctx, req, hr, resp, err, began)
		if err != nil {
			if cause := context.Cause(ctx); errors.Is(cause, ErrBudget) || errors.Is(cause, errSilent) {
				err = cause
			}
			ended <- outcome{nil, err}
			return
		}
		response, err := c.read(req, resp)
		resp.Body.Close()
		ended <- outcome{response, err}
	}()
	var o outcome
	select {
	case o = <-ended:
	case <-ctx.Done():
		select {
		case o = <-ended:
		case <-time.After(hung):
			o.err = fmt.Errorf("the answer does not end: %w", context.Cause(ctx))
		}
	}
	ex.Response = o.response
	return o.err
}

// ended takes note of how a request ended, when the header of the answer has arrived.
func (c *Client) ended(ctx context.Context, req Request, hr *http.Request, resp *http.Response, err error, began time.Time) {
	e := ending{endpoint: hr.Method + " " + hr.URL.Host + hr.URL.Path, err: err, took: time.Since(began), request: identity(req)}
	if err == nil {
		e.status = resp.StatusCode
		c.awaited(ctx, e.took)
		if req.Limited != nil && (e.status == http.StatusTooManyRequests || e.status == http.StatusServiceUnavailable) {
			req.Limited(&reports.Exchange{Response: &reports.Response{Status: e.status, Header: c.readHeader(resp.Header)}})
		}
	}
	if req.answered != nil {
		req.answered(e)
	}
}

// awaited takes note of the time that an answer took. It is not a check's own time.
func (c *Client) awaited(ctx context.Context, took time.Duration) {
	deadline.Extend(ctx, took)
	c.answers.Add(1)
	c.waited.Add(int64(took))
}

// Silent is the error of a stream whose connection stays open without a header: some servers send it with the first event.
const Silent = "the connection stays open, and nothing is sent"

var errSilent = errors.New(Silent)

// listening limits the wait for the header of a stream with Peek; spoken ends the wait.
func (c *Client) listening(ctx context.Context, req Request, cancel context.CancelCauseFunc) (watched context.Context, spoken func()) {
	if req.Peek == 0 || req.Method != http.MethodGet {
		return ctx, func() {}
	}
	timer := time.AfterFunc(math.MaxInt64, func() { cancel(errSilent) })
	stop := func() { timer.Stop() }
	start := func(httptrace.WroteRequestInfo) { timer.Reset(req.silence) }
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteRequest: start, GotFirstResponseByte: stop}), stop
}

// counting counts requests that the transport retries itself, because a server may cause that. At the limit it closes the connection,
// because the transport may write the request before it checks the context.
func (c *Client) counting(ctx context.Context, u *url.URL, cancel context.CancelCauseFunc) context.Context {
	first := true
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(got httptrace.GotConnInfo) {
		if first {
			first = false
			return
		}
		err := c.spend()
		if err == nil {
			err = c.at(ctx, u).wait(ctx)
		}
		if err != nil {
			cancel(err)
			got.Conn.Close()
		}
	}})
}

// UserAgent returns the User-Agent for requests of a check.
func (c *Client) UserAgent(check string) string {
	return strings.ReplaceAll(c.opt.UserAgent, "{check}", check)
}

// header adds the fields of every request: the check's id in User-Agent, and the gate's fields for the target's own origin only.
func (c *Client) header(u *url.URL, check string, given []reports.Field) []reports.Field {
	out := make([]reports.Field, 0, len(given)+2)
	if !slices.ContainsFunc(given, func(f reports.Field) bool { return strings.EqualFold(f.Name, "User-Agent") }) {
		out = append(out, reports.Field{Name: "User-Agent", Value: c.UserAgent(check)})
	}
	return append(append(out, c.gate(u)...), given...)
}

// gate returns the fields that open the gate in front of the target, only for its own origin.
func (c *Client) gate(u *url.URL) []reports.Field {
	if !c.atTarget(u) {
		return nil
	}
	return c.opt.Header
}

// atTarget reports whether a URL has the target's origin.
func (c *Client) atTarget(u *url.URL) bool { return document.Origin(u) == c.opt.HeaderOrigin }

// read reads an answer: its header, and its body as far as the limits allow.
func (c *Client) read(req Request, resp *http.Response) (*reports.Response, error) {
	out := &reports.Response{Status: resp.StatusCode, Proto: resp.Proto, Header: c.readHeader(resp.Header)}
	body, err := c.decoded(resp)
	if err != nil {
		return out, fmt.Errorf("the body %w: %w", errBrokenOff, err)
	}
	if body == nil {
		return out, nil
	}
	if mediaType, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";"); strings.EqualFold(strings.TrimSpace(mediaType),
		"text/event-stream") {
		return out, c.stream(req, resp.Body, body, out)
	}
	room := c.room()
	shared := &sharing{Reader: io.LimitReader(body, room+1), client: c}
	defer shared.end()
	b, err := io.ReadAll(shared)
	if int64(len(b)) > room || shared.cut {
		b, out.Truncated = b[:min(long, room)], true
	}
	out.Body = string(b)
	if shared.cut {
		return out, ErrRoom
	}
	if err != nil && !endsUnread(req, resp, err) {
		return out, fmt.Errorf("the body %w: %w", errBrokenOff, err)
	}
	return out, nil
}

// readHeader returns the fields by name.
func (c *Client) readHeader(header http.Header) (out []reports.Field) {
	for _, n := range slices.Sorted(maps.Keys(header)) {
		for _, v := range header[n] {
			c.remember(n, v)
			out = append(out, reports.Field{Name: once(n), Value: once(v)})
		}
	}
	return c.keptFields(out)
}

// decoded returns the body without its compression; nil if an answer that says that it is compressed has none.
func (c *Client) decoded(resp *http.Response) (io.Reader, error) {
	coding := strings.ToLower(resp.Header.Get("Content-Encoding"))
	if coding != "gzip" && coding != "deflate" {
		return resp.Body, nil
	}
	packed := bufio.NewReader(resp.Body)
	if _, err := packed.Peek(1); err == io.EOF {
		return nil, nil
	}
	return newBounded(packed, coding, c.opt.Limits.Ratio)
}

// The lengths of values in an answer that are treated as secrets: shorter ones are words, and longer cookies are not repeated elsewhere.
const (
	secretLength = 16
	cookieLength = 256
)

// remember keeps secrets of a header field out of reports: cookies, and the codes and tokens in a redirect to any address.
func (c *Client) remember(name, value string) {
	add := func(kind, v string) {
		if c.opt.Secrets != nil && len(v) >= secretLength {
			c.opt.Secrets.Add(kind, v)
		}
	}
	switch name {
	case "Set-Cookie":
		pair, _, _ := strings.Cut(value, ";")
		_, v, _ := strings.Cut(pair, "=")
		if v = strings.Trim(strings.TrimSpace(v), `"`); len(v) <= cookieLength {
			add("cookie", v)
		}
	case "Location":
		for _, part := range strings.FieldsFunc(value, func(r rune) bool { return strings.ContainsRune("?#&", r) }) {
			for _, kind := range []string{"code", "access_token", "refresh_token", "id_token"} {
				if v, ok := strings.CutPrefix(part, kind+"="); ok {
					add(kind, v)
					if plain, err := url.QueryUnescape(v); err == nil {
						add(kind, plain)
					}
				}
			}
		}
	}
}

// stream reads server-sent events until Until returns true or a limit is reached.
func (c *Client) stream(req Request, closer io.Closer, body io.Reader, resp *reports.Response) error {
	defer closeInTime(req, closer)()
	if req.Opened != nil {
		req.Opened()
	}
	room := c.room()
	shared := &sharing{Reader: io.LimitReader(body, room), client: c}
	defer shared.end()
	r, e := bufio.NewReader(shared), &events{until: req.Until}
	defer func() { resp.Body = e.all.String() }()
	for {
		wanted, err := e.read(r)
		switch {
		case wanted:
			return nil
		case shared.cut:
			resp.Truncated = true
			return ErrRoom
		case e.number >= c.opt.Limits.Events || int64(e.all.Len()) >= room:
			resp.Truncated = true
			return nil
		case err == nil:
		case req.Peek > 0 || errors.Is(err, io.EOF) || isClosed(req.Close):
			return nil
		default:
			return fmt.Errorf("the event stream %w: %w", errBrokenOff, err)
		}
	}
}

// closeInTime closes a stream when its time is over, or when the request says so. stop ends that.
func closeInTime(req Request, closer io.Closer) (stop func()) {
	done := make(chan struct{})
	var over <-chan time.Time
	if req.Peek > 0 {
		over = time.After(req.Peek)
	}
	go func() {
		select {
		case <-over:
			closer.Close()
		case <-req.Close:
			closer.Close()
		case <-done:
		}
	}()
	return func() { close(done) }
}

// events are those of a stream so far.
type events struct {
	all    strings.Builder // lines are parts of it, because one may be as long as the stream
	data   []string        // of the event that has not ended
	number int
	until  func(data string) bool
}

// read reads a line. It reports whether it ends the event that the request waits for.
func (e *events) read(r *bufio.Reader) (wanted bool, err error) {
	start := e.all.Len()
	err = readLine(r, &e.all)
	switch field := strings.TrimRight(e.all.String()[start:], "\r\n"); {
	case strings.HasPrefix(field, "data:"):
		e.data = append(e.data, strings.TrimPrefix(strings.TrimPrefix(field, "data:"), " "))
	case field == "" && len(e.data) > 0:
		e.number++
		wanted = e.until != nil && e.until(strings.Join(e.data, "\n"))
		e.data = nil
	}
	return wanted, err
}

// readLine reads a line and appends it.
func readLine(r *bufio.Reader, to *strings.Builder) error {
	for {
		part, err := r.ReadSlice('\n')
		to.Write(part)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// raw sends bytes that no HTTP library would, with the same guarded dialer.
func (c *Client) raw(ctx context.Context, req Request, message []byte, ex *reports.Exchange) error {
	u, err := url.Parse(req.URL)
	if err != nil {
		return err
	}
	port, ok := map[string]string{"http": "80", "https": "443"}[u.Scheme]
	if !ok {
		return neverDialled(u.Scheme)
	}
	conn, err := c.dial(ctx, "tcp", net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), port)))
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	if u.Scheme == "https" {
		tc := tls.Client(conn, showing(c.certificateAt(u), c.verifying(u.Hostname(), "http/1.1")))
		if err := tc.HandshakeContext(ctx); err != nil {
			return err
		}
		conn = tc
	}
	unwritten := writeRaw(conn, message, req.Midway) // a server may answer before it has read everything, and close the connection
	resp, err := finalAnswer(bufio.NewReader(io.LimitReader(conn, c.opt.Limits.Header+c.opt.Limits.Body)), req.Method)
	if err != nil {
		return cmp.Or(unwritten, err)
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{resp.Body, conn} // an abandoned event stream is not read to its end
	ex.Response, err = c.read(req, resp)
	return err
}

// writeRaw writes a message, and calls midway before its last byte.
func writeRaw(conn io.Writer, message []byte, midway func()) error {
	if midway != nil {
		last := len(message) - 1
		if _, err := conn.Write(message[:last]); err != nil {
			return err
		}
		midway()
		message = message[last:]
	}
	_, err := conn.Write(message)
	return err
}

// mostInterim is the maximum number of interim answers (1xx) before the final one.
const mostInterim = 5

// finalAnswer reads the final answer to a request, without interim ones (RFC 9110 section 15.2).
func finalAnswer(r *bufio.Reader, method string) (*http.Response, error) {
	for range mostInterim {
		resp, err := http.ReadResponse(r, &http.Request{Method: method})
		if err != nil || resp.StatusCode >= 200 || resp.StatusCode == http.StatusSwitchingProtocols {
			return resp, err
		}
	}
	return nil, errors.New("the server sends more interim answers (1xx) than mcpauth reads")
}

// LeafKey returns the SHA-256 of the public key in a server's certificate, in hex.
func (c *Client) LeafKey(ctx context.Context, u *url.URL) (string, error) {
	if err := c.spend(); err != nil {
		return "", err
	}
	end, err := c.at(ctx, u).begin(ctx)
	if err != nil {
		return "", err
	}
	defer end()
	ctx, cancel := context.WithTimeout(ctx, c.opt.Limits.Request)
	defer cancel()
	conn, err := c.dial(ctx, "tcp", net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), "443")))
	if err != nil {
		return "", err
	}
	defer conn.Close()
	session := tls.Client(conn, showing(c.certificateAt(u), c.verifying(u.Hostname())))
	if err := session.HandshakeContext(ctx); err != nil {
		return "", err
	}
	sum := sha256.Sum256(session.ConnectionState().PeerCertificates[0].RawSubjectPublicKeyInfo)
	return hex.EncodeToString(sum[:]), nil
}

// OldTLS tries a handshake with TLS 1.1 or older, and reports whether the server agreed. It does not verify the certificate: a handshake
// with the current versions does that.
func (c *Client) OldTLS(ctx context.Context, u *url.URL) (agreed bool, err error) {
	if err := c.spend(); err != nil {
		return false, err
	}
	port := u.Port()
	if port == "" {
		port = "443"
	}
	end, err := c.at(ctx, u).begin(ctx)
	if err != nil {
		return false, err
	}
	defer end()
	ctx, cancel := context.WithTimeout(ctx, c.opt.Limits.Request)
	defer cancel()
	conn, err := c.dial(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return false, err
	}
	defer conn.Close()
	var suites []uint16
	for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		suites = append(suites, s.ID)
	}
	asked := false // the server requested a client certificate: the version is agreed, and an unverified server gets no certificate
	old := tls.Client(conn, &tls.Config{
		ServerName: u.Hostname(), MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11, CipherSuites: suites, InsecureSkipVerify: true,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			asked = true
			return &tls.Certificate{}, nil
		},
	})
	err = old.HandshakeContext(ctx)
	if err != nil && !asked && ctx.Err() != nil { // a timeout is not a refusal; an alert or a closed connection is
		return false, ctx.Err()
	}
	return err == nil || asked, nil
}

// bounded decompresses, and fails beyond the ratio.
type bounded struct {
	z     io.Reader
	in    *counter
	out   int64
	ratio int64

	coding string
}

type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

func newBounded(r io.Reader, coding string, ratio int64) (*bounded, error) {
	b := &bounded{in: &counter{r: r}, coding: coding, ratio: ratio}
	var err error
	if coding == "gzip" {
		b.z, err = gzip.NewReader(b.in)
	} else {
		b.z, err = zlib.NewReader(b.in) // RFC 9110 section 8.4.1.2
	}
	if err != nil {
		return nil, fmt.Errorf("content-encoding %s: %w", coding, err)
	}
	return b, nil
}

// Read rejects bombs. The first 64 KiB are free, because small bodies compress well.
func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.z.Read(p)
	b.out += int64(n)
	if b.out > 64<<10 && b.out > b.in.n*b.ratio {
		return 0, fmt.Errorf("content-encoding %s: grows more than %d to 1", b.coding, b.ratio)
	}
	return n, err
}
