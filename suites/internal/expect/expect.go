// Package expect has matchers for HTTP and OAuth. They are pure functions of an exchange.
package expect

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/wire"
)

// Status returns the HTTP status of an exchange; 0 without an answer.
func Status(ex *reports.Exchange) int {
	if ex == nil || ex.Response == nil {
		return 0
	}
	return ex.Response.Status
}

// Header returns the first value of a response header field.
func Header(ex *reports.Exchange, name string) string {
	if ex == nil || ex.Response == nil {
		return ""
	}
	return wire.Get(ex.Response.Header, name)
}

// HeaderValues returns all values of a response header field.
func HeaderValues(ex *reports.Exchange, name string) []string {
	if ex == nil || ex.Response == nil {
		return nil
	}
	return wire.Values(ex.Response.Header, name)
}

// MediaType returns the media type of a response, in lower case and without parameters.
func MediaType(ex *reports.Exchange) string {
	t, _, _ := strings.Cut(Header(ex, "Content-Type"), ";")
	return strings.ToLower(strings.TrimSpace(t))
}

// Succeeded reports whether the status is one of success (RFC 9110 section 15.3), whatever the message says.
func Succeeded(ex *reports.Exchange) bool { return Status(ex) >= 200 && Status(ex) <= 299 }

// Accepted reports whether the target did what only an authorized caller may request: a JSON-RPC result, an open stream, or 202 for a
// notification.
func Accepted(ex *reports.Exchange) bool {
	status := Status(ex)
	if status < 200 || status > 299 {
		return false
	}
	a := mcp.Read(ex)
	switch {
	case a.Error:
		return false
	case a.Result != nil:
		return !RefusedInside(ex)
	case ex.Request.Method == "GET":
		return MediaType(ex) == "text/event-stream"
	case ex.Request.Method == "DELETE":
		return true
	}
	return status == 202
}

// Ran reports whether a tool ran: it returned a result that is not marked as an error. Many servers refuse a call with such a mark, so that
// a marked result says nothing about whether the tool ran.
func Ran(ex *reports.Exchange) bool { return Accepted(ex) && !mcp.Read(ex).IsError }

// Soft reports whether the refusal is only inside a JSON-RPC error of a successful HTTP answer.
func Soft(ex *reports.Exchange) bool {
	return Succeeded(ex) && mcp.Read(ex).Error
}

// RefusedInside reports whether a successful HTTP answer contains an error, of JSON-RPC or of a tool, whose words are about authorization:
// a refusal with the wrong signal.
func RefusedInside(ex *reports.Exchange) bool {
	if s := Status(ex); s < 200 || s > 299 {
		return false
	}
	a := mcp.Read(ex)
	return (a.Error || a.IsError) && aboutAuthorization(ex.Response.Body)
}

// aboutAuthorization reports whether the words of an error are about authentication or authorization.
func aboutAuthorization(text string) bool {
	text = strings.ToLower(text)
	return slices.ContainsFunc([]string{"authenticat", "unauthori", "authoriz", "token", "credential", "permission", "access denied",
		"api key", "log in", "login"}, func(word string) bool {
		return strings.Contains(text, word)
	})
}

// Confirmed reports whether a complete answer confirms a revocation. RFC 7009 section 2.2 names 200; 204 says the same.
func Confirmed(ex *reports.Exchange) bool {
	return (Status(ex) == 200 || Status(ex) == 204) && ex.Error == ""
}

// Crashed reports whether there was a server error, a broken connection or a timeout instead of an answer.
func Crashed(ex *reports.Exchange) bool {
	return ex.Response == nil || ex.Error != "" || ex.Response.Status >= 500
}

// CutOff reports whether the server reset the connection before it had read the whole message, as a server may that refuses a message for
// its size (RFC 9110 section 15.5.14). A process that crashes does so after it has read the message.
func CutOff(ex *reports.Exchange) bool { return ex.Response == nil && ex.Error == wire.Reset }

// HungUp reports whether the server closed the connection without an answer, after reading the message or before.
func HungUp(ex *reports.Exchange) bool {
	return ex.Response == nil && (ex.Error == wire.Reset || ex.Error == wire.Closed)
}

// OpenedSilently reports whether a stream was neither refused nor started: its connection stayed open.
func OpenedSilently(ex *reports.Exchange) bool { return ex.Response == nil && ex.Error == wire.Silent }

// Describe describes an answer in one line, with only the beginning of long texts: many verdicts may quote one answer.
func Describe(ex *reports.Exchange) string { return reports.AtMost(mostQuoted, describe(ex)) }

// mostQuoted bounds the description of an answer, in bytes.
const mostQuoted = 4 << 10

func describe(ex *reports.Exchange) string {
	if ex == nil {
		return "nothing was sent"
	}
	if ex.Response == nil {
		return "no answer: " + ex.Error
	}
	out := fmt.Sprintf("HTTP %d", ex.Response.Status)
	if www := HeaderValues(ex, "WWW-Authenticate"); len(www) > 0 {
		out += fmt.Sprintf(" with WWW-Authenticate: %s", strings.Join(www, " | "))
	}
	if l := Header(ex, "Location"); l != "" {
		out += " to " + l
	}
	if code := reports.AtMost(mostQuoted, member(ex, "error")); code != "" {
		return out + fmt.Sprintf(" and error %q", code)
	}
	switch a := mcp.Read(ex); {
	case a.Error:
		out += fmt.Sprintf(" and JSON-RPC error %s %q", a.Code, reports.AtMost(mostQuoted, a.Message))
	case a.IsError:
		out += " and a tool result with isError"
	case a.Result != nil:
		out += " and a JSON-RPC result"
	}
	return out
}

// Refuse expects a refusal with one of the statuses, without a result or a session.
func Refuse(statuses ...int) Matcher {
	refuse := onExchange("a refusal with HTTP "+list(statuses), Refusal, func(ex *reports.Exchange) bool {
		return slices.Contains(statuses, Status(ex)) && mcp.Read(ex).Result == nil
	})
	return named(&matcher{kind: Refusal, judge: func(actual any) Judgement {
		j := refuse.Judge(actual)
		j.Minor = refusedAnyway(ExchangeOf(actual))
		return j
	}}, "Refuse", statuses)
}

// refusedAnyway reports whether an answer is a refusal of any kind, HTTP 4xx without a result.
func refusedAnyway(ex *reports.Exchange) bool {
	return Status(ex) >= 400 && Status(ex) <= 499 && mcp.Read(ex).Result == nil
}

// RefusePreferably expects a refusal with a status; one of the other statuses is advice.
func RefusePreferably(status int, others ...int) Matcher {
	refuse := Refuse(append([]int{status}, others...)...)
	return named(&matcher{kind: Refusal, judge: func(actual any) Judgement {
		j := refuse.Judge(actual)
		if ex := ExchangeOf(actual); j.Met && Status(ex) != status {
			j.Advice = &Advice{list([]int{status}), Describe(ex)}
		}
		return j
	}}, "RefusePreferably", status, others)
}

// RefuseAnyway expects any 4xx answer without a result.
func RefuseAnyway() Matcher {
	return named(onExchange("a refusal with HTTP 4xx", Refusal, refusedAnyway), "RefuseAnyway")
}

// NotBypass expects only that the answer contains nothing protected: no result, no stream, no server error.
func NotBypass() Matcher {
	m := named(onExchange(nothingProtected, Refusal, func(ex *reports.Exchange) bool { return !Accepted(ex) && !Crashed(ex) }), "NotBypass")
	return &asked{m, func(unknownTool bool) Matcher {
		if unknownTool {
			return NotBypassOrLookUp()
		}
		return m
	}}
}

const nothingProtected = "no result, no stream and no server error"

// NotBypassOrLookUp is NotBypass for a target whose protected request calls a tool that does not exist: who is told so got past
// authorization.
func NotBypassOrLookUp() Matcher {
	return named(onExchange(nothingProtected+", and no look-up of a tool", Refusal, func(ex *reports.Exchange) bool {
		return !Accepted(ex) && !Crashed(ex) && !LooksUpTool(ex)
	}), "NotBypassOrLookUp")
}

// Accept expects that the request is served.
func Accept() Matcher {
	return named(onExchange("acceptance of the request", Control, Accepted), "Accept")
}

// ServedBy expects that the request is served, as the function judges it.
func ServedBy(served func(ex *reports.Exchange) bool) Matcher {
	return onExchange("acceptance of the request", Control, served)
}

// Challenges returns the challenges of all WWW-Authenticate fields, as far as they can be parsed.
func Challenges(ex *reports.Exchange) []document.Challenge {
	var out []document.Challenge
	for _, f := range HeaderValues(ex, "WWW-Authenticate") {
		c, _, _ := document.ParseChallenges(f)
		out = append(out, c...)
	}
	return out
}

// Bearer returns the Bearer challenges.
func Bearer(ex *reports.Exchange) []document.Challenge {
	return slices.DeleteFunc(Challenges(ex), func(c document.Challenge) bool { return !strings.EqualFold(c.Scheme, "Bearer") })
}

// Param returns the first value of a challenge parameter in any challenge of the answer.
func Param(ex *reports.Exchange, name string) (string, bool) {
	for _, c := range Challenges(ex) {
		if v, ok := c.Param(name); ok {
			return v, true
		}
	}
	return "", false
}

// list writes statuses as text.
func list(statuses []int) string {
	var parts []string
	for _, s := range statuses {
		parts = append(parts, fmt.Sprint(s))
	}
	return strings.Join(parts, " or ")
}

// RefuseOrNotImplemented expects a refusal of an HTTP method: any 4xx, or 501.
func RefuseOrNotImplemented() Matcher {
	return named(onExchange("a refusal with HTTP 4xx or 501", Refusal, func(ex *reports.Exchange) bool {
		s := Status(ex)
		return (s >= 400 && s <= 499 || s == 501) && mcp.Read(ex).Result == nil
	}), "RefuseOrNotImplemented")
}

// FramingForbidden reports whether no site can put a page into a frame. Browsers ignore X-Frame-Options where a policy has frame-ancestors
// (Content Security Policy Level 3 section 6.4.2.2).
func FramingForbidden(ex *reports.Exchange) bool {
	limited := false
	for _, field := range HeaderValues(ex, "Content-Security-Policy") {
		for policy := range strings.SplitSeq(field, ",") {
			switch v, has := directive(policy, "frame-ancestors"); {
			case has && !slices.ContainsFunc(strings.Fields(v), anywhere):
				return true
			case has:
				limited = true
			}
		}
	}
	switch strings.ToUpper(strings.TrimSpace(Header(ex, "X-Frame-Options"))) {
	case "DENY", "SAMEORIGIN":
		return !limited
	}
	return false
}

// anywhere reports whether a source of a content security policy allows all hosts, or all of a scheme.
func anywhere(source string) bool {
	return source == "*" || strings.HasSuffix(source, ":") || strings.HasSuffix(source, "://*")
}

// Directive returns the value of a directive of a content security policy.
func Directive(policy, name string) string {
	v, _ := directive(policy, name)
	return v
}

// directive is Directive, and reports whether the policy has it. Of two with the same name, the first counts.
func directive(policy, name string) (value string, has bool) {
	for _, d := range strings.Split(policy, ";") {
		if n, v, _ := strings.Cut(strings.TrimSpace(d), " "); strings.EqualFold(n, name) {
			return strings.TrimSpace(v), true
		}
	}
	return "", false
}

// Body returns the body of an answer, or "".
func Body(ex *reports.Exchange) string {
	if ex == nil || ex.Response == nil {
		return ""
	}
	return ex.Response.Body
}

// RetryAfter returns how long the answer asks to wait, in seconds or until a date (RFC 9110 section 10.2.3); ok is false if the field is
// neither.
func RetryAfter(ex *reports.Exchange) (wait time.Duration, ok bool) {
	field := strings.TrimSpace(Header(ex, "Retry-After"))
	if seconds, err := strconv.Atoi(field); err == nil && seconds >= 0 {
		return time.Duration(seconds) * time.Second, true
	}
	at, err := http.ParseTime(field)
	if err != nil {
		return 0, false
	}
	return max(0, at.Sub(ex.Ended())), true
}

// Date returns the time of the server's clock at an answer (RFC 9110 section 6.6.1); false without a valid Date field.
func Date(ex *reports.Exchange) (at time.Time, ok bool) {
	at, err := http.ParseTime(Header(ex, "Date"))
	return at, err == nil
}
