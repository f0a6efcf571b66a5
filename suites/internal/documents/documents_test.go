package documents_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/suites/internal/documents"
)

// A document is available at every forbidden address: otherwise a refusal would prove nothing.
func TestForbiddenAddressesLeadToTheDocument(t *testing.T) {
	s, err := documents.New("127.0.0.1:0", "")
	require.NoError(t, err)
	defer s.Close()
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(s.CA()))
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}

	page := s.Put(documents.Answer{Type: "application/json", Body: "{}"})
	root, giveBack, err := s.PutRoot(t.Context(), documents.Answer{Type: "application/json", Body: `"root"`})
	require.NoError(t, err)
	defer giveBack()
	for about, address := range map[string]string{
		"as it is": page.URL, "http": "http" + strings.TrimPrefix(page.URL, "https"), "a fragment": page.URL + "#f",
		"user information": strings.Replace(page.URL, "https://", "https://u:p@", 1),
		"a dot segment":    strings.Replace(page.URL, "/clients/", "/./clients/", 1),
		"two dots":         strings.Replace(page.URL, "/clients/", "/clients/../clients/", 1),
	} {
		before := page.Hits()
		assert.Equal(t, "{}", fetch(t, client, address), about)
		assert.Equal(t, before+1, page.Hits(), about)
	}
	assert.Equal(t, `"root"`, fetch(t, client, root.URL), "the document at a URL without a path is missing")
}

// An address leads to a page if a fetch arrives there, which does not count. Behind a proxy that redirects plain HTTP, it does not.
func TestLeads(t *testing.T) {
	t.Parallel()
	s, err := documents.New("127.0.0.1:0", "")
	require.NoError(t, err)
	defer s.Close()
	page := s.Put(documents.NotFound)
	plain := "http" + strings.TrimPrefix(page.URL, "https")
	assert.True(t, s.Leads(page.URL, page))
	assert.True(t, s.Leads(plain, page))
	assert.Zero(t, page.Hits())

	proxy := httptest.NewServer(http.RedirectHandler(page.URL, http.StatusMovedPermanently))
	defer proxy.Close()
	assert.False(t, s.Leads(proxy.URL, page))
	assert.False(t, s.Leads("https://127.0.0.1:1/", page))
}

func fetch(t *testing.T, client *http.Client, address string) string {
	t.Helper()
	resp, err := client.Get(address)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return string(body)
}

// Runs that share a server have its address without a path one after another.
func TestOneRunHasTheAddressWithoutAPath(t *testing.T) {
	t.Parallel()
	s, err := documents.New("127.0.0.1:0", "")
	require.NoError(t, err)
	t.Cleanup(s.Close)
	_, giveBack, err := s.PutRoot(t.Context(), documents.NotFound)
	require.NoError(t, err)
	ended, end := context.WithCancel(t.Context())
	end()
	_, _, err = s.PutRoot(ended, documents.NotFound)
	require.ErrorIs(t, err, context.Canceled)
	giveBack()
	giveBack() // a second time, it gives back nothing
	_, _, err = s.PutRoot(t.Context(), documents.NotFound)
	require.NoError(t, err)
	_, _, err = s.PutRoot(ended, documents.NotFound)
	require.ErrorIs(t, err, context.Canceled)
}
