// Package reference runs the reference MCP server with its authorization server, on loopback.
package reference

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/mcpauth/conformance/fakes/idp"
	"github.com/mcpauth/conformance/fakes/mcpserver"
	"github.com/mcpauth/conformance/fixtures/seeded"
)

// Options change the reference.
type Options struct {
	Policy    mcpserver.Policy
	Behaviour idp.Behaviour
	Listen    string // 127.0.0.1:0 if empty
	// Everywhere listens on all addresses of the machine, though the URL names loopback.
	Everywhere bool
	// Apart gives the authorization server its own origin, and an issuer with IssuerPath.
	Apart      bool
	IssuerPath string
	// Host, if set, is the name under which clients reach the server, over https. The pair then shares an origin. Roots and ConnectTo of
	// the Reference say how to reach it.
	Host string
	// PlainToo serves the same content over plain HTTP on port 80 of Host.
	PlainToo bool
	// PlainAtTLS answers plain HTTP on the TLS port, if Host is set.
	PlainAtTLS bool
	// OldTLS offers TLS 1.0 and 1.1 too, if Host is set.
	OldTLS bool
	// TLS and Server, if set, change the TLS configuration and the HTTP server, if Host is set.
	TLS    func(*tls.Config)
	Server func(*http.Server)
	// Delay is added to every answer. It simulates the round trip of a network.
	Delay time.Duration
	// Users replaces the users who may sign in.
	Users []idp.User
	// Introspection is the endpoint where the MCP server introspects opaque tokens; none if empty.
	Introspection string
	// VerifyURL is the proprietary endpoint that verifies opaque tokens for the MCP server; none if empty.
	VerifyURL string
	// API is the origin of the API that some tools call; none if empty.
	API string
	// Algorithm signs the minted access tokens: one of idp.Algorithms. If empty, it is ES256, which is fast.
	Algorithm string
	// Static replaces the static tokens and API keys.
	Static []mcpserver.Static
	// Proxy makes users sign in at a third-party authorization server. The reference's own server is a proxy for it.
	Proxy bool
	// ByUserinfo makes the proxy read the user from the third party's userinfo endpoint, which is right too.
	ByUserinfo bool
	// ProxyTo is an external authorization server where users sign in.
	ProxyTo *idp.Upstream
	// OneDocument is a flaw: the metadata of the second endpoint names the first one.
	OneDocument bool
	// Wrap, if set, wraps the MCP server's handler.
	Wrap func(http.Handler) http.Handler
}

// Ideal returns the reference without a flaw.
func Ideal() Options { return Options{Policy: mcpserver.Strict(), Behaviour: idp.Ideal()} }

// Reference is a running pair of servers.
type Reference struct {
	URL   string // of the MCP endpoint
	Other string // of a second endpoint, under the same authorization server
	// Machines are clients that act for themselves: one with a secret, and one with a key.
	Machines []Machine
	MCP      *mcpserver.Server
	IDP      *idp.Server
	// Enterprise signs identity assertions that the authorization server accepts.
	Enterprise *idp.Server
	// Second is a second issuer that the MCP server trusts.
	Second *idp.Second
	// Upstream is set if Options.Proxy is.
	Upstream *idp.Server
	// Roots, the same roots in PEM, and ConnectTo are set if Options.Host is.
	Roots     *x509.CertPool
	Authority []byte
	ConnectTo map[string]string
	other     *mcpserver.Server
	servers   []*http.Server
}

// Start starts the pair. Close it after use.
func Start(o Options) (*Reference, error) {
	r := &Reference{}
	at, err := r.listen(o)
	if err != nil {
		return nil, err
	}
	r.URL, r.Other = at.origin+"/mcp", at.origin+otherPath
	if err = r.authorizationServer(o, at.issuer); err == nil {
		err = r.resourceServers(o)
	}
	if err != nil {
		at.close()
		return nil, err
	}
	mcp := r.handler(o)
	r.serve(at.resource, delayed(mcp, o.Delay), o.Server)
	if o.PlainToo {
		plain, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		r.ConnectTo[o.Host+":80"] = plain.Addr().String()
		r.serve(plain, mcp, nil)
	} else if o.Host != "" {
		r.ConnectTo[o.Host+":80"] = "127.0.0.1:1" // nothing listens there
	}
	if at.own != nil {
		r.serve(at.own, delayed(r.IDP, o.Delay), nil)
	}
	return r, nil
}

// addresses are the listeners and the names of the pair.
type addresses struct {
	resource, own  net.Listener // own is the authorization server's; nil if it shares the resource server's
	origin, issuer string
}

func (a *addresses) close() {
	_ = a.resource.Close()
	if a.own != nil {
		_ = a.own.Close()
	}
}

// listen opens the listeners.
func (r *Reference) listen(o Options) (*addresses, error) {
	listen := cmp.Or(o.Listen, "127.0.0.1:0")
	if o.Everywhere {
		_, port, err := net.SplitHostPort(listen)
		if err != nil {
			return nil, err
		}
		listen = ":" + port
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return nil, err
	}
	origin := "http://" + l.Addr().String()
	if o.Everywhere {
		origin = fmt.Sprintf("http://127.0.0.1:%d", l.Addr().(*net.TCPAddr).Port)
	}
	at := &addresses{resource: l, origin: origin, issuer: origin}
	if o.Apart {
		if at.own, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			l.Close()
			return nil, err
		}
		at.issuer = "http://" + at.own.Addr().String()
	}
	if o.Host != "" {
		at.origin = "https://" + o.Host
		at.issuer = at.origin
		if at.resource, err = r.secure(l, o); err != nil {
			return nil, err
		}
	}
	return at, nil
}

// authorizationServer makes the authorization server, and the issuers that it trusts.
func (r *Reference) authorizationServer(o Options, issuer string) (err error) {
	if r.IDP, err = idp.New(issuer+o.IssuerPath, o.Behaviour); err != nil {
		return err
	}
	r.IDP.Resources, r.IDP.Algorithm = []string{r.URL, r.Other}, cmp.Or(o.Algorithm, "ES256")
	if o.Users != nil {
		r.IDP.Users = o.Users
	}
	r.machines()
	if r.Enterprise, err = idp.New("https://idp.enterprise.example", idp.Ideal()); err != nil {
		return err
	}
	r.Enterprise.Resources = []string{r.IDP.Issuer}
	r.IDP.Enterprise = &idp.Enterprise{Issuer: r.Enterprise.Issuer, Key: r.Enterprise.Public()}
	if o.ProxyTo != nil {
		r.IDP.Upstream, r.IDP.Users = o.ProxyTo, nil
	}
	if o.Proxy {
		return r.proxy(o)
	}
	return nil
}

// resourceServers makes both resource servers.
func (r *Reference) resourceServers(o Options) (err error) {
	if o.Static == nil {
		o.Static = Credentials()
	}
	r.Second = idp.NewSecond("https://second.example", r.URL)
	config := mcpserver.Config{
		Resource: r.URL, Issuer: r.IDP.Issuer, Key: r.IDP.Public(), KeyEC: r.IDP.PublicEC(), Revoked: r.IDP.Revoked,
		Static: o.Static, Introspection: o.Introspection, API: o.API, ServiceKey: "svc_" + mcpserver.RandomID(), Policy: o.Policy,
		SharedSecret: "shared-" + mcpserver.RandomID(), SignIn: r.signIn, VerifyURL: o.VerifyURL,
		Second: &mcpserver.Second{Issuer: r.Second.Issuer, Key: r.Second.Public()},
	}
	if o.Host == "" {
		config.JWKS = strings.TrimSuffix(r.IDP.Issuer, "/") + "/jwks"
	}
	if o.Behaviour.Opaque != "" {
		config.Lookup = r.IDP.Lookup
	}
	if r.MCP, err = mcpserver.New(config); err != nil {
		return err
	}
	config.Resource = r.Other
	if o.OneDocument {
		config.Policy.PRM = func(_ string, doc map[string]any) { doc["resource"] = r.URL }
	}
	r.other, err = mcpserver.New(config)
	return err
}

// handler serves the origin of the resource server.
func (r *Reference) handler(o Options) http.Handler {
	mcp := http.Handler(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		// A 2025-03-26 client reads the metadata at the MCP server's own origin, wherever the authorization server is.
		old := o.Apart && o.IssuerPath == "" && req.URL.Path == "/.well-known/oauth-authorization-server"
		switch {
		case old || !o.Apart && r.IDP.Handles(req.URL.Path):
			r.IDP.ServeHTTP(w, req)
		case strings.HasSuffix(req.URL.Path, otherPath):
			r.other.ServeHTTP(w, req)
		default:
			r.MCP.ServeHTTP(w, req)
		}
	}))
	if o.Wrap != nil {
		mcp = o.Wrap(mcp)
	}
	return mcp
}

// Machine is a client that acts for itself.
type Machine struct {
	ID, Secret string
	Key        string // private, in PEM; empty for one with a secret
}

// machines registers two clients that act for themselves.
func (r *Reference) machines() {
	key := seeded.Fakes.Key()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err) // a P-256 key always marshals
	}
	secret := mcpserver.RandomID()
	r.Machines = []Machine{{ID: "machine-with-secret", Secret: secret},
		{ID: "machine-with-key", Key: string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))}}
	r.IDP.AddMachine(r.Machines[0].ID, secret, nil, "notes:read")
	r.IDP.AddMachine(r.Machines[1].ID, "", &key.PublicKey, "notes:read")
}

// proxy starts the third-party authorization server. It remembers consent, which is the danger of a proxy.
func (r *Reference) proxy(o Options) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	b := idp.Ideal()
	b.Consent = "once"
	if r.Upstream, err = idp.New("http://"+l.Addr().String(), b); err != nil {
		return err
	}
	r.Upstream.CookiePrefix = "up_"
	r.Upstream.Resources = []string{"https://api.upstream.example/"}
	r.Upstream.Users, r.IDP.Users = r.IDP.Users, nil
	u := &idp.Upstream{Issuer: r.Upstream.Issuer, ClientID: "the-mcp-server", Secret: mcpserver.RandomID(),
		Scopes: []string{"openid", "profile", "email"}, Key: r.Upstream.Public(), ByUserinfo: o.ByUserinfo, Lives: r.Upstream.Lives,
		Issued: r.Upstream.Issued}
	r.Upstream.AddClient(u.ClientID, u.Secret, r.IDP.UpstreamCallback())
	r.IDP.Upstream = u
	r.serve(l, delayed(r.Upstream, o.Delay), nil)
	return nil
}

func (r *Reference) signIn(user, password string) bool {
	return slices.ContainsFunc(r.Users(), func(u idp.User) bool { return u.Name == user && u.Password == password })
}

// Advance moves the clocks of all servers, in either direction.
func (r *Reference) Advance(d time.Duration) error {
	r.IDP.Advance(d)
	r.MCP.Advance(d)
	r.other.Advance(d)
	if r.Upstream != nil {
		r.Upstream.Advance(d)
	}
	return nil
}

// Users returns the users who can sign in.
func (r *Reference) Users() []idp.User {
	if r.Upstream != nil {
		return r.Upstream.Users
	}
	return r.IDP.Users
}

// GrantsPage returns the URL where users end the grants of clients.
func (r *Reference) GrantsPage() string { return strings.TrimSuffix(r.IDP.Issuer, "/") + "/grants" }

// IDTokenCallback returns the URL to which the login page sends an ID token of the upstream.
func (r *Reference) IDTokenCallback() string {
	return strings.TrimSuffix(r.IDP.Issuer, "/") + "/id-token"
}

// otherPath is the path of the second MCP endpoint.
const otherPath = "/archive"

// Credentials returns new static tokens and API keys for a reference.
func Credentials() []mcpserver.Static {
	reader := []string{"whoami", "read_*"}
	return []mcpserver.Static{
		{Name: "the service token", Value: "mcp_" + mcpserver.RandomID(), User: "service"},
		{Name: "the reader token", Value: "mcp_" + mcpserver.RandomID(), User: "reader", Tools: reader},
		{Name: "the service key", Value: "key_" + mcpserver.RandomID(), User: "robot", Header: mcpserver.KeyHeader},
		{Name: "the reader key", Value: "key_" + mcpserver.RandomID(), User: "watcher", Header: mcpserver.KeyHeader, Tools: reader},
		{Name: "the metered key", Value: "key_" + mcpserver.RandomID(), User: "meter", Header: mcpserver.KeyHeader, Limit: 20,
			Window: time.Second},
		{Name: "the metered token", Value: "mcp_" + mcpserver.RandomID(), User: "counter", Limit: 30, Window: time.Second},
		{Name: "the old token", Value: "mcp_" + mcpserver.RandomID(), User: "gone", Withdrawn: true},
	}
}

func delayed(h http.Handler, d time.Duration) http.Handler {
	if d == 0 {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(d)
		h.ServeHTTP(w, r)
	})
}

func (r *Reference) serve(l net.Listener, h http.Handler, change func(*http.Server)) {
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	if change != nil {
		change(s)
	}
	r.servers = append(r.servers, s)
	go func() { _ = s.Serve(l) }()
}

// Token returns a valid access token of a user, with all scopes but the administrator's.
func (r *Reference) Token() string {
	return r.IDP.Mint("alice", r.URL, []string{"notes:read", "notes:write"}, nil)
}

// Close stops both servers and ends their streams.
func (r *Reference) Close() {
	r.MCP.Close()
	r.other.Close()
	for _, s := range r.servers {
		_ = s.Close()
	}
}
