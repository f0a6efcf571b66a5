package credentials

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/nearmiss"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func static() {
	Practice("RS-STATIC-TOKEN-ACCEPTED", acceptsStaticTokens)
	Must("RS-STATIC-TOKEN-NEAR-MISS", comparesWholeTokens)
	Must("RS-STATIC-TOKEN-PERMISSIONS", limitsTokens)
	Practice("RS-STATIC-ENTROPY", hasUnguessableSecrets)
	Practice("RS-STATIC-EXPIRY-REVOCATION", refusesWithdrawnCredentials)
}

// rowsOf are credentials by their names.
func rowsOf(all []Credential) (out Cases[Credential]) {
	for _, c := range all {
		out = out.And(c.Name, c)
	}
	return out
}

// presented is the protected request with a credential. An edit is another value instead.
func presented(t *T, c Credential) Attempt[string] {
	return Attempt[string]{Name: "the request with " + c.Name, Good: expect.BeServed(), Send: func(edits ...string) any {
		value := c.Value
		for _, e := range edits {
			value = e
		}
		return t.Send(t.MCP.CallFor(c).With(c.With(value)))
	}}
}

func acceptsStaticTokens(t *T) {
	Each(t, rowsOf(t.MCP.StaticTokens()), func(t *T, c Credential) {
		if t.Expect(presented(t, c).Send()).To(t.MCP.Serve()) {
			later(t, c)
			identity(t, c)
		}
	})
}

func comparesWholeTokens(t *T) {
	Each(t, rowsOf(t.MCP.StaticTokens()), func(t *T, c Credential) {
		rows := resembling(t, c)
		if c.User != "" {
			rows = rows.And("the name of its user", c.User)
		}
		Refuses(t, presented(t, c), rows, expect.NotBypass())
		raw := RawCall(t, t.MCP.CallFor(c), "Authorization: Bearer "+t.Hide(c.Value+"\x00x")+"\r\n")
		t.Expect(t.Do(raw), "a NUL and a letter after it").To(expect.NotBypass())
	})
}

// resembling are near misses of a credential that fit into a header field. White space around a value is not part of it (RFC 9110
// section 5.5). Another request sends NUL, because no HTTP library does.
func resembling(t *T, c Credential) (out Cases[string]) {
	for _, m := range nearmiss.Of(c.Value, nearmiss.Except(nearmiss.Space, nearmiss.Null)...) {
		out = out.And(m.Name, hide(t, m.Value))
	}
	return out.And("its first half", hide(t, c.Value[:len(c.Value)/2])).And("in quotes", hide(t, `"`+c.Value+`"`)).
		And("in base64", hide(t, base64.StdEncoding.EncodeToString([]byte(c.Value)))).And("URL-encoded, all of it", hide(t, escaped(c.Value)))
}

// hide keeps values out of reports from which a secret could be guessed.
func hide(t *T, value string) string {
	if len(value) < 8 {
		return value
	}
	return t.Hide(value)
}

func escaped(v string) string {
	var out strings.Builder
	for i := 0; i < len(v); i++ {
		fmt.Fprintf(&out, "%%%02X", v[i])
	}
	return out.String()
}

func limitsTokens(t *T) { permissions(t, t.MCP.StaticTokens()) }

func hasUnguessableSecrets(t *T) {
	all := append(t.MCP.StaticTokens(), t.MCP.APIKeys()...)
	Each(t, rowsOf(all), func(t *T, c Credential) {
		if strings.Count(c.Value, ".") == 2 && c.Header == "" {
			t.NotApplicable("a JWT is signed, not remembered")
		}
		var others []string
		for _, other := range all {
			if other.Name != c.Name {
				others = append(others, other.Value)
			}
		}
		bits := guessing(c.Value, others)
		if t.Expect(bits).To(haveBits(80)) {
			t.Expect(bits).Ideally(haveBits(128))
		}
	})
}

var haveBits = expect.Family("haveBits", func(n float64) expect.Matcher {
	return expect.That("at least 128 bits that cannot be guessed", func(bits float64) string {
		if bits >= n {
			return ""
		}
		return fmt.Sprintf("about %.0f bits", bits)
	})
})

func refusesWithdrawnCredentials(t *T) {
	Each(t, rowsOf(t.MCP.Withdrawn()), func(t *T, c Credential) {
		t.Expect(t.Send(t.MCP.Call().With(c.Field())), "after it was withdrawn").To(expect.NotBypass())
	})
	if alive := append(t.MCP.StaticTokens(), t.MCP.APIKeys()...); len(alive) > 0 {
		t.MCP.ControlOf(alive[0])
	}
}

// later expects that a credential is accepted after the first request too.
func later(t *T, c Credential) {
	t.Expect(t.MCP.CallMethodAs("tools/list", c.Field()), "tools/list after the first request").To(countStill)
}

var countStill = expect.That("an accepted credential, as in the first request", func(ex *reports.Exchange) string {
	if expect.Status(ex) != 401 && !expect.Crashed(ex) {
		return ""
	}
	return expect.Describe(ex)
})

// identity compares the identity that the target gives the bearer of a credential with the declared one.
func identity(t *T, c Credential) {
	tool, ok := t.MCP.WhoAmI()
	if !ok {
		Untried(t, "who calls with "+c.Name, "a tool that tells who calls (tools in the target file, tells)")
	}
	if !ok || c.User == "" || !c.Permits(tool.Name) {
		return
	}
	if ex := t.MCP.CallToolAs(tool, c.Field()); expect.Ran(ex) {
		t.Expect(ex, "the bearer").To(name(c.User))
	}
}

var name = expect.Family("name", func(user string) expect.Matcher {
	return expect.That("the caller "+user, func(ex *reports.Exchange) string {
		if strings.Contains(Text(ex), user) {
			return ""
		}
		return Text(ex)
	})
})

// permissions calls every declared tool with every credential: first where that is permitted.
func permissions(t *T, all []Credential) {
	ran := map[string]bool{}
	Each(t, cells(t, all, true), func(t *T, x cell) {
		t.MCP.ControlOf(x.by)
		ex := t.MCP.CallToolAs(x.tool, x.by.Field())
		ran[x.tool.Name] = ran[x.tool.Name] || expect.Ran(ex)
		t.Expect(ex).Ideally(bePermitted) // a server may be stricter than declared
	})
	forbidden := cells(t, all, false)
	if len(forbidden) == 0 {
		t.NotApplicable("every credential given may call every tool given")
	}
	some := slices.Contains(slices.Collect(maps.Values(ran)), true)
	Each(t, forbidden, func(t *T, x cell) { x.refuse(t, ran[x.tool.Name] || x.tool.DeniedOnly && some) })
}

// cell is a call of a tool with a credential.
type cell struct {
	by   Credential
	tool Tool
}

// cells are the calls that are permitted, or those that are not.
func cells(t *T, all []Credential, permitted bool) (out Cases[cell]) {
	for _, c := range all {
		for _, tool := range t.Tools {
			if c.Permits(tool.Name) == permitted && !(permitted && tool.DeniedOnly) {
				out = out.And(c.Name+" calls "+tool.Name, cell{c, tool})
			}
		}
	}
	return out
}

// refuse expects the call to be refused. The answer may be the same as for a tool that does not exist. An error of a tool that was
// never seen to run may have any cause.
func (x cell) refuse(t *T, ran bool) {
	t.MCP.ControlOf(x.by)
	caller := t.MCP.Caller(x.by.Field())
	ex := caller.CallTool(x.tool)
	hidden := ran && t.MCP.Unknown(ex, x.tool, x.by.Field())
	if s := expect.Status(ex); (!ran || x.tool.DeniedOnly) && !hidden && !expect.Ran(ex) && !expect.RefusedInside(ex) &&
		(s < 300 || s == 404) && expect.NoAnswer(ex) == "" {
		t.Inconclusive("an error that is not an HTTP 403, from a tool that no credential was seen to run; give arguments that work: %s",
			expect.Describe(ex))
	}
	if t.Expect(ex).To(expect.NotRun()) && !hidden {
		t.Expect(ex).Ideally(expect.BeForbidden())
	}
	if expect.Ran(caller.CallTool(Nonexistent(x.tool))) {
		t.Note("%s by similar names: not tried, since a tool that does not exist seems to run, too", x.tool.Name)
		return
	}
	for _, m := range nearmiss.Of(x.tool.Name, nearmiss.LetterCase, nearmiss.Space, nearmiss.Encoded, nearmiss.Null) {
		near := x.tool
		near.Name = m.Value
		t.Expect(caller.CallTool(near), "by another name: %s", m.Name).To(expect.NotRun())
	}
}

var bePermitted = expect.That("a served call, as declared", func(ex *reports.Exchange) string {
	if s := expect.Status(ex); s != 401 && s != 403 {
		return ""
	}
	return expect.Describe(ex)
})
