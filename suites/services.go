package suites

import (
	"fmt"
	"net/netip"

	"github.com/mcpauth/conformance/suites/internal/documents"
	"github.com/mcpauth/conformance/suites/internal/introspector"
	"github.com/mcpauth/conformance/suites/internal/listener"
	"github.com/mcpauth/conformance/suites/internal/rebind"
)

// Documents serves client ID metadata documents. Its CA method returns the certificate authority that the
// authorization server has to trust, in PEM.
type Documents = documents.Server

// ServeDocuments listens for the authorization server. publicURL is the https URL, without a path, under which
// it reaches the address; empty means the address itself. Close it after the run.
func ServeDocuments(listen, publicURL string) (*Documents, error) {
	return documents.New(listen, publicURL)
}

// Introspection is an introspection endpoint (RFC 7662). Its URL method returns the address that the target has to ask.
type Introspection = introspector.Server

// ServeIntrospection listens for the target. Close it after the run.
func ServeIntrospection(listen string) (*Introspection, error) { return introspector.New(listen) }

// Rebinding answers for a DNS zone in which every name means a public address first and a private one then. Its Address
// method returns where it answers.
type Rebinding = rebind.Server

// ServeRebinding answers DNS queries for a zone, and watches a port of the private address, which must be one of this
// machine. The port must be that of the public address, where something has to listen. Close it after the run.
func ServeRebinding(listen, zone string, public, private netip.Addr, port string) (*Rebinding, error) {
	return rebind.New(listen, zone, public, private, port)
}

// ServeVerification listens for a target that asks about opaque tokens at a path, in a manner of its own. Close it after
// the run.
func ServeVerification(listen, path string) (*Introspection, error) {
	return introspector.NewAt(listen, path, introspector.Answer{Status: 200, Body: `{"valid":false,"active":false,"error":"invalid_token"}`})
}

// API stands for the API of somebody else that a target calls: it records how it is called.
type API = listener.Listener

// ServeAPI listens for the target. Close it after the run.
func ServeAPI(listen string) (*API, error) { return listener.OpenAt(listen) }

// Serve starts the servers that the target of a configuration calls, as its file declares them, and adds them to the
// configuration. Call stop after the run.
func Serve(cfg *Config) (stop func(), err error) {
	var started []func()
	stop = func() {
		for _, f := range started {
			f()
		}
	}
	begin := func(key string, serve func() (func(), error)) {
		if err != nil {
			return
		}
		end, failed := serve()
		if failed != nil {
			err = fmt.Errorf("%s: %s: %w", cfg.File, key, failed)
			return
		}
		started = append(started, end)
	}
	if l := cfg.IntrospectionAt; l != nil {
		begin("introspection", func() (_ func(), err error) {
			cfg.Introspection, err = ServeIntrospection(l.Listen)
			return cfg.Introspection.Close, err
		})
	}
	if v := cfg.Verify; v.Listen != "" {
		begin("verify", func() (_ func(), err error) {
			cfg.Verification, err = ServeVerification(v.Listen, v.Path)
			return cfg.Verification.Close, err
		})
	}
	if l := cfg.UpstreamAPI; l != nil {
		begin("upstream_api", func() (_ func(), err error) {
			cfg.API, err = ServeAPI(l.Listen)
			return cfg.API.Close, err
		})
	}
	if z := cfg.RebindingZone; z != nil {
		begin("rebinding", func() (_ func(), err error) {
			cfg.Rebinding, err = ServeRebinding(z.Listen, z.Zone, z.Public, z.Private, z.Port)
			return cfg.Rebinding.Close, err
		})
	}
	if err != nil {
		stop()
		return nil, err
	}
	return stop, nil
}
