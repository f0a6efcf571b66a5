package tokenvalidation

import (
	"testing"

	"github.com/mcpauth/conformance/suites/tests/sampled"
)

func TestThePageNamesEachSecretByItsNumber(t *testing.T) {
	sampled.Named(t, "RS-TOKEN-WEAK-SECRET", weakSecrets)
}
