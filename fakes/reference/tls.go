package reference

import (
	"bufio"
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

// certificate makes a self-signed certificate for host, valid for an hour.
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

// Stranger makes a certificate for a host that an untrusted authority has signed.
func Stranger(host string) (tls.Certificate, error) {
	cert, _, err := certificate(host)
	return cert, err
}

// secure turns a listener into one that speaks TLS for o.Host, and returns how to reach and trust it.
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
	if o.PlainAtTLS {
		return sniffing(l, config), nil
	}
	return tls.NewListener(l, config), nil
}

// sniffing is a flaw: the first byte of a connection decides between TLS and plain HTTP.
func sniffing(l net.Listener, config *tls.Config) net.Listener {
	s := &sniffed{Listener: l, conns: make(chan net.Conn), failed: make(chan error, 1)}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				s.failed <- err
				return
			}
			go s.sniff(c, config)
		}
	}()
	return s
}

type sniffed struct {
	net.Listener
	conns  chan net.Conn
	failed chan error
}

// Accept returns the next connection on which the client has sent something.
func (s *sniffed) Accept() (net.Conn, error) {
	select {
	case c := <-s.conns:
		return c, nil
	case err := <-s.failed:
		return nil, err
	}
}

// handshake is the type of the first TLS record (RFC 8446 section 5.1).
const handshake = 22

func (s *sniffed) sniff(c net.Conn, config *tls.Config) {
	b := bufio.NewReader(c)
	first, err := b.Peek(1)
	switch said := (&peeked{c, b}); {
	case err != nil:
		_ = c.Close()
	case first[0] == handshake:
		s.conns <- tls.Server(said, config)
	default:
		s.conns <- said
	}
}

// peeked is a connection whose first bytes are buffered.
type peeked struct {
	net.Conn
	buffer *bufio.Reader
}

func (p *peeked) Read(b []byte) (int, error) { return p.buffer.Read(b) }
