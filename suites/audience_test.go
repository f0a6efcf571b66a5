package suites_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mcpauth/conformance/fakes/idp"
	"github.com/mcpauth/conformance/fakes/mcpserver"
	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites"
	"github.com/mcpauth/conformance/suites/tests/against"
)

// anyResource is an authorization server that issues tokens for any requested resource.
func anyResource(o *reference.Options) {
	o.Behaviour.Lacks = append(o.Behaviour.Lacks, idp.KnownResources)
}

func anyAudience(o *reference.Options) {
	anyResource(o)
	o.Policy.Lacks = append(o.Policy.Lacks, mcpserver.CheckAudience)
}

// noAudience is an authorization server whose tokens name no audience, with a server that accepts them.
func noAudience(o *reference.Options) {
	anyAudience(o)
	o.Behaviour.AccessToken = func(_, claims map[string]any) { claims["aud"] = []string{} }
}

// The check sends the target a token for another resource, whether or not another resource is declared.
func TestForeignTokensArePresented(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		bend func(o *reference.Options)
		want map[string]reports.Verdict
	}{
		"a right server": {func(*reference.Options) {}, map[string]reports.Verdict{
			"AS-RES-UNKNOWN-TARGET": reports.Pass, "RS-AUD-CROSS-RESOURCE": reports.NotTested, "AS-RES-AUDIENCE-BOUND": reports.Pass,
		}},
		"a server that looks at the audience": {anyResource, map[string]reports.Verdict{
			"AS-RES-UNKNOWN-TARGET": reports.Warn, "RS-AUD-CROSS-RESOURCE": reports.Pass,
		}},
		"tokens without an audience, of the server's own authorization server": {noAudience, map[string]reports.Verdict{
			"AS-RES-UNKNOWN-TARGET": reports.Warn, "RS-AUD-CROSS-RESOURCE": reports.NotTested, "AS-RES-AUDIENCE-BOUND": reports.Warn,
		}},
		"tokens without an audience, of another authorization server": {func(o *reference.Options) {
			noAudience(o)
			o.Apart = true
		}, map[string]reports.Verdict{
			"AS-RES-UNKNOWN-TARGET": reports.Warn, "RS-AUD-CROSS-RESOURCE": reports.Fail, "AS-RES-AUDIENCE-BOUND": reports.Warn,
		}},
		"a server that does not": {anyAudience, map[string]reports.Verdict{
			"AS-RES-UNKNOWN-TARGET": reports.Warn, "RS-AUD-CROSS-RESOURCE": reports.Fail,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := reference.Ideal()
			c.bend(&o)
			cfg := against.SigningIn(against.Start(t, o))
			cfg.OtherResource, cfg.Only = "", []string{"AS-RES-UNKNOWN-TARGET", "RS-AUD-CROSS-RESOURCE", "AS-RES-AUDIENCE-BOUND"}
			for _, r := range against.Run(t, cfg).Results {
				if want, ok := c.want[r.ID]; ok {
					assert.Equal(t, want, r.Verdict, "%s: %s", r.ID, r.Reason)
				}
			}
		})
	}
}

// If the audience of an opaque token cannot be seen, the reason says what the owner of this server can do about it.
func TestAnUnseenAudienceNamesWhatHelps(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		bend    func(o *reference.Options)
		declare func(c *suites.Config)
		want    string
	}{
		"no introspection endpoint": {opaque, nil, "metadata with an introspection_endpoint"},
		"nobody may introspect": {func(o *reference.Options) { o.Behaviour.Opaque, o.Behaviour.Introspector = "at_", "somebody" }, nil,
			"; declare the client with which the resource server introspects tokens"},
		"an answer without aud": {func(o *reference.Options) {
			byResourceServer(o)
			o.Behaviour.Opaque = "at_"
			o.Behaviour.Response = func(_ string, d map[string]any) { delete(d, "aud") }
		}, introspecting, "introspection by the declared client does not tell it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := reference.Ideal()
			anyAudience(&o)
			c.bend(&o)
			r := against.Start(t, o)
			cfg := against.SigningIn(r)
			cfg.OtherResource, cfg.Only = "", []string{"RS-AUD-CROSS-RESOURCE"}
			if c.declare != nil {
				c.declare(&cfg)
			}
			for _, r := range against.Run(t, cfg).Results {
				assert.Equal(t, reports.Inconclusive, r.Verdict, r.Reason)
				assert.Contains(t, r.Reason, c.want)
			}
		})
	}
}

// Any resource that answers GET with a token can be the other resource.
func TestTheOtherResourceMayBePlain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		bend func(o *reference.Options)
		want reports.Verdict
	}{{anyResource, reports.Pass}, {anyAudience, reports.Fail}} {
		o := reference.Ideal()
		c.bend(&o)
		r := against.Start(t, o)
		cfg := against.SigningIn(r)
		var api *httptest.Server
		api = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.URL.Path != "/api" || r.Method != http.MethodGet:
				http.NotFound(w, r)
			case !strings.Contains(audienceOf(r.Header.Get("Authorization")), api.URL+"/api"):
				w.WriteHeader(http.StatusUnauthorized)
			}
		}))
		t.Cleanup(api.Close)
		r.IDP.Resources = append(r.IDP.Resources, api.URL+"/api")
		cfg.OtherResource, cfg.Only = api.URL+"/api", []string{"RS-AUD-CROSS-RESOURCE"}
		for _, r := range against.Run(t, cfg).Results {
			assert.Equal(t, c.want, r.Verdict, r.Reason)
		}
	}
}

// audienceOf returns the aud of the token in an Authorization field.
func audienceOf(authorization string) string {
	parts := strings.Split(authorization, ".")
	if len(parts) != 3 {
		return ""
	}
	b, _ := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct {
		Aud json.RawMessage `json:"aud"`
	}
	_ = json.Unmarshal(b, &claims)
	return string(claims.Aud)
}

// forAnother is an issuer whose ordinary tokens are for another audience than the published one.
type forAnother struct{ suites.Issuer }

const configured = "https://configured.example/mcp"

func (i forAnother) Claims(subject string, scopes []string) map[string]any {
	claims := i.Issuer.Claims(subject, scopes)
	claims["aud"] = configured
	return claims
}

// A server is accused of wanting another audience only where the audience is why it refuses a token.
func TestRefusedTokensAreNotPutDownToTheirAudience(t *testing.T) {
	t.Parallel()
	wanting := func(o *reference.Options) { o.Policy.Audience = configured }
	unsigned, slash := flawed("token-unpublished-key"), flawed("prm-names-another-resource")
	expectFairness(t, map[string]fairness{
		"no token of the login is served":                 {unsigned, byLogin, "RS-AUD-MATCHES-PRM", reports.Inconclusive},
		"no token of the login is served, a minted is":    {unsigned, nil, "RS-AUD-MATCHES-PRM", reports.Inconclusive},
		"no token for any resource is served":             {wanting, byLogin, "RS-AUD-MATCHES-PRM", reports.Inconclusive},
		"the login's tokens are for something else":       {flawed("audience-fixed"), nil, "RS-AUD-MATCHES-PRM", reports.Inconclusive},
		"every refusal speaks of audiences":               {speakingOfAudiences, byLogin, "RS-AUD-MATCHES-PRM", reports.Inconclusive},
		"a token with a slash at the end of it is served": {slash, byLogin, "RS-AUD-MATCHES-PRM", reports.Fail},
		"a minted token for another audience is served": {wanting, func(c *suites.Config) { c.Issuer = forAnother{c.Issuer} },
			"RS-AUD-MATCHES-PRM", reports.Fail},
	})
}

// speakingOfAudiences refuses every token in the same words.
func speakingOfAudiences(o *reference.Options) {
	flawed("token-unpublished-key")(o)
	o.Policy.Challenge = func(cause, url string) []string {
		return []string{`Bearer resource_metadata="` + url + `", error="invalid_token", error_description="Bad token or audience"`}
	}
}
