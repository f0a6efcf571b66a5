package expect

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
)

// measured is a value that a check might judge, with fields of its own package.
type measured struct {
	texts  []string
	counts map[string]int
	at     time.Time
	from   *url.URL
	shows  *reports.Exchange
	all    []*reports.Exchange
	object *document.Object
	err    error
	value  any
	inner  *inner
	pair   [2]bool
	client *http.Client
	lock   *sync.Mutex
	judge  func()
}

type inner struct{ ratio float64 }

func TestFactsComeBackAsTheyWere(t *testing.T) {
	object, _, err := document.ParseObject(`{"b":1,"a":[null,"x"]}`)
	require.NoError(t, err)
	u, err := url.Parse("https://example.com/a?b=c")
	require.NoError(t, err)
	ex, other := &reports.Exchange{Number: 3}, &reports.Exchange{Number: 4}
	v := measured{[]string{"a", "\u00fc\n"}, map[string]int{"x": -1}, time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), u, ex,
		[]*reports.Exchange{other, nil}, object, errors.New("broken"), "text", &inner{0.25}, [2]bool{true, false}, &http.Client{},
		&sync.Mutex{}, func() {}}
	text, exchanges, ok := factsOf(reflect.ValueOf(v))
	require.True(t, ok)
	assert.Equal(t, []*reports.Exchange{ex, other}, exchanges)
	find := func(n int) (*reports.Exchange, bool) {
		return map[int]*reports.Exchange{3: ex, 4: other}[n], n == 3 || n == 4
	}
	again, err := fromFacts(text, reflect.TypeFor[measured](), find)
	require.NoError(t, err)
	v.client, v.lock, v.judge = nil, nil, nil // these are not facts
	got := again.Interface().(measured)
	assert.Equal(t, v, got)

	_, err = fromFacts(text, reflect.TypeFor[measured](), func(int) (*reports.Exchange, bool) { return nil, false })
	assert.ErrorIs(t, err, MissingError(3))
	for _, wrong := range []string{"", "5", `{"texts":5}`, `{"counts":{"x":"y"}}`, `{"shows":"x"}`, `{"pair":[true]}`, `{"value":{"func":1}}`,
		`{"value":{}}`, `{"at":"yesterday"}`, `{"inner":[]}`} {
		_, err := fromFacts(wrong, reflect.TypeFor[measured](), find)
		assert.Error(t, err, wrong)
	}
}

func TestWhatIsNoFactIsNotWrittenDown(t *testing.T) {
	for _, v := range []any{func() {}, make(chan int), http.DefaultClient, &sync.Mutex{}, []any{func() {}}, map[int]string{1: "x"}} {
		_, _, ok := factsOf(reflect.ValueOf(v))
		assert.False(t, ok, "%T", v)
	}
	_, _, ok := factsOf(reflect.ValueOf(make([]string, mostFacts)))
	assert.False(t, ok, "too many facts are accepted")
	type loop struct{ next *loop }
	endless := &loop{}
	endless.next = endless
	_, _, ok = factsOf(reflect.ValueOf(endless))
	assert.True(t, ok, "a cyclic value is refused: the depth has no limit")
}

var beSmall = That("a ratio below one", func(i inner) string {
	if i.ratio < 1 {
		return ""
	}
	return "too large"
})

var beBelow = Family("beBelow", func(most float64, except ...string) Matcher {
	return That("a small ratio", func(i inner) string {
		if i.ratio < most && len(except) == 1 {
			return ""
		}
		return "too large"
	})
})

// A matcher in a package's variable, and a parameterized one, judge the same after they are made again.
func TestMatchersOfChecksAreMadeAgain(t *testing.T) {
	for _, m := range []Matcher{beSmall, beBelow(0.5, "x"), beBelow(0.1, "x"), beBelow(0.5)} {
		call := CallOf(m)
		require.NotNil(t, call)
		assert.Contains(t, call.Name, "expect/facts_test.go: ")
		subject, _ := SubjectOf(m, inner{0.25})
		require.NotNil(t, subject)
		text, err := json.Marshal(reports.BasisStep{Matcher: call, Subject: subject})
		require.NoError(t, err)
		var read reports.BasisStep
		require.NoError(t, json.Unmarshal(text, &read))
		again, err := Again(read.Matcher, nil)
		require.NoError(t, err)
		actual, err := Recall(again, read.Subject, nil)
		require.NoError(t, err)
		assert.Equal(t, m.Judge(inner{0.25}), again.Judge(actual))
	}
	assert.Nil(t, CallOf(That("in a function", func(inner) string { return "" })))
	family := Family[func(f func()) Matcher]
	assert.Nil(t, CallOf(family("of code", func(func()) Matcher { return That("x", func(inner) string { return "" }) })(func() {})))
}

func TestNoTwoMatchersHaveOneName(t *testing.T) {
	assert.Panics(t, func() { register("Refuse", Refuse) })
}

func init() { plainTypes = append(plainTypes, "expect.measured", "expect.inner", "expect.loop") }
