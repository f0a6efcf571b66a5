package reports

import (
	"encoding/base64"
	"encoding/json"
	"html"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// secretFields are the names of form fields, JSON members and header fields whose values are secrets.
var secretFields = []string{
	"password", "passwd", "pwd", "pass", "pin", "passcode", "otp", "totp", "client_secret", "secret", "code", "token", "access_token",
	"refresh_token",
	"code_verifier", "device_code", "api_key", "apikey", "authorization", "proxy-authorization", "x-api-key",
}

// places finds secrets that are too short to be searched everywhere: where a field has such a name, and the secret is its whole value.
type places struct {
	placeholders        map[string]string // value -> placeholder
	values              []string
	fields              []string
	form, member, input *regexp.Regexp
}

// places returns the places of the short secrets that are known so far; nil if there are none.
func (s *Secrets) places() *places {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.short) == 0 {
		return nil
	}
	p := &places{placeholders: maps.Clone(s.short), fields: slices.Clone(secretFields)}
	for v := range s.short {
		p.values = append(p.values, v)
	}
	for name := range s.fields {
		p.fields = append(p.fields, strings.ToLower(name))
	}
	slices.Sort(p.fields)
	p.fields = slices.Compact(p.fields)
	quoted := make([]string, len(p.fields))
	for i, name := range p.fields {
		quoted[i] = regexp.QuoteMeta(name)
	}
	names := "(?:" + strings.Join(quoted, "|") + ")"
	p.form = regexp.MustCompile(`(?i)((?:^|[?&\s"'#;])` + names + `=)([^&\s"'<>;#]*)`)
	p.member = regexp.MustCompile(`(?i)(\\*"` + names + `\\*"\s*:\s*\\*")((?:[^"\\]|\\[^"])*?)(\\*")`)
	p.input = regexp.MustCompile(`(?i)<input\b[^<>]*>`)
	return p
}

// kind returns the placeholder of a short secret; empty for another value.
func (p *places) kind(value string) string { return p.placeholders[value] }

// text removes short secrets from fields of forms and URLs, from members of JSON, and from filled-in fields of a page.
func (p *places) text(s string) string {
	if p == nil {
		return s
	}
	if p.mayHold(s, "=", "%+") {
		s = p.forms(s)
	}
	if p.mayHold(s, `"`, `\`) {
		s = p.members(s)
	}
	if p.mayHold(s, "<", "&") {
		s = p.inputs(s)
	}
	return s
}

// mayHold reports whether a text may contain a short secret in a notation: it has the mark of the notation, and a plain secret or an
// escape.
func (p *places) mayHold(s, mark, escapes string) bool {
	return strings.Contains(s, mark) && (strings.ContainsAny(s, escapes) || containsAny(s, p.values...))
}

func (p *places) forms(s string) string {
	return p.each(s, p.form, func(v string) string {
		plain, err := url.QueryUnescape(v)
		if err != nil {
			return v
		}
		return plain
	})
}

func (p *places) members(s string) string {
	return p.each(s, p.member, func(v string) string {
		var plain string
		if json.Unmarshal([]byte(`"`+v+`"`), &plain) != nil {
			return v
		}
		return plain
	})
}

func (p *places) inputs(s string) string {
	return p.input.ReplaceAllStringFunc(s, func(tag string) string {
		name := attribute("name").FindStringSubmatch(tag)
		value := attribute("value").FindStringSubmatchIndex(tag)
		if name == nil || value == nil || !slices.Contains(p.fields, strings.ToLower(strings.Trim(name[1], `"'`))) {
			return tag
		}
		from, to := value[2], value[3]
		text := strings.Trim(tag[from:to], `"'`)
		if kind := p.kind(html.UnescapeString(text)); kind != "" {
			return tag[:from] + strings.Replace(tag[from:to], text, kind, 1) + tag[to:]
		}
		return tag
	})
}

var attributes = map[string]*regexp.Regexp{
	"name":  regexp.MustCompile(`(?i)\sname\s*=\s*("[^"]*"|'[^']*'|[^\s"'>]+)`),
	"value": regexp.MustCompile(`(?i)\svalue\s*=\s*("[^"]*"|'[^']*'|[^\s"'>]+)`),
}

func attribute(name string) *regexp.Regexp { return attributes[name] }

// each replaces the values of fields that are short secrets.
func (p *places) each(s string, field *regexp.Regexp, plain func(string) string) string {
	var b strings.Builder
	at := 0
	for _, m := range field.FindAllStringSubmatchIndex(s, -1) {
		if kind := p.kind(plain(s[m[4]:m[5]])); kind != "" {
			b.WriteString(s[at:m[4]] + kind)
			at = m[5]
		}
	}
	return b.String() + s[at:]
}

// header returns the value of a header field without a short secret: the whole value, or the part after a scheme.
func (p *places) header(name, value string) string {
	if p == nil || !slices.Contains(p.fields, strings.ToLower(name)) {
		return value
	}
	scheme, credential, ok := strings.Cut(value, " ")
	if !ok {
		scheme, credential = "", value
	}
	kind := p.kind(credential)
	if basic, err := base64.StdEncoding.DecodeString(credential); kind == "" && err == nil && strings.EqualFold(scheme, "Basic") {
		_, secret, _ := strings.Cut(string(basic), ":")
		if plain, err := url.QueryUnescape(secret); err == nil && p.kind(secret) == "" {
			secret = plain
		}
		kind = p.kind(secret)
	}
	switch {
	case kind == "":
		return value
	case scheme == "":
		return kind
	}
	return scheme + " " + kind
}
