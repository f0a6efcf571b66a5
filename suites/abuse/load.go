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
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// tooLong is the time after which an answer to a costly request is late.
const tooLong = 5 * time.Second

func load() {
	Practice("RS-ABUSE-BODY-LIMIT", limitsBodies)
	Practice("RS-ABUSE-DECOMPRESSION", boundsMessages)
	Practice("RS-ABUSE-JWE-COST", refusesCostlyTokens)
}

func limitsBodies(t *T) {
	limit := t.BodyLimit
	if limit+1024 > most {
		t.NotTested("more than %d MiB are never sent: declare a smaller limit on a test instance", most>>20)
	}
	known := t.MCP.Call().With(t.MCP.BearerField())
	if ex := t.Send(padded(known, 2048)); !t.MCP.Served(ex) {
		t.Inconclusive("this proves nothing: a message with an unknown parameter is answered with %s", expect.Describe(ex))
	}
	t.Expect(t.Send(padded(known, limit-1024)), "%d bytes, 1 KiB below the limit, with the valid token", limit-1024).To(beBelowLimit(t))
	above, far := limit+1024, min(10*limit, most)
	Each(t, Cases[wire.Request]{
		{fmt.Sprintf("%d bytes with the valid token", above), padded(known, above).Request()},
		{fmt.Sprintf("%d bytes with the valid token", far), padded(known, far).Request()},
		{fmt.Sprintf("%d bytes with the valid token, chunked, without Content-Length", above), ChunkedCall(t, padded(known, above))},
		{fmt.Sprintf("%d bytes without a token", above), padded(t.MCP.Call(), above).Request()},
		{fmt.Sprintf("%d bytes without a token", far), padded(t.MCP.Call(), far).Request()},
	}, func(t *T, r wire.Request) { t.Expect(t.Do(r)).To(beAboveLimit(t)) })
	t.MCP.Control()
}

var beBelowLimit = expect.Family("beBelowLimit", func(t *T) expect.Matcher {
	return expect.That("acceptance of the request", func(ex *reports.Exchange) string {
		if t.MCP.Served(ex) {
			return ""
		}
		return expect.Describe(ex)
	})
})

// beAboveLimit expects a refusal. A server may close the connection of a client that continues to send.
var beAboveLimit = expect.Family("beAboveLimit", func(t *T) expect.Matcher {
	return expect.That("a refusal with HTTP 413", func(ex *reports.Exchange) string {
		switch {
		case t.MCP.Served(ex):
			return "the request is served"
		case expect.Status(ex) >= 500:
			return expect.Describe(ex)
		}
		return ""
	})
})

func boundsMessages(t *T) {
	soon := beSoon(AtItsPace(t, tooLong))
	Each(t, bombs(t), func(t *T, c mcp.Call) { t.Expect(t.Send(c)).To(survive, soon) })
	t.MCP.Control() // the server still runs
}

var survive = expect.That("an answer below HTTP 500", func(ex *reports.Exchange) string {
	if expect.Crashed(ex) && !expect.CutOff(ex) {
		return expect.Describe(ex)
	}
	return ""
})

var beSoon = expect.Family("beSoon", func(within time.Duration) expect.Matcher {
	return expect.That("an answer within "+within.Round(time.Millisecond).String(), func(ex *reports.Exchange) string {
		if took(ex) > within {
			return "the answer took " + took(ex).Round(time.Millisecond).String()
		}
		return ""
	})
})

func refusesCostlyTokens(t *T) {
	if ex := t.Send(t.MCP.Call().With(mcp.Bearer("a.b.c.d.e"))); expect.Crashed(ex) {
		t.Inconclusive("%s", Because(t, ex, "a token of five segments is answered with "+expect.Describe(ex)+" whatever it holds"))
	}
	soon := beSoon(AtItsPace(t, tooLong))
	Each(t, costly(), func(t *T, token string) {
		t.Expect(t.Send(t.MCP.Call().With(mcp.Bearer(t.Hide(token))))).To(expect.RefuseAnyway(), soon)
	})
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

// bombs are calls with the valid token that grow when a careless parser reads them.
func bombs(t *T) Cases[mcp.Call] {
	call := t.MCP.Call().With(t.MCP.BearerField())
	with := func(params string) mcp.Call {
		return call.WithBody(`{"jsonrpc":"2.0","id":1,"method":"` + call.RPC + `","params":{"mcpauth":` + params + `}}`)
	}
	nested := func(open, inner, end string, depth int) mcp.Call {
		return with(strings.Repeat(open, depth) + inner + strings.Repeat(end, depth))
	}
	return Cases[mcp.Call]{
		{"16 MiB of spaces, compressed", call.WithBody(packed()).With(mcp.Field("Content-Encoding", "gzip"))},
		{"lists 1,000 deep", nested("[", "", "]", 1_000)},
		{"lists 100,000 deep", nested("[", "", "]", 100_000)},
		{"objects 10,000 deep", nested(`{"a":`, "1", "}", 10_000)},
		{"a number of 500,000 digits", with(strings.Repeat("9", 500_000))},
		{"100,000 escaped characters", with(`"` + strings.Repeat(`\u0041`, 100_000) + `"`)},
	}
}

// packed returns 16 MiB of spaces, compressed.
var packed = sync.OnceValue(func() string {
	var b bytes.Buffer
	w, written := gzip.NewWriter(&b), 0
	for spaces := bytes.Repeat([]byte(" "), 1<<16); written < most; written += len(spaces) {
		_, _ = w.Write(spaces) // a buffer accepts everything
	}
	_ = w.Close()
	return b.String()
})

// costly are tokens that are slow to verify: because of rounds of key derivation, decompression, or a large exponent.
func costly() Cases[string] {
	segment := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	nothing := func(n int) string { return segment(strings.Repeat("\x00", n)) }
	jwe := func(header, key, text string) string {
		return strings.Join([]string{segment(header), key, nothing(16), text, nothing(16)}, ".")
	}
	derived := `{"alg":"PBES2-HS512+A256KW","enc":"A128CBC-HS256","p2c":2000000000,"p2s":"AAAAAAAAAAAAAAAA"}`
	modulus, exponent := segment(strings.Repeat("\xfb", 512)), segment(strings.Repeat("\xfd", 512))
	large := `{"alg":"RS256","jwk":{"kty":"RSA","n":"` + modulus + `","e":"` + exponent + `"}}`
	return Cases[string]{
		{"a JWE with two thousand million rounds of PBES2", jwe(derived, nothing(40), nothing(40))},
		{"a compressed JWE", jwe(`{"alg":"dir","enc":"A128CBC-HS256","zip":"DEF"}`, "", nothing(4096))},
		{"a JWS with an exponent of 4,096 bits in its key",
			segment(large) + "." + segment(`{"sub":"alice"}`) + "." + segment(strings.Repeat("\x01", 512))},
	}
}

func amplification() { Practice("RS-ABUSE-JWKS-AMPLIFICATION", fetchesKeysOnce) }

// A server that fetches keys once per interval fetches them more often if answers are slow, so the best of three tries counts.
func fetchesKeysOnce(t *T) {
	keys := t.Mint.MustFetchKeys()
	fetches, at := fetchesForUnknownKeys(t, keys)
	for tries := 1; fetches > fewKeys && tries < 3; tries++ {
		if n, ex := fetchesForUnknownKeys(t, keys); n < fetches {
			fetches, at = n, ex
		}
	}
	t.Expect(fetches).SeenIn(at).To(fewFetches)
	t.Expect(t.MCP.Use(t.Mint.Token(nil)), "an ordinary token afterwards").To(t.MCP.Serve())
}

// fetchesForUnknownKeys is how often the target fetches the key set for tokens that are genuine except for the kid in their header: a
// server that checks anything else first has no reason to refuse them.
func fetchesForUnknownKeys(t *T, keys KeyServer) (fetches int, at *reports.Exchange) {
	before := keys.KeyFetches()
	var variants []Variant
	for range manyTokens {
		h := t.Mint.Header().With("kid", "mcpauth-unknown-"+Random(6))
		variants = append(variants, Call(t.MCP.Call().With(mcp.Bearer(t.Mint.TokenWith(h, nil))), "an unknown kid"))
	}
	answers := t.Race(variants)
	return keys.KeyFetches() - before, answers[0]
}

// manyTokens is how many tokens name unknown keys, and fewKeys how often a server may ask for the key set then.
const (
	manyTokens = 50
	fewKeys    = 5
)

var few = fmt.Sprintf("at most %d requests for keys where %d tokens name unknown ones", fewKeys, manyTokens)

var fewFetches = expect.That(few, func(n int) string {
	if n <= fewKeys {
		return ""
	}
	return reports.Count(n, "request")
})
