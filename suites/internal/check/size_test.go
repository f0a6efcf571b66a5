package check

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/assert"
)

// judgedByHand are what checks called to judge before there were matchers. None is added; each goes with its last use.
var judgedByHand = map[string]bool{
	"Unmet": true, "Advise": true, "Finding": true, "Refused": true, "RefusedBy": true, "RefusedWith": true, "NoCode": true,
	"Controlled": true, "Unmistaken": true,
}

// What a check can do is on the facets. T itself is small enough to know by heart.
func TestTIsSmall(t *testing.T) {
	var own []string
	for m := range reflect.TypeFor[*T]().Methods() {
		if _, ofWorld := reflect.TypeFor[*World]().MethodByName(m.Name); !ofWorld && !judgedByHand[m.Name] {
			own = append(own, m.Name)
		}
	}
	assert.LessOrEqual(t, len(own), 30, "%v", own)
}
