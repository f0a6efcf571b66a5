package check

import (
	"strings"
	"sync"
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/mint"
	"github.com/mcpauth/conformance/suites/internal/wire"
)

// KeysAnswer is the answer to a request for the key set.
type KeysAnswer struct {
	Status          int
	MediaType, Body string
	Break           bool // close the connection
}

// KeyServer returns the issuer if its keys can be changed, or nil.
func (t Minter) KeyServer() KeyServer {
	k, _ := t.Issuer.(KeyServer)
	return k
}

// ServeKeys sets the answer to every request for the key set.
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

// NewKey makes a key of the kind that signs ordinary tokens.
func (t Minter) NewKey(id string) *mint.Key {
	algorithm, _ := t.Header()["alg"].(string)
	if algorithm == "RS256" {
		return t.RSAKey(id)
	}
	return mint.NewKey(id)
}

// RSAKey makes an RSA key with a new id. All have the same material, because generating it takes long; it is not an attacker's.
func (t Minter) RSAKey(id string) *mint.Key { return &mint.Key{ID: id, Signer: mint.RSA()} }

// SignedBy signs an ordinary token, with changed claims, with another key than the issuer's.
func (t Minter) SignedBy(key *mint.Key, changes map[string]any) string {
	return t.Hide(key.JWT(mint.Header{"typ": t.Header()["typ"]}, t.Claims(changes)))
}

// leastTries is the minimum number of tries, because each may take long on a busy machine.
const leastTries = 10

// Eventually waits until a condition holds, up to five times the user's patience; ex is the last exchange.
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

// SharedClaims returns the claims of an ordinary token under the shared secret, with changes; nil removes a claim.
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

// ownFetches returns the number of mcpauth's own requests for the issuer's key set.
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

// MustFetchKeys ends the check if the target never requests the key set: its keys are configured. At a target that fetches rarely, the
// checks that must see a fetch come first.
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

// hasFetched reports whether the target itself has requested the key set. While a request of mcpauth is in progress, the origin of the last
// ones is unknown.
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

// MustHaveFetched ends the check if the target has not requested the key set so far.
func (t Minter) MustHaveFetched() {
	if !t.hasFetched() {
		t.NotApplicable("the target has fetched no key set of mcpauth during the run, not even for an unknown kid: its keys are configured, " +
			"or were loaded when it started")
	}
}

// NotFetched ends a check for which the target should have fetched the key set; when says at which occasion it did not.
func (t Minter) NotFetched(when string) {
	t.MustHaveFetched()
	t.Inconclusive("the target fetched the key set %s: it may limit how often it does; let the checks wait longer with --max-wait, or run "+
		"this one alone, with --only %s", when, t.id)
}

// PresentUnknownKey sends a token signed with an unpublished key.
func (t Minter) PresentUnknownKey() *reports.Exchange {
	return t.MCP.Use(t.SignedBy(t.NewKey("mcpauth-unknown-"+Random(6)), nil))
}

// keyCache is what the checks on key sets know about the target's key cache.
type keyCache struct {
	mu    sync.Mutex
	spent time.Duration // total wait of the checks so far, beyond the user's patience
	pause time.Duration // the longest time until the target fetched again
	// waiting are called when a check begins to wait for a fetch that does not come at once.
	waiting []func()
}

// onWait adds a function that is called at each wait.
func (k *keyCache) onWait(f func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.waiting = append(k.waiting, f)
}

// waits calls the functions of onWait.
func (k *keyCache) waits() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, f := range k.waiting {
		f()
	}
}

// wait records a wait for the target to fetch the key set again.
func (k *keyCache) wait(d time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.spent, k.pause = k.spent+d, max(k.pause, d)
}

// left returns how long the checks may still wait, of a common limit, and whether that is enough to see a fetch.
func (k *keyCache) left(most time.Duration) (left time.Duration, enough bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return most - k.spent, most-k.spent > k.pause
}

// MustHaveTime ends the check if the checks have already waited so long for a fetch that a missing one is not a finding.
func (t Minter) MustHaveTime() {
	if _, enough := t.keyCache.left(t.KeyWait); !enough {
		t.Inconclusive("the target kept a key set for %v before it looked again, and the checks on key sets wait %v together: let them wait "+
			"longer with --max-wait, twice as long", t.keyCache.pause.Round(time.Second/10), t.KeyWait.Round(time.Second/10))
	}
}

// UntilFetched waits until a condition holds that needs a new fetch of the key set by the target; ex is the last exchange. Key caches wait
// between two fetches, commonly 30 s, which all checks respect.
func (t Minter) UntilFetched(holds func() bool) (ex *reports.Exchange, ok bool) {
	left, enough := t.keyCache.left(t.KeyWait)
	if !enough {
		left = t.Patience
	}
	return t.awaitFetch(left, holds)
}

// AwaitOrdinaryKeys waits until the genuine token is accepted, however long the checks have waited before.
func (t Minter) AwaitOrdinaryKeys() (ex *reports.Exchange, ok bool) {
	return t.awaitFetch(t.KeyWait, func() bool { return t.MCP.Served(t.MCP.Use(t.Token(nil))) })
}

// soonFetched is how long a target that fetches key sets at once may take for it, also if it does so only once in a moment.
const soonFetched = 100 * time.Millisecond

// awaitFetch counts only the pauses between the tries: slow tries show nothing about the key cache.
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
		if waited > soonFetched {
			t.keyCache.waits()
		}
		t.idle(pause)
		waited += pause
		tries++
	}
}
