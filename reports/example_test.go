package reports_test

import (
	"fmt"

	"github.com/mcpauth/conformance/reports"
)

// Two runs are compared by requirement: what is worse than before makes the exit code 1.
func ExampleDiff() {
	run := func(verdict reports.Verdict) reports.Redacted {
		return reports.Redact(reports.Run{Results: []reports.Result{
			{ID: "RS-CHALLENGE-401-STATUS", Level: "MUST", Verdict: verdict, Revisions: []string{"2025-11-25"}},
		}}, &reports.Secrets{})
	}
	d := reports.Diff(run(reports.Pass), run(reports.Fail))
	for _, change := range d.Regressed {
		fmt.Println(change.New.ID, change.Old.Verdict, "before,", change.New.Verdict, "now")
	}
	fmt.Println("exit code", d.ExitCode())
	// Output:
	// RS-CHALLENGE-401-STATUS PASS before, FAIL now
	// exit code 1
}

// Redact is the only way to a run that can be written: no registered secret is left in it.
func ExampleRedact() {
	var secrets reports.Secrets
	secrets.Add("access token", "a-token-that-nobody-may-read")
	run := reports.Run{Exchanges: []reports.Exchange{{Number: 1, Request: reports.Request{
		Method: "GET", URL: "https://mcp.example.com/mcp",
		Header: []reports.Field{{Name: "Authorization", Value: "Bearer a-token-that-nobody-may-read"}},
	}}}}
	redacted := reports.Redact(run, &secrets)
	fmt.Println(redacted.Run().Exchanges[0].Request.Header[0].Value)
	// Output: Bearer ‹access token#1›
}
