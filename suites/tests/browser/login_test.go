package browser_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"image"
	_ "image/jpeg"
	_ "image/png"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fakes/idp"
	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/fixtures/whole"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites"
	"github.com/mcpauth/conformance/suites/target"
	"github.com/mcpauth/conformance/suites/tests/against"
)

// Some checks that need a login, and the pages before it.
var afterLogin = []string{"AS-PKCE-S256-ACCEPTED", "AS-TOKEN-SUCCESS-SHAPE", "AS-REFRESH-WORKS"}

// secondFactor is the base32 secret of an authenticator.
const secondFactor = "JBSWY3DPEHPK3PXP"

// pages are the kinds of login pages that users meet.
var pages = map[string]func(o *reference.Options){
	"one page":  func(*reference.Options) {},
	"two pages": func(o *reference.Options) { o.Behaviour.Pages = "two-pages" },
	"form_post": func(o *reference.Options) { o.Behaviour.ResponseMode = "form_post" },
	"second factor": func(o *reference.Options) {
		o.Users = []idp.User{{Name: "alice", Password: "alice-7-looking-glass", OneTime: secondFactor}}
	},
	"scripts only":      func(o *reference.Options) { o.Behaviour.Pages = "javascript" },
	"a second window":   func(o *reference.Options) { o.Behaviour.Pages = "popup" },
	"without a consent": func(o *reference.Options) { o.Behaviour.Consent = "never" },
	"https":             func(o *reference.Options) { o.Host = "mcp.example.com" },
	"a federated hop":   func(o *reference.Options) { o.Proxy = true },
}

func withBrowser(t *testing.T) {
	t.Helper()
	if err := suites.BrowserFound(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("INCONCLUSIVE: %v", err)
		}
		t.Skipf("INCONCLUSIVE, the browser steps were not tested: %v", err)
	}
}

func TestLogin(t *testing.T) {
	t.Parallel()
	sampled := whole.Sample(t, "form, two pages", "form, scripts only", "browser, form_post", "browser, a second window",
		"auto, a federated hop")
	for _, driver := range []string{"form", "browser", "auto"} {
		for name, vary := range pages {
			t.Run(driver+", "+name, func(t *testing.T) {
				sampled(t, driver+", "+name)
				if driver != "form" {
					withBrowser(t)
				}
				o := reference.Ideal()
				vary(&o)
				cfg := against.SigningIn(against.Start(t, o))
				cfg.Driver, cfg.Only, cfg.BrowserNoSandbox = driver, afterLogin, true
				run, err := suites.Run(t.Context(), cfg)
				require.NoError(t, err)
				if driver == "form" && (name == "scripts only" || name == "a second window") {
					for _, r := range run.Run().Results {
						assert.NotEqual(t, reports.Pass, r.Verdict, r.ID)
						assert.NotEqual(t, reports.Fail, r.Verdict, r.ID)
					}
					return
				}
				against.Clean(t, run.Run())
			})
		}
	}
}

// signedOutOnce forgets the session of the first posted authorization request.
func signedOutOnce() func(next http.Handler) http.Handler {
	var posted atomic.Bool
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/authorize") && !posted.Swap(true) {
				r.Header.Del("Cookie")
			}
			next.ServeHTTP(w, r)
		})
	}
}

// Plain forms follow a posted request. Where the login page needs scripts, a browser has to sign in before.
func TestPostedRequestsFollowALoginByScripts(t *testing.T) {
	t.Parallel()
	withBrowser(t)
	o := reference.Ideal()
	pages["scripts only"](&o)
	o.Behaviour.Lacks, o.Behaviour.Wrap = []idp.Defence{idp.PostedRedirect}, signedOutOnce()
	cfg := against.SigningIn(against.Start(t, o))
	cfg.Driver, cfg.BrowserNoSandbox, cfg.Only = "auto", true, []string{"AS-AUTHZ-REDIRECT-UNREGISTERED"}
	run, err := suites.Run(t.Context(), cfg)
	require.NoError(t, err)
	require.NotEmpty(t, run.Run().Results)
	for _, r := range run.Run().Results {
		assert.Equal(t, reports.Fail, r.Verdict, r.Reason)
	}
}

func TestLoginThatFailsSaysWhy(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		vary func(o *reference.Options, cfg *suites.Config)
		want string
	}{
		"wrong password": {func(_ *reference.Options, cfg *suites.Config) { cfg.Users[0].Password = "not-hers" },
			"The user name or password is wrong"},
		"no second factor": {func(o *reference.Options, cfg *suites.Config) { cfg.Users[0].OneTime = "" }, "second factor"},
		"token endpoint": {func(o *reference.Options, _ *suites.Config) { o.Behaviour.Lacks = []idp.Defence{idp.AnswerAtToken} },
			"could not be redeemed"},
	} {
		for _, driver := range []string{"form", "browser"} {
			t.Run(driver+", "+name, func(t *testing.T) {
				if driver != "form" {
					withBrowser(t)
				}
				o := reference.Ideal()
				o.Users = []idp.User{{Name: "alice", Password: "alice-7-looking-glass"}}
				if name == "no second factor" {
					o.Users[0].OneTime = secondFactor
				}
				cfg := suites.Config{}
				cfg.Users = []suites.User{suites.User(o.Users[0])}
				c.vary(&o, &cfg)
				r := against.Start(t, o)
				users := cfg.Users
				cfg = against.SigningIn(r)
				cfg.Users, cfg.Driver, cfg.BrowserNoSandbox, cfg.Only = users, driver, true, []string{"AS-TOKEN-NO-STORE"}
				run, err := suites.Run(t.Context(), cfg)
				require.NoError(t, err)
				assert.Equal(t, reports.ExitUndecided, run.Run().Outcome().Code)
				assert.Contains(t, run.Run().Outcome().Headline, c.want)
				if name != "token endpoint" {
					assert.Empty(t, run.Run().Results, "a check ran after the password was refused")
					assert.Zero(t, r.IDP.Clients(), "a registered client is not deleted")
					return
				}
				require.Len(t, run.Run().Results, 1)
				assert.Equal(t, reports.Inconclusive, run.Run().Results[0].Verdict)
				assert.Contains(t, run.Run().Results[0].Reason, c.want)
			})
		}
	}
}

// Endpoints on another origin than the issuer's get no request, unless the user trusts them.
func TestEndpointsOfOtherOriginsAreWithheld(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		endpoint, only string
	}{
		"introspection": {"introspection_endpoint", "AS-INTROSPECT-ACTIVE-SHAPE"},
		"revocation":    {"revocation_endpoint", "AS-REVOKE-UNKNOWN-200"},
		"registration":  {"registration_endpoint", "AS-DCR-SUCCESS-SHAPE"},
		"token":         {"token_endpoint", "AS-TOKEN-SUCCESS-SHAPE"},
		"authorization": {"authorization_endpoint", "AS-TOKEN-SUCCESS-SHAPE"},
		"pushing":       {"pushed_authorization_request_endpoint", "AS-AUTHZ-GET"},
	} {
		t.Run(name, func(t *testing.T) {
			elsewhere := ""
			o := reference.Ideal()
			o.Behaviour.Metadata = func(_ string, doc map[string]any) {
				elsewhere = strings.Replace(doc[c.endpoint].(string), "127.0.0.1", "localhost", 1) // the same server under another origin
				doc[c.endpoint] = elsewhere
				doc["require_pushed_authorization_requests"] = name == "pushing"
			}
			cfg := against.SigningIn(against.Start(t, o))
			cfg.Only = []string{c.only}
			run, err := suites.Run(t.Context(), cfg)
			require.NoError(t, err)
			for _, r := range run.Run().Results {
				assert.Equal(t, reports.NotTested, r.Verdict, r.Reason)
				assert.Contains(t, r.Reason, "--trust-endpoint "+elsewhere)
			}
			for _, trusted := range []string{elsewhere, strings.TrimSuffix(elsewhere, "/"+elsewhere[strings.LastIndexByte(elsewhere, '/')+1:])} {
				cfg.TrustEndpoints = []string{trusted}
				run, err = suites.Run(t.Context(), cfg)
				require.NoError(t, err)
				for _, r := range run.Run().Results {
					assert.NotContains(t, []reports.Verdict{reports.NotTested, reports.Inconclusive}, r.Verdict, r.Reason)
				}
			}
		})
	}
}

// Metadata counts only from the locations that follow from the issuer: an endpoint that only a copy at the MCP server's origin has is not
// used. An endpoint that the issuer itself names is used, and if it has another origin, the notice says so.
func TestACopyOfMetadataAddsNothing(t *testing.T) {
	t.Parallel()
	const added = "http://127.0.0.1:1/revoke"
	for name, byIssuer := range map[string]bool{"at the MCP server": false, "at the issuer": true} {
		t.Run(name, func(t *testing.T) {
			o := reference.Ideal()
			o.Apart, o.IssuerPath = true, "/tenant"
			var complete atomic.Value // the metadata with the endpoint
			o.Behaviour.Metadata = func(_ string, doc map[string]any) {
				doc["revocation_endpoint"] = added
				complete.Store(maps.Clone(doc))
				if !byIssuer {
					delete(doc, "revocation_endpoint")
				}
			}
			var served atomic.Int32
			o.Wrap = func(h http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if doc := complete.Load(); doc != nil && strings.HasPrefix(r.URL.Path, "/.well-known/oauth-authorization-server") {
						served.Add(1)
						w.Header().Set("Content-Type", "application/json")
						assert.NoError(t, json.NewEncoder(w).Encode(doc))
						return
					}
					h.ServeHTTP(w, r)
				})
			}
			var said []string
			cfg := against.SigningIn(against.Start(t, o))
			cfg.Only, cfg.OnNotice = []string{"RS-CHALLENGE-401-STATUS"}, func(notice string) { said = append(said, notice) }
			for range 2 { // the copy is there from the second run on
				_, err := suites.Run(t.Context(), cfg)
				require.NoError(t, err)
			}
			assert.Positive(t, served.Load())
			assert.Equal(t, byIssuer, strings.Contains(strings.Join(said, "\n"), "--trust-endpoint "+added), said)
		})
	}
}

// oddPages returns a recipe for pages that do not say what they are for.
func oddPages() *suites.Recipe {
	return &suites.Recipe{File: "odd.yaml", Pages: []suites.RecipePage{
		{Match: "http://127.0.0.1:*/authorize", Text: "Sign in", Line: 3, Steps: []suites.Step{
			{Fill: "#a1", With: "username"}, {Fill: "#b2", With: "password"}, {Click: "#cookies", Optional: true}, {Click: "#go"},
		}},
		{Match: "http://**/authorize", Text: "asks for access", Line: 9, Approve: []suites.Step{{Wait: "#no"}, {Click: "#yes"}},
			Deny: []suites.Step{{Click: "#no"}}},
		{Match: "http://**/login", Text: "asks for access", Line: 12, Approve: []suites.Step{{Click: "#yes"}},
			Deny: []suites.Step{{Click: "#no"}}},
	}}
}

func TestLoginByRecipe(t *testing.T) {
	t.Parallel()
	withBrowser(t)
	evaluate := func(recipe *suites.Recipe, change func(*suites.Config)) *reports.Run {
		o := reference.Ideal()
		o.Behaviour.Pages = "odd"
		cfg := against.SigningIn(against.Start(t, o))
		cfg.Recipe, cfg.Only, cfg.BrowserNoSandbox = recipe, append([]string{"AS-CONSENT-REQUIRED"}, afterLogin...), true
		if change != nil {
			change(&cfg)
		}
		run, err := suites.Run(t.Context(), cfg)
		require.NoError(t, err)
		return run.Run()
	}
	run := evaluate(oddPages(), nil)
	against.Clean(t, run)
	require.NotEmpty(t, run.Screenshots)
	for name, c := range map[string]struct {
		recipe func() *suites.Recipe
		change func(*suites.Config)
		says   string
	}{
		"none": {func() *suites.Recipe { return nil }, nil, "the login does not continue"},
		"a wrong one": {func() *suites.Recipe {
			r := oddPages()
			r.Pages[0].Steps[1] = suites.Step{Fill: "#pw", With: "password", Line: 5}
			return r
		}, nil, "odd.yaml:5: nothing on the page matches \"#pw\""},
		"wrong password": {oddPages, func(cfg *suites.Config) { cfg.Users[0].Password = "not-hers" }, "The user name or password is wrong"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := evaluate(c.recipe(), c.change)
			assert.Contains(t, run.Outcome().Headline, c.says)
			assert.Equal(t, name == "wrong password", len(run.Results) == 0, "only a rejected password must end the run before any check")
			for _, r := range run.Results {
				assert.Equal(t, reports.Inconclusive, r.Verdict, r.ID)
				assert.Contains(t, r.Reason, c.says, r.ID)
			}
			require.NotEmpty(t, run.Screenshots)
			last := run.Screenshots[len(run.Screenshots)-1]
			// no picture after the name is typed
			shows := map[bool]string{true: "a page of the login", false: "where the login ended"}[name == "wrong password"]
			if name == "a wrong one" { // the name was typed
				shows = "a page of the login"
			}
			assert.Equal(t, shows, last.Title)
			_, format, err := image.DecodeConfig(bytes.NewReader(last.Image))
			require.NoError(t, err)
			assert.Equal(t, last.Type, "image/"+format)
		})
	}
	cfg := suites.Config{Target: target.At("http://127.0.0.1:1/mcp")}
	cfg.Recipe, cfg.Driver = oddPages(), "form"
	_, err := suites.Run(t.Context(), cfg)
	assert.ErrorContains(t, err, "a login recipe is followed in a browser")
}

func TestTheBrowserLeavesNothingBehind(t *testing.T) {
	withBrowser(t)
	t.Setenv("TMPDIR", t.TempDir())
	cfg := against.SigningIn(against.Start(t, reference.Ideal()))
	cfg.Driver, cfg.BrowserNoSandbox, cfg.Only = "browser", true, afterLogin
	run, err := suites.Run(t.Context(), cfg)
	require.NoError(t, err)
	against.Clean(t, run.Run())
	left, err := os.ReadDir(os.Getenv("TMPDIR"))
	require.NoError(t, err)
	for _, f := range left {
		assert.False(t, strings.HasPrefix(f.Name(), "mcpauth"), f.Name())
	}
}

// If no refresh token was ever valid, its refusal proves nothing, and no check that rests on one may pass.
func TestABrokenRefreshProvesNothing(t *testing.T) {
	t.Parallel()
	o := reference.Ideal()
	o.Behaviour.Lacks = []idp.Defence{idp.WorkingRefresh}
	cfg := against.SigningIn(against.Start(t, o))
	cfg.Driver = "form"
	cfg.Only = []string{"AS-REFRESH-REVOKED", "AS-REFRESH-INVALID", "AS-REFRESH-BOUND-CLIENT", "AS-REFRESH-CONFIDENTIAL-AUTH",
		"AS-REVOKE-REFRESH-TOKEN", "AS-REVOKE-PUBLIC-CLIENT", "AS-REVOKE-HINTS", "AS-REVOKE-WRONG-CLIENT", "AS-TOKEN-CODE-REPLAY-REVOKES"}
	run, err := suites.Run(t.Context(), cfg)
	require.NoError(t, err)
	assert.GreaterOrEqual(t, len(run.Run().Results), len(cfg.Only))
	for _, r := range run.Run().Results {
		assert.Equal(t, reports.Inconclusive, r.Verdict, "%s: %s", r.ID, r.Reason)
		assert.Contains(t, r.Reason, "AS-REFRESH-WORKS", r.ID)
	}
}

// byHand returns the reference as a target where a person signs in.
func byHand(r *reference.Reference) target.Target {
	t := target.At(r.URL)
	t.Driver = "manual"
	return t
}

// A person signs in once. Checks that need more logins are not tested, and none fails because of that.
func TestLoginByHand(t *testing.T) {
	t.Parallel()
	o := reference.Ideal()
	o.Behaviour.Lacks = []idp.Defence{idp.AuthenticateUser} // the person of this test types nothing
	r := against.Start(t, o)
	cfg := suites.Config{Target: byHand(r), Skip: []string{"AS-*"},
		OnNotice: func(notice string) {
			_, address, _ := strings.Cut(notice, "\n\n  ")
			go func() {
				resp, err := http.Get(strings.TrimSpace(address))
				if assert.NoError(t, err) {
					_ = resp.Body.Close()
					assert.Equal(t, 200, resp.StatusCode)
				}
			}()
		}}
	run, err := suites.Run(t.Context(), cfg)
	require.NoError(t, err)
	assert.Equal(t, "T2", run.Run().Target.Tier)
	against.Clean(t, run.Run(), reports.NotTested)
	assert.Contains(t, run.Run().Discovered, reports.Fact{Name: "login", Value: "the user signed in once, by hand"})
	cfg.Users = []suites.User{{Name: "alice", Password: "x"}}
	_, err = suites.Run(t.Context(), cfg)
	assert.ErrorContains(t, err, "no other user can sign in")
}

func TestLoginByHandSaysWhyItFailed(t *testing.T) {
	t.Parallel()
	r := against.Start(t, reference.Ideal())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	var said []string
	taken := "http://" + l.Addr().String() + "/callback"
	cfg := suites.Config{Target: byHand(r), Only: []string{"RS-CHALLENGE-401-STATUS"},
		OnNotice: func(notice string) { said = append(said, notice) }}
	cfg.Clients = []suites.Client{{ID: "by-hand", Method: "none", RedirectURI: taken}}
	_, err = suites.Run(t.Context(), cfg)
	require.NoError(t, err)
	require.Len(t, said, 1)
	assert.Contains(t, said[0], "the answer cannot be received at "+taken)
	assert.Contains(t, said[0], "end what listens there")
}

// answeredByHand answers a login by hand like the browser of a person, and returns the notices of the run.
func answeredByHand(t *testing.T, r *reference.Reference, answer url.Values) (said []string) {
	t.Helper()
	cfg := suites.Config{Target: byHand(r), Only: []string{"RS-CHALLENGE-401-STATUS"},
		OnNotice: func(notice string) {
			said = append(said, notice)
			_, address, ok := strings.Cut(notice, "\n\n  ")
			if !ok {
				return
			}
			request, err := url.Parse(strings.TrimSpace(address))
			require.NoError(t, err)
			answer.Set("state", request.Query().Get("state"))
			resp, err := http.Get(request.Query().Get("redirect_uri") + "?" + answer.Encode())
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
		}}
	cfg.Credentials = []suites.Credential{{Name: "key", Header: "X-Key", Value: "a-secret-credential"}}
	_, err := suites.Run(t.Context(), cfg)
	require.NoError(t, err)
	return said
}

// The answer to a login by hand counts only if it comes from the requested authorization server: RFC 9207 section 2.4.
func TestLoginByHandComparesTheIssuer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		promised bool
		iss      func(own string) []string
		reason   string // empty: the code is redeemed
	}{
		"its own":               {true, func(own string) []string { return []string{own} }, ""},
		"none, and none is due": {false, func(string) []string { return nil }, ""},
		"none, which was due":   {true, func(string) []string { return nil }, "the answer has no iss"},
		"another": {false, func(string) []string { return []string{"https://honest.example"} },
			`"https://honest.example", not of `},
		"its own and another":    {true, func(own string) []string { return []string{own, "https://honest.example"} }, "not of http"},
		"its own with more path": {true, func(own string) []string { return []string{own + "/x"} }, "not of http"},
	} {
		t.Run(name, func(t *testing.T) {
			o := reference.Ideal()
			o.Behaviour.Metadata = func(_ string, doc map[string]any) { doc["authorization_response_iss_parameter_supported"] = c.promised }
			r := against.Start(t, o)
			said := answeredByHand(t, r, url.Values{"code": {"a-code-of-somebody"}, "iss": c.iss(r.IDP.Issuer)})
			require.Len(t, said, 2)
			if c.reason == "" {
				assert.Contains(t, said[1], "the code could not be redeemed")
				return
			}
			assert.Contains(t, said[1], c.reason)
		})
	}
}

// Text of a target in a notice cannot act on a terminal or disclose a secret, whoever prints it.
func TestNoticesAreSafe(t *testing.T) {
	t.Parallel()
	for path, says := range map[string]string{
		"/\x1b[2J\u202e::error::x a-secret-credential": "is not a URL to open in a browser",
		"/::error::x?a-secret-credential":              "is on another origin than the issuer",
	} {
		t.Run(says, func(t *testing.T) {
			o := reference.Ideal()
			o.Behaviour.Metadata = func(_ string, doc map[string]any) { doc["authorization_endpoint"] = "http://127.0.0.1:1" + path }
			r := against.Start(t, o)
			var said []string
			cfg := suites.Config{Target: byHand(r), Only: []string{"RS-CHALLENGE-401-STATUS"},
				OnNotice: func(notice string) { said = append(said, notice) }}
			cfg.Credentials = []suites.Credential{{Name: "key", Header: "X-Key", Value: "a-secret-credential"}}
			_, err := suites.Run(t.Context(), cfg)
			require.NoError(t, err)
			require.Len(t, said, 1)
			assert.Contains(t, said[0], says)
			assert.NotContains(t, said[0], "\x1b")
			assert.NotContains(t, said[0], "\u202e")
			assert.NotContains(t, said[0], "a-secret-credential")
		})
	}
}

// The same holds for the answer to a login by hand, which the notice quotes.
func TestNoticesThatQuoteAnAnswerAreSafe(t *testing.T) {
	t.Parallel()
	const attack = "\x1b[2J\u202e\u009b31m a-secret-credential"
	r := against.Start(t, reference.Ideal())
	said := answeredByHand(t, r, url.Values{"error": {"access_denied"}, "error_description": {attack}})
	require.Len(t, said, 2)
	assert.Contains(t, said[1], "the authorization server answered with the error")
	for _, hidden := range []string{"\x1b", "\u202e", "\u009b", "a-secret-credential"} {
		assert.NotContains(t, said[1], hidden)
	}
}

// If a target names several authorization servers, the user chooses the one to sign in at.
func TestSignInAtOneOfSeveral(t *testing.T) {
	t.Parallel()
	var r *reference.Reference
	lent := false // the other server publishes the key instead of this one
	theirs, o := reference.Ideal(), reference.Ideal()
	theirs.Behaviour.JWKS = func(d map[string]any) {
		if lent {
			point, _ := r.IDP.PublicEC().Bytes() // 0x04, then both coordinates
			d["keys"] = []any{map[string]any{"kty": "EC", "kid": "ec-1", "use": "sig", "alg": "ES256", "crv": "P-256",
				"x": base64.RawURLEncoding.EncodeToString(point[1:33]), "y": base64.RawURLEncoding.EncodeToString(point[33:])}}
		}
	}
	o.Behaviour.JWKS = func(d map[string]any) {
		if lent {
			d["keys"] = slices.DeleteFunc(d["keys"].([]any), func(k any) bool { return k.(map[string]any)["kid"] == "ec-1" })
		}
	}
	other := against.Start(t, theirs)
	o.Apart, o.IssuerPath = true, "/tenant"
	own := ""
	o.Policy.PRM = func(_ string, doc map[string]any) {
		doc["authorization_servers"] = []string{other.IDP.Issuer, own}
	}
	r = against.Start(t, o)
	own = r.IDP.Issuer
	cfg := against.SigningIn(r)
	cfg.Revisions = []string{"2025-06-18", "2025-11-25", "2026-07-28"} // the oldest has no issuer with a path
	cfg.Only = []string{"AS-TOKEN-*", "AS-PKCE-*", "AS-KEYS-*", "AS-META-*", "RS-TOKEN-VALID-ACCEPTED", "RS-TOKEN-FOREIGN-KEY"}
	var notices []string
	cfg.OnNotice = func(s string) {
		if !strings.HasPrefix(s, "secrets of this run go to ") { // every login at another origin reports that
			notices = append(notices, s)
		}
	}

	cfg.SignInAt = own
	run, err := suites.Run(t.Context(), cfg)
	require.NoError(t, err)
	against.Clean(t, run.Run())
	assert.Empty(t, notices)
	for _, r := range run.Run().Results {
		if r.ID == "AS-TOKEN-SUCCESS-SHAPE" || r.ID == "AS-KEYS-JWT-SIGNATURE" {
			assert.Equal(t, reports.Pass, r.Verdict, "%s: %s", r.ID, r.Reason)
		}
	}

	// A token counts as signed by the keys of its own issuer only.
	lent = true
	run, err = suites.Run(t.Context(), cfg)
	require.NoError(t, err)
	assert.Contains(t, against.Noticed(run.Run())["AS-KEYS-JWT-SIGNATURE"].Reason, "a signature by a key of jwks_uri")
	lent = false

	cfg.SignInAt = ""
	run, err = suites.Run(t.Context(), cfg)
	require.NoError(t, err)
	require.Len(t, notices, 1)
	assert.Contains(t, notices[0], "users sign in at "+other.IDP.Issuer+"; choose another by --issuer")
	for _, r := range run.Run().Results {
		if r.ID == "AS-TOKEN-SUCCESS-SHAPE" {
			assert.Equal(t, reports.Pass, r.Verdict, "the check does not pass at the first server: %s", r.Reason)
		}
	}

	cfg.SignInAt = "https://nobody.example"
	_, err = suites.Run(t.Context(), cfg)
	var wrong *suites.UsageError
	require.ErrorAs(t, err, &wrong)
	assert.Contains(t, err.Error(), "no user can sign in at https://nobody.example: the target names "+other.IDP.Issuer+", "+own)
}
