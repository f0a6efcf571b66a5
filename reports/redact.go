package reports

import (
	"cmp"
	"fmt"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"unicode"
)

// Secrets collects every secret of a run when it is made or received, so that its value can be removed from all output. It is safe for
// concurrent use; the zero value is ready.
type Secrets struct {
	mu     sync.Mutex
	values map[string]string // value -> placeholder
	short  map[string]string // value -> placeholder, of those that are removed only in the places of secrets
	fields map[string]bool   // names of fields whose values are secrets
	kinds  map[string]int
	size   int  // of all, in bytes
	lost   bool // there were more than the limit
}

const (
	// shortestSecret is the minimum length of a value that can be removed everywhere without damage to ordinary text.
	shortestSecret = 6
	// longestSecret is the maximum length of a stored value: longer words are removed from every text.
	longestSecret = 32 << 10
	// mostSecrets bounds the memory of all secrets, in bytes. If a target sends more, everything that looks like a secret is removed.
	mostSecrets = 12 << 20
	// perSecret is the memory overhead of a secret, and longestName the longest secret that is searched in names.
	perSecret, longestName = 128, 256
	// mostParts bounds the parts of a run that are redacted concurrently: the memory of each depends on the lengths of its texts.
	mostParts = 4
	// mostShort bounds the short secrets, and the names of their fields.
	mostShort = 100
)

// ordinaryWord matches query values that texts may contain for another reason: they are removed only if they are the whole value of a
// field.
var ordinaryWord = regexp.MustCompile(`^[A-Za-z_-]{1,15}$`)

// Add registers a secret of a kind such as "access_token", and returns its placeholder in reports. Values shorter than six bytes are
// removed only if they are the whole value of a field: see Field.
func (s *Secrets) Add(kind, value string) string { return s.add(kind, value, "") }

// add is Add with a placeholder; empty: one with the kind and a number.
func (s *Secrets) add(kind, value, placeholder string) string {
	if len(value) < shortestSecret || placeholder != "" && ordinaryWord.MatchString(value) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.short == nil {
			s.short = map[string]string{}
		}
		if value != "" && s.short[value] == "" && len(s.short) < mostShort {
			s.short[value] = cmp.Or(placeholder, "‹"+kind+"›")
		}
		return value
	}
	if i := strings.LastIndexByte(value, '.'); i > 0 && isJWT(value) {
		defer s.Add("signature", value[i+1:]) // the part that makes it valuable
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.values == nil {
		s.values, s.kinds = map[string]string{}, map[string]int{}
	}
	if p, ok := s.values[value]; ok {
		return p
	}
	if len(value) > longestSecret {
		return "‹" + kind + "›"
	}
	cost := len(value) + min(len(value), longestName) + perSecret
	if s.size+cost > mostSecrets {
		s.lost = true
		return "‹" + kind + "›"
	}
	s.size += cost
	s.kinds[kind]++
	p := cmp.Or(placeholder, fmt.Sprintf("‹%s#%d›", kind, s.kinds[kind]))
	s.values[strings.Clone(value)] = p // without the text around it
	return p
}

// Field registers a form field, JSON member or header field whose value is always a secret.
func (s *Secrets) Field(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fields == nil {
		s.fields = map[string]bool{}
	}
	if name != "" && len(s.fields) < mostShort {
		s.fields[name] = true
	}
}

// Remove returns a text without the secrets.
func (s *Secrets) Remove(text string) string { return redaction(s)(text) }

// In reports whether a text contains a secret.
func (s *Secrets) In(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for v := range s.values {
		if strings.Contains(text, v) {
			return true
		}
	}
	return false
}

// finder finds the secrets that are known so far.
func (s *Secrets) finder() *finder {
	s.mu.Lock()
	defer s.mu.Unlock()
	return newFinder(s.values)
}

// anyCase finds them in names of header fields, whose case libraries change.
func (s *Secrets) anyCase() *finder {
	s.mu.Lock()
	defer s.mu.Unlock()
	lower := map[string]string{}
	for v, p := range s.values {
		if v = strings.ToLower(v); len(v) <= longestName && (lower[v] == "" || p < lower[v]) {
			lower[v] = p
		}
	}
	return newFinder(lower)
}

func isJWT(v string) bool { return strings.HasPrefix(v, "eyJ") && strings.Count(v, ".") == 2 }

// Redacted is a run without any registered secret, cookie value or token signature. Report writers accept only this type, and only Redact
// makes it.
type Redacted struct{ run Run }

// Run returns the redacted run. It is shared: do not change it.
func (r Redacted) Run() *Run { return &r.run }

var (
	// members of OAuth JSON answers whose string value is always a secret
	secretMember = regexp.MustCompile(`("(?:access_token|refresh_token|id_token|client_secret|registration_access_token|device_code|` +
		`code_verifier|assertion|client_assertion|password)"\s*:\s*")((?:[^"\\]|\\.)*)(")`)
	// the signature of a JWS in JSON
	jsonSignature = regexp.MustCompile(`("signature\\*"\s*:\s*\\*")([A-Za-z0-9_-]{20,})`)
	// key material of a JWK
	secretKey = regexp.MustCompile(`("(?:d|p|q|dp|dq|qi|k)"\s*:\s*")([A-Za-z0-9_=-]{16,})(")`)
	pemKey    = regexp.MustCompile(`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----`)
)

// Redact removes secrets from a run: the registered ones in every encoding, cookie values, secret members of OAuth answers, private keys,
// and the signature of anything that looks like a JWT.
func Redact(run Run, secrets *Secrets) Redacted {
	text := redaction(secrets)
	out := run
	out.Target.URL = text(run.Target.URL)
	out.Identity = redactIdentity(run.Identity, text)
	out.Unreachable, out.Instead, out.Doubt = text(run.Unreachable), text(run.Instead), text(run.Doubt)
	out.Open, out.Command, out.AuthorizedBy = text(run.Open), text(run.Command), text(run.AuthorizedBy)
	out.Stale, out.NotWorking = redactEach(run.Stale, text), redactEach(run.NotWorking, text)
	out.Discovered = redactEach(run.Discovered, func(f Fact) Fact { return Fact{text(f.Name), text(f.Value)} })
	out.Revisions = redactEach(run.Revisions, func(s RevisionStatus) RevisionStatus {
		s.Why = text(s.Why)
		return s
	})
	out.Results = redactEach(run.Results, func(r Result) Result { return redactResult(r, text) })
	out.Screenshots = redactEach(run.Screenshots, func(s Screenshot) Screenshot { // these pages showed no secret
		s.Title, s.URL = text(s.Title), text(s.URL)
		return s
	})
	out.Exchanges = redactExchanges(run.Exchanges, secrets, text)
	out.Tokens = redactEach(run.Tokens, func(t Token) Token { return Token{t.Name, text(t.Header), text(t.Claims)} })
	out.Tokens = append(out.Tokens, secrets.tokens(&out, text)...)
	return Redacted{out}
}

// redactEach redacts copies.
func redactEach[V any](all []V, redact func(V) V) []V {
	out := make([]V, len(all))
	for i, v := range all {
		out[i] = redact(v)
	}
	return out
}

// redactExchanges is the largest part of the work; exchanges are independent.
func redactExchanges(all []Exchange, secrets *Secrets, text func(string) string) []Exchange {
	names, places := secrets.anyCase(), secrets.places()
	out := make([]Exchange, len(all))
	var together sync.WaitGroup
	parts := min(runtime.GOMAXPROCS(0), mostParts)
	for part := range parts {
		together.Go(func() {
			text := remembering(text)
			fields := headers{text, remembering(names.inName), places}
			for i := part; i < len(all); i += parts {
				out[i] = redactExchange(all[i], text, fields)
			}
		})
	}
	together.Wait()
	return out
}

// remembering redacts equal short texts once: many exchanges have the same header fields.
func remembering(text func(string) string) func(string) string {
	const short, most = 256, 1 << 12
	seen := map[string]string{}
	return func(s string) string {
		if len(s) > short {
			return text(s)
		}
		out, ok := seen[s]
		if !ok {
			if out = text(s); len(seen) < most {
				seen[s] = out
			}
		}
		return out
	}
}

func redaction(secrets *Secrets) func(string) string {
	known, short := secrets.finder(), secrets.places()
	return func(s string) string {
		if s == "" {
			return s
		}
		if len(s) > longestSecret {
			s = replaceWords(s, func(w string) string {
				if len(w) > longestSecret {
					return fmt.Sprintf("‹a word of %d bytes›", len(w))
				}
				return w
			})
		}
		s = short.text(known.replace(s))
		if secrets.lost {
			s = replaceWords(s, func(w string) string {
				if len(w) >= 16 && strings.ContainsAny(w, "0123456789") && strings.ContainsFunc(w, unicode.IsLetter) {
					return "‹removed›"
				}
				return w
			})
		}
		return withoutForms(s)
	}
}

// withoutForms removes secrets that nobody registered, by their form. Each expression is tried only where it can match: most texts hold
// none of these.
func withoutForms(s string) string {
	if strings.Contains(s, "eyJ") {
		s = withoutSignatures(s)
	}
	if containsAny(s, "_token\"", "client_secret", "device_code", "code_verifier", "assertion", "password") {
		s = secretMember.ReplaceAllString(s, "$1‹removed›$3")
	}
	if strings.Contains(s, `"signature`) {
		s = jsonSignature.ReplaceAllString(s, "$1‹signature›")
	}
	if containsAny(s, `"d"`, `"p"`, `"q"`, `"dp"`, `"dq"`, `"qi"`, `"k"`) {
		s = secretKey.ReplaceAllString(s, "$1‹removed›$3")
	}
	if strings.Contains(s, "PRIVATE KEY-----") {
		s = pemKey.ReplaceAllString(s, "‹private key removed›")
	}
	return s
}

// replaceWords replaces words, which consist of characters that a secret may have without a break. A text without replacements is not
// copied.
func replaceWords(s string, other func(word string) string) string {
	var out strings.Builder
	kept := 0
	for at := 0; at < len(s); at++ {
		from := at
		for at < len(s) && inWord(s[at]) {
			at++
		}
		if from == at {
			continue
		}
		if new := other(s[from:at]); new != s[from:at] {
			out.WriteString(s[kept:from] + new)
			kept = at
		}
	}
	if kept == 0 {
		return s
	}
	return out.String() + s[kept:]
}

// inWord reports whether a secret may contain a character without a break.
func inWord(c byte) bool { return wordCharacter(c) || strings.IndexByte("-.~+/=%", c) >= 0 }

// withoutSignatures removes the signature of each compact JWS. It tries only possible beginnings, once in each segment: if the first word
// of a segment does not begin a JWS, no other does.
func withoutSignatures(s string) string {
	var out strings.Builder
	kept := 0
	for at := 0; ; {
		i := strings.Index(s[at:], "eyJ")
		if i < 0 {
			return out.String() + s[kept:]
		}
		if at += i; at > 0 && wordCharacter(s[at-1]) {
			at += len("eyJ")
			continue
		}
		signature, end := compactJWS(s, at)
		if end < 0 {
			at += segment(s[at:])
			continue
		}
		out.WriteString(s[kept:signature])
		out.WriteString("‹signature›")
		at, kept = end, end
	}
}

// compactJWS returns where the signature of the compact JWS at this place begins and ends: three base64url segments, the first of which
// begins like {". The end is negative where there is no JWS.
func compactJWS(s string, at int) (signature, end int) {
	for i, least := range []int{len("eyJ") + 5, 2, 8} {
		if i > 0 {
			if at == len(s) || s[at] != '.' {
				return 0, -1
			}
			at++
		}
		n := segment(s[at:])
		if n < least {
			return 0, -1
		}
		signature, at = at, at+n
	}
	return signature, at
}

// segment returns how many characters of base64url a text begins with.
func segment(s string) int {
	for i := range len(s) {
		if !wordCharacter(s[i]) && s[i] != '-' {
			return i
		}
	}
	return len(s)
}

func containsAny(s string, parts ...string) bool {
	for _, p := range parts {
		if strings.Contains(s, p) {
			return true
		}
	}
	return false
}

func redactResult(r Result, text func(string) string) Result {
	r.Reason, r.Observation, r.Headline = text(r.Reason), text(r.Observation), text(r.Headline)
	r.Findings = append([]Finding(nil), r.Findings...)
	for i := range r.Findings {
		f := &r.Findings[i]
		f.Expected, f.Observed, f.About = text(f.Expected), text(f.Observed), text(f.About)
	}
	r.Notes = append([]string(nil), r.Notes...)
	for i := range r.Notes {
		r.Notes[i] = text(r.Notes[i])
	}
	r.Basis = redactBasis(r.Basis, text)
	return r
}

func redactExchange(e Exchange, text func(string) string, fields headers) Exchange {
	e.Request.Method, e.Request.URL, e.Request.Body, e.Error = text(e.Request.Method), text(e.Request.URL), text(e.Request.Body), text(e.Error)
	e.Request.Header = fields.redact(e.Request.Header)
	if e.Response != nil {
		resp := *e.Response
		resp.Proto, resp.Body, resp.Header = text(resp.Proto), text(resp.Body), fields.redact(resp.Header)
		e.Response = &resp
	}
	return e
}

// headers removes secrets from header fields: from their values, and from their names, whose case libraries change.
type headers struct {
	text   func(string) string
	name   func(string) string
	places *places
}

// inName removes the secrets from the name of a header field; a name without one keeps its case.
func (f *finder) inName(name string) string {
	lower := strings.ToLower(name)
	if out := f.replace(lower); out != lower {
		return out
	}
	return name
}

func (h headers) redact(in []Field) []Field {
	out, changed := make([]Field, len(in)), false
	for i, f := range in {
		f.Value = h.places.header(f.Name, h.text(f.Value))
		f.Name = h.name(f.Name)
		switch strings.ToLower(f.Name) {
		case "set-cookie":
			f.Value = cookieWithoutValue(f.Value)
		case "cookie":
			var kept []string
			for _, c := range strings.Split(f.Value, ";") {
				kept = append(kept, cookieWithoutValue(strings.TrimSpace(c)))
			}
			f.Value = strings.Join(kept, "; ")
		}
		out[i] = f
		changed = changed || f != in[i]
	}
	if !changed {
		return in // most of thousands in a run
	}
	return out
}

func cookieWithoutValue(c string) string {
	pair, attributes, more := strings.Cut(c, ";")
	if name, _, ok := strings.Cut(pair, "="); ok {
		pair = name + "=‹cookie›"
	}
	if more {
		return pair + ";" + attributes
	}
	return pair
}

// secretForm is the form of a secret, with the words that begin it.
type secretForm struct {
	what  string
	words []string
	is    func(text string) bool // whether a text begins with the form
	// inOneRun says that each run of base64url is searched once: if its first word does not begin the form, no other does.
	inOneRun bool
}

// secretForms are tried only at their words, which is much faster than a search for each form.
var secretForms = []secretForm{
	{"a private key", []string{"-----BEGIN "}, regexp.MustCompile(`^-----BEGIN [A-Z ]*PRIVATE KEY-----`).MatchString, false},
	{"a signed token", []string{"eyJ"}, signedToken, true},
	// In JSON inside JSON, quotes have backslashes.
	{"a secret in JSON", []string{`"access_token`, `"refresh_token`, `"client_secret`, `"registration_access_token`, `"device_code`,
		`"password`}, regexp.MustCompile(`^"(?:access_token|refresh_token|client_secret|registration_access_token|device_code|password)` +
		`\\*"\s*:\s*\\*"[^"\\‹]{16,}`).MatchString, false},
	{"the private part of a JWK", []string{`"d"`, `"d\`}, regexp.MustCompile(`^"d\\*"\s*:\s*\\*"[A-Za-z0-9_=-]{16,}`).MatchString,
		false},
	// Credentials with the prefix of a well-known service.
	{"a credential of a well-known service", []string{"ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xoxb-", "xoxa-",
		"xoxp-", "xoxr-", "xoxs-", "AKIA", "AIza", "sk_live_", "rk_live_", "sk-ant-"},
		regexp.MustCompile(`^(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{60,}|glpat-[A-Za-z0-9_-]{20,}|xox[baprs]-[A-Za-z0-9-]{20,}` +
			`|AKIA[0-9A-Z]{16}|AIza[0-9A-Za-z_-]{35}|(?:sk|rk)_live_[A-Za-z0-9]{20,}|sk-ant-[A-Za-z0-9_-]{20,})`).MatchString, false},
}

// signedToken reports whether a text begins with a JWT with a signature. It is much faster than a regular expression: a report has
// thousands of unsigned ones.
func signedToken(text string) bool {
	for _, least := range []int{len("eyJ") + 5, 2} {
		n := base64URL(text)
		if n < least || !strings.HasPrefix(text[n:], ".") {
			return false
		}
		text = text[n+1:]
	}
	return base64URL(text) >= 16
}

// base64URL returns how many characters of base64url a text begins with.
func base64URL(text string) int {
	for i := range len(text) {
		if text[i] != '-' && !wordCharacter(text[i]) {
			return i
		}
	}
	return len(text)
}

// SecretsIn names what in a text has the form of a secret, or nil. It knows no values: it is for untrusted texts.
func SecretsIn(text string) []string {
	var out []string
	for i := range secretForms {
		if secretForms[i].in(text) {
			out = append(out, secretForms[i].what)
		}
	}
	return out
}

func (f *secretForm) in(text string) bool {
	for _, word := range f.words {
		for at := 0; ; at++ {
			i := strings.Index(text[at:], word)
			if i < 0 {
				break
			}
			at += i
			switch {
			case !begins(text, at):
			case f.is(text[at:]):
				return true
			case f.inOneRun:
				at += base64URL(text[at:]) - 1
			}
		}
	}
	return false
}

// begins reports whether a word is at a position and ends there. The n of
// in JSON is not a letter.
func begins(text string, at int) bool {
	escape := at > 1 && text[at-2] == '\\'
	return at == 0 || escape || !wordCharacter(text[at-1]) || !wordCharacter(text[at])
}

func wordCharacter(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}
