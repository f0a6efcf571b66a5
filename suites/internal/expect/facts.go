package expect

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"
	"unsafe"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
)

// Facts are the serialized input of a judge, so that it can judge again: texts, numbers, lists and structs of them, with exchanges by
// number. They omit what cannot be serialized (a function, a connection) and what must not be (a key, a cookie jar): a judge that needs it
// does not reach the same judgement, and is attested.

// codec serializes a type in a special way.
type codec struct {
	write func(w *factWriter, v any) (any, bool)
	read  func(r *factReader, facts any) (any, error)
}

// mostFacts bounds the facts of one judgement, in bytes, and deepestFact their depth.
const (
	mostFacts   = 64 << 10
	deepestFact = 16
)

func init() { // calls refer to the table that contains them
	codecs[reflect.TypeFor[Value]()] = codec{
		func(_ *factWriter, v any) (any, bool) { return writeCall(v.(Value).call) },
		func(r *factReader, f any) (any, error) { return readCall(f, values, r.exchange) },
	}
	codecs[reflect.TypeFor[Matcher]()] = codec{
		func(w *factWriter, v any) (any, bool) {
			if r, is := v.(*remembered); is {
				w.exchanges = append(w.exchanges, r.exchanges...)
			}
			return writeCall(CallOf(v))
		},
		func(r *factReader, f any) (any, error) { return readCall(f, matchers, r.exchange) },
	}
}

func writeCall(c *reports.Call) (any, bool) { return reports.TextOf(c), c != nil }

func readCall(facts any, table map[string]any, find Lookup) (any, error) {
	text, _ := facts.(string)
	var c reports.Call
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return nil, errFacts
	}
	return again(&c, table, find)
}

var codecs = map[reflect.Type]codec{
	reflect.TypeFor[*document.Object](): {
		func(_ *factWriter, v any) (any, bool) { return v.(*document.Object).JSON(), true },
		func(_ *factReader, f any) (any, error) {
			text, _ := f.(string)
			o, _, err := document.ParseObject(text)
			return o, err
		},
	},
	reflect.TypeFor[*url.URL](): {
		func(_ *factWriter, v any) (any, bool) { return v.(*url.URL).String(), true },
		func(_ *factReader, f any) (any, error) { text, _ := f.(string); return url.Parse(text) },
	},
	reflect.TypeFor[time.Time](): {
		func(_ *factWriter, v any) (any, bool) { return v.(time.Time).Format(time.RFC3339Nano), true },
		func(_ *factReader, f any) (any, error) {
			text, _ := f.(string)
			return time.Parse(time.RFC3339Nano, text)
		},
	},
}

// Codec lets facts have a type of which only a part is serialized.
func Codec[V, F any](write func(v V) F, read func(facts F) V) {
	codecs[reflect.TypeFor[V]()] = codec{
		func(w *factWriter, v any) (any, bool) { return w.write(reflect.ValueOf(write(v.(V))), 1) },
		func(r *factReader, f any) (any, error) {
			facts, err := r.read(f, reflect.TypeFor[F](), 1)
			if err != nil {
				return nil, err
			}
			return read(facts.Interface().(F)), nil
		},
	}
}

// plainTypes are the structs outside of the packages of checks that have only facts. Others have keys, cookies, connections, or state that
// changes during a run: a field with one of them is omitted.
var plainTypes = []string{"check.Grant", "login.Outcome", "login.Hop", "login.Page", "login.Form", "login.Input", "login.Link",
	"oauth.Tokens", "oauth.Client", "oauth.PKCE", "survey.Document", "survey.Server", "document.Member",
	"reports.Field", "listener.Request", "expect.JWT"}

// isPlain reports whether a struct may be serialized.
func isPlain(t reflect.Type) bool {
	const root = "/conformance/suites/"
	_, inside, ours := strings.Cut(t.PkgPath(), root)
	if t.PkgPath() != "" && (!ours || strings.HasPrefix(inside, "internal/")) {
		return slices.Contains(plainTypes, t.String())
	}
	return true
}

var (
	exchangeType = reflect.TypeFor[*reports.Exchange]()
	errorType    = reflect.TypeFor[error]()
)

// factsOf serializes a value, with its exchanges; ok is false if that is not possible.
func factsOf(actual reflect.Value) (text string, exchanges []*reports.Exchange, ok bool) {
	w := &factWriter{}
	facts, ok := w.write(actual, 0)
	if !ok {
		return "", nil, false
	}
	b, err := json.Marshal(facts)
	return string(b), w.exchanges, err == nil && len(b) <= mostFacts
}

type factWriter struct{ exchanges []*reports.Exchange }

func (w *factWriter) write(v reflect.Value, depth int) (any, bool) {
	if depth > deepestFact || !v.IsValid() {
		return nil, false
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface, reflect.Slice, reflect.Map:
		if v.IsNil() {
			return nil, true
		}
	}
	switch c, own := codecs[v.Type()]; {
	case own:
		return c.write(w, v.Interface())
	case v.Type() == exchangeType:
		ex := v.Interface().(*reports.Exchange)
		w.exchanges = append(w.exchanges, ex)
		return ex.Number, true
	case v.Kind() == reflect.Struct && !isPlain(v.Type()):
		return nil, false
	}
	return w.writeKind(v, depth)
}

func (w *factWriter) writeKind(v reflect.Value, depth int) (any, bool) {
	switch v.Kind() {
	case reflect.Bool, reflect.String, reflect.Float32, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return v.Interface(), true
	case reflect.Pointer:
		return w.write(v.Elem(), depth+1)
	case reflect.Interface:
		return w.dynamic(v, depth)
	case reflect.Slice, reflect.Array:
		return w.list(v, depth)
	case reflect.Map:
		return w.entries(v, depth)
	case reflect.Struct:
		return w.fields(v, depth), true
	}
	return nil, false
}

// dynamic serializes a value without a fixed type: an error, or a JSON value.
func (w *factWriter) dynamic(v reflect.Value, depth int) (any, bool) {
	if err, is := v.Interface().(error); is && v.Type() == errorType {
		return err.Error(), true
	}
	kind := ""
	for name, t := range dynamicTypes {
		if v.Elem().Type() == t {
			kind = name
		}
	}
	facts, ok := w.write(v.Elem(), depth+1)
	return map[string]any{kind: facts}, ok && kind != ""
}

var dynamicTypes = map[string]reflect.Type{
	"text": reflect.TypeFor[string](), "bool": reflect.TypeFor[bool](), "int": reflect.TypeFor[int](), "float": reflect.TypeFor[float64](),
	"number": reflect.TypeFor[json.Number](), "list": reflect.TypeFor[[]any](), "texts": reflect.TypeFor[[]string](),
	"object": reflect.TypeFor[*document.Object](), "map": reflect.TypeFor[map[string]any](), "value": reflect.TypeFor[Value](),
}

func (w *factWriter) list(v reflect.Value, depth int) (any, bool) {
	out := []any{}
	for i := range v.Len() {
		facts, ok := w.write(v.Index(i), depth+1)
		if !ok {
			return nil, false
		}
		out = append(out, facts)
	}
	return out, true
}

func (w *factWriter) entries(v reflect.Value, depth int) (any, bool) {
	if v.Type().Key().Kind() != reflect.String {
		return nil, false
	}
	out := map[string]any{}
	for _, key := range v.MapKeys() {
		facts, ok := w.write(v.MapIndex(key), depth+1)
		if !ok {
			return nil, false
		}
		out[key.String()] = facts
	}
	return out, true
}

// fields serializes a struct, without fields that cannot be.
func (w *factWriter) fields(v reflect.Value, depth int) any {
	whole := reflect.New(v.Type()).Elem()
	whole.Set(v)
	out := map[string]any{}
	for i := range v.NumField() {
		if f := open(whole.Field(i)); !f.IsZero() {
			if facts, ok := w.write(f, depth+1); ok {
				out[v.Type().Field(i).Name] = facts
			}
		}
	}
	return out
}

// open makes a struct field accessible even if its name is not exported: judges keep their facts in types of their own package.
func open(f reflect.Value) reflect.Value {
	return reflect.NewAt(f.Type(), unsafe.Pointer(f.UnsafeAddr())).Elem()
}

// MissingError names an exchange that a report lacks.
type MissingError int

func (e MissingError) Error() string { return fmt.Sprintf("the report holds no exchange %d", int(e)) }

var errFacts = errors.New("the recorded facts are not of the kind that is judged")

// fromFacts returns the value that was serialized as facts.
func fromFacts(text string, t reflect.Type, exchange Lookup) (v reflect.Value, err error) {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var facts any
	if err := dec.Decode(&facts); err != nil {
		return v, errFacts
	}
	return (&factReader{exchange}).read(facts, t, 0)
}

type factReader struct{ exchange Lookup }

func (r *factReader) read(facts any, t reflect.Type, depth int) (reflect.Value, error) {
	v := reflect.New(t).Elem()
	if facts == nil {
		return v, nil
	}
	if depth > deepestFact {
		return v, errFacts
	}
	if c, own := codecs[t]; own {
		got, err := c.read(r, facts)
		if err != nil {
			return v, err
		}
		v.Set(reflect.ValueOf(got))
		return v, nil
	}
	switch {
	case t == exchangeType:
		return v, r.readExchange(v, facts)
	case t == errorType:
		text, ok := facts.(string)
		v.Set(reflect.ValueOf(errors.New(text)))
		return v, unlessOK(ok)
	}
	return v, r.fill(v, facts, depth)
}

func unlessOK(ok bool) error {
	if !ok {
		return errFacts
	}
	return nil
}

func (r *factReader) readExchange(v reflect.Value, facts any) error {
	number, _ := facts.(json.Number)
	n, err := number.Int64()
	if err != nil || r.exchange == nil {
		return errFacts
	}
	ex, ok := r.exchange(int(n))
	if !ok {
		return MissingError(n)
	}
	v.Set(reflect.ValueOf(ex))
	return nil
}

// fill sets a value of a kind that facts represent like JSON.
func (r *factReader) fill(v reflect.Value, facts any, depth int) error {
	switch v.Kind() {
	case reflect.Pointer:
		elem, err := r.read(facts, v.Type().Elem(), depth+1)
		if err == nil {
			v.Set(reflect.New(v.Type().Elem()))
			v.Elem().Set(elem)
		}
		return err
	case reflect.Interface:
		return r.fillDynamic(v, facts, depth)
	case reflect.Slice, reflect.Array:
		return r.fillList(v, facts, depth)
	case reflect.Map:
		return r.fillEntries(v, facts, depth)
	case reflect.Struct:
		return r.fillFields(v, facts, depth)
	}
	return fillPlain(v, facts)
}

func fillPlain(v reflect.Value, facts any) error {
	number, _ := facts.(json.Number)
	switch {
	case v.Kind() == reflect.String:
		text, ok := facts.(string)
		if !ok && v.Type() == reflect.TypeFor[json.Number]() {
			text, ok = string(number), number != ""
		}
		v.SetString(text)
		return unlessOK(ok)
	case v.Kind() == reflect.Bool:
		b, ok := facts.(bool)
		v.SetBool(b)
		return unlessOK(ok)
	}
	return fillNumber(v, number)
}

func fillNumber(v reflect.Value, number json.Number) error {
	whole, err := number.Int64()
	switch {
	case v.CanInt():
		v.SetInt(whole)
	case v.CanUint():
		v.SetUint(uint64(whole))
	case v.CanFloat():
		var f float64
		f, err = number.Float64()
		v.SetFloat(f)
	default:
		return errFacts
	}
	return err
}

func (r *factReader) fillDynamic(v reflect.Value, facts any, depth int) error {
	m, ok := facts.(map[string]any)
	if !ok || len(m) != 1 {
		return errFacts
	}
	for kind, inner := range m {
		t, known := dynamicTypes[kind]
		if !known || !t.AssignableTo(v.Type()) {
			return errFacts
		}
		got, err := r.read(inner, t, depth+1)
		if err != nil {
			return err
		}
		v.Set(got)
	}
	return nil
}

func (r *factReader) fillList(v reflect.Value, facts any, depth int) error {
	list, ok := facts.([]any)
	if !ok || v.Kind() == reflect.Array && len(list) != v.Len() {
		return errFacts
	}
	if v.Kind() == reflect.Slice {
		v.Set(reflect.MakeSlice(v.Type(), len(list), len(list)))
	}
	for i, item := range list {
		got, err := r.read(item, v.Type().Elem(), depth+1)
		if err != nil {
			return err
		}
		v.Index(i).Set(got)
	}
	return nil
}

func (r *factReader) fillEntries(v reflect.Value, facts any, depth int) error {
	m, ok := facts.(map[string]any)
	if !ok || v.Type().Key().Kind() != reflect.String {
		return errFacts
	}
	v.Set(reflect.MakeMap(v.Type()))
	for key, item := range m {
		got, err := r.read(item, v.Type().Elem(), depth+1)
		if err != nil {
			return err
		}
		v.SetMapIndex(reflect.ValueOf(key).Convert(v.Type().Key()), got)
	}
	return nil
}

func (r *factReader) fillFields(v reflect.Value, facts any, depth int) error {
	m, ok := facts.(map[string]any)
	if !ok {
		return errFacts
	}
	for i := range v.NumField() {
		item, there := m[v.Type().Field(i).Name]
		if !there {
			continue
		}
		got, err := r.read(item, v.Field(i).Type(), depth+1)
		if err != nil {
			return err
		}
		open(v.Field(i)).Set(got)
	}
	return nil
}
