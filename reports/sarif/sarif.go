// Package sarif writes findings in the Static Analysis Results Interchange Format, version 2.1.0 (OASIS), for code scanning pages. Each
// finding points at the line of the target file that names the target, because a URL has no source file.
package sarif

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/fixtures/requirements"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/reports/markdown"
)

// GitHub shows 1,024 characters of a description, and ten tags of a rule.
const longest = 1000

type log struct {
	Schema  string `json:"$schema"`
	Version string `json:"version"`
	Runs    []run  `json:"runs"`
}

type run struct {
	Tool        tool         `json:"tool"`
	Invocations []invocation `json:"invocations"`
	Results     []result     `json:"results"`
	Properties  any          `json:"properties"`
}

type tool struct {
	Driver driver `json:"driver"`
}

type driver struct {
	Name           string `json:"name"`
	InformationURI string `json:"informationUri"`
	Version        string `json:"version"`
	Rules          []rule `json:"rules"`
}

type rule struct {
	ID               string  `json:"id"`
	ShortDescription message `json:"shortDescription"`
	FullDescription  message `json:"fullDescription"`
	Help             help    `json:"help"`
	HelpURI          string  `json:"helpUri,omitempty"`
	Properties       struct {
		Tags []string `json:"tags"`
		// Severity is a number from 0 to 10, by which code scanning sorts.
		Severity string `json:"security-severity,omitempty"`
	} `json:"properties"`
}

type message struct {
	Text string `json:"text"`
}

// help is the text next to a finding.
type help struct {
	Text     string `json:"text"`
	Markdown string `json:"markdown"`
}

type invocation struct {
	ExecutionSuccessful bool           `json:"executionSuccessful"`
	StartTimeUTC        string         `json:"startTimeUtc"`
	Notifications       []notification `json:"toolExecutionNotifications"`
}

type notification struct {
	Level   string  `json:"level"`
	Message message `json:"message"`
}

type result struct {
	RuleID              string            `json:"ruleId"`
	RuleIndex           int               `json:"ruleIndex"`
	Level               string            `json:"level"`
	Message             message           `json:"message"`
	Locations           []location        `json:"locations"`
	PartialFingerprints map[string]string `json:"partialFingerprints"`
	Suppressions        []suppression     `json:"suppressions,omitempty"`
}

type location struct {
	Physical *physical `json:"physicalLocation,omitempty"`
	Logical  []logical `json:"logicalLocations"`
}

type physical struct {
	Artifact struct {
		URI string `json:"uri"`
	} `json:"artifactLocation"`
	Region struct {
		StartLine int `json:"startLine"`
	} `json:"region"`
}

type logical struct {
	FullyQualifiedName string `json:"fullyQualifiedName"`
	Kind               string `json:"kind"`
}

type suppression struct {
	Kind          string `json:"kind"`
	Justification string `json:"justification,omitempty"`
}

// Write writes a result for each FAIL (error), each WARN (warning), and each verdict that the baseline accepts (suppressed). An undecided
// requirement is a notification of the run: it is not a finding.
func Write(w io.Writer, redacted reports.Redacted) error {
	source := redacted.Run()
	r := run{Tool: tool{driver{Name: source.Tool.Name, Version: source.Tool.Version, InformationURI: "https://github.com/mcpauth/conformance",
		Rules: []rule{}}}, Results: []result{}}
	index := map[string]int{}
	for i := range source.Results {
		judged := &source.Results[i]
		level := levels[judged.Verdict]
		if level == "" {
			continue
		}
		if _, known := index[judged.ID]; !known {
			index[judged.ID] = len(r.Tool.Driver.Rules)
			r.Tool.Driver.Rules = append(r.Tool.Driver.Rules, ruleOf(judged, source.Severity(judged.ID)))
		}
		r.Results = append(r.Results, resultOf(source, judged, level, index[judged.ID]))
	}
	r.Invocations = []invocation{invocationOf(source)}
	r.Properties = map[string]any{"target": source.Target.URL, "counts": source.Counts(), "outcome": source.Outcome()}
	return reports.WriteJSON(w, log{Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []run{r}}, "  ")
}

var levels = map[reports.Verdict]string{reports.Fail: "error", reports.Warn: "warning", reports.Suppressed: "note"}

// severities are those of what was found, in the scale of code scanning: critical above 9, high from 7, medium from 4.
var severities = map[requirements.Severity]string{
	requirements.Critical: "9.5", requirements.High: "8.0", requirements.Medium: "5.5", requirements.Low: "3.0",
}

func ruleOf(r *reports.Result, found requirements.Severity) rule {
	var sources []string
	out := rule{ID: r.ID, ShortDescription: message{text(r.Title)}, FullDescription: message{text(r.Title + " (" + r.Level + ").")}}
	if known, ok := requirements.Lookup(r.ID); ok {
		out.FullDescription = message{text(known.Statement + " (" + r.Level + ")" + " " + known.Why)}
		out.Properties.Severity = severities[found]
	}
	shown := "**How to fix it:** " + markdown.Text(r.Remediation) + "\n\n**Sources**\n"
	for _, s := range r.Sources {
		sources = append(sources, strings.TrimSpace(s.Doc+", "+s.Section))
		shown += "\n- " + link(s)
		if out.HelpURI == "" {
			out.HelpURI = s.URL
		}
	}
	out.Help = help{text(r.Remediation + " Sources: " + strings.Join(sources, "; ") + "."), shown}
	for _, tag := range []string{"security", r.Level, r.Area, r.Role} {
		if tag != "" && !slices.Contains(out.Properties.Tags, tag) { // the format requires distinct ones
			out.Properties.Tags = append(out.Properties.Tags, tag)
		}
	}
	return out
}

// link returns a source in Markdown.
func link(s reports.Source) string {
	name := markdown.Text(strings.TrimSpace(s.Doc + " " + s.Section))
	if u, err := url.Parse(s.URL); err != nil || u.Scheme != "https" && u.Scheme != "http" || strings.ContainsAny(s.URL, "()<> \\`") {
		return name
	}
	return "[" + name + "](" + s.URL + ")"
}

func resultOf(source *reports.Run, r *reports.Result, level string, index int) result {
	said, about := source.Reason(r), ""
	if len(r.Findings) > 0 {
		about = reports.GravestFirst(r.Findings)[0].About
	}
	at := location{Logical: []logical{{FullyQualifiedName: source.Target.URL, Kind: "resource"}}}
	if source.Target.File != "" {
		at.Physical = &physical{}
		at.Physical.Artifact.URI = filepath.ToSlash(source.Target.File)
		at.Physical.Region.StartLine = max(1, source.Target.Line)
	}
	where := ""
	if r.Wire != "" {
		where = " (" + reports.WireWords(r.Wire) + ")"
	}
	out := result{RuleID: r.ID, RuleIndex: index, Level: level, Message: message{text(r.Title + where + ": " + said)},
		Locations: []location{at}}
	sum := sha256.Sum256([]byte(strings.Join([]string{source.Target.URL, r.ID, r.Wire, strings.Join(r.Revisions, ","), about}, "\n")))
	out.PartialFingerprints = map[string]string{"mcpauth/v1": hex.EncodeToString(sum[:])}
	if r.Verdict == reports.Suppressed {
		out.Suppressions = []suppression{{Kind: "external", Justification: text(r.Reason)}}
	}
	return out
}

func invocationOf(source *reports.Run) invocation {
	out := invocation{
		ExecutionSuccessful: source.Unreachable == "" && source.Doubt == "" && !source.Interrupted,
		StartTimeUTC:        source.Started.UTC().Format("2006-01-02T15:04:05.000Z"),
		Notifications:       []notification{},
	}
	add := func(level, format string, args ...any) {
		out.Notifications = append(out.Notifications, notification{level, message{text(fmt.Sprintf(format, args...))}})
	}
	if source.Unreachable != "" {
		add("error", "the target could not be tested: %s", source.Unreachable)
	}
	if source.Doubt != "" {
		add("error", "no verdict can be trusted: %s", source.Doubt)
	}
	for _, s := range source.Stale {
		add("error", "baseline: %s", s)
	}
	for i := range source.Results {
		switch r := &source.Results[i]; r.Verdict {
		case reports.Errored:
			out.ExecutionSuccessful = false
			add("error", "%s: %s", r.ID, r.Reason)
		case reports.Inconclusive:
			add("warning", "%s could not be decided: %s", r.ID, r.Reason)
		}
	}
	return out
}

// text returns a text that is safe to show, and never empty, as the format requires.
func text(s string) string {
	if s = strings.TrimSpace(reports.OneLine(s, longest)); s == "" {
		return "-"
	}
	return s
}
