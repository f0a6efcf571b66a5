// Package suites tests the authorization of an MCP server, and of the authorization servers that it points
// at, from outside. It has three entry points: Run for programs, Test for go test, and Register for your own
// Ginkgo suite.
package suites

import (
	"fmt"
)

// Version is the version of the tool, set by the linker for releases.
var Version = "dev"

// UsageError says that a configuration names something unknown, contradicts itself, or selects nothing.
type UsageError struct{ Problem string }

func (u *UsageError) Error() string { return u.Problem }

func usage(format string, args ...any) error { return &UsageError{fmt.Sprintf(format, args...)} }

// Checks returns the ids that have a check, in the order of registration. The error
// names every mistake in the registration.
func Checks() ([]string, error) {
	reg, err := registry()
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, c := range reg.All() {
		ids = append(ids, c.Requirement.ID)
	}
	return ids, nil
}
