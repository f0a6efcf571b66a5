package audience

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/nearmiss"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// otherServer is an audience that is not the target's.
const otherServer = "https://other.example/mcp"

func minted() {
	Must("RS-AUD-WRONG", refusesOtherAudiences)
	Must("RS-AUD-MISSING", requiresAudience)
	Must("RS-AUD-ARRAY", readsLists)
	Must("RS-AUD-LOOKALIKE", comparesWholeAudience)
	Must("RS-AUD-SIBLING", separatesPaths)
	Must("RS-AUD-OPAQUE", bindsOpaqueTokens)
	Should("RS-AUD-NORMALISATION", acceptsPublishedForm)
	Practice("RS-AUD-OTHER-CLAIM", readsAudOnly)
	Must("RS-AUD-HOST-DERIVED", ignoresHostOfRequest)
}

// refuse expects the server to refuse tokens that are valid except for their audience.
func refuse(t *T, audiences Cases[any]) {
	var rows Cases[TokenEdit]
	for _, r := range audiences {
		if r.Value == nil {
			rows = rows.And(r.Name, NoClaim("aud"))
		} else {
			rows = rows.And(r.Name, Claim("aud", r.Value))
		}
	}
	Refuses(t, t.Mint.Presented(), rows, expect.Refuse(401))
}

// own is the audience of the target in an ordinary token, which may name others too.
func own(t *T) string {
	all := t.Mint.Claims(nil).Audiences()
	for _, known := range []string{t.MCP.Identifier(), t.Survey.Endpoint} {
		if slices.Contains(all, known) {
			return known
		}
	}
	if len(all) == 1 {
		return all[0]
	}
	for _, aud := range all {
		if t.MCP.Served(t.MCP.Use(t.Mint.Token(map[string]any{"aud": aud}))) {
			return aud
		}
	}
	t.Inconclusive("an ordinary token of the issuer has %s, and none of them is served alone", reports.Count(len(all), "audience"))
	return ""
}

func refusesOtherAudiences(t *T) {
	origin := document.Origin(t.Survey.URL)
	refuse(t, wrong(own(t), t.Issuer.Identifier(), origin, t.Mint.Claims(nil)["client_id"]).In("aud"))
	t.Mint.RefusedOfSecond(Cases[TokenEdit]{{"another server, of the second issuer", Claim("aud", otherServer)}})
	t.MCP.RefusedInEveryWay("another server", t.Mint.Token(map[string]any{"aud": otherServer}))
}

// wrong are audiences of others.
func wrong(own, issuer, origin string, client any) Cases[any] {
	all := Cases[any]{
		{"another server", otherServer},
		{"the issuer", issuer},
		{"the client", client},
		{"account", "account"},
		{"api://", "api://x"},
		{"a UUID", "6f1e8f3a-0000-4000-8000-000000000000"},
		{"the origin's userinfo", origin + "/userinfo"},
	}
	var out Cases[any]
	for _, r := range all {
		if r.Value != nil && r.Value != own {
			out = out.And(r.Name, r.Value)
		}
	}
	return out
}

func requiresAudience(t *T) {
	refuse(t, Cases[any]{{"no aud", nil}, {"aud null", Null}, {"an empty aud", ""}, {"an empty list", []any{}}})
}

// RFC 7519 section 4.1.3: aud is "an array of case-sensitive strings", or a single one.
func readsLists(t *T) {
	me := own(t)
	t.Expect(t.Mint.Presented().Send(Claim("aud", []any{me})), "a list that holds the server alone").To(expect.BeServed())
	refuse(t, append(Cases[any]{
		{"a list with another server", []any{otherServer}},
		{"a list with two other servers", []any{otherServer, "https://third.example"}},
		{"a list in a list", []any{[]any{me}}},
		{"one string with the server and another", me + " other"},
		{"one string with another and the server", "other " + me},
		{"one string, joined by a comma", me + ",other"},
		{"a list with one string of two", []any{me + " other"}},
		{"true", true},
		{"a number", 1},
		{"an object with the server as a value", map[string]any{"0": me}},
		{"an object with the server as a key", map[string]any{me: true}},
	}, nearInLists(me)...).In("aud"))
	Each(t, Cases[any]{
		{"the server first", []any{me, otherServer}},
		{"the server last", []any{otherServer, me}},
		{"the server and a number", []any{me, 5}},
	}.In("aud"), func(t *T, aud any) {
		if ex := expect.ExchangeOf(t.Mint.Presented().Send(Claim("aud", aud))); !t.MCP.Served(ex) {
			t.Note("a token for several servers is refused, which is stricter than required: %s", expect.Describe(ex))
		}
	})
}

// nearInLists are lists with one audience that resembles that of the server: code that reads lists may compare otherwise.
func nearInLists(me string) Cases[any] {
	out := Cases[any]{
		{"a list with more at the end", []any{me + ".evil.example"}},
		{"a list with a fragment", []any{me + "#f"}},
	}
	u, err := url.Parse(me)
	if err != nil || u.Host == "" {
		if swapped := nearmiss.SwapCase(me); swapped != me { // an identifier may have no letters
			out = out.And("a list with upper and lower case swapped", []any{swapped})
		}
		return out
	}
	if upper := strings.ToUpper(u.Path); upper != u.Path {
		return out.And("a list with the path in upper case", []any{u.Scheme + "://" + u.Host + upper})
	}
	return out
}

func comparesWholeAudience(t *T) {
	me := own(t)
	rows := Cases[any]{
		{"more at the end", me + ".evil.example"},
		{"a way up", me + "/../other"},
		{"https://*", "https://*"},
		{"a fragment", me + "#f"},
	}
	for _, miss := range lookalikes(me) {
		rows = rows.And(miss.Name, miss.Value)
	}
	refuse(t, rows.In("aud"))
	Each(t, Cases[string]{{"aud: a query", me + "?t=1"}}, func(t *T, aud string) {
		t.Expect(t.Mint.Presented().Send(Claim("aud", aud)), "not the identifier of the server").Ideally(expect.Refuse(401))
	})
}

// lookalikes are the near misses of an audience, without those that RS-AUD-NORMALISATION judges: the slash at the end, and what is
// equal after RFC 3986 normalization.
func lookalikes(me string) []nearmiss.Miss {
	u, err := url.Parse(me)
	if err != nil || u.Host == "" {
		return nearmiss.Of(me, nearmiss.Except(nearmiss.Slash, nearmiss.Empty)...)
	}
	all := slices.Concat(nearmiss.OfURL(me, nearmiss.Host, nearmiss.User, nearmiss.Scheme, nearmiss.Port, nearmiss.Path, nearmiss.Encoded),
		nearmiss.Of(me, nearmiss.Changed, nearmiss.Shorter, nearmiss.Longer, nearmiss.Space, nearmiss.Unicode, nearmiss.Null, nearmiss.Pattern))
	return slices.DeleteFunc(all, func(m nearmiss.Miss) bool { return strings.TrimSuffix(m.Value, "/") == strings.TrimSuffix(me, "/") })
}

// The path is part of the identifier (MCP Authorization, Canonical Server URI).
func separatesPaths(t *T) {
	resource := t.MCP.Resource().Object.String("resource")
	u, err := url.Parse(resource)
	if err != nil || strings.Trim(u.Path, "/") == "" {
		t.NotApplicable("the published resource has no path: %s", resource)
	}
	origin := u.Scheme + "://" + u.Host
	refuse(t, Cases[any]{
		{"another path of the same host", origin + "/mcpauth-sibling"},
		{"a path with the same beginning", resource + "-sibling"},
	})
	t.Expect(t.Mint.Presented().Send(Claim("aud", origin)), "the origin of the published resource %s", resource).Ideally(expect.Refuse(401))
}

func bindsOpaqueTokens(t *T) {
	me := strings.TrimSuffix(t.MCP.Identifier(), "/")
	audiences := Cases[any]{
		{"for another resource", otherServer},
		{"for a list of others", []string{otherServer, "https://third.example"}},
		{"for a resource with more at the end", me + ".evil.example"},
		{"for a list with more at the end", []string{me + ".evil.example"}},
		{"for a path with the same beginning", me + "-sibling"},
		{"for the resource without its last character", me[:len(me)-1]},
	}
	var rows Cases[map[string]any]
	for _, r := range audiences {
		rows = rows.And(r.Name, map[string]any{"aud": r.Value})
	}
	Refuses(t, t.Mint.OpaquePresented(), rows, expect.Refuse(401))
	t.Expect(t.Mint.OpaquePresented().Send(map[string]any{"aud": nil}),
		"without an audience, unless the authorization server answers for this resource only").Ideally(expect.Refuse(401))
}

func acceptsPublishedForm(t *T) {
	resource := t.MCP.Resource().Object.String("resource")
	t.Expect(t.Mint.Presented().Send(Claim("aud", resource)), "the published resource %s", resource).To(expect.BeServed())
	u, err := url.Parse(resource)
	if err != nil || strings.ToUpper(u.Path) == u.Path {
		return
	}
	refuse(t, Cases[any]{{"aud: the path in upper case", u.Scheme + "://" + u.Host + strings.ToUpper(u.Path)}})
	other := resource + "/"
	if strings.HasSuffix(resource, "/") {
		other = strings.TrimSuffix(resource, "/")
	}
	for _, aud := range []string{other, strings.ToUpper(u.Scheme) + "://" + strings.ToUpper(u.Host) + u.Path} {
		t.Note("the audience %s is answered with %s", aud, expect.Describe(expect.ExchangeOf(t.Mint.Presented().Send(Claim("aud", aud)))))
	}
}

func readsAudOnly(t *T) {
	me := own(t)
	var rows Cases[TokenEdit]
	auds := Cases[TokenEdit]{{"a foreign aud", Claim("aud", otherServer)}}
	if t.MCP.Served(expect.ExchangeOf(t.Mint.Presented().Send(NoClaim("aud")))) {
		t.Note("a token without aud is served anyway, which RS-AUD-MISSING judges")
	} else {
		auds = auds.And("no aud", NoClaim("aud"))
	}
	names := slices.DeleteFunc([]string{"resource", "azp", "client_id", "audience", "aud2"}, func(name string) bool {
		refused := !t.MCP.Served(expect.ExchangeOf(t.Mint.Presented().Send(Claim(name, me))))
		if refused { // of an unknown client, say
			t.Note("the server in %s: not tried, since a token with it and the right aud is refused", name)
		}
		return refused
	})
	for _, aud := range auds {
		for _, name := range names {
			rows = rows.And(aud.Name+", the server in "+name, TokenEdits(aud.Value, Claim(name, me)))
		}
		rows = rows.And(aud.Name+", the server in authorization_details",
			TokenEdits(aud.Value, Claim("authorization_details", []any{map[string]any{"type": "mcp", "locations": []any{me}}})))
	}
	Refuses(t, t.Mint.Presented(), rows, expect.Refuse(401))
}

// The caller chooses the Host field. If the server accepts a token with a foreign audience even if Host is right, the check learns
// nothing about Host.
func ignoresHostOfRequest(t *T) {
	Each(t, derived(t.Mint.Claims(nil).Audiences(), t.Survey.URL.EscapedPath()), func(t *T, aud string) {
		token := t.Mint.Token(map[string]any{"aud": aud})
		if t.MCP.Served(t.MCP.Use(token)) {
			t.NotApplicable("a token for another host is served anyway, which RS-AUD-WRONG judges")
		}
		Each(t, hostFields, func(t *T, fields string) {
			t.Expect(t.Do(RawPost(t, fields+"Authorization: Bearer "+token+"\r\n"))).To(notServe(t))
		})
		req := t.MCP.Call().With(mcp.Bearer(token)).Request()
		req.Host = "evil.example"
		t.Expect(t.Do(req), "Host").To(notServe(t))
	})
	t.Mint.Control()
}

// derived are the audiences that a server finds that puts the host of the request before the path of its endpoint, or before what follows
// the host in an audience of ordinary tokens.
func derived(ordinary []string, path string) Cases[string] {
	out := Cases[string]{{"an https audience", "https://evil.example" + path}, {"an http audience", "http://evil.example" + path}}
	ends := []string{path}
	for _, aud := range ordinary {
		u, err := url.Parse(aud)
		if err != nil || u.Host == "" {
			continue
		}
		if _, end, _ := strings.Cut(aud, u.Host); !slices.Contains(ends, end) {
			ends = append(ends, end)
			out = out.And(fmt.Sprintf("an https audience that ends in %q", end), "https://evil.example"+end).
				And(fmt.Sprintf("an http audience that ends in %q", end), "http://evil.example"+end)
		}
	}
	return out
}

var hostFields = Cases[string]{
	{"X-Forwarded-Host", "X-Forwarded-Host: evil.example\r\n"},
	{"X-Forwarded-Host and X-Forwarded-Proto", "X-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: https\r\n"},
	{"Forwarded", "Forwarded: host=evil.example\r\n"},
	{"X-Original-Host", "X-Original-Host: evil.example\r\n"},
}

// notServe expects a token not to be served. Any refusal is accepted: a server may answer 400, 404 or 421 to a foreign host.
var notServe = expect.Family("notServe", func(t *T) expect.Matcher {
	return expect.Refusing("a refusal: the audience is compared with a configured identifier", func(ex *reports.Exchange) string {
		if t.MCP.Served(ex) {
			return "the token is served: its audience is compared with the host that the request names"
		}
		return ""
	})
})
