package suites

import (
	"context"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mcpauth/conformance/suites/internal/wire"
)

// The permission for a run is decided for each host that it contacts, whatever the target's network.
func TestLeaveIsForEachHost(t *testing.T) {
	names := map[string]string{"here.example": "127.0.0.1", "office.example": "10.1.2.3", "public.example": "8.8.8.8"}
	for _, c := range []struct {
		intrusive  string // by the user; empty: not given
		authorized bool
		strain     []bool // here, office, public
		act        []bool
	}{
		{"", false, []bool{true, false, false}, []bool{true, true, false}},
		{"", true, []bool{true, false, false}, []bool{true, true, true}},
		{"yes", false, []bool{true, true, false}, []bool{true, true, false}},
		{"yes", true, []bool{true, true, true}, []bool{true, true, true}},
		{"no", true, []bool{false, false, false}, []bool{true, true, true}},
	} {
		s := &preparation{reach: wire.Loopback} // the target is on this machine
		s.cfg.Authorized = c.authorized
		if c.intrusive != "" {
			yes := c.intrusive == "yes"
			s.cfg.AllowIntrusive = &yes
		}
		s.client = wire.New(wire.Options{Guard: wire.Guard{Loopback: true, Resolve: func(_ context.Context, host string) ([]netip.Addr, error) {
			a, err := netip.ParseAddr(names[host])
			return []netip.Addr{a}, err
		}}})
		for i, host := range []string{"here.example", "office.example", "public.example"} {
			address := "https://" + host + "/token"
			assert.Equal(t, c.strain[i], s.mayStrain(t.Context())(address), "intrusive %q, authorized %v: %s", c.intrusive, c.authorized, host)
			assert.Equal(t, c.act[i], s.mayAct(t.Context(), address) == "", "intrusive %q, authorized %v: %s", c.intrusive, c.authorized, host)
		}
		assert.Equal(t, c.authorized, s.mayAct(t.Context(), "no URL") == "", "a text that is not a URL does not count as public")
		s.client.Close()
	}
}
