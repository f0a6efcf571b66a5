package reports

import (
	"encoding/base64"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

// Token is the content of a JWT, without its signature. Exchanges contain its Name instead.
type Token struct {
	Name   string `json:"name"`
	Header string `json:"header"` // JSON
	Claims string `json:"claims"` // JSON
}

// jwt decodes a compact JWS.
func jwt(name, value string) (Token, bool) {
	parts := strings.Split(value, ".")
	if len(parts) != 3 {
		return Token{}, false
	}
	header, ok1 := jsonObject(parts[0])
	claims, ok2 := jsonObject(parts[1])
	return Token{name, header, claims}, ok1 && ok2
}

func jsonObject(segment string) (string, bool) {
	b, err := base64.RawURLEncoding.DecodeString(segment)
	if err != nil || !json.Valid(b) || len(b) == 0 || b[0] != '{' {
		return "", false
	}
	return string(b), true
}

// tokens returns the JWTs among the secrets in exchanges on which a finding or a basis rests.
func (s *Secrets) tokens(run *Run, text func(string) string) []Token {
	s.mu.Lock()
	var all []Token
	for value, name := range s.values {
		if t, ok := jwt(name, value); ok {
			all = append(all, t)
		}
	}
	s.mu.Unlock()
	named := run.placeholders()
	all = slices.DeleteFunc(all, func(t Token) bool { return !named[t.Name] })
	for i := range all {
		all[i].Header, all[i].Claims = text(all[i].Header), text(all[i].Claims)
	}
	slices.SortFunc(all, func(a, b Token) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// standsForSecret matches placeholders.
var standsForSecret = regexp.MustCompile(`‹[^‹›\n]{1,80}›`)

// placeholders returns the placeholders in exchanges on which a finding or a basis rests.
func (r *Run) placeholders() map[string]bool {
	wanted := r.restedOn()
	named := map[string]bool{}
	find := func(s string) {
		if strings.Contains(s, "‹") {
			for _, name := range standsForSecret.FindAllString(s, -1) {
				named[name] = true
			}
		}
	}
	for i := range r.Exchanges {
		e := &r.Exchanges[i]
		if !wanted[e.Number] {
			continue
		}
		for _, h := range e.Request.Header {
			find(h.Value)
		}
		find(e.Request.Body)
		if e.Response != nil {
			find(e.Response.Body)
		}
	}
	return named
}

// restedOn returns the numbers of the exchanges on which a finding or a basis rests.
func (r *Run) restedOn() map[int]bool {
	out := map[int]bool{}
	for i := range r.Results {
		for _, f := range r.Results[i].Findings {
			out[f.Exchange] = true
		}
		if r.Results[i].Basis != nil {
			for _, n := range r.Results[i].Evidence {
				out[n] = true
			}
		}
	}
	return out
}

// unsigned matches a JWT without a signature, like minted ones in exchanges.
var unsigned = regexp.MustCompile(`\b(eyJ[A-Za-z0-9_-]*)\.(eyJ[A-Za-z0-9_-]*)\.`)

// TokensOf returns the decoded JWTs of an exchange: those that it contains by name, and those without a signature.
func (r *Run) TokensOf(e *Exchange) []Token {
	var text strings.Builder
	for _, f := range e.Request.Header {
		text.WriteString(f.Value + "\n")
	}
	text.WriteString(e.Request.Body)
	if e.Response != nil {
		text.WriteString("\n" + e.Response.Body)
	}
	found := text.String()
	var out []Token
	for _, t := range r.Tokens {
		if strings.Contains(found, t.Name) {
			out = append(out, t)
		}
	}
	for _, m := range unsigned.FindAllStringSubmatch(found, 4) {
		header, ok1 := jsonObject(m[1])
		claims, ok2 := jsonObject(m[2])
		t := Token{"a token of the request", header, claims}
		if ok1 && ok2 && !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	return out
}
