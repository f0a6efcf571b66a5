package main

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mcpauth/conformance/fakes/idp"
	"github.com/mcpauth/conformance/fakes/lab"
	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/fixtures/seeded"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites"
)

func demoCommand() *cobra.Command {
	var o options
	var proxy, secure bool
	c := &cobra.Command{
		Use: "demo", Short: "Test the embedded reference server", Args: cobra.NoArgs,
		PreRunE: func(c *cobra.Command, _ []string) error { return fromEnvironment(c) },
		RunE: func(c *cobra.Command, _ []string) error {
			ideal := reference.Ideal()
			if ideal.Proxy = proxy; secure {
				ideal.Host = "mcp.example.com"
			}
			return o.demo(c, ideal)
		},
	}
	o.some(c.Flags(), append(ofGroups("Selection", "Result", "Reports", "Limits"), "revision", "login", "browser-no-sandbox", "user-agent"))
	c.Flags().BoolVar(&proxy, "proxy", false, "with an authorization server that is a proxy for a third-party one")
	c.Flags().BoolVar(&secure, "tls", false, "by https, under a host name as on the internet, with tokens bound to client certificates")
	return c
}

// demo runs against the reference server, which it starts on loopback.
func (o *options) demo(c *cobra.Command, ideal reference.Options) error {
	listen := o.addresses(c)
	services, err := serveDemo(listen)
	if err != nil {
		return o.listenError(c, err)
	}
	defer services.Close()
	services.tell(&ideal)
	ideal.Policy.Patience, ideal.Behaviour.Patience = time.Second, time.Second // everything is on this machine, which may be busy
	if changed(c, "seed") {
		ideal.Behaviour.LockTime = 200 * time.Millisecond // however slow the requests are
	}
	ideal.Listen = listen()
	r, err := reference.Start(ideal)
	if err != nil {
		return o.listenError(c, fmt.Errorf("the reference server could not be started: %w", err))
	}
	defer r.Close()
	cfg, err := o.config(c, r.URL)
	if err != nil {
		return err
	}
	// The target fetches keys within milliseconds, unless the machine is busy, and applies a revocation in a fifth of a second.
	cfg.OnPart, cfg.KeyWait = seeded.Fakes.StartPart, max(o.maxWait, 10*time.Second)
	cfg.Patience = cmp.Or(cfg.Patience, time.Second)
	cfg.Target = withFlags(lab.Target(r), cfg.Target)
	services.offer(&cfg)
	if ideal.Host != "" {
		onTheInternet(&cfg, r)
	}
	o.chooseDriver(c, &cfg)
	notice(c, "testing the embedded reference server at %s", r.URL)
	o.memory = 110 << 20 // both sides of the test are in this process
	return o.execute(c, cfg)
}

// demoServices are the servers that the reference server calls. Users configure such servers for their own targets.
type demoServices struct {
	documents            *suites.Documents
	tokens, verification *suites.Introspection
	api                  *suites.API
	rebinding            *suites.Rebinding // nil if the machine has no second address
	closers              []func()
}

// serveDemo starts the services.
func serveDemo(listen func() string) (s *demoServices, err error) {
	s = &demoServices{}
	defer s.closeIf(&err)
	if s.documents, err = suites.ServeDocuments(listen(), ""); err != nil {
		return s, err
	}
	s.closers = append(s.closers, s.documents.Close)
	if s.tokens, err = suites.ServeIntrospection(listen()); err != nil {
		return s, err
	}
	s.closers = append(s.closers, s.tokens.Close)
	if s.api, err = suites.ServeAPI(listen()); err != nil {
		return s, err
	}
	s.closers = append(s.closers, s.api.Close)
	if s.verification, err = suites.ServeVerification(listen(), "/verify"); err != nil {
		return s, err
	}
	s.closers = append(s.closers, s.verification.Close)
	if s.rebinding = serveRebinding(s.documents); s.rebinding != nil {
		s.closers = append(s.closers, s.rebinding.Close)
	}
	return s, nil
}

// Close ends the services.
func (s *demoServices) Close() {
	for _, c := range s.closers {
		c()
	}
}

// closeIf ends the services after an error.
func (s *demoServices) closeIf(err *error) {
	if *err != nil {
		s.Close()
	}
}

// tell configures the reference server with the services.
func (s *demoServices) tell(o *reference.Options) {
	o.VerifyURL, o.Introspection, o.API = s.verification.URL(), s.tokens.URL(), strings.TrimSuffix(s.api.URL("/"), "/")
	o.Behaviour.DocumentRoots = idp.DocumentRoots(s.documents.CA())
	if s.rebinding != nil {
		o.Behaviour.Resolver = idp.DocumentResolver(s.rebinding.Address())
	}
}

// offer gives the services to the run.
func (s *demoServices) offer(cfg *suites.Config) {
	cfg.Documents, cfg.Introspection, cfg.API, cfg.Verification, cfg.Rebinding = s.documents, s.tokens, s.api, s.verification, s.rebinding
}

// onTheInternet makes a run treat the reference server as one on the internet, because of its name.
func onTheInternet(cfg *suites.Config, r *reference.Reference) {
	yes := true
	cfg.RootCAs, cfg.ConnectTo, cfg.AllowIntrusive = r.Roots, r.ConnectTo, &yes
	cfg.Rate, cfg.Concurrency = 100_000, 32 // it is on loopback whatever its name
	cfg.Documents, cfg.Rebinding = nil, nil // a server on the internet must fetch nothing from this machine
}

// chooseDriver uses a browser to sign in, if there is one, so that the demo shows the complete flow.
func (o *options) chooseDriver(c *cobra.Command, cfg *suites.Config) {
	if cfg.Driver != "auto" {
		return
	}
	if cfg.Driver = "browser"; suites.BrowserFound() != nil {
		cfg.Driver = "form"
		notice(c, "the login uses plain forms: %v", suites.BrowserFound())
	}
}

// addresses returns the addresses of a demo: with a seed, always the same.
func (o *options) addresses(c *cobra.Command) func() string {
	if !changed(c, "seed") {
		return func() string { return "127.0.0.1:0" }
	}
	seeded.Fakes.Seed(o.seed)
	port := 20_000 + int((o.seed%1_000+1_000)%1_000)*10
	return func() string { port++; return fmt.Sprintf("127.0.0.1:%d", port) }
}

// listenError returns the error of a demo that cannot listen.
func (o *options) listenError(c *cobra.Command, err error) error {
	if changed(c, "seed") {
		err = fmt.Errorf("%w (with a seed, a demo always listens at the same ports: take another seed, or end the program that uses them)", err)
	}
	return &exit{reports.ExitToolFailed, err}
}
