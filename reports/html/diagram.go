package html

import (
	"fmt"
	"strings"

	"github.com/mcpauth/conformance/reports"
)

// diagram is the picture of the flow: a lane for each participant, and an arrow for each step.
type diagram struct {
	Width, Height int
	Lanes         []lane
	Rows          []row
	Says          string // alternative text
}

type lane struct {
	Name string
	X    int
}

// row is a step: an arrow there, and one back.
type row struct {
	Y, Back, X1, X2, Middle int
	Tip, BackTip            string // points of the arrow heads
	Label, Answer           string
	Class                   string // bad, risky, or good
	Mark                    string
	Link                    string
}

const (
	laneLeft, laneStep   = 110, 250
	firstRow, rowStep    = 70, 62
	headLength, headHalf = 9, 5
)

// draw makes the diagram; nil if the run saw no flow.
func draw(run *reports.Run) *diagram {
	steps := run.Sequence()
	if len(steps) == 0 || run.Unreachable != "" {
		return nil
	}
	d := &diagram{Width: 2*laneLeft + 3*laneStep, Height: firstRow + rowStep*len(steps)}
	for i, name := range reports.LaneNames {
		d.Lanes = append(d.Lanes, lane{name, laneLeft + i*laneStep})
	}
	var said []string
	for i := range steps {
		s := &steps[i]
		r := d.row(firstRow+i*rowStep, s)
		d.Rows = append(d.Rows, r)
		said = append(said, strings.TrimSpace(fmt.Sprintf("%s to %s: %s, answered %s %s", reports.LaneNames[s.From], reports.LaneNames[s.To],
			s.Label, s.Answer, r.Mark)))
	}
	d.Says = strings.Join(said, "; ")
	return d
}

// row returns a step at a height of the diagram.
func (d *diagram) row(y int, s *reports.Step) row {
	r := row{Y: y, X1: d.Lanes[s.From].X, X2: d.Lanes[s.To].X, Label: s.Label, Answer: s.Answer, Class: "good"}
	r.Back, r.Middle = r.Y+18, (r.X1+r.X2)/2
	r.Tip, r.BackTip = head(r.X1, r.X2, r.Y), head(r.X2, r.X1, r.Back)
	if s.Exchange == 0 {
		r.Class, r.Answer = "unseen", ""
	}
	if s.Warned > 0 {
		r.Class, r.Mark = "risky", reports.Count(s.Warned, "warning")
	}
	if len(s.Failed) > 0 {
		r.Class, r.Mark, r.Link = "bad", "✗ "+reports.Count(len(s.Failed), "MUST")+" unmet", s.Failed[0]
	}
	return r
}

// head returns the points of an arrow head at x2.
func head(x1, x2, y int) string {
	back := x2 - headLength
	if x1 > x2 {
		back = x2 + headLength
	}
	return fmt.Sprintf("%d,%d %d,%d %d,%d", x2, y, back, y-headHalf, back, y+headHalf)
}

// trend is a line of the number of MUSTs that each run left unmet.
type trend struct {
	Points      string
	First, Last reports.Past
	Most        int
	Width       int
	Dots        []dot
}

type dot struct {
	X, Y int
	Says string
}

// mostPast is the maximum number of runs in the line.
const mostPast = 60

// trendOf makes the trend; nil with fewer than two runs.
func trendOf(history []reports.Past) *trend {
	if len(history) < 2 {
		return nil
	}
	history = history[max(0, len(history)-mostPast):]
	t := &trend{First: history[0], Last: history[len(history)-1], Width: 20 + 10*len(history)}
	for _, p := range history {
		t.Most = max(t.Most, p.Unmet)
	}
	var points []string
	for i, p := range history {
		d := dot{10 + 10*i, 50 - 40*p.Unmet/max(1, t.Most),
			fmt.Sprintf("%s: %s unmet", p.Started.UTC().Format("2006-01-02 15:04"), reports.Count(p.Unmet, "MUST"))}
		t.Dots = append(t.Dots, d)
		points = append(points, fmt.Sprintf("%d,%d", d.X, d.Y))
	}
	t.Points = strings.Join(points, " ")
	return t
}
