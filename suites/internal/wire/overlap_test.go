package wire

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
)

func crash() ending { return ending{endpoint: "GET /", status: http.StatusInternalServerError} }

// observeAll lets a gate observe how requests end, and returns its limit.
func observeAll(g *gate, alone bool, n int, e ending) float64 {
	for range n {
		g.observed(e, alone)
	}
	return g.limit
}

func TestOneAtATimeWhereOverlappingRequestsFail(t *testing.T) {
	g := newGate(32)
	g.observed(took(1), false)
	assert.Equal(t, 32.0, observeAll(g, false, mostFailed-1, crash()), "a few failures are enough")
	assert.Equal(t, 1.0, observeAll(g, false, 1, crash()), "no trial follows the failures")
	observeAll(g, false, 5, crash()) // they were sent before
	assert.Equal(t, 1.0, observeAll(g, true, aloneServe, took(1)))
	assert.True(t, g.overlap.alone)
	assert.Equal(t, "3 of 3 requests that overlapped failed, and 0 of 12 that did not", g.overlap.found)
	g.learn(took(1), 1)
	g.learn(busy(), 1)
	assert.Equal(t, 1.0, g.limit, "the limit changes later")
}

func TestFailuresOfRequestsAloneEndTheTrial(t *testing.T) {
	g := newGate(32)
	g.observed(took(1), false)
	for range mostTrials {
		assert.Equal(t, 1.0, observeAll(g, false, mostFailed, crash()))
		assert.Equal(t, float64(fewest), observeAll(g, true, aloneFail, crash()))
		assert.Equal(t, 32.0, g.most)
	}
	assert.Equal(t, float64(fewest), observeAll(g, false, 20, crash()), "there are more trials than allowed")
}

func TestWhatIsNoFailureByOverlap(t *testing.T) {
	for _, status := range []int{http.StatusOK, http.StatusUnauthorized, http.StatusTooManyRequests, http.StatusNotImplemented} {
		assert.Equal(t, 32.0, observeAll(newGate(32), false, 20, ending{status: status}), status)
	}
	g := newGate(32)
	for range 20 { // one of ten fails
		observeAll(g, false, 9, took(1))
		observeAll(g, false, 1, crash())
	}
	assert.Equal(t, 32.0, g.limit)
}

// A server may fail at some requests always, such as those with unknown tokens.
func TestAFailureIsComparedWithEqualRequestsOnly(t *testing.T) {
	g := newGate(32)
	unlike := crash()
	unlike.request = 1
	g.observed(took(1), false)
	assert.Equal(t, 32.0, observeAll(g, false, 20, unlike), "failures of other requests lead to a trial")
	assert.Equal(t, 1.0, observeAll(g, false, mostFailed, crash()))
	assert.Equal(t, 1.0, observeAll(g, true, 20, unlike), "failures of other requests end the trial")
	assert.Equal(t, float64(fewest), observeAll(g, true, mostAlone-20, unlike), "a trial without comparable requests does not end")
}
