package mcp

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/wire"
)

// Opened are the open sessions of a run: servers limit their number.
type Opened struct {
	mu       sync.Mutex
	sessions []opened        // in the order of opening
	seen     map[string]bool // the ids so far
	never    bool            // clients cannot end sessions at this server
	tried    int             // number of attempts to end a session
}

// opened is a session: its id, the number of the exchange that opened it, and the request that ends it.
type opened struct {
	id     string
	number int
	end    wire.Request
}

// mostEnded is the maximum number of sessions that a run ends, and endedAtOnce that of concurrent requests for it.
const (
	mostEnded   = 2000
	endedAtOnce = 4
)

const sessionField = "Mcp-Session-Id"

// Seen records an exchange that opens or ends a session.
func (o *Opened) Seen(req wire.Request, ex *reports.Exchange) {
	if ex.Response == nil || ex.Response.Status < 200 || ex.Response.Status > 299 {
		return
	}
	named, given := wire.Get(req.Header, sessionField), wire.Get(ex.Response.Header, sessionField)
	switch {
	case req.Method == http.MethodDelete && named != "":
		o.drop(named)
	case given != "" && given != named && strings.Contains(req.Body+string(req.Raw), `"initialize"`):
		o.add(opened{given, ex.Number, ending(req, ex, given)})
	}
}

func (o *Opened) drop(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sessions = slices.DeleteFunc(o.sessions, func(s opened) bool { return s.id == id })
}

// add stores a session. A server that issues an id twice also gives it to other clients of the user: such a session is not ended.
func (o *Opened) add(s opened) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.seen[s.id] {
		o.sessions = slices.DeleteFunc(o.sessions, func(other opened) bool { return other.id == s.id })
		return
	}
	if o.seen == nil {
		o.seen = map[string]bool{}
	}
	o.seen[s.id] = true
	o.sessions = append(o.sessions, s)
}

// ending returns the request that ends a session: to the same address and with the same credentials as the request that opened it.
func ending(opening wire.Request, ex *reports.Exchange, id string) wire.Request {
	c := Call{Endpoint: opening.URL, Verb: http.MethodDelete, SessionID: id, Revision: Read(ex).Result.String("protocolVersion")}
	out := c.Request()
	ofTheMessage := []string{"accept", "content-type", "content-length", "content-encoding", "transfer-encoding", "expect", "connection",
		"host", "user-agent"}
	for _, f := range append(fieldsOf(opening.Raw), opening.Header...) {
		name := strings.ToLower(f.Name)
		if !slices.Contains(ofTheMessage, name) && !strings.HasPrefix(name, "mcp-") {
			out.Header = append(out.Header, f)
		}
	}
	if wire.Get(out.Header, "DPoP") != "" { // its proof is valid for one request
		out.Header = without(out.Header, "DPoP", "Authorization")
	}
	out.Host, out.From, out.Certificate, out.Cleanup = opening.Host, opening.From, opening.Certificate, true
	return out
}

// fieldsOf returns the header fields of a raw request.
func fieldsOf(raw []byte) (out []reports.Field) {
	head, _, _ := strings.Cut(string(raw), "\r\n\r\n")
	for line := range strings.SplitSeq(head, "\r\n") {
		if name, value, ok := strings.Cut(line, ": "); ok {
			out = append(out, Field(name, value))
		}
	}
	return out
}

func without(fields []reports.Field, names ...string) []reports.Field {
	return slices.DeleteFunc(slices.Clone(fields), func(f reports.Field) bool {
		return slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, f.Name) })
	})
}

// Ending says for whom sessions are ended: for a check, with a user's credentials, and for the sessions that some exchanges opened.
type Ending struct {
	Client *wire.Client
	Check  string
	InTurn bool
	// Own are the user's own credentials, which only the Endpoint gets.
	Own      []reports.Field
	Endpoint string
	Of       func(number int) bool
}

// End ends sessions. It keeps those for which the server has no time.
func (o *Opened) End(ctx context.Context, e Ending) {
	places := make(chan struct{}, endedAtOnce)
	var together sync.WaitGroup
	var stop atomic.Bool
	for _, s := range o.take(e.Of) {
		end := func() {
			switch {
			case o.over():
			case stop.Load() || o.strained(e.end(ctx, s.end)):
				stop.Store(true)
				o.keep(s)
			}
		}
		if e.InTurn {
			end()
			continue
		}
		places <- struct{}{}
		together.Go(func() { end(); <-places })
	}
	together.Wait()
}

// end sends a request that ends a session. If the credentials that opened the session are no longer valid, it uses the user's own.
func (e *Ending) end(ctx context.Context, req wire.Request) *reports.Exchange {
	ex := e.Client.Do(ctx, e.Check, req)
	if ex.Response == nil || ex.Response.Status != http.StatusUnauthorized || len(e.Own) == 0 || req.URL != e.Endpoint {
		return ex
	}
	req.Header = append(without(req.Header, "Authorization", e.Own[0].Name), e.Own...)
	return e.Client.Do(ctx, e.Check, req)
}

// take removes and returns the sessions that exchanges with these numbers opened, if sessions can be ended.
func (o *Opened) take(of func(number int) bool) (out []opened) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sessions = slices.DeleteFunc(o.sessions, func(s opened) bool {
		due := of(s.number)
		if due && !o.never && o.tried < mostEnded {
			o.tried++
			out = append(out, s)
		}
		return due
	})
	return out
}

func (o *Opened) keep(s opened) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sessions = append(o.sessions, s)
}

// over reports whether clients cannot end sessions at this server.
func (o *Opened) over() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.never
}

// strained reports whether a server did not process a request to end a session. A server that never ends sessions gets no more such
// requests.
func (o *Opened) strained(ex *reports.Exchange) bool {
	if ex.Response == nil {
		return true
	}
	status := ex.Response.Status
	if status == http.StatusMethodNotAllowed || status == http.StatusNotImplemented {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.never = true
		return false
	}
	return status == http.StatusTooManyRequests || status >= 500
}
