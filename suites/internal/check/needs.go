package check

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/mcpauth/conformance/fixtures/requirements"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
)

// need is the test for a word of the vocabulary. The vocabulary gives the meaning and the kind of the word. An unmet need ends a check by
// that kind: not applicable if a feature is absent, and not tested if the user did not supply or allow something.
type need struct {
	// give is what the user can add to meet the need: a flag, or a part of the target file.
	give string
	// signsIn says that a check with this need signs a user in.
	signsIn bool
	// unless, if set and true, makes the need met at once.
	unless func(*T) bool
	// after are the words that must be met first, and then those that must be met last.
	after, then []string
	// met tests the need itself; nil if after and then are enough.
	met func(*T) *lack
}

// lack is the reason why a need is not met.
type lack struct {
	why string
	// undecided: the user supplied it, and it does not work.
	undecided bool
	// kind is the kind of what is missing, if it is not that of the word.
	kind string
}

func missing(format string, args ...any) *lack { return &lack{why: fmt.Sprintf(format, args...)} }

func unusable(format string, args ...any) *lack {
	return &lack{why: fmt.Sprintf(format, args...), undecided: true}
}

// withheld returns the lack of a permission.
func withheld(format string, args ...any) *lack {
	return &lack{why: fmt.Sprintf(format, args...), kind: requirements.Permission}
}

// has returns the test of a condition.
func has(condition func(*T) bool, why string) func(*T) *lack {
	return func(t *T) *lack {
		if condition(t) {
			return nil
		}
		return &lack{why: why}
	}
}

// unlessFailed is has for a condition that exchanges of the survey show. A failed exchange does not show an absence.
func unlessFailed(condition func(*T) bool, why string, shown func(*T) []*reports.Exchange) func(*T) *lack {
	return func(t *T) *lack {
		if condition(t) {
			return nil
		}
		if failed := t.anyShowsNothing(shown(t)); failed != nil {
			return &lack{why: why + ", or so it seems: a request of the survey failed (" + expect.Describe(failed) + ")", undecided: true}
		}
		return &lack{why: why}
	}
}

// needs are the tests for all words.
var needs = func() map[string]need {
	all := map[string]need{}
	for _, side := range []map[string]need{needsOfTheTarget, needsOfTheServer, needsOfTheUser, needsOfTheTester} {
		for word, n := range side {
			if _, twice := all[word]; twice {
				panic("the need " + word + " is in two tables")
			}
			all[word] = n
		}
	}
	return all
}()

// tryAll tests the needs of a requirement in the catalogue, before the check runs.
func (t *T) tryAll(r *requirements.Requirement) *stop {
	if s := t.only(r); s != nil {
		return s
	}
	words := r.Needs
	if r.Intrusive {
		words = append([]string{"intrusive"}, words...) // first, because nothing else is tried without permission
	}
	for _, word := range words {
		if s := t.try(word); s != nil {
			t.unmet = word
			if !t.folded {
				t.missing = needs[word].give
			}
			return s
		}
	}
	return nil
}

// try tests one word. The verdict of an unmet need follows from its kind.
func (t *T) try(word string) *stop {
	n := needs[word]
	if n.unless != nil && n.unless(t) {
		return nil
	}
	for _, other := range n.after {
		if s := t.try(other); s != nil {
			return s
		}
	}
	if n.met != nil {
		if l := n.met(t); l != nil {
			return t.lacking(word, l)
		}
	}
	for _, other := range n.then {
		if s := t.try(other); s != nil {
			return s
		}
	}
	return nil
}

// lacking ends a check with an unmet word.
func (t *T) lacking(word string, l *lack) *stop {
	if features, absent := t.declaredAbsent(word); features != "" && !l.undecided {
		t.declared = features
		return &stop{verdict: reports.NotApplicable, reason: "the server does not have " + absent + ", as its owner declares"}
	}
	return &stop{verdict: verdictOf(word, l), reason: l.why}
}

func verdictOf(word string, l *lack) reports.Verdict {
	if l.undecided {
		return reports.Inconclusive
	}
	n, _ := requirements.LookupNeed(word)
	if cmp.Or(l.kind, n.Kind) == requirements.Feature {
		return reports.NotApplicable
	}
	return reports.NotTested
}

// vetNeeds compares the tables with the vocabulary: every word has a meaning, a kind and a need, and is used.
func vetNeeds() {
	used := map[string]bool{"intrusive": true}
	for _, r := range requirements.All() {
		for _, word := range r.Needs {
			used[word] = true
		}
	}
	for _, n := range needs {
		for _, word := range slices.Concat(n.after, n.then) {
			used[word] = true
		}
	}
	for _, word := range requirements.Needs() {
		if _, ok := needs[word.Name]; !ok {
			mistake("vocabulary.yaml: no table of needs says how %q is tried", word.Name)
		}
		if !used[word.Name] {
			mistake("vocabulary.yaml: nothing needs %q", word.Name)
		}
	}
	for word := range needs {
		if _, ok := requirements.LookupNeed(word); !ok {
			mistake("needs: %q is not in vocabulary.yaml", word)
		}
	}
}
