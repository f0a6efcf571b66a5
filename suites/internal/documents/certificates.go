package documents

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"sync"
	"time"

	"github.com/mcpauth/conformance/fixtures/seeded"
)

// authority issues certificates for the names under which clients request documents; its own certificate is that for the ordinary name.
type authority struct {
	host   string
	own    tls.Certificate
	parsed *x509.Certificate
	mu     sync.Mutex
	others map[string]*tls.Certificate
}

// mostNames bounds the stored certificates: clients may be hostile.
const mostNames = 1000

// newAuthority makes an authority for a host, valid for a day. Its certificate is also valid for all addresses of this machine, so that it
// does not prevent a client from fetching a document there.
func newAuthority(host string) (*authority, error) {
	key := seeded.Suites.Key()
	template := certificateFor(host)
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage |= x509.KeyUsageCertSign
	template.IPAddresses = append(template.IPAddresses, net.IPv4zero, net.IPv6zero, net.IPv4(127, 0, 0, 1), net.IPv6loopback)
	template.IPAddresses = append(template.IPAddresses, own()...)
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &authority{host: host, own: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, parsed: parsed,
		others: map[string]*tls.Certificate{}}, nil
}

func certificateFor(host string) *x509.Certificate {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "mcpauth client documents"},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{host}
	}
	return template
}

// certificate returns the certificate for the name in a ClientHello.
func (a *authority) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if hello.ServerName == "" || hello.ServerName == a.host {
		return &a.own, nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if c := a.others[hello.ServerName]; c != nil {
		return c, nil
	}
	key, _ := a.own.PrivateKey.(*ecdsa.PrivateKey)
	der, err := x509.CreateCertificate(rand.Reader, certificateFor(hello.ServerName), a.parsed, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	c := &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	if len(a.others) < mostNames {
		a.others[hello.ServerName] = c
	}
	return c, nil
}
