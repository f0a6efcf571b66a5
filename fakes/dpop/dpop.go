// Package dpop verifies DPoP proofs (RFC 9449 section 4.3), for the fake servers.
package dpop

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Algorithm is the only signature algorithm that is accepted.
const Algorithm = "ES256"

// Part is a part of a proof that a flaw does not check.
type Part string

// The parts of a proof.
const (
	One       Part = "one"
	Signature Part = "signature"
	Type      Part = "typ"
	Private   Part = "jwk"
	Method    Part = "htm"
	URL       Part = "htu"
	Time      Part = "iat"
	ID        Part = "jti"
	Token     Part = "ath"
)

// window is how far the time of a proof may differ, in either direction.
const window = 5 * time.Minute

// Request is the request that a proof has to match.
type Request struct {
	Method, URL string
	Token       string // the access token; empty at the token endpoint
	Now         time.Time
	Lacks       Part              // what is not checked
	Seen        func(string) bool // records a jti, and reports whether it is known already; may be nil
	Nonce       func(string) bool // validates a nonce; nil: none is needed
	// Believes reports whether a proof is accepted by its header and claims alone; nil: none is.
	Believes func(header, claims map[string]any) bool
}

// ErrNonce is the error of a proof without an acceptable nonce.
var ErrNonce = errors.New("use_dpop_nonce")

type header struct {
	Typ, Alg string
	JWK      map[string]any
	Crit     any
}

type claims struct {
	Jti, Htm, Htu, Ath, Nonce string
	Iat                       float64
}

// Verify returns the thumbprint of the key that signed a request's proof.
func (q Request) Verify(h http.Header) (thumbprint string, err error) {
	proofs := h.Values("DPoP")
	if len(proofs) == 0 || len(proofs) > 1 && q.Lacks != One {
		return "", errors.New("there is not one proof")
	}
	var head header
	var c claims
	parts := strings.Split(proofs[0], ".")
	if jwk, is := q.believed(parts); is {
		return Thumbprint(jwk), nil
	}
	if len(parts) != 3 || !decode(parts[0], &head) || !decode(parts[1], &c) {
		return "", errors.New("the proof is not a JWS")
	}
	key, err := public(head.JWK)
	if err != nil {
		return "", err
	}
	if err := q.fits(parts, &head, &c, key); err != nil {
		return "", err
	}
	if q.Nonce != nil && !q.Nonce(c.Nonce) {
		return "", ErrNonce
	}
	return Thumbprint(head.JWK), nil
}

// believed returns the key of a proof that a flaw accepts.
func (q Request) believed(parts []string) (jwk map[string]any, is bool) {
	var head, c map[string]any
	if q.Believes == nil || len(parts) != 3 || !decode(parts[0], &head) || !decode(parts[1], &c) || !q.Believes(head, c) {
		return nil, false
	}
	jwk, _ = head["jwk"].(map[string]any)
	return jwk, true
}

func (q Request) fits(parts []string, head *header, c *claims, key *ecdsa.PublicKey) error {
	off := q.Now.Sub(time.Unix(int64(c.Iat), 0))
	sum := sha256.Sum256([]byte(q.Token))
	for part, wrong := range map[Part]bool{
		Signature: head.Alg != Algorithm || !verifies(key, parts),
		Type:      head.Typ != "dpop+jwt" || head.Crit != nil,
		Private:   head.JWK["d"] != nil,
		Method:    c.Htm != q.Method,
		URL:       !same(c.Htu, q.URL),
		Time:      off > window || off < -window,
		ID:        c.Jti == "" || q.Seen != nil && q.Seen(c.Jti),
		Token:     q.Token != "" && c.Ath != base64.RawURLEncoding.EncodeToString(sum[:]),
	} {
		if wrong && part != q.Lacks {
			return fmt.Errorf("%s is wrong", part)
		}
	}
	return nil
}

// same compares two URLs without query and fragment, after normalisation (RFC 9449 section 4.3, item 9).
func same(a, b string) bool { return normal(a) != "" && normal(a) == normal(b) }

func normal(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return ""
	}
	host := strings.ToLower(u.Host)
	for scheme, port := range map[string]string{"http": ":80", "https": ":443"} {
		if strings.EqualFold(u.Scheme, scheme) {
			host = strings.TrimSuffix(host, port)
		}
	}
	return strings.ToLower(u.Scheme) + "://" + host + u.EscapedPath()
}

func verifies(key *ecdsa.PublicKey, parts []string) bool {
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || len(signature) != 64 {
		return false
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	return ecdsa.Verify(key, sum[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:]))
}

func public(jwk map[string]any) (*ecdsa.PublicKey, error) {
	x, err1 := coordinate(jwk, "x")
	y, err2 := coordinate(jwk, "y")
	if jwk["kty"] != "EC" || jwk["crv"] != "P-256" || err1 != nil || err2 != nil || len(x) != 32 || len(y) != 32 {
		return nil, errors.New("the key is not on P-256")
	}
	return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, x, y))
}

func coordinate(jwk map[string]any, name string) ([]byte, error) {
	text, _ := jwk[name].(string)
	return base64.RawURLEncoding.DecodeString(text)
}

// Thumbprint returns the thumbprint of a P-256 key (RFC 7638).
func Thumbprint(jwk map[string]any) string {
	b, _ := json.Marshal(map[string]any{"crv": jwk["crv"], "kty": jwk["kty"], "x": jwk["x"], "y": jwk["y"]}) // sorted by name
	sum := sha256.Sum256(b)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func decode(segment string, into any) bool {
	b, err := base64.RawURLEncoding.DecodeString(segment)
	return err == nil && json.Unmarshal(b, into) == nil
}
