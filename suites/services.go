package suites

import (
	"fmt"
	"net/netip"

	"github.com/mcpauth/conformance/suites/internal/check"
	"github.com/mcpauth/conformance/suites/internal/documents"
	"github.com/mcpauth/conformance/suites/internal/introspector"
	"github.com/mcpauth/conformance/suites/internal/listener"
	"github.com/mcpauth/conformance/suites/internal/rebind"
)

// Documents serves client ID metadata documents.
type Documents struct{ server *documents.Server }

// ServeDocuments serves the documents at an address. publicURL is the https URL, without a path, at which the
// authorization server reaches that address; if empty, it is the address itself. Close it after the run.
func ServeDocuments(listen, publicURL string) (*Documents, error) {
	s, err := documents.New(listen, publicURL)
	if err != nil {
		return nil, err
	}
	return &Documents{s}, nil
}

// CA returns the certificate authority that the authorization server has to trust, in PEM.
func (d *Documents) CA() []byte { return d.server.CA() }

// Host returns the host and port of the documents' URLs.
func (d *Documents) Host() string { return d.server.Host() }

// Close stops serving.
func (d *Documents) Close() { d.server.Close() }

// Introspection is an introspection endpoint (RFC 7662).
type Introspection struct{ server *introspector.Server }

// ServeIntrospection serves the endpoint at an address. Close it after the run.
func ServeIntrospection(listen string) (*Introspection, error) {
	s, err := introspector.New(listen)
	if err != nil {
		return nil, err
	}
	return &Introspection{s}, nil
}

// ServeVerification serves an endpoint for a target that validates opaque tokens in another way than by RFC 7662: at this path
// of the address. Close it after the run.
func ServeVerification(listen, path string) (*Introspection, error) {
	unknown := introspector.Answer{Status: 200, Body: `{"valid":false,"active":false,"error":"invalid_token"}`}
	s, err := introspector.NewAt(listen, path, unknown)
	if err != nil {
		return nil, err
	}
	return &Introspection{s}, nil
}

// URL returns the address to which the target must send its requests.
func (i *Introspection) URL() string { return i.server.URL() }

// Close stops answering.
func (i *Introspection) Close() { i.server.Close() }

// Rebinding is the name server of a DNS zone in which each name resolves to a public address the first time, and to a private one
// afterwards.
type Rebinding struct{ server *rebind.Server }

// ServeRebinding answers DNS queries for a zone, and listens at a port of the private address, which must belong to this
// machine. A server must listen at the same port of the public address. Close it after the run.
func ServeRebinding(listen, zone string, public, private netip.Addr, port string) (*Rebinding, error) {
	s, err := rebind.New(listen, zone, public, private, port)
	if err != nil {
		return nil, err
	}
	return &Rebinding{s}, nil
}

// Address returns the address of the name server, as "host:port".
func (r *Rebinding) Address() string { return r.server.Address() }

// Close stops answering.
func (r *Rebinding) Close() { r.server.Close() }

// API is a server in the role of a third-party API that the target calls. It records the requests.
type API struct{ server *listener.Listener }

// ServeAPI serves the API at an address. Close it after the run.
func ServeAPI(listen string) (*API, error) {
	s, err := listener.OpenAt(listen)
	if err != nil {
		return nil, err
	}
	return &API{s}, nil
}

// URL returns the URL of a path of the API.
func (a *API) URL(path string) string { return a.server.URL(path) }

// Close stops answering.
func (a *API) Close() { a.server.Close() }

// lend makes the running servers of the configuration available to checks.
func (c *Config) lend(w *check.World) {
	if c.Documents != nil {
		w.Documents = c.Documents.server
	}
	if c.Introspection != nil {
		w.Introspector = c.Introspection.server
	}
	if c.Verification != nil {
		w.Verifier = c.Verification.server
	}
	if c.API != nil {
		w.API = c.API.server
	}
	if c.Rebinding != nil {
		w.Rebinding = c.Rebinding.server
	}
}

// Serve starts the servers that the target of a configuration calls, as its file declares them, and adds them to the
// configuration. Call stop after the run.
func Serve(cfg *Config) (stop func(), err error) {
	var started []func()
	stop = func() {
		for _, f := range started {
			f()
		}
	}
	for _, service := range cfg.declaredServices() {
		end, err := service.serve()
		if err != nil {
			stop()
			return nil, fmt.Errorf("%s: %s: %w", cfg.File, service.key, err)
		}
		started = append(started, end)
	}
	return stop, nil
}

// declaredService starts a server that a key of the target file declares.
type declaredService struct {
	key   string
	serve func() (end func(), err error)
}

func (c *Config) declaredServices() (out []declaredService) {
	if l := c.IntrospectionAt; l != nil {
		out = append(out, declaredService{"introspection", func() (_ func(), err error) {
			c.Introspection, err = ServeIntrospection(l.Listen)
			return c.Introspection.Close, err
		}})
	}
	if v := c.Verify; v.Listen != "" {
		out = append(out, declaredService{"verify", func() (_ func(), err error) {
			c.Verification, err = ServeVerification(v.Listen, v.Path)
			return c.Verification.Close, err
		}})
	}
	if l := c.UpstreamAPI; l != nil {
		out = append(out, declaredService{"upstream_api", func() (_ func(), err error) {
			c.API, err = ServeAPI(l.Listen)
			return c.API.Close, err
		}})
	}
	if z := c.RebindingZone; z != nil {
		out = append(out, declaredService{"rebinding", func() (_ func(), err error) {
			c.Rebinding, err = ServeRebinding(z.Listen, z.Zone, z.Public, z.Private, z.Port)
			return c.Rebinding.Close, err
		}})
	}
	return out
}
