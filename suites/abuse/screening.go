package abuse

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// honest are ordinary texts with words that filters look for.
var honest = Cases[string]{
	{"a file name", "see ../README.md for more"},
	{"the words union and select", "the union may select its delegates"},
	{"the word evaluate", "evaluate(x) at x = 0"},
	{"a less-than sign", "a scripture, < 10 pages"},
	{"the words drop and table", "drop the table by Tuesday"},
}

func screening() { Practice("RS-ABUSE-INPUT-SCREENING", screensTexts) }

func screensTexts(t *T) {
	x := writing(t)
	t.Expect(x.write("hello"), "%s with a plain text, which %s should show, is answered with", x.tool.Name, x.shows.Name).AsControl(haveEffect)
	for _, pattern := range t.Screening {
		Each(t, Cases[string]{{fmt.Sprintf("%q", pattern), pattern}}, func(t *T, pattern string) {
			t.Expect(t.Send(t.MCP.Call().Method("tools/call", x.tool.Marked(pattern).Params())), "without a token").To(expect.Refuse(401))
			if t.Expect(x.write(pattern)).To(haveNoEffect) {
				for _, disguised := range disguises(pattern) {
					t.Expect(x.write(disguised.Value), disguised.Name).Ideally(haveNoEffect)
				}
			}
		})
	}
	harmless := honest.Where(func(text string) bool { return !screened(text, t.Screening) })
	Each(t, harmless, func(t *T, text string) { t.Expect(x.write(text)).Ideally(haveEffect) })
}

// writer is a tool whose effect another tool shows.
type writer struct {
	t           *T
	token       string
	tool, shows Tool
}

func writing(t *T) writer {
	tool, shows, _ := t.MCP.EffectiveTool()
	if !t.Mint.Trusted() && (t.Session == nil || !t.Session.Ready) {
		return writer{t, t.MCP.Token(), tool, shows}
	}
	return writer{t, t.MCP.TokenWithScopes(Union(tool.Scopes(), shows.Scopes())...), tool, shows}
}

// written is the answer to a call, and whether it had its effect.
type written struct {
	*reports.Exchange
	shown  *reports.Exchange // shows whether the call had its effect
	worked bool
}

func (w written) Evidence() *reports.Exchange { return w.Exchange }

func (w written) Basis() []*reports.Exchange { return []*reports.Exchange{w.Exchange, w.shown} }

func (x writer) write(text string) written {
	mark := "mcpauth" + strings.ToLower(Random(6))
	ex := x.t.MCP.CallTool(x.token, x.tool.Marked(mark+" "+text))
	shown := x.t.MCP.CallTool(x.token, x.shows)
	if !x.t.MCP.Served(shown) {
		x.t.Inconclusive("%s does not show whether the text was written: %s", x.shows.Name, expect.Describe(shown))
	}
	return written{ex, shown, expect.Ran(ex) && strings.Contains(Text(shown), mark)}
}

var haveNoEffect = expect.Refusing("a refusal with HTTP 4xx or isError, as was declared", func(w written) string {
	if w.worked {
		return "the tool runs"
	}
	return ""
})

var haveEffect = expect.Serving("honest text accepted", func(w written) string {
	if w.worked {
		return ""
	}
	return expect.Describe(w.Exchange)
})

func screened(text string, patterns []string) bool {
	for _, p := range patterns {
		if strings.Contains(strings.ToLower(text), strings.ToLower(p)) {
			return true
		}
	}
	return false
}

// disguises are other encodings of a text that the screening must find.
func disguises(pattern string) Cases[string] {
	encoded := ""
	for _, c := range []byte(pattern) {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' {
			encoded += string(c)
		} else {
			encoded += fmt.Sprintf("%%%02x", c)
		}
	}
	return Cases[string]{
		{"in upper case", strings.ToUpper(pattern)},
		{"percent-encoded", encoded},
		{"with a comment for a space", strings.ReplaceAll(pattern, " ", "/**/")},
	}.Where(func(text string) bool { return text != pattern })
}

// elsewhere is another address of this machine: for a target on loopback it is another client.
var elsewhere = netip.MustParseAddr("127.0.0.2")

// longestBlock is the longest wait for the end of a block.
const longestBlock = 20 * time.Second

func blocking() { Practice("RS-ABUSE-ADDRESS-BLOCK", blocksOneAddress) }

func blocksOneAddress(t *T) {
	good := goodFrom(t)
	for _, from := range []netip.Addr{here, elsewhere} {
		t.Expect(good(from), "the valid token").AsControl(t.MCP.Serve())
	}
	ex, held := blockedBy(t, badToken(t), func() *reports.Exchange { return good(here) })
	if t.Expect(ex, "after %d bad tokens", t.BlockAfter*3/2).Ideally(beBlocked(t)) {
		lifted := good(here, mcp.Field("X-Forwarded-For", "203.0.113.7"), mcp.Field("User-Agent", "Mozilla/5.0"))
		if held() || !t.MCP.Served(good(here)) { // else the block may have ended by itself
			t.Expect(lifted, "with X-Forwarded-For of its own").To(stayBlocked(t))
		}
	}
	t.Expect(good(elsewhere), "another address, which the bad requests named in X-Forwarded-For").To(beBelowLimit(t))
	if t.BlockFor > longestBlock && t.BlockFor > t.MaxWait {
		t.Note("mcpauth does not wait for the end of the block, %v later", t.BlockFor)
		return
	}
	t.Sleep(t.BlockFor)
	last, _ := t.Eventually(func() bool { return t.MCP.Served(good(here)) })
	t.Expect(last, "after the block").To(beBelowLimit(t))
}

// here is the address that the system chooses.
var here netip.Addr

// goodFrom sends the protected request with the valid token from an address.
func goodFrom(t *T) func(from netip.Addr, fields ...reports.Field) *reports.Exchange {
	token := t.MCP.FirstToken()
	return func(from netip.Addr, fields ...reports.Field) *reports.Exchange {
		r := t.MCP.Call().With(mcp.Bearer(token)).With(fields...).Request()
		r.From = from
		return t.IgnoringLimits(r)
	}
}

// badToken is a request with a bad token, which claims another address.
func badToken(t *T) wire.Request {
	return t.MCP.Call().With(mcp.Bearer("mcpauth-not-a-token"), mcp.Field("X-Forwarded-For", elsewhere.String()),
		mcp.Field("Forwarded", "for="+elsewhere.String())).Request()
}

// blockedBy sends bad requests until the address should be blocked, and then a good one. A block may end before the good one arrives:
// held reports that it cannot have ended yet.
func blockedBy(t *T, bad wire.Request, good func() *reports.Exchange) (ex *reports.Exchange, held func() bool) {
	for range 3 {
		began := time.Now() // the block begins later
		held = func() bool { return time.Since(began) < t.BlockFor }
		for sent := 0; sent < t.BlockAfter*3/2+1; sent += 10 {
			t.AllIgnoringLimits(slices.Repeat([]wire.Request{bad}, 10))
		}
		if ex = good(); !t.MCP.Served(ex) || held() {
			return ex, held
		}
	}
	t.Inconclusive("%d bad tokens and a good one take longer than a block of %v: declare a longer block", t.BlockAfter*3/2, t.BlockFor)
	return nil, nil
}

var beBlocked = expect.Family("beBlocked", func(t *T) expect.Matcher {
	return expect.That("a block with HTTP 403 or 429, as was declared", func(ex *reports.Exchange) string {
		switch s := expect.Status(ex); {
		case t.MCP.Served(ex):
			return "the valid token is served"
		case s != 403 && s != 429:
			return expect.Describe(ex)
		}
		return ""
	})
})

var stayBlocked = expect.Family("stayBlocked", func(t *T) expect.Matcher {
	return expect.That("a block that the client cannot lift", func(ex *reports.Exchange) string {
		if t.MCP.Served(ex) {
			return "the request is served"
		}
		return ""
	})
})
