// Package reports is the model of a finished run, for the packages that write reports. They accept only a Redacted run, so that code that
// writes an unredacted one does not compile.
package reports

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mcpauth/conformance/fixtures/requirements"
)

// Verdict is the result for one requirement. Only Pass counts as passed; every other verdict has a reason.
type Verdict string

// The verdicts.
const (
	Pass          Verdict = "PASS"
	Fail          Verdict = "FAIL"           // a MUST is unmet
	Warn          Verdict = "WARN"           // a SHOULD, MAY or best practice is unmet, or a MUST is met in a risky way
	NotApplicable Verdict = "NOT_APPLICABLE" // the target does not have the feature, and need not
	NotTested     Verdict = "NOT_TESTED"     // the user has not supplied or allowed what it needs
	Review        Verdict = "REVIEW"         // a person must decide
	Inconclusive  Verdict = "INCONCLUSIVE"   // tried, and could not be decided
	Suppressed    Verdict = "SUPPRESSED"     // accepted by the baseline
	Flaky         Verdict = "FLAKY"          // differed between attempts
	Errored       Verdict = "ERROR"          // the tool failed
)

// Verdicts lists every verdict, the most serious first.
var Verdicts = []Verdict{Errored, Fail, Inconclusive, Warn, Review, Flaky, Suppressed, NotTested, NotApplicable, Pass}

// Run is one conformance run against one target.
type Run struct {
	Tool       Tool             `json:"tool"`
	Target     Target           `json:"target"`
	Started    time.Time        `json:"started"`
	Duration   Milliseconds     `json:"duration_ms"`
	Requests   int              `json:"requests"`   // of all checks and the survey
	Catalogue  string           `json:"catalogue"`  // digest of the requirement catalogue
	Revisions  []RevisionStatus `json:"revisions"`  // every revision the catalogue knows
	Discovered []Fact           `json:"discovered"` // results of the survey, for people
	Results    []Result         `json:"results"`    // in catalogue order
	Exchanges  []Exchange       `json:"exchanges"`  // the evidence of the results, by number
	Pending    int              `json:"pending"`    // requirements of the catalogue that have no check yet
	// Screenshots show pages of the login, without the contents of their fields.
	Screenshots []Screenshot `json:"screenshots,omitempty"`
	// Tokens are the JWTs that exchanges of findings contain by name.
	Tokens []Token `json:"tokens,omitempty"`
	// Identity is what was tested; nil if that was not requested.
	Identity *Identity `json:"identity,omitempty"`
	// Judges are the versions of the judging code, by area; set if the results contain their basis.
	Judges map[string]string `json:"judges,omitempty"`
	// Unreachable says why the target could not be tested at all; empty if it could.
	Unreachable string `json:"unreachable,omitempty"`
	// Instead is the URL that the user probably meant, if this one could not be tested; else empty.
	Instead     string `json:"instead,omitempty"`
	Interrupted bool   `json:"interrupted,omitempty"`
	// Selected is the number of selected requirements.
	Selected int `json:"selected,omitempty"`
	// Command repeats the run, and AuthorizedBy is who allowed the test; empty if unknown.
	Command      string `json:"command,omitempty"`
	AuthorizedBy string `json:"authorized_by,omitempty"`
	// Doubt says why the verdicts of the run do not count, such as a change of the clock; empty if they do.
	Doubt string `json:"doubt,omitempty"`
	// Shard is the part of a whole run; nil for a whole one.
	Shard *Shard `json:"shard,omitempty"`
	// Stale names the entries of the baseline that no longer apply.
	Stale []string `json:"stale,omitempty"`
	// Rule says which results make the run fail.
	Rule Rule `json:"rule"`
	// Open says what works without authorization and is not declared public, or "".
	Open string `json:"open,omitempty"`
	// NotWorking lists what the user supplied and did not work: a login, a token, an issuer.
	NotWorking []string `json:"not_working,omitempty"`
}

// Tool is the program that made the run.
type Tool struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// Target is the tested server.
type Target struct {
	URL  string `json:"url"`
	Tier string `json:"tier"` // the deepest tier that the run could test
	// File and Line are the place of the target's declaration; empty and 0 if only the URL was given.
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
}

// Depth says what the run had to test the target with.
func (t *Target) Depth() string {
	if meaning := requirements.Tier(t.Tier).Meaning(); meaning != "" {
		return "Tested with " + meaning + " (tier " + t.Tier + ")"
	}
	return "Tier " + t.Tier
}

// RevisionStatus says whether the target speaks an MCP revision, and how this is known.
type RevisionStatus struct {
	Revision string `json:"revision"`
	Wire     string `json:"wire"`
	Status   string `json:"status"` // spoken, declared, assumed, not-spoken, unknown
	Why      string `json:"why"`
}

// Words returns the status in words.
func (r RevisionStatus) Words() string { return strings.ReplaceAll(r.Status, "-", " ") }

// Fact is a result of the survey.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Screenshot is a picture of a page.
type Screenshot struct {
	Title string `json:"title"`
	URL   string `json:"url"`  // without its query
	Type  string `json:"type"` // image/png or image/jpeg
	Image []byte `json:"image"`
}

// Result is the verdict on one requirement: for one wire if wires are judged separately, and for the revisions at which the requirement has
// the same level.
type Result struct {
	ID        string   `json:"id"`
	Title     string   `json:"title"`
	Area      string   `json:"area"`
	Role      string   `json:"role"`
	Level     string   `json:"level"`
	Tier      string   `json:"tier"`
	Wire      string   `json:"wire,omitempty"`
	Revisions []string `json:"revisions"`
	Verdict   Verdict  `json:"verdict"`
	// Was is the verdict of an accepted finding before the baseline.
	Was    Verdict `json:"was,omitempty"`
	Reason string  `json:"reason,omitempty"` // why the verdict is not PASS
	// Missing is the option, or the part of the target file, without which the requirement was not tested.
	Missing string `json:"missing,omitempty"`
	// Observation says which exchange or declaration shows that the requirement does not apply.
	Observation string `json:"observation,omitempty"`
	// Headline is a sentence at the beginning of every report; empty for nearly all results.
	Headline    string       `json:"headline,omitempty"`
	Findings    []Finding    `json:"findings,omitempty"`
	Notes       []string     `json:"notes,omitempty"`
	Tried       []string     `json:"-"`                  // the rows of the check's tables, in order
	Evidence    []int        `json:"evidence,omitempty"` // numbers of exchanges
	Controls    []int        `json:"controls,omitempty"` // those that show what the target serves
	Basis       *Basis       `json:"basis,omitempty"`    // nil if it was not kept
	Remediation string       `json:"remediation"`
	Sources     []Source     `json:"sources"`
	Duration    Milliseconds `json:"duration_ms"`
}

// Source is a document that states the requirement.
type Source struct {
	Doc     string `json:"doc"`
	Section string `json:"section"`
	URL     string `json:"url,omitempty"`
}

// Finding is a deviation from an expectation.
type Finding struct {
	Expected string `json:"expected"`
	Observed string `json:"observed"`
	About    string `json:"about,omitempty"`    // which variant of the attack or document
	Looked   bool   `json:"looked,omitempty"`   // About names what was looked at, and not what was sent
	Exchange int    `json:"exchange,omitempty"` // number of the exchange that shows it
	Advice   bool   `json:"advice,omitempty"`   // at most a warning, whatever the level
	Minor    bool   `json:"minor,omitempty"`    // nobody gains access: a refusal with another status, or a wrong answer to a valid token
}

// Exchange is one request with its response. Headers keep their order and spelling.
type Exchange struct {
	Number   int       `json:"number"`
	Check    string    `json:"check"` // id of the check that sent it, or "survey"
	Started  time.Time `json:"started"`
	Request  Request   `json:"request"`
	Response *Response `json:"response,omitempty"`
	// Error says why there is no response, or why it is incomplete.
	Error    string       `json:"error,omitempty"`
	Duration Milliseconds `json:"duration_ms"`
}

// Ended returns the time at which the answer was complete, or the wait for it ended.
func (e *Exchange) Ended() time.Time {
	return e.Started.Add(time.Duration(float64(e.Duration) * float64(time.Millisecond)))
}

// Request is a sent request.
type Request struct {
	Method string  `json:"method"`
	URL    string  `json:"url"`
	Header []Field `json:"header"`
	Body   string  `json:"body,omitempty"`
	Raw    bool    `json:"raw,omitempty"` // written as raw bytes, because no HTTP library would send it
}

// Response is a received response.
type Response struct {
	Status int     `json:"status"`
	Proto  string  `json:"proto"`
	Header []Field `json:"header"`
	Body   string  `json:"body,omitempty"`
	// Truncated says that the body continued after the limit.
	Truncated bool `json:"truncated,omitempty"`
}

// Field is one header field line.
type Field struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Milliseconds is a duration in the form of reports.
type Milliseconds float64

// Since returns the time since t.
func Since(t time.Time) Milliseconds { return Milliseconds(time.Since(t).Microseconds()) / 1000 }

// Exchange returns the exchange with the given number.
func (r *Run) Exchange(number int) (*Exchange, bool) {
	i, ok := slices.BinarySearchFunc(r.Exchanges, number, func(e Exchange, n int) int { return e.Number - n })
	if !ok {
		return nil, false
	}
	return &r.Exchanges[i], true
}

// Unchecked says how many requirements of the catalogue have no check, in a sentence with %d; empty if each has one.
func (r *Run) Unchecked(sentence string) string {
	if r.Pending == 0 {
		return ""
	}
	return fmt.Sprintf(sentence, r.Pending)
}

// Counts returns how many results have each verdict.
func (r *Run) Counts() map[Verdict]int {
	n := map[Verdict]int{}
	for i := range r.Results {
		n[r.Results[i].Verdict]++
	}
	return n
}
