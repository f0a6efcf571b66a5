package fleet

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/mcpauth/conformance/fixtures/requirements"
	"github.com/mcpauth/conformance/reports"
)

// Line writes a target as one line of JSON.
func Line(w io.Writer, key string, d *Done) error {
	return reports.WriteJSON(w, struct {
		Key string `json:"key"`
		*Done
	}{key, d}, "")
}

// verdicts are the verdicts in the order of the page.
var verdicts = []reports.Verdict{
	reports.Fail, reports.Warn, reports.Pass, reports.Inconclusive, reports.NotApplicable, reports.NotTested,
	reports.Suppressed, reports.Errored,
}

// OpenMetrics writes the counts in the text format of OpenMetrics 1.0, which Prometheus reads. No series is for a single target, so their
// number does not grow with the fleet.
func (s *Summary) OpenMetrics(w io.Writer) error {
	var b strings.Builder
	gauge := func(name, help string) { fmt.Fprintf(&b, "# TYPE %s gauge\n# HELP %s %s\n", name, name, help) }
	gauge("mcpauth_fleet_targets", "Targets by state.")
	for _, state := range states {
		fmt.Fprintf(&b, "mcpauth_fleet_targets{state=%q} %d\n", string(state), s.States[state])
	}
	gauge("mcpauth_fleet_outcomes", "Tested targets by the outcome of their runs.")
	for _, kind := range slices.Sorted(maps.Keys(s.Outcomes)) {
		fmt.Fprintf(&b, "mcpauth_fleet_outcomes{outcome=%q} %d\n", string(kind), s.Outcomes[kind])
	}
	gauge("mcpauth_fleet_verdicts", "Tested targets by requirement and verdict.")
	for _, id := range slices.Sorted(maps.Keys(s.Requirements)) {
		for _, v := range verdicts {
			if n := s.Requirements[id][v]; n > 0 {
				fmt.Fprintf(&b, "mcpauth_fleet_verdicts{requirement=%q,verdict=%q} %d\n", id, string(v), n)
			}
		}
	}
	gauge("mcpauth_fleet_requests", "Requests that the runs sent.")
	fmt.Fprintf(&b, "mcpauth_fleet_requests %d\n", s.Requests)
	if !s.Last.IsZero() {
		gauge("mcpauth_fleet_last_run_timestamp_seconds", "When the last run ended.")
		fmt.Fprintf(&b, "mcpauth_fleet_last_run_timestamp_seconds %d\n", s.Last.Unix())
	}
	if s.Drift != nil {
		gauge("mcpauth_fleet_drift", "Requirements of targets that changed since the earlier folder.")
		fmt.Fprintf(&b, "mcpauth_fleet_drift{change=\"regressed\"} %d\nmcpauth_fleet_drift{change=\"fixed\"} %d\n",
			s.Drift.Regressed, s.Drift.Fixed)
	}
	b.WriteString("# EOF\n")
	_, err := io.WriteString(w, b.String())
	return err
}

//go:embed page.html
var page string

var pageTemplate = template.Must(template.New("fleet").Funcs(template.FuncMap{
	"title": func(id string) string {
		if r, ok := requirements.Lookup(id); ok {
			return r.Title
		}
		return ""
	},
	"time":     func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") },
	"duration": func(d time.Duration) string { return d.Round(time.Second).String() },
	"percent": func(n, of int) string {
		if of == 0 {
			return "none"
		}
		return fmt.Sprintf("%.1f %%", 100*float64(n)/float64(of))
	},
}).Parse(page))

// HTML writes the summary as a page. Its length does not grow with the number of targets.
func (s *Summary) HTML(w io.Writer) error {
	decided, all := s.Coverage()
	ids := slices.Sorted(maps.Keys(s.Requirements))
	var b strings.Builder
	err := pageTemplate.Execute(&b, map[string]any{
		"S": s, "Decided": decided, "All": all, "Verdicts": verdicts, "IDs": ids, "Failures": s.Failures(), "Fail": reports.Fail,
		"States": states,
	})
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, reports.Printable(b.String())) // the page itself has nothing to escape
	return err
}
