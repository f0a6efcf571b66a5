package challenge

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/mint"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// expectNoBypass sends requests without a token. A server that fails on an odd one serves nothing there.
func expectNoBypass(t *T, variants []Variant) {
	for i, ex := range t.All(variants) {
		if !expect.Crashed(ex) || ex.Response == nil && !expect.HungUp(ex) { // what got no answer is undecided
			t.Expect(ex, "%s", variants[i].About).To(expect.NotBypass())
		}
	}
}

// family is a set of header fields with the same claim. If one of them gives access, all of them together do.
type family struct {
	about  string
	fields []reports.Field
}

// claims are what gateways, proxies and frameworks write into requests, and what any client can write too.
func claims(t *T) []family {
	const public = "/.well-known/oauth-protected-resource"
	return slices.Concat(addresses(), ofBrowsers(document.Origin(t.Survey.URL)), []family{
		{"the host", equally("localhost", "X-Forwarded-Host", "X-Original-Host", "X-Host")},
		{"the user", equally("admin", "X-User", "X-User-Id", "X-Username", "X-Forwarded-User", "X-Remote-User", "Remote-User",
			"X-Authenticated-User", "X-Authenticated-Userid", "X-Auth-Request-User", "X-Consumer-Username", "X-WebAuth-User")},
		{"the user's address", equally("admin@example.com", "X-Email", "X-Forwarded-Email", "X-Auth-Request-Email", "X-User-Email",
			"X-MS-Client-Principal-Name", "X-Goog-Authenticated-User-Email", "Cf-Access-Authenticated-User-Email")},
		{"a request from inside", equally("true", "X-Internal", "X-Internal-Request", "X-Authenticated", "X-From-Gateway", "X-Health-Check")},
		{"a verified certificate", equally("SUCCESS", "X-SSL-Client-Verify", "SSL-Client-Verify", "X-Client-Verify")},
		{"a subrequest of the framework", equally("middleware"+strings.Repeat(":middleware", 4), "X-Middleware-Subrequest")},
		{"a public path", equally(public, "X-Original-URL", "X-Rewrite-URL", "X-Original-URI", "X-Forwarded-URI", "X-Forwarded-Path")},
		{"a preflight", equally("OPTIONS", "X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X-Forwarded-Method")},
		{"some login session", equally("session=mcpauth; sid=mcpauth; connect.sid=mcpauth", "Cookie")},
		{"some other credential", equally("mcpauth", "X-API-Key", "Api-Key", "X-Auth-Token", "X-Access-Token", "X-MCP-Token")},
		{"what caches look at", []reports.Field{mcp.Field("Cache-Control", "no-cache"), mcp.Field("Pragma", "no-cache"),
			mcp.Field("If-None-Match", "*"), mcp.Field("Range", "bytes=0-")}},
		{"a health check of Kubernetes", equally("kube-probe/1.31", "User-Agent")},
		{"a health check of AWS", equally("ELB-HealthChecker/2.0", "User-Agent")},
		{"a health check of Google", equally("GoogleHC/1.0", "User-Agent")},
		{"the MCP Inspector", equally("mcp-inspector/1.0", "User-Agent")},
	})
}

// clientNames are names of clients in clientInfo: of well-known ones, of tools that test servers, and of examples.
var clientNames = []string{
	"claude-ai", "openai-mcp", "Visual Studio Code", "cursor-vscode", "mcp-remote", "mcp-inspector", "inspector-client", "mcp",
	"ExampleClient", "test-client", "health-check",
}

// believesNoName sends the request by clients of other names. A server that refuses a client by its name serves it nothing, too.
func believesNoName(t *T) {
	var variants []Variant
	for _, name := range clientNames {
		if call, refused := t.MCP.CallAs(name); refused == nil {
			variants = append(variants, Call(call, "without a token, with the client name %q", name))
		}
	}
	expectNoBypass(t, variants)
}

// ofBrowsers are what browsers write into requests of pages, and into preflights.
func ofBrowsers(origin string) []family {
	return []family{
		{"the server's own page", []reports.Field{mcp.Field("Origin", origin), mcp.Field("Referer", origin+"/"),
			mcp.Field("Sec-Fetch-Site", "same-origin")}},
		{"a page of this machine", equally("http://localhost:6274", "Origin")},
		{"a preflight, by its fields", []reports.Field{mcp.Field("Access-Control-Request-Method", "POST"),
			mcp.Field("Access-Control-Request-Headers", "authorization")}},
	}
}

// badElsewhere are untrusted tokens in the places where gateways write the authenticated user, and where servers also read tokens.
func badElsewhere(t *T) []family {
	g, a := t.Mint.Genuine(), mint.NewAttacker()
	forged := t.Hide(a.Sign(a.Algorithms(g.Header)[0], g.Header, g.Claims))
	return []family{
		{"some token in a cookie", equally("access_token=mcpauth; token=mcpauth; auth_token=mcpauth; jwt=mcpauth", "Cookie")},
		{"a forged token of a gateway", equally(forged, "X-Forwarded-Access-Token", "X-Amzn-Oidc-Data", "X-Amzn-Oidc-Accesstoken",
			"X-Goog-IAP-JWT-Assertion", "Cf-Access-Jwt-Assertion", "X-MS-Token-AAD-Id-Token", "X-Endpoint-API-UserInfo")},
		{"a forged token in another field", equally(forged, "X-API-Key", "X-Auth-Token", "X-Access-Token", "X-Authorization", "X-JWT")},
		{"a forged token in a cookie", equally("access_token="+forged+"; token="+forged+"; jwt="+forged, "Cookie")},
	}
}

// addresses are the addresses that callers may claim.
func addresses() []family {
	return []family{
		{"the address of the caller", equally("127.0.0.1", "X-Forwarded-For", "X-Real-IP", "X-Client-IP", "True-Client-IP", "CF-Connecting-IP",
			"X-Original-Forwarded-For", "X-Cluster-Client-IP")},
		{"the address of the caller, in Forwarded", equally("for=127.0.0.1;host=localhost;proto=https", "Forwarded")},
		{"the address of the caller, in a private network", equally("10.0.0.1", "X-Forwarded-For", "X-Real-IP", "X-Client-IP")},
		{"the address of the caller, in IPv6", equally("::1", "X-Forwarded-For", "X-Real-IP", "X-Client-IP")},
		{"the address of the caller, after another one", equally("203.0.113.7, 127.0.0.1", "X-Forwarded-For")},
	}
}

// told is the value of a field as a report names it. A forged token differs in each run, so the report does not quote it.
func told(value string) string {
	if strings.Contains(value, "eyJ") {
		return "a forged token"
	}
	return value
}

// equally are fields that all have the same value.
func equally(value string, names ...string) []reports.Field {
	var out []reports.Field
	for _, name := range names {
		out = append(out, mcp.Field(name, value))
	}
	return out
}

// believesNoClaim sends all fields of a family in one request. If that is served, it sends them one by one, to name the field.
func believesNoClaim(t *T) {
	all := append(claims(t), badElsewhere(t)...)
	var together []Variant
	for _, f := range all {
		together = append(together, Call(t.MCP.Call().With(f.fields...), "without a token, claiming %s", f.about))
	}
	upgrade := Variant{About: "without a token, with Upgrade: websocket", Request: RawPost(t, "Connection: Upgrade\r\nUpgrade: websocket\r\n")}
	expectNoBypass(t, append(toOtherHosts(t), upgrade))
	for i, ex := range t.All(together) {
		switch {
		case expect.Crashed(ex):
		case t.MCP.GotPast(ex):
			believes(t, ex, all[i])
		default:
			t.Expect(ex, "%s", together[i].About).To(expect.NotBypass())
		}
	}
}

// toOtherHosts is the request with other host names, which an access rule for the name of the server does not match.
func toOtherHosts(t *T) (out []Variant) {
	for _, host := range []string{"localhost", "127.0.0.1", "mcpauth.invalid", t.Survey.URL.Hostname() + "."} {
		v := Call(t.MCP.Call(), "without a token, with Host: %s", host)
		v.Request.Host = host
		out = append(out, v)
	}
	return out
}

// believes reports the fields of a family that give access alone, or all of them if only all together do.
func believes(t *T, ex *reports.Exchange, f family) {
	single := false
	for _, field := range f.fields {
		alone := t.Send(t.MCP.Call().With(field))
		if t.MCP.GotPast(alone) {
			single = true
			t.Expect(alone, "without a token, with %s: %s", field.Name, told(field.Value)).To(expect.NotBypass())
		}
	}
	if !single {
		t.Expect(ex, "without a token, claiming %s", f.about).To(expect.NotBypass())
	}
}

// otherForms are the protected request in forms that servers read, and that a guard may miss.
func otherForms(t *T) []Variant {
	call := t.MCP.Call()
	return slices.Concat(otherFields(t, call), otherSpellingsOf(t, call), otherFraming(t, call))
}

// otherFraming is a call in other forms of HTTP.
func otherFraming(t *T, call mcp.Call) []Variant {
	line := "POST " + t.Survey.URL.RequestURI() + " HTTP/1.1"
	first := func(about, instead string) Variant {
		r := RawCall(t, call, "")
		r.Raw = []byte(strings.Replace(string(r.Raw), line, instead, 1))
		return Variant{About: about, Request: r}
	}
	coded := func(coding string, body []byte) Variant {
		return Call(call.WithBody(string(body)).With(mcp.Field("Content-Encoding", coding)), "Content-Encoding: %s", coding)
	}
	return []Variant{
		first("HTTP/1.0", strings.Replace(line, "/1.1", "/1.0", 1)),
		first("the whole URL in the request line", "POST "+t.Survey.Endpoint+" HTTP/1.1"),
		{About: "Upgrade: websocket", Request: RawCall(t, call, "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"+
			"Sec-WebSocket-Key: bWNwYXV0aC13ZWJzb2NrZQ==\r\n")},
		{About: "Upgrade: h2c", Request: RawCall(t, call, "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"+
			"HTTP2-Settings: AAMAAABk\r\n")},
		{About: "Expect: 100-continue", Request: RawCall(t, call, "Expect: 100-continue\r\n")},
		coded("gzip", packed(t.MCP.Introduced(call.Message()), func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) })),
		coded("x-gzip", packed(t.MCP.Introduced(call.Message()), func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) })),
		coded("deflate", packed(t.MCP.Introduced(call.Message()), func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) })),
		coded("identity", []byte(call.Message())),
	}
}

// packed compresses a message.
func packed(message string, coder func(io.Writer) io.WriteCloser) []byte {
	var out bytes.Buffer
	w := coder(&out)
	_, _ = io.WriteString(w, message) // writing to memory does not fail
	_ = w.Close()
	return out.Bytes()
}

// mediaTypes are media types that a server may accept, while its guard looks for another one.
var mediaTypes = []string{
	"text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-8", "APPLICATION/JSON", "application/vnd.mcp+json",
	"application/json; charset=UTF-8", "application/json;charset=utf-16", `application/json; charset="utf-8"`, "application/json, text/plain",
	"text/json", "application/json-rpc", "application/octet-stream", "",
}

// otherFields are a call with other header fields that describe it.
func otherFields(t *T, call mcp.Call) (out []Variant) {
	for _, mediaType := range mediaTypes {
		out = append(out, Call(call.With(mcp.Field("Content-Type", mediaType)), "the media type %s", mediaType))
	}
	out = append(out, lacking(call, "Content-Type"), lacking(call, "Accept"),
		Variant{About: "a chunked message, without Content-Length", Request: ChunkedCall(t, call)})
	for _, accepted := range []string{"*/*", "application/json", "text/event-stream", "text/html"} {
		out = append(out, Call(call.With(mcp.Field("Accept", accepted)), "Accept: %s", accepted))
	}
	for _, method := range []string{"ping", "initialize", "server/discover"} {
		if method != call.RPC {
			out = append(out, Call(call.With(mcp.Field("Mcp-Method", method)), "Mcp-Method: %s", method))
		}
	}
	return out
}

// lacking is a call without one of its header fields.
func lacking(call mcp.Call, field string) Variant {
	v := Call(call, "no %s field", field)
	v.Request.Header = slices.DeleteFunc(v.Request.Header, func(f reports.Field) bool { return f.Name == field })
	return v
}

// mostInspected is more than gateways inspect, in bytes.
const mostInspected = 96 << 10

// otherSpellingsOf are other encodings of a message.
func otherSpellingsOf(t *T, call mcp.Call) []Variant {
	message, method := call.Message(), `"method":`
	out := []Variant{
		Call(call.WithBody(" \n"+message), "white space before the message"),
		Call(call.WithBody("\ufeff"+message), "a byte order mark before the message"),
		Call(call.WithBody(strings.Repeat(" ", mostInspected)+message), "96 KiB of white space before the message"),
		Call(call.WithBody(strings.Replace(message, method, `"method" : `, 1)), "white space around the colon"),
		Call(call.WithBody(strings.Replace(message, method, `"m\u0065thod":`, 1)), "an escaped letter in the name method"),
		Call(call.WithBody(strings.Replace(message, method+`"`+call.RPC[:1], fmt.Sprintf(`%s"\u%04x`, method, call.RPC[0]), 1)),
			"an escaped letter in the method"),
		Call(call.WithBody(strings.Replace(message, method, `"Method":`, 1)), "the name Method"),
		Call(call.WithBody(strings.Replace(message, method+`"`+call.RPC, method+`"`+strings.ToUpper(call.RPC), 1)), "the method in upper case"),
		Call(call.WithBody(strings.Replace(message, `"jsonrpc":"2.0",`, "", 1)), "no member jsonrpc"),
		Call(call.WithBody(`[{"jsonrpc":"2.0","id":0,"method":"ping"},`+message+"]"), "a batch that begins with a harmless message"),
		Call(call.WithBody("["+message+"]"), "a batch of one message"),
	}
	if t.MCP.Public("ping") || t.DeclaredPublic("ping") {
		return out
	}
	const harmless = `"method":"ping"`
	return append(out,
		Call(call.WithBody("{"+harmless+","+strings.TrimPrefix(message, "{")), "two methods, a harmless one first"),
		Call(call.WithBody(strings.TrimSuffix(message, "}")+","+harmless+"}"), "two methods, a harmless one last"))
}
