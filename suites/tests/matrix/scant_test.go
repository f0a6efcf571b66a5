package matrix_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/fixtures/whole"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites"
	"github.com/mcpauth/conformance/suites/target"
	"github.com/mcpauth/conformance/suites/tests/against"
)

// setup is the configuration of a user who declares little.
type setup struct {
	name   string
	bend   func(o *reference.Options) // further changes of the server
	reduce func(cfg suites.Config) suites.Config
	ids    string // what the ids of the requirements begin with; empty for all
	has    string // what is declared or given: a flaw that needs no more than that has no excuse
}

// scant has no issuer, clock, second resource, upstream, tools or credentials: only a URL, and a login or a token. The last set-up lacks
// only the values that checks compare with.
var scant = []setup{
	{"a login", nil, onlyLogin, "", hasLogin},
	{"a login, default scopes", func(o *reference.Options) { o.Behaviour.DefaultScopes = []string{"notes:read"} }, onlyLogin, "", hasLogin},
	{"a token", nil, func(cfg suites.Config) suites.Config {
		no := false
		out := onlyLogin(cfg)
		out.Token, out.Users, out.Register = cfg.Token, nil, &no
		return out
	}, "", "a token"},
	{"API keys", nil, func(cfg suites.Config) suites.Config {
		no := false
		out := onlyLogin(cfg)
		out.Users, out.Register = nil, &no
		out.Credentials = slices.DeleteFunc(slices.Clone(cfg.Credentials), func(c suites.Credential) bool { return c.Header == "" })
		return out
	}, "RS-TOKEN-", ""},
	{"all but tools, a clock and a second resource", nil, func(cfg suites.Config) suites.Config {
		cfg.Tools, cfg.Objects, cfg.OtherResource, cfg.Clock = nil, nil, "", nil
		return cfg
	}, "", hasLogin + "; a second user; a trusted issuer; a trusted issuer, for a longer token than the user's; a client that acts for " +
		"itself; a client with a metadata document; a client for client_credentials; a client with a key; identity assertions"},
}

const hasLogin = "a login; a client; a token"

// onlyLogin keeps the URL and the first user.
func onlyLogin(cfg suites.Config) suites.Config {
	bare := target.Target{Limits: cfg.Limits}
	bare.URL, bare.Users = cfg.URL, cfg.Users[:min(1, len(cfg.Users))]
	bare.AllowIntrusive = cfg.AllowIntrusive
	return suites.Config{Target: bare, RootCAs: cfg.RootCAs, ConnectTo: cfg.ConnectTo, Patience: cfg.Patience}
}

// start starts a reference, with or without a flaw, and makes the configuration of the set-up.
func (s setup) start(t *testing.T, bend func(o *reference.Options)) suites.Config {
	t.Helper()
	o := reference.Ideal()
	for _, b := range []func(o *reference.Options){s.bend, bend} {
		if b != nil {
			b(&o)
		}
	}
	r := against.Start(t, o)
	cfg := against.SigningIn(r)
	intrusive := true
	cfg.AllowIntrusive, cfg.Token = &intrusive, r.Token()
	return s.reduce(cfg)
}

// A check that passes at a right server with few declarations must not pass at a server with a flaw that it must notice.
func TestNothingIsClaimedOfAFlawWithLittleDeclared(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it is as long as the whole matrix, for each set-up")
	}
	tried, sharing, sampled := sample(rows(), 64), false, func(*testing.T, string) {}
	switch {
	case os.Getenv("MCPAUTH_KILL") != "":
		tried = chosen(t, rows())
	case whole.More():
		tried, sharing = inShare(rows()), true // each flaw in one of the set-ups
	default:
		sampled = whole.Sample(t, "a login", "a token")
	}
	for i, s := range scant {
		t.Run(s.name, func(t *testing.T) {
			sampled(t, s.name)
			t.Parallel()
			cfg := s.start(t, nil)
			cfg.Only = noticedBy(tried)
			clean := against.Run(t, cfg)
			for _, r := range tried {
				if sharing && int(whole.Number(r.Name)%uint32(len(scant))) != i {
					continue
				}
				decided := slices.DeleteFunc(slices.Clone(r.Noticed), func(id string) bool {
					return !passes(clean, id) || !strings.HasPrefix(id, s.ids)
				})
				if len(decided) == 0 || unannounced[r.Name] {
					continue
				}
				t.Run(r.Name, func(t *testing.T) {
					t.Parallel()
					cfg := s.start(t, r.Bend)
					cfg.Only = decided
					run := looked(t, cfg)
					for _, id := range decided {
						if needed := needsMore(r.Name); needed != "" && !slices.Contains(strings.Split(s.has, "; "), needed) {
							assert.True(t, !passes(run, id) || saysWhatIsUntried(run, id), "%s does not say that it needs %s", id, needed)
							continue
						}
						assert.False(t, passes(run, id), "%s passes, though %s", id, r.Says)
					}
				})
			}
		})
	}
}

// noticedBy returns the checks that must notice one of the flaws.
func noticedBy(tried []row) (ids []string) {
	for _, r := range tried {
		ids = append(ids, r.Noticed...)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// Each excuse names an existing flaw.
func TestExcusesAreOfFlaws(t *testing.T) {
	names := map[string]bool{}
	for _, r := range rows() {
		names[r.Name] = true
	}
	for name := range beyond {
		assert.True(t, names[name], "there is no flaw %s", name)
	}
}

// passes reports whether a check passes everywhere it applies.
func passes(run *reports.Run, id string) bool {
	passed := false
	for _, res := range run.Results {
		if res.ID == id && res.Verdict != reports.Pass && res.Verdict != reports.NotApplicable {
			return false
		}
		passed = passed || res.ID == id && res.Verdict == reports.Pass
	}
	return passed
}

// saysWhatIsUntried reports whether each result of a check that passes notes a part that was not tried, and what it needs.
func saysWhatIsUntried(run *reports.Run, id string) bool {
	return !slices.ContainsFunc(run.Results, func(res reports.Result) bool {
		return res.ID == id && res.Verdict == reports.Pass && !slices.ContainsFunc(res.Notes, func(note string) bool {
			return strings.Contains(note, "not tried, since it needs ")
		})
	})
}

// needsMore returns what must be declared for a part of a check to notice a flaw; empty if the flaw must be noticed without it.
func needsMore(flaw string) string {
	switch {
	case strings.HasPrefix(flaw, "signature-unjudged-in-"):
		return "a token"
	case strings.HasPrefix(flaw, "authorize-quotes-"):
		if strings.HasSuffix(flaw, "-after-failure") || strings.Contains(flaw, "-signed-in-user") {
			return "a login"
		}
	}
	return beyond[flaw]
}

// unannounced are flaws about an issuer that the server trusts and does not name.
var unannounced = map[string]bool{"second-issuer-unsigned": true}

// beyond are flaws in a part of a check that needs more declarations: the rest passes without them, and a note says what was not tried.
var beyond = map[string]string{
	"login-remembers-name":                           "a second user",
	"login-session-in-form":                          "a second user",
	"login-session-names-user":                       "a second user",
	"login-session-unverified":                       "a second user",
	"authorize-error-as-json-redirect":               "a client",
	"authorize-quotes-refused-scope":                 "a login",
	"authorize-quotes-refused-response_type":         "a login",
	"authorize-quotes-in-crash-response_type":        "a login",
	"authorize-quotes-refused-resource":              "a login",
	"claims-in-fields":                               "a trusted issuer",
	"scope-copied":                                   "a client that the server restricts to no scopes",
	"key-without-user":                               "a tool that tells who calls",
	"scope-before-expiry":                            "a tool with a scope",
	"scope-before-revocation":                        "a tool with a scope",
	"scope-challenge-bare":                           "a tool with a scope",
	"scope-challenge-beyond-ascii":                   "a tool with a scope",
	"scope-challenge-mixed-up":                       "a tool with a scope",
	"scope-challenge-repeated":                       "a tool with a scope",
	"login-quotes-user":                              "a login",
	"authorize-posts-state-as-markup":                "a login",
	"believes-alg-in-list":                           "a trusted issuer",
	"consent-of-any-user":                            "a second user",
	"old-stream-of-anybody":                          "a second user",
	"old-stream-of-anybody-late":                     "a second user",
	"passes-compressed":                              "a trusted issuer",
	"token-credentials-for-a-year":                   "a client that acts for itself",
	"token-credentials-no-type":                      "a client that acts for itself",
	"token-weak-secret-of-credentials":               "a client that acts for itself",
	"pkce-downgrade-of-documents":                    "a client with a metadata document",
	"token-code-of-any-document":                     "a client with a metadata document",
	"token-takes-credentials-first-grant-type":       "a client for client_credentials",
	"token-takes-credentials-first-scope":            "a client for client_credentials",
	"token-takes-credentials-last-grant-type":        "a client for client_credentials",
	"token-takes-credentials-last-scope":             "a client for client_credentials",
	"pkce-not-of-documents":                          "a client with a metadata document",
	"pkce-not-required-of-documents":                 "a client with a metadata document",
	"runs-before-refusal-expired":                    "a tool whose effect can be read",
	"runs-before-refusal-foreign":                    "a tool whose effect can be read",
	"runs-before-refusal-garbage":                    "a tool whose effect can be read",
	"runs-before-refusal-missing":                    "a tool whose effect can be read",
	"token-credentials-stored":                       "a client for client_credentials",
	"userinfo-by-cookie":                             "a login",
	"scope-403-unquoted":                             "a tool with a scope",
	"token-in-output":                                "a tool that may be called",
	"side-route-in-own-form":                         "a tool that may be called",
	"authorize-quotes-refused-response_mode":         "a login",
	"authorize-quotes-refused-code_challenge":        "a login",
	"authorize-quotes-refused-code_challenge_method": "a login",
	"revoke-spares-machines":                         "a client that acts for itself",
	"pkce-exempts-keys":                              "a client with a key",
	"token-stored-of-assertions":                     "identity assertions",
	"consent-remembered-for-documents":               "a client with a metadata document",
	"token-limit-unsaid":                             "a trusted issuer, for a longer token than the user's",
}

// A declared login or token means that the target is protected: serving everybody is then a failure, whatever it publishes.
func TestAnOpenServerIsNoticedWithLittleDeclared(t *testing.T) {
	t.Parallel()
	const id = "RS-CHALLENGE-401-STATUS"
	for _, name := range []string{"open-with-metadata", "open-without-metadata"} {
		at := slices.IndexFunc(rows(), func(r row) bool { return r.Name == name })
		for _, s := range scant {
			t.Run(name+"/"+s.name, func(t *testing.T) {
				cfg := s.start(t, rows()[at].Bend)
				cfg.Only = []string{id}
				run := against.Run(t, cfg)
				for _, res := range run.Results {
					assert.Equal(t, reports.Fail, res.Verdict, res.Reason)
				}
				assert.NotEmpty(t, run.Results)
			})
		}
	}
}

// A login alone shows that a server remembers a token by less than the whole token, in both looks.
func TestARememberedTokenIsFoundWithALogin(t *testing.T) {
	t.Parallel()
	for _, r := range rows() {
		if !strings.HasPrefix(r.Name, "kept-by-") {
			continue
		}
		t.Run(r.Name, func(t *testing.T) {
			t.Parallel()
			cfg := scant[0].start(t, r.Bend)
			cfg.Only = r.Noticed
			run := against.Run(t, cfg)
			for _, res := range run.Results {
				assert.Equal(t, reports.Fail, res.Verdict, res.Reason)
			}
			assert.NotEmpty(t, run.Results)
		})
	}
}
