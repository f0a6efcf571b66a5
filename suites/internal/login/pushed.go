package login

import (
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/oauth"
)

// begin is where the browser begins: at the address of a request itself or, where requests are pushed, at what stands for it. A push that
// is refused ends the request before a browser sees it.
func (a *Agent) begin(start string) (address string, refused *Outcome) {
	if a.Push == nil {
		return start, nil
	}
	address, ex := a.Push(start)
	switch {
	case address != "":
		return address, nil
	case ex.Response == nil:
		return "", &Outcome{Stage: Failed, Exchange: ex, Why: "the pushed authorization request gave no answer: " + ex.Error}
	}
	why := "the pushed authorization request is refused: " + expect.Describe(ex)
	if code := oauth.ErrorCode(ex); code != "" {
		why += ", error " + code
	}
	return "", &Outcome{Stage: ErrorPage, Exchange: ex, Why: why}
}
