package reports_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/reports"
	reportjson "github.com/mcpauth/conformance/reports/json"
)

// The name of a target omits the secrets in its query. It is always the same, and different if a secret differs.
func TestTargetsAreNamedWithoutSecrets(t *testing.T) {
	for _, secret := range []string{
		"https://h/mcp?api_key=k-1234567", "https://h/mcp?a=b&tavilyApiKey=tvly-x", "https://h/mcp?access_token=a%2Bb%20c#f",
		"https://h/?sig=x;k=v",
		"https://h/mcp?profile=0b8e1f6c-2f5a-4f0b-9d5e-1d2c3b4a5f6e", "https://h/mcp?id=ghp_" + strings.Repeat("a1B2", 9), "https://h/?key=1",
		"https://h/?passphrase=abc", "https://h/?p=dGhpcyBp+2Vj7mV0MTIz4", "https://h/?keyword=registration&apiKeys=x",
	} {
		named := reports.Named(secret)
		assert.Regexp(t, `=redacted-[0-9a-f]{8}([&;#]|$)`, named)
		assert.Equal(t, named, reports.Named(secret))
		assert.Equal(t, named, reports.Named(named), "a name gets another name")
		assert.NotEqual(t, named, reports.Named(secret+"9"))
		assert.True(t, reports.IsNamed(named))
		assert.False(t, reports.IsNamed(secret))
	}
	for _, open := range []string{
		"https://h/mcp", "https://h/mcp?tenant=acme&version=2", "https://h/mcp?region=acme-production-eu-west-1", "https://h/mcp?api_key=",
		"https://h/mcp?", "https://h/mcp?api_key", "https://h/mcp#api_key=x", "", "https://h/mcp?keyword=registration&author=ann",
	} {
		assert.Equal(t, open, reports.Named(open))
	}
	assert.Equal(t, "https://h/mcp?tenant=acme&key="+strings.TrimPrefix(reports.Named("https://h/mcp?key=v"), "https://h/mcp?key="),
		reports.Named("https://h/mcp?tenant=acme&key=v"), "by what the value is, whatever else the query has")
}

// The replacement of a secret in a target's query is the same everywhere: in the name of the target, in URLs and in texts.
func TestQuerySecretsAreReplacedAlike(t *testing.T) {
	const address, key = "https://mcp.example.com/mcp?x=1&api_key=k%2Bey-7Hq2xZ", "k+ey-7Hq2xZ"
	run := sample("the key is " + key)
	run.Target.URL = reports.Named(address)
	run.Exchanges[0].Request.URL = address
	run.Exchanges[0].Response.Body = `{"resource":"` + address + `","key":"` + key + `"}`
	secrets := &reports.Secrets{}
	secrets.AddQuery(address)
	redacted := reports.Redact(run, secrets)
	out := redacted.Run()
	assert.Equal(t, run.Target.URL, out.Target.URL)
	assert.Equal(t, run.Target.URL, out.Exchanges[0].Request.URL)
	value := run.Target.URL[strings.LastIndex(run.Target.URL, "=")+1:]
	assert.Equal(t, `{"resource":"`+run.Target.URL+`","key":"`+value+`"}`, out.Exchanges[0].Response.Body)
	var b bytes.Buffer
	require.NoError(t, reportjson.Write(&b, redacted))
	assert.NotContains(t, b.String(), "7Hq2xZ")
	words := &reports.Secrets{}
	words.AddQuery("https://h/mcp?auth=bearer")
	run.Exchanges[0].Response.Body = `{"token_type":"bearer"} by auth=bearer`
	assert.Contains(t, reports.Redact(run, words).Run().Exchanges[0].Response.Body, `"token_type":"bearer"`, "the ordinary word is redacted")
	short := &reports.Secrets{}
	short.AddQuery("https://h/mcp?api_key=k1")
	run.Exchanges[0].Request.URL = "https://h/mcp?api_key=k1"
	assert.Equal(t, reports.Named("https://h/mcp?api_key=k1"), reports.Redact(run, short).Run().Exchanges[0].Request.URL)
}
