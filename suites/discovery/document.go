package discovery

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/survey"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func members() {
	Must("RS-DISC-RESOURCE-PRESENT", namesResource)
	Must("RS-DISC-RESOURCE-FORM", identifiesByURL)
	Must("RS-DISC-AS-PRESENT", listsAuthorizationServers)
	Must("RS-DISC-AS-ENTRIES", listsIssuers)
	Must("RS-DISC-AS-RESOLVES", listsIssuersThatExist)
	Must("RS-DISC-SCOPES-SHAPE", listsScopeTokens)
	Practice("RS-DISC-SCOPES-MINIMAL", listsFewScopes)
	Should("RS-DISC-NO-OFFLINE-ACCESS", leavesOfflineAccessOut)
	Must("RS-DISC-BEARER-METHODS", advertisesHeaderOnly)
	Must("RS-DISC-NO-EMPTY-OR-NULL", leavesOutWhatIsEmpty)
	Must("RS-DISC-KEYS-AND-ALGS", publishesPublicKeysOnly)
}

func namesResource(t *T) {
	Each(t, found(t), func(t *T, d *survey.Document) {
		t.Expect(memberOf(d, "resource")).SeenIn(d.Exchange).To(onMember("resource as a string that is not empty", func(m member) bool {
			s, _ := m.value.(string)
			return s != ""
		}))
	})
}

// beWithoutUser is advice: no clause about issuers and resources forbids user information.
var beWithoutUser = expect.Family("beWithoutUser", func() expect.Matcher {
	return be("no user information, which RFC 9110 section 4.2.4 deprecates", func(s string) bool {
		u, err := document.ParseURL(s)
		return err != nil || u.User == nil
	})
})

// RFC 9728 section 1.2: an https URL without fragment.
func identifiesByURL(t *T) { eachDocument(t, judgeResource, "resource") }

func judgeResource(t *T, d *survey.Document) {
	resource := d.Object.String("resource")
	if resource == "" {
		t.NotApplicable("resource is missing (RS-DISC-RESOURCE-PRESENT)")
	}
	seen := t.Expect(resource).SeenIn(d.Exchange)
	if !seen.To(beURL("an absolute https URL as resource")) {
		return
	}
	u, _ := document.ParseURL(resource)
	seen.To(be("scheme https (http only on loopback)",
		func(string) bool { return u.Scheme == "https" || document.LoopbackHost(u.Hostname()) }),
		be("no fragment, not even an empty one", func(s string) bool { return !strings.Contains(s, "#") }))
	seen.Ideally(beWithoutUser(),
		be("no query, which RFC 9728 section 1.2 discourages", func(s string) bool { return !strings.Contains(s, "?") }),
		be("the normal spelling of scheme, host and port", func(s string) bool {
			return document.Origin(u) == strings.Join(strings.SplitN(s, "/", 4)[:3], "/")
		}),
		be("a path without dot segments", func(string) bool {
			return !strings.Contains(u.EscapedPath()+"/", "/./") && !strings.Contains(u.Path+"/", "/../")
		}))
}

var beURL = expect.Family("beURL", func(expected string) expect.Matcher {
	return expect.That(expected, func(s string) string {
		if _, err := document.ParseURL(s); err != nil {
			return fmt.Sprintf("%q: %v", s, err)
		}
		return ""
	})
})

func listsAuthorizationServers(t *T) { eachDocument(t, judgePresence, "authorization_servers") }

func judgePresence(t *T, d *survey.Document) {
	t.Expect(memberOf(d, "authorization_servers")).SeenIn(d.Exchange).To(expect.That(
		"authorization_servers, an array with at least one entry", func(m member) string {
			_, singular := d.Object.Get("authorization_server")
			switch {
			case len(m.list()) > 0:
				return ""
			case singular:
				return "the misspelling authorization_server"
			}
			return m.String()
		}))
}

func listsIssuers(t *T) { eachDocument(t, judgeIssuers, "authorization_servers") }

func judgeIssuers(t *T, d *survey.Document) {
	list := memberOf(d, "authorization_servers").list()
	if len(list) == 0 {
		t.NotApplicable("authorization_servers is missing (RS-DISC-AS-PRESENT)")
	}
	for i, entry := range list {
		about := fmt.Sprintf("entry %d of authorization_servers", i+1)
		t.Expect(entry, "%s", about).SeenIn(d.Exchange).To(beIssuer(resolves(t, entry)))
		if s, ok := entry.(string); ok {
			t.Expect(s, "%s", about).SeenIn(d.Exchange).Ideally(beWithoutUser())
		}
		t.Expect(entry, "%s", about).SeenIn(d.Exchange).Ideally(expect.That("every entry once", func(e any) string {
			if slices.Contains(list[:i], e) && document.Kind(e) == document.Kind("") {
				return fmt.Sprintf("%q appears twice", e)
			}
			return ""
		}))
	}
}

// resolves reports that the metadata of an authorization server names an entry as its issuer.
func resolves(t *T, entry any) bool {
	return slices.ContainsFunc(t.Survey.Servers, func(a survey.Server) bool { return a.Issuer == entry && resolution(&a) == "" })
}

// beIssuer expects an issuer identifier (RFC 8414 section 2). One that its own metadata names may have any path.
var beIssuer = expect.Family("beIssuer", func(resolves bool) expect.Matcher {
	return expect.That("an issuer identifier: a string with an https URL without query and fragment", func(entry any) string {
		s, isString := entry.(string)
		if !isString {
			return document.Kind(entry)
		}
		problem := issuerProblem(s)
		if problem == "" && !resolves {
			problem = otherURL(s)
		}
		if problem == "" {
			return ""
		}
		return fmt.Sprintf("%q: %s", s, problem)
	})
})

// issuerProblem says why a string is not an issuer identifier; empty if it is one.
func issuerProblem(s string) string {
	u, err := document.ParseURL(s)
	switch {
	case err != nil:
		return err.Error()
	case u.Scheme != "https" && !document.LoopbackHost(u.Hostname()):
		return "http on a host that is not loopback"
	case strings.ContainsAny(s, "?#"):
		return "the issuer has a query or a fragment"
	}
	return ""
}

// otherURL says which other URL of an authorization server is listed as its issuer by mistake, judged by its path; empty if none.
func otherURL(s string) string {
	switch u, err := document.ParseURL(s); {
	case err != nil:
		return err.Error()
	case strings.Contains(u.Path, "/.well-known/"):
		return "the issuer is the URL of a metadata document"
	case strings.HasSuffix(u.Path, "/authorize"), strings.HasSuffix(u.Path, "/token"):
		return "the issuer is the URL of an endpoint"
	}
	return ""
}

// listsIssuersThatExist is RFC 9728 section 2, and RFC 8414 section 3.3: the issuer must be identical.
func listsIssuersThatExist(t *T) {
	d := t.MCP.Resource()
	listed := slices.DeleteFunc(listedServers(t, d), func(a *survey.Server) bool {
		return a.Metadata() == nil && t.RunsIssuer(a.Issuer) // the listener of introspection has no metadata
	})
	if len(listed) == 0 {
		t.NotApplicable("no authorization server is listed that could be asked (RS-DISC-AS-ENTRIES)")
	}
	names := expect.That("metadata that names the listed issuer", func(a *survey.Server) string { return resolution(a) })
	good := slices.ContainsFunc(listed, func(a *survey.Server) bool { return resolution(a) == "" })
	for _, a := range listed {
		ex := d.Exchange
		switch m := a.Metadata(); {
		case m != nil:
			ex = m.Exchange
		case a.Unreachable() != "":
			t.Leave(a.Issuer, "it cannot be reached from here: "+a.Unreachable())
			continue
		}
		if good { // clients can use another server
			t.Expect(a, "%s", a.Issuer).SeenIn(ex).Ideally(names)
		} else {
			t.Expect(a, "%s", a.Issuer).SeenIn(ex).To(names)
		}
	}
}

// listedServers are the authorization servers that a document lists and that were contacted, not those found in other ways.
func listedServers(t *T, d *survey.Document) []*survey.Server {
	list, _ := d.Object.Strings("authorization_servers")
	var out []*survey.Server
	for i := range t.Survey.Servers {
		if a := &t.Survey.Servers[i]; slices.Contains(list, a.Issuer) {
			out = append(out, a)
		}
	}
	return out
}

// resolution says why metadata cannot be used for an issuer; empty if it can.
func resolution(a *survey.Server) string {
	m := a.Metadata()
	switch {
	case a.Err != nil:
		return a.Err.Error()
	case m == nil:
		return "no metadata at any of its well-known locations"
	case m.Object.String("issuer") == "":
		return "its metadata at " + m.URL + " names no issuer"
	case m.Object.String("issuer") != a.Issuer:
		return fmt.Sprintf("its metadata at %s names the issuer %q", m.URL, m.Object.String("issuer"))
	}
	return ""
}

func listsScopeTokens(t *T) { eachDocument(t, judgeScopeTokens, "scopes_supported") }

func judgeScopeTokens(t *T, d *survey.Document) {
	scopes := memberOf(d, "scopes_supported")
	if !scopes.present {
		t.NotApplicable("scopes_supported is absent, which is allowed")
	}
	isList := func(m member) bool { _, ok := m.value.([]any); return ok }
	t.Expect(scopes).SeenIn(d.Exchange).To(onMember("an array of scope tokens", isList))
	for i, e := range scopes.list() {
		t.Expect(e, "entry %d of scopes_supported", i+1).SeenIn(d.Exchange).To(beScopeToken())
		t.Expect(e, "entry %d of scopes_supported", i+1).SeenIn(d.Exchange).Ideally(expect.That("every scope once", func(e any) string {
			if s, ok := e.(string); ok && slices.Contains(scopes.list()[:i], any(s)) {
				return fmt.Sprintf("%q appears twice", s)
			}
			return ""
		}))
	}
}

// beScopeToken expects one scope token (RFC 6749 section 3.3).
var beScopeToken = expect.Family("beScopeToken", func() expect.Matcher {
	return expect.That("a string that is one scope token (RFC 6749 section 3.3)", func(e any) string {
		s, isString := e.(string)
		switch {
		case !isString:
			return document.Kind(e)
		case !expect.ScopeToken(s):
			return fmt.Sprintf("%q", s)
		}
		return ""
	})
})

func listsFewScopes(t *T) { eachDocument(t, judgeNumber, "scopes_supported") }

func judgeNumber(t *T, d *survey.Document) {
	scopes, ok := d.Object.Strings("scopes_supported")
	if !ok {
		t.NotApplicable("scopes_supported is absent or malformed")
	}
	t.Expect(scopes).SeenIn(d.Exchange).To(
		expect.That("no scope for everything together with others", func(scopes []string) string {
			if i := slices.IndexFunc(scopes, expect.Omnibus); i >= 0 && len(scopes) > 1 {
				return fmt.Sprintf("the scope %q", scopes[i])
			}
			return ""
		}),
		expect.That("15 scopes at most: clients without other guidance ask for all of them", func(scopes []string) string {
			if len(scopes) > 15 {
				return fmt.Sprintf("%d scopes", len(scopes))
			}
			return ""
		}))
}

// MCP 2026-07-28, Refresh Tokens.
func leavesOfflineAccessOut(t *T) {
	eachDocument(t, func(t *T, d *survey.Document) {
		scopes, _ := d.Object.Strings("scopes_supported")
		t.Expect(scopes, "scopes_supported").SeenIn(d.Exchange).To(notHoldOfflineAccess())
	}, "scopes_supported")
	for _, ex := range refusals(t) {
		v, _ := expect.Param(ex, "scope")
		t.Expect(strings.Fields(v), "the challenge").SeenIn(ex).To(notHoldOfflineAccess())
	}
}

var notHoldOfflineAccess = expect.Family("notHoldOfflineAccess", func() expect.Matcher {
	return expect.That("no offline_access, which only concerns the authorization server", func(scopes []string) string {
		if slices.Contains(scopes, "offline_access") {
			return strings.Join(scopes, " ")
		}
		return ""
	})
})

func advertisesHeaderOnly(t *T) { eachDocument(t, judgeMethods, "bearer_methods_supported") }

func judgeMethods(t *T, d *survey.Document) {
	m := memberOf(d, "bearer_methods_supported")
	if !m.present {
		t.NotApplicable("bearer_methods_supported is absent, which is allowed")
	}
	methods, isList := d.Object.Strings(m.name)
	seen := t.Expect(m).SeenIn(d.Exchange)
	if !seen.To(onMember("an array of strings", func(member) bool { return isList })) {
		return
	}
	holds := func(expected string, good func() bool) expect.Matcher {
		return expect.That(expected, func(member) string {
			if good() {
				return ""
			}
			return "bearer_methods_supported: [" + strings.Join(methods, ", ") + "]"
		})
	}
	seen.To(
		holds("no query: MCP forbids tokens in the URI", func() bool { return !slices.Contains(methods, "query") }),
		holds("header, which MCP demands", func() bool { return len(methods) == 0 || slices.Contains(methods, "header") }))
	seen.Ideally(
		holds("only header, body and query, which RFC 9728 section 2 defines",
			func() bool { return !slices.ContainsFunc(methods, undefined) }),
		holds("header only: a JSON-RPC body has no form parameter", func() bool { return !slices.Contains(methods, "body") }))
}

// undefined is a bearer method that RFC 9728 section 2 does not define.
func undefined(method string) bool {
	return !slices.Contains([]string{"header", "body", "query"}, method)
}

// RFC 9728 section 3.2. An empty bearer_methods_supported has a meaning of its own (section 2).
func leavesOutWhatIsEmpty(t *T) {
	Each(t, found(t), func(t *T, d *survey.Document) {
		for _, m := range d.Object.Members {
			if m.Name != "bearer_methods_supported" {
				t.Expect(member{m.Name, m.Value, true}).SeenIn(d.Exchange).To(onMember("a document without empty members", notEmpty))
			}
		}
	})
}

func notEmpty(m member) bool {
	switch x := m.value.(type) {
	case nil:
		return false
	case string:
		return x != ""
	case []any:
		return len(x) > 0
	case *document.Object:
		return len(x.Members) > 0
	}
	return true
}

func publishesPublicKeysOnly(t *T) {
	eachDocument(t, judgeKeys, "jwks_uri", "resource_signing_alg_values_supported", "dpop_signing_alg_values_supported")
}

func judgeKeys(t *T, d *survey.Document) {
	uri := memberOf(d, "jwks_uri")
	signing, dpop := memberOf(d, "resource_signing_alg_values_supported"), memberOf(d, "dpop_signing_alg_values_supported")
	if !uri.present && !signing.present && !dpop.present {
		t.NotApplicable("the document names no keys and no algorithms")
	}
	t.Expect(signing).SeenIn(d.Exchange).To(listNone("no algorithm none in resource_signing_alg_values_supported", "none"))
	t.Expect(dpop).SeenIn(d.Exchange).To(listNone("only asymmetric algorithms in dpop_signing_alg_values_supported", "none", "hs"))
	if !uri.present {
		return
	}
	address := d.Object.String("jwks_uri")
	if t.Expect(address).SeenIn(d.Exchange).To(be("an https jwks_uri", func(s string) bool {
		u, err := document.ParseURL(s)
		return err == nil && (u.Scheme == "https" || document.LoopbackHost(u.Hostname()))
	})) {
		keys := t.Get(address)
		if expect.Status(keys) != 200 {
			t.Leave("the key set", expect.Describe(keys))
		}
		t.Expect(keys, "the key set").To(haveNoPrivateKey())
	}
}

// listNone expects a list without algorithms that begin with a text, in any letter case.
var listNone = expect.Family("listNone", func(expected string, beginnings ...string) expect.Matcher {
	return expect.That(expected, func(m member) string {
		for _, e := range m.list() {
			s, _ := e.(string)
			if slices.ContainsFunc(beginnings, func(b string) bool { return strings.HasPrefix(strings.ToLower(s), b) }) {
				return fmt.Sprintf("%s lists %q", m.name, s)
			}
		}
		return ""
	})
})

var haveNoPrivateKey = expect.Family("haveNoPrivateKey", func() expect.Matcher {
	return expect.That("public keys only", func(ex *reports.Exchange) string {
		if names := expect.PrivateKeyMembers(ex); len(names) > 0 {
			return "the key set holds the private member " + names[0]
		}
		return ""
	})
})
