package check

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
)

// answer returns an exchange with a status and a body.
func answer(status int, body string) *reports.Exchange {
	return &reports.Exchange{Number: 10, Response: &reports.Response{Status: status, Body: body}}
}

func tokensIssued() *reports.Exchange { return answer(200, `{"access_token":"x"}`) }

func refusal(code string) *reports.Exchange { return answer(400, `{"error":"`+code+`"}`) }

func TestARowThatCannotBeDecidedEndsAlone(t *testing.T) {
	r := verdict(t, func(t *T) {
		Each(t, Cases[bool]{{"first", true}, {"second", false}, {"third", true}}, func(t *T, decided bool) {
			if !decided {
				t.Inconclusive("the server is away")
			}
		})
	})
	assert.Equal(t, reports.Inconclusive, r.Verdict)
	assert.Equal(t, "1 of 3 rows undecided: second: the server is away", r.Reason)
	assert.Equal(t, []string{"first", "second", "third"}, r.Tried)
}

// What a check sees beside its tables is judged even if no row applies.
func TestRowsThatDoNotApplyHideNothing(t *testing.T) {
	for beside, want := range map[bool]reports.Verdict{true: reports.Pass, false: reports.NotApplicable} {
		r := verdict(t, func(t *T) {
			if beside {
				t.Expect(answer(200, "")).To(expect.HaveStatus(200))
			}
			Each(t, Cases[int]{{"a session", 1}}, func(t *T, _ int) { t.NotApplicable("the server has no sessions") })
		})
		assert.Equal(t, want, r.Verdict, r.Reason)
	}
}

func TestAFindingOutweighsUndecidedRows(t *testing.T) {
	r := verdict(t, func(t *T) {
		Each(t, Cases[*reports.Exchange]{{"served", tokensIssued()}, {"crashed", answer(500, "")}}, func(t *T, ex *reports.Exchange) {
			t.Expect(ex, "at the token endpoint").To(expect.RefuseGrant())
		})
	})
	assert.Equal(t, reports.Fail, r.Verdict)
	if assert.Len(t, r.Findings, 1) {
		assert.Equal(t, "served, at the token endpoint", r.Findings[0].About)
	}
	assert.Equal(t, []string{"crashed, at the token endpoint: undecided: HTTP 500, a server error, which is not a refusal"}, r.Notes)
}

// A server error does not show that what a row needs is absent, even after good answers.
func TestAFailedRequestDoesNotMakeARowInapplicable(t *testing.T) {
	for status, want := range map[int]reports.Verdict{
		404: reports.Pass, 501: reports.Pass, 500: reports.Inconclusive, 429: reports.Inconclusive,
	} {
		r := verdict(t, func(t *T) {
			Each(t, Cases[int]{{"there", 200}, {"perhaps absent", status}}, func(t *T, status int) {
				for _, ex := range []*reports.Exchange{answer(200, ""), answer(status, "")} {
					ex.Check = t.id
					t.transcript = append(t.transcript, ex)
				}
				if status != 200 {
					t.NotApplicable("the endpoint is not there")
				}
				t.Expect(answer(200, "")).To(expect.HaveStatus(200))
			})
		})
		assert.Equal(t, want, r.Verdict, "%d: %s", status, r.Reason)
	}
}

func TestRowsWithOneReasonAreFolded(t *testing.T) {
	r := verdict(t, func(t *T) {
		Each(t, Cases[int]{{"a", 1}, {"b", 2}, {"c", 3}}, func(t *T, n int) {
			if n > 1 {
				t.Inconclusive("it timed out")
			}
		})
	})
	assert.Equal(t, "2 of 3 rows undecided: b; c: it timed out", r.Reason)
	r = verdict(t, func(t *T) {
		Each(t, Cases[int]{{"a", 1}, {"b", 2}}, func(t *T, _ int) { t.Inconclusive("it timed out") })
	})
	assert.Equal(t, "it timed out", r.Reason, "a reason that all rows have is not shown exactly once")
}

func TestRowsThatDoNotApplyAreNoted(t *testing.T) {
	body := func(applies bool) func(*T) {
		return func(t *T) {
			Each(t, Cases[bool]{{"a", applies}, {"b", false}}, func(t *T, applies bool) {
				if !applies {
					t.NotApplicable("it is absent")
				}
			})
		}
	}
	some, none := verdict(t, body(true)), verdict(t, body(false))
	assert.Equal(t, reports.Pass, some.Verdict)
	assert.Equal(t, []string{"b: not applicable: it is absent"}, some.Notes)
	assert.Equal(t, reports.NotApplicable, none.Verdict)
}

func TestRowsNest(t *testing.T) {
	r := verdict(t, func(t *T) {
		Each(t, Cases[int]{{"public client", 0}}, func(t *T, _ int) {
			Each(t, Cases[int]{{"no secret", 0}, {"a wrong secret", 1}}, func(t *T, n int) {
				if n == 1 {
					t.Expect(1).To(never)
				}
			})
		})
	})
	assert.Equal(t, []string{"public client, no secret", "public client, a wrong secret"}, r.Tried)
	if assert.Len(t, r.Findings, 1) {
		assert.Equal(t, "public client, a wrong secret", r.Findings[0].About)
	}
}

// attempt answers with the given exchange, or with the control if there is no edit.
func attempt(control *reports.Exchange, sent *[]string) Attempt[*reports.Exchange] {
	return Attempt[*reports.Exchange]{Name: "an ordinary token request", Good: expect.IssueTokens(),
		Send: func(edited ...*reports.Exchange) any {
			if len(edited) == 0 {
				*sent = append(*sent, "control")
				return control
			}
			*sent = append(*sent, "row")
			return edited[0]
		}}
}

func TestRefusesSendsItsControlOnceAndLast(t *testing.T) {
	var sent []string
	r := verdict(t, func(t *T) {
		Refuses(t, attempt(tokensIssued(), &sent), Cases[*reports.Exchange]{{"a", refusal("invalid_grant")}, {"b", refusal("invalid_grant")}},
			expect.RefuseGrant("invalid_grant"))
	})
	assert.Equal(t, reports.Pass, r.Verdict, r.Reason)
	assert.Equal(t, []string{"row", "row", "control"}, sent)
}

func TestARefusalIsNoneWhereItsControlFails(t *testing.T) {
	var sent []string
	r := verdict(t, func(t *T) {
		Refuses(t, attempt(refusal("invalid_client"), &sent), Cases[*reports.Exchange]{{"a", refusal("invalid_grant")}},
			expect.RefuseGrant("invalid_grant"))
	})
	assert.Equal(t, reports.Inconclusive, r.Verdict)
	assert.Contains(t, r.Reason, "your server also refuses the same request without the defect: "+
		`an ordinary token request is answered with HTTP 400 and error "invalid_client"`)
}

// A server that fails now and then must not leave undecided what it refuses.
func TestAControlThatCrashesIsSentOnceMore(t *testing.T) {
	var sent []string
	good := attempt(tokensIssued(), &sent)
	send := good.Send
	good.Send = func(edited ...*reports.Exchange) any {
		if control := send(edited...); len(edited) > 0 || len(sent) > 2 {
			return control
		}
		return answer(500, "")
	}
	rows := Cases[*reports.Exchange]{{"a", refusal("invalid_grant")}}
	r := verdict(t, func(t *T) { Refuses(t, good, rows, expect.RefuseGrant("invalid_grant")) })
	assert.Equal(t, reports.Pass, r.Verdict, r.Reason)
	assert.Equal(t, []string{"row", "control", "control"}, sent)
}

func TestWhatIsAcceptedIsAFindingWhateverTheControl(t *testing.T) {
	var sent []string
	r := verdict(t, func(t *T) {
		rows := Cases[*reports.Exchange]{{"accepted", tokensIssued()}, {"refused", refusal("invalid_grant")}}
		Refuses(t, attempt(answer(503, ""), &sent), rows, expect.RefuseGrant("invalid_grant"))
	})
	assert.Equal(t, reports.Fail, r.Verdict)
	assert.Equal(t, "sent: accepted; came: an access token is issued; should be: a refusal", r.Reason)
	if assert.Len(t, r.Notes, 1) {
		assert.Contains(t, r.Notes[0], "refused: undecided: the same request without the defect gets no answer that decides")
	}
}

func TestServerErrorsAreNoRefusalAndNoFinding(t *testing.T) {
	for _, ex := range []*reports.Exchange{answer(500, ""), answer(429, ""), {Number: 10, Error: "connection refused"}} {
		var sent []string
		r := verdict(t, func(t *T) {
			Refuses(t, attempt(tokensIssued(), &sent), Cases[*reports.Exchange]{{"a", ex}}, expect.RefuseGrant())
		})
		assert.Equal(t, reports.Inconclusive, r.Verdict)
		assert.Empty(t, r.Findings)
	}
}

func TestAnotherErrorCodeIsAWarning(t *testing.T) {
	r := verdict(t, func(t *T) {
		t.Expect(tokensIssued()).To(expect.IssueTokens())
		t.Expect(refusal("x")).To(expect.RefuseGrant("invalid_grant"))
	})
	assert.Equal(t, reports.Warn, r.Verdict)
}

func TestIdeallyIsNeverMoreThanAWarning(t *testing.T) {
	r := verdict(t, func(t *T) { t.Expect(tokensIssued(), "a replay").Ideally(expect.RefuseGrant()) })
	assert.Equal(t, reports.Warn, r.Verdict)
	r = verdict(t, func(t *T) { t.Expect(tokensIssued(), "a replay").To(expect.RefuseGrant()) })
	assert.Equal(t, reports.Fail, r.Verdict)
}

func TestMatchersCountRefusalsAndControls(t *testing.T) {
	alone := verdict(t, func(t *T) { t.Expect(refusal("invalid_grant")).To(expect.RefuseGrant()) })
	assert.Equal(t, reports.Inconclusive, alone.Verdict)
	assert.Contains(t, alone.Reason, "prove nothing")
	beside := verdict(t, func(t *T) {
		t.Expect(refusal("invalid_grant")).To(expect.RefuseGrant())
		t.Expect(tokensIssued()).To(expect.IssueTokens())
	})
	assert.Equal(t, reports.Pass, beside.Verdict)
}

func TestTheReasonOfAMatcherOfTheCheckItself(t *testing.T) {
	even := expect.That("an even number", func(n int) string {
		if n%2 == 0 {
			return ""
		}
		return "an odd one"
	})
	assert.Equal(t, reports.Pass, verdict(t, func(t *T) { t.Expect(2).To(even) }).Verdict)
	assert.Equal(t, "about: 3; found: an odd one; should be: an even number", verdict(t, func(t *T) { t.Expect(3, "3").To(even) }).Reason)
}
