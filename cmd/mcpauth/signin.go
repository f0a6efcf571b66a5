package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/mcpauth/conformance/suites"
	"github.com/mcpauth/conformance/suites/target"
)

// signIn are the flags about users, clients and the login. Secrets come from the environment only: everybody on the machine can read a
// command line.
type signIn struct {
	username, passwordEnv, oneTimeEnv       string
	secondUsername, secondPasswordEnv       string
	clientID, clientSecretEnv, clientMethod string
	redirectURI, driver, recipe, issuer     string
	scopes, trustEndpoints                  []string
	allowRegistration, noSandbox            bool
	patience                                time.Duration
	cimdListen, cimdURL, cimdCA             string
}

func (s *signIn) register(f *pflag.FlagSet) {
	f.StringVar(&s.username, "username", "", "sign in as this user; the password comes from the environment")
	f.StringVar(&s.passwordEnv, "password-env", "MCPAUTH_PASSWORD", "name of the environment variable with the user's password")
	f.StringVar(&s.oneTimeEnv, "totp-env", "MCPAUTH_TOTP",
		"name of the environment variable with the base32 secret of the user's authenticator, if any")
	f.StringVar(&s.secondUsername, "second-username", "", "a second user, so that checks across users can run")
	f.StringVar(&s.secondPasswordEnv, "second-password-env", "MCPAUTH_SECOND_PASSWORD",
		"name of the environment variable with the second user's password")
	s.registerClient(f)
	f.StringSliceVar(&s.scopes, "scope", nil, "scopes to request at login (default: the challenge's, then the resource's)")
	f.BoolVar(&s.allowRegistration, "register", false,
		"allow clients to be registered at the authorization server (default: on loopback, and with --username)")
	f.StringVar(&s.issuer, "issuer", "", "the authorization server to sign in at, by its issuer identifier, where the target names several "+
		"(default: the first)")
	f.StringSliceVar(&s.trustEndpoints, "trust-endpoint", nil,
		"an endpoint, or the origin of endpoints, on another origin than the issuer whose metadata name it: secrets and tokens go there too")
	f.StringVar(&s.driver, "login", "auto", "how users sign in: auto, browser, form, or manual: you sign in once, in a browser of your own")
	f.StringVar(&s.recipe, "login-recipe", "",
		"file that says what the browser does on login pages that mcpauth does not understand (its form: mcpauth schema recipe)")
	f.BoolVar(&s.noSandbox, "browser-no-sandbox", false, "run the browser without its sandbox, as root in a container needs")
	f.DurationVar(&s.patience, "patience", 0, "how long a revocation may take to have its effect (default 5s)")
}

// registerClient registers the flags about the client of a login.
func (s *signIn) registerClient(f *pflag.FlagSet) {
	f.StringVar(&s.clientID, "client-id", "", "a client registered at the authorization server by hand")
	f.StringVar(&s.clientSecretEnv, "client-secret-env", "MCPAUTH_CLIENT_SECRET",
		"name of the environment variable with that client's secret, if it has one")
	f.StringVar(&s.clientMethod, "client-auth-method", "",
		"how that client authenticates: none, client_secret_basic or client_secret_post (default: by whether it has a secret)")
	f.StringVar(&s.redirectURI, "redirect-uri", "", "the redirect URI of that client")
	f.StringVar(&s.cimdListen, "cimd-listen", "",
		"serve client ID metadata documents at this address, such as 127.0.0.1:9444, for the authorization server to fetch")
	f.StringVar(&s.cimdURL, "cimd-url", "", "the https URL under which the authorization server reaches that address (default: the address "+
		"itself)")
	f.StringVar(&s.cimdCA, "cimd-ca-file", "",
		"write the certificate authority of that address to this file before the run, for the authorization server to trust")
}

// apply reads the secrets and fills the configuration.
func (s *signIn) apply(c *cobra.Command, cfg *suites.Config) error {
	switch s.driver {
	case "auto", "browser", "form", "manual":
	default:
		return fmt.Errorf("--login %q: want auto, browser, form or manual", s.driver)
	}
	cfg.Driver, cfg.Scopes, cfg.Patience, cfg.BrowserNoSandbox = s.driver, s.scopes, s.patience, s.noSandbox
	cfg.SignInAt, cfg.TrustEndpoints = s.issuer, append(cfg.TrustEndpoints, s.trustEndpoints...)
	if s.recipe != "" {
		recipe, err := target.LoadRecipe(s.recipe)
		if err != nil {
			return fmt.Errorf("--login-recipe: %w", err)
		}
		cfg.Recipe = recipe
	}
	if changed(c, "register") {
		cfg.Register = &s.allowRegistration
	}
	return errors.Join(s.addUsers(cfg), s.addClient(cfg))
}

// addUsers adds the users who sign in, with their passwords.
func (s *signIn) addUsers(cfg *suites.Config) error {
	if s.secondUsername != "" && s.username == "" {
		return fmt.Errorf("--second-username needs --username")
	}
	for _, u := range []struct{ name, flag, password, oneTime string }{
		{s.username, "--username", s.passwordEnv, s.oneTimeEnv}, {s.secondUsername, "--second-username", s.secondPasswordEnv, ""},
	} {
		if u.name == "" {
			continue
		}
		password := os.Getenv(u.password)
		if password == "" {
			return fmt.Errorf("%s %s: the environment variable %s, which should hold the password, is not set", u.flag, u.name, u.password)
		}
		user := suites.User{Name: u.name, Password: password}
		if u.oneTime != "" {
			user.OneTime = os.Getenv(u.oneTime)
		}
		cfg.Users = append(cfg.Users, user)
	}
	return nil
}

// addClient adds the client that was registered by hand, with its secret.
func (s *signIn) addClient(cfg *suites.Config) error {
	if s.clientID == "" {
		return nil
	}
	client := suites.Client{ID: s.clientID, Secret: os.Getenv(s.clientSecretEnv), Method: s.clientMethod, RedirectURI: s.redirectURI}
	if client.RedirectURI == "" {
		return fmt.Errorf("--client-id needs --redirect-uri, the one that is registered for the client")
	}
	if client.Method == "" {
		if client.Method = "none"; client.Secret != "" {
			client.Method = "client_secret_basic"
		}
	}
	if client.Method != "none" && client.Secret == "" {
		return fmt.Errorf("--client-auth-method %s: the environment variable %s, which should hold the secret, is not set", client.Method,
			s.clientSecretEnv)
	}
	cfg.Clients = append(cfg.Clients, client)
	return nil
}

// documents starts to serve client ID metadata documents, if that is requested.
func (s *signIn) documents(cfg *suites.Config) (stop func(), err error) {
	if s.cimdListen == "" {
		if s.cimdURL != "" || s.cimdCA != "" {
			return nil, fmt.Errorf("--cimd-url and --cimd-ca-file need --cimd-listen")
		}
		return func() {}, nil
	}
	d, err := suites.ServeDocuments(s.cimdListen, s.cimdURL)
	if err != nil {
		return nil, fmt.Errorf("--cimd-listen: %w", err)
	}
	if s.cimdCA != "" {
		if err := replace(s.cimdCA, d.CA()); err != nil {
			d.Close()
			return nil, fmt.Errorf("--cimd-ca-file: %w", err)
		}
	}
	cfg.Documents = d
	return d.Close, nil
}
