package challenge

import (
	"strings"

	"github.com/mcpauth/conformance/suites/internal/expect"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// RFC 9470 section 3.
func stepUp() {
	May("RS-CHALLENGE-STEP-UP-AUTHN", func(t *T) {
		for _, tool := range t.Special {
			if tool.ACR == "" {
				continue
			}
			if t.Mint.Trusted() {
				if ex := t.MCP.CallTool(t.Mint.Token(map[string]any{"acr": tool.ACR}), tool); !expect.Ran(ex) {
					t.Inconclusive("the control failed: %s with acr=%s is answered with %s", tool.Name, tool.ACR, expect.Describe(ex))
				}
				t.Controlled()
			}
			ex := t.MCP.CallTool(t.MCP.FirstToken(), tool)
			if expect.Ran(ex) {
				t.Finding(ex, tool.Name, "HTTP 401 with error=insufficient_user_authentication", "the tool runs")
				continue
			}
			t.RefusedBy(ex)
			code, _ := expect.Param(ex, "error")
			if expect.Status(ex) != 401 || code != "insufficient_user_authentication" {
				t.Finding(ex, tool.Name, "HTTP 401 with error=insufficient_user_authentication", expect.Describe(ex))
				continue
			}
			acr, named := expect.Param(ex, "acr_values")
			age, aged := expect.Param(ex, "max_age")
			switch {
			case !named && !aged:
				t.Finding(ex, tool.Name, "acr_values or max_age in the challenge", "neither")
			case aged && strings.Trim(age, "0123456789") != "":
				t.Advise(ex, "whole seconds in max_age", "%q", age)
			case named && !strings.Contains(" "+acr+" ", " "+tool.ACR+" "):
				t.Advise(ex, "in acr_values what would do", "%q", acr)
			}
		}
	})
}
