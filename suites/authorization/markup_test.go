package authorization

import (
	"html/template"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestInjectedMarkup(t *testing.T) {
	escaped := template.HTMLEscapeString(payload)
	for name, c := range map[string]struct {
		source string
		found  bool
	}{
		"text":                             {"<p>" + payload + "</p>", true},
		"text, escaped":                    {"<p>" + escaped + "</p>", false},
		"a title":                          {"<title>" + payload + "</title>", true},
		"a title, escaped":                 {"<title>" + escaped + "</title>", false},
		"a comment":                        {"<!-- " + payload + " -->", true},
		"an attribute":                     {`<input value="` + payload + `">`, true},
		"an attribute, escaped":            {`<input value="` + escaped + `">`, false},
		"an attribute, its quotes escaped": {`<input value="` + strings.ReplaceAll(payload, `"`, "&quot;") + `">`, false},
		"an attribute, only < escaped":     {`<input value="` + strings.NewReplacer("<", "&lt;", ">", "&gt;").Replace(payload) + `">`, true},
		"an attribute in single quotes":    {`<input value='` + strings.ReplaceAll(escaped, "&#39;", "'") + `'>`, true},
		"a script":                         {`<script>var hint = "` + payload + `";</script>`, true},
		"JSON in a script":                 {`<script>var hint = "` + strings.ReplaceAll(payload, `"`, `\"`) + `";</script>`, false},
		"a link":                           {`<a href="` + script + `">back</a>`, true},
		"a link in text":                   {"<p>" + script + "</p>", false},
		"a link, as the value of a field":  {`<input name="redirect_uri" value="` + script + `">`, false},
	} {
		assert.Equal(t, c.found, injected(c.source) != "", name)
	}
}
