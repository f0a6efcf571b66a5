package reports

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"runtime"
	"sort"
	"strings"
	"sync"
	"unicode"
)

// Secrets remembers every secret of a run from the moment it is born, so that whole values can be
// removed from what leaves the tool. It is safe for concurrent use; the zero value is ready.
type Secrets struct {
	mu     sync.Mutex
	values map[string]string // value -> placeholder
	kinds  map[string]int
	size   int  // of all spellings, in bytes
	lost   bool // there were more than can be remembered
}

const (
	// shortest value that can be removed without tearing holes into ordinary text.
	shortestSecret = 6
	// longest value that is remembered: words beyond that are cut out of every text.
	longestSecret = 32 << 10
	// mostSecrets is the size of all spellings that are looked for, in bytes. Where a target brings more, everything is
	// removed that looks like a secret.
	mostSecrets = 12 << 20
	// hexSecret and longSecret are the sizes beyond which a value is not looked for in hex, and in base64.
	hexSecret, longSecret = 128, 512
	// spelledHex and spelled are how much larger all spellings of a value are, with hex and without.
	spelledHex, spelled = 14, 9
)

// Add registers a secret of a kind such as "access_token" and returns the placeholder that stands for it
// in reports. Values shorter than six bytes cannot be removed safely and are not registered.
func (s *Secrets) Add(kind, value string) string {
	if len(value) < shortestSecret {
		return value
	}
	if i := strings.LastIndexByte(value, '.'); i > 0 && isJWT(value) {
		defer s.Add("signature", value[i+1:]) // which alone makes it worth something
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
	cost := len(value)
	switch {
	case plainOnly(value):
	case len(value) > hexSecret:
		cost *= spelled
	default:
		cost *= spelledHex
	}
	if s.size+cost > mostSecrets {
		s.lost = true
		return "‹" + kind + "›"
	}
	s.size += cost
	s.kinds[kind]++
	p := fmt.Sprintf("‹%s#%d›", kind, s.kinds[kind])
	s.values[strings.Clone(value)] = p // not the text around it
	return p
}

// Remove is a text without the secrets.
func (s *Secrets) Remove(text string) string { return redaction(s)(text) }

// In reports that a text holds a secret.
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

func (s *Secrets) replacer() *strings.Replacer {
	s.mu.Lock()
	defer s.mu.Unlock()
	type pair struct{ from, to string }
	var pairs []pair
	for v, p := range s.values {
		for _, f := range forms(v) {
			pairs = append(pairs, pair{f, p})
		}
	}
	// Longest first, so that a secret holding another one is removed whole.
	sort.Slice(pairs, func(i, j int) bool {
		if len(pairs[i].from) != len(pairs[j].from) {
			return len(pairs[i].from) > len(pairs[j].from)
		}
		if pairs[i].from != pairs[j].from {
			return pairs[i].from < pairs[j].from
		}
		return pairs[i].to < pairs[j].to // two secrets may be spelled alike: one placeholder, always the same
	})
	var args []string
	for _, p := range pairs {
		args = append(args, p.from, p.to)
	}
	return strings.NewReplacer(args...)
}

// plainOnly reports that a value is not looked for in hex and base64: it is long, or a JWT, whose signature is.
func plainOnly(v string) bool { return len(v) > longSecret || isJWT(v) }

func isJWT(v string) bool { return strings.HasPrefix(v, "eyJ") && strings.Count(v, ".") == 2 }

// forms are the spellings in which a value may travel.
func forms(v string) []string {
	escaped, _ := json.Marshal(v)
	all := []string{v, url.QueryEscape(v), url.PathEscape(v), strings.Trim(string(escaped), `"`)}
	if plainOnly(v) {
		return unique(all)
	}
	if len(v) <= hexSecret {
		all = append(all, hex.EncodeToString([]byte(v)), strings.ToUpper(hex.EncodeToString([]byte(v))))
	}
	for _, plain := range unique([]string{v, url.QueryEscape(v)}) { // escaped in Basic credentials (RFC 6749 section 2.3.1)
		for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
			for offset := 0; offset < 3; offset++ { // a value may begin anywhere within a base64 group
				e := enc.EncodeToString(append(make([]byte, offset), plain...))
				all = append(all, trimGroups(e, offset, (offset+len(plain))%3))
			}
		}
	}
	return unique(all)
}

// trimGroups drops the characters of a base64 text that also depend on the value's neighbours.
func trimGroups(e string, offset, rest int) string {
	e = strings.TrimRight(e, "=")
	if offset > 0 {
		e = e[offset+1:]
	}
	if rest > 0 && len(e) > 0 {
		e = e[:len(e)-1]
	}
	return e
}

func unique(in []string) []string {
	seen := map[string]bool{}
	out := in[:0]
	for _, s := range in {
		if len(s) >= shortestSecret && !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	return out
}

// Redacted is a run from which every registered secret, cookie value, and token signature is gone.
// It is the only thing reporters accept; Redact is the only way to make one.
type Redacted struct{ run Run }

// Run returns the redacted run. It is shared: do not change it.
func (r Redacted) Run() *Run { return &r.run }

var (
	// what a secret may be written in without a break
	word = regexp.MustCompile(`[A-Za-z0-9._~+/=%-]+`)
	// three base64url segments, the first of which begins like {"
	compactJWS = regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{2,}\.[A-Za-z0-9_-]{8,}`)
	// members of OAuth JSON answers whose string value is a secret, whoever sent it
	secretMember = regexp.MustCompile(`("(?:access_token|refresh_token|id_token|client_secret|registration_access_token|device_code|code_verifier|assertion|client_assertion|password)"\s*:\s*")((?:[^"\\]|\\.)*)(")`)
	// the signature of a JWS in JSON
	jsonSignature = regexp.MustCompile(`("signature\\*"\s*:\s*\\*")([A-Za-z0-9_-]{20,})`)
	// key material of a JWK
	secretKey = regexp.MustCompile(`("(?:d|p|q|dp|dq|qi|k)"\s*:\s*")([A-Za-z0-9_=-]{16,})(")`)
	pemKey    = regexp.MustCompile(`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----`)
)

// Redact removes secrets from a run: the registered ones in every spelling, cookie values, secret members
// of OAuth answers, private keys, and the signature of anything that looks like a JWT.
func Redact(run Run, secrets *Secrets) Redacted {
	text := redaction(secrets)
	out := run
	out.Target.URL = text(run.Target.URL)
	out.Unreachable, out.Doubt = text(run.Unreachable), text(run.Doubt)
	out.Stale = append([]string(nil), run.Stale...)
	for i := range out.Stale {
		out.Stale[i] = text(out.Stale[i])
	}
	out.Open = text(run.Open)
	out.NotWorking = append([]string(nil), run.NotWorking...)
	for i := range out.NotWorking {
		out.NotWorking[i] = text(out.NotWorking[i])
	}
	out.Discovered = make([]Fact, len(run.Discovered))
	for i, f := range run.Discovered {
		out.Discovered[i] = Fact{f.Name, text(f.Value)}
	}
	out.Revisions = make([]RevisionStatus, len(run.Revisions))
	for i, s := range run.Revisions {
		s.Why = text(s.Why)
		out.Revisions[i] = s
	}
	out.Results = make([]Result, len(run.Results))
	for i, r := range run.Results {
		out.Results[i] = redactResult(r, text)
	}
	out.Screenshots = append([]Screenshot(nil), run.Screenshots...) // of pages that showed no secret when they were taken
	for i := range out.Screenshots {
		out.Screenshots[i].Title, out.Screenshots[i].URL = text(out.Screenshots[i].Title), text(out.Screenshots[i].URL)
	}
	out.Exchanges = make([]Exchange, len(run.Exchanges))
	var together sync.WaitGroup
	for part := range runtime.GOMAXPROCS(0) { // most of the work, and each exchange stands for itself
		together.Go(func() {
			text := remembering(text)
			for i := part; i < len(run.Exchanges); i += runtime.GOMAXPROCS(0) {
				out.Exchanges[i] = redactExchange(run.Exchanges[i], text)
			}
		})
	}
	together.Wait()
	out.Tokens = nil
	for _, t := range run.Tokens {
		out.Tokens = append(out.Tokens, Token{t.Name, text(t.Header), text(t.Claims)})
	}
	out.Tokens = append(out.Tokens, secrets.tokens(&out, text)...)
	return Redacted{out}
}

// remembering redacts short texts once: most header fields stand in many exchanges.
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
	replacer := secrets.replacer()
	return func(s string) string {
		if s == "" {
			return s
		}
		if len(s) > longestSecret {
			s = word.ReplaceAllStringFunc(s, func(w string) string {
				if len(w) > longestSecret {
					return fmt.Sprintf("‹a word of %d bytes›", len(w))
				}
				return w
			})
		}
		s = replacer.Replace(s)
		if secrets.lost {
			s = word.ReplaceAllStringFunc(s, func(w string) string {
				if len(w) >= 16 && strings.ContainsAny(w, "0123456789") && strings.ContainsFunc(w, unicode.IsLetter) {
					return "‹removed›"
				}
				return w
			})
		}
		// Each expression is tried only where it can match: most texts hold none of these.
		if strings.Contains(s, "eyJ") {
			s = compactJWS.ReplaceAllStringFunc(s, func(t string) string { return t[:strings.LastIndexByte(t, '.')] + ".‹signature›" })
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
	return r
}

func redactExchange(e Exchange, text func(string) string) Exchange {
	e.Request.URL, e.Request.Body, e.Error = text(e.Request.URL), text(e.Request.Body), text(e.Error)
	e.Request.Header = redactHeader(e.Request.Header, text)
	if e.Response != nil {
		resp := *e.Response
		resp.Body, resp.Header = text(resp.Body), redactHeader(resp.Header, text)
		e.Response = &resp
	}
	return e
}

func redactHeader(in []Field, text func(string) string) []Field {
	out := make([]Field, len(in))
	for i, f := range in {
		f.Value = text(f.Value)
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
