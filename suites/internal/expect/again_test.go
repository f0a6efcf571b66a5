package expect

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/reports"
)

// Matchers with code of a check cannot be serialized.
var notWrittenDown = []string{"That", "Refusing", "Serving", "Show", "ServedBy", "Advised", "AdvisedOf", "Unless", "ExpireLater", "Again",
	"HaveClaim"} // the last are others by another name

func TestEveryMatcherCanBeMadeAgain(t *testing.T) {
	names, err := filepath.Glob("*.go")
	require.NoError(t, err)
	found := 0
	inspect := func(n ast.Node) bool {
		f, ok := n.(*ast.FuncDecl)
		if !ok || f.Recv != nil || !f.Name.IsExported() || f.Type.Results == nil {
			return true
		}
		if result, ok := f.Type.Results.List[0].Type.(*ast.Ident); ok && result.Name == "Matcher" {
			found++
			if !slices.Contains(notWrittenDown, f.Name.Name) {
				assert.Contains(t, matchers, f.Name.Name)
			}
		}
		return true
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		require.NoError(t, err)
		ast.Inspect(file, inspect)
	}
	assert.GreaterOrEqual(t, found, len(matchers))
}

func TestMatchersMadeAgainJudgeAlike(t *testing.T) {
	ex := &reports.Exchange{Number: 7, Request: reports.Request{Method: "POST"}, Response: &reports.Response{Status: 401,
		Header: []reports.Field{
			{Name: "WWW-Authenticate", Value: `Bearer error="invalid_token"`}, {Name: "Cache-Control", Value: "No-Store, private"},
		}, Body: `{"error":"invalid_grant","expires_in":60,"exp":5}`}}
	for name, m := range map[string]Matcher{
		"numbers":            Refuse(401, 403),
		"one and more":       RefusePreferably(403, 401),
		"a text":             HaveChallenge("error"),
		"a text and more":    BeRefused(401, "invalid_request"),
		"a value":            HaveMember("expires_in", ANumber),
		"a value of texts":   HaveMember("error", OneOf("invalid_grant", "invalid_client")),
		"a part":             HaveHeader("Cache-Control", Holding("no-store")),
		"a plain number":     HaveMember("expires_in", 60),
		"another number":     HaveMember("expires_in", 61),
		"two matchers":       Either(HaveStatus(200), BeRefused(401)),
		"a time":             ExpireAfter(6),
		"a flag":             BeServedOrUnknown(true),
		"no arguments":       NotBypass(),
		"none of many":       NameError(),
		"that warns":         BeRefused(401, "insufficient_scope"),
		"of a token request": RefuseGrant("invalid_grant"),
	} {
		t.Run(name, func(t *testing.T) {
			call := CallOf(m)
			require.NotNil(t, call)
			text, err := json.Marshal(call)
			require.NoError(t, err)
			var read reports.Call
			require.NoError(t, json.Unmarshal(text, &read))
			again, err := Again(&read, nil)
			require.NoError(t, err)
			assert.Equal(t, m.Kind(), again.Kind())
			assert.Equal(t, m.Judge(ex), again.Judge(ex))
		})
	}
	for name, call := range map[string]reports.Call{
		"unknown": {Name: "Nope"}, "too few arguments": {Name: "HaveHeader"}, "too many": {Name: "Accept",
			Arguments: []reports.Value{{Null: true}}},
		"of another type": {Name: "Refuse", Arguments: []reports.Value{{List: &[]string{"x"}}}},
	} {
		_, err := Again(&call, nil)
		assert.Error(t, err, name)
	}
}

func TestWhatIsHiddenInCodeHasNoName(t *testing.T) {
	assert.Nil(t, CallOf(That("x", func(string) string { return "" })))
	assert.Nil(t, CallOf(HaveMember("x", ValueThat("y", func(any) bool { return true }))))
	assert.Nil(t, CallOf(Either(That("x", func(string) string { return "" }), Accept())))
}

func TestSubjectsAreRecalled(t *testing.T) {
	find := func(n int) (*reports.Exchange, bool) { return &reports.Exchange{Number: n}, n == 7 }
	for _, v := range []any{"text", 5, true, json.Number("1.5"), []string{"a", "b"}} {
		s, _ := SubjectOf(Accept(), v)
		require.NotNil(t, s)
		text, err := json.Marshal(s)
		require.NoError(t, err)
		var read reports.Subject
		require.NoError(t, json.Unmarshal(text, &read))
		again, err := Recall(Accept(), &read, find)
		require.NoError(t, err)
		assert.Equal(t, v, again)
	}
	sent, _ := SubjectOf(Accept(), &reports.Exchange{Number: 7})
	again, err := Recall(Accept(), sent, find)
	require.NoError(t, err)
	assert.Equal(t, 7, again.(*reports.Exchange).Number)
	_, err = Recall(Accept(), &reports.Subject{Exchange: 8}, find)
	assert.ErrorContains(t, err, "no exchange 8")
	none, _ := SubjectOf(Accept(), struct{}{})
	assert.Nil(t, none)
}
