// Package markup finds what a text of a stranger has become in a page.
package markup

import (
	"regexp"
	"strings"

	"golang.org/x/net/html"
)

// Runs reports whether a browser runs a text that a page shows: as the handler of an event, as a script, or after the element that it ends.
// call is the script in the text, such as alert(1). The value of an attribute and a string in a script may contain "<" as it is.
func Runs(source, call string) bool {
	tag := regexp.MustCompile("<[^>]*" + regexp.QuoteMeta(call))
	inside := ""
	for z := html.NewTokenizer(strings.NewReader(source)); ; {
		switch z.Next() {
		case html.ErrorToken:
			return false
		case html.StartTagToken, html.SelfClosingTagToken:
			token := z.Token()
			if inside = token.Data; handles(token.Attr, call) {
				return true
			}
		case html.EndTagToken:
			inside = ""
		case html.TextToken, html.CommentToken:
			raw := string(z.Raw())
			script := strings.HasPrefix(strings.TrimSpace(raw), call) || strings.Contains(raw, "<script>"+call)
			if inside == "script" && script || inside != "script" && tag.MatchString(raw) {
				return true
			}
		}
	}
}

// handles reports whether one of the attributes is an event handler with the call.
func handles(attributes []html.Attribute, call string) bool {
	for _, a := range attributes {
		if strings.HasPrefix(a.Key, "on") && strings.Contains(a.Val, call) {
			return true
		}
	}
	return false
}

// EndsString reports whether a script of a page has a text with its quotation mark as it is: the text ends a string there.
func EndsString(source, text string) bool {
	inside := ""
	for z := html.NewTokenizer(strings.NewReader(source)); ; {
		switch z.Next() {
		case html.ErrorToken:
			return false
		case html.StartTagToken:
			name, _ := z.TagName()
			inside = string(name)
		case html.EndTagToken:
			inside = ""
		case html.TextToken:
			if inside == "script" && strings.Contains(string(z.Raw()), text) {
				return true
			}
		}
	}
}
