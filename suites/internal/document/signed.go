package document

import (
	"fmt"
	"slices"
)

// Contradiction returns the first member of a signed copy that differs from the same member of the plain document, lists as sets; empty if
// none does. A copy may have fewer members, or more.
func Contradiction(signed, plain *Object) string {
	for _, m := range signed.Members {
		if v, both := plain.Get(m.Name); both && !alike(m.Value, v) {
			return fmt.Sprintf("%s: signed %s, plain %s", m.Name, Text(m.Value), Text(v))
		}
	}
	return ""
}

func alike(a, b any) bool {
	if o, isObject := a.(*Object); isObject {
		p, isToo := b.(*Object)
		return isToo && len(o.Members) == len(p.Members) && Contradiction(o, p) == "" &&
			!slices.ContainsFunc(o.Members, func(m Member) bool { _, has := p.Get(m.Name); return !has })
	}
	x, isList := a.([]any)
	y, isListToo := b.([]any)
	if !isList || !isListToo {
		return Text(a) == Text(b)
	}
	in := func(some, all []any) bool {
		return !slices.ContainsFunc(some, func(v any) bool {
			return !slices.ContainsFunc(all, func(w any) bool { return alike(v, w) })
		})
	}
	return in(x, y) && in(y, x)
}
