// Package junit writes a run as JUnit XML that GitLab, Jenkins and the GitHub actions read in the same way.
package junit

import (
	"encoding/xml"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/mcpauth/conformance/reports"
)

// Options change the output.
type Options struct {
	Strict bool // warnings become failures
	// Properties adds level, revisions, wire, tier and sources to each test case. Consumers want them, but Jenkins' published schema does
	// not allow properties in a test case.
	Properties bool
}

type seconds reports.Milliseconds

// MarshalXMLAttr writes at most three decimals: the schema allows no more, and no exponent.
func (s seconds) MarshalXMLAttr(name xml.Name) (xml.Attr, error) {
	return xml.Attr{Name: name, Value: strconv.FormatFloat(float64(s)/1000, 'f', 3, 64)}, nil
}

type suites struct {
	XMLName  xml.Name `xml:"testsuites"`
	Name     string   `xml:"name,attr"`
	Tests    int      `xml:"tests,attr"`
	Failures int      `xml:"failures,attr"`
	Errors   int      `xml:"errors,attr"`
	Time     seconds  `xml:"time,attr"`
	Suites   []*suite `xml:"testsuite"`
}

type suite struct {
	Name       string      `xml:"name,attr"`
	Tests      int         `xml:"tests,attr"`
	Failures   int         `xml:"failures,attr"`
	Errors     int         `xml:"errors,attr"`
	Skipped    int         `xml:"skipped,attr"`
	Time       seconds     `xml:"time,attr"`
	Timestamp  string      `xml:"timestamp,attr"`
	Properties *properties `xml:"properties"`
	Cases      []testcase  `xml:"testcase"`
}

type properties struct {
	Property []property `xml:"property"`
}

type property struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type testcase struct {
	Name       string      `xml:"name,attr"`
	Classname  string      `xml:"classname,attr"`
	Time       seconds     `xml:"time,attr"`
	Properties *properties `xml:"properties"`
	Skipped    *note       `xml:"skipped"`
	Error      *note       `xml:"error"`
	Failure    *note       `xml:"failure"`
	Out        string      `xml:"system-out,omitempty"`
}

// note has its text twice: GitLab reads the element, and Jenkins the attribute.
type note struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr"`
	Text    string `xml:",chardata"`
}

// mostEvidence bounds the evidence of one case; GitLab refuses files over 30 MB.
const mostEvidence = 64 << 10

// Write writes a run as one testsuites document, with one testsuite for each area.
func Write(w io.Writer, redacted reports.Redacted, opt Options) error {
	run := redacted.Run()
	doc := suites{Name: "mcpauth", Time: seconds(run.Duration)}
	byArea := map[string]*suite{}
	for i := range run.Results {
		res := &run.Results[i]
		s := byArea[res.Area]
		if s == nil {
			s = newSuite(run, res.Area)
			byArea[res.Area] = s
			doc.Suites = append(doc.Suites, s)
		}
		s.add(run, res, opt)
	}
	doc.addTrouble(run, "survey", "The target can be reached", "unreachable", run.Unreachable)
	doc.addTrouble(run, "run", "The verdicts can be trusted", "doubt", run.Doubt)
	doc.conclude(run)
	for _, s := range doc.Suites {
		doc.Tests, doc.Failures, doc.Errors = doc.Tests+s.Tests, doc.Failures+s.Failures, doc.Errors+s.Errors
	}
	var b strings.Builder
	enc := xml.NewEncoder(&b)
	enc.Indent("", "  ")
	if err := enc.Encode(doc); err != nil {
		return fmt.Errorf("junit: %w", err)
	}
	_, err := io.WriteString(w, xml.Header+reports.Printable(b.String())+"\n")
	return err
}

// addTrouble adds a problem of the run as a whole, if there is one, as a suite with one case.
func (d *suites) addTrouble(run *reports.Run, name, says, kind, trouble string) {
	if trouble == "" {
		return
	}
	s := newSuite(run, name)
	s.Tests, s.Errors = 1, 1
	s.Cases = []testcase{{Name: says, Classname: "mcpauth." + name, Error: newNote(kind, trouble, trouble)}}
	d.Suites = append(d.Suites, s)
}

// conclude adds a case for the run as a whole if it ends badly and no other case says so: a reader of the counts must see the same as a
// reader of the exit code.
func (d *suites) conclude(run *reports.Run) {
	outcome := run.Outcome()
	for _, s := range d.Suites {
		if s.Failures+s.Errors > 0 {
			return
		}
	}
	if outcome.Code == reports.ExitConformant {
		return
	}
	s := newSuite(run, "run")
	s.Tests = 1
	c := testcase{Name: "The run as a whole", Classname: "mcpauth.run"}
	text := newNote(string(outcome.Kind), outcome.Headline, outcome.Headline)
	if outcome.Code == reports.ExitFindings {
		s.Failures, c.Failure = 1, text
	} else {
		s.Errors, c.Error = 1, text
	}
	s.Cases = []testcase{c}
	d.Suites = append(d.Suites, s)
}

func newSuite(run *reports.Run, area string) *suite {
	return &suite{
		Name: "mcpauth." + area, Timestamp: run.Started.UTC().Format("2006-01-02T15:04:05"),
		Properties: &properties{[]property{
			{"target", reports.Printable(run.Target.URL)},
			{"tier", run.Target.Tier},
			{"tool", run.Tool.Name + " " + run.Tool.Version},
			{"catalogue", run.Catalogue},
		}},
	}
}

func (s *suite) add(run *reports.Run, res *reports.Result, opt Options) {
	c := testcase{Name: Name(res), Classname: "mcpauth." + res.Area, Time: seconds(res.Duration)}
	if opt.Properties {
		c.Properties = caseProperties(res)
	}
	c.judge(run, res, opt)
	s.Tests++
	s.Time += c.Time
	switch {
	case c.Failure != nil:
		s.Failures++
	case c.Error != nil:
		s.Errors++
	case c.Skipped != nil:
		s.Skipped++
	}
	s.Cases = append(s.Cases, c)
}

// judge sets the result of a case, in agreement with the exit code: what does not count there is skipped.
func (c *testcase) judge(run *reports.Run, res *reports.Result, opt Options) {
	text := body(run, res)
	headline := string(res.Verdict) + ": " + reports.OneLine(run.Reason(res), 500)
	n := newNote(string(res.Verdict), headline, text)
	switch {
	case res.Verdict == reports.Pass:
	case res.Verdict == reports.Fail && run.Rule.FailOn == reports.FailOnNone:
		c.Skipped = newNote(string(res.Verdict), "tolerated by --fail-on none: "+headline, text)
	case res.Verdict == reports.Fail:
		c.Failure = n
	case res.Verdict == reports.Errored, res.Verdict == reports.Inconclusive && res.Level == "MUST":
		c.Error = n
	case res.Verdict == reports.Warn || res.Verdict == reports.Flaky:
		if opt.Strict {
			c.Failure = n
		} else {
			c.Out = text
		}
	default:
		c.Skipped = n
	}
}

// Name returns the test case's name: it starts with the requirement's id, is unique in the run, and is the same in every run.
func Name(res *reports.Result) string {
	name := res.ID
	if res.Wire != "" {
		name += " " + res.Wire
	}
	return name + " " + res.Level + " [" + strings.Join(res.Revisions, " ") + "] " + res.Title
}

func newNote(kind, message, text string) *note {
	return &note{Message: message, Type: kind, Text: text}
}

func caseProperties(res *reports.Result) *properties {
	p := []property{{"level", res.Level}, {"tier", res.Tier}, {"role", res.Role}, {"revisions", strings.Join(res.Revisions, " ")},
		{"verdict", string(res.Verdict)}}
	if res.Wire != "" {
		p = append(p, property{"wire", res.Wire})
	}
	if res.Verdict == reports.Pass || res.Verdict == reports.NotApplicable { // nobody needs evidence for what is met
		return &properties{p}
	}
	for _, s := range res.Sources {
		p = append(p, property{"source", strings.TrimSpace(s.Doc + " " + s.Section + " " + s.URL)})
	}
	return &properties{p}
}

func body(run *reports.Run, res *reports.Result) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: %s\n", res.Verdict, res.ID, run.Reason(res))
	for _, f := range reports.GravestFirst(res.Findings) {
		b.WriteString("\n")
		said := run.Said(&f)
		if said.Sent != "" {
			fmt.Fprintf(&b, "%-10s %s\n", said.First()+":", said.Sent)
		}
		fmt.Fprintf(&b, "%-10s %s\nshould be: %s\n", said.Then()+":", said.Came, said.Should)
		if e, ok := run.Exchange(f.Exchange); ok && b.Len() < mostEvidence {
			b.WriteString(reports.Transcript(e))
		}
	}
	for _, n := range res.Notes {
		fmt.Fprintf(&b, "note: %s\n", n)
	}
	fmt.Fprintf(&b, "\nfix: %s\nmore: mcpauth explain %s\n", res.Remediation, res.ID)
	text := reports.Printable(b.String())
	if len(text) > mostEvidence {
		text = strings.ToValidUTF8(text[:mostEvidence], "") + "\n… cut; the JSON report has all of it\n"
	}
	return text
}
