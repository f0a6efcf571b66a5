package registration

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mint"
	"github.com/mcpauth/conformance/suites/internal/oauth"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

// registered is the answer that confirms a registration. Where it is refused, the row does not apply; where it is not answered,
// the row is undecided.
func registered(t *T, changes changing) *reports.Exchange {
	_, ex := t.AS.Register(changes)
	if s := expect.Status(decided(t, ex)); s < 200 || s > 299 {
		t.NotApplicable("it is not registered: %s", expect.Describe(ex))
	}
	return ex
}

// client is the client of a registration that is confirmed.
func client(t *T, changes changing) *oauth.Client {
	ex := registered(t, changes)
	c := t.Session.Registered(ex, changes)
	if c == nil {
		t.Inconclusive("the registration returns no client_id (AS-DCR-SUCCESS-SHAPE): %s", expect.Describe(ex))
	}
	return c
}

func answersRegistrations(t *T) {
	_, ex := t.AS.Register(nil)
	if s := expect.Status(decided(t, ex)); s < 200 || s > 299 {
		t.NotTested("no client could be registered: %s", expect.Describe(ex))
	}
	t.Expect(ex).To(
		expect.HaveStatus(201),
		expect.HaveMediaType("application/json"),
		expect.HaveMember("client_id", expect.ValueThat("a text of visible ASCII characters", visible)),
		whereSent("client_id_issued_at", "a whole number of seconds since 1970", seconds),
		whereSent("client_secret_expires_at", "a whole number of seconds since 1970", seconds),
	)
}

func visible(v any) bool {
	s, _ := v.(string)
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r > 0x7e })
}

func seconds(v any) bool {
	n, ok := expect.Number(v)
	return ok && n == float64(int64(n)) && n < 1e10 // a time in milliseconds is larger
}

// whereSent expects a member to be right if the answer contains it and it is not null: AS-DCR-NO-NULLS judges nulls.
func whereSent(name, what string, right func(v any) bool) expect.Matcher {
	return expect.That(name+": "+what, func(ex *reports.Exchange) string {
		if v, ok := oauth.Object(ex).Get(name); ok && v != nil && !right(v) {
			return mint.JSON(v)
		}
		return ""
	})
}

func returnsWhatIsRegistered(t *T) {
	Each(t, Cases[changing]{
		{"a loopback redirect URI", changing{"redirect_uris": []string{t.Session.Callback}}},
		{"a redirect URI without a path", changing{"redirect_uris": []string{"http://127.0.0.1:8765"}}},
		{"an https redirect URI with upper case and a query", changing{"redirect_uris": []string{"https://client.example/App/cb?x=1&a=2"}}},
	}, func(t *T, changes changing) {
		uris, _ := changes["redirect_uris"].([]string)
		ex := registered(t, changes)
		t.Expect(ex).To(state("grant_types"), state("response_types"), state("token_endpoint_auth_method"), keepRedirects(uris))
	})
}

// state expects the answer to contain a member.
var state = expect.Family("state", func(name string) expect.Matcher {
	stated := func(v any) bool { return v != nil && v != "" }
	return expect.HaveMember(name, expect.ValueThat("what is registered (RFC 7591 section 3.2.1)", stated))
})

var keepRedirects = expect.Family("keepRedirects", func(sent []string) expect.Matcher {
	expected := "redirect_uris exactly as sent: " + strings.Join(sent, " ")
	return expect.That(expected, func(ex *reports.Exchange) string {
		got, ok := oauth.Object(ex).Strings("redirect_uris")
		switch {
		case !ok:
			return "redirect_uris is absent"
		case !slices.Equal(got, sent):
			return strings.Join(got, " ")
		}
		return ""
	})
})

// withAndWithoutSecret are a public client and one with a secret.
func withAndWithoutSecret(t *T) Cases[changing] {
	return Cases[changing]{
		{"a public client", changing{"token_endpoint_auth_method": oauth.None}},
		{"a client with a secret", changing{"token_endpoint_auth_method": t.AS.SecretMethod()}},
	}
}

func leavesOutUnsetMembers(t *T) {
	Each(t, withAndWithoutSecret(t), func(t *T, changes changing) { t.Expect(registered(t, changes)).To(omitUnset) })
}

// metadataMembers are those of RFC 7591 sections 2 and 3.2.1, RFC 7592 section 3, and OpenID Connect Dynamic Client Registration
// section 2. Members that a server adds are ignored.
var metadataMembers = []string{
	"client_id", "client_id_issued_at", "client_secret", "client_secret_expires_at", "registration_access_token",
	"registration_client_uri", "redirect_uris", "token_endpoint_auth_method", "grant_types", "response_types", "client_name",
	"client_uri", "logo_uri", "scope", "contacts",
	"tos_uri", "policy_uri", "jwks_uri", "jwks", "software_id", "software_version", "software_statement", "application_type",
	"sector_identifier_uri", "subject_type", "initiate_login_uri", "request_uris", "default_acr_values", "default_max_age",
}

var omitUnset = expect.That("members without a value left out", func(ex *reports.Exchange) string {
	var unset []string
	for _, m := range members(ex) {
		if (m.Value == nil || m.Value == "") && slices.Contains(metadataMembers, m.Name) {
			unset = append(unset, m.Name+" is "+mint.JSON(m.Value))
		}
	}
	return strings.Join(unset, ", ")
})

func members(ex *reports.Exchange) []document.Member {
	if o := oauth.Object(ex); o != nil {
		return o.Members
	}
	return nil
}

func issuesNoSecretToPublicClients(t *T) {
	t.Expect(registered(t, changing{"token_endpoint_auth_method": oauth.None})).To(issueNoSecret)
}

// issueNoSecret warns where the server makes the client a confidential one and says so, as RFC 7591 section 3.2.1 allows.
var issueNoSecret = expect.AdvisedOf(
	expect.That("no client_secret for a client with token_endpoint_auth_method none", secretOfPublicClient),
	"token_endpoint_auth_method none, as requested", otherMethodThanNone)

func secretOfPublicClient(ex *reports.Exchange) string {
	o := oauth.Object(ex)
	if method := o.String("token_endpoint_auth_method"); o.String("client_secret") != "" && (method == "" || method == oauth.None) {
		return "client_secret is issued, and token_endpoint_auth_method is " + mint.JSON(method)
	}
	return ""
}

func otherMethodThanNone(ex *reports.Exchange) string {
	if method := oauth.Object(ex).String("token_endpoint_auth_method"); method != "" && method != oauth.None {
		return method + ", which a client without a safe place for a secret cannot use"
	}
	return ""
}

func storesNothing(t *T) {
	Each(t, withAndWithoutSecret(t), func(t *T, changes changing) {
		ex := registered(t, changes)
		if o := oauth.Object(ex); o.String("client_secret") != "" || o.String("registration_access_token") != "" {
			t.Expect(ex).To(expect.HaveHeader("Cache-Control", expect.Holding("no-store")))
		} else {
			t.Expect(ex, "without a credential").Ideally(expect.HaveHeader("Cache-Control", expect.Holding("no-store")))
		}
	})
	c, _ := t.AS.Register(nil)
	if c == nil || c.Registered.String("registration_access_token") == "" {
		return
	}
	Each(t, Cases[string]{{"reading a registration", "GET"}}, func(t *T, method string) {
		if _, _, ok := t.Session.Manageable(c); !ok {
			t.NotApplicable("registration_client_uri is on another origin than the registration endpoint")
		}
		ex := t.Do(managing(t, c, method))
		if expect.Status(decided(t, ex)) != 200 {
			t.NotApplicable("reading a registration is not offered: %s", expect.Describe(ex))
		}
		t.Expect(ex).To(expect.HaveHeader("Cache-Control", expect.Holding("no-store")))
	})
}

// statesSecretExpiry looks at a secret of each kind (RFC 7591 section 3.2.1).
func statesSecretExpiry(t *T) {
	Each(t, secretMethods, func(t *T, method string) {
		ex := registered(t, changing{"token_endpoint_auth_method": method})
		if oauth.Object(ex).String("client_secret") == "" {
			t.NotApplicable("registration issues no secret")
		}
		t.Expect(ex).To(expect.HaveMember("client_secret_expires_at",
			expect.ValueThat("a whole number of seconds since 1970 that is not over, or 0 for never", func(v any) bool {
				n, _ := expect.Number(v)
				return seconds(v) && (n == 0 || n > float64(time.Now().Unix()))
			})))
	})
}

var secretMethods = Cases[string]{
	{oauth.Basic, oauth.Basic},
	{oauth.Post, oauth.Post},
}

func ignoresUnknownMembers(t *T) {
	ordinary := ordinary(t)
	if control := ordinary.Send(); !ordinary.Good.Judge(control).Met {
		t.Inconclusive("a registration without unknown members is refused too: %s", expect.Describe(expect.ExchangeOf(control)))
	}
	Each(t, Cases[changing]{
		{"an unknown member with an object", changing{"x_mcpauth_object": map[string]any{"a": []int{1}}}},
		{"an unknown member with a text", changing{"x_mcpauth_text": "1"}},
		{"the member resource", changing{"resource": t.Survey.Endpoint}},
	}, func(t *T, changes changing) { t.Expect(ordinary.Send(changes)).To(registerAnyway) })
}

var registerAnyway = expect.That("a registration in which members that are not understood are ignored (RFC 7591 section 2)", notRegistered)

// notRegistered describes an answer that does not confirm a registration.
func notRegistered(ex *reports.Exchange) string {
	if expect.BeRegistered().Judge(ex).Met {
		return ""
	}
	return expect.Describe(ex)
}

// knowsNativeClients compares with a registration that names no application_type.
func knowsNativeClients(t *T) {
	_, typed := t.AS.Register(changing{"application_type": "native"})
	if notRegistered(typed) != "" {
		if _, bare := t.AS.Register(changing{"application_type": nil}); notRegistered(bare) != "" {
			t.Inconclusive("a registration without application_type is refused too: %s", expect.Describe(bare))
		}
	}
	t.Expect(typed).To(expect.That("the registration of a client of application_type native with a loopback redirect URI", notRegistered))
}

func issuesClientsOfTheirOwn(t *T) {
	method := t.AS.SecretMethod()
	alike, different := []*oauth.Client{}, []*oauth.Client{}
	for i := range 3 {
		alike = append(alike, client(t, changing{"token_endpoint_auth_method": method}))
		name := t.AS.ClientName(fmt.Sprintf(" %d", i))
		different = append(different, client(t, changing{"token_endpoint_auth_method": method, "client_name": name}))
	}
	t.Expect(identifiers(different), "three different registrations").SeenIn(different[2].Exchange).To(beDistinct)
	t.Expect(alike, "three identical registrations").SeenIn(alike[2].Exchange).Ideally(haveOwnSecrets)
	Each(t, Cases[[]*oauth.Client]{
		{"three different registrations", different},
		{"three identical registrations", alike},
	}, func(t *T, clients []*oauth.Client) {
		if secrets := secretsOf(clients); len(secrets) > 1 {
			t.Expect(secrets).SeenIn(clients[2].Exchange).To(expect.BeUnguessable("client secrets"))
		}
	})
	keepsEarlierSecrets(t, alike[0], alike[2])
}

// keepsEarlierSecrets is for registrations that are one client with a secret for each: anybody may repeat a registration, so that the
// latest one must not end the secret of the first.
func keepsEarlierSecrets(t *T, first, last *oauth.Client) {
	if first.Secret == "" || first.ID != last.ID || first.Secret == last.Secret || !t.Session.Ready {
		return
	}
	t.Expect(t.AS.Redeem(t.AS.MustAuthorize(As(last))), "the secret of the last of three identical registrations").
		AsControl(expect.IssueTokens())
	t.Expect(t.AS.Redeem(t.AS.MustAuthorize(As(first))), "the secret of the first of three identical registrations of one client").
		Ideally(expect.IssueTokens())
}

func identifiers(clients []*oauth.Client) (ids []string) {
	for _, c := range clients {
		ids = append(ids, c.ID)
	}
	return ids
}

// secretsOf are the secrets of clients, one of each: registrations that are the same may be one client (RFC 7591 section 3.2.1).
func secretsOf(clients []*oauth.Client) (secrets []string) {
	for i, c := range clients {
		known := slices.ContainsFunc(clients[:i], func(other *oauth.Client) bool { return other.ID == c.ID })
		if c.Secret != "" && !known {
			secrets = append(secrets, c.Secret)
		}
	}
	return secrets
}

// haveOwnSecrets is a SHOULD for instances of one client (RFC 7591 section 3.2.1).
var haveOwnSecrets = expect.That("a secret of its own for every registration", func(clients []*oauth.Client) string {
	for i, c := range clients {
		if slices.ContainsFunc(clients[:i], func(other *oauth.Client) bool { return c.Secret != "" && other.Secret == c.Secret }) {
			return fmt.Sprintf("%d registrations get the client_ids %s, and two of them one secret", len(clients),
				strings.Join(slices.Compact(slices.Sorted(slices.Values(identifiers(clients)))), ", "))
		}
	}
	return ""
})

var beDistinct = expect.That("a client_id of its own for every client", func(ids []string) string {
	if sorted := slices.Compact(slices.Sorted(slices.Values(ids))); len(sorted) < len(ids) {
		return fmt.Sprintf("%d registrations get the client_ids %s", len(ids), strings.Join(sorted, ", "))
	}
	return ""
})
