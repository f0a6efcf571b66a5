package expect

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestTheInsideOfServers(t *testing.T) {
	for _, shown := range []string{
		"Traceback (most recent call last):\n  File \"token.py\", line 12",
		`{"error":"Traceback (most recent call last): ..."}`,
		`{"detail":"File \"/app/auth.py\", line 7, in verify"}`,
		"/usr/lib/python3/site-packages/jwt/api_jwt.py",
		"goroutine 17 [running]:",
		"panic: runtime error",
		"Error: no\n    at Object.verify (/srv/app/auth.js:10:3)",
		"Error: no\n    at /srv/app/auth.js:10:3",
		`{"stack":"Error: no\n    at async file:///srv/app/auth.mjs:10:3"}`,
		"    at node:internal/process/task_queues:95:5",
		"java.lang.NullPointerException\n\tat com.example.Auth.verify(Auth.java:42)",
		"   at Example.Auth.Verify() in /src/Auth.cs:line 42",
		`{"error_description":"SELECT * FROM codes"}`,
		"sqlalchemy.exc.OperationalError",
		"-----BEGIN PRIVATE KEY-----",
	} {
		assert.NotEmpty(t, Internals(shown), shown)
	}
	for _, harmless := range []string{
		`{"error":"invalid_token","error_description":"the token expired at 12:30:15"}`,
		`{"error_description":"expired at 29/Nov/2026:10:15:30 +0000"}`, "not valid at http://[fd00:1:2::5]/mcp",
		"Sign in at https://login.example:8443/a:1",
		"    at least one scope is missing", "Please select a file from the list",
		"The public key is not known", "<p>\n    at your service\n</p>",
	} {
		assert.Empty(t, Internals(harmless), harmless)
	}
}
