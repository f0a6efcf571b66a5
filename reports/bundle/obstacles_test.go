package bundle

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// One cause is one text, whatever the number of requirements that it blocks.
func TestObstaclesAreGroupedByCause(t *testing.T) {
	var o obstacles
	assert.Empty(t, o.texts())
	o.add("AS-A", "")
	for _, id := range []string{"AS-A", "AS-A", "AS-B"} {
		o.add(id, id+" could not be decided: nobody could sign in. Look at its exchanges (--only "+id+").")
		o.add(id, id+" was not tested: it needs a user.")
	}
	o.add("AS-C", "AS-C is not met (FAIL): came: HTTP 200.")
	assert.Equal(t, []string{
		"AS-A, AS-B could not be decided: nobody could sign in. Look at its exchanges (--only AS-A).",
		"AS-A, AS-B were not tested: it needs a user.",
		"AS-C is not met (FAIL): came: HTTP 200.",
	}, o.texts())
}
