package check

import (
	"strings"
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/mint"
)

// KeysAnswer is what a request for the key set is answered.
type KeysAnswer struct {
	Status          int
	MediaType, Body string
	Break           bool // the connection is closed
}

// KeyServer is the issuer, where its keys can be changed; nil where they cannot.
func (t Minter) KeyServer() KeyServer {
	k, _ := t.Issuer.(KeyServer)
	return k
}

// ServeKeys has every request for the key set answered so.
func (t Minter) ServeKeys(a KeysAnswer) {
	if a.MediaType == "" {
		a.MediaType = "application/jwk-set+json"
	}
	if a.Break {
		a.Status = 0
	}
	t.KeyServer().ServeKeys(func(map[string]any) (int, string, string) { return a.Status, a.MediaType, a.Body })
}

// PublishKeys adds keys to the ordinary set.
func (t Minter) PublishKeys(more ...map[string]any) {
	t.KeyServer().ServeKeys(func(ordinary map[string]any) (int, string, string) {
		keys, _ := ordinary["keys"].([]any)
		for _, k := range more {
			keys = append(keys, k)
		}
		return 200, "application/jwk-set+json", mint.JSON(map[string]any{"keys": keys})
	})
}

// RestoreKeys publishes the ordinary set again.
func (t Minter) RestoreKeys() { t.KeyServer().ServeKeys(nil) }

// NewKey makes a key of the kind with which ordinary tokens are signed.
func (t Minter) NewKey(id string) *mint.Key {
	algorithm, _ := t.Header()["alg"].(string)
	if algorithm == "RS256" {
		return t.RSAKey(id)
	}
	return mint.NewKey(id)
}

// RSAKey makes an RSA key under a name of its own. All have the same material: it takes long to make.
func (t Minter) RSAKey(id string) *mint.Key { return &mint.Key{ID: id, Signer: mint.RSA()} }

// SignedBy signs an ordinary token, with claims changed, by another key than the issuer's.
func (t Minter) SignedBy(key *mint.Key, changes map[string]any) string {
	return t.Hide(key.JWT(mint.Header{"typ": t.Header()["typ"]}, t.Claims(changes)))
}

// leastTries are made whatever the time, since each may take long on a busy machine.
const leastTries = 10

// Eventually waits until something holds, five times as long as the user's patience lasts; ex is the last exchange.
func (t *T) Eventually(holds func() bool) (ex *reports.Exchange, ok bool) {
	t.SettleForSeed()
	deadline := time.Now().Add(5 * t.Patience)
	wait := 10 * time.Millisecond
	for tries := 1; ; tries++ {
		if holds() {
			return t.transcript[len(t.transcript)-1], true
		}
		if tries >= leastTries && time.Now().Add(wait).After(deadline) {
			return t.transcript[len(t.transcript)-1], false
		}
		t.Sleep(wait)
		wait = min(wait*3/2, 2*time.Second)
	}
}

// SharedClaims are the claims of an ordinary token under the shared secret, with some changed; nil leaves one out.
func (t Minter) SharedClaims(changes map[string]any) mint.Claims {
	now := time.Now().Unix()
	c := mint.Claims{
		"sub": "alice", "aud": t.SharedSecret.Audience, "iss": t.SharedSecret.Issuer, "client_id": "client-1",
		"scope": strings.Join(t.MCP.OrdinaryScopes(), " "), "iat": now, "exp": now + 3600, "jti": Random(12),
	}
	for k, v := range changes {
		if c[k] = v; v == nil {
			delete(c, k)
		}
	}
	return c
}

// surveyedKeys is how often the suite itself asked for the key set of the issuer.
func (t *T) surveyedKeys() (n int) {
	issuer := t.Issuer.Claims("", nil)["iss"]
	for s := t.Survey; s != nil; s = s.Earlier {
		for _, a := range s.Servers {
			if a.Issuer == issuer && a.JWKS.Exchange != nil {
				n++
			}
		}
	}
	return n
}

// MustFetchKeys ends the check where the target has never asked for the key set: its keys are configured.
func (t Minter) MustFetchKeys() KeyServer {
	t.Control()
	t.MCP.Use(t.SignedBy(t.NewKey("mcpauth-unknown-"+Random(6)), nil)) // an unknown kid makes most targets look again
	keys := t.KeyServer()
	if keys.KeyFetches() <= t.KeyFetchesBefore+t.surveyedKeys() {
		t.NotApplicable("the target has fetched no key set of mcpauth during the run, not even for an unknown kid: its keys are configured, or were loaded when it started")
	}
	return keys
}
