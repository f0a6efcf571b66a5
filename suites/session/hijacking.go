package session

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/survey"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// "MCP servers MUST NOT use sessions for authentication."
func refusesSessionAlone(t *T) {
	r := enter(t)
	Refuses(t, r.request(t, r.main), named(r.main(r.call).RPC, nobodies()), refuseCaller(t, "401", 401))
	alone := func(t *T, m message) {
		if failed := r.offers(t, m); failed != nil {
			r.expectRefusalsBefore(t, m, failed)
			return
		}
		Refuses(t, r.request(t, m), nobodies(), refuseMessage(t, "401"))
	}
	Each(t, r.requests(), func(t *T, m message) {
		if method := m(r.call).RPC; t.MCP.Public(method) {
			t.NotApplicable("%s is public by the server's own behaviour", method)
		}
		alone(t, m)
	})
	Each(t, r.unanswered(), func(t *T, m message) {
		if t.MCP.PublicHandshake("notifications/initialized") {
			t.NotApplicable("the handshake is public, and so are messages without an answer")
		}
		alone(t, m)
	})
}

func named(prefix string, rows Cases[CallEdit]) Cases[CallEdit] {
	var out Cases[CallEdit]
	for _, row := range rows {
		out = out.And(prefix+" "+row.Name, row.Value)
	}
	return out
}

func guardsStreamsAndEnding(t *T) {
	r := enter(t)
	Each(t, openings(), func(t *T, m message) {
		r.mustBeOffered(t, m)
		Refuses(t, r.request(t, m), nobodies(), refuseCaller(t, "401", 401))
	})
	Each(t, resumptions(), func(t *T, m message) {
		if r.resumes(t, m) {
			Refuses(t, r.request(t, m), nobodies(), refuseCaller(t, "401", 401))
		}
	})
	Each(t, Cases[*room]{{"DELETE, which ends the session", r}}, func(t *T, r *room) {
		Refuses(t, r.end(t), nobodies(), endNothing("401"))
	})
}

// "MCP servers SHOULD bind session IDs to user-specific information."
func bindsSessionToUser(t *T) {
	stranger := t.MCP.SecondToken()
	t.MCP.MustOpenSession(stranger) // only the session is wrong in what follows
	r := enter(t)
	others := Cases[CallEdit]{{"with another user's token", Presenting(stranger)}}
	refused := refuseCaller(t, "403 or 404", 400, 401, 403, 404)
	Refuses(t, r.request(t, r.main), named(r.main(r.call).RPC, slices.Concat(others, namesakes(t))), refused)
	rest := slices.Concat(r.requests(), r.unanswered(), openings())
	Each(t, rest, func(t *T, m message) {
		r.mustBeOffered(t, m)
		Refuses(t, r.request(t, m), others, refuseMessage(t, "403 or 404"))
	})
	Each(t, resumptions(), func(t *T, m message) {
		if r.resumes(t, m) {
			Refuses(t, r.request(t, m), others, refuseMessage(t, "403 or 404"))
		}
	})
	Each(t, r.changes(t), func(t *T, c change) {
		Refuses(t, c.attempt(t, r), others, changeNothing)
	})
	Each(t, Cases[*room]{{"DELETE, which ends the session", r}}, func(t *T, r *room) {
		Refuses(t, r.end(t), others, endNothing("403 or 404"))
	})
}

// namesakes are users whose names resemble that of the session's user.
func namesakes(t *T) (rows Cases[CallEdit]) {
	for _, row := range t.MCP.Namesakes(t, "a session", "") {
		rows = rows.And("with the token of "+row.Name, Presenting(row.Value))
	}
	return rows
}

// opened is how many sessions are opened to compare their ids.
const opened = 6

// "MCP servers MUST use secure, non-deterministic session IDs."
func makesUnguessableIDs(t *T) {
	var ids []string
	began := t.MCP.Now()
	for range opened {
		ids = append(ids, OpenSession(t).SessionID)
	}
	t.Expect(ids, "%d session ids", opened).To(beRandomEnough(), beOfNoTime(), beNoHash(began, t.MCP.Now(), subject(t)),
		lackText(t.MCP.Token()))
	t.Expect(ids, "%d session ids", opened).Ideally(notBeSortable())
}

// subject is the user that the token names, if it is a JWT.
func subject(t *T) string {
	_, claims := oauth.Claims(t.MCP.Token())
	return claims.String("sub")
}

// enough is the number of bits that OWASP asks for (Session Management Cheat Sheet, Session ID Entropy). Below ideal, there is a
// warning.
const enough, ideal = 64, 112

var beRandomEnough = expect.Family("beRandomEnough", func() expect.Matcher {
	expected := fmt.Sprintf("ids of which %d bits or more vary (OWASP Session Management Cheat Sheet)", enough)
	return expect.That(expected, func(ids []string) string {
		if bits := expect.VaryingBits(ids); len(distinct(ids)) < len(ids) {
			return "two sessions have the same id"
		} else if bits < enough {
			return fmt.Sprintf("at most %d bits vary among %d ids", bits, len(ids))
		}
		return ""
	})
})

func distinct(ids []string) map[string]bool {
	out := map[string]bool{}
	for _, id := range ids {
		out[id] = true
	}
	return out
}

var (
	timeUUID   = regexp.MustCompile(`^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[16][0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}$`)
	sortedUUID = regexp.MustCompile(`^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-7[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}$`)
)

// RFC 9562 section 8: UUIDs of versions 1 and 6 contain time and address.
var beOfNoTime = expect.Family("beOfNoTime", func() expect.Matcher {
	return expect.That("ids of a secure random generator", func(ids []string) string {
		if slices.ContainsFunc(ids, timeUUID.MatchString) {
			return "a UUID of version 1 or 6, which is made of time and address"
		}
		return ""
	})
})

var lackText = expect.Family("lackText", func(token string) expect.Matcher {
	return expect.That("ids without the access token", func(ids []string) string {
		if slices.ContainsFunc(ids, func(id string) bool { return token != "" && strings.Contains(id, token) }) {
			return "the access token is in an id"
		}
		return ""
	})
})

var notBeSortable = expect.Family("notBeSortable", func() expect.Matcher {
	return expect.That(fmt.Sprintf("%d random bits or more", ideal), func(ids []string) string {
		if slices.ContainsFunc(ids, sortedUUID.MatchString) {
			return "a UUID of version 7 has 74"
		}
		if bits := expect.VaryingBits(ids); bits >= enough && bits < ideal {
			return fmt.Sprintf("at most %d bits vary", bits)
		}
		return ""
	})
})

// If an attacker can choose the id of a session, the attacker knows the id of the user's session.
func choosesItsOwnIDs(t *T) {
	r := enter(t)
	Each(t, Cases[string]{
		{"an id of words", "mcpauth-chosen-session-" + Random(9)},
		{"an id of the server's own form", t.Hide(sameForm(r.call.SessionID))},
	}, func(t *T, id string) {
		unknown := t.Send(t.MCP.Authorized(r.main(r.call.InSession(id))))
		t.Expect(unknown, "in a request").Ideally(refuseSession(t))
		ex := t.Send(t.MCP.Authorized(mcp.Initialize(t.Survey.Endpoint, r.call.Revision).InSession(id)))
		t.Expect(ex, "with initialize").To(expect.That("an id of the server's own choice", func(ex *reports.Exchange) string {
			if expect.Header(ex, "Mcp-Session-Id") == id {
				return "the id that the client sent is adopted"
			}
			return ""
		}))
		if !passed(t, unknown) {
			t.Expect(t.Send(t.MCP.Authorized(r.main(r.call.InSession(id)))), "in a request after initialize").To(refuseSession(t))
		}
	})
}

// refuseSession expects a refusal of an id that names no session. A client that is answered 401 throws a good token away.
var refuseSession = expect.Family("refuseSession", func(t *T) expect.Matcher {
	return expect.Advised(refuseMessage(t, "404 or 400"), "HTTP 404 or 400",
		func(ex *reports.Exchange) bool { return expect.Status(ex) == 400 || expect.Status(ex) == 404 })
})

// sameForm is another id of the same form: its last letters and digits are replaced by the next ones.
func sameForm(id string) string {
	b := []byte(id)
	for i := max(0, len(b)-12); i < len(b); i++ {
		switch c := b[i]; {
		case c == '9':
			b[i] = '0'
		case c == 'f', c == 'z':
			b[i] = 'a'
		case c == 'F', c == 'Z':
			b[i] = 'A'
		case c >= '0' && c < '9', c >= 'a' && c < 'z', c >= 'A' && c < 'Z':
			b[i]++
		}
	}
	return string(b)
}

// A refused request gets no session, and a session that was opened without a token does not get the rights of a token.
func opensNoSessionForStrangers(t *T) {
	Each(t, Cases[*reports.Exchange]{
		{"without a token", t.MCP.Anonymous()},
		{"with a bad token", t.MCP.Bogus()},
	}, func(t *T, ex *reports.Exchange) { t.Expect(ex).Ideally(setNoSession()) })
	if !t.MCP.PublicHandshake("initialize") || !t.MCP.HasToken() {
		return
	}
	Each(t, Cases[reports.Field]{{"a session that was opened without a token", t.MCP.BearerField()}}, staysAnonymous)
}

var setNoSession = expect.Family("setNoSession", func() expect.Matcher {
	return expect.That("no Mcp-Session-Id on a refusal", func(ex *reports.Exchange) string {
		if s := expect.Status(ex); (s == 401 || s == 403) && expect.Header(ex, "Mcp-Session-Id") != "" {
			return fmt.Sprintf("an Mcp-Session-Id comes with HTTP %d", s)
		}
		return ""
	})
})

func staysAnonymous(t *T, user reports.Field) {
	session, refused := t.MCP.SessionAs()
	if refused != nil || session.SessionID == "" {
		t.NotApplicable("no session with an id opens without a token")
	}
	protected := func(fields ...reports.Field) *reports.Exchange {
		call := t.MCP.Call().InSession(session.SessionID)
		return t.Send(call.With(fields...))
	}
	if before := protected(); passed(t, before) {
		t.NotApplicable("what is asked for is served without a token: %s", expect.Describe(before))
	}
	with := protected(user)
	if !passed(t, with) {
		t.NotApplicable("the session is not served with a token: %s", expect.Describe(with))
	}
	t.Expect(with, "a request with the valid token").AsControl(getPast(t))
	t.Expect(protected(), "a request without a token, after one with the valid token").To(refuseCaller(t, "401", 401))
	t.Expect(protected(mcp.Bearer(survey.BogusToken)), "a bad token, after the valid one").To(refuseCaller(t, "401", 401))
}
