package suites

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"strings"
	"sync"

	"github.com/mcpauth/conformance/fixtures/requirements"
	"github.com/mcpauth/conformance/reports"
)

//go:embed */*.go internal/*/*.go
var sources embed.FS

// sharedJudges is the name of the code that the judges of all areas use.
const sharedJudges = "internal"

// judges are the versions of the code that judges, by its area: a digest of its sources.
var judges = sync.OnceValue(func() map[string]string {
	text := map[string]*strings.Builder{sharedJudges: {}}
	fmt.Fprintln(text[sharedJudges], requirements.Digest()) // which says what a requirement is about
	err := fs.WalkDir(sources, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(name, "_test.go") {
			return err
		}
		b, err := sources.ReadFile(name)
		area, _, _ := strings.Cut(name, "/")
		if text[area] == nil {
			text[area] = &strings.Builder{}
		}
		fmt.Fprintf(text[area], "%s\n%s\n", name, strings.ReplaceAll(string(b), "\r", "")) // checkouts on Windows may add them
		return err
	})
	if err != nil {
		panic(err) // it is part of the program
	}
	out := map[string]string{}
	for area, t := range text {
		sum := sha256.Sum256([]byte(t.String()))
		out[area] = hex.EncodeToString(sum[:8])
	}
	return out
})

// sameJudges reports whether this build judges a result by the code that judged it first.
func sameJudges(run *reports.Run, r *reports.Result) bool {
	ours := judges()
	same := func(area string) bool { return run.Judges[area] == ours[area] }
	if !same(sharedJudges) {
		return false
	}
	if r.Basis == nil {
		return true
	}
	for i := range r.Basis.Steps {
		m := r.Basis.Steps[i].Matcher
		if m == nil {
			continue
		}
		area, _, of := strings.Cut(m.Name, "/") // such as introspection/response.go: agreeWith
		if of && ours[area] != "" && !same(area) {
			return false
		}
	}
	return true
}
