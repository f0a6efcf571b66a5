package mcpserver

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	_ "crypto/sha512" // for SHA-384
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"time"
)

// key is a key of a key set (RFC 7517).
type key struct {
	Kty, Kid, Use, Alg, Crv string
	KeyOps                  []string `json:"key_ops"`
	N, E, X, Y, K           string
}

// keyInterval is the minimum time between two fetches of a key set, keyRetry the time after a failure, and keyLife the lifetime of a key
// set.
const (
	keyInterval = 25 * time.Millisecond
	keyRetry    = 1 * time.Millisecond
	keyLife     = 30 * time.Millisecond
)

var keyClient = &http.Client{Timeout: 2 * time.Second,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// publishedKey returns a key of the issuer's published set; failed says that the set could not be fetched.
func (s *Server) publishedKey(kid string) (found *key, failed bool) {
	if s.JWKS == "" || kid == "" {
		return nil, false
	}
	s.keyMu.Lock()
	defer s.keyMu.Unlock()
	find := func() int { return slices.IndexFunc(s.keys, func(k key) bool { return k.Kid == kid }) }
	i := find()
	if s.fetchesKeys(i >= 0) {
		failed = s.fetchKeys()
		i = find()
	}
	if i < 0 {
		return nil, failed
	}
	k := s.keys[i]
	return &k, false
}

// fetchesKeys reports whether the key set is fetched for a key that is known, or for one that is not.
func (s *Server) fetchesKeys(known bool) bool {
	p, age := &s.Policy, time.Since(s.keysAt)
	switch {
	case p.KeyFetches > 0:
		return !known && s.mayFetchKeys()
	case p.KeyPause > 0:
		return !known && (s.keysAt.IsZero() || age >= p.KeyPause)
	case known && (age < keyLife || !p.has(ForgetKeys)), !p.has(RefreshKeys) && !s.keysAt.IsZero():
		return false
	}
	return age >= s.keyPause || !p.has(LimitKeyFetches)
}

// mayFetchKeys counts a fetch, and reports whether it is within the limit of a minute.
func (s *Server) mayFetchKeys() bool {
	if now := time.Now(); now.Sub(s.keyMinute) >= time.Minute {
		s.keyMinute, s.keyFetches = now, 0
	}
	s.keyFetches++
	return s.keyFetches <= s.Policy.KeyFetches
}

// fetchKeys fetches the key set, and keeps it.
func (s *Server) fetchKeys() (failed bool) {
	p := &s.Policy
	fresh, err := readKeys(s.JWKS)
	failed = err != nil && !(p.KeyPause > 0 && errors.Is(err, errNoKeys))
	if !failed || p.KeyPause == 0 || p.PauseAfterFailures {
		s.keysAt = time.Now()
	}
	s.keyPause = keyInterval
	switch {
	case failed:
		s.keyPause = keyRetry
	case !p.has(ForgetKeys):
		s.keys = append(s.keys, fresh...)
	default:
		s.keys = fresh
	}
	return failed
}

// errNoKeys is the error of an empty key set.
var errNoKeys = errors.New("no key in the set")

func readKeys(address string) ([]key, error) {
	resp, err := keyClient.Get(address)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil || resp.StatusCode != http.StatusOK {
		return nil, errors.New("no key set")
	}
	var set struct{ Keys []json.RawMessage }
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, errors.New("no key set")
	}
	if len(set.Keys) == 0 {
		return nil, errNoKeys
	}
	var out []key
	for _, raw := range set.Keys {
		var k key
		if json.Unmarshal(raw, &k) == nil { // an unreadable key does not affect the others
			out = append(out, k)
		}
	}
	return out, nil
}

// verifies checks a signature with a published key, with the only algorithm that the key is for.
func (p *Policy) verifies(k *key, alg string, input, sig []byte) bool {
	marked := (k.Alg == "" || k.Alg == alg) && (k.Use == "" || k.Use == "sig") && (len(k.KeyOps) == 0 || slices.Contains(k.KeyOps, "verify"))
	if !marked && p.has(AlgorithmOfKey) {
		return false
	}
	if !p.has(AlgorithmOfKey) && verifiesLoosely(k, alg, input, sig) {
		return true
	}
	sum := sha256.Sum256(input)
	switch {
	case k.Kty == "RSA" && alg == "RS256":
		public := rsaKey(k)
		return public != nil && rsa.VerifyPKCS1v15(public, crypto.SHA256, sum[:], sig) == nil
	case k.Kty == "RSA" && alg == "PS256":
		public := rsaKey(k)
		return public != nil && rsa.VerifyPSS(public, crypto.SHA256, sum[:], sig, nil) == nil
	case k.Kty == "OKP" && k.Crv == "Ed25519" && alg == "EdDSA":
		public, err := base64.RawURLEncoding.DecodeString(k.X)
		return err == nil && len(public) == ed25519.PublicKeySize && ed25519.Verify(public, input, sig)
	case k.Kty == "EC" && k.Crv == "P-256" && alg == "ES256":
		return verifyES256(k.X, k.Y, sum[:], sig)
	}
	return false
}

// verifiesLoosely is a flaw: a key verifies with the hash that a token names, however it is spelled, or as a secret.
func verifiesLoosely(k *key, alg string, input, sig []byte) bool {
	if k.Kty == "oct" && alg == "HS256" {
		secret, _ := base64.RawURLEncoding.DecodeString(k.K)
		m := hmac.New(sha256.New, secret)
		m.Write(input)
		return hmac.Equal(m.Sum(nil), sig)
	}
	hash := map[string]crypto.Hash{"RS1": crypto.SHA1, "RS256": crypto.SHA256, "RS384": crypto.SHA384}[strings.ToUpper(strings.TrimSpace(alg))]
	public := rsaKey(k)
	if k.Kty != "RSA" || hash == 0 || public == nil {
		return false
	}
	h := hash.New()
	h.Write(input)
	return rsa.VerifyPKCS1v15(public, hash, h.Sum(nil), sig) == nil
}

// rsaKey returns the public key of a JWK; nil if it is not an RSA key of 2048 bits or more.
func rsaKey(k *key) *rsa.PublicKey {
	n, err1 := base64.RawURLEncoding.DecodeString(k.N)
	e, err2 := base64.RawURLEncoding.DecodeString(k.E)
	if err1 != nil || err2 != nil || len(n) < 256 {
		return nil
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}
}

func verifyES256(x, y string, sum, sig []byte) bool {
	bx, err1 := base64.RawURLEncoding.DecodeString(x)
	by, err2 := base64.RawURLEncoding.DecodeString(y)
	if err1 != nil || err2 != nil || len(sig) != 64 {
		return false
	}
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, bx...), by...))
	return err == nil && ecdsa.Verify(public, sum, new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:]))
}
