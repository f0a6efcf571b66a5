package reports

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Shard is a part of a run: the Index-th of Count, from 1.
type Shard struct {
	Index int `json:"index"`
	Count int `json:"count"`
}

// ParseShard parses the form 2/5.
func ParseShard(text string) (Shard, error) {
	a, b, ok := strings.Cut(text, "/")
	index, err1 := strconv.Atoi(a)
	count, err2 := strconv.Atoi(b)
	if !ok || err1 != nil || err2 != nil || index < 1 || count < 1 || index > count || count > 1000 {
		return Shard{}, fmt.Errorf("the shard %q: want the number of this one and of all, such as 2/5", text)
	}
	return Shard{index, count}, nil
}

// Has reports whether the i-th of the selected checks, from 0, belongs to the shard.
func (s Shard) Has(i int) bool { return s.Count == 0 || i%s.Count == s.Index-1 }

// Merge makes one run from its shards. order is the order of the results, by id. The error names everything that prevents the merge.
func Merge(parts []Redacted, order []string) (Redacted, error) {
	if err := mergeable(parts); err != nil {
		return Redacted{}, err
	}
	out := *parts[0].Run()
	out.Shard, out.Results, out.Exchanges = nil, []Result{}, []Exchange{}
	out.Discovered, out.Stale, out.Tokens, out.NotWorking = nil, nil, nil, nil
	out.Requests, out.Duration, out.Selected = 0, 0, 0
	placeholders := map[string]int{}
	for _, part := range parts {
		run := *part.Run()
		apart(&run, out.highest(), placeholders)
		out.add(&run)
	}
	rank := map[string]int{}
	for i, id := range order {
		rank[id] = i
	}
	slices.SortStableFunc(out.Results, func(a, b Result) int { return rank[a.ID] - rank[b.ID] })
	return Redacted{out}, nil
}

// add adds a shard to the run.
func (r *Run) add(part *Run) {
	r.Results = append(r.Results, part.Results...)
	r.Exchanges = append(r.Exchanges, part.Exchanges...)
	r.Tokens = append(r.Tokens, part.Tokens...)
	r.Discovered = withNew(r.Discovered, part.Discovered)
	r.Stale = withNew(r.Stale, part.Stale)
	r.NotWorking = withNew(r.NotWorking, part.NotWorking)
	r.Open = cmp.Or(r.Open, part.Open)
	r.Requests, r.Selected = r.Requests+part.Requests, r.Selected+part.Selected
	r.Duration = max(r.Duration, part.Duration)
	r.Interrupted, r.Doubt = r.Interrupted || part.Interrupted, cmp.Or(r.Doubt, part.Doubt)
	if part.Started.Before(r.Started) {
		r.Started = part.Started
	}
	if len(r.Screenshots) == 0 { // each shard signs in at the same pages
		r.Screenshots = part.Screenshots
	}
	if r.Unreachable == "" {
		r.Unreachable, r.Instead = part.Unreachable, part.Instead
	}
}

// withNew adds the elements that a list lacks.
func withNew[E comparable](list, more []E) []E {
	for _, e := range more {
		if !slices.Contains(list, e) {
			list = append(list, e)
		}
	}
	return list
}

// highest returns the highest number of an exchange of the run, kept or not.
func (r *Run) highest() int {
	n := 0
	if len(r.Exchanges) > 0 {
		n = r.Exchanges[len(r.Exchanges)-1].Number
	}
	for i := range r.Results {
		for _, e := range r.Results[i].Evidence {
			n = max(n, e)
		}
	}
	return n
}

func mergeable(parts []Redacted) error {
	if len(parts) == 0 {
		return errors.New("there is nothing to merge")
	}
	var problems []error
	first := parts[0].Run()
	seen := map[int]bool{}
	for i, part := range parts {
		run := part.Run()
		if err := belongs(run, first, i+1, seen); err != nil {
			problems = append(problems, err)
		}
		if run.Shard != nil {
			seen[run.Shard.Index] = true
		}
	}
	if first.Shard != nil && len(problems) == 0 {
		for i := 1; i <= first.Shard.Count; i++ {
			if !seen[i] {
				problems = append(problems, fmt.Errorf("shard %d/%d is missing", i, first.Shard.Count))
			}
		}
	}
	return errors.Join(problems...)
}

// belongs says why a report is not another shard of the same run as the first.
func belongs(run, first *Run, number int, seen map[int]bool) error {
	switch {
	case run.Shard == nil:
		return fmt.Errorf("report %d is that of a whole run, not of a shard", number)
	case run.Target.URL != first.Target.URL:
		return fmt.Errorf("report %d is about %s, report 1 about %s", number, run.Target.URL, first.Target.URL)
	case run.Tool != first.Tool || run.Catalogue != first.Catalogue:
		return fmt.Errorf("report %d was made by another version of the tool or of its catalogue than report 1", number)
	case first.Shard != nil && run.Shard.Count != first.Shard.Count:
		return fmt.Errorf("report %d is one of %d shards, report 1 one of %d", number, run.Shard.Count, first.Shard.Count)
	case seen[run.Shard.Index]:
		return fmt.Errorf("shard %d/%d appears twice", run.Shard.Index, run.Shard.Count)
	}
	return nil
}

var placeholder = regexp.MustCompile(`‹([a-z_]+)#(\d+)›`)

// apart renumbers the exchanges and the placeholders of one shard.
func apart(run *Run, shift int, used map[string]int) {
	most := maps.Clone(used)
	m := mover{shift, func(s string) string { return renumbered(s, used, most) }}
	run.Results = slices.Clone(run.Results)
	for i := range run.Results {
		m.result(&run.Results[i])
	}
	run.Exchanges = slices.Clone(run.Exchanges)
	for i := range run.Exchanges {
		m.exchange(&run.Exchanges[i])
	}
	run.Tokens = slices.Clone(run.Tokens)
	for i := range run.Tokens {
		t := &run.Tokens[i]
		t.Name, t.Header, t.Claims = m.text(t.Name), m.text(t.Header), m.text(t.Claims)
	}
	run.Discovered = slices.Clone(run.Discovered)
	for i := range run.Discovered {
		run.Discovered[i].Value = m.text(run.Discovered[i].Value)
	}
	maps.Copy(used, most)
}

// renumbered adds to the number of each placeholder the number of used ones of its kind, and keeps the highest number in most.
func renumbered(s string, used, most map[string]int) string {
	return placeholder.ReplaceAllStringFunc(s, func(p string) string {
		m := placeholder.FindStringSubmatch(p)
		n, err := strconv.Atoi(m[2])
		if err != nil {
			return p // more digits than any run has secrets
		}
		n += used[m[1]]
		most[m[1]] = max(most[m[1]], n)
		return fmt.Sprintf("‹%s#%d›", m[1], n)
	})
}

// mover renumbers the parts of a shard.
type mover struct {
	shift int
	text  func(string) string
}

func (m mover) result(r *Result) {
	r.Reason, r.Observation, r.Headline = m.text(r.Reason), m.observation(r.Observation), m.text(r.Headline)
	r.Evidence, r.Controls = m.numbers(r.Evidence), m.numbers(r.Controls)
	r.Findings = slices.Clone(r.Findings)
	for k := range r.Findings {
		f := &r.Findings[k]
		f.Expected, f.Observed, f.About = m.text(f.Expected), m.text(f.Observed), m.text(f.About)
		if f.Exchange > 0 {
			f.Exchange += m.shift
		}
	}
	r.Notes = slices.Clone(r.Notes)
	for k := range r.Notes {
		r.Notes[k] = m.text(r.Notes[k])
	}
}

// observation names the exchange that shows it by its number.
func (m mover) observation(s string) string {
	var n int
	if _, err := fmt.Sscanf(s, "exchange %d:", &n); err != nil {
		return m.text(s)
	}
	_, rest, _ := strings.Cut(s, ":")
	return m.text(fmt.Sprintf("exchange %d:%s", n+m.shift, rest))
}

func (m mover) numbers(in []int) []int {
	out := slices.Clone(in)
	for i := range out {
		out[i] += m.shift
	}
	return out
}

func (m mover) exchange(ex *Exchange) {
	ex.Number += m.shift
	ex.Error, ex.Request.URL, ex.Request.Body = m.text(ex.Error), m.text(ex.Request.URL), m.text(ex.Request.Body)
	ex.Request.Header = fields(ex.Request.Header, m.text)
	if ex.Response != nil {
		response := *ex.Response
		response.Body, response.Header = m.text(response.Body), fields(response.Header, m.text)
		ex.Response = &response
	}
}

func fields(in []Field, text func(string) string) []Field {
	out := slices.Clone(in)
	for i := range out {
		out[i].Value = text(out[i].Value)
	}
	return out
}
