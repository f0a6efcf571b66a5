package introspector

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestATokenWithMoreAroundItIsAnotherOne(t *testing.T) {
	s := &Server{tokens: map[string]*Token{"abc": {}}}
	for body, want := range map[string]bool{
		"token=abc": true, `{"token":"abc"}`: true, `{"a":[{"b":"abc"}]}`: true, "token_type_hint=access_token&token=abc": true, "abc": true,
		"token=abcx": false, "token=xabc": false, "token=abc.def": false, "token=abc%00": false, `{"token":"abc,"}`: false, "token=abc+": false,
		"": false,
	} {
		assert.Equal(t, want, s.about(httptest.NewRequest(http.MethodPost, "/", nil), body) != nil, body)
	}
	assert.NotNil(t, s.about(httptest.NewRequest(http.MethodGet, "/?token=abc", nil), ""))
	assert.Nil(t, s.about(httptest.NewRequest(http.MethodGet, "/?token=abc%2C", nil), ""))
	r := httptest.NewRequest(http.MethodGet, "/", strings.NewReader(""))
	r.Header.Set("Authorization", "Bearer abc")
	assert.NotNil(t, s.about(r, ""))
}

// A target that sends endless requests gets all its answers, and few of the requests are kept.
func TestAFloodOfQuestionsIsNotKept(t *testing.T) {
	s, err := New("127.0.0.1:0")
	require.NoError(t, err)
	defer s.Close()
	token := s.Token()
	for range 300 {
		body := "token=" + token.Value + "&padding=" + strings.Repeat("x", 100<<10)
		resp, err := http.Post(s.URL(), "application/x-www-form-urlencoded", strings.NewReader(body))
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		assert.Equal(t, http.StatusOK, resp.StatusCode)
	}
	kept := 0
	for _, q := range token.Asked() {
		kept += len(q.Body)
	}
	assert.Less(t, kept, 17<<20)
	assert.Greater(t, kept, 1<<20)
}
