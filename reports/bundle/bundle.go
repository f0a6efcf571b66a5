// Package bundle writes and verifies certificates: a folder with the results of a frozen set, their evidence, and a signed statement about
// both, which anybody can check and judge again without the network.
package bundle

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/mcpauth/conformance/reports"
)

// The files of a bundle.
const (
	ProductFile     = "PRODUCT.yaml"
	ReadmeFile      = "README.md"
	ResultsFile     = "results.json.gz"
	JUnitFile       = "junit.xml"
	ReportFile      = "report.html"
	SetFile         = "set.yaml"
	EnvironmentFile = "environment.json"
	ManifestFile    = "manifest.json"
	StatementFile   = "statement.json"
	SignatureFile   = "statement.dsse.json"
	PredicateFile   = "predicate.json"          // what cosign attest-blob and GitHub's attest action sign
	KeylessFile     = "statement.sigstore.json" // their output
)

// Described are the files that the manifest lists; Around are those that refer to the manifest.
var (
	Described = []string{ProductFile, ReadmeFile, ResultsFile, JUnitFile, ReportFile, SetFile, EnvironmentFile}
	Around    = []string{ManifestFile, StatementFile, SignatureFile, PredicateFile, KeylessFile}
)

// Files are the files of a bundle by name.
type Files map[string][]byte

// Limits of a bundle that is read, far above those of written ones.
const (
	largestFile    = 64 << 20
	largestText    = 4 << 20 // for files other than results and reports: their values need many times their size in memory
	mostFiles      = 20
	largestResults = 64 << 20 // unpacked
	mostGrowth     = 100      // unpacked to packed: written ones grow by 15
)

// Manifest lists the files of a bundle.
type Manifest struct {
	Version int     `json:"version"`
	Files   []Entry `json:"files"`
}

// Entry is one file.
type Entry struct {
	Name   string `json:"name"`
	Size   int    `json:"size"`
	SHA256 string `json:"sha256"`
}

// Digest returns the SHA-256 of a text, in hex.
func Digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func (f Files) manifest() Manifest {
	m := Manifest{Version: 1}
	for _, name := range slices.Sorted(maps.Keys(f)) {
		if !slices.Contains(Around, name) {
			m.Files = append(m.Files, Entry{name, len(f[name]), Digest(f[name])})
		}
	}
	return m
}

func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	err := reports.WriteJSON(&b, v, "  ")
	return b.Bytes(), err
}

// unmarshal reads JSON without unknown members.
func unmarshal(b []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is text after its end")
	}
	return nil
}

func pack(b []byte) ([]byte, error) {
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.DefaultCompression)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(b); err != nil {
		return nil, err
	}
	err = z.Close()
	return out.Bytes(), err
}

func unpack(b []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	most := int64(min(largestResults, mostGrowth*len(b)))
	var out bytes.Buffer
	switch n, err := io.Copy(&out, io.LimitReader(z, most+1)); {
	case err != nil:
		return nil, err
	case n > most && most < largestResults:
		return nil, fmt.Errorf("it grows more than %d to 1", mostGrowth)
	case n > most:
		return nil, fmt.Errorf("it is larger than %d MiB", largestResults>>20)
	}
	return out.Bytes(), nil
}

// Write writes a bundle into a new or empty folder, completely or not at all.
func (f Files) Write(dir string) error {
	if old, err := os.ReadDir(dir); err == nil && len(old) > 0 {
		return fmt.Errorf("%s is not empty: give the path of a new folder", dir)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	temp, err := os.MkdirTemp(filepath.Dir(dir), ".mcpauth-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	for name, b := range f {
		if err := os.WriteFile(filepath.Join(temp, name), b, 0o644); err != nil {
			return err
		}
	}
	if err := os.Chmod(temp, 0o755); err != nil {
		return err
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Rename(temp, dir)
}

// largest returns the maximum size of a file in a bundle.
func largest(name string) int64 {
	if slices.Contains([]string{ResultsFile, JUnitFile, ReportFile}, name) {
		return largestFile
	}
	return largestText
}

// Read reads a bundle. A special or too large file is a problem, and is not read. A folder without a file of a certificate is an error.
func Read(dir string) (Files, []Problem, error) {
	list, err := os.ReadDir(dir)
	if info, e := os.Stat(dir); e == nil && !info.IsDir() {
		return nil, nil, fmt.Errorf("%s is a file: want the folder of a certificate; unpack an archive first", dir)
	} else if err != nil {
		return nil, nil, err
	}
	known := func(entry os.DirEntry) bool { return entry.Name() == ManifestFile || entry.Name() == StatementFile }
	if !slices.ContainsFunc(list, known) {
		return nil, nil, fmt.Errorf("%s is not a certificate: it holds neither %s nor %s", dir, ManifestFile, StatementFile)
	}
	files, problems := Files{}, []Problem(nil)
	for _, entry := range list {
		info, err := entry.Info()
		switch {
		case err != nil:
			return nil, nil, err
		case !info.Mode().IsRegular():
			problems = append(problems, Problem{ExtraFile, entry.Name(), "it is not a regular file: a bundle holds nothing else"})
		case len(files) == mostFiles:
			problems = append(problems, Problem{ExtraFile, entry.Name(), "a bundle holds fewer files"})
		case info.Size() > largest(entry.Name()):
			problems = append(problems, Problem{ChangedFile, entry.Name(), fmt.Sprintf("it is larger than %d MiB", largest(entry.Name())>>20)})
		default:
			b, err := os.ReadFile(filepath.Join(dir, entry.Name()))
			if err != nil {
				return nil, nil, err
			}
			files[entry.Name()] = b
		}
	}
	return files, problems, nil
}
