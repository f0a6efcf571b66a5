package mcpserver

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/mcpauth/conformance/fixtures/seeded"
)

type message struct {
	JSONRPC string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Method  string          `json:"method"`
	Params  map[string]any  `json:"params"`
	Result  json.RawMessage `json:"result"`
}

func (m *message) notification() bool { return len(m.ID) == 0 }

func (m *message) meta(key string) string {
	meta, _ := m.Params["_meta"].(map[string]any)
	v, _ := meta["io.modelcontextprotocol/"+key].(string)
	return v
}

func stateless(revision string) bool { return revision >= "2026-07-28" }

// exempt reports whether the policy, by declaration or by flaw, serves a request without a token.
func (s *Server) exempt(r *http.Request, body []byte) bool {
	p := &s.Policy
	live := s.session(r) != nil
	s.mu.Lock()
	once := s.known[r.RemoteAddr]
	s.mu.Unlock()
	if s.servesInSession(r, body) || p.Opens != nil && p.Opens(r, body) {
		return true
	}
	if r.Method != http.MethodPost {
		return (r.Method == http.MethodGet || r.Method == http.MethodDelete) && (!p.has(GuardVerbs) || !p.has(SessionIsNoCredential) && live)
	}
	var m message
	_ = json.Unmarshal(body, &m)
	switch {
	case !p.has(RequireToken),
		slices.Contains(p.Public, m.Method),
		!p.has(GuardEveryMethod) && m.Method != "tools/call" && m.Method != "initialize" && m.Method != "server/discover",
		!p.has(GuardEveryAgent) && !strings.Contains(r.UserAgent(), "mcpauth"),
		!p.has(GuardEveryFetch) && r.Header.Get("Sec-Fetch-Mode") != "",
		!p.has(GuardHandshake) && slices.Contains([]string{"initialize", "server/discover", "ping", "notifications/initialized"}, m.Method),
		!p.has(GuardNotifications) && m.notification(),
		!p.has(GuardStateless) && stateless(m.meta("protocolVersion")),
		!p.has(GuardAnyVersion) && r.Header.Get("MCP-Protocol-Version") == "2024-11-05",
		!p.has(GuardPathVariants) && strings.HasSuffix(r.URL.Path, "/"),
		!p.has(SessionIsNoCredential) && live,
		!p.has(TokenPerRequest) && once:
		return true
	}
	return false
}

func (s *Server) post(w http.ResponseWriter, r *http.Request, body []byte, who *caller) {
	var m message
	if strings.HasPrefix(strings.TrimSpace(string(body)), "[") {
		var batch []message
		err := json.Unmarshal(body, &batch)
		if err == nil && !s.Policy.has(NoBatches) && len(batch) > 1 && r.Header.Get("MCP-Protocol-Version") == "" {
			s.batch(w, r, batch, who)
			return
		}
		if err != nil || len(batch) != 1 {
			rpcError(w, http.StatusBadRequest, nil, -32600, "batches are not served")
			return
		}
		m = batch[0]
	} else if err := json.Unmarshal(body, &m); err != nil || m.JSONRPC != "2.0" {
		rpcError(w, http.StatusBadRequest, nil, -32700, "not a JSON-RPC message")
		return
	}
	header := r.Header.Get("MCP-Protocol-Version")
	if version := m.meta("protocolVersion"); version != "" || stateless(header) {
		s.stateless(w, r, &m, who, header, version, body)
		return
	}
	s.stateful(w, r, &m, who, header, body)
}

// batch serves a batch of messages, which exists only in 2025-03-26. It checks the scope of the first message only.
func (s *Server) batch(w http.ResponseWriter, r *http.Request, batch []message, who *caller) {
	first, _ := batch[0].Params["name"].(string)
	if scope, known := scopeOf(first); known && !s.permits(who, first, scope) {
		s.insufficient(w, r, scope, batch[0].ID)
		return
	}
	answers := []any{}
	for i := range batch {
		name, _ := batch[i].Params["name"].(string)
		text, _ := s.act(r.Context(), name, &batch[i], who)
		answers = append(answers, map[string]any{"jsonrpc": "2.0", "id": batch[i].ID,
			"result": map[string]any{"content": []any{map[string]any{"type": "text", "text": text}}}})
	}
	writeJSON(w, http.StatusOK, answers)
}

func (s *Server) stateless(w http.ResponseWriter, r *http.Request, m *message, who *caller, header, version string, body []byte) {
	p := &s.Policy
	name, _ := m.Params["name"].(string)
	if name == "" {
		name, _ = m.Params["uri"].(string)
	}
	named := m.Method == "tools/call" || m.Method == "resources/read" || m.Method == "prompts/get"
	switch {
	case version == "":
		rpcError(w, http.StatusBadRequest, m.ID, -32602, "_meta lacks the protocol version")
	case p.has(CheckHeaders) && (header != version || r.Header.Get("Mcp-Method") != m.Method || !names(r.Header, name, named) ||
		!mirrors(r.Header, m)):
		rpcError(w, http.StatusBadRequest, m.ID, -32020, "headers and message differ")
	case p.has(CheckVersion) && (!slices.Contains(p.Revisions, version) || !stateless(version)):
		rpcErrorData(w, http.StatusBadRequest, m.ID, -32022, "Unsupported protocol version",
			map[string]any{"supported": p.Revisions, "requested": version})
	case m.notification():
		s.notified(r, m, who)
		w.WriteHeader(http.StatusAccepted)
	default:
		if !p.has(NoStatelessSessions) {
			if id := r.Header.Get("Mcp-Session-Id"); id != "" {
				w.Header().Set("Mcp-Session-Id", id)
				rpcError(w, http.StatusNotFound, m.ID, -32600, "unknown session")
				return
			}
		}
		s.dispatch(w, r, m, who, http.StatusNotFound, body)
	}
}

// names reports whether Mcp-Name equals the name in the message, if the message needs the field.
func names(header http.Header, name string, needed bool) bool {
	fields := header.Values("Mcp-Name")
	return !(needed && decode(header.Get("Mcp-Name")) != name) && visible(header.Get("Mcp-Name")) && len(fields) <= 1
}

// visible reports whether a value has only visible ASCII, spaces and tabs (Value Encoding).
func visible(v string) bool {
	return !strings.ContainsFunc(v, func(c rune) bool { return c > 0x7e || c < ' ' && c != '\t' })
}

func decode(v string) string {
	if e, ok := strings.CutPrefix(v, "=?base64?"); ok {
		if e, ok = strings.CutSuffix(e, "?="); ok {
			b, err := base64.StdEncoding.DecodeString(e)
			if err != nil {
				return v
			}
			return string(b)
		}
	}
	return v
}

func (s *Server) stateful(w http.ResponseWriter, r *http.Request, m *message, who *caller, header string, body []byte) {
	p := &s.Policy
	if !slices.ContainsFunc(p.Revisions, func(v string) bool { return !stateless(v) }) {
		rpcErrorData(w, http.StatusBadRequest, m.ID, -32022, "Unsupported protocol version", map[string]any{"supported": p.Revisions})
		return
	}
	if p.has(CheckVersion) && p.has(GuardAnyVersion) && header != "" && !slices.Contains(p.Revisions, header) {
		rpcError(w, http.StatusBadRequest, m.ID, -32600, "unsupported MCP-Protocol-Version")
		return
	}
	if len(r.Header.Values("MCP-Protocol-Version")) > 1 {
		rpcError(w, http.StatusBadRequest, m.ID, -32600, "two MCP-Protocol-Version fields")
		return
	}
	if m.Method == "initialize" {
		s.initialize(w, r, m, who)
		return
	}
	if p.Sessions && !s.inSession(w, r, m, who) {
		return
	}
	if m.notification() || len(m.Result) > 0 {
		s.notified(r, m, who)
		w.WriteHeader(http.StatusAccepted)
		return
	}
	s.dispatch(w, r, m, who, http.StatusOK, body)
}

func (s *Server) initialize(w http.ResponseWriter, r *http.Request, m *message, who *caller) {
	p := &s.Policy
	wanted, _ := m.Params["protocolVersion"].(string)
	offered := wanted
	if !slices.Contains(p.Revisions, wanted) || stateless(wanted) {
		offered = ""
		for _, v := range p.Revisions {
			if !stateless(v) {
				offered = v
			}
		}
	}
	if p.Sessions {
		id := RandomID()
		if p.NewSessionID != nil {
			id = p.NewSessionID(r)
		}
		if chosen := r.Header.Get("Mcp-Session-Id"); chosen != "" && p.adopts(chosen) {
			id = chosen
		}
		s.mu.Lock()
		s.sessions[id] = &session{user: who.user, revision: offered, scopes: who.scopes, token: r.Header.Get("Authorization"),
			capabilities: capabilitiesOf(m), subscribed: map[string]bool{}, mark: RandomID()}
		s.mu.Unlock()
		w.Header().Set("Mcp-Session-Id", id)
	}
	rpcResult(w, m.ID, map[string]any{
		"protocolVersion": offered, "capabilities": p.capabilities(offered), "serverInfo": map[string]any{"name": "reference", "version": "1"},
	})
}

func capabilitiesOf(m *message) map[string]any {
	declared, _ := m.Params["capabilities"].(map[string]any)
	return declared
}

// capabilities returns the server's capabilities at a revision.
func (p *Policy) capabilities(revision string) map[string]any {
	none := map[string]any{}
	out := map[string]any{"tools": none, "resources": map[string]any{"subscribe": true}, "prompts": none, "completions": none}
	if !stateless(revision) {
		out["logging"] = none
	}
	switch {
	case stateless(revision):
		out["extensions"] = map[string]any{tasksExtension: none}
	case revision >= "2025-11-25":
		out["tasks"] = map[string]any{"list": none, "cancel": none, "requests": map[string]any{"tools": map[string]any{"call": none}}}
	}
	for k, v := range p.Capabilities {
		out[k] = v
	}
	return out
}

// RandomID returns an unguessable id.
func RandomID() string { return seeded.Fakes.Text(24) }

// inSession checks the session of a request: 400 without one; 404 for an unknown or ended one, and for another user's.
func (s *Server) inSession(w http.ResponseWriter, r *http.Request, m *message, who *caller) bool {
	p := &s.Policy
	id := r.Header.Get("Mcp-Session-Id")
	live := s.session(r)
	switch {
	case id == "" && p.has(CheckSession):
		rpcError(w, http.StatusBadRequest, m.ID, -32600, "no session")
		return false
	case live == nil && s.servesEnded(r, m.Method):
		return true
	case live == nil && p.has(CheckSession), live != nil && p.has(BindSession) && live.user != who.user &&
		(p.BindsAnonymous || who.user != "anonymous") &&
		(p.SessionShared == nil || !p.SessionShared(r, m.Method)):
		rpcError(w, cmp.Or(p.GoneStatus, http.StatusNotFound), m.ID, -32600, "no such session")
		return false
	case live != nil && !p.has(SessionOutlivesToken) && live.token != r.Header.Get("Authorization"):
		s.refuse(w, r, "invalid")
		return false
	}
	if live != nil && !p.has(ScopesPerRequest) {
		who.scopes = live.scopes
	}
	return live == nil || s.proceed(w, m, live, who)
}

// ofStateless are the methods that only one wire has: true for the wire without sessions.
var ofStateless = map[string]bool{
	"resources/subscribe": false, "resources/unsubscribe": false, "subscriptions/listen": true, "tasks/update": true,
	"logging/setLevel": false,
}

// dispatch serves a message to whoever may send it; unknown is the status of an unknown method.
func (s *Server) dispatch(w http.ResponseWriter, r *http.Request, m *message, who *caller, unknown int, body []byte) {
	of, ofOneWire := ofStateless[m.Method]
	absent := ofOneWire && of != stateless(m.meta("protocolVersion")) || s.Policy.NoTools && strings.HasPrefix(m.Method, "tools/")
	switch method := m.Method; {
	case absent:
		rpcError(w, unknown, m.ID, -32601, "Method not found")
	case method == "ping", method == "logging/setLevel":
		rpcResult(w, m.ID, map[string]any{})
	case method == "server/discover":
		rpcResult(w, m.ID, map[string]any{"resultType": "complete", "supportedVersions": s.Policy.Revisions,
			"capabilities": s.Policy.capabilities(m.meta("protocolVersion"))})
	case method == "tools/list":
		s.listTools(w, r, m, who)
	case method == "tools/call":
		s.call(w, r, m, who, body)
	case method == "completion/complete":
		s.complete(w, r, m, who)
	case slices.Contains(taskMethods, method):
		s.taskMethod(w, m, who)
	default:
		if !s.promptMethod(w, r, m, who) && !s.resourceMethod(w, r, m, who) {
			rpcError(w, unknown, m.ID, -32601, "Method not found")
		}
	}
}

var taskMethods = []string{"tasks/get", "tasks/result", "tasks/cancel", "tasks/list", "tasks/update"}

func (s *Server) listTools(w http.ResponseWriter, r *http.Request, m *message, who *caller) {
	if !s.Policy.has(ServeLists) {
		s.refuse(w, r, "invalid")
		return
	}
	if need := s.Policy.ListScope; need != "" && !s.permits(who, m.Method, need) {
		s.insufficient(w, r, need, m.ID)
		return
	}
	s.writeList(w, m, "tools", s.list(who))
}

// promptMethod reports whether it served a message about prompts.
func (s *Server) promptMethod(w http.ResponseWriter, r *http.Request, m *message, who *caller) bool {
	switch {
	case m.Method == "prompts/get":
		s.prompt(w, m, who)
	case m.Method != "prompts/list":
		return false
	case !s.Policy.has(ListsAreCheap):
		s.tooMany(w, r)
	default:
		s.writeList(w, m, "prompts", []any{map[string]any{"name": "summarize",
			"arguments": []any{map[string]any{"name": "user", "required": true}}}})
	}
	return true
}

// resourceMethod reports whether it served a message about resources.
func (s *Server) resourceMethod(w http.ResponseWriter, r *http.Request, m *message, who *caller) bool {
	switch m.Method {
	case "resources/list":
		resources := []any{map[string]any{"uri": "note://notes/1", "name": "The first note"},
			map[string]any{"uri": diary(who.user), "name": "Your diary"}}
		if s.Policy.TemplatesOnly {
			resources = []any{}
		}
		s.writeList(w, m, "resources", resources)
	case "resources/templates/list":
		s.writeList(w, m, "resourceTemplates", []any{map[string]any{"uriTemplate": "note://notes/{id}", "name": "A note"}})
	case "resources/read":
		s.readResource(w, m, who)
	case "resources/subscribe", "resources/unsubscribe":
		s.subscribe(w, r, m, who)
	case "subscriptions/listen":
		s.listen(w, r, m, who)
	default:
		return false
	}
	return true
}

// writeList answers with a list, or with a page of it.
func (s *Server) writeList(w http.ResponseWriter, m *message, member string, entries []any) {
	page, next, ok := s.page(m, entries)
	if !ok {
		rpcError(w, http.StatusOK, m.ID, -32602, "Invalid cursor")
		return
	}
	result := map[string]any{member: page}
	if next != "" {
		result["nextCursor"] = next
	}
	if stateless(m.meta("protocolVersion")) {
		result["cacheScope"], result["ttlMs"] = s.Policy.CacheScope, 60_000
	}
	rpcResult(w, m.ID, result)
}

// page returns the entries from the cursor of a request, and the next cursor; false if the cursor is not one of the server.
func (s *Server) page(m *message, entries []any) (page []any, next string, ok bool) {
	from, size := 0, len(entries)
	if s.Policy.Pages != nil {
		size = cmp.Or(s.Policy.Pages(m.Method), size)
	}
	cursor, has := m.Params["cursor"]
	if size < 0 && !has {
		return []any{}, "from-0", true
	}
	if has {
		text, _ := cursor.(string)
		n, found := strings.CutPrefix(text, "from-")
		var err error
		if from, err = strconv.Atoi(n); !found || err != nil || from < 0 || from > len(entries) {
			return nil, "", false
		}
	}
	end := len(entries)
	if size >= 0 {
		end = min(from+size, end)
	}
	if end < len(entries) {
		next = "from-" + strconv.Itoa(end)
	}
	return entries[from:end], next, true
}

func (s *Server) call(w http.ResponseWriter, r *http.Request, m *message, who *caller, body []byte) {
	p := &s.Policy
	name, _ := m.Params["name"].(string)
	i := slices.IndexFunc(Tools, func(t Tool) bool { return t.Name == p.toolName(r, name) })
	if i < 0 {
		unknownTool(w, m)
		return
	}
	t := &Tools[i]
	if !p.has(ScopeFirst) {
		s.act(r.Context(), t.Name, m, who)
	}
	switch {
	case p.HidesTools && !s.permits(who, t.Name, t.Scope):
		unknownTool(w, m)
	case !p.forgets(r, m) && !s.permitted(who, name, t.Scope, body):
		s.insufficient(w, r, t.challenged(), m.ID)
	case t.ACR != "" && who.acr != t.ACR && who.static == nil && p.has(CheckACR):
		s.weakLogin(w, r, t.ACR)
	default:
		s.accepted(w, r, m, who, t)
	}
}

func unknownTool(w http.ResponseWriter, m *message) {
	rpcError(w, http.StatusOK, m.ID, -32602, "Unknown tool")
}

// accepted answers a call that its caller may make.
func (s *Server) accepted(w http.ResponseWriter, r *http.Request, m *message, who *caller, t *Tool) {
	p := &s.Policy
	if p.Called != nil {
		p.Called(r, t.Name)
	}
	switch {
	case p.has(ValidateArguments) && !p.valid(t, m):
		failedTool(w, m, "the arguments do not fit the schema")
	case s.screened(m):
		failedTool(w, m, "the arguments hold what is not taken here")
	case s.asks(w, r, m, who, t.Name): // which has answered
	case t.Name == "report" && asksForTask(m) && !p.NoTasks:
		s.newTask(w, m, who)
	case t.Name == "weather" || t.Name == "fetch_page":
		s.reach(w, r, m, t.Name)
	default:
		s.run(w, r, m, who, t)
	}
}

// run runs a tool that needs no other server, and answers with what it says.
func (s *Server) run(w http.ResponseWriter, r *http.Request, m *message, who *caller, t *Tool) {
	text, done := s.act(r.Context(), t.Name, m, who)
	switch {
	case !done && t.Name == "read_cart":
		failedTool(w, m, "there is no such cart")
		return
	case !done:
		return // cancelled: the call needs no answer
	}
	if !s.Policy.has(HideToken) {
		text += " " + r.Header.Get("Authorization") // the flaw
	}
	rpcResult(w, m.ID, map[string]any{"content": []any{map[string]any{"type": "text", "text": text}}})
}

// forgets reports a flaw: a call needs no scope.
func (p *Policy) forgets(r *http.Request, m *message) bool {
	return p.ForgetsScope != nil && p.ForgetsScope(r, m.Params)
}

// permitted checks a call as the policy demands.
func (s *Server) permitted(who *caller, name, scope string, body []byte) bool {
	p := &s.Policy
	if !p.has(LastNameCounts) { // the flaw: it checks another tool than the one that runs
		for _, found := range anyName.FindAllSubmatch(body, -1) {
			if known, ok := scopeOf(string(found[1])); ok {
				name, scope = string(found[1]), known
				break
			}
		}
	}
	return !p.has(HiddenNotCallable) && !s.lists(who, name, scope) || s.permits(who, name, scope)
}

var anyName = regexp.MustCompile(`"name"\s*:\s*"([^"]*)"`)

// anyOf returns scopes of which a tool needs at least one.
func anyOf(name string) []string {
	for _, t := range Tools {
		if t.Name == name {
			return t.AnyOf
		}
	}
	return nil
}

// challenged returns the scope that a refusal demands.
func (t *Tool) challenged() string {
	if len(t.AnyOf) > 0 {
		return strings.TrimSpace(t.Scope + " " + t.AnyOf[0])
	}
	return t.Scope
}

func scopeOf(name string) (scope string, known bool) {
	for _, t := range Tools {
		if t.Name == name {
			return t.Scope, true
		}
	}
	return "", false
}

// stream opens the server-sent event stream of a session.
func (s *Server) stream(w http.ResponseWriter, r *http.Request, who *caller) {
	if !s.Policy.Sessions || !strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
		w.Header().Set("Allow", "POST")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	if s.Policy.has(GuardVerbs) && !s.inSession(w, r, &message{}, who) {
		return
	}
	watch := s.watch(r, who)
	watch.session = r.Header.Get("Mcp-Session-Id")
	if s.Policy.OneStream > 0 {
		leave, free := s.takePlace(watch.session)
		if !free {
			rpcError(w, http.StatusConflict, nil, -32000, "Conflict: the session has a stream")
			return
		}
		defer leave()
	}
	s.deliver(w, r, watch, s.missed(watch.session, r.Header.Get("Last-Event-ID")))
}

func (s *Server) end(w http.ResponseWriter, r *http.Request, who *caller) {
	if !s.Policy.Sessions {
		w.Header().Set("Allow", "POST")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	if s.Policy.has(GuardVerbs) && !s.inSession(w, r, &message{}, who) {
		return
	}
	s.forget(r)
	w.WriteHeader(http.StatusNoContent)
}

func rpcResult(w http.ResponseWriter, id json.RawMessage, result any) {
	writeJSON(w, http.StatusOK, map[string]any{"jsonrpc": "2.0", "id": id, "result": result})
}

func rpcError(w http.ResponseWriter, status int, id json.RawMessage, code int, text string) {
	rpcErrorData(w, status, id, code, text, nil)
}

func rpcErrorData(w http.ResponseWriter, status int, id json.RawMessage, code int, text string, data any) {
	e := map[string]any{"code": code, "message": text}
	if data != nil {
		e["data"] = data
	}
	doc := map[string]any{"jsonrpc": "2.0", "error": e}
	if len(id) > 0 {
		doc["id"] = id
	}
	writeJSON(w, status, doc)
}

// permits reports whether a caller has the scope that a tool needs.
func (s *Server) permits(who *caller, tool, scope string) bool {
	p := &s.Policy
	if who.also != nil && s.permits(who.also, tool, scope) {
		return true
	}
	if who.static != nil {
		return who.static.permits(p, tool)
	}
	if !p.has(CheckScopes) || tool == p.UnguardedTool {
		return true
	}
	all, alternatives := strings.Fields(scope), anyOf(tool)
	lacks := func(needed string) bool { return !p.holds(who, needed) }
	if !p.has(AllScopes) && len(all) > 1 {
		return slices.ContainsFunc(all, func(needed string) bool { return !lacks(needed) }) // the flaw
	}
	return !slices.ContainsFunc(all, lacks) &&
		(len(alternatives) == 0 || slices.ContainsFunc(alternatives, func(needed string) bool { return !lacks(needed) }))
}

// holds reports whether a caller has a scope, or a broader one.
func (p *Policy) holds(who *caller, scope string) bool {
	if !p.has(WholeScope) {
		return strings.Contains(strings.ToLower(strings.Join(who.scopes, " ")), scope)
	}
	return slices.ContainsFunc(who.scopes, func(held string) bool {
		return held == scope || held == "mcp:tool:*" && strings.HasPrefix(scope, "mcp:tool:") || !p.has(ToolScopeIsName) &&
			patterned(held, scope) || slices.Contains(p.Implies[held], scope) || !p.has(ImplyDownwards) && slices.Contains(p.Implies[scope], held)
	})
}

// patterned is a flaw: a scope is a pattern, and its case does not matter.
func patterned(held, scope string) bool {
	ok, err := path.Match(strings.ToLower(held), strings.ToLower(scope))
	return err == nil && ok && strings.HasPrefix(strings.ToLower(held), "mcp:")
}

// weakLogin demands a stronger login (RFC 9470 section 3).
func (s *Server) weakLogin(w http.ResponseWriter, r *http.Request, acr string) {
	metadata := s.base(r) + prm + s.endpoint.Path
	status, field := http.StatusUnauthorized,
		bearer(metadata, "insufficient_user_authentication", "", "A stronger login is needed")+`, acr_values="`+acr+`"`
	if !s.Policy.has(ACRError) {
		status, field = http.StatusForbidden, bearer(metadata, "insufficient_scope", "notes:read", "A stronger login is needed") // the flaw
	}
	w.Header().Set("WWW-Authenticate", field)
	writeJSON(w, status, map[string]any{"error": "insufficient_user_authentication"})
}

// insufficient refuses a call with a missing scope (OAuth 2.1 section 5.3.2).
func (s *Server) insufficient(w http.ResponseWriter, r *http.Request, scope string, id json.RawMessage) {
	p := &s.Policy
	if !p.has(ScopeOverHTTP) {
		rpcResult(w, id, map[string]any{"isError": true, "content": []any{map[string]any{"type": "text", "text": "Insufficient permissions"}}})
		return
	}
	if p.ScopeStatus == http.StatusOK {
		rpcError(w, http.StatusOK, id, -32000, "Insufficient permissions")
		return
	}
	metadata := s.base(r) + prm + s.endpoint.Path
	field := bearer(metadata, "insufficient_scope", scope, "The tool needs another scope")
	if p.ScopeChallenge != nil {
		field = p.ScopeChallenge(metadata, scope)
	}
	if field != "" {
		w.Header().Set("WWW-Authenticate", field)
	}
	writeJSON(w, p.ScopeStatus, map[string]any{"error": "insufficient_scope"})
}
