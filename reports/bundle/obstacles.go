package bundle

import (
	"slices"
	"strings"
)

// obstacles are what blocks a certificate, by cause: one login that fails leaves a hundred requirements undecided.
type obstacles struct {
	causes []string // each once, in order, with the place of the id in it
	ids    map[string][]string
}

// place stands for the id of a requirement in a cause.
const place = "\x00"

// add adds a sentence about a requirement; an empty one is none.
func (o *obstacles) add(id, sentence string) {
	if sentence == "" {
		return
	}
	if o.ids == nil {
		o.ids = map[string][]string{}
	}
	cause := strings.ReplaceAll(sentence, id, place)
	if o.ids[cause] == nil {
		o.causes = append(o.causes, cause)
	}
	if !slices.Contains(o.ids[cause], id) {
		o.ids[cause] = append(o.ids[cause], id)
	}
}

// several is what a sentence says of one requirement, and what it says of several.
var several = strings.NewReplacer(place+" was not ", place+" were not ", place+" does not ", place+" do not ", place+" is ", place+" are ")

// texts returns a text for each cause: its requirements, and what is said of them. An instruction names the first.
func (o *obstacles) texts() (out []string) {
	for _, cause := range o.causes {
		ids := o.ids[cause]
		if len(ids) > 1 {
			cause = several.Replace(cause)
		}
		text := strings.Replace(cause, place, strings.Join(ids, ", "), 1)
		out = append(out, strings.ReplaceAll(text, place, ids[0]))
	}
	return out
}
