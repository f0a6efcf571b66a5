package reports

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fixtures/requirements"
)

// RS-TOKEN-FOREIGN-KEY is critical: a forged token that is served. What is found may be less.
func TestSeverityIsThatOfWhatWasFound(t *testing.T) {
	served, refused, advice := Finding{Observed: "HTTP 200"}, Finding{Observed: "HTTP 403", Minor: true}, Finding{Advice: true}
	for name, c := range map[string]struct {
		verdict  Verdict
		level    string
		findings []Finding
		want     requirements.Severity
	}{
		"a forged token is served":                          {Fail, "MUST", []Finding{served}, requirements.Critical},
		"one of several is served":                          {Fail, "MUST", []Finding{refused, served, refused}, requirements.Critical},
		"each is refused, with another status":              {Fail, "MUST", []Finding{refused, refused}, requirements.Medium},
		"a MUST is met in a risky way":                      {Warn, "MUST", []Finding{advice}, requirements.Medium},
		"what is recommended is not done":                   {Warn, "BCP", []Finding{advice}, requirements.Critical},
		"what is recommended is not done, with a finding":   {Warn, "SHOULD", []Finding{served}, requirements.Critical},
		"what is recommended is done with another status":   {Warn, "BCP", []Finding{refused}, requirements.Medium},
		"nothing was found: how serious it is is not known": {Inconclusive, "MUST", nil, requirements.Critical},
	} {
		t.Run(name, func(t *testing.T) {
			run := Run{Results: []Result{{ID: "RS-TOKEN-FOREIGN-KEY", Level: c.level, Verdict: c.verdict, Findings: c.findings}}}
			groups := run.Groups(c.verdict)
			require.Len(t, groups, 1)
			assert.Equal(t, c.want, groups[0].Severity)
		})
	}
}

// A requirement of less than medium severity stays as it is.
func TestSeverityIsNotMoreThanThatOfTheRequirement(t *testing.T) {
	run := Run{Results: []Result{{ID: "AS-TOKEN-ERROR-SHAPE", Level: "MUST", Verdict: Warn, Findings: []Finding{{Advice: true}}}}}
	assert.Equal(t, requirements.Low, run.Groups(Warn)[0].Severity)
	assert.Equal(t, requirements.Low, run.Severity("AS-TOKEN-ERROR-SHAPE"))
	assert.Empty(t, run.Severity("RS-TOKEN-FOREIGN-KEY"))
}
