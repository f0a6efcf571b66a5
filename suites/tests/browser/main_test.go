package browser_test

import (
	"os"
	"testing"

	"github.com/mcpauth/conformance/suites/tests/against"
)

func TestMain(m *testing.M) { os.Exit(against.AtOnce(m, 2)) }
