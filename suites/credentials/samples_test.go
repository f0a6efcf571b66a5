package credentials

import (
	"testing"

	"github.com/mcpauth/conformance/suites/tests/sampled"
)

func TestThePageNamesEachSampleByItsNumber(t *testing.T) {
	sampled.Named(t, "RS-STATIC-DEFAULT-CREDENTIALS", samples)
}
