// Package html writes a run as one self-contained page: without the network, usable without scripts, and with a content security policy
// that blocks everything foreign, whatever a target has put into its answers.
package html

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
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

// mostBody bounds a body on the page, in bytes; the JSON report has all of it.
const mostBody = 4 << 10

// mostParsed bounds a body that is parsed to be indented, in bytes.
const mostParsed = 64 << 10

// mostShown bounds all exchanges of the page together, in bytes on the page.
const mostShown = 4 << 20

// mostExchanges bounds the exchanges of one requirement. If there are fewer than fewExchanges, earlier ones are included.
const (
	mostExchanges = 6
	fewExchanges  = 2
)

// mostFixes is the number of fixes at the top of the page.
const mostFixes = 5

// view is the content of the page.
type view struct {
	Run        *reports.Run
	Policy     string
	Style      template.CSS
	Script     template.JS
	Tone       string // of the verdict: good, bad or open
	Headline   string
	Verdict    string // the beginning of the headline
	Sentence   string // the rest of the headline
	Started    string
	Host       string
	Fixes      []finding
	FixMore    int
	Next       []reports.Next
	Coverage   coverage
	Chips      []chip
	Findings   []finding
	Undecided  []undecided
	Accepted   []item
	Locked     []locked
	Absent     []cause
	Passed     []area
	N          numbers
	Threats    threats
	Clients    []reports.ClientStanding
	Profiles   certification
	Diagram    *diagram
	Trend      *trend
	Pictures   []picture
	Revisions  []string
	Everything []string // areas and levels to choose from
}

// numbers are the numbers of requirements in each section.
type numbers struct{ Findings, Undecided, Accepted, NotTested, Absent, Passed int }

// chip is a verdict with its number of requirements, and the section that shows them.
type chip struct {
	Verdict reports.Verdict
	Class   string
	N       int
	Section string
}

var sections = map[reports.Verdict]string{
	reports.Inconclusive: "undecided", reports.Suppressed: "accepted", reports.NotTested: "not-tested",
	reports.NotApplicable: "not-applicable", reports.Pass: "passed",
}

// picture is an image as a data URL.
type picture struct {
	Title, URL string
	Source     template.URL
}

// mostPictures bounds all pictures of the page together, in bytes.
const mostPictures = 600 << 10

// pictures returns the pictures of the login that fit on the page. Their bytes are encoded here, and their type is one of two, so that the
// URL contains nothing foreign.
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

// WriteTrend writes the page with a line of the number of MUSTs that earlier runs left unmet, oldest first.
func WriteTrend(w io.Writer, redacted reports.Redacted, history []reports.Past) error {
	v := see(redacted.Run(), history)
	t, err := template.New("page").Funcs(template.FuncMap{"safe": reports.Printable, "join": strings.Join, "short": short,
		"count": reports.Count, "wire": reports.WireWords}).Parse(page)
	if err != nil {
		return fmt.Errorf("html: %w", err)
	}
	var b strings.Builder
	if err := t.Execute(&b, v); err != nil {
		return fmt.Errorf("html: %w", err)
	}
	_, err = io.WriteString(w, reports.Printable(b.String())) // the page itself has nothing to escape
	return err
}

// see makes the content of the page.
func see(run *reports.Run, history []reports.Past) *view {
	v := &view{Run: run, Style: template.CSS(style), Script: template.JS(script), Started: run.Started.UTC().Format("2006-01-02 15:04 UTC")}
	v.Policy = fmt.Sprintf("default-src 'none'; style-src 'sha256-%s'; script-src 'sha256-%s'; img-src data:; base-uri 'none'; form-action "+
		"'none'", digest(style), digest(script))
	v.headline()
	p := &painter{run: run, anchors: map[string]bool{}, left: mostShown}
	v.Findings, v.Undecided = p.findings(), p.undecided()
	for _, g := range run.Groups(reports.Suppressed) {
		v.Accepted = append(v.Accepted, p.item(&g))
	}
	v.Locked = p.locked()
	v.Absent = p.causes(run.Reasons(reports.NotApplicable), p.groups(reports.NotApplicable))
	v.Passed = p.passed()
	v.count()
	v.fixes()
	v.Coverage, v.Next = cover(run), run.NextCommands()
	v.Threats, v.Clients, v.Profiles = threaten(run), run.ClientStandings(), certify(run)
	v.Diagram, v.Trend, v.Pictures = draw(run), trendOf(history), pictures(run)
	for _, r := range run.Revisions {
		if run.Unreachable == "" && (r.Status == "spoken" || r.Status == "declared" || r.Status == "assumed") {
			v.Revisions = append(v.Revisions, r.Revision)
		}
	}
	return v
}

// Controls reports whether a finding shows the control of its attacks.
func (v *view) Controls() bool {
	return slices.ContainsFunc(v.Findings, func(f finding) bool {
		return slices.ContainsFunc(f.Exchanges, func(e exchange) bool { return e.Role == "control" })
	})
}

// short returns the beginning of a digest.
func short(digest string) string { return digest[:min(len(digest), 12)] }

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// headline sets the headline of the outcome, and the tone of its colour.
func (v *view) headline() {
	outcome := v.Run.Outcome()
	v.Headline = outcome.Headline
	v.Verdict, v.Sentence, _ = strings.Cut(v.Headline, ": ")
	switch {
	case outcome.Colour == "red" || outcome.Kind == reports.Broken || v.Run.Unreachable != "":
		v.Tone = "bad"
	case outcome.Code == reports.ExitConformant:
		v.Tone = "good"
	default:
		v.Tone = "open"
	}
}

// fixes sets what to fix first: the failures, or else the most serious warnings.
func (v *view) fixes() {
	for _, verdicts := range [][]reports.Verdict{{reports.Fail, reports.Inconclusive}, {reports.Warn}} {
		for _, f := range v.Findings {
			if slices.Contains(verdicts, f.Verdict) {
				v.Fixes = append(v.Fixes, f)
			}
		}
		if len(v.Fixes) > 0 {
			break
		}
	}
	if len(v.Fixes) > mostFixes {
		v.FixMore = len(v.Fixes) - mostFixes
		v.Fixes = v.Fixes[:mostFixes]
	}
}

// count counts requirements, by section and by verdict.
func (v *view) count() {
	n := v.Run.Requirements()
	for _, verdict := range reports.Verdicts {
		if n[verdict] == 0 {
			continue
		}
		section := sections[verdict]
		if section == "" {
			section = "findings"
		}
		v.Chips = append(v.Chips, chip{verdict, strings.ToLower(string(verdict)), n[verdict], section})
	}
	v.N = numbers{len(v.Findings), n[reports.Inconclusive], n[reports.Suppressed], n[reports.NotTested], n[reports.NotApplicable],
		n[reports.Pass]}
}

// coverage is the tested part of the selected requirements, as a bar.
type coverage struct {
	All     int
	Tested  int // per cent of those that apply
	Parts   []part
	Wanting []reports.Unlock // what would let more be tested, the most useful first
}

// part is a part of the bar, in thousandths.
type part struct {
	Name, Class string
	N, X, Width int
}

// mostWanting is the number of such things that the coverage names.
const mostWanting = 3

func cover(run *reports.Run) coverage {
	n := map[string]int{}
	worst := run.Worst()
	for _, v := range worst {
		n[classOf[v]]++
	}
	c := coverage{All: len(worst)}
	x := 0
	for _, k := range []part{
		{Name: "failed", Class: "fail"}, {Name: "warned about", Class: "warn"}, {Name: "undecided", Class: "inconclusive"},
		{Name: "passed", Class: "pass"}, {Name: "not tested", Class: "not_tested"}, {Name: "do not apply", Class: "not_applicable"},
	} {
		if k.N = n[k.Class]; k.N == 0 {
			continue
		}
		k.X, k.Width = x, max(4, 1000*k.N/max(1, c.All))
		x += k.Width
		c.Parts = append(c.Parts, k)
	}
	if apply := c.All - n["not_applicable"]; apply > 0 {
		c.Tested = 100 * max(0, apply-n["not_tested"]-len(run.NotReached())) / apply
	}
	c.Wanting = wanting(run)
	return c
}

// wanting returns the options that would let the most be tested.
func wanting(run *reports.Run) (out []reports.Unlock) {
	for _, u := range run.Unlocks() {
		if u.Option != "" && len(out) < mostWanting {
			out = append(out, u)
		}
	}
	return out
}

// classOf is the class of a verdict in the coverage bar.
var classOf = map[reports.Verdict]string{
	reports.Errored: "fail", reports.Fail: "fail", reports.Warn: "warn", reports.Review: "warn", reports.Flaky: "warn",
	reports.Suppressed: "warn", reports.Inconclusive: "inconclusive", reports.Pass: "pass", reports.NotTested: "not_tested",
	reports.NotApplicable: "not_applicable",
}

// threats are the threats: possible or unsettled ones in detail, and the number of the others.
type threats struct {
	Open, Settled []threat
	SoFar         bool // a run with more could test more
}

type threat struct {
	reports.ThreatStanding
	Word string
}

var words = map[reports.Standing]string{
	reports.Met: "mitigated", reports.SoFar: "mitigated so far", reports.Unmet: "possible", reports.Partly: "partly",
	reports.Irrelevant:   "not relevant",
	reports.Undetermined: "undetermined",
}

func threaten(run *reports.Run) threats {
	var out threats
	for _, standing := range []reports.Standing{reports.Unmet, reports.Partly, reports.Undetermined, reports.SoFar, reports.Met,
		reports.Irrelevant} {
		for _, t := range run.Threats() {
			if t.Standing != standing {
				continue
			}
			to := &out.Settled
			if slices.Contains([]reports.Standing{reports.Unmet, reports.Partly, reports.Undetermined}, standing) {
				to = &out.Open
			}
			*to = append(*to, threat{t, words[standing]})
			out.SoFar = out.SoFar || standing == reports.SoFar
		}
	}
	return out
}

// certification compares the run with the frozen sets: a row for each profile, and a column for each revision.
type certification struct {
	Revisions []string
	Rows      []standingRow
}

type standingRow struct {
	Profile string
	Cells   []*reports.ProfileStanding // nil if there is no such set
}

func certify(run *reports.Run) certification {
	var c certification
	all := run.Profiles()
	for i := range all {
		if !slices.Contains(c.Revisions, all[i].Revision) {
			c.Revisions = append(c.Revisions, all[i].Revision)
		}
	}
	slices.Sort(c.Revisions)
	for i := range all {
		s := &all[i]
		at := slices.IndexFunc(c.Rows, func(r standingRow) bool { return r.Profile == s.Profile })
		if at < 0 {
			at, c.Rows = len(c.Rows), append(c.Rows, standingRow{s.Profile, make([]*reports.ProfileStanding, len(c.Revisions))})
		}
		c.Rows[at].Cells[slices.Index(c.Revisions, s.Revision)] = s
	}
	return c
}
