package matrix_test

import (
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fixtures/whole"
)

// chosen returns the flaws for whole runs. MCPAUTH_KILL is
//
//	empty     a small sample, always the same; with MCPAUTH_WHOLE a larger one, or a share of it
//	all       every flaw
//	touched   those of the areas whose files differ from the branch origin/main
//	pkce      those whose name begins so, or that a check of this area notices; more than one with commas between
//	all/2/4   the second of four parts of every flaw
func chosen(t *testing.T, all []row) []row {
	t.Helper()
	what, part, shared := strings.Cut(os.Getenv("MCPAUTH_KILL"), "/")
	switch {
	case what == "all" && shared:
		return share(t, all, part)
	case what == "all":
		return all
	case what == "" && whole.More() && !testing.Short(): // the race detector makes a run ten times as long
		return slices.DeleteFunc(sample(all, 40), func(r row) bool { return !whole.InShare(r.Name) && whole.Number(r.Name)%320 != 0 })
	case what == "":
		return sample(all, 320)
	case what == "touched":
		what = strings.Join(touched(t), ",")
	}
	var out []row
	for _, r := range all {
		if r.concerns(strings.Split(what, ",")) {
			out = append(out, r)
		}
	}
	require.NotEmpty(t, out, "MCPAUTH_KILL=%s chooses no flaw: want all, touched, the beginning of a flaw's name, or an area", what)
	return out
}

func (r *row) concerns(words []string) bool {
	return slices.ContainsFunc(words, func(w string) bool {
		return w != "" && (strings.HasPrefix(r.Name, w) || slices.ContainsFunc(r.Noticed, func(id string) bool { return area(id) == w }))
	})
}

// sample returns one flaw of n, chosen by name, so that a new flaw changes no other choice. It omits flaws that show only within the window
// of a limit: on a busy machine, all other checks make the run too slow for them.
func sample(all []row, n uint32) []row {
	return slices.DeleteFunc(slices.Clone(all), func(r row) bool { return r.timed() || whole.Number(r.Name)%n != 0 })
}

// inShare returns the flaws of the share that MCPAUTH_WHOLE asks for; all where it asks for all.
func inShare(all []row) []row {
	return slices.DeleteFunc(slices.Clone(all), func(r row) bool { return !whole.InShare(r.Name) })
}

// share returns one part of all flaws, such as 2/4.
func share(t *testing.T, all []row, part string) []row {
	t.Helper()
	index, count, _ := strings.Cut(part, "/")
	i, err1 := strconv.Atoi(index)
	n, err2 := strconv.Atoi(count)
	require.NoError(t, cmp.Or(err1, err2), "MCPAUTH_KILL=all/%s: want all/2/4", part)
	require.True(t, 1 <= i && i <= n, "MCPAUTH_KILL=all/%s: want all/2/4", part)
	var out []row
	for k, r := range all {
		if k%n == i-1 {
			out = append(out, r)
		}
	}
	return out
}

// touched returns the areas of checks whose files differ from the main branch.
func touched(t *testing.T) []string {
	t.Helper()
	base, err := exec.Command("git", "merge-base", "HEAD", "origin/main").Output()
	require.NoError(t, err, "MCPAUTH_KILL=touched needs origin/main for its comparison")
	files, err := exec.Command("git", "diff", "--name-only", "--relative=suites", strings.TrimSpace(string(base))).Output()
	require.NoError(t, err)
	var out []string
	for _, f := range strings.Fields(string(files)) {
		if a := filepath.Dir(f); a != "." && !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out
}

func TestSharesMakeTheWhole(t *testing.T) {
	all := rows()
	seen := map[string]int{}
	for _, part := range []string{"1/3", "2/3", "3/3"} {
		for _, r := range share(t, all, part) {
			seen[r.Name]++
		}
	}
	for _, r := range all {
		assert.Equal(t, 1, seen[r.Name], r.Name)
	}
	assert.NotEmpty(t, sample(all, 40))
	assert.NotEmpty(t, sample(all, 320))
}
