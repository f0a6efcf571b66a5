package reference

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"time"

	"github.com/mcpauth/conformance/fixtures/seeded"
)

// certificate makes a certificate for host, valid for an hour, that is its own authority.
func certificate(host string) (tls.Certificate, *x509.CertPool, error) {
	key := seeded.Fakes.Key()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool, nil
}

// Stranger is a certificate for a host by an authority that nobody trusts.
func Stranger(host string) (tls.Certificate, error) {
	cert, _, err := certificate(host)
	return cert, err
}

// secure turns a listener into one that speaks TLS for o.Host, and tells how to reach and trust it.
func (r *Reference) secure(l net.Listener, o Options) (net.Listener, error) {
	cert, pool, err := certificate(o.Host)
	if err != nil {
		return nil, err
	}
	r.Roots, r.Authority = pool, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]})
	r.ConnectTo = map[string]string{o.Host + ":443": l.Addr().String()}
	config := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, ClientAuth: tls.RequestClientCert}
	if o.OldTLS {
		config.MinVersion = tls.VersionTLS10 // the flaw
		config.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}
	}
	if o.TLS != nil {
		o.TLS(config)
	}
	return tls.NewListener(l, config), nil
}
