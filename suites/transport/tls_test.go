package transport

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mcpauth/conformance/reports"
)

// Another program at port 80, and a server that demands https, do not process the request.
func TestAnswersOverPlainHTTP(t *testing.T) {
	for body, right := range map[string]bool{
		`{"error":"invalid_grant"}`: false, `{"error":"invalid_client","error_description":"unknown"}`: false, `{"access_token":"x"}`: false,
		`{"error":"invalid_request","error_description":"HTTPS required"}`: true,
		`{"error":"https_required"}`:                                       true, `<p>Welcome</p>`: true,
		`{"status":404,"error":"Not Found","path":"/token"}`: true,
	} {
		ex := &reports.Exchange{Response: &reports.Response{Status: 400, Body: body}}
		assert.Equal(t, right, notSpeakOAuthPlainly.Judge(ex).Met, body)
	}
}
