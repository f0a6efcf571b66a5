package credentials

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"unicode"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func static() {
	Practice("RS-STATIC-TOKEN-ACCEPTED", func(t *T) {
		for _, c := range t.MCP.StaticTokens() {
			if ex := t.Send(t.MCP.CallFor(c).With(c.Field())); !t.MCP.Served(ex) {
				t.Finding(ex, c.Name, "the token to be accepted", expect.Describe(ex))
				continue
			}
			later(t, c)
			identity(t, c)
		}
	})

	Must("RS-STATIC-TOKEN-NEAR-MISS", func(t *T) {
		for _, c := range t.MCP.StaticTokens() {
			call := t.MCP.CallFor(c)
			variants := []Variant{Call(call.With(c.With("")), "%s: nothing", c.Name)}
			if c.User != "" {
				variants = append(variants, Call(call.With(c.With(c.User)), "%s: the name of its user", c.Name))
			}
			for about, value := range Sorted(nearMisses(c.Value)) {
				variants = append(variants, Call(call.With(c.With(t.Hide(value))), "%s: %s", c.Name, about))
			}
			raw := RawCall(t, call, "Authorization: Bearer "+t.Hide(c.Value+"\x00x")+"\r\n")
			t.ExpectAll(append(variants, Variant{About: c.Name + ": a NUL and a letter after it", Request: raw}), expect.NotBypass())
			t.MCP.ControlOf(c)
		}
	})

	Must("RS-STATIC-TOKEN-PERMISSIONS", func(t *T) { permissions(t, t.MCP.StaticTokens()) })

	Practice("RS-STATIC-ENTROPY", func(t *T) {
		all := append(t.MCP.StaticTokens(), t.MCP.APIKeys()...)
		for i, c := range all {
			var others []string
			for j, other := range all {
				if i != j {
					others = append(others, other.Value)
				}
			}
			switch bits := guessing(c.Value, others); {
			case strings.Count(c.Value, ".") == 2 && c.Header == "": // a JWT is signed, not remembered
			case bits < 80:
				t.Finding(nil, c.Name, "at least 128 bits that nobody can guess", fmt.Sprintf("about %.0f", bits))
			case bits < 128:
				t.Advise(nil, "at least 128 bits that nobody can guess", "%s has about %.0f", c.Name, bits)
			}
		}
	})

	Practice("RS-STATIC-EXPIRY-REVOCATION", func(t *T) {
		for _, c := range t.MCP.Withdrawn() {
			t.Expect(t.Send(t.MCP.Call().With(c.Field())), "%s, which was withdrawn", c.Name).To(expect.NotBypass())
		}
		if alive := append(t.MCP.StaticTokens(), t.MCP.APIKeys()...); len(alive) > 0 {
			t.MCP.ControlOf(alive[0])
		}
	})
}

// later expects that a credential counts after the first request too.
func later(t *T, c Credential) {
	if ex := t.MCP.CallMethodAs("tools/list", c.Field()); expect.Status(ex) == 401 || expect.Crashed(ex) {
		t.Finding(ex, c.Name, "it to be accepted for tools/list as for the first request", expect.Describe(ex))
	}
}

// identity compares what the target takes the bearer of a credential for with what was declared.
func identity(t *T, c Credential) {
	tool, ok := t.MCP.WhoAmI()
	if !ok || c.User == "" || !c.Permits(tool.Name) {
		return
	}
	if ex := t.MCP.CallToolAs(tool, c.Field()); expect.Ran(ex) && !strings.Contains(Text(ex), c.User) {
		t.Finding(ex, c.Name, "its bearer to be "+c.User, "it is "+Text(ex))
	}
}

// nearMisses are values that resemble a credential, and are none.
func nearMisses(v string) map[string]string {
	out := map[string]string{
		"its first half": v[:len(v)/2], "without its last character": v[:len(v)-1], "a letter after it": v + "x", "in quotes": `"` + v + `"`,
		"twice, with a comma": v + "," + v, "in base64": base64.StdEncoding.EncodeToString([]byte(v)), "a look-alike letter": lookAlike(v),
	}
	if swapped := swapCase(v); swapped != v {
		out["its case inverted"] = swapped
	}
	if escaped := url.QueryEscape(v); escaped != v {
		out["URL-encoded"] = escaped
	}
	if len(v) > 72 { // where bcrypt stops reading
		out["its first 72 characters"] = v[:72]
	}
	return out
}

func swapCase(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsUpper(r) {
			return unicode.ToLower(r)
		}
		return unicode.ToUpper(r)
	}, s)
}

// lookAlike puts a Cyrillic letter in place of the last Latin one that has such a twin.
func lookAlike(s string) string {
	if i := strings.LastIndexAny(s, "aceopx"); i >= 0 {
		twin := map[byte]string{'a': "а", 'c': "с", 'e': "е", 'o': "о", 'p': "р", 'x': "х"}
		return s[:i] + twin[s[i]] + s[i+1:]
	}
	return s + "\u200b"
}

// permissions calls every declared tool with every credential: first where that is permitted.
func permissions(t *T, all []Credential) {
	ran, limited, undecided := map[string]bool{}, false, []string{}
	for _, c := range all {
		t.MCP.ControlOf(c)
		for _, tool := range t.Tools {
			if !c.Permits(tool.Name) || tool.DeniedOnly {
				continue
			}
			ex := t.MCP.CallToolAs(tool, c.Field())
			ran[tool.Name] = ran[tool.Name] || expect.Ran(ex)
			if s := expect.Status(ex); s == 401 || s == 403 {
				t.Finding(ex, c.Name+" calls "+tool.Name, "the call to be served, as declared", expect.Describe(ex))
			}
		}
	}
	for _, c := range all {
		for _, tool := range t.Tools {
			if c.Permits(tool.Name) {
				continue
			}
			limited = true
			ex := t.MCP.CallToolAs(tool, c.Field())
			if s := expect.Status(ex); !ran[tool.Name] && !expect.Ran(ex) && (s < 300 || s == 404) && !expect.Crashed(ex) {
				undecided = append(undecided, tool.Name) // nobody was seen to run it: the error may be about anything
				continue
			}
			refusal(t, ex, c.Name+" calls "+tool.Name)
		}
	}
	if len(undecided) > 0 && t.Unmistaken() {
		t.Inconclusive("%s: an error that is no HTTP 403, from a tool that no credential was seen to run; give arguments that work", strings.Join(undecided, ", "))
	}
	if !limited {
		t.NotApplicable("every credential given may call every tool given")
	}
}

// refusal judges the answer to a call that must not be served.
func refusal(t *T, ex *reports.Exchange, about string) {
	switch {
	case expect.Ran(ex):
		t.Finding(ex, about, "a refusal with HTTP 403", "the tool runs")
	case expect.Crashed(ex):
		t.Finding(ex, about, "a refusal with HTTP 403", expect.Describe(ex))
	case expect.Status(ex) != 403:
		t.Advise(ex, "a refusal with HTTP 403", "%s: %s", about, expect.Describe(ex))
	default:
		t.Refused()
	}
}
