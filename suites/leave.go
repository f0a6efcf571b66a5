package suites

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/wire"
)

// leave finds out in which network the target is. If it is not the user's own, and the run signs in, registers clients or tries
// limits, it stops without Config.Authorized.
func (s *preparation) leave(ctx context.Context, target *url.URL) error {
	s.reach = s.client.Classify(ctx, target)
	c := &s.cfg
	if c.Foreign && s.reach != wire.Public {
		return usage("%s is in your own network, and a registry names it: if it is yours, list its URL yourself", reports.Named(c.URL))
	}
	active := len(c.Users) > 0 || c.Driver == "manual" || c.Register != nil && *c.Register || c.AllowIntrusive != nil && *c.AllowIntrusive
	if active && s.reach == wire.Public && !c.Authorized {
		return usage("%s is not in your own network: to sign in, register clients or allow intrusive checks there, say that its owner lets "+
			"you, by --i-am-authorized", reports.Named(c.URL))
	}
	if _, err := netip.ParseAddr(target.Hostname()); err != nil && s.reach != wire.Public && !document.PrivateHost(target.Hostname()) &&
		len(c.ConnectTo) == 0 {
		where := map[wire.Reach]string{wire.Private: "private networks", wire.Loopback: "this machine"}[s.reach]
		s.say(fmt.Sprintf("%s is an address of %s: the run may go to other addresses there that the target names", target.Hostname(), where))
	}
	return nil
}

// mayAct says why the run may not sign in and register clients at the host of a URL; empty if it may.
func (s *preparation) mayAct(ctx context.Context, address string) string {
	if s.cfg.Authorized || s.client.Reach(ctx, address) != wire.Public {
		return ""
	}
	return fmt.Sprintf("%s is not in your own network: to sign in or to register clients there, say that its owner lets you, by "+
		"--i-am-authorized", origin(address))
}

// maySignIn returns mayAct for a page that asks for a secret, and tells the user where the secret goes before it does.
func (s *preparation) maySignIn(ctx context.Context, address string) string {
	why := s.mayAct(ctx, address)
	if why == "" {
		s.tellWhere(address)
	}
	return why
}

// tellWhere tells the user, once for each origin, that secrets go to another one than the target's.
func (s *preparation) tellWhere(address string) {
	at := origin(address)
	s.telling.Lock()
	defer s.telling.Unlock()
	if at == origin(s.cfg.URL) || s.told[at] {
		return
	}
	if s.told == nil {
		s.told = map[string]bool{}
	}
	s.told[at] = true
	s.say("secrets of this run go to another origin than the target's: " + at)
}

// mayStrain decides for each host whether intrusive checks may send to it: by default on loopback only, and beyond the own
// network with Config.Authorized only.
func (s *preparation) mayStrain(ctx context.Context) func(address string) bool {
	return func(address string) bool {
		reach := s.client.Reach(ctx, address)
		if s.cfg.AllowIntrusive == nil {
			return reach == wire.Loopback
		}
		return *s.cfg.AllowIntrusive && (s.cfg.Authorized || reach != wire.Public)
	}
}

// origin returns the origin of a URL, or the text unchanged.
func origin(address string) string {
	u, err := document.ParseURL(address)
	if err != nil {
		return address
	}
	return document.Origin(u)
}
