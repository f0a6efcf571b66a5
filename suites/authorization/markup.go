package authorization

import (
	"strings"

	"golang.org/x/net/html"
)

// injected says how the payload became part of a page; empty if it is text. A page may contain an unescaped "<" in the value of an
// attribute, and JSON in a script.
func injected(source string) string {
	inside := ""
	for z := html.NewTokenizer(strings.NewReader(source)); ; {
		switch z.Next() {
		case html.ErrorToken:
			return ""
		case html.StartTagToken, html.SelfClosingTagToken:
			token := z.Token()
			if inside = token.Data; injectedAttribute(token.Attr) {
				return "the page contains the text as markup"
			}
		case html.EndTagToken:
			inside = ""
		case html.TextToken, html.CommentToken:
			if raw := string(z.Raw()); breaksOut(inside, raw) {
				return "the page contains the text as markup"
			}
		}
	}
}

// addresses are attributes that contain a URL.
var addresses = map[string]bool{"href": true, "action": true, "src": true, "formaction": true}

func injectedAttribute(attributes []html.Attribute) bool {
	for _, a := range attributes {
		scripted := a.Key == "onload" && strings.HasPrefix(a.Val, "alert(1)")
		linked := addresses[a.Key] && strings.HasPrefix(strings.ToLower(strings.TrimSpace(a.Val)), script)
		if scripted || linked || strings.Contains(a.Key, "{{7*7}}") {
			return true
		}
	}
	return false
}

// breaksOut looks at the source of a script: the payload's quotation mark must not end a string.
func breaksOut(inside, raw string) bool {
	if inside == "script" {
		return strings.Contains(raw, `"mcpauth">`)
	}
	return strings.Contains(raw, "<svg/onload=alert(1)>")
}
