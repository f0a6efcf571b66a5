package target

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// MostLimit is the highest limit of a credential that is tried: more would be an attack.
const MostLimit = 300

// mistake is an error in a target, with the path of keys to it in a file.
type mistake struct {
	path []any
	text string
}

// Validate returns all errors in the declarations.
func (t *Target) Validate() error {
	var all []error
	for _, m := range t.mistakes() {
		all = append(all, errors.New(m.text))
	}
	return errors.Join(all...)
}

func (t *Target) mistakes() []mistake {
	out := slices.Concat(t.wrongTools(), t.wrongObjects(), t.wrongCredentials(), t.wrongURLs())
	if n := len(t.SharedSecret.Value); n > 0 && n < 8 {
		out = append(out, mistake{[]any{"shared_secret", "value"}, fmt.Sprintf("the shared secret has %d bytes: want at least 8", n)})
	}
	if t.CertificatePEM != "" || t.CertificateKey != "" {
		if _, err := tls.X509KeyPair([]byte(t.CertificatePEM), []byte(t.CertificateKey)); err != nil {
			out = append(out, mistake{[]any{"target", "client_certificate"}, fmt.Sprintf("the client certificate cannot be used: %v", err)})
		}
	}
	for i, c := range t.Clients {
		if c.Method == "private_key_jwt" && c.Key == "" {
			out = append(out, mistake{[]any{"client", "clients", i}, "client " + c.ID + ": private_key_jwt needs a key"})
		}
		if c.Method == "client_secret_jwt" && c.Secret == "" {
			out = append(out, mistake{[]any{"client", "clients", i}, "client " + c.ID + ": client_secret_jwt needs a secret"})
		}
	}
	return out
}

func (t *Target) has(tool string) bool {
	return slices.ContainsFunc(t.Tools, func(other Tool) bool { return other.Name == tool })
}

func (t *Target) wrongTools() (out []mistake) {
	for i, tool := range t.Tools {
		wrong := func(key, format string, args ...any) {
			out = append(out, mistake{[]any{"tools", i, key}, "tool " + tool.Name + ": " + fmt.Sprintf(format, args...)})
		}
		if tool.HandleFrom != "" && !t.has(tool.HandleFrom) {
			wrong("handle_from", "its handle comes from %s, which is not among the tools", tool.HandleFrom)
		}
		if tool.Effect != "" && !t.has(tool.Effect) {
			wrong("effect", "its effect is shown by %s, which is not among the tools", tool.Effect)
		}
		if b, _ := json.Marshal(tool.Arguments); tool.Effect != "" && !strings.Contains(string(b), Marker) {
			wrong("arguments", "its effect cannot be told from that of others: put %s into its arguments", Marker)
		}
	}
	return out
}

func (t *Target) wrongObjects() (out []mistake) {
	for i, o := range t.Objects {
		wrong := func(key, format string, args ...any) {
			out = append(out, mistake{[]any{"objects", i, key}, fmt.Sprintf(format, args...)})
		}
		switch {
		case o.Resource == "" && o.Prompt == "":
			wrong("resource", "an object is neither a resource nor a prompt")
		case o.Private == "":
			wrong("private", "%s: nothing tells what only the first user may see (private)", o.Name())
		case o.ChangedBy != "" && !t.has(o.ChangedBy):
			wrong("changed_by", "%s: it is changed by %s, which is not among the tools", o.Name(), o.ChangedBy)
		}
	}
	return out
}

func (t *Target) wrongCredentials() (out []mistake) {
	for i, c := range t.Credentials {
		wrong := func(key, text string) {
			out = append(out, mistake{[]any{"credentials", i, key}, fmt.Sprintf("credential %d (%s): %s", i+1, c.Name, text)})
		}
		if c.Limit < 0 || c.Limit > MostLimit || c.Limit > 0 && c.Window <= 0 {
			wrong("limit", fmt.Sprintf("want a limit of 1 to %d requests in a time; declare a smaller one on a test instance", MostLimit))
		}
		if c.Value == "" || strings.ContainsAny(c.Value+c.Header, "\r\n") || strings.ContainsAny(c.Header, " :") {
			wrong("value", "want a value and a header name that fit in a header field")
		}
	}
	return out
}

// wrongURLs are the pages, endpoints and origins that nothing can be sent to.
func (t *Target) wrongURLs() (out []mistake) {
	wrong := func(is func(*url.URL) bool, example, value, name string, path ...any) {
		if u, err := url.Parse(value); value != "" && (err != nil || !is(u)) {
			out = append(out, mistake{path, fmt.Sprintf("%s: want a URL such as %s", name, example)})
		}
	}
	wrong(isWeb, "https://mcp.example.com/mcp", t.OtherResource, "target.other_resource", "target", "other_resource")
	for i, origin := range t.Origins {
		wrong(isOrigin, "https://app.example.com, without a path", origin, "target.origins", "target", "origins", i)
	}
	wrong(isWeb, "https://id.example.com", t.SignInAt, "login.issuer", "login", "issuer")
	wrong(isWeb, "https://id.example.com/grants", t.GrantsPage, "login.grants_page", "login", "grants_page")
	wrong(isWeb, "https://id.example.com/callback", t.IDTokenCallback, "login.id_token_callback.url", "login", "id_token_callback", "url")
	for i, endpoint := range t.TrustEndpoints {
		wrong(isWeb, "https://tokens.example.com", endpoint, "login.trust_endpoints", "login", "trust_endpoints", i)
	}
	for i, c := range t.Clients {
		wrong((*url.URL).IsAbs, "http://127.0.0.1:8765/callback", c.RedirectURI, "client "+c.ID+": redirect_uri",
			"client", "clients", i, "redirect_uri")
	}
	return out
}

func isWeb(u *url.URL) bool { return (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" }

// isOrigin reports whether a URL has a scheme and a host, and nothing else. Browser extensions have schemes of their own.
func isOrigin(u *url.URL) bool {
	return u.Scheme != "" && u.Hostname() != "" && u.User == nil && u.Path == "" && u.RawQuery == "" && u.Fragment == ""
}
