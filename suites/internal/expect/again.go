package expect

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"reflect"
	"runtime"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/oauth"
)

// remembered is a matcher that knows how it was made, so that a report can state it and another program can make it again.
type remembered struct {
	Matcher
	call      *reports.Call
	exchanges []*reports.Exchange // among its arguments
}

// named records a constructor and its arguments. A list is spread. If an argument cannot be serialized, the matcher has no name.
func named(m Matcher, name string, args ...any) Matcher {
	call := &reports.Call{Name: name}
	var exchanges []*reports.Exchange
	for _, a := range args { // of plain types: see Family for others
		if of, is := a.(Matcher); is {
			exchanges = append(exchanges, ComparedWith(of)...)
		}
		if list := reflect.ValueOf(a); list.IsValid() && list.Kind() == reflect.Slice {
			for i := range list.Len() {
				if !remember(call, list.Index(i).Interface()) {
					return m
				}
			}
		} else if !remember(call, a) {
			return m
		}
	}
	return &remembered{m, call, exchanges}
}

func remember(call *reports.Call, arg any) bool {
	v, ok := valueFor(arg)
	if ok {
		call.Arguments = append(call.Arguments, *v)
	}
	return ok
}

// CallOf says how a matcher was made; nil if that cannot be serialized.
func CallOf(m any) *reports.Call {
	switch m := m.(type) {
	case *remembered:
		return m.call
	case *asked:
		return CallOf(m.Matcher)
	}
	return nil
}

// matchers are the constructors by name, and values those of Value.
var matchers, values = map[string]any{}, map[string]any{}

func init() { // Either refers to the table that contains it
	maps.Copy(matchers, map[string]any{
		"Refuse": Refuse, "RefusePreferably": RefusePreferably, "RefuseAnyway": RefuseAnyway, "NotBypass": NotBypass, "Accept": Accept,
		"NotBypassOrLookUp":      NotBypassOrLookUp,
		"RefuseOrNotImplemented": RefuseOrNotImplemented, "HaveStatus": HaveStatus, "HaveMediaType": HaveMediaType, "HaveHeader": HaveHeader,
		"HaveChallenge": HaveChallenge, "HaveChallengeOf": HaveChallengeOf, "BeServed": BeServed, "BeServedOrUnknown": BeServedOrUnknown,
		"BeRefused": BeRefused, "HaveMember": HaveMember, "ForbidFraming": ForbidFraming, "IssueTokens": IssueTokens, "RefuseGrant": RefuseGrant,
		"EndWithoutCode": EndWithoutCode, "EndWithCode": EndWithCode, "Proceed": Proceed, "GiveNoTokens": GiveNoTokens,
		"IssueNothing": IssueNothing,
		"NotRedirect":  NotRedirect, "NameError": NameError, "BeRegistered": BeRegistered, "RefuseRegistration": RefuseRegistration,
		"ConfirmRevocation": ConfirmRevocation, "BeActive": BeActive, "BeInactive": BeInactive, "Run": Run, "NotRun": NotRun,
		"BeForbidden":     BeForbidden,
		"NameInChallenge": NameInChallenge, "HaveChallengeParam": HaveChallengeParam, "HaveChallengeParamOf": HaveChallengeParamOf,
		"BeJWT":           BeJWT,
		"IncludeAudience": IncludeAudience, "HaveAudience": HaveAudience, "HaveType": HaveType, "ExpireAfter": ExpireAfter, "Be": Be,
		"BeUnguessable": BeUnguessable, "Either": Either, "AtMostAdvised": AtMostAdvised, "WithToken": WithToken,
		"AllowPreflight": AllowPreflight,
		"BeReadable":     BeReadable,
	})
	values = map[string]any{
		"NotEmpty": func() Value { return NotEmpty }, "Anything": func() Value { return Anything }, "ANumber": func() Value { return ANumber },
		"OneOf": OneOf, "Holding": Holding,
	}
}

// Family names a constructor of matchers, so that they can be made again: call it during the initialization of a package. The arguments are
// serialized as facts; if one cannot be, the matcher has no name.
func Family[F any](name string, constructor F) F {
	name = initializing(1) + ": " + name
	register(name, constructor)
	f := reflect.ValueOf(constructor)
	return reflect.MakeFunc(f.Type(), func(args []reflect.Value) []reflect.Value {
		call := f.Call
		if f.Type().IsVariadic() {
			call = f.CallSlice
		}
		m := call(args)[0].Interface().(Matcher)
		made := &remembered{Matcher: m, call: &reports.Call{Name: name}}
		for _, a := range args {
			v, exchanges, ok := argument(a)
			if !ok {
				return []reflect.Value{reflect.ValueOf(&m).Elem()}
			}
			made.call.Arguments, made.exchanges = append(made.call.Arguments, v), append(made.exchanges, exchanges...)
		}
		m = made
		return []reflect.Value{reflect.ValueOf(&m).Elem()}
	}).Interface().(F)
}

// argument serializes an argument of a constructor.
func argument(a reflect.Value) (v reports.Value, exchanges []*reports.Exchange, ok bool) {
	text, exchanges, ok := factsOf(a)
	return reports.Value{Facts: &text}, exchanges, ok
}

// declared names a matcher in a variable of a package, by the package and its expectation.
func declared(m Matcher, expected string) Matcher {
	of := initializing(2)
	if of == "" || expected == "" {
		return m // made during a check
	}
	name := of + ": " + expected
	made := &remembered{Matcher: m, call: &reports.Call{Name: name}}
	register(name, func() Matcher { return made })
	return made
}

// initializing returns the file of the package whose initialization is running, or "" if a function calls. skip is the number of callers in
// between.
func initializing(skip int) string {
	pc, _, _, _ := runtime.Caller(skip + 1)
	frame, _ := runtime.CallersFrames([]uintptr{pc}).Next()
	pkg, ok := strings.CutSuffix(frame.Function, ".init")
	if !ok {
		return ""
	}
	return path.Base(pkg) + "/" + path.Base(frame.File)
}

func register(name string, constructor any) {
	if _, twice := matchers[name]; twice {
		panic("two matchers are called " + name + ": a report could not distinguish them")
	}
	matchers[name] = constructor
}

// Lookup finds an exchange of a report.
type Lookup func(number int) (*reports.Exchange, bool)

// Again makes a matcher again from its description in a report.
func Again(c *reports.Call, find Lookup) (m Matcher, err error) {
	out, err := again(c, matchers, find)
	if err != nil {
		return nil, err
	}
	return out.(Matcher), nil
}

func again(c *reports.Call, table map[string]any, find Lookup) (any, error) {
	make, ok := table[c.Name]
	if !ok {
		return nil, fmt.Errorf("this build has no matcher %q", c.Name)
	}
	f := reflect.ValueOf(make)
	t := f.Type()
	if n := len(c.Arguments); n < t.NumIn() && !(t.IsVariadic() && n == t.NumIn()-1) || n > t.NumIn() && !t.IsVariadic() {
		return nil, fmt.Errorf("%s accepts other arguments than %d", c.Name, n)
	}
	if len(c.Arguments) > 0 && c.Arguments[0].Facts != nil {
		return remake(f, c, find)
	}
	var in []reflect.Value
	for i := range c.Arguments {
		want := t.In(min(i, t.NumIn()-1))
		if t.IsVariadic() && i >= t.NumIn()-1 {
			want = want.Elem()
		}
		v, err := plain(&c.Arguments[i], find)
		if err != nil {
			return nil, err
		}
		got := reflect.ValueOf(v)
		if !got.IsValid() || !got.Type().AssignableTo(want) {
			return nil, fmt.Errorf("%s: argument %d is no %s", c.Name, i+1, want)
		}
		in = append(in, got)
	}
	return f.Call(in)[0].Interface(), nil
}

// remake calls a constructor of a Family again.
func remake(f reflect.Value, c *reports.Call, find Lookup) (any, error) {
	if len(c.Arguments) != f.Type().NumIn() {
		return nil, fmt.Errorf("%s accepts other arguments than %d", c.Name, len(c.Arguments))
	}
	var in []reflect.Value
	for i := range c.Arguments {
		if c.Arguments[i].Facts == nil {
			return nil, fmt.Errorf("%s: argument %d is not a fact", c.Name, i+1)
		}
		v, err := fromFacts(*c.Arguments[i].Facts, f.Type().In(i), find)
		if err != nil {
			return nil, err
		}
		in = append(in, v)
	}
	if f.Type().IsVariadic() {
		return f.CallSlice(in)[0].Interface(), nil
	}
	return f.Call(in)[0].Interface(), nil
}

// valueFor serializes a plain value; ok is false for values of other types.
func valueFor(v any) (*reports.Value, bool) {
	out := &reports.Value{}
	switch v := v.(type) {
	case nil:
		out.Null = true
	case string:
		out.Text = &v
	case int:
		n := int64(v)
		out.Integer = &n
	case bool:
		out.Bool = &v
	case float64:
		b, err := json.Marshal(v)
		if err != nil {
			return nil, false
		}
		out.Number = json.Number(b)
	case json.Number:
		out.Number = v
	case []string:
		list := slices.Clone(v)
		out.List = &list
	case *document.Object:
		if v == nil {
			return nil, false
		}
		text := v.JSON()
		out.JSON = &text
	case Value:
		out.Call = v.call
	case Matcher:
		out.Call = CallOf(v)
	default:
		return nil, false
	}
	return out, *out != reports.Value{}
}

// plain reads the output of valueFor.
func plain(v *reports.Value, find Lookup) (any, error) {
	switch {
	case v.Text != nil:
		return *v.Text, nil
	case v.Integer != nil:
		return int(*v.Integer), nil
	case v.Bool != nil:
		return *v.Bool, nil
	case v.Number != "":
		return v.Number, nil
	case v.List != nil:
		return *v.List, nil
	case v.JSON != nil:
		o, _, err := document.ParseObject(*v.JSON)
		return o, err
	case v.Call != nil:
		if _, ok := values[v.Call.Name]; ok {
			return again(v.Call, values, find)
		}
		return again(v.Call, matchers, find)
	}
	return nil, nil
}

// SubjectOf serializes the judged value, with the exchanges from which it comes; nil if that is not possible.
func SubjectOf(m Matcher, actual any) (*reports.Subject, []*reports.Exchange) {
	exchanges := ExchangesOf(actual)
	if r, is := m.(*remembered); is {
		exchanges = append(exchanges, r.exchanges...)
	}
	if t := judgedType(m); t != nil && t == reflect.TypeOf(actual) && t.Kind() != reflect.String && t != exchangeType && t != jwtType {
		text, cited, ok := factsOf(reflect.ValueOf(actual))
		if !ok {
			return nil, exchanges
		}
		return &reports.Subject{Value: &reports.Value{Facts: &text}}, append(exchanges, cited...)
	}
	return subjectOf(actual), exchanges
}

// ComparedWith returns the exchanges among the arguments of a matcher.
func ComparedWith(m Matcher) []*reports.Exchange {
	switch m := m.(type) {
	case *remembered:
		return m.exchanges
	case *asked:
		return ComparedWith(m.Matcher)
	}
	return nil
}

var jwtType = reflect.TypeFor[JWT]()

// judgedType returns the type that a matcher judges, if it is a separate one; nil for values from an exchange.
func judgedType(m Matcher) reflect.Type {
	switch m := m.(type) {
	case *remembered:
		return judgedType(m.Matcher)
	case *matcher:
		return m.of
	}
	return nil
}

func subjectOf(actual any) *reports.Subject {
	switch v := actual.(type) {
	case nil:
		return nil
	case *reports.Exchange:
		return &reports.Subject{Exchange: number(v)}
	case *oauth.Tokens:
		return &reports.Subject{Exchange: number(ExchangeOf(v))}
	case JWT:
		s := &reports.Subject{Exchange: number(v.From), JWT: &reports.Token{Name: v.Client}}
		if v.Header != nil && v.Claims != nil {
			s.JWT.Header, s.JWT.Claims = v.Header.JSON(), v.Claims.JSON()
		}
		return s
	case Ending:
		return &reports.Subject{Exchange: number(tokenResponse(v)), Ending: endingOf(v)}
	case Evidence: // values from an exchange, at which matchers look
		return &reports.Subject{Exchange: number(v.Evidence())}
	}
	if v, ok := valueFor(actual); ok && v.Call == nil {
		return &reports.Subject{Value: v}
	}
	return nil
}

// ExchangesOf returns the exchanges from which a value comes.
func ExchangesOf(actual any) []*reports.Exchange {
	all := []*reports.Exchange{ExchangeOf(actual)}
	if e, ok := actual.(Ending); ok {
		all = append(all, tokenResponse(e))
	}
	return slices.DeleteFunc(all, func(ex *reports.Exchange) bool { return ex == nil })
}

// Held returns the exchanges that a value holds, however deep.
func Held(actual any) []*reports.Exchange {
	w := &factWriter{}
	w.write(reflect.ValueOf(actual), 0)
	return w.exchanges
}

func number(ex *reports.Exchange) int {
	if ex == nil {
		return 0
	}
	return ex.Number
}

func endingOf(g Ending) *reports.Ending {
	e := &reports.Ending{
		Exchange: number(g.Evidence()), Code: g.Code() != "", Error: g.Error(), IssuesToken: g.IssuesToken(), AsksUser: g.AsksUser(),
		Describe: g.Describe(),
	}
	_, e.Flow = g.(Flow)
	e.Undecided, e.LoginHelps = g.Undecided()
	if r, ok := g.(Redirecting); ok {
		e.Redirected = r.Redirected()
	}
	return e
}

// Recall returns the judged value of a matcher from its description in a report.
func Recall(m Matcher, s *reports.Subject, exchange Lookup) (any, error) {
	ex, err := exchange.mustFind(s.Exchange)
	switch {
	case err != nil:
		return nil, err
	case s.Value != nil && s.Value.Facts != nil:
		t := judgedType(m)
		if t == nil {
			return nil, errFacts
		}
		v, err := fromFacts(*s.Value.Facts, t, exchange)
		if err != nil {
			return nil, err
		}
		return v.Interface(), nil
	case s.Value != nil:
		return plain(s.Value, exchange)
	case s.JWT != nil:
		j := JWT{From: ex, Client: s.JWT.Name}
		j.Header, _, _ = document.ParseObject(s.JWT.Header) // nil if there was none
		j.Claims, _, _ = document.ParseObject(s.JWT.Claims)
		return j, nil
	case s.Ending != nil:
		return recallEnding(s.Ending, ex, exchange)
	}
	return ex, nil
}

// mustFind returns an exchange that a report names; nil if it names none.
func (l Lookup) mustFind(number int) (*reports.Exchange, error) {
	if number == 0 {
		return nil, nil
	}
	ex, ok := l(number)
	if !ok {
		return nil, MissingError(number)
	}
	return ex, nil
}

func recallEnding(is *reports.Ending, ex *reports.Exchange, exchange Lookup) (any, error) {
	shows, err := exchange.mustFind(is.Exchange)
	if err != nil {
		return nil, err
	}
	e := &recalled{*is, shows}
	if why := e.contradicts(); why != "" {
		return nil, errors.New(why)
	}
	if is.Flow {
		return &recalledFlow{e, ex}, nil
	}
	return e, nil
}

// recalled is the end of an authorization request from a report.
type recalled struct {
	is    reports.Ending
	shows *reports.Exchange
}

func (r *recalled) Evidence() *reports.Exchange { return r.shows }
func (r *recalled) Error() string               { return r.is.Error }
func (r *recalled) Describe() string            { return r.is.Describe }
func (r *recalled) IssuesToken() bool           { return r.is.IssuesToken }
func (r *recalled) AsksUser() bool              { return r.is.AsksUser }
func (r *recalled) Undecided() (string, bool)   { return r.is.Undecided, r.is.LoginHelps }
func (r *recalled) Redirected() string          { return r.is.Redirected }

// Code returns a placeholder: a report does not contain the code.
func (r *recalled) Code() string {
	if r.is.Code {
		return "‹code›"
	}
	return ""
}

// contradicts says how the redirect differs from the recorded end; empty if it does not.
func (r *recalled) contradicts() string {
	to := Header(r.shows, "Location")
	_, answer, found := strings.Cut(to, "?")
	if !found {
		_, answer, _ = strings.Cut(to, "#")
	}
	has := func(name string) bool {
		return slices.ContainsFunc(strings.FieldsFunc(answer, func(c rune) bool { return c == '&' || c == '#' || c == '?' }),
			func(p string) bool { return strings.HasPrefix(p, name+"=") })
	}
	switch s := Status(r.shows); {
	case s < 300 || s > 399 || !has("state"):
		return ""
	case has("code") && !r.is.Code && r.is.Redirected != "":
		return fmt.Sprintf("exchange %d hands out a code, and the recorded end of the request does not say so", r.shows.Number)
	case r.is.Code && has("error") && !has("code"):
		return fmt.Sprintf("exchange %d hands out an error, and the recorded end of the request says that it was a code", r.shows.Number)
	}
	return ""
}

type recalledFlow struct {
	*recalled
	answer *reports.Exchange
}

func (f *recalledFlow) TokenResponse() *reports.Exchange { return f.answer }
func (f *recalledFlow) Evidence() *reports.Exchange {
	if f.answer != nil {
		return f.answer
	}
	return f.shows
}
