package check

import (
	"strings"
	"sync"
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/mint"
	"github.com/mcpauth/conformance/suites/internal/wire"
)

// KeysAnswer is what a request for the key set is answered.
type KeysAnswer struct {
	Status          int
	MediaType, Body string
	Break           bool // the connection is closed
}

// KeyServer returns the issuer, where its keys can be changed; nil where they cannot.
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
func (t Minter) PublishKeys(more ...map[string]any) { t.StandbyKeys.publish(t.KeyServer(), nil, more) }

// RestoreKeys publishes the ordinary set again.
func (t Minter) RestoreKeys() { t.StandbyKeys.Publish(t.KeyServer()) }

// NewKey makes a key of the kind with which ordinary tokens are signed.
func (t Minter) NewKey(id string) *mint.Key {
	algorithm, _ := t.Header()["alg"].(string)
	if algorithm == "RS256" {
		return t.RSAKey(id)
	}
	return mint.NewKey(id)
}

// RSAKey makes an RSA key under a name of its own. All have the same material, since it takes long to make; it is not an attacker's.
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

// SharedClaims returns the claims of an ordinary token under the shared secret, with some changed; nil leaves one out.
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

// ownFetches returns how often mcpauth itself asked for the key set of the issuer.
func (t *T) ownFetches() wire.Asked {
	issuer := t.Issuer.Claims("", nil)["iss"]
	for s := t.Survey; s != nil; s = s.Earlier {
		for _, a := range s.Servers {
			if a.Issuer == issuer && a.JWKS.Exchange != nil {
				return t.Client.Asked(a.JWKS.Exchange.Request.URL)
			}
		}
	}
	return wire.Asked{}
}

// MustFetchKeys ends the check where the target never asks for the key set: its keys are configured. Where the target fetches
// rarely, the checks that have to see a fetch come first.
func (t Minter) MustFetchKeys() KeyServer {
	t.Control()
	keys := t.KeyServer()
	if t.FetchesRarely() && !t.hasFetched() {
		t.afterOthers()
		t.UntilFetched(func() bool {
			t.PresentUnknownKey()
			return t.hasFetched()
		})
	}
	t.MustHaveFetched()
	return keys
}

// hasFetched reports whether the target itself has asked for the key set. While a request of mcpauth is under way, nobody can tell whose
// the last ones were.
func (t Minter) hasFetched() bool {
	for end := time.Now().Add(t.Patience); ; t.Sleep(20 * time.Millisecond) {
		own := t.ownFetches()
		fetches := t.KeyServer().KeyFetches() - t.KeyFetchesBefore
		switch then := t.ownFetches(); {
		case own == then && fetches > own.Answered+own.Unsure:
			return true
		case own == then && fetches <= own.Answered, time.Now().After(end), t.ctx.Err() != nil:
			return false
		}
	}
}

// MustHaveFetched ends the check where the target has never asked for the key set so far.
func (t Minter) MustHaveFetched() {
	if !t.hasFetched() {
		t.NotApplicable("the target has fetched no key set of mcpauth during the run, not even for an unknown kid: its keys are configured, " +
			"or were loaded when it started")
	}
}

// PresentUnknownKey sends a token signed with an unpublished key.
func (t Minter) PresentUnknownKey() *reports.Exchange {
	return t.MCP.Use(t.SignedBy(t.NewKey("mcpauth-unknown-"+Random(6)), nil))
}

// keyCache is what the checks on key sets have learned of how long the target keeps one.
type keyCache struct {
	mu    sync.Mutex
	spent time.Duration // what the checks have waited so far, beyond the user's patience
	pause time.Duration // the longest time until the target looked again
}

// wait takes note of a wait for the target to look at the key set again.
func (k *keyCache) wait(d time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.spent, k.pause = k.spent+d, max(k.pause, d)
}

// left returns how long the checks may wait yet, of a time for all of them, and whether that is enough to see the target look again.
func (k *keyCache) left(most time.Duration) (left time.Duration, enough bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return most - k.spent, most-k.spent > k.pause
}

// MustHaveTime ends the check where so much was waited for the target to fetch a key set that what it has not fetched yet is no
// finding.
func (t Minter) MustHaveTime() {
	if _, enough := t.keyCache.left(t.KeyWait); !enough {
		t.Inconclusive("the target kept a key set for %v before it looked again, and the checks on key sets wait %v together: let them wait "+
			"longer with --max-wait, twice as long", t.keyCache.pause.Round(time.Second/10), t.KeyWait.Round(time.Second/10))
	}
}

// UntilFetched waits until something holds for which the target has to fetch the key set again; ex is the last exchange.
// Key caches wait between two fetches, commonly 30 s, which all checks respect.
func (t Minter) UntilFetched(holds func() bool) (ex *reports.Exchange, ok bool) {
	left, enough := t.keyCache.left(t.KeyWait)
	if !enough {
		left = t.Patience
	}
	return t.awaitFetch(left, holds)
}

// AwaitOrdinaryKeys waits until the genuine token is served, however often the checks have waited before.
func (t Minter) AwaitOrdinaryKeys() (ex *reports.Exchange, ok bool) {
	return t.awaitFetch(t.KeyWait, func() bool { return t.MCP.Served(t.MCP.Use(t.Token(nil))) })
}

// awaitFetch counts the pauses between the tries alone: that the tries are slow says nothing of the key cache.
func (t Minter) awaitFetch(most time.Duration, holds func() bool) (ex *reports.Exchange, ok bool) {
	t.SettleForSeed()
	waited := time.Duration(0)
	defer func() {
		if waited > t.Patience {
			t.keyCache.wait(waited)
		}
	}()
	tries := 1
	for pause := 10 * time.Millisecond; ; pause = min(pause*3/2, time.Second) {
		ok := holds()
		if ex := t.transcript[len(t.transcript)-1]; ok || tries >= leastTries && waited+pause > most {
			return ex, ok
		}
		t.idle(pause)
		waited += pause
		tries++
	}
}
