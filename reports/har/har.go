// Package har writes the exchanges of a run as an HTTP Archive, version 1.2, which browsers and proxies can open.
package har

import (
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/mcpauth/conformance/reports"
)

type archive struct {
	Log log `json:"log"`
}

type log struct {
	Version string  `json:"version"`
	Creator creator `json:"creator"`
	Entries []entry `json:"entries"`
}

type creator struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

type entry struct {
	Started  string   `json:"startedDateTime"`
	Time     float64  `json:"time"`
	Request  request  `json:"request"`
	Response response `json:"response"`
	Cache    struct{} `json:"cache"`
	Timings  timings  `json:"timings"`
	Comment  string   `json:"comment,omitempty"`
	CheckID  string   `json:"_checkId"`
	Number   int      `json:"_exchange"`
	Error    string   `json:"_error,omitempty"`
}

type request struct {
	Method      string    `json:"method"`
	URL         string    `json:"url"`
	HTTPVersion string    `json:"httpVersion"`
	Cookies     []pair    `json:"cookies"`
	Headers     []pair    `json:"headers"`
	QueryString []pair    `json:"queryString"`
	PostData    *postData `json:"postData,omitempty"`
	HeadersSize int       `json:"headersSize"`
	BodySize    int       `json:"bodySize"`
}

type response struct {
	Status      int     `json:"status"`
	StatusText  string  `json:"statusText"`
	HTTPVersion string  `json:"httpVersion"`
	Cookies     []pair  `json:"cookies"`
	Headers     []pair  `json:"headers"`
	Content     content `json:"content"`
	RedirectURL string  `json:"redirectURL"`
	HeadersSize int     `json:"headersSize"`
	BodySize    int     `json:"bodySize"`
}

type pair struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type postData struct {
	MimeType string `json:"mimeType"`
	Params   []pair `json:"params"`
	Text     string `json:"text"`
}

type content struct {
	Size     int    `json:"size"`
	MimeType string `json:"mimeType"`
	Text     string `json:"text"`
	Comment  string `json:"comment,omitempty"`
}

type timings struct {
	Send    float64 `json:"send"`
	Wait    float64 `json:"wait"`
	Receive float64 `json:"receive"`
}

// Write writes every exchange, without secrets. A request without an answer has status 0, as in browsers.
func Write(w io.Writer, redacted reports.Redacted) error {
	run := redacted.Run()
	out := archive{log{Version: "1.2", Creator: creator{run.Tool.Name, run.Tool.Version}, Entries: []entry{}}}
	return reports.WriteJSON(w, out, " ", reports.Long{Name: "entries", Elements: func(yield func(any) bool) {
		for i := range run.Exchanges {
			if !yield(entryOf(&run.Exchanges[i])) {
				return
			}
		}
	}})
}

func entryOf(ex *reports.Exchange) entry {
	e := entry{
		Started: ex.Started.Format(time.RFC3339Nano), Time: float64(ex.Duration), CheckID: ex.Check, Number: ex.Number, Error: ex.Error,
		Timings: timings{Wait: float64(ex.Duration)},
		Request: request{
			Method: ex.Request.Method, URL: ex.Request.URL, HTTPVersion: "HTTP/1.1", Cookies: []pair{}, Headers: pairs(ex.Request.Header),
			QueryString: query(ex.Request.URL), HeadersSize: -1, BodySize: len(ex.Request.Body),
		},
		Response: response{HTTPVersion: "HTTP/1.1", Cookies: []pair{}, Headers: []pair{}, HeadersSize: -1, BodySize: -1},
	}
	if ex.Request.Raw {
		e.Comment = "written byte by byte"
	}
	if ex.Request.Body != "" {
		e.Request.PostData = &postData{MimeType: field(ex.Request.Header, "Content-Type"), Params: []pair{}, Text: ex.Request.Body}
	}
	if r := ex.Response; r != nil {
		e.Response.Status, e.Response.HTTPVersion, e.Response.Headers = r.Status, r.Proto, pairs(r.Header)
		e.Response.RedirectURL = field(r.Header, "Location")
		e.Response.Content = content{Size: len(r.Body), MimeType: field(r.Header, "Content-Type"), Text: r.Body}
		if r.Truncated {
			e.Response.Content.Comment = "cut short by the limit on bodies"
		}
	}
	return e
}

func pairs(fields []reports.Field) []pair {
	out := []pair{}
	for _, f := range fields {
		out = append(out, pair(f))
	}
	return out
}

// query returns the parameters of a URL in order.
func query(address string) []pair {
	out := []pair{}
	_, raw, _ := strings.Cut(address, "?")
	raw, _, _ = strings.Cut(raw, "#")
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		out = append(out, pair{unescaped(name), unescaped(value)})
	}
	return out
}

func unescaped(s string) string {
	if plain, err := url.QueryUnescape(s); err == nil {
		return plain
	}
	return s
}

func field(fields []reports.Field, name string) string {
	for _, f := range fields {
		if strings.EqualFold(f.Name, name) {
			return f.Value
		}
	}
	return ""
}
