package suites_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/mcpauth/conformance/fakes/answer"
	"github.com/mcpauth/conformance/fakes/idp"
	"github.com/mcpauth/conformance/fakes/mcpserver"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites"
)

// hidesDocuments serves clients by their documents, and does not say so.
func hidesDocuments(b *idp.Behaviour) {
	b.Metadata = func(_ string, d map[string]any) { delete(d, "client_id_metadata_document_supported") }
}

func withoutUsers(c *suites.Config) { c.Users = nil }

// refusingInventedCodes answers a token request with a code that was never issued by a bare HTTP status.
func refusingInventedCodes(status int) func(b *idp.Behaviour) {
	return func(b *idp.Behaviour) {
		b.Wrap = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body := answer.Peek(r)
				if strings.HasSuffix(r.URL.Path, "/token") && strings.Contains(string(body), "code=mcpauth-made-up") {
					w.WriteHeader(status)
					return
				}
				next.ServeHTTP(w, r)
			})
		}
	}
}

// failingMachines gives each client the grant client_credentials that wants it, and fails at registrations with it.
func failingMachines(b *idp.Behaviour) {
	b.ConfirmsGrant, b.UpdateKeeps = func(grant string) bool { return grant == "client_credentials" }, "grant_types"
	b.Wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body := answer.Peek(r)
			if strings.HasSuffix(r.URL.Path, "/register") && strings.Contains(string(body), "client_credentials") {
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// normalizing keeps a redirect URI without a path in another form than it was registered in, and refuses it as it was.
func normalizing(b *idp.Behaviour) {
	const written, kept = `"https://client.example*"`, `"https://client.example/kept"`
	b.Wrap = func(next http.Handler) http.Handler {
		next = answer.Changed(next, "/register", func(_ *http.Request, a *answer.Answer) {
			body := strings.ReplaceAll(a.Body.String(), kept, written)
			a.Say(body)
		})
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			body = bytes.ReplaceAll(body, []byte(written), []byte(kept))
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
			next.ServeHTTP(w, r)
		})
	}
}

// Servers that register clients in another way than the reference, or of whose clients less can be seen.
func TestFairnessOfRegistrations(t *testing.T) {
	t.Parallel()
	expectFairness(t, map[string]fairness{
		"registration access tokens are a keyed hash of the client_id": {behaving(func(b *idp.Behaviour) {
			key := []byte(mcpserver.RandomID())
			b.ManagementTokenOf = func(id string) string {
				h := hmac.New(sha256.New, key)
				h.Write([]byte(id))
				return fmt.Sprintf("%x", h.Sum(nil))
			}
		}), nil, "AS-DCRM-TOKEN-REQUIRED", reports.Pass},
		"bad redirect URIs are left out of registrations and updates": {behaving(func(b *idp.Behaviour) {
			b.ReadsRedirects = func(v any) any {
				uris, _ := v.([]any)
				return slices.DeleteFunc(slices.Clone(uris), func(uri any) bool {
					text, _ := uri.(string)
					return strings.HasPrefix(text, "javascript:")
				})
			}
		}), nil, "AS-DCRM-UPDATE-REVALIDATES", reports.Pass},
		"registrations are refused with codes of the token endpoint": {behaving(func(b *idp.Behaviour) {
			b.RegistrationError = func(_ *int, _ *string, m map[string]any) { m["error"] = "unsupported_grant_type" }
		}), nil, "AS-DCR-ERROR-SHAPE", reports.Warn},
		"an invented code is answered with a bare 401, before and after other registrations": {
			behaving(refusingInventedCodes(http.StatusUnauthorized)), nil, "AS-DCR-NO-CLIENT-CHOSEN-IDS", reports.Pass},
		"a token endpoint that fails at an invented code does not show that it knows the client": {
			behaving(refusingInventedCodes(http.StatusInternalServerError)), withoutUsers, "AS-DCR-CLIENT-USABLE", reports.Inconclusive},
		"a token endpoint that fails at an invented code redeems those of a client that it knows": {
			behaving(refusingInventedCodes(http.StatusInternalServerError)), nil, "AS-DCR-CLIENT-USABLE", reports.Pass},
		"a redirect URI without a path is kept in another form": {
			behaving(normalizing), nil, "AS-DCR-WILDCARD", reports.Pass},
		"a registration that fails does not show what an update may not have": {behaving(failingMachines), nil,
			"AS-DCRM-UPDATE-REVALIDATES", reports.Inconclusive},
		"documents that nobody sees without a login": {behaving(hidesDocuments), withoutUsers, "AS-CIMD-FLAG-TRUTHFUL", reports.NotTested},
	})
}
