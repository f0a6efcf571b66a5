package login

import (
	"cmp"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/publicsuffix"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
)

// Jar stores cookies like a browser. It can be copied, so that concurrent flows do not disturb each other.
type Jar struct {
	mu  sync.Mutex
	jar *cookiejar.Jar
	log []set // the stored cookies, oldest first
}

// Limits of a jar, like those of browsers: RFC 6265 section 6.1, and RFC 6265bis section 5.7 for the size.
const (
	mostCookies   = 180
	longestCookie = 4 << 10 // name and value, in bytes
)

// set is a cookie with its origin.
type set struct {
	from   *url.URL
	cookie *http.Cookie
}

// NewJar makes an empty jar.
func NewJar() *Jar {
	jar, _ := cookiejar.New(&cookiejar.Options{PublicSuffixList: publicsuffix.List}) // never fails
	return &Jar{jar: jar}
}

// Copy returns a jar with the same cookies.
func (j *Jar) Copy() *Jar {
	return j.changed(func(s set) *http.Cookie { return s.cookie })
}

// changed returns a copy of the jar with other cookies; nil leaves one out.
func (j *Jar) changed(to func(s set) *http.Cookie) *Jar {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := NewJar()
	for _, s := range j.log {
		if c := to(s); c != nil {
			out.Set(s.from, c)
		}
	}
	return out
}

// isFor reports whether this is a cookie of a name that the host of a URL gets, whatever its path is.
func (s set) isFor(u *url.URL, name string) bool {
	host := strings.ToLower(u.Hostname())
	return s.cookie.Name == name && (host == s.domain() || s.cookie.Domain != "" && strings.HasSuffix(host, "."+s.domain()))
}

// sameAs reports whether one cookie replaces the other: RFC 6265 section 5.3, step 11.
func (s set) sameAs(other set) bool {
	return s.cookie.Name == other.cookie.Name && s.domain() == other.domain() && s.path() == other.path()
}

func (s set) domain() string {
	return strings.ToLower(strings.TrimPrefix(cmp.Or(s.cookie.Domain, s.from.Hostname()), "."))
}

// path returns the path of the cookie, or the default one: RFC 6265 section 5.1.4.
func (s set) path() string {
	if strings.HasPrefix(s.cookie.Path, "/") {
		return s.cookie.Path
	}
	folder := s.from.Path[:strings.LastIndexByte(s.from.Path, '/')+1]
	return cmp.Or(strings.TrimSuffix(folder, "/"), "/")
}

// Set stores a cookie. It replaces the same one, or the oldest one if the jar is full.
func (j *Jar) Set(from *url.URL, c *http.Cookie) {
	if len(c.Name)+len(c.Value) > longestCookie {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	now := set{from, c}
	if i := slices.IndexFunc(j.log, now.sameAs); i >= 0 {
		j.log[i] = now
	} else {
		j.log = append(j.log, now)
	}
	if len(j.log) > mostCookies {
		oldest := j.log[0]
		j.log = slices.Delete(j.log, 0, 1)
		j.jar.SetCookies(oldest.from, []*http.Cookie{{Name: oldest.cookie.Name, Domain: oldest.cookie.Domain, Path: oldest.cookie.Path,
			MaxAge: -1}})
	}
	if from.Scheme == "http" && document.LoopbackHost(from.Hostname()) { // browsers treat loopback as secure
		plain := *c
		plain.Secure = false
		c = &plain
	}
	j.jar.SetCookies(from, []*http.Cookie{c})
}

// Cookie is a cookie that an answer sets.
type Cookie struct {
	Name, Value, Domain string
	SameSite            string // Lax, Strict or None; empty if missing
	Secure, HTTPOnly    bool
	Deleted             bool
}

// CookiesOf returns the cookies that an answer sets.
func CookiesOf(ex *reports.Exchange) []Cookie {
	var out []Cookie
	for _, c := range received(ex) {
		same := map[http.SameSite]string{http.SameSiteLaxMode: "Lax", http.SameSiteStrictMode: "Strict",
			http.SameSiteNoneMode: "None"}[c.SameSite]
		past := !c.Expires.IsZero() && c.Expires.Before(time.Now())
		out = append(out, Cookie{c.Name, c.Value, c.Domain, same, c.Secure, c.HttpOnly, c.MaxAge < 0 || past || c.Value == ""})
	}
	return out
}

func received(ex *reports.Exchange) []*http.Cookie {
	if ex.Response == nil {
		return nil
	}
	h := http.Header{}
	for _, f := range ex.Response.Header {
		if strings.EqualFold(f.Name, "Set-Cookie") {
			h.Add("Set-Cookie", f.Value)
		}
	}
	return (&http.Response{Header: h}).Cookies()
}

// Take stores the cookies of an answer and returns them.
func (j *Jar) Take(from *url.URL, ex *reports.Exchange) []*http.Cookie {
	cookies := received(ex)
	for _, c := range cookies {
		j.Set(from, c)
	}
	return cookies
}

// Field returns the Cookie field for a URL, or no field.
func (j *Jar) Field(u *url.URL) []reports.Field {
	j.mu.Lock()
	defer j.mu.Unlock()
	var pairs []string
	for _, c := range j.jar.Cookies(u) {
		pairs = append(pairs, c.Name+"="+c.Value)
	}
	if pairs == nil {
		return nil
	}
	return []reports.Field{{Name: "Cookie", Value: strings.Join(pairs, "; ")}}
}

// Names returns the names of the cookies for a URL.
func (j *Jar) Names(u *url.URL) []string {
	var out []string
	for _, c := range j.Cookies(u) {
		out = append(out, c.Name)
	}
	return out
}

// Value returns the value of a cookie for a URL, or "".
func (j *Jar) Value(u *url.URL, name string) string {
	for _, c := range j.Cookies(u) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

// With returns a copy of the jar with another value of a cookie, or with a new cookie.
func (j *Jar) With(u *url.URL, name, value string) *Jar {
	out := j.changed(func(s set) *http.Cookie {
		if !s.isFor(u, name) {
			return s.cookie
		}
		other := *s.cookie
		other.Value = value
		return &other
	})
	if !slices.Contains(out.Names(u), name) {
		out.Set(u, &http.Cookie{Name: name, Value: value, Path: "/"})
	}
	return out
}

// Without returns a copy of the jar without a cookie.
func (j *Jar) Without(u *url.URL, name string) *Jar {
	return j.changed(func(s set) *http.Cookie {
		if s.isFor(u, name) {
			return nil
		}
		return s.cookie
	})
}

// Only returns a copy of the jar in which the host of a URL has no other cookie than one.
func (j *Jar) Only(u *url.URL, name string) *Jar {
	return j.changed(func(s set) *http.Cookie {
		if s.cookie.Name != name && s.isFor(u, s.cookie.Name) {
			return nil
		}
		return s.cookie
	})
}

// CrossSite returns a copy of the jar with only those cookies that browsers send with a form of another site: not those with
// SameSite=Lax or Strict (RFC 6265bis section 5.5).
func (j *Jar) CrossSite() *Jar {
	return j.changed(func(s set) *http.Cookie {
		if same := s.cookie.SameSite; same == http.SameSiteLaxMode || same == http.SameSiteStrictMode {
			return nil
		}
		return s.cookie
	})
}

// Cookies returns the cookies for a URL.
func (j *Jar) Cookies(u *url.URL) []*http.Cookie {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.jar.Cookies(u)
}
