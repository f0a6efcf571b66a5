package introspector

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
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
