package check

import (
	"fmt"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
)

// observation says what shows that a requirement does not apply: the last exchange of the check, or what the survey or the target file says
// about the unmet word (empty if the check ended itself).
func (t *T) observation(unmet string) string {
	if t.declared != "" {
		return "target.without in the target file names " + t.declared
	}
	if len(t.transcript) == 0 {
		t.look(unmet)
	}
	if n := len(t.transcript); n > 0 {
		return observed(t.transcript[n-1])
	}
	switch unmet {
	case "tls", "same-host":
		return "the target is " + t.Survey.Endpoint
	case "dual-era", "modern-wire", "legacy-wire":
		return spoken(t.Survey.Status)
	}
	if _, part, ok := strings.Cut(needs[unmet].give, " in the target file"); ok && part == "" {
		return "there is no " + strings.TrimSuffix(needs[unmet].give, " in the target file") + " in the target file"
	}
	// A check that ended without an exchange can only have looked at this.
	return "it follows from the URL of the target, " + t.Survey.Endpoint + ", and from what is declared of it"
}

// look adds the documents of the survey in which a feature would be.
func (t *T) look(unmet string) {
	_, ofTheServer := needsOfTheServer[unmet]
	ofTheServer = ofTheServer || unmet == "" && strings.HasPrefix(t.id, "AS-")
	switch {
	case unmet == "session" && t.Survey.Handshake != nil:
		t.Cite(t.Survey.Handshake)
	case ofTheServer || unmet == "prm" || unmet == "dpop" || unmet == "mtls":
		for i := range t.Survey.Resources {
			if ex := t.Survey.Resources[i].Exchange; ex != nil {
				t.Cite(ex)
			}
		}
		if s := t.AS.Surveyed(); s != nil && unmet != "prm" {
			for i := range s.Documents {
				if ex := s.Documents[i].Exchange; ex != nil {
					t.Cite(ex)
				}
				if s.Documents[i].Found() {
					return // the document that a client uses
				}
			}
		}
	}
}

func observed(ex *reports.Exchange) string {
	return fmt.Sprintf("exchange %d: %s %s is answered with %s", ex.Number, ex.Request.Method, ex.Request.URL, expect.Describe(ex))
}

// spoken describes what is known about each revision.
func spoken(statuses []reports.RevisionStatus) string {
	var parts []string
	for _, s := range statuses {
		parts = append(parts, s.Revision+" "+s.Words()+": "+s.Why)
	}
	return strings.Join(parts, "; ")
}
