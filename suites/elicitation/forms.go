package elicitation

import (
	"regexp"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// "Servers MUST NOT use form mode elicitation to request sensitive information."
func forms() { Must("RS-ELICIT-NO-SECRETS-IN-FORM", asksForNoSecrets) }

func asksForNoSecrets(t *T) {
	token := t.MCP.FirstToken()
	seen := false
	Each(t, Cases[map[string]any]{
		{"a client with forms and URLs", FormAndURL},
		{"a client with forms only", FormOnly},
	}, func(t *T, capabilities map[string]any) {
		for _, tool := range t.MCP.Eliciting() {
			ex := t.MCP.CallCapably(tool, capabilities, mcp.Bearer(token))
			if why := expect.NoAnswer(ex); why != "" {
				t.Leave(tool.Name, why)
			}
			for _, e := range Elicitations(tool, ex) {
				seen = true
				if e.URL == "" {
					f := form{e.Message, e.Schema.Object("properties")}
					t.Expect(f, tool.Name).SeenIn(ex).To(haveNoSecretField)
					t.Expect(f, tool.Name).SeenIn(ex).Ideally(notSpeakOfSecrets)
				}
			}
		}
	})
	if !seen {
		t.NotApplicable("no declared tool asks the user for anything")
	}
}

// form is the form that a user is asked to fill in.
type form struct {
	message    string
	properties *document.Object
}

// credential matches names of secrets; token alone may be an ordinary word of the domain.
var (
	credential = regexp.MustCompile(`(?i)pass(?:word|phrase|code)|api[ _-]?key|` +
		`(?:access|refresh|bearer|auth\w*|session|api|bot|personal|git\w+|slack|oauth)[ _-]?tokens?\b|` +
		`client[ _-]?secret|\bsecret\b|private[ _-]?key|card[ _-]?number|\bCVV2?\b|(?-i:\bPIN\b)`)
	mayBe = regexp.MustCompile(`(?i)\btoken\b`)

	sentenceEnd = regexp.MustCompile(`[.!?;\n]+`)
	negation    = regexp.MustCompile(`(?i)\b(?:never|not|don't|no|without)\b`)
)

var haveNoSecretField = expect.That("no credential in a form", func(f form) string {
	named := true // every field has a specific name, which is not that of a secret
	for _, name := range f.free() {
		if said := credential.FindString(f.describe(name)); said != "" {
			return "the form asks for " + strings.ToLower(said)
		}
		named = named && !slices.Contains(anything, strings.ToLower(name))
	}
	if said := credential.FindString(asserted(f.message)); said != "" && !named {
		return "the form asks for " + strings.ToLower(said)
	}
	return ""
})

var notSpeakOfSecrets = expect.That("no mention of a credential in a form", func(f form) string {
	for _, name := range f.free() {
		if mayBe.MatchString(f.describe(name)) {
			return "the field " + name + " mentions a token"
		}
	}
	if said := credential.FindString(asserted(f.message)); said != "" && len(f.free()) > 0 {
		return "its message mentions " + strings.ToLower(said)
	}
	return ""
})

// anything are names of fields without a fixed meaning: then the message says what the user is to enter.
var anything = []string{"answer", "content", "data", "field", "input", "response", "result", "text", "value"}

// free are the fields into which a user types text. A secret is neither a yes or no, nor one of a list.
func (f form) free() (out []string) {
	for _, name := range f.properties.Names() {
		p := f.properties.Object(name)
		_, listed := p.Get("enum")
		_, titled := p.Get("oneOf")
		if kind := p.String("type"); !listed && !titled && kind != "boolean" && kind != "array" {
			out = append(out, name)
		}
	}
	return out
}

// describe is the whole description of a field.
func (f form) describe(name string) string {
	p := f.properties.Object(name)
	return strings.Join([]string{strings.ReplaceAll(name, "_", " "), p.String("title"), asserted(p.String("description"))}, "\n")
}

// asserted is a text without the sentences that deny something: "We never ask for your password."
func asserted(text string) string {
	sentences := sentenceEnd.Split(text, -1)
	return strings.Join(slices.DeleteFunc(sentences, negation.MatchString), ". ")
}
