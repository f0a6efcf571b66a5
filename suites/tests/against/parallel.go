package against

import (
	"flag"
	"runtime/debug"
	"strconv"
	"testing"
)

// Main runs the tests of a package, eight at a time unless the user says otherwise: whole runs wait for limits and locks more than they
// compute.
func Main(m *testing.M) int { return AtOnce(m, 8) }

// AtOnce is Main for another number of tests at a time.
func AtOnce(m *testing.M, most int) int {
	flag.Parse()
	debug.SetGCPercent(400) // a whole run makes much garbage
	debug.SetMemoryLimit(1 << 30)
	chosen := false
	flag.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "test.parallel" })
	if !chosen {
		// Set the value itself: Ginkgo aborts the process if the flag counts as set.
		_ = flag.Lookup("test.parallel").Value.Set(strconv.Itoa(most)) // a number is always valid
	}
	return m.Run()
}
