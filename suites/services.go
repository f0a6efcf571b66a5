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

// ServeDocuments listens for the authorization server. publicURL is the https URL, without a path, under which
// it reaches the address; empty means the address itself. Close it after the run.
func ServeDocuments(listen, publicURL string) (*Documents, error) {
	s, err := documents.New(listen, publicURL)
	if err != nil {
		return nil, err
	}
	return &Documents{s}, nil
}

// CA is the certificate authority that the authorization server has to trust, in PEM.
func (d *Documents) CA() []byte { return d.server.CA() }

// Host is the host and port of the documents' URLs.
func (d *Documents) Host() string { return d.server.Host() }

// Close stops serving.
func (d *Documents) Close() { d.server.Close() }

// Introspection is an introspection endpoint (RFC 7662).
type Introspection struct{ server *introspector.Server }

// ServeIntrospection listens for the target. Close it after the run.
func ServeIntrospection(listen string) (*Introspection, error) {
	s, err := introspector.New(listen)
	if err != nil {
		return nil, err
	}
	return &Introspection{s}, nil
}

// ServeVerification listens for a target that asks about opaque tokens at a path, in its own way. Close it after
// the run.
func ServeVerification(listen, path string) (*Introspection, error) {
	unknown := introspector.Answer{Status: 200, Body: `{"valid":false,"active":false,"error":"invalid_token"}`}
	s, err := introspector.NewAt(listen, path, unknown)
	if err != nil {
		return nil, err
	}
	return &Introspection{s}, nil
}

// URL is the address that the target has to ask.
func (i *Introspection) URL() string { return i.server.URL() }

// Close stops answering.
func (i *Introspection) Close() { i.server.Close() }

// Rebinding answers for a DNS zone in which every name means a public address first and a private one then.
type Rebinding struct{ server *rebind.Server }

// ServeRebinding answers DNS queries for a zone, and watches a port of the private address, which must be one of this
// machine. The port must be that of the public address, where something has to listen. Close it after the run.
func ServeRebinding(listen, zone string, public, private netip.Addr, port string) (*Rebinding, error) {
	s, err := rebind.New(listen, zone, public, private, port)
	if err != nil {
		return nil, err
	}
	return &Rebinding{s}, nil
}

// Address is where the zone's name server answers, as "host:port".
func (r *Rebinding) Address() string { return r.server.Address() }

// Close stops answering.
func (r *Rebinding) Close() { r.server.Close() }

// API stands for the API of somebody else that a target calls: it records how it is called.
type API struct{ server *listener.Listener }

// ServeAPI listens for the target. Close it after the run.
func ServeAPI(listen string) (*API, error) {
	s, err := listener.OpenAt(listen)
	if err != nil {
		return nil, err
	}
	return &API{s}, nil
}

// URL is the URL of a path of the API.
func (a *API) URL(path string) string { return a.server.URL(path) }

// Close stops answering.
func (a *API) Close() { a.server.Close() }

// lend gives the world of the checks the servers of the configuration that run.
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
