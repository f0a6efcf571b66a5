package main

import (
	"cmp"
	"maps"
	"slices"

	"github.com/mcpauth/conformance/suites"
	"github.com/mcpauth/conformance/suites/target"
)

// loadTarget adds the content of a target file to a configuration. It does not change what flags have set.
func loadTarget(path string, cfg *suites.Config) error {
	flags := cfg.Target
	var replaced []string
	if flags.URL != "" {
		replaced = append(replaced, "target.url")
	}
	if len(flags.Users) > 0 {
		replaced = append(replaced, "login.users")
	}
	if flags.Recipe != nil {
		replaced = append(replaced, "login.recipe")
	}
	if flags.CertificatePEM != "" {
		replaced = append(replaced, "target.client_certificate")
	}
	t, err := target.Load(path, replaced...)
	if err != nil {
		return err
	}
	cfg.Target = withFlags(t, flags)
	return nil
}

// withFlags returns the content of a file, overridden by flags.
func withFlags(t, flags target.Target) target.Target {
	t.URL = cmp.Or(flags.URL, t.URL)
	if len(flags.Users) > 0 {
		t.Users, t.Token = flags.Users, ""
	}
	if flags.Revisions != nil {
		t.Revisions = flags.Revisions
	}
	if flags.Scopes != nil {
		t.Scopes = flags.Scopes
	}
	if flags.Driver != "" && flags.Driver != "auto" || t.Driver == "" {
		t.Driver = flags.Driver
	}
	if t.Headers == nil {
		t.Headers = map[string]string{}
	}
	maps.Copy(t.Headers, flags.Headers)
	t.ClientCertificate = cmp.Or(flags.ClientCertificate, t.ClientCertificate)
	t.TrustEndpoints = append(t.TrustEndpoints, flags.TrustEndpoints...)
	t.Token, t.SignInAt = cmp.Or(flags.Token, t.Token), cmp.Or(flags.SignInAt, t.SignInAt)
	t.Recipe, t.Register = cmp.Or(flags.Recipe, t.Recipe), cmp.Or(flags.Register, t.Register)
	t.Origins, t.Clients = slices.Concat(flags.Origins, t.Origins), slices.Concat(flags.Clients, t.Clients)
	t.AllowIntrusive, t.Rate = cmp.Or(flags.AllowIntrusive, t.AllowIntrusive), cmp.Or(flags.Rate, t.Rate)
	t.Concurrency, t.MaxRequests = cmp.Or(flags.Concurrency, t.Concurrency), cmp.Or(t.MaxRequests, flags.MaxRequests)
	return t
}
