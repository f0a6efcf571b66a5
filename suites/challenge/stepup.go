package challenge

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/oauth"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// signalsStepUp is RFC 9470 section 3.
func signalsStepUp(t *T) {
	for _, tool := range t.Special {
		if tool.ACR == "" {
			continue
		}
		Each(t, Cases[Tool]{{"the tool " + tool.Name, tool}}, func(t *T, tool Tool) {
			mustRunAfterStrongLogin(t, tool)
			ex := t.MCP.CallTool(weakToken(t, tool), tool)
			if t.Expect(ex).To(expect.BeRefused(401)) && t.Expect(ex).To(nameStepUp()) {
				t.Expect(ex).To(sayWhatIsEnough())
				t.Expect(ex).Ideally(countAgeInSeconds(), nameACR(tool.ACR))
			}
		})
	}
}

// weakToken returns a token of a login that is too weak for a tool. Its acr shows that. Where it is opaque, a new token of the first user
// counts as weak, unless the tool must not run.
func weakToken(t *T, tool Tool) string {
	token := t.MCP.FirstToken()
	switch _, claims := oauth.Claims(token); {
	case claims.String("acr") == tool.ACR:
		t.NotTested("the token has acr=%s, which is strong enough", tool.ACR)
	case claims != nil || t.Mint.Trusted():
	case t.Session == nil || !t.Session.Ready:
		t.NotTested("the login of the token that was supplied is not known; give a user with --username")
	case tool.DeniedOnly:
		t.NotTested("the token does not show its login, and the tool may not be called")
	}
	return token
}

// mustRunAfterStrongLogin is the control, where tokens can be minted and the tool may be called.
func mustRunAfterStrongLogin(t *T, tool Tool) {
	if tool.DeniedOnly || !t.Mint.Trusted() {
		return
	}
	ex := t.MCP.CallTool(t.Mint.Token(map[string]any{"acr": tool.ACR}), tool)
	if !expect.ServedBy(expect.Ran).Judge(ex).Met {
		t.Inconclusive("your server also refuses the call with acr=%s: %s", tool.ACR, expect.Describe(ex))
	}
	t.Expect(ex).To(expect.ServedBy(expect.Ran))
}

func nameStepUp() expect.Matcher {
	return onParameter("error", "error=insufficient_user_authentication in the challenge", func(code string, _ bool) bool {
		return code == "insufficient_user_authentication"
	})
}

var sayWhatIsEnough = expect.Family("sayWhatIsEnough", func() expect.Matcher {
	return expect.That("acr_values or max_age in the challenge", func(ex *reports.Exchange) string {
		_, acr := expect.Param(ex, "acr_values")
		_, age := expect.Param(ex, "max_age")
		if !acr && !age {
			return "the challenge has neither"
		}
		return ""
	})
})

func countAgeInSeconds() expect.Matcher {
	return onParameter("max_age", "whole seconds in max_age", func(age string, _ bool) bool { return strings.Trim(age, "0123456789") == "" })
}

var nameACR = expect.Family("nameACR", func(acr string) expect.Matcher {
	return onParameter("acr_values", "the context that is enough in acr_values", func(values string, named bool) bool {
		return !named || slices.Contains(strings.Fields(values), acr)
	})
})

// onParameter judges a parameter of the challenge.
func onParameter(name, expected string, good func(value string, named bool) bool) expect.Matcher {
	return expect.That(expected, func(ex *reports.Exchange) string {
		if v, ok := expect.Param(ex, name); !good(v, ok) {
			return fmt.Sprintf("%s=%q", name, v)
		}
		return ""
	})
}
