package html

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/fixtures/requirements"
	"github.com/mcpauth/conformance/reports"
)

// item is one requirement with one verdict.
type item struct {
	Anchor, ID, Title, Level, Area, Severity string
	Verdict                                  reports.Verdict
	Class                                    string // the verdict, for the style sheet
	Scope                                    string // the level, revisions and wires in words
	Headline                                 string
	Notes                                    []string
}

// finding is an item that needs attention, with the details of the run and the catalogue.
type finding struct {
	item
	Why, Statement, Reason string
	Observations           []observation
	Remediation, Good, Bad string
	Exchanges              []exchange
	More                   int
	Links                  []link
	Open                   bool
	Rank                   int // the place by severity
}

// observation is an answer, with the requests that got it, and what should have come.
type observation struct {
	First, More []variant
	Came        string
	Should      string
	Advice      bool
	Looked      bool // First and More name what was looked at
}

// variant is a request that was sent.
type variant struct {
	Sent     string
	Exchange int
	Link     string // to the exchange, if it is on the page
}

type link struct{ Text, URL string }

// mostVariants bounds the variants that are visible at once.
const mostVariants = 4

// painter collects the results of a run for the page.
type painter struct {
	run     *reports.Run
	anchors map[string]bool
	left    int // bytes left for exchanges on the page
}

// item makes the item of a group.
func (p *painter) item(g *reports.Group) item {
	r := g.First()
	i := item{
		Anchor: p.anchor(r), ID: r.ID, Title: r.Title, Level: r.Level, Area: r.Area, Severity: string(g.Severity), Verdict: r.Verdict,
		Class: strings.ToLower(string(r.Verdict)), Scope: g.Scope(),
	}
	for _, res := range g.Results {
		i.Headline = cmp.Or(i.Headline, res.Headline)
		for _, n := range res.Notes {
			if !slices.Contains(i.Notes, n) {
				i.Notes = append(i.Notes, n)
			}
		}
	}
	return i
}

// anchor returns the anchor of a result: its id, with the verdict if another result has that id.
func (p *painter) anchor(r *reports.Result) string {
	a := r.ID
	for n := 0; p.anchors[a]; n++ {
		a = r.ID + "." + strings.ToLower(string(r.Verdict))
		if n > 0 {
			a += fmt.Sprint(n)
		}
	}
	p.anchors[a] = true
	return a
}

// findings returns the findings of a run, the most serious first.
func (p *painter) findings() []finding {
	groups := slices.Concat(p.run.Groups(reports.Errored), p.run.ToFix())
	for _, v := range []reports.Verdict{reports.Warn, reports.Review, reports.Flaky} {
		groups = append(groups, p.run.Groups(v)...)
	}
	var out []finding
	for i, g := range groups {
		f := p.finding(&g)
		f.Rank, f.Open = i, i == 0
		out = append(out, f)
	}
	return out
}

func (p *painter) finding(g *reports.Group) finding {
	r := g.First()
	f := finding{item: p.item(g), Why: g.Why, Reason: r.Reason, Remediation: r.Remediation, Links: links(r)}
	if entry, ok := requirements.Lookup(r.ID); ok {
		f.Statement, f.Good, f.Bad = entry.Statement, entry.Example.Good, entry.Example.Bad
	}
	f.Exchanges, f.More = p.exchanges(f.Anchor, g)
	shown := map[int]bool{}
	for _, x := range f.Exchanges {
		shown[x.Number] = true
	}
	for _, found := range g.Findings() {
		said := p.run.Said(&found)
		v := variant{Sent: said.Sent, Exchange: found.Exchange}
		if shown[found.Exchange] {
			v.Link = fmt.Sprintf("%s-%d", f.Anchor, found.Exchange)
		}
		f.observe(said, found.Advice, v)
	}
	if len(f.Observations) > 0 {
		f.Reason = ""
	}
	return f
}

// observe adds a finding. Requests with one answer share an observation.
func (f *finding) observe(said reports.Said, advice bool, v variant) {
	at := slices.IndexFunc(f.Observations, func(o observation) bool {
		return o.Came == said.Came && o.Should == said.Should && o.Advice == advice && o.Looked == said.Looked
	})
	if at < 0 {
		at = len(f.Observations)
		f.Observations = append(f.Observations, observation{Came: said.Came, Should: said.Should, Advice: advice, Looked: said.Looked})
	}
	o := &f.Observations[at]
	switch {
	case v.Sent == "":
	case len(o.First) < mostVariants:
		o.First = append(o.First, v)
	default:
		o.More = append(o.More, v)
	}
}

func links(r *reports.Result) []link {
	var out []link
	for _, s := range r.Sources {
		l := link{Text: strings.TrimSpace(s.Doc + " " + s.Section)}
		if u, err := url.Parse(s.URL); err == nil && (u.Scheme == "https" || u.Scheme == "http") {
			l.URL = s.URL
		}
		out = append(out, l)
	}
	return out
}

// exchanges returns the exchanges on which the findings of a group rest, with their control, in the order of sending. If there are few,
// earlier ones are included.
func (p *painter) exchanges(anchor string, g *reports.Group) (out []exchange, more int) {
	said, cited := citedBy(g.Findings())
	var controls, evidence []int
	for _, r := range g.Results {
		controls, evidence = append(controls, r.Controls...), append(evidence, r.Evidence...)
	}
	chosen, control := p.choose(cited, controls, evidence)
	opened := false
	for _, number := range chosen {
		e, ok := p.run.Exchange(number)
		if !ok {
			continue
		}
		x := present(e, control, wording(said[number]))
		x.Role, x.About = role(number, said, controls), about(said[number])
		x.show(decoded(p.run, e))
		if p.left -= x.size; p.left < 0 {
			break
		}
		if !opened && said[number] != nil {
			x.Open, opened = true, true
		}
		out = append(out, x)
	}
	slices.Sort(evidence)
	return out, max(0, len(slices.Compact(evidence))-len(out))
}

// show adds tokens to an exchange.
func (x *exchange) show(tokens []token) {
	x.Tokens = tokens
	for _, t := range tokens {
		x.size += len(t.Header) + len(t.Claims)
	}
}

// citedBy returns the exchanges that findings cite, in the order of the findings, and what these say about each.
func citedBy(findings []reports.Finding) (said map[int][]reports.Finding, cited []int) {
	said = map[int][]reports.Finding{}
	for _, f := range findings {
		if f.Exchange == 0 {
			continue
		}
		if said[f.Exchange] == nil {
			cited = append(cited, f.Exchange)
		}
		said[f.Exchange] = append(said[f.Exchange], f)
	}
	return said, cited
}

// choose selects the exchanges to show: the cited ones, a control, and if there are few, the last of the evidence.
func (p *painter) choose(cited, controls, evidence []int) (chosen []int, control *reports.Exchange) {
	chosen = slices.Clone(cited[:min(len(cited), mostExchanges-1)])
	if control = p.control(chosen, controls); control != nil {
		chosen = append(chosen, control.Number)
	}
	for i := len(evidence) - 1; i >= 0 && len(chosen) < fewExchanges; i-- { // the last ones are the most useful
		if !slices.Contains(chosen, evidence[i]) {
			chosen = append(chosen, evidence[i])
		}
	}
	slices.Sort(chosen)
	return chosen, control
}

// control returns the control of the chosen exchanges: one with the same purpose, if there is one.
func (p *painter) control(chosen, controls []int) *reports.Exchange {
	var first *reports.Exchange
	for _, number := range controls {
		c, ok := p.run.Exchange(number)
		if !ok || slices.Contains(chosen, number) {
			continue
		}
		if first == nil {
			first = c
		}
		for _, n := range chosen {
			if e, ok := p.run.Exchange(n); ok && comparable(e, c) {
				return c
			}
		}
	}
	return first
}

// role returns the purpose of an exchange: an attack has a control.
func role(number int, said map[int][]reports.Finding, controls []int) string {
	switch {
	case said[number] != nil && len(controls) > 0:
		return "attack"
	case said[number] != nil:
		return "observed"
	case slices.Contains(controls, number):
		return "control"
	}
	return "step"
}

// wording returns the texts of findings about an exchange.
func wording(findings []reports.Finding) string {
	var b strings.Builder
	for _, f := range findings {
		b.WriteString(f.About + " " + f.Expected + " " + f.Observed + " ")
	}
	return b.String()
}

func about(findings []reports.Finding) string {
	var out []string
	for _, f := range findings {
		if f.About != "" && !slices.Contains(out, f.About) {
			out = append(out, f.About)
		}
	}
	return strings.Join(out, "; ")
}

// undecided is a reason why requirements are undecided.
type undecided struct {
	Reason    string
	Items     []item
	Exchanges []exchange
	Anchor    string
}

// cause is a reason that several requirements share.
type cause struct {
	Reason string
	Items  []item
}

// causes returns the reasons of a verdict, each once.
func (p *painter) causes(reasons []reports.Reason, groups map[string]*reports.Group) []cause {
	var out []cause
	for _, r := range reasons {
		c := cause{Reason: r.Text}
		for _, id := range r.IDs {
			if g := groups[id]; g != nil {
				c.Items = append(c.Items, p.item(g))
			}
		}
		out = append(out, c)
	}
	return out
}

// undecided returns the reasons why requirements are undecided, with what was seen.
func (p *painter) undecided() []undecided {
	groups := p.groups(reports.Inconclusive)
	var out []undecided
	for i, c := range p.causes(p.run.Reasons(reports.Inconclusive), groups) {
		u := undecided{Reason: c.Reason, Items: c.Items, Anchor: fmt.Sprintf("undecided-%d", i+1)}
		if len(c.Items) > 0 {
			u.Exchanges, _ = p.exchanges(u.Anchor, groups[c.Items[0].ID])
		}
		out = append(out, u)
	}
	return out
}

// groups returns the groups of a verdict, by id.
func (p *painter) groups(v reports.Verdict) map[string]*reports.Group {
	out := map[string]*reports.Group{}
	for _, g := range p.run.Groups(v) {
		out[g.First().ID] = &g
	}
	return out
}

// locked is what was not tested because of one missing thing.
type locked struct {
	Option string
	N      int
	Musts  int
	Causes []cause
}

func (p *painter) locked() []locked {
	groups := p.groups(reports.NotTested)
	var out []locked
	for _, u := range p.run.Unlocks() {
		out = append(out, locked{u.Option, len(u.IDs), u.Musts, p.causes(u.Reasons, groups)})
	}
	return out
}

// area has the passed requirements of one area.
type area struct {
	Name  string
	Items []item
}

func (p *painter) passed() []area {
	var out []area
	for _, g := range p.run.Groups(reports.Pass) {
		i := p.item(&g)
		at := slices.IndexFunc(out, func(a area) bool { return a.Name == i.Area })
		if at < 0 {
			at, out = len(out), append(out, area{Name: i.Area})
		}
		out[at].Items = append(out[at].Items, i)
	}
	slices.SortFunc(out, func(a, b area) int { return strings.Compare(a.Name, b.Name) })
	return out
}
