package reports

import (
	"encoding/json"
	"slices"
	"strings"
)

// Basis is what a verdict was judged from, step by step, so that it can be judged again from the report alone. It exists if the run was
// configured to keep it (suites.Config.KeepBasis).
type Basis struct {
	Steps []BasisStep `json:"steps"`
	// Rows is the number of rows in the tables of the check.
	Rows int `json:"rows,omitempty"`
	// Ended and Why are the verdict with which the check ended early, and its reason.
	Ended Verdict `json:"ended,omitempty"`
	Why   string  `json:"why,omitempty"`
}

// StepOutcome is the result of a step.
type StepOutcome string

// The outcomes of steps. Those that begin with "body" are observations of a check's own code, without a matcher.
const (
	StepMet           StepOutcome = "met"
	StepUnmet         StepOutcome = "unmet"
	StepRefusedInside StepOutcome = "refused-inside" // by a tool result, as this target always refuses
	StepUndecided     StepOutcome = "undecided"
	BodyFound         StepOutcome = "body-found"
	BodyLeft          StepOutcome = "body-left"       // undecided
	BodyRefused       StepOutcome = "body-refused"    // from earlier versions: now matchers judge refusals
	BodyControlled    StepOutcome = "body-controlled" // from earlier versions: now matchers judge controls
)

// BasisStep is one judgement of a check.
type BasisStep struct {
	Outcome StepOutcome `json:"outcome"`
	About   string      `json:"about,omitempty"` // row of a table, or variant
	// Matcher judged Subject. Either is missing if it cannot be serialized: the step is then attested, like all steps without a matcher.
	Matcher *Call    `json:"matcher,omitempty"`
	Subject *Subject `json:"subject,omitempty"`
	// Exchange is the number of the exchange that shows it; 0: none.
	Exchange int      `json:"exchange,omitempty"`
	Advice   bool     `json:"advice,omitempty"`  // at most a warning
	Finding  *Finding `json:"finding,omitempty"` // that resulted from it
	Verdict  Verdict  `json:"verdict,omitempty"` // of a row that is undecided, with Why
	Why      string   `json:"why,omitempty"`
	// Kind is the meaning of a match: refusal, control, or empty.
	Kind string `json:"kind,omitempty"`
	// Attested says why the step cannot be judged again although its matcher and subject are known: reports do not contain what it judged.
	Attested string `json:"attested,omitempty"`
}

// Call names a function that judges, with its arguments.
type Call struct {
	Name      string  `json:"name"`
	Arguments []Value `json:"arguments,omitempty"`
}

// Value is a plain value with its type.
type Value struct {
	Text    *string     `json:"text,omitempty"`
	Integer *int64      `json:"integer,omitempty"`
	Number  json.Number `json:"number,omitempty"`
	Bool    *bool       `json:"bool,omitempty"`
	List    *[]string   `json:"list,omitempty"`
	JSON    *string     `json:"json,omitempty"` // a JSON object, as sent
	Null    bool        `json:"null,omitempty"`
	Call    *Call       `json:"call,omitempty"` // a named value or matcher
	// Facts are the content of another type, as JSON with exchanges by number.
	Facts *string `json:"facts,omitempty"`
}

// Subject is the judged value: an exchange, or typed facts that were recorded at the time.
type Subject struct {
	// Exchange is the number of the judged exchange, or of the token response of a flow.
	Exchange int `json:"exchange,omitempty"`
	// Ending is the end of an authorization request.
	Ending *Ending `json:"ending,omitempty"`
	// JWT is a token without its signature; its Name is the client that got it.
	JWT   *Token `json:"jwt,omitempty"`
	Value *Value `json:"value,omitempty"`
}

// Ending is the end of an authorization request, without the values of code and token.
type Ending struct {
	Exchange    int    `json:"exchange,omitempty"` // the exchange that shows it
	Flow        bool   `json:"flow,omitempty"`     // a token request may follow: see Subject.Exchange
	Code        bool   `json:"code,omitempty"`
	Error       string `json:"error,omitempty"`
	IssuesToken bool   `json:"issues_token,omitempty"`
	AsksUser    bool   `json:"asks_user,omitempty"`
	Undecided   string `json:"undecided,omitempty"`
	LoginHelps  bool   `json:"login_helps,omitempty"`
	Redirected  string `json:"redirected,omitempty"`
	Describe    string `json:"describe"`
}

// redactBasis removes secrets from all texts of a basis.
func redactBasis(b *Basis, text func(string) string) *Basis {
	if b == nil {
		return nil
	}
	out := *b
	out.Why = text(b.Why)
	out.Steps = make([]BasisStep, len(b.Steps))
	for i, s := range b.Steps {
		s.About, s.Why, s.Attested = text(s.About), text(s.Why), text(s.Attested)
		s.Matcher = redactCall(s.Matcher, text)
		if s.Finding != nil {
			f := *s.Finding
			f.Expected, f.Observed, f.About = text(f.Expected), text(f.Observed), text(f.About)
			s.Finding = &f
		}
		if s.Subject != nil {
			subject := *s.Subject
			subject.redact(text)
			s.Subject = &subject
		}
		out.Steps[i] = s
	}
	return &out
}

func (s *Subject) redact(text func(string) string) {
	if s.Ending != nil {
		e := *s.Ending
		e.Error, e.Undecided, e.Redirected, e.Describe = text(e.Error), text(e.Undecided), text(e.Redirected), text(e.Describe)
		s.Ending = &e
	}
	if s.JWT != nil {
		s.JWT = &Token{text(s.JWT.Name), text(s.JWT.Header), text(s.JWT.Claims)}
	}
	if s.Value != nil {
		v := redactValue(*s.Value, text)
		s.Value = &v
	}
}

func redactCall(c *Call, text func(string) string) *Call {
	if c == nil {
		return nil
	}
	out := Call{Name: c.Name}
	for _, a := range c.Arguments {
		out.Arguments = append(out.Arguments, redactValue(a, text))
	}
	return &out
}

func redactValue(v Value, text func(string) string) Value {
	redacted := func(s *string) *string {
		if s == nil {
			return nil
		}
		clean := text(*s)
		return &clean
	}
	v.Text, v.JSON, v.Call = redacted(v.Text), redacted(v.JSON), redactCall(v.Call, text)
	if v.List != nil {
		list := make([]string, len(*v.List))
		for i, s := range *v.List {
			list[i] = text(s)
		}
		v.List = &list
	}
	if v.Facts != nil {
		facts := redactFacts(*v.Facts, text)
		v.Facts = &facts
	}
	return v
}

// redactFacts removes secrets from each text of a JSON value.
func redactFacts(facts string, text func(string) string) string {
	var v any
	dec := json.NewDecoder(strings.NewReader(facts))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		return text(facts)
	}
	return TextOf(redactTexts(v, text))
}

func redactTexts(v any, text func(string) string) any {
	switch v := v.(type) {
	case string:
		return text(v)
	case []any:
		for i := range v {
			v[i] = redactTexts(v[i], text)
		}
	case map[string]any:
		out := map[string]any{}
		for name, value := range v {
			out[text(name)] = redactTexts(value, text)
		}
		return out
	}
	return v
}

// TextOf returns a part of a report in its written form.
func TextOf(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(b)
}

// Rebased returns a run with the bases that a function returns.
func Rebased(r Redacted, rebase func(run *Run, result *Result) *Basis) Redacted {
	out := r.run
	out.Results = slices.Clone(r.run.Results)
	for i := range out.Results {
		out.Results[i].Basis = rebase(&r.run, &out.Results[i])
	}
	return Redacted{out}
}
