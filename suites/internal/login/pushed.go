package login

import (
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/oauth"
)

// begin returns the address where the browser begins: that of the request itself, or that of the pushed request. A refused push ends the
// request before a browser sees it.
func (a *Agent) begin(start string) (address string, refused *Outcome) {
	if a.Push == nil {
		return start, nil
	}
	address, ex := a.Push(start)
	switch {
	case address != "":
		return address, nil
	case ex.Response == nil:
		return "", &Outcome{Stage: Failed, Exchange: ex, Why: Unpushed(ex)}
	}
	return "", &Outcome{Stage: ErrorPage, Exchange: ex, Why: Unpushed(ex), PushError: oauth.ErrorCode(ex)}
}

// Unpushed says why an answer to a pushed authorization request has no request_uri.
func Unpushed(ex *reports.Exchange) string {
	switch status := expect.Status(ex); {
	case status == 0:
		return "the pushed authorization request gave no answer: " + ex.Error
	case status < 400:
		return "the answer to the pushed authorization request has no request_uri: " + expect.Describe(ex)
	}
	return "the pushed authorization request is refused: " + expect.Describe(ex)
}
