package reports

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Lane is a participant of an authorization.
type Lane int

// The lanes, from left to right.
const (
	Browser Lane = iota
	ClientLane
	MCPServer
	AuthorizationServer
)

// LaneNames name the lanes.
var LaneNames = []string{"browser", "client", "MCP server", "authorization server"}

// Step is one request of the flow, with its answer.
type Step struct {
	From, To      Lane
	Label, Answer string
	Exchange      int      // the exchange that shows it; 0 if none was kept
	Failed        []string // ids of requirements that fail here
	Warned        int      // number of requirements with a warning
}

// stage is a part of the flow: how to recognize its exchange, and the areas of its checks.
type stage struct {
	from, to Lane
	label    string
	areas    []string
	is       func(f *flow, e *Exchange) bool
	// optional stages are omitted if no exchange shows them and nothing fails in them.
	optional bool
}

// flow has the addresses of a run.
type flow struct {
	target, authorize, token, registration, revoke string

	bearer func(e *Exchange) bool
}

var stages = []stage{
	{ClientLane, MCPServer, "a request without a token", []string{"challenge"}, func(f *flow, e *Exchange) bool {
		return e.Request.Method == "POST" && e.Request.URL == f.target && !f.bearer(e)
	}, false},
	{ClientLane, MCPServer, "protected resource metadata", []string{"discovery"}, func(_ *flow, e *Exchange) bool {
		return strings.Contains(e.Request.URL, "/.well-known/oauth-protected-resource") && ok(e)
	}, false},
	{ClientLane, AuthorizationServer, "authorization server metadata, keys", []string{"metadata", "keys"}, func(_ *flow, e *Exchange) bool {
		return isMetadata(e) && ok(e)
	}, true},
	{ClientLane, AuthorizationServer, "registration, or a client metadata document", []string{"registration", "cimd"},
		func(f *flow, e *Exchange) bool {
			return f.registration != "" && e.Request.Method == "POST" && e.Request.URL == f.registration && ok(e)
		}, true},
	{Browser, AuthorizationServer, "authorization request: login, consent", []string{"authorization", "consent", "login", "proxy"},
		func(f *flow, e *Exchange) bool {
			return at(e, f.authorize) && e.Request.Method == "GET" && e.Response != nil && e.Response.Status < 400
		}, true},
	{Browser, ClientLane, "redirect with a code", nil, func(_ *flow, e *Exchange) bool {
		return e.Response != nil && strings.Contains(field(e.Response.Header, "Location"), "code=")
	}, true},
	{ClientLane, AuthorizationServer, "token request with the code verifier", []string{"pkce", "token", "extension"},
		func(f *flow, e *Exchange) bool {
			return at(e, f.token) && ok(e) && strings.Contains(e.Request.Body, "grant_type=authorization_code")
		}, true},
	{ClientLane, MCPServer, "a request with the token", []string{"audience", "tokenvalidation", "scope", "session", "transport", "credentials",
		"ratelimit", "abuse", "passthrough", "elicitation", "senderconstrained"}, func(f *flow, e *Exchange) bool {
		return e.Request.Method == "POST" && e.Request.URL == f.target && f.bearer(e) && ok(e)
	}, false},
	{ClientLane, AuthorizationServer, "refresh, revocation, introspection, userinfo",
		[]string{"refresh", "revocation", "introspection", "userinfo"}, func(f *flow, e *Exchange) bool {
			return (at(e, f.token) && strings.Contains(e.Request.Body, "grant_type=refresh_token") || at(e, f.revoke)) && ok(e)
		}, true},
}

// kind is all that the stages look at in an exchange: of those of one kind, Sequence shows the first.
type kind struct {
	method, address, metadata   string
	target, bearer, ok, refused bool
	code, redeems, refreshes    bool
}

// kindOf returns the kind of an exchange of a run with the target.
func kindOf(e *Exchange, target string) kind {
	address, _, _ := strings.Cut(e.Request.URL, "?")
	k := kind{
		method: e.Request.Method, address: address, target: e.Request.URL == target, ok: ok(e),
		bearer:    field(e.Request.Header, "Authorization") != "",
		refused:   e.Response == nil || e.Response.Status >= 400,
		code:      e.Response != nil && strings.Contains(field(e.Response.Header, "Location"), "code="),
		redeems:   strings.Contains(e.Request.Body, "grant_type=authorization_code"),
		refreshes: strings.Contains(e.Request.Body, "grant_type=refresh_token"),
	}
	if k.ok && isMetadata(e) { // which says where the endpoints are
		k.metadata = e.Response.Body
	}
	return k
}

func ok(e *Exchange) bool {
	return e.Response != nil && e.Response.Status >= 200 && e.Response.Status <= 299
}

func at(e *Exchange, endpoint string) bool {
	bare, _, _ := strings.Cut(e.Request.URL, "?")
	return endpoint != "" && bare == endpoint
}

func isMetadata(e *Exchange) bool {
	return strings.Contains(e.Request.URL, "/.well-known/oauth-authorization-server") ||
		strings.Contains(e.Request.URL, "/.well-known/openid-configuration")
}

func field(header []Field, name string) string {
	for _, f := range header {
		if strings.EqualFold(f.Name, name) {
			return f.Value
		}
	}
	return ""
}

// Sequence returns the flow of an authorization in the run, with the failures in each step.
func (r *Run) Sequence() []Step {
	f := &flow{target: r.Target.URL, bearer: func(e *Exchange) bool { return field(e.Request.Header, "Authorization") != "" }}
	for i := range r.Exchanges {
		if e := &r.Exchanges[i]; isMetadata(e) && ok(e) && f.token == "" {
			f.readMetadata(e)
		}
	}
	var out []Step
	for i := range stages {
		g := &stages[i]
		if s := r.step(f, g); s.Exchange != 0 || len(s.Failed) > 0 || s.Warned > 0 || !g.optional {
			out = append(out, s)
		}
	}
	return out
}

// readMetadata reads the endpoints of a flow.
func (f *flow) readMetadata(e *Exchange) {
	var doc struct {
		Authorization string `json:"authorization_endpoint"`
		Token         string `json:"token_endpoint"`
		Registration  string `json:"registration_endpoint"`
		Revocation    string `json:"revocation_endpoint"`
	}
	if json.Unmarshal([]byte(e.Response.Body), &doc) == nil {
		f.authorize, f.token, f.registration, f.revoke = doc.Authorization, doc.Token, doc.Registration, doc.Revocation
	}
}

// step returns the first exchange of a stage, and the failures in its areas.
func (r *Run) step(f *flow, g *stage) Step {
	s := Step{From: g.from, To: g.to, Label: g.label}
	for i := range r.Exchanges {
		if e := &r.Exchanges[i]; g.is(f, e) {
			s.Exchange, s.Answer = e.Number, answerOf(e)
			break
		}
	}
	for i := range r.Results {
		res := &r.Results[i]
		switch {
		case !slices.Contains(g.areas, res.Area):
		case res.Verdict == Fail && !slices.Contains(s.Failed, res.ID):
			s.Failed = append(s.Failed, res.ID)
		case res.Verdict == Warn:
			s.Warned++
		}
	}
	return s
}

// answerOf describes an answer in a few words.
func answerOf(e *Exchange) string {
	if e.Response == nil {
		return "no answer"
	}
	text := fmt.Sprint(e.Response.Status)
	if l := field(e.Response.Header, "Location"); l != "" {
		if u, err := url.Parse(l); err == nil && u.Host != "" {
			text += " to " + u.Host
		}
	}
	if strings.Contains(e.Response.Body, `"access_token"`) {
		text += ", access token"
	}
	if field(e.Response.Header, "WWW-Authenticate") != "" {
		text += " with a challenge"
	}
	return text
}
