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

// honest are texts that hold nothing but words which filters look for.
var honest = []string{"see ../README.md for more", "the union may select its delegates", "evaluate(x) at x = 0", "a scripture, < 10 pages", "drop the table by Tuesday"}

func screening() {
	Practice("RS-ABUSE-INPUT-SCREENING", func(t *T) {
		tool, shows, _ := t.MCP.EffectiveTool()
		token := t.MCP.FirstToken()
		works := func(text string) (*reports.Exchange, bool) {
			mark := "mcpauth" + strings.ToLower(Random(6))
			ex := t.MCP.CallTool(token, tool.Marked(mark+" "+text))
			return ex, expect.Ran(ex) && strings.Contains(Text(t.MCP.CallTool(token, shows)), mark)
		}
		if ex, ok := works("hello"); !ok {
			t.Inconclusive("the control failed: %s with a plain text is answered with %s, or %s does not show it", tool.Name, expect.Describe(ex), shows.Name)
		}
		t.Controlled()
		for _, pattern := range t.Screening {
			t.Expect(t.Send(t.MCP.Call().Method("tools/call", tool.Marked(pattern).Params())), "%q without a token", pattern).To(expect.Refuse(401))
			ex, ran := works(pattern)
			switch {
			case ran:
				t.Finding(ex, fmt.Sprintf("%q", pattern), "a refusal, as was declared", "the tool runs")
				continue
			case expect.Crashed(ex):
				t.Finding(ex, fmt.Sprintf("%q", pattern), "a refusal with 4xx or isError", expect.Describe(ex))
			}
			t.Refused()
			for about, disguised := range Sorted(disguises(pattern)) {
				if ex, ran := works(disguised); ran {
					t.Advise(ex, "the same text refused however it is written", "%q, %s: the tool runs", pattern, about)
				}
			}
		}
		for _, text := range honest {
			if screened(text, t.Screening) {
				continue
			}
			if ex, ran := works(text); !ran {
				t.Advise(ex, "honest text accepted", "%q: %s", text, expect.Describe(ex))
			}
		}
	})
}

func screened(text string, patterns []string) bool {
	for _, p := range patterns {
		if strings.Contains(strings.ToLower(text), strings.ToLower(p)) {
			return true
		}
	}
	return false
}

// disguises are other ways to write a text that is to be screened.
func disguises(pattern string) map[string]string {
	encoded := ""
	for _, c := range []byte(pattern) {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' {
			encoded += string(c)
		} else {
			encoded += fmt.Sprintf("%%%02x", c)
		}
	}
	out := map[string]string{"in upper case": strings.ToUpper(pattern), "percent-encoded": encoded}
	if strings.Contains(pattern, " ") {
		out["with a comment for a space"] = strings.ReplaceAll(pattern, " ", "/**/")
	}
	for k, v := range out {
		if v == pattern {
			delete(out, k)
		}
	}
	return out
}

// elsewhere is another address of this machine, which a target on loopback takes for another client.
var elsewhere = netip.MustParseAddr("127.0.0.2")

// longestBlock is how long the end of a block is waited for.
const longestBlock = 20 * time.Second

func blocking() {
	Practice("RS-ABUSE-ADDRESS-BLOCK", func(t *T) {
		token := t.MCP.FirstToken()
		good := func(from netip.Addr, fields ...reports.Field) *reports.Exchange {
			r := t.MCP.Call().With(mcp.Bearer(token)).With(fields...).Request()
			r.From = from
			return t.IgnoringLimits(r)
		}
		here := netip.Addr{}
		for _, from := range []netip.Addr{here, elsewhere} {
			if ex := good(from); !t.MCP.Served(ex) {
				t.Inconclusive("the control failed: the valid token is answered with %s", expect.Describe(ex))
			}
		}
		t.Controlled()
		bad := t.MCP.Call().With(mcp.Bearer("mcpauth-not-a-token"), mcp.Field("X-Forwarded-For", elsewhere.String()), mcp.Field("Forwarded", "for="+elsewhere.String())).Request()
		ex, held := blockedBy(t, bad, func() *reports.Exchange { return good(here) })
		if t.MCP.Served(ex) {
			t.Advise(ex, fmt.Sprintf("a block after %d bad tokens, as was declared", t.BlockAfter), "none after %d", t.BlockAfter*3/2)
		} else if s := expect.Status(ex); s != 403 && s != 429 {
			t.Advise(ex, "HTTP 403 or 429 from a block", "%s", expect.Describe(ex))
		} else {
			t.Refused()
			lifted := good(here, mcp.Field("X-Forwarded-For", "203.0.113.7"), mcp.Field("User-Agent", "Mozilla/5.0"))
			if t.MCP.Served(lifted) && (held() || !t.MCP.Served(good(here))) {
				t.Finding(lifted, "with X-Forwarded-For of its own", "a block that the client cannot lift", "it is served")
			}
		}
		if other := good(elsewhere); !t.MCP.Served(other) {
			t.Finding(other, "another address, which the bad requests named in X-Forwarded-For", "to be served", expect.Describe(other))
		}
		if t.BlockFor > longestBlock && t.BlockFor > t.MaxWait {
			t.Note("the end of the block, %v later, is not waited for", t.BlockFor)
			return
		}
		t.Sleep(t.BlockFor)
		if ex, ok := t.Eventually(func() bool { return t.MCP.Served(good(here)) }); !ok {
			t.Finding(ex, "after the block", "the valid token to be served again", expect.Describe(ex))
		}
	})
}

// blockedBy sends bad requests until the address should be blocked, and then a good one. A block may end before the good one
// arrives: held reports that less time than that has passed so far.
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
