// Package introspection holds the checks on token introspection (RFC 7662).
package introspection

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/wire"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// Register registers the area.
func Register() {
	Describe("RFC 7662 section 2.1: Introspection Request", request)
	Describe("RFC 7662 section 2.2: Introspection Response", response)
}

// tells reports that an answer says something about the token.
func tells(ex *reports.Exchange) bool {
	o := oauth.Object(ex)
	active, _ := o.Bool("active")
	return active || o.String("sub") != "" || o.String("client_id") != "" || o.String("username") != ""
}

func request() {
	Must("AS-INTROSPECT-AUTH-REQUIRED", func(t *T) {
		tokens := t.AS.MustGetTokens()
		for about, edits := range Sorted(map[string][]Edit{
			"no credentials": {Unidentified()}, "the client_id of a public client": {As(t.AS.AnyClient())}, "the token itself as bearer": {Unidentified(), Header(mcp.Bearer(tokens.Access))},
		}) {
			if about == "the client_id of a public client" && !tokens.Client.Public() {
				continue
			}
			ex := t.AS.Introspect(tokens.Client, tokens.Access, edits...)
			switch {
			case tells(ex) && about == "the token itself as bearer":
				t.Note("a token may introspect itself")
			case tells(ex):
				t.Finding(ex, about, "HTTP 401 without token information (RFC 7662 section 2.1)", "the answer tells about the token")
			case expect.Status(ex) == 200:
				t.Advise(ex, "HTTP 401", "%s: HTTP 200 that says nothing", about)
			case expect.Status(ex) >= 500 || ex.Response == nil:
				t.Finding(ex, about, "HTTP 401", expect.Describe(ex))
			default:
				t.Refused()
			}
		}
	})

	Must("AS-INTROSPECT-BAD-CREDENTIALS", func(t *T) {
		c := t.AS.ConfidentialClient()
		ask := func(edits ...Edit) *reports.Exchange { return t.AS.Introspect(c, "mcpauth-unknown", edits...) }
		if ex := ask(); expect.Status(ex) != 200 {
			t.Inconclusive("the control failed: with the right credentials the answer is %s", expect.Describe(ex))
		}
		t.Controlled()
		for about, field := range Sorted(map[string]reports.Field{"a wrong secret by Basic": oauth.BasicAuth(c.ID, "mcpauth-wrong"), "a made-up bearer token": mcp.Bearer("mcpauth-made-up")}) {
			t.Expect(ask(Unidentified(), Header(field)), "%s", about).To(expect.Refuse(401, 400, 403))
		}
		t.Expect(ask(Unidentified(), With("client_id", c.ID), With("client_secret", "mcpauth-wrong")), "a wrong secret in the body").To(expect.Refuse(401, 400))
	})

	Practice("AS-INTROSPECT-OTHER-CLIENT", func(t *T) {
		tokens := t.AS.MustGetTokens()
		stranger, ex := t.AS.Register(map[string]any{"token_endpoint_auth_method": t.Session.SecretMethod()})
		if stranger == nil || stranger.Secret == "" {
			t.NotApplicable("registration issues no secrets: %s", expect.Describe(ex))
		}
		ex = t.AS.Introspect(stranger, tokens.Access)
		o := oauth.Object(ex)
		switch active, _ := o.Bool("active"); {
		case o.String("sub") != "" || o.String("username") != "" || o.String("client_id") != "":
			t.Unmet(ex, "nothing about tokens of others for a client that registered itself", "the answer tells about user or client")
		case active:
			t.Advise(ex, "nothing about tokens of others for a client that registered itself", "the answer says that the token is active")
		default:
			t.Refused()
		}
	})

	Practice("AS-INTROSPECT-REQUEST-FORM", func(t *T) {
		c := t.AS.ConfidentialClient()
		tokens := t.AS.MustGetTokens(As(c))
		ex := t.Do(wire.Request{Method: "GET", URL: t.AS.Server().Introspection + "?token=" + tokens.Access, Header: []reports.Field{oauth.BasicAuth(c.ID, c.Secret)}})
		if tells(ex) {
			t.Advise(ex, "introspection by POST only, since URLs end up in logs", "GET answers")
		}
		without := t.AS.Introspect(c, "", Without("token"))
		if s := expect.Status(without); s < 400 || s > 499 {
			t.Finding(without, "no token", "HTTP 400", expect.Describe(without))
		}
		for _, hint := range []string{"mcpauth_bogus", "refresh_token"} {
			hinted := t.AS.Introspect(c, tokens.Access, With("token_type_hint", hint))
			if active, _ := oauth.Object(hinted).Bool("active"); !active && oauth.ErrorCode(hinted) != "unsupported_token_type" {
				t.Finding(hinted, "token_type_hint "+hint, "the token found all the same (RFC 7662 section 2.1)", expect.Describe(hinted))
			}
		}
	})

	Practice("AS-INTROSPECT-SIDE-ENDPOINTS", func(t *T) {
		found := false
		for _, path := range []string{"/oauth/tokeninfo", "/tokeninfo", "/verify", "/auth/verify"} {
			endpoint := strings.TrimSuffix(t.AS.Server().Issuer, "/") + path
			ex := t.Get(endpoint, mcp.Bearer("mcpauth-made-up"))
			if s := expect.Status(ex); s == 404 || s == 405 || endpoint == t.AS.Server().Introspection || oauth.Object(ex) == nil {
				continue
			}
			found = true
			if s := expect.Status(ex); s != 401 && s != 400 && s != 403 {
				t.Finding(ex, path+" with a made-up token", "HTTP 401", expect.Describe(ex))
			}
			tokens := t.AS.MustGetTokens()
			if ex := t.Get(endpoint + "?access_token=" + tokens.Access); tells(ex) {
				t.Finding(ex, path, "no token in the query, and an authenticated caller", "it answers anybody about any token")
			}
		}
		if !found {
			t.NotApplicable("there is no other introspection endpoint in the usual places")
		}
	})
}

func response() {
	Must("AS-INTROSPECT-ACTIVE-SHAPE", func(t *T) {
		c := t.AS.ConfidentialClient()
		tokens := t.AS.MustGetTokens(As(c))
		ex := t.AS.Introspect(c, tokens.Access, With("token_type_hint", "access_token"))
		o := oauth.Object(ex)
		if oauth.ErrorCode(ex) == "unsupported_token_type" {
			t.NotApplicable("the server does not introspect its access tokens, which are JWTs, and says so")
		}
		if expect.Status(ex) != 200 || o == nil {
			t.Unmet(ex, "HTTP 200 with a JSON object", "%s", expect.Describe(ex))
			return
		}
		if active, isBool := o.Bool("active"); !isBool || !active {
			v, _ := o.Get("active")
			t.Unmet(ex, "active: true for the client's own token", "active %v (%T)", v, v)
			return
		}
		if id := o.String("client_id"); id != "" && id != c.ID {
			t.Unmet(ex, "client_id "+c.ID, "client_id %s", id)
		}
		if s := o.String("scope"); s != "" && tokens.HasScope && !sameScopes(strings.Fields(s), tokens.Scope) {
			t.Unmet(ex, "the granted scope "+strings.Join(tokens.Scope, " "), "scope %s", s)
		}
		if v, ok := o.Get("exp"); ok {
			exp, number := expect.Number(v)
			lifetime, _ := tokens.Body.Get("expires_in")
			in, has := expect.Number(lifetime)
			switch {
			case !number:
				t.Unmet(ex, "exp: a number of seconds since 1970", "%v (%T)", v, v)
			case exp < float64(time.Now().Unix()):
				t.Unmet(ex, "exp in the future", "%v", v)
			case has && math.Abs(exp-float64(time.Now().Unix())-in) > 60:
				t.Unmet(ex, fmt.Sprintf("exp that agrees with expires_in %v", in), "exp %v", v)
			}
		}
		if iss := o.String("iss"); iss != "" && iss != t.AS.Server().Metadata.String("issuer") {
			t.Unmet(ex, "iss equal to the metadata's issuer", "iss %s", iss)
		}
	})

	Must("AS-INTROSPECT-INACTIVE", func(t *T) {
		each(t, func(ex *reports.Exchange, about string) {
			if active, isBool := oauth.Object(ex).Bool("active"); expect.Status(ex) != 200 || !isBool || active {
				t.Finding(ex, about, "HTTP 200 with active: false", expect.Describe(ex)+" "+activeOf(ex))
			}
		})
	})

	Should("AS-INTROSPECT-NO-LEAK", func(t *T) {
		each(t, func(ex *reports.Exchange, about string) {
			o := oauth.Object(ex)
			if active, _ := o.Bool("active"); o == nil || active {
				return
			}
			for _, m := range o.Members {
				if slices.Contains([]string{"sub", "username", "client_id", "scope", "exp", "reason", "error", "aud"}, m.Name) {
					t.Finding(ex, about, "active: false and nothing else (RFC 7662 section 2.2)", "the answer holds "+m.Name)
				}
			}
		})
	})

	Practice("AS-INTROSPECT-REFRESH-TOKEN", func(t *T) {
		c := t.AS.ConfidentialClient()
		tokens := t.AS.MustGetTokens(As(c))
		if tokens.Refresh == "" {
			t.NotApplicable("a confidential client gets no refresh token")
		}
		ex := t.AS.Introspect(c, tokens.Refresh)
		o := oauth.Object(ex)
		active, _ := o.Bool("active")
		kind := strings.ToLower(o.String("token_type") + o.String("token_use") + o.String("typ"))
		if active && strings.Contains(kind, "bearer") && !strings.Contains(kind, "refresh") {
			t.Advise(ex, "a refresh token inactive, or marked as one", "it looks like an access token")
		}
	})
}

// each asks about tokens that are not good.
func each(t *T, judge func(ex *reports.Exchange, about string)) {
	c := t.AS.ConfidentialClient()
	tokens := t.AS.MustGetTokens(As(c))
	middle := len(tokens.Access) / 2
	values := map[string]string{
		"a token that was never issued": "mcpauth-" + Random(24), "a made-up JWT": "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.AAAA",
		"a real token with a character changed": t.NearMiss(tokens.Access, middle),
		"an authorization code":                 t.AS.MustAuthorize(As(c)).Code(),
	}
	if tokens.Refresh != "" {
		if next := t.AS.MustRefresh(tokens); next.Refresh != tokens.Refresh {
			values["a used refresh token"] = tokens.Refresh
		}
	}
	if t.AS.Server().Revocation != "" {
		dead := t.AS.MustGetTokens(As(c))
		if ex := t.AS.Revoke(dead, dead.Access); expect.Status(ex) == 200 {
			values["a revoked access token"] = dead.Access
		}
	}
	for about, v := range Sorted(values) {
		ex := t.AS.Introspect(c, v)
		if oauth.ErrorCode(ex) == "unsupported_token_type" {
			continue
		}
		judge(ex, about)
	}
}

func activeOf(ex *reports.Exchange) string {
	v, _ := oauth.Object(ex).Get("active")
	return fmt.Sprintf("active %v", v)
}

func sameScopes(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}
