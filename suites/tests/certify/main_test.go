package certify_test

import (
	"os"
	"testing"

	"github.com/mcpauth/conformance/suites/tests/against"
)

// Most of these tests compute and do not wait; more at a time would only slow the runs that certify.
func TestMain(m *testing.M) { os.Exit(against.AtOnce(m, 2)) }
