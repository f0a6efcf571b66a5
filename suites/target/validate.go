package target

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"reflect"
	"slices"
	"strconv"
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
	out := slices.Concat(t.wrongTools(), t.wrongObjects(), t.wrongCredentials(), t.wrongURLs(), t.wrongServed(), t.repeated())
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
		out = append(out, wrongURL(is, example, value, name, path...)...)
	}
	wrong(isWeb, "https://mcp.example.com/mcp", t.URL, "target.url", "target", "url")
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

func wrongURL(is func(*url.URL) bool, example, value, name string, path ...any) []mistake {
	if u, err := url.Parse(value); value == "" || err == nil && is(u) {
		return nil
	}
	hint := ""
	if strings.Contains(value, "$") {
		hint = "; variables are not replaced here, but the command line can give a URL"
	}
	return []mistake{{path, fmt.Sprintf("%s: want a URL such as %s%s", name, example, hint)}}
}

// wrongServed are the addresses and issuers that mcpauth cannot serve.
func (t *Target) wrongServed() (out []mistake) {
	for _, s := range t.served() {
		if !isAddress(s.listen) {
			out = append(out, mistake{[]any{s.section, "listen"}, s.section + ".listen: want an address and a port, such as 127.0.0.1:9400"})
		}
		out = append(out, wrongURL(isWeb, "http://127.0.0.1:9400", s.issuer, s.section+".issuer", s.section, "issuer")...)
	}
	if t.UpstreamIDP != nil {
		out = append(out, wrongURL((*url.URL).IsAbs, "https://mcp.example.com/callback", t.UpstreamIDP.RedirectURI, "upstream.redirect_uri",
			"upstream", "redirect_uri")...)
	}
	if t.Verify.Path != "" && !strings.HasPrefix(t.Verify.Path, "/") {
		out = append(out, mistake{[]any{"verify", "path"}, "verify.path: want a path such as /verify"})
	}
	return out
}

// service is a section of a target file about a server that mcpauth runs.
type service struct{ section, listen, issuer string }

func (t *Target) served() []service {
	out := []service{{"enterprise", t.EnterpriseIDP.Listen, t.EnterpriseIDP.Issuer}, {"verify", t.Verify.Listen, ""}}
	if idp := t.FakeIDP; idp != nil {
		out = append(out, service{"fake_idp", idp.Listen, idp.Issuer})
	}
	if idp := t.SecondIDP; idp != nil {
		out = append(out, service{"second_idp", idp.Listen, idp.Issuer})
	}
	if idp := t.UpstreamIDP; idp != nil {
		out = append(out, service{"upstream", idp.Listen, idp.Issuer})
	}
	if t.UpstreamAPI != nil {
		out = append(out, service{"upstream_api", t.UpstreamAPI.Listen, ""})
	}
	if t.IntrospectionAt != nil {
		out = append(out, service{"introspection", t.IntrospectionAt.Listen, ""})
	}
	return out
}

// isAddress reports whether something can listen at an address; where nothing does, it is empty.
func isAddress(s string) bool {
	_, port, err := net.SplitHostPort(s)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	return s == "" || err == nil
}

// repeated are the users and tools that are declared twice.
func (t *Target) repeated() (out []mistake) {
	for i, u := range t.Users {
		if slices.ContainsFunc(t.Users[:i], func(other User) bool { return other.Name == u.Name && other.Password == u.Password }) {
			out = append(out, mistake{[]any{"login", "users", i}, fmt.Sprintf("login.users: %s is declared twice: want different accounts", u.Name)})
		}
	}
	for i, tool := range t.Tools {
		same := func(other Tool) bool {
			return reflect.DeepEqual(other, tool)
		}
		if slices.ContainsFunc(t.Tools[:i], same) {
			out = append(out, mistake{[]any{"tools", i}, fmt.Sprintf("tool %s is declared twice", tool.Name)})
		}
	}
	return out
}

func isWeb(u *url.URL) bool { return (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" }

// isOrigin reports whether a URL has a scheme and a host, and nothing else. Browser extensions have schemes of their own.
func isOrigin(u *url.URL) bool {
	return u.Scheme != "" && u.Hostname() != "" && u.User == nil && u.Path == "" && u.RawQuery == "" && u.Fragment == ""
}
