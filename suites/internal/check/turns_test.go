package check

import (
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
)

// A job that waits for two servers does not block one that needs only the free server.
func TestTurnsOfSeveralServers(t *testing.T) {
	s := newServers()
	resource, authorization, both := s.at("resource"), s.at("authorization"), s.at("resource", "authorization")
	authorization.take()
	var had atomic.Bool
	waits := make(chan bool)
	go func() {
		both.take()
		had.Store(true)
		close(waits)
	}()
	for range 100 {
		resource.take() // blocks for good if the other job has taken it while it waits
		assert.False(t, had.Load())
		resource.give()
	}
	authorization.give()
	<-waits
	both.give()
	assert.Empty(t, s.taken)
}
