package lab

import (
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/suites/target"
)

// A proxy that caches the key set of its upstream still accepts tokens in the next run.
func TestTheUpstreamHasTheSameKeysInEachRun(t *testing.T) {
	keys := func() string {
		s, err := upstream(&target.UpstreamIDP{Issuer: "http://127.0.0.1:9500"}, nil)
		require.NoError(t, err)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest("GET", "http://127.0.0.1:9500/jwks", nil))
		require.Equal(t, 200, w.Code)
		return w.Body.String()
	}
	assert.Equal(t, keys(), keys())
}
