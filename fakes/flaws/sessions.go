package flaws

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mcpauth/conformance/fakes/mcpserver"
	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/fixtures/seeded"
)

// sessionIDs are flaws of session ids, and of the requests for which an id is enough: one for each kind of request.
var sessionIDs = []Flaw{
	aloneFlaw("ping", "ping", holds(`"ping"`)),
	aloneFlaw("tool-call", "a call of a tool", holds(`"tools/call"`)),
	aloneFlaw("progress", "a request with a progress token", holds(`"progressToken"`)),
	aloneFlaw("notification", "a notification", holds(`"notifications/cancelled"`)),
	aloneFlaw("response", "a JSON-RPC response", holds(`"result"`)),
	aloneFlaw("batch", "a JSON-RPC batch", func(_ *http.Request, body []byte) bool { return strings.HasPrefix(string(body), "[") }),
	verbFlaw("stream", "GET, which opens a stream", func(r *http.Request, _ []byte) bool {
		return r.Method == http.MethodGet && r.Header.Get("Last-Event-ID") == ""
	}),
	verbFlaw("resumption", "GET with Last-Event-ID", func(r *http.Request, _ []byte) bool { return r.Header.Get("Last-Event-ID") != "" }),
	verbFlaw("end", "DELETE", func(r *http.Request, _ []byte) bool { return r.Method == http.MethodDelete }),
	{
		Name: "session-ended-by-anybody", Says: "DELETE without a token is refused, and ends the session.",
		Bend:    lacks(mcpserver.VerifyBeforeEnding),
		Noticed: []string{"RS-SESSION-STREAM-NEEDS-TOKEN"}, Row: "anyway", Also: []string{"RS-CHALLENGE-EVERY-HTTP-METHOD"},
	},
	{
		Name: "session-of-other-wire-alone", Says: "In the protocol without sessions, the id of a session is accepted instead of a token.",
		Bend:    policy(func(p *mcpserver.Policy) { p.SessionServes = holds("2026-07-28") }),
		Noticed: []string{"RS-SESSION-HEADER-IGNORED", "RS-CHALLENGE-EVERY-RPC-METHOD"}, Row: "a live session",
	},
	{
		Name: "session-upgraded", Says: "A session that was opened without a token gets the rights of the first token that is sent in it.",
		Bend: policy(func(p *mcpserver.Policy) {
			p.SessionShared = func(*http.Request, string) bool { return true }
			p.Lacks = append(p.Lacks, mcpserver.TokenInEveryRequest)
			p.Public = []string{"initialize", "notifications/initialized", "ping"}
		}),
		Noticed: []string{"RS-SESSION-NOT-BEFORE-AUTH"}, Row: "a session that was opened without a token",
		Also: []string{"RS-SESSION-*", "RS-CHALLENGE-*", "RS-STATIC-*", "RS-TRANSPORT-*", "RS-TOKEN-*"},
	},

	idFlaw("same", "All sessions have one id.", "same id", func(*http.Request) string { return "the-one-session" }),
	idFlaw("short", "Session ids have 32 random bits.", "bits vary", func(*http.Request) string {
		return fmt.Sprintf("%x", seeded.Fakes.Bytes(4))
	}),
	idFlaw("time-uuid", "Session ids are UUIDs of version 1.", "version 1", func(*http.Request) string { return uuid('1') }),
	idFlaw("sortable-uuid", "Session ids are UUIDs of version 7.", "version 7", func(*http.Request) string { return uuid('7') }),
	idFlaw("with-token", "Session ids contain the access token.", "access token", func(r *http.Request) string {
		return mcpserver.RandomID() + strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	}),
	idFlaw("growing", "Session ids are consecutive numbers of growing length.", "bits vary", func() func(*http.Request) string {
		var n atomic.Int64
		n.Store(7)
		return func(*http.Request) string { return fmt.Sprintf("%s%d", strings.Repeat("s", 30), n.Add(1)) }
	}()),
	idFlaw("hash-of-counter", "Session ids are the MD5 of a counter.", "MD5 of a small number", hashOf(md5Hex, 0)),
	idFlaw("hash-of-seconds", "Session ids are the SHA-256 of the time in seconds.", "SHA-256 of the time in seconds",
		hashOf(sha256Text, time.Second)),
	idFlaw("hash-of-milliseconds", "Session ids are UUIDs with the SHA-1 of the time in milliseconds.", "SHA-1 of the time in milliseconds",
		hashOf(sha1UUID, time.Millisecond)),
	idFlaw("hash-with-user", "Session ids are the SHA-256 of the user and the time in milliseconds.", "SHA-256 of the user, :",
		ofCaller(func(user, n string) string { return sha256Text(user + ":" + n) })),
	idFlaw("hash-with-word", "Session ids are the MD5 of a word and a counter.", "MD5 of session-",
		hashOf(func(n string) string { return md5Hex("session-" + n) }, 0)),
	idFlaw("named-uuid", "Session ids are UUIDs of version 5 for a counter.", "UUID of version 5",
		hashOf(func(n string) string { return namedUUID(sha1Sum, 5, n) }, 0)),
	idFlaw("old-named-uuid", "Session ids are UUIDs of version 3 for the time in seconds.", "UUID of version 3",
		hashOf(func(n string) string { return namedUUID(md5Sum, 3, n) }, time.Second)),
	idFlaw("hash-as-random-uuid", "Session ids look like random UUIDs, and are the MD5 of a counter.", "MD5, as a UUID,",
		hashOf(func(n string) string { return asUUID(md5Sum([]byte(n)), 4) }, 0)),
	idFlaw("user-and-time", "Session ids are the user and the time in base64.", "bits vary", ofCaller(func(user, n string) string {
		return base64.RawURLEncoding.EncodeToString([]byte(user + ":" + n))
	})),
	{
		Name: "session-of-a-form-adopted", Says: "A session id that a client chose is adopted, if it has the usual form.",
		Bend:    policy(func(p *mcpserver.Policy) { p.AdoptsSession = func(id string) bool { return len(id) == 32 } }),
		Noticed: []string{"RS-SESSION-FIXATION"}, Row: "the server's own form",
	},

	missFlaw("prefix", "A session is found by the beginning of its id.", "the last character left out", func(id, sent string) bool {
		return len(sent) > 8 && strings.HasPrefix(id, sent)
	}),
	missFlaw("longer", "What follows a session id is ignored.", "one character more", continued),
	missFlaw("end", "A session is found by the end of its id.", "the first character left out", func(id, sent string) bool {
		return len(sent) > 8 && strings.HasSuffix(id, sent)
	}),
	missFlaw("wildcard", "Session ids are patterns.", "* for its second half", func(id, sent string) bool {
		beginning, star := strings.CutSuffix(sent, "*")
		return star && beginning != "" && strings.HasPrefix(id, beginning)
	}),
	inRows(missFlaw("inherited-name", "Sessions are stored in a plain JavaScript object, which has members of its own.",
		"a member of every JavaScript object", made(inherited)), ofEveryObject...),

	{
		Name: "session-pollutes", Says: "The session id __proto__ changes every object of the server, which then understands no message.",
		Bend: polluted, Noticed: []string{"RS-SESSION-UNKNOWN-ID"}, Row: "the valid token, after",
	},

	endedFlaw("request", "a request in an ended session", func(_ *http.Request, method string) bool {
		return strings.HasSuffix(method, "/list")
	}),
	endedFlaw("notification", "a notification in an ended session", func(r *http.Request, method string) bool {
		return strings.HasPrefix(method, "notifications/")
	}),
	endedFlaw("stream", "GET in an ended session", func(r *http.Request, _ string) bool { return r.Method == http.MethodGet }),
	endedFlaw("end", "DELETE once more", func(r *http.Request, _ string) bool { return r.Method == http.MethodDelete }),
	{
		Name: "session-gone-400", Says: "What is sent in an ended session is answered 400.",
		Bend: policy(func(p *mcpserver.Policy) { p.GoneStatus = http.StatusBadRequest }), Noticed: []string{"RS-SESSION-UNKNOWN-ID"},
		Row: "an ended session",
	},
	{
		Name: "session-gone-401", Says: "What is sent in an ended session is answered 401.",
		Bend: policy(func(p *mcpserver.Policy) { p.GoneStatus = http.StatusUnauthorized }), Noticed: []string{"RS-SESSION-UNKNOWN-ID"},
		Row: "an ended session", Also: []string{"RS-SESSION-FIXATION"},
	},
}

// sharedSessions are flaws of who may use a session, a handle, a task or a request state.
var sharedSessions = []Flaw{
	sharedFlaw("ping", "ping", func(_ *http.Request, method string) bool { return method == "ping" }),
	sharedFlaw("notification", "a notification", func(_ *http.Request, method string) bool {
		return strings.HasPrefix(method, "notifications/")
	}),
	sharedFlaw("response", "a JSON-RPC response", func(r *http.Request, method string) bool {
		return method == "" && r.Method == http.MethodPost
	}),
	sharedFlaw("stream", "GET, which opens a stream", func(r *http.Request, _ string) bool {
		return r.Method == http.MethodGet && r.Header.Get("Last-Event-ID") == ""
	}),
	sharedFlaw("resumption", "GET with Last-Event-ID", func(r *http.Request, _ string) bool { return r.Header.Get("Last-Event-ID") != "" }),
	sharedFlaw("level", "logging/setLevel", func(_ *http.Request, method string) bool { return method == "logging/setLevel" }),
	sharedFlaw("subscription", "resources/subscribe", func(_ *http.Request, method string) bool { return method == "resources/subscribe" }),
	sharedFlaw("end-of-subscription", "resources/unsubscribe", func(_ *http.Request, method string) bool {
		return method == "resources/unsubscribe"
	}),
	sharedFlaw("end", "DELETE", func(r *http.Request, _ string) bool { return r.Method == http.MethodDelete }),

	weakNameFlaw("handle-prefix", "RS-SESSION-HANDLE-OWNERSHIP", "the last character left out", func(p *mcpserver.Policy) {
		p.TakesHandle = beginning
	}),
	weakNameFlaw("handle-longer", "RS-SESSION-HANDLE-OWNERSHIP", "one character more", func(p *mcpserver.Policy) {
		p.TakesHandle = continued
	}),
	inRows(weakNameFlaw("handle-inherited", "RS-SESSION-HANDLE-OWNERSHIP", "a member of every JavaScript object",
		func(p *mcpserver.Policy) { p.TakesHandle = made(inherited) }), ofEveryObject...),
	inRows(weakNameFlaw("task-inherited", "RS-SESSION-TASK-OWNERSHIP", "a member of every JavaScript object",
		func(p *mcpserver.Policy) { p.TakesTask = made(inherited) }), ofEveryObject...),
	weakNameFlaw("task-prefix", "RS-SESSION-TASK-OWNERSHIP", "the last character left out", func(p *mcpserver.Policy) {
		p.TakesTask = beginning
	}),
	sealFlaw("missing", "without what follows the first point", func(sent, _ string) bool { return sent == "" }),
	sealFlaw("empty", "with an empty part after the last point", func(sent, _ string) bool { return sent == "" }),
	sealFlaw("longer", "four characters more at its end", func(sent, right string) bool { return strings.HasPrefix(sent, right) }),
	sealFlaw("beginning", "a character near its end changed", func(sent, right string) bool {
		return len(sent) > 8 && sent[:8] == right[:8]
	}),
	sealFlaw("short", "its last four characters left out", func(sent, right string) bool {
		return sent != "" && strings.HasPrefix(right, sent)
	}),
	{
		Name: "state-of-second-tool", Says: "One tool of two accepts any request state of the usual length.", Row: "send_card",
		Bend: policy(func(p *mcpserver.Policy) {
			p.TakesStateOf = func(tool, sent string) bool { return tool == "send_card" && len(sent) > 60 }
		}),
		Noticed: []string{"RS-SESSION-REQUESTSTATE-INTEGRITY", "RS-SESSION-REQUESTSTATE-BINDING"},
	},
	weakNameFlaw("task-longer", "RS-SESSION-TASK-OWNERSHIP", "one character more", func(p *mcpserver.Policy) { p.TakesTask = continued }),
}

// renewedSessions show after a login.
var renewedSessions = []Flaw{
	{
		Name: "session-ends-with-refresh", Says: "A session belongs to the token that opened it, also after a refresh.",
		Bend: lacks(mcpserver.SessionOutlivesToken), Noticed: []string{"RS-SESSION-TOKEN-RENEWAL"}, Row: "a refreshed token",
		Also: []string{"RS-SESSION-*"},
	},
	{
		Name: "streams-outlive-revocation", Says: "A stream stays open after its token was revoked.", Row: "the token is revoked",
		Bend: lacks(mcpserver.StreamsRevoked), Noticed: []string{"RS-SESSION-STREAM-EXPIRY"},
	},
}

func beginning(id, sent string) bool { return len(sent) > 8 && strings.HasPrefix(id, sent) }

func continued(id, sent string) bool { return strings.HasPrefix(sent, id) }

func holds(text string) func(*http.Request, []byte) bool {
	return func(_ *http.Request, body []byte) bool { return strings.Contains(string(body), text) }
}

func aloneFlaw(name, row string, enough func(*http.Request, []byte) bool) Flaw {
	return Flaw{
		Name: "session-alone-" + name, Says: "The id of a session is enough for " + row + ".", Row: row,
		Bend:    policy(func(p *mcpserver.Policy) { p.SessionServes = enough }),
		Noticed: []string{"RS-SESSION-NOT-AUTHENTICATION"},
		Also:    []string{"RS-SESSION-HEADER-IGNORED", "RS-CHALLENGE-EXISTING-TOOLS", "RS-CHALLENGE-EVERY-*"},
	}
}

func verbFlaw(name, row string, enough func(*http.Request, []byte) bool) Flaw {
	f := aloneFlaw(name, row, enough)
	f.Noticed = []string{"RS-SESSION-STREAM-NEEDS-TOKEN"}
	return f
}

// hashOf makes ids of the time in a unit, or of a counter without a unit. No two are the same.
func hashOf(id func(string) string, unit time.Duration) func(*http.Request) string {
	var last atomic.Int64
	return func(*http.Request) string {
		n := last.Add(1)
		if unit > 0 {
			n = max(n, time.Now().UnixNano()/int64(unit))
			last.Store(n)
		}
		return id(fmt.Sprint(n))
	}
}

func md5Hex(text string) string { return fmt.Sprintf("%x", md5.Sum([]byte(text))) }

func sha256Text(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func sha1UUID(text string) string {
	sum := sha1.Sum([]byte(text))
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}

func md5Sum(b []byte) []byte { s := md5.Sum(b); return s[:] }

func sha1Sum(b []byte) []byte { s := sha1.Sum(b); return s[:] }

// namedUUID is the UUID of a name that is a URL (RFC 9562 section 6.6).
func namedUUID(sum func([]byte) []byte, version byte, name string) string {
	const ofURLs = "\x6b\xa7\xb8\x11\x9d\xad\x11\xd1\x80\xb4\x00\xc0\x4f\xd4\x30\xc8"
	return asUUID(sum([]byte(ofURLs+name)), version)
}

// asUUID makes a UUID of a version of a hash.
func asUUID(sum []byte, version byte) string {
	sum[6], sum[8] = sum[6]&0x0f|version<<4, sum[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}

// ofCaller makes ids of the user of the token and the time in milliseconds.
func ofCaller(id func(user, n string) string) func(*http.Request) string {
	var user atomic.Value
	made := hashOf(func(n string) string { return id(user.Load().(string), n) }, time.Millisecond)
	return func(r *http.Request) string {
		_, claims := parts(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
		sub, _ := claims["sub"].(string)
		user.Store(sub)
		return made(r)
	}
}

func idFlaw(name, says, row string, id func(*http.Request) string) Flaw {
	return Flaw{
		Name: "session-id-" + name, Says: says, Bend: policy(func(p *mcpserver.Policy) { p.NewSessionID = id }),
		Noticed: []string{"RS-SESSION-ID-ENTROPY"}, Row: row, Also: []string{"RS-SESSION-*", "RS-ABUSE-SECRETS-IN-OUTPUT"},
	}
}

func missFlaw(name, says, row string, takes func(id, sent string) bool) Flaw {
	return Flaw{
		Name: "session-found-by-" + name, Says: says, Bend: policy(func(p *mcpserver.Policy) { p.TakesSession = takes }),
		Noticed: []string{"RS-SESSION-UNKNOWN-ID"}, Row: row,
	}
}

func endedFlaw(name, row string, serves func(*http.Request, string) bool) Flaw {
	return Flaw{
		Name: "session-ended-" + name, Says: "An ended session serves: " + row + ".", Row: row,
		Bend: policy(func(p *mcpserver.Policy) { p.ServesEnded = serves }), Noticed: []string{"RS-SESSION-UNKNOWN-ID"},
	}
}

func sharedFlaw(name, row string, shared func(*http.Request, string) bool) Flaw {
	return Flaw{
		Name: "session-shared-" + name, Says: "Another user may send in a session: " + row + ".", Row: row,
		Bend: policy(func(p *mcpserver.Policy) { p.SessionShared = shared }), Noticed: []string{"RS-SESSION-BOUND-TO-USER"},
	}
}

func weakNameFlaw(name, check, row string, bend func(p *mcpserver.Policy)) Flaw {
	return Flaw{
		Name: name, Says: "The lookup of a name finds another one: " + row + ".", Bend: policy(bend), Noticed: []string{check}, Row: row,
	}
}

// uuid returns a random UUID that claims to be of a version.
func uuid(version byte) string {
	text := []byte(fmt.Sprintf("%x", seeded.Fakes.Bytes(16)))
	text[12], text[16] = version, 'a'
	return fmt.Sprintf("%s-%s-%s-%s-%s", text[:8], text[8:12], text[12:16], text[16:20], text[20:])
}

func sealFlaw(name, row string, takes func(sent, right string) bool) Flaw {
	return weakNameFlaw("state-seal-"+name, "RS-SESSION-REQUESTSTATE-INTEGRITY", row, func(p *mcpserver.Policy) { p.TakesSeal = takes })
}

// polluted refuses each message of a user after a request with the session id __proto__, as a server does that writes to its prototype.
func polluted(o *reference.Options) {
	var broken atomic.Bool
	o.Wrap = before(func(w http.ResponseWriter, r *http.Request) bool {
		broken.CompareAndSwap(false, r.Header.Get("Mcp-Session-Id") == "__proto__")
		if !broken.Load() || r.Method != http.MethodPost || r.Header.Get("Authorization") == "" {
			return false
		}
		http.Error(w, `{"jsonrpc":"2.0","error":{"code":-32700,"message":"Parse error"},"id":null}`, http.StatusBadRequest)
		return true
	})
}
