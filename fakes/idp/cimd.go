package idp

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// largestDocument is the maximum size of a client ID metadata document, in bytes; the draft advises 5 kB.
const largestDocument = 64 << 10

// document finds a client by its client ID metadata document; nil if the document is missing or invalid.
func (s *Server) document(id string) *client {
	b := &s.Behaviour
	loose := !b.has(DocumentURLs) || b.TakesDocumentURL != nil && b.TakesDocumentURL(id)
	if b.DocumentRoots == nil || !strings.HasPrefix(id, "https://") && !loose || !strings.Contains(id, "://") && !loose {
		return nil
	}
	if b.has(DocumentURLs) && !goodDocumentURL(id) && (b.TakesDocumentURL == nil || !b.TakesDocumentURL(id)) {
		return nil
	}
	s.mu.Lock()
	known, ok := s.documents[id]
	s.mu.Unlock()
	if ok && time.Now().Before(known.until) {
		return known.client
	}
	c, fresh, err := s.fetchDocument(id)
	if !b.has(DocumentsAtAll) {
		return nil // fetched, and not stored
	}
	if err != nil && !b.has(DocumentFailures) { // the flaw: any redirect URI is accepted
		return &client{id: id, method: "none", grantTypes: []string{"authorization_code", "refresh_token"}, anyRedirect: true}
	}
	if err != nil {
		if !b.has(DocumentRetries) || b.RemembersFailure != nil && b.RemembersFailure(err.Error()) {
			fresh = time.Hour
		} else {
			return nil
		}
		c = nil
	}
	s.mu.Lock()
	s.documents[id] = cachedDocument{c, time.Now().Add(fresh)}
	s.mu.Unlock()
	return c
}

type cachedDocument struct {
	client *client
	until  time.Time
}

// goodDocumentURL reports whether a client identifier is a URL that may be fetched: https, with a path, without a fragment, user name or
// dot segments.
func goodDocumentURL(id string) bool {
	u, err := url.Parse(id)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || strings.Contains(id, "#") || u.Path == "" || u.Path == "/" {
		return false
	}
	for _, segment := range strings.Split(u.EscapedPath(), "/") {
		if segment == "." || segment == ".." {
			return false
		}
	}
	return true
}

var maxAge = regexp.MustCompile(`max-age=(\d+)`)

func (s *Server) fetchDocument(id string) (*client, time.Duration, error) {
	b := &s.Behaviour
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	timer := time.AfterFunc(s.documentTime(3*time.Second), cancel)
	defer timer.Stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, id, nil)
	if err != nil {
		return nil, 0, err
	}
	req.Close = net.ParseIP(req.URL.Hostname()) == nil // a name is looked up, and its address checked, at each fetch
	fetcher := &http.Client{Transport: s.documentTransport(), CheckRedirect: func(to *http.Request, _ []*http.Request) error {
		follows := b.FollowsRedirect != nil && b.FollowsRedirect(to.Response.StatusCode, to.URL)
		if b.has(DocumentRedirects) && !follows {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	resp, err := fetcher.Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK && (b.TakesStatus == nil || !b.TakesStatus(resp.StatusCode)) {
		return nil, 0, fmt.Errorf("status %d", resp.StatusCode)
	}
	limit := int64(largestDocument)
	if !b.has(DocumentSize) || resp.Uncompressed && b.LimitsOnTheWire {
		limit = 1 << 30
	}
	patience := s.documentTime(cmp.Or(b.Patience, 500*time.Millisecond))
	timer.Reset(patience)
	body, err := io.ReadAll(io.LimitReader(&arriving{Reader: resp.Body, each: func() { timer.Reset(patience) }}, limit+1))
	if err != nil || int64(len(body)) > limit {
		return nil, 0, errors.New("too large, or broken off")
	}
	c, err := s.readDocument(id, body)
	var fresh time.Duration
	if m := maxAge.FindStringSubmatch(resp.Header.Get("Cache-Control")); m != nil &&
		!strings.Contains(resp.Header.Get("Cache-Control"), "no-store") {
		seconds, _ := strconv.Atoi(m[1])
		fresh = min(time.Duration(seconds)*time.Second, time.Hour)
	}
	if !b.has(DocumentFreshness) {
		fresh = time.Hour
	}
	return c, fresh, err
}

// arriving is a body that reports each MiB: the time limit is for a slow document, not for a large one.
type arriving struct {
	io.Reader
	each func()
	n    int
}

func (a *arriving) Read(p []byte) (int, error) {
	n, err := a.Reader.Read(p)
	before := a.n >> 20
	if a.n += n; a.n>>20 > before {
		a.each()
	}
	return n, err
}

// documentTransport keeps connections, and resumes TLS sessions: a document is fetched at each use, and handshakes cost more than all else.
func (s *Server) documentTransport() *http.Transport {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fetching == nil {
		s.fetching = &http.Transport{DialContext: s.dial, IdleConnTimeout: time.Second, MaxIdleConnsPerHost: 8, TLSClientConfig: &tls.Config{
			RootCAs: s.Behaviour.DocumentRoots, MinVersion: tls.VersionTLS12, ClientSessionCache: tls.NewLRUClientSessionCache(0),
			CurvePreferences: []tls.CurveID{tls.X25519}}}
	}
	return s.fetching
}

// documentTime is how long a fetch may take, except for the flaw without a limit.
func (s *Server) documentTime(limit time.Duration) time.Duration {
	if !s.Behaviour.has(DocumentTime) {
		return time.Hour
	}
	return limit
}

// dial connects to the checked address, without resolving the name again.
func (s *Server) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if host == s.Behaviour.TrustedDocumentHost || s.Behaviour.DialsAnyway != nil && s.Behaviour.DialsAnyway(host) {
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
	resolver := s.Behaviour.Resolver
	if resolver == nil {
		resolver = net.DefaultResolver
	}
	addresses, err := resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	err = errors.New("the host has no address")
	for _, a := range addresses {
		if !s.Behaviour.has(PinnedAddress) { // the flaw: it dials an address that it has not checked
			if again, problem := resolver.LookupNetIP(ctx, "ip", host); problem == nil && len(again) > 0 {
				a = again[0]
			}
		}
		var conn net.Conn
		if conn, err = (&net.Dialer{Control: s.mayDial}).DialContext(ctx, network, net.JoinHostPort(a.Unmap().String(), port)); err == nil {
			return conn, nil
		}
	}
	return nil, err
}

// DocumentResolver uses the DNS server at an address.
func DocumentResolver(address string) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", address)
	}}
}

// mayDial refuses private addresses, and loopback unless the server itself is on loopback.
func (s *Server) mayDial(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	own, _ := url.Parse(s.Issuer)
	a := ap.Addr().Unmap()
	if s.Behaviour.has(DocumentAddresses) &&
		(a.IsPrivate() || a.IsLinkLocalUnicast() || a.IsUnspecified() || a.IsLoopback() && !loopbackHost(own.Hostname())) {
		return errors.New("the address is not public")
	}
	return nil
}

// readDocument reads the metadata of a client.
func (s *Server) readDocument(id string, body []byte) (*client, error) {
	b := &s.Behaviour
	var meta map[string]any
	if err := json.Unmarshal(body, &meta); err != nil || meta == nil {
		return nil, errors.New("it is not a JSON object")
	}
	claimed, _ := meta["client_id"].(string)
	if claimed != id && b.has(DocumentIdentity) && (b.TakesDocumentID == nil || !b.TakesDocumentID(id, claimed)) {
		return nil, errors.New("it is about another client")
	}
	name, _ := meta["client_name"].(string)
	if name == "" {
		return nil, errors.New("client_name is missing")
	}
	c := &client{
		id:           id,
		method:       "none",
		name:         name,
		grantTypes:   []string{"authorization_code", "refresh_token"},
		fromDocument: true,
		sent:         meta,
	}
	uris, problem := s.redirectURIs(meta["redirect_uris"])
	if b.RedirectsToDocumentHost && slices.ContainsFunc(uris, func(u string) bool { return !sameHost(u, id) }) {
		return nil, errors.New("a redirect URI is on another host")
	}
	switch {
	case problem != nil && b.has(DocumentContent):
		return nil, problem
	case problem != nil:
		c.anyRedirect = true
	}
	c.redirectURIs = uris
	c.uri, _ = meta["client_uri"].(string)
	c.native = meta["application_type"] == "native"
	method, given := meta["token_endpoint_auth_method"].(string)
	if set, _ := meta["jwks"].(map[string]any); method == "private_key_jwt" && set != nil {
		if c.key = firstKey(set); c.key == nil {
			return nil, errors.New("its keys cannot be used")
		}
		if b.has(DocumentKeys) {
			c.method = method
		}
		return c, nil
	}
	return s.readSecret(c, meta, method, given)
}

// readSecret refuses documents with a secret, or with a method that needs one.
func (s *Server) readSecret(c *client, meta map[string]any, method string, given bool) (*client, error) {
	b := &s.Behaviour
	secret, published := meta["client_secret"].(string)
	switch {
	case published && given && method == b.PublishedSecret: // the flaw, for one method
		if c.method, c.secret = method, secret; method == "none" {
			c.method = "client_secret_post"
		}
	case b.IgnoresPublishedSecrets, !published && given && !b.has(DocumentMethods):
	case b.has(DocumentSecrets) && (published || given && method != "none"):
		return nil, errors.New("a secret cannot be published")
	case given && method != "none":
		c.method, c.secret = method, secret
	}
	return c, nil
}

func sameHost(a, b string) bool {
	one, err1 := url.Parse(a)
	other, err2 := url.Parse(b)
	return err1 == nil && err2 == nil && one.Host == other.Host
}

// DocumentRoots makes a pool of one authority in PEM.
func DocumentRoots(pem []byte) *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	return pool
}
