package reports

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// Past is a history entry for a run.
type Past struct {
	Started time.Time       `json:"started"`
	Target  string          `json:"target"`
	Version string          `json:"version"` // of the tool
	Unmet   int             `json:"unmet"`   // requirements whose MUST failed
	Counts  map[Verdict]int `json:"counts"`
}

// Past returns the history entry of the run.
func (r *Run) Past() Past {
	unmet := map[string]bool{}
	for i := range r.Results {
		if r.Results[i].Verdict == Fail {
			unmet[r.Results[i].ID] = true
		}
	}
	return Past{Started: r.Started.UTC().Truncate(time.Second), Target: r.Target.URL, Version: r.Tool.Version, Unmet: len(unmet),
		Counts: r.Counts()}
}

// Line returns the entry as a line of a history.
func (p Past) Line() []byte {
	b, err := json.Marshal(p)
	if err != nil {
		panic(err) // plain values always marshal
	}
	return append(b, '\n')
}

// ReadHistory reads a history of a target: a line of JSON for each run, oldest first.
func ReadHistory(r io.Reader, target string) ([]Past, error) {
	var out []Past
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		var p Past
		if err := json.Unmarshal(lines.Bytes(), &p); err != nil {
			return nil, fmt.Errorf("line %d is not an entry of a history: %w", n, err)
		}
		if Named(p.Target) == target { // earlier versions wrote secrets, too
			out = append(out, p)
		}
	}
	return out, lines.Err()
}
