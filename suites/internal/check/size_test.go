package check

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/assert"
)

// What a check can do is on the facets. T itself is small enough to know by heart.
func TestTIsSmall(t *testing.T) {
	var own []string
	for m := range reflect.TypeFor[*T]().Methods() {
		if _, ofWorld := reflect.TypeFor[*World]().MethodByName(m.Name); !ofWorld {
			own = append(own, m.Name)
		}
	}
	assert.LessOrEqual(t, len(own), 30, "%v", own)
}
