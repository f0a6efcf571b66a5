// Package fleet stores the results of many targets in a folder, with one subfolder each, and summarizes them without holding all in memory.
package fleet

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/reports/json"
)

// Version is the version of the format of done.json.
const Version = 1

// The files of a target's folder. Done is written last: if it exists, the results are complete.
const (
	ResultsFile = "results.json.gz"
	DoneFile    = "done.json"
)

// State says whether a target was tested.
type State string

// The states of a target.
const (
	Tested      State = "tested"
	Unreachable State = "unreachable" // nothing is known about it
	Invalid     State = "invalid"     // its entry in the list, or its file, is invalid
	Failed      State = "failed"      // the tool failed, not the target
)

var states = []State{Tested, Unreachable, Invalid, Failed}

// Done is the short result of a target. The summary of a fleet reads nothing else.
type Done struct {
	Version int       `json:"version"`
	Target  string    `json:"target"`
	File    string    `json:"file,omitempty"` // its target file
	State   State     `json:"state"`
	Why     string    `json:"why,omitempty"` // if it is not tested
	Started time.Time `json:"started"`
	// Duration is the duration of the run, and Requests the number of its requests.
	Duration reports.Milliseconds `json:"duration_ms"`
	Requests int                  `json:"requests"`
	Passive  bool                 `json:"passive,omitempty"` // nobody signed in, and nothing was registered or attacked
	// Made says what made the results: with --resume a target is tested again if it differs.
	Made    Made            `json:"made_by"`
	Outcome reports.Outcome `json:"outcome"`
	// Verdicts are the ids of requirements by their worst verdict.
	Verdicts map[reports.Verdict][]string `json:"verdicts,omitempty"`
	// Digest is the SHA-256 of the file with the results; empty without one.
	Digest string `json:"results_sha256,omitempty"`
}

// Made is what the results depend on, besides the target.
type Made struct {
	Tool          string `json:"tool"`
	Catalogue     string `json:"catalogue"`
	Configuration string `json:"configuration"`
}

// Add adds the results of a run.
func (d *Done) Add(redacted reports.Redacted) {
	run := redacted.Run()
	d.Target, d.Started, d.Duration, d.Requests = run.Target.URL, run.Started, run.Duration, run.Requests
	d.State, d.Outcome, d.Verdicts = Tested, run.Outcome(), map[reports.Verdict][]string{}
	if run.Unreachable != "" {
		d.State, d.Why = Unreachable, run.Unreachable
	}
	for id, v := range run.Worst() {
		d.Verdicts[v] = append(d.Verdicts[v], id)
	}
	for _, ids := range d.Verdicts {
		slices.Sort(ids)
	}
}

// Write writes a run and its short result into the target's folder: first all results, and then done.json.
func Write(dir string, run reports.Redacted, d Done) error {
	if err := prepare(dir); err != nil {
		return err
	}
	sum := sha256.New()
	err := whole(filepath.Join(dir, ResultsFile), func(w io.Writer) error {
		z := gzip.NewWriter(io.MultiWriter(w, sum))
		return errors.Join(json.Write(z, run), z.Close())
	})
	if err != nil {
		return err
	}
	d.Digest = hex.EncodeToString(sum.Sum(nil))
	return writeDone(dir, d)
}

// WriteDone writes done.json for a target without results, and removes those of an earlier run.
func WriteDone(dir string, d Done) error {
	if err := prepare(dir); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(dir, ResultsFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return writeDone(dir, d)
}

// prepare makes a target's folder, and removes unfinished files of a killed process.
func prepare(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if info, err := os.Lstat(dir); err != nil || !info.IsDir() {
		return errors.Join(err, fmt.Errorf("%s is a symbolic link: give the path of the folder itself", dir))
	}
	unfinished, err := filepath.Glob(filepath.Join(dir, temporary))
	if err != nil {
		return err
	}
	for _, path := range unfinished {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// temporary is the name pattern of incomplete files.
const temporary = ".mcpauth-*"

func writeDone(dir string, d Done) error {
	return whole(filepath.Join(dir, DoneFile), func(w io.Writer) error {
		return reports.WriteJSON(w, d, " ")
	})
}

// whole writes a file, and gives it its name when it is completely on disk.
func whole(path string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), temporary)
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // after success it no longer exists
	if err := errors.Join(write(f), f.Chmod(0o644), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// Read reads the short result of a target; false if it is not done.
func Read(dir string) (Done, bool, error) {
	path := filepath.Join(dir, DoneFile)
	f, err := openRegular(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Done{}, false, nil
	}
	if err != nil {
		return Done{}, false, err
	}
	defer f.Close()
	var d Done
	if err := stdjson.NewDecoder(io.LimitReader(f, 4<<20)).Decode(&d); err != nil {
		return Done{}, false, fmt.Errorf("%s cannot be read: %w; delete the file to have the target tested again", path, err)
	}
	if d.Version != Version {
		return Done{}, false, fmt.Errorf("%s has version %d, and this program reads version %d", path, d.Version, Version)
	}
	if why := d.unknown(); why != "" {
		return Done{}, false, fmt.Errorf("%s: %s; delete the file to have the target tested again", path, why)
	}
	d.Target = reports.Named(d.Target) // earlier versions wrote the secrets of URLs
	return d, true, nil
}

// openRegular opens a regular file. A folder may be untrusted: a pipe would block, a device has no end, and a link leads elsewhere.
func openRegular(path string) (*os.File, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	return os.Open(path)
}

// requirementID matches the ids of requirements, also those of other catalogues.
var requirementID = regexp.MustCompile(`^[A-Z0-9]{2,}(-[A-Z0-9]+)+$`)

// unknown names what no run writes in the file, or "". A folder may be untrusted.
func (d *Done) unknown() string {
	if !slices.Contains(states, d.State) {
		return fmt.Sprintf("there is no state %q", d.State)
	}
	if d.State == Tested && !slices.Contains(reports.Kinds, d.Outcome.Kind) {
		return fmt.Sprintf("there is no outcome %q", d.Outcome.Kind)
	}
	if d.Requests < 0 || d.Requests > mostRequests || d.Duration < 0 || d.Duration > longestRun {
		return fmt.Sprintf("no run sends %d requests in %g ms", d.Requests, float64(d.Duration))
	}
	return d.unknownVerdict()
}

// unknownVerdict names the verdict that no run writes, or "".
func (d *Done) unknownVerdict() string {
	judged := map[string]bool{}
	for v, ids := range d.Verdicts {
		if !slices.Contains(reports.Verdicts, v) {
			return fmt.Sprintf("there is no verdict %q", v)
		}
		for _, id := range ids {
			switch {
			case len(id) > 100 || !requirementID.MatchString(id):
				return fmt.Sprintf("%.100q is not an id of a requirement", id)
			case judged[id]:
				return fmt.Sprintf("%s has two verdicts", id)
			case len(judged) == mostJudged:
				return fmt.Sprintf("it has verdicts on more than %d requirements", mostJudged)
			}
			judged[id] = true
		}
	}
	return ""
}

// Numbers that no run reaches: larger ones would falsify the sums of a folder.
const (
	mostRequests = 1 << 30
	mostJudged   = 5_000
	longestRun   = reports.Milliseconds(366 * 24 * 60 * 60 * 1000)
)

// Finished reports whether a target's folder has what a run by made would write again: the complete results of a target that was tested, or
// that could not be reached. An unreadable file is not a result.
func Finished(dir string, made Made) bool {
	d, ok, err := Read(dir)
	if err != nil || !ok || d.Made != made {
		return false
	}
	if d.State == Invalid || d.State == Failed { // another attempt may succeed
		return false
	}
	f, err := openRegular(filepath.Join(dir, ResultsFile))
	if err != nil {
		return false
	}
	defer f.Close()
	sum := sha256.New()
	_, err = io.Copy(sum, f)
	return err == nil && hex.EncodeToString(sum.Sum(nil)) == d.Digest
}
