package check

import (
	"slices"

	"github.com/mcpauth/conformance/fixtures/vectors"
	"github.com/mcpauth/conformance/suites/internal/mint"
)

// Standby are keys that the issuer always publishes beside its own, from the beginning of the run. A target that rarely fetches a key set
// then knows one that can be withdrawn, possibly from an earlier run.
type Standby []*mint.Key

// NewStandby returns the standby keys of an issuer that mcpauth runs, whose key set is not judged.
func NewStandby(issuer KeyServer) Standby {
	var out Standby
	algorithm, _ := issuer.Header()["alg"].(string)
	for _, k := range vectors.StandbyKeys {
		text := k.EC
		if algorithm == "RS256" {
			text = k.RSA
		}
		key, err := mint.ParseKey(k.ID, text)
		if err != nil {
			panic(err) // it is built in
		}
		out = append(out, key)
	}
	return out
}

// Publish publishes the ordinary set with the standby keys.
func (s Standby) Publish(keys KeyServer) { s.publish(keys, nil, nil) }

// publish publishes the ordinary set with the standby keys, without a withdrawn one, and with more keys.
func (s Standby) publish(keys KeyServer, withdrawn *mint.Key, more []map[string]any) {
	for _, k := range s {
		if k != withdrawn {
			more = append(more, k.JWK())
		}
	}
	if len(more) == 0 {
		keys.ServeKeys(nil)
		return
	}
	keys.ServeKeys(func(ordinary map[string]any) (int, string, string) {
		set, _ := ordinary["keys"].([]any)
		set = slices.Clone(set)
		for _, k := range more {
			set = append(set, k)
		}
		return 200, "application/jwk-set+json", mint.JSON(map[string]any{"keys": set})
	})
}

// KeyChange is a change of the issuer's key set that all checks on key sets share.
type KeyChange struct {
	Next   *mint.Key // ordinary except for its id
	Marked MarkedKeys
	// Withdrawn is a key that the target knew before and that the set lacks; nil if it knew none.
	Withdrawn *mint.Key
	// Fetched says whether the target has requested the set, and Adopted whether it accepts tokens signed with the next key.
	Fetched, Adopted bool
}

// MarkedKeys are keys that are each marked for one purpose.
type MarkedKeys struct {
	Signing, Encryption, Operation *mint.Key
	Secret                         []byte
}

// MarkedKeys makes keys that are each marked for one purpose. Their material differs: a verifier may try every key for signatures.
func (t Minter) MarkedKeys() MarkedKeys {
	return MarkedKeys{
		t.RSAKey("mcpauth-rs256-" + Random(6)),
		&mint.Key{ID: "mcpauth-enc-" + Random(6), Signer: mint.EncryptionRSA()},
		&mint.Key{ID: "mcpauth-ops-" + Random(6), Signer: mint.OperationRSA()},
		[]byte("mcpauth-secret-in-the-key-set-0123456789"),
	}
}

// JWKs returns the keys for a key set.
func (k MarkedKeys) JWKs() []map[string]any {
	secret := map[string]any{"kty": "oct", "kid": "mcpauth-oct", "alg": "HS256", "k": mint.Base64(k.Secret)}
	return []map[string]any{k.Signing.JWK(), forEncryption(k.Encryption), forOperation(k.Operation), secret}
}

// forEncryption marks a key with use, and forOperation with key_ops (RFC 7517 sections 4.2 and 4.3).
func forEncryption(k *mint.Key) map[string]any {
	jwk := k.JWK()
	jwk["use"] = "enc"
	delete(jwk, "alg")
	return jwk
}

func forOperation(k *mint.Key) map[string]any {
	jwk := k.JWK()
	jwk["key_ops"] = []string{"encrypt"}
	delete(jwk, "use")
	return jwk
}

// rarely describes a target that caches a key set for a while.
type rarely struct {
	knows   *mint.Key // the standby key that it knows
	fetches int       // number of fetches so far
}

// fetchesRarely tests whether the target fetches the key set within the user's patience for one unknown kid, and for the next; nil if it
// does. What other keys show then costs no fetch.
func (t Minter) fetchesRarely() *rarely {
	return Once(t.T, "how often key sets are fetched", func() *rarely {
		for range 2 {
			before := t.KeyServer().KeyFetches()
			_, fetched := t.awaitFetch(t.Patience, func() bool {
				t.PresentUnknownKey()
				return t.KeyServer().KeyFetches() > before
			})
			if !fetched {
				i := slices.IndexFunc(t.StandbyKeys, func(k *mint.Key) bool { return t.MCP.Served(t.MCP.Use(t.SignedBy(k, nil))) })
				out := &rarely{fetches: t.KeyServer().KeyFetches()}
				if i >= 0 {
					out.knows = t.StandbyKeys[i]
				}
				return out
			}
		}
		return nil
	})
}

// FetchesRarely reports whether the target caches a key set for longer than the user's patience.
func (t Minter) FetchesRarely() bool { return t.fetchesRarely() != nil }

// RareChange makes the only change that a target sees that rarely fetches a key set. All checks on key sets share it, after all others. It
// returns false for a target that fetches at once, where each check makes its own change.
func (t Minter) RareChange() (*KeyChange, bool) {
	rare := t.fetchesRarely()
	if rare == nil {
		return nil, false
	}
	t.afterOthers()
	return Once(t.T, "a change of the key set", func() *KeyChange { return t.changeOnce(rare) }), true
}

func (t Minter) changeOnce(rare *rarely) *KeyChange {
	keys := t.KeyServer()
	change := &KeyChange{Next: t.NewKey("mcpauth-next-" + Random(6)), Marked: t.MarkedKeys(), Withdrawn: rare.knows}
	t.StandbyKeys.publish(keys, change.Withdrawn, append(change.Marked.JWKs(), change.Next.JWK()))
	before := keys.KeyFetches()
	_, change.Adopted = t.UntilFetched(func() bool { return t.MCP.Served(t.MCP.Use(t.SignedBy(change.Next, nil))) })
	change.Fetched = keys.KeyFetches() > before
	if !change.Fetched && before > rare.fetches && t.hasFetched() {
		t.MustHaveTime() // it fetches again, but later
	}
	return change
}
