package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/mcpauth/conformance/fixtures/nearest"
	"github.com/mcpauth/conformance/fixtures/profiles"
	"github.com/mcpauth/conformance/fixtures/requirements"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/reports/bundle"
	"github.com/mcpauth/conformance/reports/console"
	reportjson "github.com/mcpauth/conformance/reports/json"
	"github.com/mcpauth/conformance/suites/target"
)

// filter selects requirements of the catalogue.
type filter struct {
	area, level, revision, tier, label []string
}

func (f *filter) selects(r *requirements.Requirement) bool {
	has := func(want []string, got ...string) bool {
		return len(want) == 0 || slices.ContainsFunc(want, func(w string) bool {
			return slices.ContainsFunc(got, func(g string) bool { return strings.EqualFold(w, g) })
		})
	}
	return has(f.area, r.Area) && has(f.level, string(r.Level)) && has(f.revision, r.Revisions...) && has(f.tier, string(r.Tier)) &&
		has(f.label, labels(r)...)
}

func labels(r *requirements.Requirement) []string {
	l := []string{r.ID, r.Area, string(r.Level), string(r.Tier), string(r.Role)}
	for name, on := range map[string]bool{"core": r.Core, "browser": r.Browser, "intrusive": r.Intrusive, "pending": r.Pending} {
		if on {
			l = append(l, name)
		}
	}
	return l
}

func listCommand() *cobra.Command {
	var f filter
	var format string
	var sets, wide bool
	c := &cobra.Command{Use: "list", Short: "List the requirements, or the frozen sets of them", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if sets {
				return listSets(c.OutOrStdout(), format)
			}
			return f.list(c.OutOrStdout(), format, wide)
		}}
	c.Flags().BoolVar(&wide, "wide", false, "one line for each requirement, with level, tier and area")
	c.Flags().BoolVar(&sets, "sets", false, "list the frozen requirement sets, with their digests, their dates, and what is not scored")
	c.Flags().StringVar(&format, "format", "table", "table or json")
	c.Flags().StringSliceVar(&f.area, "area", nil, "only these areas")
	c.Flags().StringSliceVar(&f.level, "level", nil, "only these levels: MUST, SHOULD, MAY, BCP")
	c.Flags().StringSliceVar(&f.revision, "revision", nil, "only what applies at these revisions")
	c.Flags().StringSliceVar(&f.tier, "tier", nil,
		"only these tiers: T0 and T1 (need only the URL), T2 (a token or a user), T3 (an issuer run by mcpauth)")
	c.Flags().StringSliceVar(&f.label, "label", nil, "only these labels: core, browser, intrusive, pending, a role, an id")
	return c
}

// listedSet is a frozen set in the list.
type listedSet struct {
	Name       string `json:"name"`
	Profile    string `json:"profile"`
	Revision   string `json:"revision"`
	Frozen     string `json:"frozen"`
	Digest     string `json:"digest"`
	Musts      int    `json:"musts"`
	Shoulds    int    `json:"shoulds"`
	Why        string `json:"why,omitempty"` // it replaces another
	ReplacedBy string `json:"replaced_by,omitempty"`
	// NotScored are requirements of the profile outside the set, with the reason.
	NotScored map[string]string `json:"not_scored,omitempty"`
}

// addedAfterRelease is the reason why a requirement of a profile is in no frozen set: certificates of one set stay comparable.
const addedAfterRelease = "added-after-release"

func notScored(s *profiles.Set) map[string]string {
	out := map[string]string{}
	for _, r := range requirements.All() {
		level, has := r.LevelAt(s.Revision)
		scored := level == requirements.Must || level == requirements.Should
		if has && scored && (s.Profile == "server-with-bundled-as" || s.Profile == string(r.Role)) && !s.Holds(r.ID) {
			out[r.ID] = addedAfterRelease
		}
	}
	return out
}

func listSets(w io.Writer, format string) error {
	var out []listedSet
	for _, s := range profiles.Sets() {
		out = append(out, listedSet{s.Name(), s.Profile, s.Revision, s.Frozen, "sha256:" + s.Digest, len(s.Musts), len(s.Shoulds), s.Why,
			s.ReplacedBy, notScored(&s)})
	}
	switch format {
	case "json":
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(out)
	case "table":
		return tableOfSets(w, out)
	}
	return &exit{reports.ExitUsage, fmt.Errorf("--format %q: want table or json", format)}
}

// tableOfSets writes the numbers of each set on a line, and below it what is too wide for a column.
func tableOfSets(w io.Writer, sets []listedSet) error {
	const row = "%-36s  %-10s  %5v  %7v  %10v\n"
	if _, err := fmt.Fprintf(w, row, "SET", "FROZEN", "MUSTS", "SHOULDS", "NOT SCORED"); err != nil {
		return err
	}
	for _, s := range sets {
		fmt.Fprintf(w, row, s.Name, s.Frozen, s.Musts, s.Shoulds, len(s.NotScored))
		fmt.Fprintf(w, "  %s\n", s.Digest)
		if s.ReplacedBy != "" {
			fmt.Fprintf(w, "  replaced by %s\n", s.ReplacedBy)
		}
		if s.Why != "" {
			console.Fold(w, "  ", "why it replaces the edition before: "+s.Why)
		}
	}
	return nil
}

// validate rejects misspelled values, which would select nothing.
func (f *filter) validate() error {
	for _, option := range []struct {
		name         string
		given, known []string
		says         string // if the known ones are too many to list
	}{
		{"revision", f.revision, requirements.Revisions, ""},
		{"area", f.area, areaNames(), "(mcpauth list shows all areas)"},
		{"level", f.level, levelNames, ""},
		{"tier", f.tier, tierNames, ""},
		{"label", f.label, allLabels(), "(labels are core, browser, intrusive and pending, and each role, area, level, tier and id)"},
	} {
		for _, v := range option.given {
			switch {
			case holds(option.known, v):
			case option.says == "":
				return fmt.Errorf("unknown %s %q; known are %s", option.name, v, strings.Join(option.known, ", "))
			default:
				return fmt.Errorf("unknown %s %q%s %s", option.name, v, suggested(nearest.Of(v, option.known)), option.says)
			}
		}
	}
	return nil
}

var (
	levelNames = []string{string(requirements.Must), string(requirements.Should), string(requirements.May), string(requirements.Practice)}
	tierNames  = []string{string(requirements.T0), string(requirements.T1), string(requirements.T2), string(requirements.T3)}
)

// holds reports whether a list contains a word, in any letter case.
func holds(list []string, word string) bool {
	return slices.ContainsFunc(list, func(w string) bool { return strings.EqualFold(w, word) })
}

// allLabels returns the labels of all requirements.
func allLabels() []string {
	out := slices.Concat([]string{"core", "browser", "intrusive", "pending"}, levelNames, tierNames)
	for _, r := range requirements.All() {
		out = append(out, r.ID, r.Area, string(r.Role))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func status(r *requirements.Requirement) string {
	if r.Pending {
		return "pending"
	}
	return "checked"
}

// mostListed is the maximum number of requirements in a full list: more do not fit on a screen.
const mostListed = 40

// brief writes the id and title of each requirement, within 80 columns.
func brief(w io.Writer, rs []*requirements.Requirement) error {
	for _, r := range rs {
		fmt.Fprintf(w, "%-6s %s\n       %s\n", r.Level, r.ID, reports.OneLine(r.Title, helpWidth-8))
	}
	_, err := fmt.Fprintf(w, "\n%s; mcpauth explain ID explains one\n", reports.Count(len(rs), "requirement"))
	return err
}

// list writes the requirements that the filter selects.
func (f *filter) list(w io.Writer, format string, wide bool) error {
	if err := f.validate(); err != nil {
		return &exit{reports.ExitUsage, err}
	}
	var chosen []*requirements.Requirement
	all := requirements.All()
	for i := range all {
		if f.selects(&all[i]) {
			chosen = append(chosen, &all[i])
		}
	}
	switch {
	case len(chosen) == 0:
		return &exit{reports.ExitUsage, fmt.Errorf("no requirement matches these filters; mcpauth list without filters shows all areas")}
	case format == "json":
		return asJSON(w, chosen)
	case format != "table":
		return &exit{reports.ExitUsage, fmt.Errorf("--format %q: want table or json", format)}
	case wide:
		return table(w, chosen)
	case len(chosen) <= mostListed:
		return brief(w, chosen)
	}
	return byArea(w, chosen)
}

// byArea writes the number of requirements in each area, by level: one screen for the whole catalogue.
func byArea(w io.Writer, rs []*requirements.Requirement) error {
	total := map[requirements.Level]int{}
	n := map[string]map[requirements.Level]int{}
	for _, r := range rs {
		if n[r.Area] == nil {
			n[r.Area] = map[requirements.Level]int{}
		}
		n[r.Area][r.Level]++
		total[r.Level]++
	}
	fmt.Fprintf(w, "%-20s %6s %6s %6s %6s %6s\n", "AREA", "MUST", "SHOULD", "MAY", "BCP", "ALL")
	for _, area := range slices.Sorted(maps.Keys(n)) {
		writeCounts(w, area, n[area])
	}
	writeCounts(w, "all", total)
	_, err := fmt.Fprint(w, "\nmcpauth list --area NAME shows those of an area, --wide all of them.\n"+
		"mcpauth explain ID explains one requirement.\n")
	return err
}

// writeCounts writes a line of the table.
func writeCounts(w io.Writer, name string, counts map[requirements.Level]int) {
	fmt.Fprintf(w, "%-20s", name)
	all := 0
	for _, l := range []requirements.Level{requirements.Must, requirements.Should, requirements.May, requirements.Practice} {
		all += counts[l]
		fmt.Fprintf(w, " %6d", counts[l])
	}
	fmt.Fprintf(w, " %6d\n", all)
}

func table(w io.Writer, rs []*requirements.Requirement) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tLEVEL\tTIER\tAREA\tSTATUS\tTITLE")
	pending := 0
	for _, r := range rs {
		if r.Pending {
			pending++
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", r.ID, r.Level, r.Tier, r.Area, status(r), r.Title)
	}
	fmt.Fprintf(t, "%d requirements, %d of them pending (no check yet)\n", len(rs), pending)
	fmt.Fprintln(t, "T0 and T1 need only the URL, T2 a token or a user, T3 an issuer run by mcpauth.")
	return t.Flush()
}

type listed struct {
	ID        string   `json:"id"`
	Title     string   `json:"title"`
	Role      string   `json:"role"`
	Area      string   `json:"area"`
	Level     string   `json:"level"`
	Tier      string   `json:"tier"`
	Status    string   `json:"status"`
	Revisions []string `json:"revisions"`
	Labels    []string `json:"labels"`
	Needs     []string `json:"needs"`
	Statement string   `json:"statement"`
}

func asJSON(w io.Writer, rs []*requirements.Requirement) error {
	out := make([]listed, 0, len(rs))
	for _, r := range rs {
		l := labels(r)
		slices.Sort(l)
		out = append(out, listed{r.ID, r.Title, string(r.Role), r.Area, string(r.Level), string(r.Tier), status(r), r.Revisions, l, r.Needs,
			r.Statement})
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(out)
}

func explainCommand() *cobra.Command {
	return &cobra.Command{
		Use: "explain ID", Short: "Explain a requirement: what, why, how it is tested, how to fix it", Args: cobra.ExactArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			var ids []string
			for _, r := range requirements.All() {
				ids = append(ids, r.ID)
			}
			return ids, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(c *cobra.Command, args []string) error {
			r, ok := requirements.Lookup(strings.ToUpper(args[0]))
			if !ok {
				return &exit{reports.ExitUsage, fmt.Errorf("%s is not in the catalogue%s (mcpauth list --wide shows all ids)", args[0],
					suggested(nearestID(args[0])))}
			}
			_, err := io.WriteString(c.OutOrStdout(), narrow(requirements.Page(r)))
			return err
		},
	}
}

func schemaCommand() *cobra.Command {
	schemas := map[string][]byte{
		"report": reportjson.Schema, "target": target.Schema, "recipe": recipeSchema, "baseline": baselineSchema, "product": bundle.ProductSchema,
	}
	return &cobra.Command{Use: "schema {report|target|recipe|baseline|product}",
		Short:     "Print the JSON Schema of the JSON report, of the target file, of a login recipe, of a baseline, or of PRODUCT.yaml",
		Args:      cobra.ExactArgs(1),
		ValidArgs: []string{"report", "target", "recipe", "baseline", "product"},
		RunE: func(c *cobra.Command, args []string) error {
			schema, ok := schemas[args[0]]
			if !ok {
				return &exit{reports.ExitUsage, fmt.Errorf("unknown schema %q; want one of report, target, recipe, baseline, product", args[0])}
			}
			_, err := c.OutOrStdout().Write(schema)
			return err
		}}
}
