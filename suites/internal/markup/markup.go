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
	tag := regexp.MustCompile("<[^>&]*" + regexp.QuoteMeta(call)) // no "&": what is escaped inside of a tag is not the text's own tag
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
			switch {
			case inside == "script" && runsAsScript(raw, call), inside == "noscript" && Runs(raw, call):
				return true
			case inside != "script" && inside != "noscript" && tag.MatchString(raw):
				return true
			}
		}
	}
}

// runsAsScript reports whether a script begins with the call, or was ended by the text, which then begins another one.
func runsAsScript(raw, call string) bool {
	return strings.HasPrefix(strings.TrimSpace(raw), call) || strings.HasSuffix(raw, "<script>"+call)
}

// handles reports whether one of the attributes is an event handler that begins with the call. A handler of the page's own may contain it
// in a string.
func handles(attributes []html.Attribute, call string) bool {
	for _, a := range attributes {
		if strings.HasPrefix(a.Key, "on") && strings.HasPrefix(strings.TrimSpace(a.Val), call) {
			return true
		}
	}
	return false
}

// EndsString reports whether a script of a page has a text with the quotation mark of the string around it: the text ends the string there.
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
			if inside == "script" && endsStringIn(string(z.Raw()), text) {
				return true
			}
		}
	}
}

// endsStringIn is EndsString for a script. Outside of a string, the text is code.
func endsStringIn(script, text string) bool {
	for quote := ""; script != ""; {
		if strings.HasPrefix(script, text) && (quote == "" || strings.Contains(text, quote)) {
			return true
		}
		quote, script = lexed(quote, script)
	}
	return false
}

// lexed returns the quotation mark of the string in which a script is after its next character or comment, and the rest of the script.
func lexed(quote, script string) (string, string) {
	next := script[:1]
	switch {
	case quote == "" && strings.HasPrefix(script, "//"):
		_, rest, _ := strings.Cut(script, "\n")
		return "", rest
	case quote == "" && strings.HasPrefix(script, "/*"):
		_, rest, _ := strings.Cut(script, "*/")
		return "", rest
	case quote == "" && strings.Contains("\"'`", next):
		return next, script[1:]
	case quote != "" && next == `\` && len(script) > 1:
		return quote, script[2:]
	case next == quote, next == "\n" && quote != "`":
		return "", script[1:]
	}
	return quote, script[1:]
}
