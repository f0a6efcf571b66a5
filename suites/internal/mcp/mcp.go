// Package mcp builds MCP requests on both wires and parses the answers. It sends exactly what the caller says, and judges nothing.
package mcp

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/wire"
)

// Wire is one of the two protocols of MCP.
type Wire string

// The two wires: an initialize handshake with sessions, and per-request metadata without them.
const (
	Stateful  Wire = "stateful"
	Stateless Wire = "stateless"
)

// NewestStateful is the newest revision of the stateful wire.
const NewestStateful = "2025-11-25"

// NewestStateless is the newest revision of the stateless wire.
const NewestStateless = "2026-07-28"

// WireOf returns the wire of a revision.
func WireOf(revision string) Wire {
	if revision >= NewestStateless {
		return Stateless
	}
	return Stateful
}

// Call is one message to an MCP endpoint.
type Call struct {
	Endpoint string
	Revision string
	// Verb is the HTTP method; empty means POST.
	Verb string
	// RPC is the JSON-RPC method, and Params its parameters. Notification omits the id.
	RPC          string
	Params       map[string]any
	Notification bool
	SessionID    string
	Header       []reports.Field
	Query        url.Values
	// Capabilities are the client's declared capabilities; none if nil.
	Capabilities map[string]any
	// Mirrored are the parameters of each tool that header fields repeat on the stateless wire.
	Mirrored map[string][]Mirror
	// Body replaces the message.
	Body  string
	Fresh bool
}

// peek is how long a silent stream is watched: only its status and header matter.
const peek = 20 * time.Millisecond

// ID is the id of every request that Call makes.
const ID = 1

// Probe returns the minimal protected request of a revision: initialize, or server/discover.
func Probe(endpoint, revision string) Call {
	if WireOf(revision) == Stateless {
		return Call{Endpoint: endpoint, Revision: revision, RPC: "server/discover"}
	}
	return Initialize(endpoint, revision)
}

// Initialize opens a session on the stateful wire.
func Initialize(endpoint, revision string) Call {
	return Call{Endpoint: endpoint, Revision: revision, RPC: "initialize", Params: map[string]any{
		"protocolVersion": revision, "capabilities": map[string]any{},
		"clientInfo": map[string]any{"name": "mcpauth", "version": "1"},
	}}
}

// Method returns a call of another JSON-RPC method with the same endpoint, revision, session and header.
func (c Call) Method(rpc string, params map[string]any) Call {
	c.RPC, c.Params, c.Notification = rpc, params, strings.HasPrefix(rpc, "notifications/")
	return c
}

// With returns the call with more header fields.
func (c Call) With(fields ...reports.Field) Call {
	c.Header = append(slices.Clone(c.Header), fields...)
	return c
}

// Named returns the call by a client of another name, where the message has one: an initialize request, or any on the stateless wire.
func (c Call) Named(client string) Call {
	info := map[string]any{"name": client, "version": "1"}
	params := map[string]any{}
	maps.Copy(params, c.Params)
	if WireOf(c.Revision) == Stateless {
		meta := map[string]any{}
		given, _ := params["_meta"].(map[string]any)
		maps.Copy(meta, given)
		meta[clientInfo] = info
		params["_meta"] = meta
	} else if c.RPC == "initialize" {
		params["clientInfo"] = info
	}
	c.Params = params
	return c
}

// clientInfo is the member of _meta that names the client on the stateless wire.
const clientInfo = "io.modelcontextprotocol/clientInfo"

// WithQuery returns the call with a query parameter.
func (c Call) WithQuery(name, value string) Call {
	q := url.Values{name: {value}}
	for k, v := range c.Query {
		q[k] = v
	}
	c.Query = q
	return c
}

// WithBody returns the call with another message, under header fields for the original one.
func (c Call) WithBody(message string) Call {
	c.Header = append(c.metadata(), c.Header...)
	c.Body = message
	return c
}

// Using returns the call with another HTTP method, and without a message unless it is POST.
func (c Call) Using(verb string) Call {
	c.Verb = verb
	return c
}

// InSession returns the call with a session id.
func (c Call) InSession(id string) Call {
	c.SessionID = id
	return c
}

// OnFreshConnection returns the call on a new connection.
func (c Call) OnFreshConnection() Call {
	c.Fresh = true
	return c
}

// Field makes a header field.
func Field(name, value string) reports.Field { return reports.Field{Name: name, Value: value} }

// Bearer makes the Authorization field of a bearer token.
func Bearer(token string) reports.Field { return Field("Authorization", "Bearer "+token) }

// Message returns the JSON-RPC message.
func (c Call) Message() string {
	if c.Body != "" {
		return c.Body
	}
	msg := map[string]any{"jsonrpc": "2.0", "method": c.RPC}
	if !c.Notification {
		msg["id"] = ID
	}
	params := map[string]any{}
	for k, v := range c.Params {
		params[k] = v
	}
	if WireOf(c.Revision) == Stateless {
		meta := map[string]any{
			"io.modelcontextprotocol/protocolVersion": c.Revision,
			clientInfo: map[string]any{"name": "mcpauth", "version": "1"},
			"io.modelcontextprotocol/clientCapabilities": c.capabilities(),
		}
		if given, ok := params["_meta"].(map[string]any); ok {
			for k, v := range given {
				meta[k] = v
			}
		}
		params["_meta"] = meta
	}
	if len(params) > 0 {
		msg["params"] = params
	}
	b, _ := json.Marshal(msg) // maps of strings and plain values always marshal
	return string(b)
}

func (c Call) capabilities() map[string]any {
	if c.Capabilities == nil {
		return map[string]any{}
	}
	return c.Capabilities
}

// Request returns the HTTP request of the call.
func (c Call) Request() wire.Request {
	verb := c.Verb
	if verb == "" {
		verb = "POST"
	}
	message := c.Message()
	r := wire.Request{Method: verb, URL: c.Endpoint, Fresh: c.Fresh, Until: answers(message)}
	if len(c.Query) > 0 {
		sep := "?"
		if strings.Contains(r.URL, "?") {
			sep = "&"
		}
		r.URL += sep + c.Query.Encode()
	}
	switch verb {
	case "POST", "PUT", "PATCH":
		r.Body = message
		r.Header = append(r.Header, Field("Content-Type", "application/json"), Field("Accept", "application/json, text/event-stream"))
		if c.Body == "" {
			r.Header = append(r.Header, c.metadata()...)
		}
	case "GET":
		r.Header = append(r.Header, Field("Accept", "text/event-stream"))
		r.Header = append(r.Header, c.version()...)
		r.Peek = peek
	default:
		r.Header = append(r.Header, c.version()...)
	}
	if c.SessionID != "" {
		r.Header = append(r.Header, Field(sessionField, c.SessionID))
	}
	for _, f := range c.Header { // a given field replaces the default, but not another given one
		r.Header = slices.DeleteFunc(r.Header, func(g reports.Field) bool { return strings.EqualFold(g.Name, f.Name) })
	}
	r.Header = append(r.Header, c.Header...)
	return r
}

func (c Call) version() []reports.Field {
	if c.RPC == "initialize" && (c.Verb == "" || c.Verb == "POST") || c.Revision < "2025-06-18" {
		return nil
	}
	return []reports.Field{Field("MCP-Protocol-Version", c.Revision)}
}

// metadata returns the header fields that repeat the message on the stateless wire.
func (c Call) metadata() []reports.Field {
	f := c.version()
	if WireOf(c.Revision) != Stateless {
		return f
	}
	f = append(f, Field("Mcp-Method", c.RPC))
	for _, key := range []string{"name", "uri"} {
		if v, ok := c.Params[key].(string); ok {
			f = append(f, Field("Mcp-Name", headerValue(v)))
			break
		}
	}
	return append(f, c.mirrored()...)
}

// headerValue encodes a value in the base64 form if plain ASCII is not possible.
func headerValue(v string) string {
	plain := v == strings.TrimSpace(v) && !(strings.HasPrefix(v, "=?base64?") && strings.HasSuffix(v, "?="))
	for i := 0; i < len(v); i++ {
		if v[i] < 0x20 || v[i] > 0x7e {
			plain = false
		}
	}
	if plain {
		return v
	}
	return "=?base64?" + base64.StdEncoding.EncodeToString([]byte(v)) + "?="
}

// Answer is the JSON-RPC content of an exchange.
type Answer struct {
	Result  *document.Object // nil unless there is a result for the request's id
	Code    string           // of a JSON-RPC error
	Message string
	Error   bool
	IsError bool // a tool result marked as error
}

// Objects returns the objects in a list of the result.
func (a Answer) Objects(member string) []*document.Object {
	v, _ := a.Result.Get(member) // none without a result
	list, _ := v.([]any)
	var out []*document.Object
	for _, e := range list {
		if o, ok := e.(*document.Object); ok {
			out = append(out, o)
		}
	}
	return out
}

var errNoMessage = errors.New("neither a JSON object nor an array")

// Read finds the answer in a JSON body or in an event stream.
func Read(ex *reports.Exchange) Answer {
	if ex == nil || ex.Response == nil {
		return Answer{}
	}
	id := idOf(ex.Request.Body)
	if !strings.HasPrefix(strings.ToLower(wire.Get(ex.Response.Header, "Content-Type")), "text/event-stream") {
		return readMessage(ex.Response.Body, id)
	}
	for _, data := range Events(ex.Response.Body) {
		if a := readMessage(data, id); a.Result != nil || a.Error {
			return a
		}
	}
	return Answer{}
}

// Events returns the data of each server-sent event.
func Events(body string) []string {
	var out, data []string
	for _, line := range strings.Split(body, "\n") {
		line = strings.TrimRight(line, "\r")
		if d, ok := strings.CutPrefix(line, "data:"); ok {
			data = append(data, strings.TrimPrefix(d, " "))
		} else if line == "" && len(data) > 0 {
			out, data = append(out, strings.Join(data, "\n")), nil
		}
	}
	if len(data) > 0 {
		out = append(out, strings.Join(data, "\n"))
	}
	return out
}

// Messages returns all JSON-RPC messages of an answer, and those of a batch one by one.
func Messages(ex *reports.Exchange) []*document.Object {
	if ex == nil || ex.Response == nil {
		return nil
	}
	texts := []string{ex.Response.Body}
	if strings.HasPrefix(strings.ToLower(wire.Get(ex.Response.Header, "Content-Type")), "text/event-stream") {
		texts = Events(ex.Response.Body)
	}
	var out []*document.Object
	for _, text := range texts {
		v, err := parseMessage(text)
		batch, isBatch := v.([]any)
		if !isBatch {
			batch = []any{v}
		}
		for _, m := range batch {
			if o, ok := m.(*document.Object); ok && err == nil {
				out = append(out, o)
			}
		}
	}
	return out
}

// answers returns the function that recognizes the answer to a message in a stream.
func answers(message string) func(data string) bool {
	id := idOf(message)
	return func(data string) bool {
		a := readMessage(data, id)
		return a.Result != nil || a.Error
	}
}

// idOf returns the id of a message; that of ordinary requests if the message has none, is a batch or cannot be read.
func idOf(message string) any {
	ordinary := json.Number(strconv.Itoa(ID))
	if strings.HasPrefix(message, fmt.Sprintf(`{"id":%d,`, ID)) { // reading a long one costs time
		return ordinary
	}
	if v, err := parseMessage(message); err == nil {
		if o, _ := v.(*document.Object); o != nil {
			if id, has := o.Get("id"); has && id != nil {
				return id
			}
		}
	}
	return ordinary
}

// parseMessage reads an object or an array. A stream may have a hundred thousand events that are neither: those cost nothing.
func parseMessage(text string) (any, error) {
	if begin := strings.TrimLeft(text, " \t\r\n"); begin == "" || begin[0] != '{' && begin[0] != '[' {
		return nil, errNoMessage
	}
	return document.ParseValid(text)
}

// readMessage reads the answer to the request with an id.
func readMessage(text string, id any) Answer {
	v, err := parseMessage(text)
	if err != nil {
		return Answer{}
	}
	if batch, ok := v.([]any); ok {
		return readBatch(batch, id)
	}
	return readValue(v, id)
}

// readBatch returns the result for the request's id among the answers, or else an error.
func readBatch(batch []any, id any) (out Answer) {
	for _, v := range batch {
		switch a := readValue(v, id); {
		case a.Result != nil:
			return a
		case a.Error:
			out = a
		}
	}
	return out
}

func readValue(v, id any) Answer {
	o, _ := v.(*document.Object)
	if o == nil || o.String("jsonrpc") != "2.0" {
		return Answer{}
	}
	if e := o.Object("error"); e != nil {
		code, _ := e.Get("code")
		n, _ := code.(json.Number)
		return Answer{Error: true, Code: n.String(), Message: e.String("message")}
	}
	if got, _ := o.Get("id"); !reflect.DeepEqual(got, id) {
		return Answer{}
	}
	r := o.Object("result")
	isError, _ := r.Bool("isError")
	return Answer{Result: r, IsError: isError}
}
