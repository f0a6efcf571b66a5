package tokenvalidation

import (
	"encoding/json"
	"net/url"
	"strings"
	"time"

	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mint"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func keySets() {
	Should("RS-TOKEN-KEY-ROTATION", learnsNewKeys)
	Practice("RS-TOKEN-ALG-ALLOWLIST", acceptsAgreedAlgorithms)
	Practice("RS-TOKEN-KEY-WITHDRAWN", forgetsWithdrawnKeys) // the next one would wait, too, if the target keeps a withdrawn key
	Must("RS-TOKEN-JWKS-OUTAGE", failsClosedWithoutKeys)
}

func tenants() {
	Must("RS-TOKEN-TENANT-CONFUSION", separatesTenants)
	May("RS-TOKEN-OTHER-CLIENT", servesOtherClients)
}

// sharedSecret registers the checks for targets that verify HS256 with a secret that mcpauth knows.
func sharedSecret() { Must("RS-TOKEN-HMAC-MODE", verifiesSharedSecret) }

func learnsNewKeys(t *T) {
	t.Mint.Control()
	if change, rare := t.Mint.RareChange(); rare {
		learnsRarely(t, change)
		return
	}
	defer t.Mint.RestoreKeys()
	key := t.Mint.NewKey("mcpauth-next-" + Random(6))
	t.Mint.PublishKeys(key.JWK())
	ex, _ := t.Mint.UntilFetched(func() bool { return t.MCP.Served(t.MCP.Use(t.Mint.SignedBy(key, nil))) })
	t.Expect(ex, "a token by a key that was published %v before", t.KeyWait).To(expect.BeServed())
}

// learnsRarely is learnsNewKeys for a target that fetches the key set at intervals.
func learnsRarely(t *T, change *KeyChange) {
	t.Mint.MustHaveFetched()
	ex := t.MCP.Use(t.Mint.SignedBy(change.Next, nil))
	switch {
	case t.MCP.Served(ex) || !change.Fetched:
		t.Expect(ex, "a token by a new key, while unknown keys were named for %v", t.KeyWait).To(expect.BeServed())
	default:
		t.Inconclusive("the target has fetched the key set, and refuses a token by the new key: whether keys for other purposes in the same " +
			"set are the reason was not seen; run this check alone, with --only RS-TOKEN-KEY-ROTATION")
	}
}

func forgetsWithdrawnKeys(t *T) {
	t.Mint.Control()
	if change, rare := t.Mint.RareChange(); rare {
		forgetsRarely(t, change)
		return
	}
	defer t.Mint.RestoreKeys()
	key := t.Mint.NewKey("mcpauth-stolen-" + Random(6))
	t.Mint.PublishKeys(key.JWK())
	old := t.Mint.SignedBy(key, nil)
	if _, ok := t.Mint.UntilFetched(func() bool { return t.MCP.Served(t.MCP.Use(old)) }); !ok {
		t.Inconclusive("a key that is published later is not picked up, which RS-TOKEN-KEY-ROTATION judges: the target may limit how often " +
			"it fetches keys; run this check alone, with --only RS-TOKEN-KEY-WITHDRAWN")
	}
	withdrawn(t, key, old)
}

// forgetsRarely is forgetsWithdrawnKeys for a target that fetches the key set at intervals: it served the withdrawn key before.
func forgetsRarely(t *T, change *KeyChange) {
	t.Mint.MustHaveFetched()
	if !change.Adopted {
		t.Inconclusive("a key that is published later is not picked up (RS-TOKEN-KEY-ROTATION)")
	}
	if change.Withdrawn == nil {
		withdrawn(t, change.Next, t.Mint.SignedBy(change.Next, nil))
		return
	}
	t.Expect(t.MCP.Use(t.Mint.SignedBy(change.Withdrawn, nil)),
		"a token by a key that was served before, and that the fetched key set no longer has").To(expect.Refuse(401))
}

// withdrawn withdraws a key whose tokens the target serves, and expects the target to serve none after it has fetched the key set.
func withdrawn(t *T, key *mint.Key, old string) {
	t.Mint.RestoreKeys()
	before := t.Mint.KeyServer().KeyFetches()
	refused := func(token string) bool { return expect.Status(t.MCP.Use(token)) == 401 }
	ex, ok := t.Mint.UntilFetched(func() bool {
		if t.Mint.KeyServer().KeyFetches() == before { // the target may limit how often it fetches
			t.Mint.PresentUnknownKey()
		}
		return refused(t.Mint.SignedBy(key, nil)) && refused(old)
	})
	if !ok && t.Mint.KeyServer().KeyFetches() == before {
		t.Inconclusive("the key set was not fetched again within %v, so whether a withdrawn key loses its effect was not seen; let the checks "+
			"wait twice as long with --max-wait", t.KeyWait)
	}
	t.Expect(ex, "a token by a withdrawn key, %v after the set was published without it, and fetched again", t.KeyWait).To(expect.Refuse(401))
}

// failsClosedWithoutKeys answers requests for the key set with failures. The last one is a failure that a target may read as a key set.
func failsClosedWithoutKeys(t *T) {
	t.Mint.Control()
	keys, rare := t.Mint.KeyServer(), t.Mint.FetchesRarely()
	defer t.Mint.RestoreKeys()
	fetched, missed := 0, false
	Each(t, outages, func(t *T, a KeysAnswer) {
		if missed || rare && json.Valid([]byte(a.Body)) { // a lenient parser reads it as a set without keys
			return // the target would serve no request until it fetches the key set again
		}
		defer t.Mint.RestoreKeys()
		t.Mint.ServeKeys(a)
		if strangerRefused(t, keys) {
			fetched++
		} else {
			missed = true
		}
		if ex := t.MCP.Use(t.Mint.Token(nil)); !t.MCP.Served(ex) {
			t.Expect(ex, "a token by a key that was known").Ideally(expect.HaveStatus(401, 503))
		}
	})
	if fetched == 0 && !FoundAny(t) {
		t.Mint.NotFetched("at none of its failures")
	}
	t.Note("fetched at %d of %d failures", fetched, len(outages))
	servesAgain(t, keys)
}

// servesAgain expects the genuine token to be served once the target has fetched the ordinary key set again.
func servesAgain(t *T, keys KeyServer) {
	t.Mint.RestoreKeys()
	before := keys.KeyFetches()
	ex, ok := t.Mint.AwaitOrdinaryKeys()
	if !ok && keys.KeyFetches() == before {
		t.Inconclusive("the target has not fetched the key set again within %v, and refuses the genuine token until then", t.KeyWait)
	}
	t.Expect(ex, "the genuine token, after the key set is back and was fetched").Ideally(expect.BeServed())
}

// noKeys is a key set without a key.
const noKeys = `{"keys":[]}`

var outages = Cases[KeysAnswer]{
	{"HTTP 500", KeysAnswer{Status: 500}},
	{"HTTP 404", KeysAnswer{Status: 404}},
	{"HTML", KeysAnswer{Status: 200, MediaType: "text/html", Body: "<p>hello</p>"}},
	{"an empty object", KeysAnswer{Status: 200, Body: "{}"}},
	{"half a document", KeysAnswer{Status: 200, Body: `{"keys":[`}},
	{"no answer", KeysAnswer{Break: true}},
	{"no keys", KeysAnswer{Status: 200, Body: noKeys}},
}

// strangerRefused presents a token signed by an unpublished key until the target fetches the key set, and reports whether it did.
func strangerRefused(t *T, keys KeyServer) (fetched bool) {
	before := keys.KeyFetches()
	stranger := t.Mint.NewKey("mcpauth-unknown-" + Random(6))
	_, fetched = t.Mint.UntilFetched(func() bool {
		ex := t.MCP.Use(t.Mint.SignedBy(stranger, nil))
		t.Expect(ex, "a token signed with an unpublished key").To(notServe(t))
		if s := expect.Status(ex); s >= 500 {
			t.Expect(ex, "while keys cannot be fetched").Ideally(expect.HaveStatus(401, 503))
		}
		return keys.KeyFetches() > before
	})
	return fetched
}

// acceptsAgreedAlgorithms publishes keys that are marked for one purpose, and uses them for another.
func acceptsAgreedAlgorithms(t *T) {
	keys := marked(t)
	key := keys.Signing
	h, c := t.Mint.Header().With("kid", key.ID), t.Mint.Claims(nil)
	good := t.MCP.CallWithToken(t.Mint.SignedBy(key, nil))
	Refuses(t, good, Cases[CallEdit]{
		{"alg rs256 in small letters", Presenting(t.Hide(key.Signed(h.With("alg", "rs256"), c, "RS256")))},
		{"alg RS256 with a space", Presenting(t.Hide(key.Signed(h.With("alg", "RS256 "), c, "RS256")))},
		{"alg RS1", Presenting(t.Hide(key.Signed(h.With("alg", "RS1"), c, "RS1")))},
		{"HS256 with a secret from the key set",
			Presenting(t.Hide(mint.HS256(h.With("alg", "HS256").With("kid", "mcpauth-oct"), c, keys.Secret)))},
	}, expect.Refuse(401))
	Each(t, Cases[string]{
		{"RS384 by a key for RS256", key.Signed(h.With("alg", "RS384"), c, "RS384")},
		{"PS256 by a key for RS256", key.Signed(h.With("alg", "PS256"), c, "PS256")},
		{"a key for encryption", t.Mint.SignedBy(keys.Encryption, nil)},
		{"a key whose key_ops is encrypt", t.Mint.SignedBy(keys.Operation, nil)},
	}, func(t *T, token string) { t.Expect(t.MCP.Use(t.Hide(token))).Ideally(expect.Refuse(401)) })
}

// marked publishes keys that are marked for one purpose each, until the check ends. It ends the check if the target uses none of them.
func marked(t *T) MarkedKeys {
	t.Mint.Control()
	change, rare := t.Mint.RareChange()
	if rare {
		t.Mint.MustHaveFetched()
		if !change.Fetched {
			t.Inconclusive("the target has not fetched the key set again within %v; let the checks wait longer with --max-wait", t.KeyWait)
		}
	} else {
		change = &KeyChange{Marked: t.Mint.MarkedKeys()}
		t.Cleanup(t.Mint.RestoreKeys)
		t.Mint.PublishKeys(change.Marked.JWKs()...)
	}
	before := t.Mint.KeyServer().KeyFetches()
	if _, ok := t.Mint.UntilFetched(func() bool { return t.MCP.Served(t.MCP.Use(t.Mint.SignedBy(change.Marked.Signing, nil))) }); !ok {
		if !rare && t.Mint.KeyServer().KeyFetches() == before {
			t.Mint.NotFetched("for no new kid")
		}
		t.NotApplicable("a token signed RS256 by a key that was published later is refused: there is nothing to compare with")
	}
	return change.Marked
}

// Hosted identity providers sign the tokens of many customers with one key set: iss, aud or tid distinguish them.
func separatesTenants(t *T) {
	issuer := strings.TrimSuffix(t.Issuer.Identifier(), "/")
	u, err := url.Parse(issuer)
	if err != nil {
		t.Inconclusive("the issuer identifier is not a URL")
	}
	otherPath, otherHost := Claim("iss", issuer+"/mcpauth-other-tenant"), Claim("iss", u.Scheme+"://mcpauth-other-tenant."+u.Host+u.Path)
	rows := Cases[TokenEdit]{
		{"another tenant by its path", otherPath},
		{"another tenant by its path, and its audience", TokenEdits(otherPath, Claim("aud", "mcpauth-other-project"))},
		{"another tenant by its host", otherHost},
	}
	if t.Mint.Claims(nil)["tid"] != nil {
		rows = rows.And("another tid", Claim("tid", "6f1e8f3a-0000-4000-8000-000000000000"))
	}
	Refuses(t, t.Mint.Presented(), rows, expect.Refuse(401))
}

func servesOtherClients(t *T) {
	t.Mint.Control()
	t.Expect(t.Mint.Presented().Send(Claim("client_id", "mcpauth-another-client")),
		"a token that another client obtained, unless clients are restricted on purpose").Ideally(expect.BeServed())
}

func verifiesSharedSecret(t *T) {
	secret, h, claims := t.SharedSecret.Value, mint.Header{"alg": "HS256", "typ": "JWT"}, t.Mint.SharedClaims
	sign := func(key string, changes map[string]any) CallEdit {
		return Presenting(t.Hide(mint.HS256(h, claims(changes), []byte(key))))
	}
	whole, past := mint.HS256(h, claims(nil), []byte(secret)), in(t, -2*time.Hour)
	good := t.MCP.CallWithToken(t.Hide(whole))
	Refuses(t, good, Cases[CallEdit]{
		{"another secret of the same length", sign(strings.Repeat("m", len(secret)), nil)},
		{"the secret without its last byte", sign(secret[:len(secret)-1], nil)},
		{"the secret with one byte more", sign(secret+"x", nil)},
		{"an empty secret", sign("", nil)},
		{"half of the MAC", Presenting(t.Hide(whole[:len(whole)-22]))},
		{"alg none", Presenting(mint.Unsigned(h.With("alg", "none"), claims(nil)))},
		{"ES256 by a key of its own", Presenting(t.Hide(mint.NewKey("").JWT(nil, claims(nil))))},
		{"another audience", sign(secret, map[string]any{"aud": otherServer})},
		{"no audience", sign(secret, map[string]any{"aud": nil})},
		{"another issuer", sign(secret, map[string]any{"iss": "https://attacker.example"})},
		{"expired", sign(secret, map[string]any{"exp": past, "iat": past - 60})},
	}, expect.Refuse(401))
	Each(t, Cases[CallEdit]{
		{"without exp", sign(secret, map[string]any{"exp": nil})},
		{"HS384 with the right secret", Presenting(t.Hide(mint.HMACToken("HS384", h, claims(nil), []byte(secret))))},
		{"HS512 with the right secret", Presenting(t.Hide(mint.HMACToken("HS512", h, claims(nil), []byte(secret))))},
	}, func(t *T, e CallEdit) { t.Expect(good.Send(e)).Ideally(expect.Refuse(401)) })
}
