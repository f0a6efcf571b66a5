package certify_test

import (
	"os"
	"testing"

	"github.com/mcpauth/conformance/suites/tests/against"
)

// Most tests here compute and wait for nothing; more at a time would only take the time of the runs that certify.
func TestMain(m *testing.M) { os.Exit(against.AtOnce(m, 2)) }
