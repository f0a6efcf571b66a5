package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/mcpauth/conformance/fakes/designs"
	"github.com/mcpauth/conformance/fakes/idp"
	"github.com/mcpauth/conformance/fakes/idp/presets"
	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/fixtures/targets"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/reports/console"
	"github.com/mcpauth/conformance/suites"
	"github.com/mcpauth/conformance/suites/target/strict"
)

func serveCommand() *cobra.Command {
	c := &cobra.Command{Use: "serve", Short: "Start a fake server to try things on"}
	c.AddCommand(serveMCP(), serveIDP())
	return c
}

func serveMCP() *cobra.Command {
	var listen, design string
	c := &cobra.Command{
		Use: "mcp", Short: "Start the reference MCP server with its authorization server, or one of the designs of docs/guides/my-server.md",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := loopbackOnly(listen); err != nil {
				return &exit{reports.ExitUsage, err}
			}
			if design != "" {
				return serveDesign(c, design, listen)
			}
			return serveReference(c, listen)
		},
	}
	c.Flags().StringVar(&listen, "listen", usual, "address to listen on; loopback only")
	c.Flags().StringVar(&design, "design", "", "do authorization the way guides show it: "+designs.Names())
	return c
}

// loopbackOnly refuses addresses that other machines can reach: the passwords of the servers are published.
func loopbackOnly(listen string) error {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return fmt.Errorf("--listen %q: want HOST:PORT, such as %s", listen, usual)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("--listen %q: want an address that only this machine reaches, such as %s: the passwords of this server are published",
			listen, usual)
	}
	return nil
}

// listening is the error of a server that could not start.
func listening(listen string, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		err = fmt.Errorf("another program listens at %s: give another address with --listen", listen)
	}
	return &exit{reports.ExitUsage, err}
}

// serveReference starts the reference server, and says how to test it.
func serveReference(c *cobra.Command, listen string) error {
	o := reference.Ideal()
	o.Listen = listen
	r, err := reference.Start(o)
	if err != nil {
		return listening(listen, err)
	}
	defer r.Close()
	fmt.Fprintf(c.ErrOrStderr(), `MCP endpoint  %[1]s
issuer        %[2]s
Test it with

  MCPAUTH_PASSWORD=%[4]s mcpauth run %[1]s --username %[3]s

Stop with Ctrl-C. The line below is a valid access token for one hour.
`, r.URL, r.IDP.Issuer, idp.Alice.Name, reports.ShellQuoted(idp.Alice.Password))
	fmt.Fprintln(c.OutOrStdout(), r.Token())
	<-c.Context().Done()
	return nil
}

// serveDesign starts a design, and says how to test it.
func serveDesign(c *cobra.Command, name, listen string) error {
	d, ok := designs.Named(name)
	if !ok {
		return &exit{reports.ExitUsage, fmt.Errorf("--design %q: want one of %s", name, designs.Names())}
	}
	r, err := d.Start(designs.Addresses{Listen: listen, Issuer: "http://127.0.0.1:9400", Asks: "http://127.0.0.1:9401"})
	if err != nil {
		return listening(listen, err)
	}
	defer r.Close()
	console.Fold(c.ErrOrStderr(), "", d.Says)
	fmt.Fprintf(c.ErrOrStderr(), "MCP endpoint  %s\nstop with Ctrl-C; test it with\n\n", r.URL)
	var variables []string
	for name, value := range r.Environment {
		variables = append(variables, name+"="+reports.ShellQuoted(value)+" ")
	}
	slices.Sort(variables)
	file, remove, err := targetFileOf(d.File(), r.URL)
	if err != nil {
		return &exit{reports.ExitToolFailed, err}
	}
	defer remove()
	fmt.Fprintf(c.OutOrStdout(), "%smcpauth run %s -c %s\n", strings.Join(variables, ""), r.URL, reports.ShellQuoted(file))
	<-c.Context().Done()
	return nil
}

// usual is where designs listen unless --listen says another address; their target files name it.
const usual = "127.0.0.1:9300"

// targetFileOf returns the target file of a design at a URL: the one in the source tree if there is one and the address is the usual one,
// else a copy with this address that is removed at the end.
func targetFileOf(name, at string) (path string, remove func(), err error) {
	address := strings.TrimSuffix(strings.TrimPrefix(at, "http://"), "/mcp")
	path = filepath.Join("fixtures", "targets", name)
	if _, err := os.Stat(path); err == nil && address == usual {
		return path, func() {}, nil
	}
	text, err := targets.Files.ReadFile(name)
	if err != nil {
		return "", nil, err
	}
	f, err := os.CreateTemp("", "mcpauth-*-"+name)
	if err != nil {
		return "", nil, err
	}
	_, err = f.WriteString(strings.ReplaceAll(string(text), usual, address))
	return f.Name(), func() { _ = os.Remove(f.Name()) }, errors.Join(err, f.Close())
}

func serveIDP() *cobra.Command {
	var f fakeIDP
	c := &cobra.Command{Use: "idp", Short: "Start the fake authorization server alone", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return f.serve(c) }}
	c.Flags().StringVar(&f.listen, "listen", "127.0.0.1:9400", "address to listen on; the issuer identifier has it too")
	c.Flags().StringVar(&f.key, "key", "", "file with the RSA key that signs, in PEM (default: one that is published with this program)")
	c.Flags().StringVar(&f.preset, "preset", "ideal", "in the style of a well-known one: "+presets.Names())
	c.Flags().StringVar(&f.audience, "audience", "http://127.0.0.1:9300/mcp", "audience of the token that is printed")
	return c
}

// fakeIDP is a fake authorization server by its flags.
type fakeIDP struct{ listen, audience, preset, key string }

func (f *fakeIDP) serve(c *cobra.Command) error {
	p, ok := presets.Named(f.preset)
	if !ok {
		return &exit{reports.ExitUsage, fmt.Errorf("--preset %q: want one of %s", f.preset, presets.Names())}
	}
	if err := oneAddress(f.listen); err != nil {
		return &exit{reports.ExitUsage, err}
	}
	l, err := net.Listen("tcp", f.listen)
	if err != nil {
		return listening(f.listen, err)
	}
	s, err := f.made("http://"+l.Addr().String(), p)
	if err != nil {
		return err
	}
	f.introduce(c, p, s)
	server := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	go func() { <-c.Context().Done(); _ = server.Close() }()
	if err := server.Serve(l); err != http.ErrServerClosed {
		return &exit{reports.ExitToolFailed, err}
	}
	return nil
}

// made returns the server in the style of a preset.
func (f *fakeIDP) made(origin string, p presets.Preset) (*idp.Server, error) {
	s, err := idp.New(origin+p.Path, p.Behaviour())
	if err != nil {
		return nil, &exit{reports.ExitToolFailed, err}
	}
	if err := f.useKey(s); err != nil {
		return nil, &exit{reports.ExitUsage, fmt.Errorf("--key: %w", err)}
	}
	p.Prepare(s)
	s.Resources = []string{f.audience}
	return s, nil
}

// oneAddress refuses all interfaces together: their address does not make an issuer identifier, and the passwords are published.
func oneAddress(listen string) error {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return fmt.Errorf("--listen %q: want HOST:PORT, such as 127.0.0.1:9400", listen)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		return fmt.Errorf("--listen %q: want one address of this machine, such as 127.0.0.1:9400: the issuer identifier has it", listen)
	}
	return nil
}

// useKey makes the server sign with the key in a file.
func (f *fakeIDP) useKey(s *idp.Server) error {
	if f.key == "" {
		return nil
	}
	text, err := strict.ReadFile(f.key, mostText)
	if err != nil {
		return err
	}
	return s.UseKey(text)
}

// introduce says how to make a server trust the issuer, and prints a token.
func (f *fakeIDP) introduce(c *cobra.Command, p presets.Preset, s *idp.Server) {
	for _, client := range p.Clients(s, "http://127.0.0.1:8765/callback") {
		fmt.Fprintf(c.ErrOrStderr(), "client   %s %s (redirect URI http://127.0.0.1:8765/callback)\n", client[0], client[1])
	}
	fmt.Fprintf(c.ErrOrStderr(), `issuer   %[1]s
keys     %[3]s/jwks
manner   %[4]s
users    alice %[5]s, bob %[6]s

To make a server trust it, configure issuer %[1]s, JWKS URL %[3]s/jwks,
algorithm RS256 and audience %[2]s. The line below is a token for that audience.
`, s.Issuer, f.audience, strings.TrimSuffix(s.Issuer, "/"), p.Says, idp.Alice.Password, idp.Bob.Password)
	fmt.Fprintln(c.OutOrStdout(), s.Mint("alice", f.audience, []string{"notes:read", "notes:write"}, nil))
}

// serveRebinding starts a name server for names with changing addresses, for the documents of a demo; nil if the machine has no second
// loopback address.
func serveRebinding(documents *suites.Documents) *suites.Rebinding {
	_, port, err := net.SplitHostPort(documents.Host())
	if err != nil {
		return nil
	}
	s, err := suites.ServeRebinding("127.0.0.1:0", "rebind.mcpauth.test", netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2"),
		port)
	if err != nil {
		return nil
	}
	return s
}
