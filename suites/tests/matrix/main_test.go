package matrix_test

import (
	"os"
	"testing"

	"github.com/mcpauth/conformance/suites/tests/against"
)

func TestMain(m *testing.M) { os.Exit(against.Main(m)) }
