// Package session holds the checks on MCP sessions: names of state, never credentials.
package session

import (
	"encoding/base64"
	"regexp"
	"strings"

	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/survey"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// Register registers the area.
func Register() {
	Describe("MCP Security Best Practices: state handles", handles)
	Describe("MCP Security Best Practices: Session Hijacking", hijacking)
	Describe("MCP Transports: Session Management", management)
	Describe("MCP Security Best Practices: Session Hijacking", users)
	Describe("MCP: notifications and their streams", streams)
	Describe("MCP Tasks: Task Isolation and Access Control", tasks)
	Describe("MCP 2026-07-28: multi round-trip requests", requestStates)
	Describe("MCP Transports: requests of several callers at once", isolation)
}

func hijacking() {
	// "MCP servers MUST NOT use sessions for authentication."
	Must("RS-SESSION-NOT-AUTHENTICATION", func(t *T) {
		session := OpenSession(t)
		t.Expect(t.Send(session.Method("tools/list", nil).With(t.MCP.BearerField())), "tools/list in the session with the valid token").To(expect.Accept())
		for _, method := range []string{"tools/list", "ping", "notifications/initialized", "tools/call"} {
			if t.MCP.Public(method) {
				continue // public by the server's own behaviour
			}
			c := session.Method(method, nil)
			if method == "tools/call" {
				c = session.Method(method, map[string]any{"name": "mcpauth_no_such_tool", "arguments": map[string]any{}})
			}
			refuse(t, c, method+" with the session id alone")
			refuse(t, c.With(mcp.Bearer(survey.BogusToken)), method+" with the session id and a bad token")
		}
	})

	Must("RS-SESSION-STREAM-NEEDS-TOKEN", func(t *T) {
		session := OpenSession(t)
		for _, verb := range []string{"GET", "DELETE"} {
			refuse(t, session.Using(verb), verb+" with the session id alone")
			refuse(t, session.Using(verb).With(mcp.Bearer(survey.BogusToken)), verb+" with the session id and a bad token")
		}
		refuse(t, session.Using("GET").With(mcp.Field("Last-Event-ID", "1")), "resumption with the session id alone")
		t.Expect(t.Send(session.Method("tools/list", nil).With(t.MCP.BearerField())), "the session afterwards, with the valid token").To(expect.Accept())
	})

	Must("RS-SESSION-ID-ENTROPY", func(t *T) {
		var ids []string
		for range 5 {
			ids = append(ids, OpenSession(t).SessionID)
		}
		seen := map[string]bool{}
		for _, id := range ids {
			switch {
			case seen[id]:
				t.Unmet(nil, "a new id for every session", "the same one twice")
			case strings.Contains(id, t.MCP.Token()):
				t.Unmet(nil, "an id without the access token", "the token stands in it")
			case timeUUID.MatchString(id):
				t.Unmet(nil, "ids from a secure random generator", "a version 1 UUID, which is made of time and address")
			case sortedUUID.MatchString(id):
				t.Advise(nil, "128 random bits", "a version 7 UUID has 74")
			}
			seen[id] = true
		}
		if bits := varying(ids); bits < 64 {
			t.Unmet(nil, "ids that cannot be guessed", "at most %d bits vary among five ids of %d characters", bits, len(ids[0]))
		}
	})

	Practice("RS-SESSION-FIXATION", func(t *T) {
		const chosen = "mcpauth-chosen-session-0001"
		ex := t.Send(mcp.Initialize(t.Survey.Endpoint, t.Revision).InSession(chosen).With(t.MCP.BearerField()))
		if expect.Header(ex, "Mcp-Session-Id") == chosen {
			t.Unmet(ex, "an id of the server's own choice", "the id that the client sent with initialize was adopted")
		}
		unknown := mcp.Call{Endpoint: t.Survey.Endpoint, Revision: t.Revision}.InSession(Random(18)).Method("tools/list", nil)
		if ex := t.Send(unknown.With(t.MCP.BearerField())); expect.Accepted(ex) {
			t.Advise(ex, "an unknown session id to be refused", "%s", expect.Describe(ex))
		}
	})

	Practice("RS-SESSION-NOT-BEFORE-AUTH", func(t *T) {
		for _, ex := range []struct {
			about string
			call  mcp.Call
		}{{"no credentials", t.MCP.Call()}, {"a bad token", t.MCP.Call().With(mcp.Bearer(survey.BogusToken))}} {
			answer := t.MCP.Anonymous()
			if len(ex.call.Header) > 0 {
				answer = t.MCP.Bogus()
			}
			if expect.Status(answer) == 401 && expect.Header(answer, "Mcp-Session-Id") != "" {
				t.Advise(answer, "no session id on a refusal", "an Mcp-Session-Id comes with the 401 to %s", ex.about)
			}
		}
	})
}

// refuse expects 401, or 405 for a verb that is not offered, which a GET may say by 404 too; else 404 and
// 400 are refusals with the wrong sign.
func refuse(t *T, c mcp.Call, about string) {
	ex := t.Send(c)
	switch s := expect.Status(ex); {
	case s == 404 && c.Verb == "GET":
		t.Refused()
	case s == 404 || s == 400:
		t.Expect(ex, "%s", about).Ideally(expect.Refuse(401, 405))
	default:
		t.Expect(ex, "%s", about).To(expect.Refuse(401, 405))
	}
}

var (
	timeUUID   = regexp.MustCompile(`^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[16][0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}$`)
	sortedUUID = regexp.MustCompile(`^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-7[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}$`)
)

// varying bounds from above the entropy of ids: four bits for hex, six otherwise, for every position at
// which they differ.
func varying(ids []string) int {
	hex := true
	differ := 0
	for i := range ids[0] {
		for _, id := range ids {
			if len(id) != len(ids[0]) {
				return 8 * len(ids[0]) // different lengths: nothing can be said this way
			}
			if !strings.ContainsRune("0123456789abcdefABCDEF-", rune(id[i])) {
				hex = false
			}
		}
		for _, id := range ids[1:] {
			if id[i] != ids[0][i] {
				differ++
				break
			}
		}
	}
	if hex {
		return 4 * differ
	}
	return 6 * differ
}

func management() {
	Must("RS-SESSION-ID-CHARSET", func(t *T) {
		id := OpenSession(t).SessionID
		for i := 0; i < len(id); i++ {
			if id[i] < 0x21 || id[i] > 0x7e {
				t.Unmet(nil, "visible ASCII only, 0x21 to 0x7E", "byte 0x%02x at position %d", id[i], i)
				return
			}
		}
	})

	Must("RS-SESSION-UNKNOWN-ID", func(t *T) {
		session := OpenSession(t)
		ended := t.Send(session.Using("DELETE").With(t.MCP.BearerField()))
		if s := expect.Status(ended); s < 200 || s > 299 {
			t.NotApplicable("clients cannot end sessions here: DELETE is answered with %s", expect.Describe(ended))
		}
		t.Expect(t.Send(session.Method("tools/list", nil).With(t.MCP.BearerField())), "a terminated session, with the valid token").To(expect.Refuse(404))
		random := mcp.Call{Endpoint: t.Survey.Endpoint, Revision: t.Revision}.InSession(Random(18)).Method("tools/list", nil)
		t.Expect(t.Send(random.With(t.MCP.BearerField())), "a session that never was, with the valid token").To(expect.Refuse(404, 400))
		if !t.MCP.Public("tools/list") {
			t.Expect(t.Send(session.Method("tools/list", nil)), "a terminated session without a token").Ideally(expect.Refuse(401))
		}
	})

	// 2026-07-28 has no sessions: the field is ignored.
	Should("RS-SESSION-HEADER-IGNORED", func(t *T) {
		id := base64.RawURLEncoding.EncodeToString([]byte("mcpauth-session"))
		probe := t.MCP.Call().InSession(id)
		t.Expect(t.Send(probe), "a session id without a token").To(expect.Refuse(401))
		served := t.Send(probe.With(t.MCP.BearerField()))
		t.Expect(served, "a session id with the valid token").To(t.MCP.Serve())
		if expect.Header(served, "Mcp-Session-Id") != "" {
			t.Advise(served, "no Mcp-Session-Id in the answer", "one is set")
		}
	})
}
