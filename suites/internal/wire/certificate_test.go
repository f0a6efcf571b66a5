package wire

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fixtures/seeded"
)

// shown is a TLS server that requests a client certificate of an authority that is not the client's. It records the names in the
// certificates, "" for none.
type shown struct {
	*httptest.Server
	mu    sync.Mutex
	names []string
}

func askForCertificates(t *testing.T, roots *x509.CertPool) *shown {
	t.Helper()
	s := &shown{}
	s.Server = httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	stranger := x509.NewCertPool()
	another, err := x509.ParseCertificate(clientCertificate(t, "another authority").Certificate[0])
	require.NoError(t, err)
	stranger.AddCert(another)
	s.TLS = &tls.Config{MinVersion: tls.VersionTLS10, ClientAuth: tls.RequestClientCert, ClientCAs: stranger,
		VerifyConnection: func(c tls.ConnectionState) error {
			name := ""
			if len(c.PeerCertificates) > 0 {
				name = c.PeerCertificates[0].Subject.CommonName
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			s.names = append(s.names, name)
			return nil
		}}
	s.StartTLS()
	t.Cleanup(s.Close)
	roots.AddCert(s.Certificate())
	return s
}

// last returns the name in the certificate of the last connection, and clears the record.
func (s *shown) last() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.names) == 0 {
		return "no connection"
	}
	name := s.names[len(s.names)-1]
	s.names = nil
	return name
}

func clientCertificate(t *testing.T, name string) *tls.Certificate {
	t.Helper()
	key := seeded.Suites.Key()
	template := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// The client sends its certificate to the target's origin and to no other, whichever way it sends a request.
func TestClientCertificateStaysAtTheTarget(t *testing.T) {
	roots := x509.NewCertPool()
	mine, other := askForCertificates(t, roots), askForCertificates(t, roots)
	c := New(Options{Guard: NewGuard("127.0.0.1", nil), Roots: roots, Certificate: clientCertificate(t, "for the gate"),
		HeaderOrigin: mine.URL})
	defer c.Close()
	send := func(change func(*Request)) func(*testing.T, *url.URL) {
		return func(t *testing.T, at *url.URL) {
			req := Request{Method: "GET", URL: at.String() + "/mcp"}
			change(&req)
			ex := c.Do(context.Background(), "TEST", req)
			assert.NotNil(t, ex.Response, ex.Error)
		}
	}
	proxy, err := c.NewProxy()
	require.NoError(t, err)
	defer proxy.Close()
	for name, reach := range map[string]func(*testing.T, *url.URL){
		"ordinary": send(func(*Request) {}),
		"fresh":    send(func(r *Request) { r.Fresh = true }),
		"fetch":    send(func(r *Request) { r.Fetch = true }),
		"raw":      send(func(r *Request) { r.Raw = []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n") }),
		"leaf key": func(t *testing.T, at *url.URL) {
			_, err := c.LeafKey(context.Background(), at)
			assert.NoError(t, err)
		},
		"browser": func(t *testing.T, at *url.URL) {
			conn, err := proxy.secure(context.Background(), at.Host)
			require.NoError(t, err)
			conn.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			for s, want := range map[*shown]string{mine: "for the gate", other: ""} {
				c.Close() // idle connections
				at, err := url.Parse(s.URL)
				require.NoError(t, err)
				reach(t, at)
				assert.Eventually(t, func() bool { s.mu.Lock(); defer s.mu.Unlock(); return len(s.names) > 0 }, time.Minute, time.Millisecond)
				assert.Equal(t, want, s.last())
			}
		})
	}
	at, err := url.Parse(mine.URL)
	require.NoError(t, err)
	send(func(r *Request) { r.Certificate = clientCertificate(t, "of a check") })(t, at)
	assert.Equal(t, "of a check", mine.last(), "the certificate that a check presents is replaced")

	agreed, err := c.OldTLS(context.Background(), at)
	require.NoError(t, err)
	assert.True(t, agreed)
	assert.Empty(t, mine.last(), "a certificate is presented to a server that is not verified")
}

// No answer is not a refusal.
func TestOldTLSThatIsNotAnsweredIsNotRefused(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer silent.Close()
	c := New(Options{Guard: NewGuard("127.0.0.1", nil), Limits: Limits{Request: 100 * time.Millisecond}})
	defer c.Close()
	_, err = c.OldTLS(context.Background(), &url.URL{Scheme: "https", Host: silent.Addr().String()})
	assert.ErrorIs(t, err, context.DeadlineExceeded)
}

// A server that requires a client certificate has already agreed to a TLS version.
func TestOldTLSIsSeenWhereACertificateIsDemanded(t *testing.T) {
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.TLS = &tls.Config{MinVersion: tls.VersionTLS10, ClientAuth: tls.RequireAnyClientCert}
	s.StartTLS()
	defer s.Close()
	c := New(Options{Guard: NewGuard("127.0.0.1", nil), HeaderOrigin: s.URL})
	defer c.Close()
	at, err := url.Parse(s.URL)
	require.NoError(t, err)
	agreed, err := c.OldTLS(context.Background(), at)
	require.NoError(t, err)
	assert.True(t, agreed)
}

func TestAlertsAboutTheClientCertificate(t *testing.T) {
	for alert, want := range map[string]string{
		"certificate required":          "demands a client certificate",
		"bad certificate":               "refuses the client certificate (bad certificate)",
		"unknown certificate authority": "refuses the client certificate (unknown certificate authority)",
		"handshake failure":             "no cipher in common",
	} {
		text := plain(errors.New("remote error: tls: " + alert))
		assert.Contains(t, text, want)
		assert.Contains(t, text, "--client-cert")
	}
	assert.NotContains(t, plain(errors.New("remote error: tls: internal error")), "--client-cert")
}
