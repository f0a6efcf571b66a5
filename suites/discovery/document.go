// Package discovery holds the checks on protected resource metadata (RFC 9728).
package discovery

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// Register registers the area.
func Register() {
	Describe("RFC 9728 section 3: Obtaining Protected Resource Metadata", obtaining)
	Describe("RFC 9728 section 2: Protected Resource Metadata", members)
	Describe("RFC 9728 section 3.1: Protected Resource Metadata Request", siblings)
	Describe("RFC 9728 section 7: Security Considerations", hardening)
}

func members() {
	Must("RS-DISC-RESOURCE-PRESENT", func(t *T) {
		for _, d := range t.MCP.Resources() {
			v, ok := d.Object.Get("resource")
			if s, isString := v.(string); !isString || s == "" {
				t.Unmet(d.Exchange, "a member resource that is a non-empty string", "%s in %s", describe(v, ok), d.URL)
			}
		}
	})

	// RFC 9728 section 1.2: an https URL without fragment.
	Must("RS-DISC-RESOURCE-FORM", func(t *T) {
		d := t.MCP.Resource()
		resource := d.Object.String("resource")
		if resource == "" {
			t.NotApplicable("resource is missing (RS-DISC-RESOURCE-PRESENT)")
		}
		u, err := document.ParseURL(resource)
		switch {
		case err != nil:
			t.Unmet(d.Exchange, "an absolute https URL as resource", "%q: %v", resource, err)
			return
		case u.Scheme != "https" && !document.LoopbackHost(u.Hostname()):
			t.Unmet(d.Exchange, "scheme https (http only on loopback)", "%q", resource)
		case strings.Contains(resource, "#"):
			t.Unmet(d.Exchange, "no fragment, not even an empty one", "%q", resource)
		case u.User != nil:
			t.Unmet(d.Exchange, "no user information", "%q", u.Redacted())
		}
		if strings.Contains(resource, "?") {
			t.Advise(d.Exchange, "no query component (RFC 9728 section 1.2 discourages it)", "%q", resource)
		}
		if document.Origin(u) != strings.Join(strings.SplitN(resource, "/", 4)[:3], "/") {
			t.Advise(d.Exchange, "the normal spelling of scheme, host and port", "%q", resource)
		}
	})

	Must("RS-DISC-AS-PRESENT", func(t *T) {
		d := t.MCP.Resource()
		v, ok := d.Object.Get("authorization_servers")
		if list, isList := v.([]any); isList && len(list) > 0 {
			return
		}
		if _, singular := d.Object.Get("authorization_server"); singular {
			t.Unmet(d.Exchange, "authorization_servers, an array with at least one entry", "the misspelling authorization_server")
			return
		}
		t.Unmet(d.Exchange, "authorization_servers, an array with at least one entry", "%s", describe(v, ok))
	})

	Must("RS-DISC-AS-ENTRIES", func(t *T) {
		d := t.MCP.Resource()
		v, _ := d.Object.Get("authorization_servers")
		list, ok := v.([]any)
		if !ok || len(list) == 0 {
			t.NotApplicable("authorization_servers is missing (RS-DISC-AS-PRESENT)")
		}
		seen := map[string]bool{}
		for i, entry := range list {
			s, isString := entry.(string)
			if !isString {
				t.Unmet(d.Exchange, "every entry to be an issuer identifier string", "entry %d is %s", i+1, document.Kind(entry))
				continue
			}
			if problem := issuerProblem(s); problem != "" {
				t.Unmet(d.Exchange, "every entry to be an https issuer identifier without query and fragment", "entry %d, %q: %s", i+1, s, problem)
			}
			if seen[s] {
				t.Advise(d.Exchange, "every entry once", "%q stands twice", s)
			}
			seen[s] = true
		}
	})

	// RFC 9728 section 2; RFC 8414 section 3.3: the issuer must be identical.
	Must("RS-DISC-AS-RESOLVES", func(t *T) {
		d := t.MCP.Resource()
		if len(t.Survey.Servers) == 0 {
			t.NotApplicable("no authorization server is listed that could be asked (RS-DISC-AS-ENTRIES)")
		}
		good := 0
		var problems []string
		for i := range t.Survey.Servers {
			a := &t.Survey.Servers[i]
			m := a.Metadata()
			switch {
			case a.Err != nil:
				problems = append(problems, fmt.Sprintf("%q: %v", a.Issuer, a.Err))
			case m == nil && a.Unreachable() != "":
				t.Cite(a.Documents[0].Exchange)
				t.Inconclusive("%s cannot be reached from here: %s", a.Issuer, a.Unreachable())
			case m == nil:
				t.Cite(a.Documents[0].Exchange)
				problems = append(problems, fmt.Sprintf("%q has metadata at none of its well-known locations", a.Issuer))
			case m.Object.String("issuer") != a.Issuer:
				t.Cite(m.Exchange)
				problems = append(problems, fmt.Sprintf("%q is listed, but its metadata says issuer %q", a.Issuer, m.Object.String("issuer")))
			default:
				t.Cite(m.Exchange)
				good++
			}
		}
		for _, p := range problems {
			if good > 0 {
				t.Advise(d.Exchange, "every listed issuer to have metadata with the same issuer", "%s", p)
			} else {
				t.Unmet(d.Exchange, "a listed issuer whose metadata exists and names the same issuer", "%s", p)
			}
		}
	})

	Must("RS-DISC-SCOPES-SHAPE", func(t *T) {
		d := t.MCP.Resource()
		v, ok := d.Object.Get("scopes_supported")
		if !ok {
			t.NotApplicable("scopes_supported is absent, which is allowed")
		}
		list, isList := v.([]any)
		if !isList {
			t.Unmet(d.Exchange, "scopes_supported to be an array of scope tokens", "%s", describe(v, ok))
			return
		}
		seen := map[string]bool{}
		for _, e := range list {
			s, isString := e.(string)
			switch {
			case !isString:
				t.Unmet(d.Exchange, "every scope to be a string", "%s", document.Kind(e))
			case !expect.ScopeToken(s):
				t.Unmet(d.Exchange, "every entry to be one scope token (RFC 6749 section 3.3)", "%q", s)
			case seen[s]:
				t.Advise(d.Exchange, "every scope once", "%q stands twice", s)
			}
			seen[s] = true
		}
	})

	Practice("RS-DISC-SCOPES-MINIMAL", func(t *T) {
		d := t.MCP.Resource()
		scopes, ok := d.Object.Strings("scopes_supported")
		if !ok {
			t.NotApplicable("scopes_supported is absent or malformed")
		}
		for _, s := range scopes {
			if expect.Omnibus(s) && len(scopes) > 1 {
				t.Advise(d.Exchange, "no scope that means everything", "%q", s)
			}
		}
		if len(scopes) > 15 {
			t.Advise(d.Exchange, "the basic scopes only; clients without other guidance ask for all of them", "%d scopes", len(scopes))
		}
	})

	// MCP 2026-07-28, Refresh Tokens.
	Should("RS-DISC-NO-OFFLINE-ACCESS", func(t *T) {
		d := t.MCP.Resource()
		if scopes, _ := d.Object.Strings("scopes_supported"); slices.Contains(scopes, "offline_access") {
			t.Unmet(d.Exchange, "no offline_access among the resource's scopes", "scopes_supported lists it")
		}
		for _, ex := range refusals(t) {
			if v, _ := expect.Param(ex, "scope"); slices.Contains(strings.Fields(v), "offline_access") {
				t.Unmet(ex, "no offline_access in a challenge", "scope=%q", v)
			}
		}
	})

	Must("RS-DISC-BEARER-METHODS", func(t *T) {
		d := t.MCP.Resource()
		v, ok := d.Object.Get("bearer_methods_supported")
		if !ok {
			t.NotApplicable("bearer_methods_supported is absent, which is allowed")
		}
		methods, isList := d.Object.Strings("bearer_methods_supported")
		if !isList {
			t.Unmet(d.Exchange, "an array of header, body, query", "%s", describe(v, ok))
			return
		}
		for _, m := range methods {
			switch m {
			case "header":
			case "body":
				t.Advise(d.Exchange, "header only: a JSON-RPC body cannot carry a form parameter", "body")
			case "query":
				t.Unmet(d.Exchange, "no query: MCP forbids tokens in the URI", "query is listed")
			default:
				t.Unmet(d.Exchange, "only header, body or query", "%q", m)
			}
		}
		if len(methods) > 0 && !slices.Contains(methods, "header") {
			t.Unmet(d.Exchange, "header, which MCP demands", "%v", methods)
		}
	})

	// RFC 9728 section 3.2. An empty bearer_methods_supported has a meaning of its own (section 2).
	Must("RS-DISC-NO-EMPTY-OR-NULL", func(t *T) {
		for _, d := range t.MCP.Resources() {
			for _, m := range d.Object.Members {
				if empty(m.Value) && m.Name != "bearer_methods_supported" {
					t.Unmet(d.Exchange, "members without a value to be left out", "%q is %s", m.Name, describe(m.Value, true))
				}
			}
		}
	})

	Must("RS-DISC-KEYS-AND-ALGS", func(t *T) {
		d := t.MCP.Resource()
		uri := d.Object.String("jwks_uri")
		_, signing := d.Object.Get("resource_signing_alg_values_supported")
		_, dpop := d.Object.Get("dpop_signing_alg_values_supported")
		if uri == "" && !signing && !dpop {
			t.NotApplicable("the document names no keys and no algorithms")
		}
		for _, name := range []string{"resource_signing_alg_values_supported", "dpop_signing_alg_values_supported"} {
			algs, _ := d.Object.Strings(name)
			for _, a := range algs {
				if strings.EqualFold(a, "none") || (strings.HasPrefix(a, "HS") && strings.HasPrefix(name, "dpop")) {
					t.Unmet(d.Exchange, "only asymmetric algorithms in "+name, "%q", a)
				}
			}
		}
		if uri == "" {
			return
		}
		if u, err := document.ParseURL(uri); err != nil || u.Scheme != "https" && !document.LoopbackHost(u.Hostname()) {
			t.Unmet(d.Exchange, "an https jwks_uri", "%q", uri)
			return
		}
		ex := t.Get(uri)
		for _, name := range expect.PrivateKeyMembers(ex) {
			t.Unmet(ex, "public keys only", "the key set holds the private member %q", name)
		}
	})
}

func describe(v any, present bool) string {
	if !present {
		return "nothing: the member is absent"
	}
	switch x := v.(type) {
	case []any:
		if len(x) == 0 {
			return "an empty array"
		}
	case string:
		return fmt.Sprintf("the string %q", x)
	}
	return document.Kind(v)
}

func empty(v any) bool {
	switch x := v.(type) {
	case nil:
		return true
	case string:
		return x == ""
	case []any:
		return len(x) == 0
	case *document.Object:
		return len(x.Members) == 0
	}
	return false
}

// issuerProblem says why a string is no issuer identifier (RFC 8414 section 2), or "".
func issuerProblem(s string) string {
	u, err := document.ParseURL(s)
	switch {
	case err != nil:
		return err.Error()
	case u.Scheme != "https" && !document.LoopbackHost(u.Hostname()):
		return "http on a host that is not loopback"
	case strings.ContainsAny(s, "?#"):
		return "it has a query or a fragment"
	case u.User != nil:
		return "it has user information"
	case strings.Contains(u.Path, "/.well-known/"):
		return "this is the URL of a metadata document"
	case strings.HasSuffix(u.Path, "/authorize"), strings.HasSuffix(u.Path, "/token"):
		return "this is the URL of an endpoint"
	}
	return ""
}
