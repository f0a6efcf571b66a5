package abuse

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// tooLong is when an answer to a costly request is late.
const tooLong = 5 * time.Second

func load() {
	Practice("RS-ABUSE-BODY-LIMIT", func(t *T) {
		limit := t.BodyLimit
		if limit+1024 > most {
			t.NotTested("more than %d MiB are never sent: declare a smaller limit on a test instance", most>>20)
		}
		if ex := t.Send(padded(t.MCP.Call().With(t.MCP.BearerField()), 2048)); !t.MCP.Served(ex) {
			t.Inconclusive("the control failed: a message with a parameter that nobody knows is answered with %s", expect.Describe(ex))
		}
		for about, anonymous := range Sorted(map[string]bool{"with the valid token": false, "without a token": true}) {
			call := t.MCP.Call()
			if !anonymous {
				call = call.With(t.MCP.BearerField())
				if ex := t.Send(padded(call, limit-1024)); !t.MCP.Served(ex) {
					t.Finding(ex, about, fmt.Sprintf("a body of %d bytes to be served, 1 KiB below the limit", limit-1024), expect.Describe(ex))
				}
			}
			for _, size := range []int{limit + 1024, min(10*limit, most)} {
				switch ex := t.Send(padded(call, size)); {
				case t.MCP.Served(ex):
					t.Finding(ex, about, fmt.Sprintf("a refusal of %d bytes, as the limit is %d", size, limit), "the request is served")
				case expect.Status(ex) >= 500:
					t.Finding(ex, about, "a refusal with HTTP 413", expect.Describe(ex))
				default: // a server may close the connection on who goes on sending
					t.Refused()
				}
			}
		}
		t.MCP.Control()
	})

	Practice("RS-ABUSE-DECOMPRESSION", func(t *T) {
		for about, call := range Sorted(bombs(t)) {
			if ex := t.Send(call); expect.Crashed(ex) {
				t.Finding(ex, about, "an answer below 500", expect.Describe(ex))
			} else {
				soon(t, ex, about)
				t.Refused()
			}
		}
		t.MCP.Control() // and it lives
	})

	Practice("RS-ABUSE-JWE-COST", func(t *T) {
		if ex := t.Send(t.MCP.Call().With(mcp.Bearer("a.b.c.d.e"))); expect.Crashed(ex) {
			t.Inconclusive("a token of five segments is answered with %s whatever it holds (RS-CHALLENGE-NO-5XX)", expect.Describe(ex))
		}
		for about, token := range Sorted(costly()) {
			ex := t.Send(t.MCP.Call().With(mcp.Bearer(t.Hide(token))))
			t.Expect(ex, "%s", about).To(expect.RefuseAnyway())
			soon(t, ex, about)
		}
	})
}

// soon expects an answer in time.
func soon(t *T, ex *reports.Exchange, about string) {
	if took := time.Duration(float64(ex.Duration) * float64(time.Millisecond)); took > tooLong {
		t.Finding(ex, about, "an answer within "+tooLong.String(), "it took "+took.Round(time.Millisecond).String())
	}
}

// most is the largest body that is sent.
const most = 16 << 20

// padded is a call whose message has a size, in bytes.
func padded(c mcp.Call, size int) mcp.Call {
	params := map[string]any{}
	for k, v := range c.Params {
		params[k] = v
	}
	params["mcpauth"] = ""
	c.Params = params
	params["mcpauth"] = strings.Repeat("a", max(0, size-len(c.Message())))
	return c
}

// bombs are calls with the valid token that grow where they are read without care.
func bombs(t *T) map[string]mcp.Call {
	call := t.MCP.Call().With(t.MCP.BearerField())
	with := func(params string) mcp.Call {
		return call.WithBody(`{"jsonrpc":"2.0","id":1,"method":"` + call.RPC + `","params":{"mcpauth":` + params + `}}`)
	}
	return map[string]mcp.Call{
		"16 MiB of spaces, compressed": call.WithBody(packed()).With(mcp.Field("Content-Encoding", "gzip")),
		"lists 1,000 deep":             with(strings.Repeat("[", 1_000) + strings.Repeat("]", 1_000)),
		"lists 100,000 deep":           with(strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000)),
		"objects 10,000 deep":          with(strings.Repeat(`{"a":`, 10_000) + "1" + strings.Repeat("}", 10_000)),
		"a number of 500,000 digits":   with(strings.Repeat("9", 500_000)),
		"100,000 escaped characters":   with(`"` + strings.Repeat(`\u0041`, 100_000) + `"`),
	}
}

// packed are 16 MiB of spaces, compressed.
var packed = sync.OnceValue(func() string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(bytes.Repeat([]byte(" "), most)) // a buffer takes everything
	_ = w.Close()
	return b.String()
})

// costly are tokens that take long where they are tried: by rounds of key derivation, or by decompression.
func costly() map[string]string {
	segment := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	zeros := segment(strings.Repeat("\x00", 40))
	return map[string]string{
		"a JWE with two thousand million rounds of PBES2": strings.Join([]string{segment(`{"alg":"PBES2-HS512+A256KW","enc":"A128CBC-HS256","p2c":2000000000,"p2s":"AAAAAAAAAAAAAAAA"}`), zeros, segment(strings.Repeat("\x00", 16)), zeros, segment(strings.Repeat("\x00", 16))}, "."),
		"a compressed JWE": strings.Join([]string{segment(`{"alg":"dir","enc":"A128CBC-HS256","zip":"DEF"}`), "", segment(strings.Repeat("\x00", 16)), segment(strings.Repeat("\x00", 4096)), segment(strings.Repeat("\x00", 16))}, "."),
		"a JWS with an exponent of 4,096 bits in its key": segment(`{"alg":"RS256","jwk":{"kty":"RSA","n":"`+segment(strings.Repeat("\xfb", 512))+`","e":"`+segment(strings.Repeat("\xfd", 512))+`"}}`) + "." + segment(`{"sub":"alice"}`) + "." + segment(strings.Repeat("\x01", 512)),
	}
}

func amplification() {
	Practice("RS-ABUSE-JWKS-AMPLIFICATION", func(t *T) {
		keys := t.Mint.MustFetchKeys()
		before := keys.KeyFetches()
		stranger := t.Mint.NewKey("")
		var variants []Variant
		for range 50 {
			stranger.ID = "mcpauth-unknown-" + Random(6)
			variants = append(variants, Call(t.MCP.Call().With(mcp.Bearer(t.Mint.SignedBy(stranger, nil))), "an unknown kid"))
		}
		answers := t.Race(variants)
		switch n := keys.KeyFetches() - before; {
		case n > 15:
			t.Unmet(answers[0], "at most 5 requests for keys where 50 tokens name unknown ones", "%d", n)
		case n > 5:
			t.Advise(answers[0], "at most 5 requests for keys where 50 tokens name unknown ones", "%d", n)
		}
		if ex := t.MCP.Use(t.Mint.Token(nil)); !t.MCP.Served(ex) {
			t.Unmet(ex, "the genuine token served meanwhile", "%s", expect.Describe(ex))
		}
	})
}
