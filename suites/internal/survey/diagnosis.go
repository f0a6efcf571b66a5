package survey

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/oauth"
)

// diagnose says in a paragraph why the URL cannot be tested as an MCP endpoint; empty if it can. A server that answers as MCP demands at
// any point, or that publishes protected resource metadata for this URL, is tested, whatever else it does.
func (t *taker) diagnose() string {
	s := t.s
	ex := s.Anonymous[mcp.Stateful]
	if ex.Response == nil {
		ex = s.Anonymous[mcp.Stateless]
	}
	if s.describesItself() {
		return ""
	}
	for _, answers := range []map[mcp.Wire]*reports.Exchange{s.Anonymous, s.WithToken, s.Bogus} {
		for _, answer := range answers {
			if speaksMCP(answer) {
				return ""
			}
		}
	}
	if to := upgrade(s.URL, ex); to != nil {
		t.instead = to.String()
		return sentences(asked(ex), fmt.Sprintf("It redirects to %s: test that URL.", to))
	}
	if gate := gate(s.URL, ex); gate != "" {
		return sentences(asked(ex), gate)
	}
	return sentences(asked(ex), t.neither(ex))
}

// neither says what an endpoint may be that answers neither as MCP does nor as a gate does.
func (t *taker) neither(ex *reports.Exchange) string {
	hint := t.elsewhere()
	if status := expect.Status(ex); t.instead == "" && (status == 500 || status == 503) {
		return "The server fails before it asks for a token, as some do until their authorization server answers. Start that first. If the " +
			"server trusts the issuer run by mcpauth, mcpauth serve idp starts it."
	}
	return sentences("This does not look like an MCP endpoint.", hint)
}

// describesItself reports whether protected resource metadata names this URL.
func (s *Survey) describesItself() bool {
	return slices.ContainsFunc(s.Resources, func(d Document) bool {
		return d.Found() && sameURL(d.Object.String("resource"), s.Endpoint)
	})
}

func sameURL(a, b string) bool { return strings.TrimSuffix(a, "/") == strings.TrimSuffix(b, "/") }

// speaksMCP reports whether an answer may come from an MCP endpoint: JSON-RPC, a stream, an accepted notification, a refusal of the caller,
// a limit, or an error about the request.
func speaksMCP(ex *reports.Exchange) bool {
	if ex == nil || ex.Response == nil {
		return false
	}
	a := mcp.Read(ex)
	if a.Error || a.Result != nil || len(expect.Bearer(ex)) > 0 {
		return true
	}
	html := expect.MediaType(ex) == "text/html"
	switch status := expect.Status(ex); status {
	case 401:
		return !onlyAGate(ex)
	case 400, 403, 406, 415, 422:
		return !html
	case 202, 429:
		return true
	case 200:
		return expect.MediaType(ex) == "text/event-stream"
	}
	return false
}

// onlyAGate reports whether a 401 asks only for HTTP credentials.
func onlyAGate(ex *reports.Exchange) bool {
	challenges := expect.Challenges(ex)
	return len(challenges) > 0 && !slices.ContainsFunc(challenges, func(c document.Challenge) bool {
		return !slices.Contains([]string{"basic", "digest", "negotiate", "ntlm"}, strings.ToLower(c.Scheme))
	})
}

// asked describes a request and its answer.
func asked(ex *reports.Exchange) string {
	what := fmt.Sprintf("HTTP %d", ex.Response.Status)
	switch media := expect.MediaType(ex); {
	case media == "text/html":
		what += " and an HTML page"
	case media != "" && ex.Response.Body != "":
		what += " and a body of type " + media
	}
	return fmt.Sprintf("%s %s is answered with %s.", ex.Request.Method, ex.Request.URL, what)
}

// challengePages are texts in pages or header fields with which web application firewalls challenge a browser.
var challengePages = []string{"cf-mitigated", "just a moment", "cf-chl", "x-amzn-waf-action", "awswafcookiedomainlist", "_incapsula_",
	"akamai", "captcha", "ddos-guard"}

// upgrade returns where the endpoint redirects to, if that is the same address with https; else nil.
func upgrade(at *url.URL, ex *reports.Exchange) *url.URL {
	to, err := at.Parse(expect.Header(ex, "Location"))
	redirects := expect.Status(ex) >= 300 && expect.Status(ex) <= 399
	if err != nil || !redirects || to.Hostname() != at.Hostname() || !sameURL(to.Path, at.Path) ||
		at.Scheme != "http" || to.Scheme != "https" {
		return nil
	}
	if to, err = document.ParseURL(to.String()); err != nil || to.User != nil {
		return nil
	}
	return to
}

// gate says what is in front of the endpoint, and how to pass it; empty if nothing seems to be.
func gate(at *url.URL, ex *reports.Exchange) string {
	status := expect.Status(ex)
	where := expect.Header(ex, "Location")
	to, err := at.Parse(where)
	switch {
	case status == 401:
		return fmt.Sprintf("A gate asks for %s credentials before the server is reached. Pass the header that opens it: --header-env "+
			"Authorization=VARIABLE.",
			expect.Challenges(ex)[0].Scheme)
	case where != "" && status >= 300 && status <= 399 && err == nil && to.Host != at.Host:
		return fmt.Sprintf("It redirects to %s, as a single sign-on gate does. Test an address behind the gate, or pass the cookie or header "+
			"that opens it: "+
			"--header-env Cookie=VARIABLE.", to.Host)
	case where != "" && status >= 300 && status <= 399 && err == nil && looksLikeLogin(to.Path):
		return "It redirects to a login page, as a gate with cookies does. Pass the cookie or header that opens it: --header-env Cookie=VARIABLE."
	case wantsCertificate(ex):
		return "A gate demands a client certificate before the server is reached. Give one with --client-cert and --client-key."
	case (status == 403 || status == 503 || status == 405 || status == 202) && isChallengePage(ex):
		return "A web application firewall asks for proof that the client is a browser. Let mcpauth pass it for the test: allow this " +
			"machine's address, " +
			"or a header that you pass with --header-env NAME=VARIABLE."
	case status == 502 || status == 504:
		return "A proxy or load balancer answers, and cannot reach the server behind it. Start the server, then run again."
	}
	return ""
}

// certificatePages are texts in the pages of gates that require a client certificate after the handshake: nginx, and IIS (403.7).
var certificatePages = []string{"no required ssl certificate", "the ssl certificate error", "client certificate"}

func wantsCertificate(ex *reports.Exchange) bool {
	if !slices.Contains([]int{400, 403, 495, 496}, ex.Response.Status) {
		return false
	}
	page := strings.ToLower(ex.Response.Body)
	return slices.ContainsFunc(certificatePages, func(mark string) bool { return strings.Contains(page, mark) })
}

func looksLikeLogin(path string) bool {
	path = strings.ToLower(path)
	return strings.Contains(path, "login") || strings.Contains(path, "signin") || strings.Contains(path, "sign-in") ||
		strings.Contains(path, "sso")
}

func isChallengePage(ex *reports.Exchange) bool {
	text := strings.ToLower(ex.Response.Body)
	for _, f := range ex.Response.Header {
		text += "\n" + strings.ToLower(f.Name+": "+f.Value)
	}
	return slices.ContainsFunc(challengePages, func(mark string) bool { return strings.Contains(text, mark) })
}

// elsewhere returns a hint at the right URL: the one in the metadata, or a usual path that answers like MCP.
func (t *taker) elsewhere() string {
	for i := range t.s.Resources {
		named := ""
		if d := &t.s.Resources[i]; d.Found() {
			named = d.Object.String("resource")
		}
		if u, err := document.ParseURL(named); err == nil && document.Origin(u) == document.Origin(t.s.URL) && !sameURL(named, t.s.Endpoint) {
			t.instead = named
			return fmt.Sprintf("Its metadata names %s: did you mean that?", named)
		}
	}
	for _, path := range []string{"/mcp", "/sse", "/"} {
		candidate := document.Origin(t.s.URL) + path
		if sameURL(candidate, t.s.Endpoint) {
			continue
		}
		if speaksMCP(t.call(mcp.Probe(candidate, newest(mcp.Stateful)))) {
			t.instead = candidate
			return fmt.Sprintf("%s answers as an MCP endpoint does: did you mean that?", candidate)
		}
	}
	return "Check the path: /mcp, /sse and / do not answer as an MCP endpoint does either."
}

// TokenRejected returns a paragraph about a token that no wire accepts although the server requires one; empty if it is accepted.
func (s *Survey) TokenRejected(now time.Time) string {
	if s.TokenRefused() == "" {
		return ""
	}
	for _, w := range []mcp.Wire{mcp.Stateful, mcp.Stateless} {
		ex := s.WithToken[w]
		if _, judged := s.Newest(w); expect.Status(ex) != 401 || !judged {
			continue
		}
		why := "401"
		if code, ok := expect.Param(ex, "error"); ok {
			why += " " + code
		}
		if text, ok := expect.Param(ex, "error_description"); ok {
			why += ": " + text
		}
		return sentences(fmt.Sprintf("Your token was rejected (%s).", why), tokenTrouble(s.Token, s.Endpoint, now),
			"Get a new token and run again.")
	}
	return ""
}

// tokenTrouble says what in a JWT explains its rejection, or "".
func tokenTrouble(token, endpoint string, now time.Time) string {
	_, claims := oauth.Claims(token)
	if claims == nil {
		return ""
	}
	if v, ok := claims.Get("exp"); ok {
		if number, isNumber := v.(json.Number); isNumber {
			if seconds, err := number.Float64(); err == nil && now.After(time.Unix(int64(seconds), 0)) {
				return "It expired at " + time.Unix(int64(seconds), 0).UTC().Format("2006-01-02 15:04 MST") + "."
			}
		}
	}
	audiences, _ := claims.Strings("aud")
	if one := claims.String("aud"); one != "" {
		audiences = []string{one}
	}
	if len(audiences) > 0 && !slices.ContainsFunc(audiences, func(a string) bool { return sameURL(a, endpoint) }) {
		return fmt.Sprintf("Its audience is %s, which is not %s.", strings.Join(audiences, ", "), endpoint)
	}
	return ""
}

// sentences joins the texts that are not empty.
func sentences(all ...string) string {
	return strings.Join(slices.DeleteFunc(all, func(s string) bool { return s == "" }), " ")
}
