package bundle

import (
	"fmt"
	"html"
	"strings"
	"time"

	"github.com/mcpauth/conformance/reports"
)

// SummaryType is the predicate of a Simple Verification Result.
const SummaryType = "https://in-toto.io/attestation/svr/v0.2"

// Summary is the result of a verification for registries: an in-toto statement that the verifier may sign.
type Summary struct {
	Type          string           `json:"_type"`
	Subject       []Descriptor     `json:"subject"`
	PredicateType string           `json:"predicateType"`
	Predicate     SummaryPredicate `json:"predicate"`
}

// SummaryPredicate is a Simple Verification Result.
type SummaryPredicate struct {
	Verifier struct {
		ID       string   `json:"id"`
		Policies []Policy `json:"policies"`
	} `json:"verifier"`
	TimeCreated time.Time `json:"timeCreated"`
	Properties  []string  `json:"properties"`
}

// Policy is the frozen set of the verifier.
type Policy struct {
	URI    string            `json:"uri"`
	Digest map[string]string `json:"digest"`
}

// Summarise makes the summary of a verification without problems whose signature was checked.
func Summarise(v *Verification, f Files, version string) ([]byte, error) {
	if err := v.vouched(); err != nil {
		return nil, err
	}
	if !v.OK { // a badge may be grey, but a summary states what is valid
		return nil, fmt.Errorf("the bundle does not verify: %s", v.Problems[0])
	}
	var s Statement
	if err := unmarshal(f[StatementFile], &s); err != nil {
		return nil, err
	}
	c := v.Certification
	out := Summary{Type: StatementType, Subject: s.Subject, PredicateType: SummaryType}
	out.Predicate.Verifier.ID = "https://github.com/mcpauth/conformance/verify/" + version
	out.Predicate.Verifier.Policies = []Policy{{"https://github.com/mcpauth/conformance/sets/" + c.Set, s.Predicate.Configuration[0].Digest}}
	out.Predicate.TimeCreated = v.At
	out.Predicate.Properties = properties(v)
	return marshal(out)
}

// properties returns the verified properties in words for registries.
func properties(v *Verification) []string {
	c := v.Certification
	name := "MCPAUTH_" + strings.ToUpper(strings.NewReplacer("-", "_", "@", "_").Replace(c.Profile+"_"+c.Revision))
	out := []string{name, "MCPAUTH_SELF_ATTESTED"}
	if v.Signer.Witnessed {
		out[1] = "MCPAUTH_WITNESSED"
	}
	if c.Identity.Control != nil {
		out = append(out, "MCPAUTH_CONTROL_SHOWN")
	}
	return out
}

// vouched says why a verification does not justify a badge or a summary.
func (v *Verification) vouched() error {
	switch {
	case !v.OK && !v.onlyExpired():
		return fmt.Errorf("the bundle does not verify: %s", v.Problems[0])
	case v.Signature != "verified":
		return fmt.Errorf("the signature was left out: check it with --key")
	}
	return nil
}

// onlyExpired reports whether the age of a bundle is its only problem.
func (v *Verification) onlyExpired() bool {
	return len(v.Problems) == 1 && v.Problems[0].Reason == Expired
}

// badge is the content of a badge.
type badge struct{ Label, Message, Colour string }

func badgeOf(v *Verification) (badge, error) {
	if err := v.vouched(); err != nil {
		return badge{}, err
	}
	c := v.Certification
	how := "self-attested"
	if v.Signer.Witnessed {
		how = "witnessed"
	}
	b := badge{"MCP authorization", fmt.Sprintf("%s %s, %s, %s", c.Profile, c.Revision, c.Finished.Format(time.DateOnly), how), "brightgreen"}
	if !v.OK {
		b.Message, b.Colour = fmt.Sprintf("%s %s, expired %s", c.Profile, c.Revision, c.Expires.Format(time.DateOnly)), "lightgrey"
	}
	return b, nil
}

// BadgeJSON returns the badge of a verified bundle for the endpoint of shields.io.
func BadgeJSON(v *Verification) ([]byte, error) {
	b, err := badgeOf(v)
	if err != nil {
		return nil, err
	}
	return marshal(map[string]any{"schemaVersion": 1, "label": b.Label, "message": b.Message, "color": b.Colour})
}

// BadgeSVG returns the badge of a verified bundle as an image.
func BadgeSVG(v *Verification) ([]byte, error) {
	b, err := badgeOf(v)
	if err != nil {
		return nil, err
	}
	const letter, pad = 7, 10
	left, right := letter*len(b.Label)+pad, letter*len(b.Message)+pad
	colour := map[string]string{"brightgreen": "#2e7d32", "lightgrey": "#616161"}[b.Colour]
	label, message := html.EscapeString(reports.OneLine(b.Label, 100)), html.EscapeString(reports.OneLine(b.Message, 100))
	return fmt.Appendf(nil, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="20" role="img" aria-label="%s: %s">
<title>%[2]s: %[3]s</title>
<rect width="%[1]d" height="20" rx="3" fill="%[4]s"/><rect width="%[5]d" height="20" rx="3" fill="#424242"/>
<g fill="#fff" font-family="Verdana,Geneva,DejaVu Sans,sans-serif" font-size="11">
<text x="5" y="14" textLength="%[6]d">%[2]s</text><text x="%[7]d" y="14" textLength="%[8]d">%[3]s</text>
</g>
</svg>
`, left+right, label, message, colour, left, left-pad, left+5, right-pad), nil
}
