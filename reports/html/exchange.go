package html

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html/template"
	"regexp"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
)

// exchange is a request with its answer in the form of the page.
type exchange struct {
	Number          int
	Role            string // control, attack, observed or step
	About           string // the finding that rests on it
	Title           string
	Request, Answer []text
	Absent          []string // parts of the control that this request lacks
	Curl            string
	Tokens          []token
	Open            bool

	size int // in bytes on the page
}

// text is a part of a message: one or several complete lines, marked if a verdict rests on them.
type text struct {
	Text string
	Mark bool
}

type token struct{ Name, Header, Claims string }

// line is a line of a message. Its name is that of its field, parameter or member, in lower case.
type line struct{ text, name string }

// message returns the lines of a request or of an answer.
func message(start []line, header []reports.Field, body string) []line {
	out := start
	kind := ""
	for _, f := range header {
		out = append(out, line{f.Name + ": " + f.Value, strings.ToLower(f.Name)})
		if strings.EqualFold(f.Name, "Content-Type") {
			kind = f.Value
		}
	}
	if body != "" {
		out = append(append(out, line{}), pretty(body, kind)...)
	}
	return out
}

// pretty returns the lines of a body: JSON is indented, also in the events of a stream, and each parameter of a form has a line. A long
// body is cut after its lines are made, because half a document cannot be indented.
func pretty(body, kind string) []line {
	if len(body) > mostParsed {
		return cut(plain(body[:mostParsed]))
	}
	indented, ok := indent(body, "")
	switch {
	case ok:
		return cut(members(indented))
	case strings.HasPrefix(kind, "text/event-stream"):
		return cut(events(body))
	case strings.HasPrefix(kind, "application/x-www-form-urlencoded"):
		return cut(parameters(body, ""))
	}
	return cut(plain(body))
}

func plain(body string) []line {
	var out []line
	for l := range strings.SplitSeq(body, "\n") {
		out = append(out, line{strings.TrimRight(l, "\r"), ""})
	}
	return out
}

func events(body string) []line {
	var out []line
	for l := range strings.Lines(body) {
		data, is := strings.CutPrefix(l, "data:")
		if indented, ok := indent(data, ""); is && ok {
			out = append(append(out, line{"data:", ""}), members(indented)...)
			continue
		}
		out = append(out, line{strings.TrimRight(l, "\r\n"), ""})
	}
	return out
}

// cut ends lines after mostBody bytes. Indentation counts as one byte.
func cut(lines []line) []line {
	left := mostBody
	for i, l := range lines {
		content := strings.TrimLeft(l.text, " ")
		if len(content) >= left {
			indentation := l.text[:len(l.text)-len(content)]
			return append(lines[:i:i], line{indentation + strings.ToValidUTF8(content[:left], "") + "…", l.name})
		}
		left -= len(content) + 1
	}
	return lines
}

// mostDepth bounds the nesting of JSON that is indented: the indentation grows with its square.
const mostDepth = 50

func deep(text string) bool {
	depth := 0
	for i := range len(text) {
		switch text[i] {
		case '{', '[':
			if depth++; depth > mostDepth {
				return true
			}
		case '}', ']':
			depth--
		}
	}
	return false
}

func indent(text, prefix string) (string, bool) {
	trimmed := strings.TrimSpace(text)
	if trimmed == "" || trimmed[0] != '{' && trimmed[0] != '[' || deep(trimmed) {
		return "", false
	}
	var b bytes.Buffer
	if json.Indent(&b, []byte(trimmed), prefix, "  ") != nil {
		return "", false
	}
	return b.String(), true
}

var member = regexp.MustCompile(`^\s*"([^"\\]+)":`)

func members(indented string) []line {
	var out []line
	for l := range strings.SplitSeq(indented, "\n") {
		name := ""
		if m := member.FindStringSubmatch(l); m != nil {
			name = strings.ToLower(m[1])
		}
		out = append(out, line{l, name})
	}
	return out
}

// parameters returns the parameters of a form or of a query, one on each line.
func parameters(query, before string) []line {
	var out []line
	for part := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(part, "=")
		out = append(out, line{before + part, strings.ToLower(name)})
		before = strings.Repeat(" ", len(strings.TrimRight(before, "?&"))) + "&"
	}
	return out
}

// longURL is the length from which the parameters of a URL have separate lines.
const longURL = 100

func requestLines(e *reports.Exchange) []line {
	start := []line{{e.Request.Method + " " + e.Request.URL, ""}}
	if address, query, ok := strings.Cut(e.Request.URL, "?"); ok && len(e.Request.URL) > longURL {
		start = append([]line{{e.Request.Method + " " + address, ""}}, parameters(query, "    ?")...)
	}
	return message(start, e.Request.Header, e.Request.Body)
}

func answerLines(e *reports.Exchange) []line {
	var out []line
	if e.Response != nil {
		status := line{fmt.Sprintf("%s %d", e.Response.Proto, e.Response.Status), fmt.Sprintf("http %d", e.Response.Status)}
		out = message([]line{status}, e.Response.Header, e.Response.Body)
	}
	if e.Error != "" {
		out = append(out, line{"(" + e.Error + ")", ""})
	}
	return out
}

// changing are fields whose values differ between requests without a meaning.
var changing = []string{
	"user-agent", "content-length", "date", "mcp-session-id", "id", "state", "nonce", "code_challenge", "code", "code_verifier", "traceparent",
	"cookie", "dpop",
	"jti", "iat", "progresstoken",
}

var numbered = regexp.MustCompile(`#\d+›`)

// differing marks the lines of a request that its control lacks, and names those that only the control has.
func differing(request, control []line, said string) (marks []bool, absent []string) {
	plain := func(l line) string { return numbered.ReplaceAllString(strings.TrimLeft(l.text, " ?&"), "›") }
	has := func(in []line, l line) bool {
		return slices.ContainsFunc(in, func(o line) bool { return plain(o) == plain(l) })
	}
	named := func(in []line, name string) bool {
		return slices.ContainsFunc(in, func(o line) bool { return o.name == name })
	}
	marks = make([]bool, len(request))
	for i, l := range request {
		usual := slices.Contains(changing, l.name) && named(control, l.name) && !mentions(said, l.name)
		marks[i] = l.text != "" && !has(control, l) && !usual
	}
	for _, l := range control {
		if l.name != "" && !named(request, l.name) && !slices.Contains(absent, l.name) &&
			(!slices.Contains(changing, l.name) || mentions(said, l.name)) {
			absent = append(absent, l.name)
		}
	}
	return marks, absent
}

// mentions reports whether a text names a field as a whole word.
func mentions(said, name string) bool {
	if len(name) < 3 {
		return false
	}
	for rest, from := said, 0; ; {
		i := strings.Index(rest[from:], name)
		if i < 0 {
			return false
		}
		before, after := from+i-1, from+i+len(name)
		if (before < 0 || !isName(rest[before])) && (after >= len(rest) || !isName(rest[after])) {
			return true
		}
		from = after
	}
}

func isName(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}

// named marks the lines that a finding names.
func named(lines []line, said string) []bool {
	marks := make([]bool, len(lines))
	for i, l := range lines {
		marks[i] = l.name != "" && (strings.ContainsAny(l.name, "_-") || strings.HasPrefix(l.name, "http ") ||
			strings.Contains(said, l.name+"=") ||
			strings.Contains(said, `"`+l.name+`"`) || l.name == "location" || l.name == "authorization") && mentions(said, l.name)
	}
	return marks
}

// joined merges adjacent lines of the same kind.
func joined(lines []line, marks []bool) []text {
	var out []text
	for i, l := range lines {
		t := reports.Printable(l.text) + "\n"
		if n := len(out); n > 0 && out[n-1].Mark == marks[i] {
			out[n-1].Text += t
			continue
		}
		out = append(out, text{t, marks[i]})
	}
	return out
}

// present prepares an exchange for the page. said has the texts of the findings that rest on it; control, its control, may be nil.
func present(e, control *reports.Exchange, said string) exchange {
	x := exchange{Number: e.Number, Title: titleOf(e), Curl: Curl(e)}
	said = strings.ToLower(said)
	request, answer := requestLines(e), answerLines(e)
	marks := make([]bool, len(request))
	if said != "" {
		marks = named(request, said)
	}
	if control != nil && comparable(e, control) {
		marks, x.Absent = differing(request, requestLines(control), said)
	}
	x.Request, x.Answer = joined(request, marks), joined(answer, named(answer, said))
	for _, part := range slices.Concat(x.Request, x.Answer) {
		x.size += len(template.HTMLEscapeString(part.Text))
	}
	x.size += len(template.HTMLEscapeString(x.Curl))
	return x
}

// titleOf returns the method and the URL of a request, without its query, and the answer.
func titleOf(e *reports.Exchange) string {
	title, _, query := strings.Cut(e.Request.Method+" "+e.Request.URL, "?")
	if query {
		title += "?…"
	}
	switch {
	case e.Response != nil && e.Error != "":
		return title + fmt.Sprintf(" → %d, broken off", e.Response.Status)
	case e.Response != nil:
		return title + fmt.Sprintf(" → %d", e.Response.Status)
	}
	return title + " → no whole answer"
}

// comparable reports whether two requests have the same purpose, so that their differences matter.
func comparable(a, b *reports.Exchange) bool {
	at := func(e *reports.Exchange) string { address, _, _ := strings.Cut(e.Request.URL, "?"); return address }
	return a != b && a.Request.Method == b.Request.Method && at(a) == at(b) && !a.Request.Raw && !b.Request.Raw
}

// decoded returns the JWTs of an exchange.
func decoded(run *reports.Run, e *reports.Exchange) []token {
	var out []token
	for _, t := range run.TokensOf(e) {
		nice := func(s string) string {
			if indented, ok := indent(s, ""); ok {
				return indented
			}
			return s
		}
		out = append(out, token{t.Name, nice(t.Header), nice(t.Claims)})
	}
	return out
}

// Curl returns a command that repeats a request, with placeholders for removed secrets.
func Curl(e *reports.Exchange) string {
	if e.Request.Raw {
		return "# written byte by byte, since no HTTP client would send it"
	}
	quote := func(s string) string { return "'" + strings.ReplaceAll(reports.Printable(s), "'", `'\''`) + "'" }
	parts := []string{"curl -i -X", quote(e.Request.Method), quote(e.Request.URL)}
	for _, f := range e.Request.Header {
		parts = append(parts, "-H", quote(f.Name+": "+f.Value))
	}
	if body := e.Request.Body; body != "" {
		if len(body) > mostBody {
			return "# the body is too large for a command line; the JSON report has it"
		}
		parts = append(parts, "--data-binary", quote(body))
	}
	return strings.Join(parts, " ")
}
