// Package html writes a run as one self-contained page: no network, no dependence on scripts, and a content
// security policy that lets nothing foreign in, whatever a target has put into its answers.
package html

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"net/url"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
)

//go:embed style.css
var style string

//go:embed script.js
var script string

//go:embed page.html
var page string

// mostBody bounds a body on the page, in bytes; the JSON report has it whole.
const mostBody = 4 << 10

// mostShown bounds all exchanges of the page together, in bytes as they stand in it.
const mostShown = 4 << 20

// mostExchanges bounds the exchanges shown for one result.
const mostExchanges = 6

// view is what the page shows.
type view struct {
	Run            *reports.Run
	Policy         string
	Style          template.CSS
	Script         template.JS
	Headline       string
	Tone           string
	Counts         []count
	Groups         []group
	Profiles       []reports.ProfileStanding
	Threats        []reports.ThreatStanding
	Clients        []reports.ClientStanding
	Diagram        *diagram
	Trend          *trend
	Pictures       []picture
	NotTested      []reason
	Started        string
	RevisionsKnown []reports.RevisionStatus
}

type count struct {
	Verdict reports.Verdict
	Class   string
	N       int
}

type group struct {
	Verdict reports.Verdict
	Class   string
	Open    bool
	Results []result
}

type result struct {
	reports.Result
	Anchor    string
	Class     string
	Exchanges []exchange
	More      int
	Links     []link
}

type link struct{ Text, URL string }

type exchange struct {
	Number          int
	Title           string
	Request, Answer string
	Curl            string
	Tokens          []reports.Token
	Shown           bool // a finding rests on it

	size int // in bytes, as it stands on the page
}

type reason struct {
	Why string
	N   int
}

// picture is a picture of a page, as an address that holds it.
type picture struct {
	Title, URL string
	Source     template.URL
}

// mostPictures bounds all pictures of the page together, in bytes.
const mostPictures = 600 << 10

// pictures are those of the login that the page bears. Their bytes are encoded here, and their type is one of two, so that
// nothing foreign is in the address.
func pictures(run *reports.Run) []picture {
	var out []picture
	left := mostPictures
	for _, s := range run.Screenshots {
		if left -= len(s.Image); left < 0 || s.Type != "image/png" && s.Type != "image/jpeg" {
			break
		}
		out = append(out, picture{s.Title, s.URL, template.URL("data:" + s.Type + ";base64," + base64.StdEncoding.EncodeToString(s.Image))})
	}
	return out
}

// Write writes the page.
func Write(w io.Writer, redacted reports.Redacted) error { return WriteTrend(w, redacted, nil) }

// WriteTrend writes the page with a line of how many MUSTs earlier runs left unmet, oldest first.
func WriteTrend(w io.Writer, redacted reports.Redacted, history []reports.Past) error {
	run := redacted.Run()
	v := view{Run: run, Style: template.CSS(style), Script: template.JS(script), Started: run.Started.UTC().Format("2006-01-02 15:04:05 UTC")}
	v.Policy = fmt.Sprintf("default-src 'none'; style-src 'sha256-%s'; script-src 'sha256-%s'; img-src data:; base-uri 'none'; form-action 'none'", digest(style), digest(script))
	v.Headline, v.Tone = headline(run)
	counts := run.Counts()
	p := &painter{run: run, anchors: map[string]bool{}, left: mostShown, ready: map[int]exchange{}}
	for _, verdict := range reports.Verdicts {
		if counts[verdict] == 0 {
			continue
		}
		class := strings.ToLower(string(verdict))
		v.Counts = append(v.Counts, count{verdict, class, counts[verdict]})
		g := group{Verdict: verdict, Class: class, Open: attention(verdict)}
		for i := range run.Results {
			if run.Results[i].Verdict == verdict {
				g.Results = append(g.Results, p.show(&run.Results[i]))
			}
		}
		v.Groups = append(v.Groups, g)
	}
	v.NotTested, v.Pictures = reasons(run), pictures(run)
	v.Profiles, v.Threats, v.Clients = run.Profiles(), run.Threats(), run.ClientStandings()
	v.Diagram, v.Trend = draw(run), line(history)
	t, err := template.New("page").Funcs(template.FuncMap{"safe": reports.Printable, "join": strings.Join}).Parse(page)
	if err != nil {
		return fmt.Errorf("html: %w", err)
	}
	var b strings.Builder
	if err := t.Execute(&b, v); err != nil {
		return fmt.Errorf("html: %w", err)
	}
	_, err = io.WriteString(w, reports.Printable(b.String())) // the page itself holds nothing that is escaped
	return err
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// attention reports that a verdict is one that a reader came for.
func attention(v reports.Verdict) bool {
	return slices.Contains([]reports.Verdict{reports.Errored, reports.Fail, reports.Inconclusive, reports.Warn, reports.Review, reports.Flaky}, v)
}

// headline is that of the outcome, with the tone of its colour.
func headline(run *reports.Run) (sentence, tone string) {
	outcome := run.Outcome()
	switch {
	case outcome.Colour == "red" || outcome.Kind == reports.Broken || run.Unreachable != "":
		return outcome.Headline, "bad"
	case outcome.Kind == reports.Conformant:
		return outcome.Headline, "good"
	}
	return outcome.Headline, "open"
}

// reasons groups what was not tested by why.
func reasons(run *reports.Run) []reason {
	var out []reason
	for _, c := range run.Causes(reports.NotTested) {
		out = append(out, reason{c.Reason, c.Count})
	}
	return out
}

// painter goes through the results of a run.
type painter struct {
	run     *reports.Run
	anchors map[string]bool
	left    int // bytes of exchanges that the page still bears
	ready   map[int]exchange
}

// present makes an exchange ready for the page, once however often it is shown.
func (p *painter) present(e *reports.Exchange) exchange {
	if x, ok := p.ready[e.Number]; ok {
		return x
	}
	x := present(e)
	x.Tokens = p.run.TokensOf(e)
	x.size = len(template.HTMLEscapeString(x.Request + x.Answer + x.Curl))
	for _, t := range x.Tokens {
		x.size += len(template.HTMLEscapeString(t.Header + t.Claims))
	}
	p.ready[e.Number] = x
	return x
}

// show gathers what the page says of one result. Of a passed one the exchanges stay in the JSON report.
func (p *painter) show(r *reports.Result) result {
	out := result{Result: *r, Class: strings.ToLower(string(r.Verdict)), Anchor: anchor(r, p.anchors)}
	for _, s := range r.Sources {
		l := link{Text: strings.TrimSpace(s.Doc + " " + s.Section)}
		if u, err := url.Parse(s.URL); err == nil && (u.Scheme == "https" || u.Scheme == "http") {
			l.URL = s.URL
		}
		out.Links = append(out.Links, l)
	}
	if !attention(r.Verdict) {
		return out
	}
	var numbers []int
	for _, f := range r.Findings {
		if f.Exchange != 0 && !slices.Contains(numbers, f.Exchange) {
			numbers = append(numbers, f.Exchange)
		}
	}
	shown := len(numbers)
	for i := len(r.Evidence) - 1; i >= 0 && len(numbers) < mostExchanges; i-- { // the last ones tell most
		if !slices.Contains(numbers, r.Evidence[i]) {
			numbers = append(numbers, r.Evidence[i])
		}
	}
	if len(numbers) > mostExchanges {
		numbers = numbers[:mostExchanges]
	}
	for i, number := range numbers {
		if e, ok := p.run.Exchange(number); ok {
			x := p.present(e)
			if p.left -= x.size; p.left < 0 {
				break
			}
			x.Shown = i < shown
			out.Exchanges = append(out.Exchanges, x)
		}
	}
	if out.More = len(r.Evidence) - len(out.Exchanges); out.More < 0 {
		out.More = 0
	}
	return out
}

// anchor is the place of a result on the page: its id, and where that is taken what tells it from the others.
func anchor(r *reports.Result, taken map[string]bool) string {
	a := r.ID
	for _, more := range append([]string{r.Wire}, r.Revisions...) {
		if taken[a] && more != "" {
			a += "." + more
		}
	}
	taken[a] = true
	return a
}

func present(e *reports.Exchange) exchange {
	title, _, query := strings.Cut(e.Request.Method+" "+e.Request.URL, "?")
	if query {
		title += "?…"
	}
	x := exchange{Number: e.Number, Title: title, Curl: Curl(e)}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\n", e.Request.Method, e.Request.URL)
	lines(&b, e.Request.Header, e.Request.Body)
	x.Request = reports.Printable(b.String())
	b.Reset()
	if e.Response != nil {
		fmt.Fprintf(&b, "%s %d\n", e.Response.Proto, e.Response.Status)
		lines(&b, e.Response.Header, e.Response.Body)
		x.Title += fmt.Sprintf(" → %d", e.Response.Status)
	}
	if e.Error != "" {
		b.WriteString("(" + e.Error + ")\n")
		x.Title += " → no whole answer"
	}
	x.Answer = reports.Printable(b.String())
	return x
}

func lines(b *strings.Builder, header []reports.Field, body string) {
	for _, f := range header {
		b.WriteString(f.Name + ": " + f.Value + "\n")
	}
	if body == "" {
		return
	}
	if len(body) > mostBody {
		body = strings.ToValidUTF8(body[:mostBody], "") + "…"
	}
	b.WriteString("\n" + body + "\n")
}

// Curl is a command that repeats a request; what was removed as secret stands in it as a placeholder.
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
