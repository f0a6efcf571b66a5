package rebind_test

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fixtures/port"
	"github.com/mcpauth/conformance/suites/internal/rebind"
)

func TestTheSecondAnswerIsPrivate(t *testing.T) {
	s, err := rebind.New("127.0.0.1:0", "Rebind.Example.", netip.MustParseAddr("203.0.113.9"), netip.MustParseAddr("127.0.0.1"), "0")
	require.NoError(t, err)
	t.Cleanup(s.Close)
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", s.Address())
	}}
	name := s.Name()
	host, _, err := net.SplitHostPort(name)
	require.NoError(t, err)
	for _, want := range []string{"203.0.113.9", "127.0.0.1", "127.0.0.1"} {
		got, err := resolver.LookupNetIP(t.Context(), "ip4", host)
		require.NoError(t, err)
		assert.Equal(t, []netip.Addr{netip.MustParseAddr(want)}, got)
	}
	assert.Equal(t, 3, s.Asked(host))
	_, err = resolver.LookupNetIP(t.Context(), "ip4", "www.other.example")
	assert.Error(t, err)
	for range 2 {
		got, err := resolver.LookupNetIP(t.Context(), "ip4", "made-by-a-stranger.rebind.example")
		require.NoError(t, err)
		assert.Equal(t, []netip.Addr{netip.MustParseAddr("203.0.113.9")}, got)
	}
	assert.Zero(t, s.Asked("made-by-a-stranger.rebind.example"), "a name that mcpauth did not make is stored")
	assert.Zero(t, s.Caught(name))
}

func TestWhoComesToThePrivateAddressIsSeen(t *testing.T) {
	reserved, err := port.Reserve()
	require.NoError(t, err)
	t.Cleanup(reserved.Release)
	_, port, err := net.SplitHostPort(reserved.Address)
	require.NoError(t, err)
	s, err := rebind.New("127.0.0.1:0", "rebind.example", netip.MustParseAddr("203.0.113.9"), netip.MustParseAddr("127.0.0.1"), port)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	name, other := s.Name(), s.Name()
	host, _, err := net.SplitHostPort(name)
	require.NoError(t, err)
	_, err = tls.Dial("tcp", "127.0.0.1:"+port, &tls.Config{ServerName: host})
	require.Error(t, err)
	assert.Eventually(t, func() bool { return s.Caught(name) == 1 }, time.Minute, 5*time.Millisecond)
	assert.Zero(t, s.Caught(other))
}
