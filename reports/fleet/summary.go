package fleet

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/mcpauth/conformance/fixtures/requirements"
	"github.com/mcpauth/conformance/reports"
)

// mostListed bounds the lists of a summary: the lines have everything.
const mostListed = 50

// Summary summarizes a folder of results, with counts and short lists for any number of targets.
type Summary struct {
	Targets  int
	States   map[State]int
	Passive  int
	Outcomes map[reports.Kind]int // of the targets that were tested
	Requests int
	Work     time.Duration // sum of the durations of all runs
	First    time.Time     // start of the first run
	Last     time.Time     // end of the last run
	Made     map[Made]int  // by what made the results: different ones are hard to compare
	// Requirements are counts by id and verdict.
	Requirements map[string]map[reports.Verdict]int
	// Worst are the targets with the most unmet requirements, the worst first.
	Worst []Ranked
	// Drift compares with an earlier folder, or is nil.
	Drift *Drift
}

// Ranked is a target with its number of unmet requirements.
type Ranked struct {
	Key    string
	Target string
	Musts  int // of them
	Unmet  int
}

// Drift is the change since an earlier folder.
type Drift struct {
	New, Gone         int // targets
	Regressed, Fixed  int // requirements of targets: those that fail now and did not, and those that failed and pass now
	Requirements      map[string]*Moved
	NowUnreachable    int
	ReachableAgain    int
	RegressedAt       int      // targets at which a requirement regressed
	ExamplesRegressed []string // "URL: ID, ID", the first ones
}

// Moved counts the targets at which a requirement changed.
type Moved struct{ Regressed, Fixed int }

// Sum reads a folder target by target. each, if not nil, is called for every target; before is an earlier folder, or "".
func Sum(dir, before string, each func(key string, d *Done) error) (*Summary, error) {
	s := &Summary{States: map[State]int{}, Outcomes: map[reports.Kind]int{}, Made: map[Made]int{},
		Requirements: map[string]map[reports.Verdict]int{}}
	if before != "" {
		s.Drift = &Drift{Requirements: map[string]*Moved{}}
	}
	err := walk(dir, func(key string, d *Done) error {
		s.add(key, d)
		if s.Drift != nil {
			old, ok, err := Read(filepath.Join(before, key))
			if err != nil {
				return err
			}
			s.Drift.add(d, &old, ok)
		}
		if each != nil {
			return each(key, d)
		}
		return nil
	})
	if err != nil || s.Drift == nil {
		return s, err
	}
	return s, walk(before, func(key string, _ *Done) error {
		if _, err := os.Stat(filepath.Join(dir, key, DoneFile)); errors.Is(err, os.ErrNotExist) {
			s.Drift.Gone++
		}
		return nil
	})
}

// walk calls f for each finished target of a folder, in the order of keys.
func walk(dir string, f func(key string, d *Done) error) error {
	folders, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, folder := range folders {
		if !folder.IsDir() {
			continue
		}
		d, ok, err := Read(filepath.Join(dir, folder.Name()))
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if err := f(folder.Name(), &d); err != nil {
			return err
		}
	}
	return nil
}

func (s *Summary) add(key string, d *Done) {
	s.Targets++
	s.States[d.State]++
	s.Requests += d.Requests
	took := time.Duration(float64(d.Duration) * float64(time.Millisecond))
	if s.Work += took; s.Work < 0 {
		s.Work = math.MaxInt64
	}
	s.Made[d.Made]++
	if s.First.IsZero() || d.Started.Before(s.First) {
		s.First = d.Started
	}
	if end := d.Started.Add(took); end.After(s.Last) {
		s.Last = end
	}
	if d.Passive {
		s.Passive++
	}
	if d.State != Tested {
		return
	}
	s.Outcomes[d.Outcome.Kind]++
	for v, ids := range d.Verdicts {
		for _, id := range ids {
			if s.Requirements[id] == nil {
				s.Requirements[id] = map[reports.Verdict]int{}
			}
			s.Requirements[id][v]++
		}
	}
	s.rank(Ranked{key, d.Target, musts(d.Verdicts[reports.Fail]), len(d.Verdicts[reports.Fail])})
}

// rank keeps only the worst targets.
func (s *Summary) rank(r Ranked) {
	if r.Unmet == 0 {
		return
	}
	s.Worst = append(s.Worst, r)
	slices.SortFunc(s.Worst, func(a, b Ranked) int {
		return cmp.Or(b.Musts-a.Musts, b.Unmet-a.Unmet, cmp.Compare(a.Target, b.Target), cmp.Compare(a.Key, b.Key))
	})
	s.Worst = s.Worst[:min(len(s.Worst), mostListed)]
}

func musts(ids []string) (n int) {
	for _, id := range ids {
		if r, ok := requirements.Lookup(id); ok && r.Level == requirements.Must {
			n++
		}
	}
	return n
}

// add compares a target with its earlier result.
func (m *Drift) add(now, old *Done, known bool) {
	switch {
	case !known:
		m.New++
		return
	case now.State == Unreachable && old.State == Tested:
		m.NowUnreachable++
	case now.State == Tested && old.State == Unreachable:
		m.ReachableAgain++
	}
	if now.State != Tested || old.State != Tested {
		return
	}
	var regressed []string
	for _, id := range now.Verdicts[reports.Fail] {
		if !slices.Contains(old.Verdicts[reports.Fail], id) {
			regressed = append(regressed, id)
			m.Regressed++
			m.of(id).Regressed++
		}
	}
	if len(regressed) > 0 {
		if m.RegressedAt++; len(m.ExamplesRegressed) < mostListed {
			m.ExamplesRegressed = append(m.ExamplesRegressed, now.Target+": "+strings.Join(regressed, ", "))
		}
	}
	for _, id := range old.Verdicts[reports.Fail] {
		if slices.Contains(now.Verdicts[reports.Pass], id) { // a requirement that is no longer tested is not fixed
			m.Fixed++
			m.of(id).Fixed++
		}
	}
}

func (m *Drift) of(id string) *Moved {
	if m.Requirements[id] == nil {
		m.Requirements[id] = &Moved{}
	}
	return m.Requirements[id]
}

// Changed returns the requirements that changed somewhere, by the number of targets where they regressed.
func (m *Drift) Changed() []string {
	return slices.SortedFunc(maps.Keys(m.Requirements), func(a, b string) int {
		x, y := m.Requirements[a], m.Requirements[b]
		return cmp.Or(y.Regressed-x.Regressed, y.Fixed-x.Fixed, cmp.Compare(a, b))
	})
}

// Failures returns the requirements that are unmet somewhere, the most frequent first.
func (s *Summary) Failures() []string {
	var ids []string
	for id, counts := range s.Requirements {
		if counts[reports.Fail] > 0 {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b string) int {
		return cmp.Or(s.Requirements[b][reports.Fail]-s.Requirements[a][reports.Fail], cmp.Compare(a, b))
	})
	return ids
}

// Coverage returns how many of the possible verdicts of tested targets decide something: PASS, FAIL, WARN or not applicable.
func (s *Summary) Coverage() (decided, all int) {
	for _, counts := range s.Requirements {
		for v, n := range counts {
			all += n
			switch v {
			case reports.Pass, reports.Fail, reports.Warn, reports.NotApplicable, reports.Suppressed:
				decided += n
			}
		}
	}
	return decided, all
}

// Headline returns the summary in a sentence.
func (s *Summary) Headline() string {
	return fmt.Sprintf("%s: %d tested, %d unreachable, %d invalid, %d failed; of those tested %d with findings",
		reports.Count(s.Targets, "target"), s.States[Tested],
		s.States[Unreachable], s.States[Invalid], s.States[Failed], s.Outcomes[reports.Findings])
}
