// Package reports is the model of a finished run, for the packages that write reports. They accept only
// a Redacted run, so that code that writes an unredacted one does not compile.
package reports

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mcpauth/conformance/fixtures/requirements"
)

// Verdict is the result for one requirement. Only Pass counts as passed; every other verdict has
// a reason.
type Verdict string

// The verdicts.
const (
	Pass          Verdict = "PASS"
	Fail          Verdict = "FAIL"           // a MUST is unmet
	Warn          Verdict = "WARN"           // a SHOULD, MAY or best practice is unmet, or a MUST is met in a risky way
	NotApplicable Verdict = "NOT_APPLICABLE" // the target does not have the feature, and need not
	NotTested     Verdict = "NOT_TESTED"     // out of reach of the tier or of the permissions given
	Review        Verdict = "REVIEW"         // a person must decide
	Inconclusive  Verdict = "INCONCLUSIVE"   // tried, and could not be decided
	Suppressed    Verdict = "SUPPRESSED"     // accepted by the baseline
	Flaky         Verdict = "FLAKY"          // differed between attempts
	Errored       Verdict = "ERROR"          // the tool failed
)

// Verdicts lists every verdict, gravest first: the order in which people want to read them.
var Verdicts = []Verdict{Errored, Fail, Inconclusive, Warn, Review, Flaky, Suppressed, NotTested, NotApplicable, Pass}

// Run is one conformance run against one target.
type Run struct {
	Tool       Tool             `json:"tool"`
	Target     Target           `json:"target"`
	Started    time.Time        `json:"started"`
	Duration   Milliseconds     `json:"duration_ms"`
	Requests   int              `json:"requests"`   // sent over the network, by all checks and the survey together
	Catalogue  string           `json:"catalogue"`  // digest of the requirement catalogue
	Revisions  []RevisionStatus `json:"revisions"`  // every revision the catalogue knows
	Discovered []Fact           `json:"discovered"` // what the survey learned, for people
	Results    []Result         `json:"results"`    // in catalogue order
	Exchanges  []Exchange       `json:"exchanges"`  // what the results rest on, by number
	Pending    int              `json:"pending"`    // requirements of the catalogue that have no check yet
	// Screenshots show pages of the login, without the contents of their fields.
	Screenshots []Screenshot `json:"screenshots,omitempty"`
	// Tokens are the JWTs that stand by name in exchanges on which findings rest.
	Tokens []Token `json:"tokens,omitempty"`
	// Identity is what was tested; nil where nobody asked.
	Identity *Identity `json:"identity,omitempty"`
	// Judges are the versions of the code that judged, by area; set if the results hold what they were judged from.
	Judges map[string]string `json:"judges,omitempty"`
	// Unreachable says why the target could not be tested at all; empty when it could.
	Unreachable string `json:"unreachable,omitempty"`
	// Instead is the URL that was probably meant, where this one could not be tested; empty where none is known.
	Instead     string `json:"instead,omitempty"`
	Interrupted bool   `json:"interrupted,omitempty"`
	// Selected is how many requirements the run was to judge.
	Selected int `json:"selected,omitempty"`
	// Command is how the run can be started again, and AuthorizedBy who allowed the test; empty where nobody said.
	Command      string `json:"command,omitempty"`
	AuthorizedBy string `json:"authorized_by,omitempty"`
	// Doubt says why no verdict of the run can be trusted, such as a change of the clock; empty if they can.
	Doubt string `json:"doubt,omitempty"`
	// Shard says which part of a whole run this is; nil for a whole one.
	Shard *Shard `json:"shard,omitempty"`
	// Stale says which entries of the baseline no longer hold.
	Stale []string `json:"stale,omitempty"`
	// Rule says which results make the run fail.
	Rule Rule `json:"rule"`
	// Open says what anonymous callers may do although nobody declared it public; empty if nothing.
	Open string `json:"open,omitempty"`
	// NotWorking lists what the user gave and did not work: a login, a token, an issuer.
	NotWorking []string `json:"not_working,omitempty"`
}

// Tool names the program that made the run.
type Tool struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// Target is what was tested.
type Target struct {
	URL  string `json:"url"`
	Tier string `json:"tier"` // the deepest tier the run had access to
	// File and Line say where the target is written down; empty and 0 where it was given as a URL only.
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
}

// Depth says in words what the run had to test the target with.
func (t *Target) Depth() string {
	if meaning := requirements.Tier(t.Tier).Meaning(); meaning != "" {
		return "Tested with " + meaning + " (tier " + t.Tier + ")"
	}
	return "Tier " + t.Tier
}

// RevisionStatus says whether the target speaks an MCP revision, and how this was found out.
type RevisionStatus struct {
	Revision string `json:"revision"`
	Wire     string `json:"wire"`
	Status   string `json:"status"` // spoken, declared, assumed, not-spoken, unknown
	Why      string `json:"why"`
}

// Words returns the status in words.
func (r RevisionStatus) Words() string { return strings.ReplaceAll(r.Status, "-", " ") }

// Fact is one thing the survey learned.
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

// Result is the verdict on one requirement, for one wire where wires are judged apart, and for the
// revisions at which the requirement has the same level.
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
	// Was is the verdict that an accepted finding had before the baseline.
	Was    Verdict `json:"was,omitempty"`
	Reason string  `json:"reason,omitempty"` // why the verdict is not PASS
	// Missing is the option, or the part of the target file, whose absence left the requirement untested.
	Missing string `json:"missing,omitempty"`
	// Observation says which exchange or declaration shows that the requirement does not apply.
	Observation string `json:"observation,omitempty"`
	// Headline is a sentence with which every report begins; empty for nearly all results.
	Headline    string       `json:"headline,omitempty"`
	Findings    []Finding    `json:"findings,omitempty"`
	Notes       []string     `json:"notes,omitempty"`
	Tried       []string     `json:"-"`                  // the rows of the check's tables, in order
	Evidence    []int        `json:"evidence,omitempty"` // numbers of exchanges
	Controls    []int        `json:"controls,omitempty"` // those of them that show what the target serves
	Basis       *Basis       `json:"basis,omitempty"`    // nil where it was not kept
	Remediation string       `json:"remediation"`
	Sources     []Source     `json:"sources"`
	Duration    Milliseconds `json:"duration_ms"`
}

// Source is a text that states the requirement.
type Source struct {
	Doc     string `json:"doc"`
	Section string `json:"section"`
	URL     string `json:"url,omitempty"`
}

// Finding is one thing that is not as it should be.
type Finding struct {
	Expected string `json:"expected"`
	Observed string `json:"observed"`
	About    string `json:"about,omitempty"`    // which variant of the attack or document
	Exchange int    `json:"exchange,omitempty"` // number of the exchange that shows it
	Advice   bool   `json:"advice,omitempty"`   // never more than a warning, whatever the level
}

// Exchange is one request with its response. Headers keep their order and spelling.
type Exchange struct {
	Number   int       `json:"number"`
	Check    string    `json:"check"` // id of the check that sent it, or "survey"
	Started  time.Time `json:"started"`
	Request  Request   `json:"request"`
	Response *Response `json:"response,omitempty"`
	// Error says why there is no response, or why it is not whole.
	Error    string       `json:"error,omitempty"`
	Duration Milliseconds `json:"duration_ms"`
}

// Ended returns the time at which the answer had come, or the wait for it ended.
func (e *Exchange) Ended() time.Time {
	return e.Started.Add(time.Duration(float64(e.Duration) * float64(time.Millisecond)))
}

// Request is what was sent.
type Request struct {
	Method string  `json:"method"`
	URL    string  `json:"url"`
	Header []Field `json:"header"`
	Body   string  `json:"body,omitempty"`
	Raw    bool    `json:"raw,omitempty"` // written byte by byte, because no HTTP library would send it
}

// Response is what came back.
type Response struct {
	Status int     `json:"status"`
	Proto  string  `json:"proto"`
	Header []Field `json:"header"`
	Body   string  `json:"body,omitempty"`
	// Truncated says that the body went on after the limit.
	Truncated bool `json:"truncated,omitempty"`
}

// Field is one header field line.
type Field struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Milliseconds is a duration as reports write it.
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

// Unchecked says how many requirements of the catalogue have no check, in a sentence with %d; empty where each has one.
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
