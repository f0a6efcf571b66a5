package lab

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/mcpauth/conformance/fakes/idp"
	"github.com/mcpauth/conformance/suites/target"
)

// Serve starts the authorization servers that a target file declares as trusted, and adds them to the target. Call stop after the run.
func Serve(t *target.Target) (stop func(), err error) {
	var servers []*http.Server
	stop = func() {
		for _, s := range servers {
			_ = s.Close()
		}
	}
	begin := func(key, listen string, make func() (http.Handler, error)) {
		if err != nil {
			return
		}
		s, failed := listenAndServe(listen, make)
		if failed != nil {
			err = fmt.Errorf("%s: %s: %w", t.File, key, failed)
			return
		}
		servers = append(servers, s)
	}
	if d := t.FakeIDP; d != nil {
		begin("fake_idp", d.Listen, func() (http.Handler, error) {
			s, err := issuer(d.Issuer, d.Audience, d.Algorithm, d.Key)
			t.Issuer = s
			return s, err
		})
	}
	if d := t.SecondIDP; d != nil {
		begin("second_idp", d.Listen, func() (http.Handler, error) {
			s := idp.NewSecond(d.Issuer, d.Audience)
			t.SecondIssuer = s
			return s, nil
		})
	}
	if d := t.EnterpriseIDP; d.Listen != "" {
		begin("enterprise", d.Listen, func() (http.Handler, error) {
			s, err := issuer(d.Issuer, d.Issuer, "", "")
			t.Enterprise = s
			return s, err
		})
	}
	if d := t.UpstreamIDP; d != nil {
		begin("upstream", d.Listen, func() (http.Handler, error) {
			s, err := upstream(d, t.Users)
			t.Upstream = s
			return s, err
		})
	}
	if err != nil {
		stop()
		return nil, err
	}
	return stop, nil
}

func listenAndServe(listen string, make func() (http.Handler, error)) (*http.Server, error) {
	h, err := make()
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return nil, err
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = s.Serve(l) }()
	return s, nil
}

// issuer returns an authorization server that signs with a key in PEM; empty: with its own key.
func issuer(identifier, audience, algorithm, key string) (*idp.Server, error) {
	s, err := idp.New(identifier, idp.Ideal())
	switch {
	case err == nil && key != "":
		err = s.UseKey([]byte(key))
	case err == nil && onLoopback(identifier):
		err = s.UsePublishedKeys()
	}
	if err != nil {
		return nil, err
	}
	s.Resources, s.Algorithm = []string{audience}, algorithm
	return s, nil
}

// onLoopback reports whether an issuer is on this machine, by its identifier.
func onLoopback(identifier string) bool {
	u, err := url.Parse(identifier)
	if err != nil {
		return false
	}
	a, err := netip.ParseAddr(u.Hostname())
	return err == nil && a.IsLoopback() || u.Hostname() == "localhost"
}

// upstream returns the authorization server where the users of a proxy sign in.
func upstream(d *target.UpstreamIDP, users []target.User) (*idp.Server, error) {
	b := idp.Ideal()
	b.Consent = "once"       // remembered consent is the danger of a proxy
	b.IgnoresResource = true // like most: a proxy may forward the resource that its own client requested
	b.SecretAnywhere = true  // libraries such as passport-oauth2 send it in the form
	b.Lacks = append(b.Lacks, idp.RequireChallengeConfidential)
	s, err := idp.New(d.Issuer, b)
	if err == nil && onLoopback(d.Issuer) {
		err = s.UsePublishedKeys()
	}
	if err != nil {
		return nil, err
	}
	s.CookiePrefix, s.Users = "upstream_", nil
	for _, u := range users {
		s.Users = append(s.Users, idp.User{Name: u.Name, Password: u.Password, OneTime: u.OneTime})
	}
	s.AddClient(d.ClientID, d.ClientSecret, d.RedirectURI)
	return s, nil
}
