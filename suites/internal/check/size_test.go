package check

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/assert"
)

// T has few methods: the abilities of a check are on its facets.
func TestTIsSmall(t *testing.T) {
	var own []string
	for m := range reflect.TypeFor[*T]().Methods() {
		if _, ofWorld := reflect.TypeFor[*World]().MethodByName(m.Name); !ofWorld {
			own = append(own, m.Name)
		}
	}
	assert.LessOrEqual(t, len(own), 30, "%v", own)
}
