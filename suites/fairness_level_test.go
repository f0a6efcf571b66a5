package suites_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fakes/answer"
	"github.com/mcpauth/conformance/fakes/flaws"
	"github.com/mcpauth/conformance/fakes/idp"
	"github.com/mcpauth/conformance/fakes/mcpserver"
	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/fixtures/requirements"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/tests/against"
)

// flawed has the flaw of this name.
func flawed(name string) func(o *reference.Options) {
	all := flaws.All()
	i := slices.IndexFunc(all, func(f flaws.Flaw) bool { return f.Name == name })
	return all[i].Bend
}

// skippingSpaces decodes base64 as lenient libraries do.
func skippingSpaces(o *reference.Options) {
	o.Wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.Count(token, ".") == 2 {
				r.Header.Set("Authorization", scheme+" "+strings.ReplaceAll(token, " ", ""))
			}
			next.ServeHTTP(w, r)
		})
	}
}

// managesNothing answers every method of client management with 404.
func managesNothing(b *idp.Behaviour) {
	b.Wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "/register/") {
				http.NotFound(w, r)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// callsItMalformed answers invalid_request instead of invalid_grant to a refresh.
func callsItMalformed(b *idp.Behaviour) {
	b.Wrap = func(next http.Handler) http.Handler {
		return answer.Changed(next, "/token", func(_ *http.Request, a *answer.Answer) {
			body := strings.ReplaceAll(a.Body.String(), "invalid_grant", "invalid_request")
			a.Say(body)
		})
	}
}

// A finding has the level of its clause: what a SHOULD or a habit is about is a warning, also in a check of a MUST.
func TestLevelsOfFindings(t *testing.T) {
	t.Parallel()
	expectFairness(t, map[string]fairness{
		"a code of the one client for all":          {flawed("dcr-one-client-for-all"), nil, "AS-TOKEN-CODE-BOUND-CLIENT", reports.NotTested},
		"a refresh token of the one client for all": {flawed("dcr-one-client-for-all"), nil, "AS-REFRESH-BOUND-CLIENT", reports.NotTested},
		"plain by default is what RFC 7636 says":    {flawed("pkce-no-method-plain"), nil, "AS-PKCE-METHOD-DEFAULT", reports.Warn},
		"a port that the grammar allows":            {flawed("dcr-takes-port-99999"), nil, "AS-DCR-REJECT-NON-ABSOLUTE", reports.Warn},
		"a space in base64":                         {skippingSpaces, nil, "RS-TOKEN-SYNTAX-BYTES", reports.Warn},
		"a long state":                              {flawed("authorize-state-refused-513"), nil, "AS-AUTHZ-STATE-EXACT", reports.Warn},
		"a short state":                             {flawed("authorize-short-state-refused"), nil, "AS-AUTHZ-STATE-EXACT", reports.Fail},
		"a challenge of the 403 without a code": {func(o *reference.Options) {
			o.Policy.ScopeChallenge = func(url, _ string) string { return `Bearer resource_metadata="` + url + `"` }
		}, nil, "RS-SCOPE-403-CHALLENGE", reports.Warn},
		"a device code gives two tokens":                  {flawed("device-code-twice"), nil, "AS-DEVICE-GRANT", reports.Warn},
		"device codes that are counted":                   {flawed("device-codes-counted"), nil, "AS-DEVICE-GRANT", reports.Warn},
		"a device code of another client":                 {flawed("device-of-any-client"), nil, "AS-DEVICE-GRANT", reports.Fail},
		"an audience with a fragment, as requested":       {flawed("resource-with-fragment"), nil, "AS-RES-MALFORMED", reports.Warn},
		"an unknown refresh token is a malformed request": {flawed("refresh-unknown-error"), nil, "AS-REFRESH-INVALID", reports.Fail},
		"expires_in as text":                              {flawed("token-expiry-string"), nil, "AS-TOKEN-EXPIRES-IN", reports.Warn},
		"refresh_token: null":                             {flawed("token-null-refresh"), nil, "AS-TOKEN-SUCCESS-SHAPE", reports.Warn},
		"a used refresh token is a malformed request":     {behaving(callsItMalformed), nil, "AS-REFRESH-OLD-DIES", reports.Warn},
		"DPoP in the challenge alone":                     {flawed("dpop-unannounced"), nil, "RS-DISC-LOCATIONS-AGREE", reports.Warn},
		"a page where clients look first":                 {flawed("metadata-page"), nil, "RS-DISC-HTTP-SHAPE", reports.Fail},
		"a page where clients of the server look first":   {flawed("as-page-first"), nil, "AS-META-HTTP-SHAPE", reports.Fail},
		"clients that nobody manages, and tokens":         {behaving(managesNothing), nil, "AS-DCRM-TOKEN-REQUIRED", reports.NotApplicable},
		"clients that nobody manages, and deletion":       {behaving(managesNothing), nil, "AS-DCRM-DELETE", reports.NotApplicable},
		"clients that nobody manages, and changes":        {behaving(managesNothing), nil, "AS-DCRM-UPDATE-REVALIDATES", reports.NotApplicable},
		"unknown tokens, and confidential clients alone":  {behaving(confidentialRevocation), nil, "AS-REVOKE-UNKNOWN-200", reports.Pass},
		"access tokens that live until they expire": {missing(mcpserver.CheckRevocation), nil, "AS-REVOKE-REFRESH-KILLS-ACCESS",
			reports.NotApplicable},
	})
}

// What is critical is a request that is served. One that is refused with another status is less.
func TestSeverityIsThatOfWhatAServerDoes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		bend func(o *reference.Options)
		id   string
		want requirements.Severity
	}{
		"forged tokens are answered with 403": {func(o *reference.Options) { o.Policy.Status = http.StatusForbidden }, "RS-TOKEN-SIG-TAMPERED",
			requirements.Medium},
		"forged tokens are served":                  {missing(mcpserver.VerifySignature), "RS-TOKEN-SIG-TAMPERED", requirements.Critical},
		"any version is served, with a valid token": {missing(mcpserver.CheckVersion), "RS-TRANSPORT-VERSION-HEADER", requirements.Medium},
		"any version is served, without a token": {missing(mcpserver.GuardAnyVersion), "RS-TRANSPORT-VERSION-HEADER",
			requirements.Critical},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := reference.Ideal()
			c.bend(&o)
			cfg := against.WithToken(against.Start(t, o))
			cfg.Only = []string{c.id}
			failed := against.Run(t, cfg).Groups(reports.Fail)
			require.Len(t, failed, 1)
			assert.Equal(t, c.want, failed[0].Severity)
		})
	}
}
