package idp

import (
	"crypto"
	"crypto/rand"
	"crypto/sha1" // for x5t
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"math/big"
	"time"
)

// certify adds certificates to published keys (RFC 7517 sections 4.7 to 4.9).
func (s *Server) certify(keys []any) {
	private := map[any]crypto.Signer{"rsa-1": s.key, "pss-1": s.key, "ec-1": s.ec, "ed-1": s.ed}
	for _, k := range keys {
		jwk := k.(map[string]any)
		kept, _ := s.certificates.LoadOrStore(jwk["kid"], selfSigned(private[jwk["kid"]]))
		der := kept.([]byte)
		one, two := sha1.Sum(der), sha256.Sum256(der)
		jwk["x5c"] = []string{base64.StdEncoding.EncodeToString(der)}
		jwk["x5t"] = base64.RawURLEncoding.EncodeToString(one[:])
		jwk["x5t#S256"] = base64.RawURLEncoding.EncodeToString(two[:])
	}
}

func selfSigned(key crypto.Signer) []byte {
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "as.example"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err) // a valid key of this server
	}
	return der
}
