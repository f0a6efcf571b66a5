package wire_test

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fakes/broken"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/wire"
)

func client(l wire.Limits) *wire.Client {
	return wire.New(wire.Options{Guard: wire.NewGuard("127.0.0.1", nil), Limits: l, UserAgent: "mcpauth ({check})"})
}

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func get(c *wire.Client, url string) *reports.Exchange {
	return c.Do(context.Background(), "TEST", wire.Request{Method: "GET", URL: url})
}

func TestExchangeIsRecorded(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "mcpauth (TEST)", r.UserAgent())
		w.Header().Add("X-Two", "a")
		w.Header().Add("X-Two", "b")
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprint(w, "body")
	})
	ex := get(client(wire.Limits{}), url)
	require.NotNil(t, ex.Response)
	assert.Equal(t, http.StatusTeapot, ex.Response.Status)
	assert.Equal(t, []string{"a", "b"}, wire.Values(ex.Response.Header, "x-two"))
	assert.Equal(t, "body", ex.Response.Body)
	assert.Equal(t, 1, ex.Number)
}

func TestGuard(t *testing.T) {
	for _, c := range []struct {
		target, addr string
		allowed      bool
	}{
		{"mcp.example.com", "93.184.216.34", true},
		{"mcp.example.com", "127.0.0.1", false},
		{"mcp.example.com", "10.0.0.1", false},
		{"mcp.example.com", "192.168.1.1", false},
		{"mcp.example.com", "169.254.169.254", false},
		{"mcp.example.com", "100.64.0.1", false},
		{"mcp.example.com", "0.0.0.0", false},
		{"mcp.example.com", "224.0.0.1", false},
		{"mcp.example.com", "255.255.255.255", false},
		{"mcp.example.com", "::1", false},
		{"mcp.example.com", "::", false},
		{"mcp.example.com", "::ffff:127.0.0.1", false},
		{"mcp.example.com", "::ffff:169.254.169.254", false},
		{"mcp.example.com", "64:ff9b::7f00:1", false},
		{"mcp.example.com", "2002:7f00:1::", false},
		{"mcp.example.com", "2002:a00:1::", false},
		{"mcp.example.com", "fe80::1", false},
		{"mcp.example.com", "fd00::1", false},
		{"mcp.example.com", "2606:2800:220:1::1", true},
		{"mcp.example.com", "::127.0.0.2", false},
		{"mcp.example.com", "::ffff:0:127.0.0.2", false},
		{"mcp.example.com", "::ffff:0:93.184.216.34", false},
		{"mcp.example.com", "64:ff9b:1::7f00:1", false},
		{"mcp.example.com", "64:ff9b::5db8:d822", true}, // a public address
		{"mcp.example.com", "2002:5db8:d822::1", true},
		{"mcp.example.com", "2001:0:5db8:d822::1", false}, // Teredo
		{"mcp.example.com", "fec0::1", false},
		{"mcp.example.com", "3fff::1", false},
		{"mcp.example.com", "5f00::1", false},
		{"mcp.example.com", "100:0:0:1::1", false},
		{"mcp.example.com", "198.18.0.1", false},
		{"127.0.0.1", "::127.0.0.2", false},
		{"127.0.0.1", "127.0.0.2", true},
		{"localhost", "::1", true},
		{"127.0.0.1", "169.254.169.254", false},
		{"127.0.0.1", "10.0.0.1", false},
		{"10.1.2.3", "10.0.0.1", true},
		{"10.1.2.3", "127.0.0.1", false},
		{"mcp.example.com", "64:ff9b::a9fe:a9fe", false},
		{"mcp.example.com", "2002:a9fe:a9fe::", false},
		{"mcp.example.com", "::1%lo", false},
		{"mcp.example.com", "fe80::1%eth0", false},
		{"mcp.example.com", "::ffff:127.0.0.1%eth0", false},
		{"10.1.2.3", "169.254.169.254", false},
		{"mcp.example.com", "168.63.129.16", false}, // for services of clouds to their own machines
		{"mcp.example.com", "64:ff9b::a83f:8110", false},
		{"100.64.1.2", "100.100.100.200", false},
		{"fd00::2", "fd00:ec2::254", false},
		{"fd00::2", "fd20:ce::254", false},
	} {
		dialled := &atomic.Int32{}
		g := wire.NewGuard(c.target, nil)
		g.Resolve = func(context.Context, string) ([]netip.Addr, error) {
			dialled.Add(1)
			return []netip.Addr{netip.MustParseAddr(c.addr)}, nil
		}
		cl := wire.New(wire.Options{Guard: g, Limits: wire.Limits{Connect: 50 * time.Millisecond, Request: 100 * time.Millisecond}})
		ctx, cancel := context.WithCancel(context.Background())
		if c.allowed {
			cancel() // only the decision is tested, without a connection
		}
		ex := cl.Do(ctx, "TEST", wire.Request{Method: "GET", URL: "http://other.example:1/"})
		cancel()
		if !c.allowed {
			assert.Contains(t, ex.Error, "not public", "%s from %s", c.addr, c.target)
		} else {
			assert.NotContains(t, ex.Error, "not public", "%s from %s", c.addr, c.target)
		}
	}
}

// The guard checks an IPv6 literal in a URL too.
func TestIPv6LiteralIsGuarded(t *testing.T) {
	c := wire.New(wire.Options{Guard: wire.NewGuard("mcp.example.com", nil)})
	for _, u := range []string{"http://[::1]:1/", "http://[::ffff:127.0.0.1]:1/", "http://[fe80::1]:1/"} {
		assert.Contains(t, get(c, u).Error, "not public", u)
	}
}

// The guard decides by the resolved address, however a host is written.
func TestOddHostsAreGuarded(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the server was reached") }))
	defer s.Close()
	_, port, err := net.SplitHostPort(s.Listener.Addr().String())
	require.NoError(t, err)
	c := wire.New(wire.Options{Guard: wire.NewGuard("mcp.example.com", nil)})
	for _, host := range []string{"2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.1", "127.0.0.1.", "localhost.", "LOCALHOST",
		"x.localhost", "127。0。0。1", "[::1%25lo]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:127.0.0.1]",
		"0", "0.0.0.0", "[::]"} {
		assert.NotEmpty(t, get(c, "http://"+host+":"+port+"/").Error, host)
	}
}

// The name resolves to a public address first and then to loopback: the guard checks each dialled address.
func TestRebindingNameIsDecidedOnEachAddress(t *testing.T) {
	hits := &atomic.Int32{}
	u, err := url.Parse(serve(t, func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	require.NoError(t, err)
	g := wire.NewGuard("mcp.example.com", nil)
	g.Resolve = func(context.Context, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}
	ex := get(wire.New(wire.Options{Guard: g}), "http://rebind.example:"+u.Port()+"/")
	assert.Contains(t, ex.Error, "not public")
	assert.Zero(t, hits.Load())
}

// A name of this machine, to which forms are sent in clear, never resolves to a public address.
func TestNamesOfThisMachineStayHere(t *testing.T) {
	for _, name := range []string{"localhost.", "as.localhost", "AS.LocalHost."} {
		g := wire.NewGuard("mcp.example.com", nil)
		g.Resolve = func(context.Context, string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("93.184.216.34")}, nil
		}
		g.ConnectTo = map[string]string{"93.184.216.34:1": "127.0.0.1:1"}
		ex := get(wire.New(wire.Options{Guard: g}), "http://"+name+":1/")
		assert.Contains(t, ex.Error, "which is not on this machine", name)
	}
}

func TestAllowedHostIsDialled(t *testing.T) {
	u, err := url.Parse(serve(t, func(http.ResponseWriter, *http.Request) {}))
	require.NoError(t, err)
	for allowed, want := range map[string]bool{"as.internal": true, "AS.internal:" + u.Port(): true, "as.internal:1": false} {
		g := wire.NewGuard("mcp.example.com", []string{allowed})
		g.Resolve = func(context.Context, string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
		}
		ex := get(wire.New(wire.Options{Guard: g}), "http://as.internal:"+u.Port()+"/")
		assert.Equal(t, want, ex.Response != nil, allowed)
	}
}

// changing resolves to one list of addresses after another, and then always to the last.
func changing(lists ...[]netip.Addr) func(context.Context, string) ([]netip.Addr, error) {
	n := &atomic.Int64{}
	return func(context.Context, string) ([]netip.Addr, error) {
		return lists[min(int(n.Add(1)), len(lists))-1], nil
	}
}

// The target's name is not an exemption: it must stay in the network that it resolved to at the start, for the whole run.
func TestTheTargetStaysInItsNetwork(t *testing.T) {
	u, err := url.Parse(serve(t, func(http.ResponseWriter, *http.Request) {}))
	require.NoError(t, err)
	here, public, inside := []netip.Addr{netip.MustParseAddr("127.0.0.1")}, []netip.Addr{netip.MustParseAddr("192.88.99.1")},
		[]netip.Addr{netip.MustParseAddr("10.0.0.1")}
	for name, c := range map[string]struct {
		resolve  func(context.Context, string) ([]netip.Addr, error)
		reach    wire.Reach
		answered bool
	}{
		"on loopback":                       {changing(here), wire.Loopback, true},
		"public first, on loopback then":    {changing(public, here), wire.Public, false},
		"public and on loopback":            {changing(append(public, here...)), wire.Public, false},
		"on loopback first, public then":    {changing(here, public), wire.Loopback, false},
		"in a private network, then public": {changing(inside, public), wire.Private, false},
	} {
		t.Run(name, func(t *testing.T) {
			g := wire.NewGuard("mcp.example.com", nil)
			g.Resolve, g.ConnectTo = c.resolve, map[string]string{"192.88.99.1:" + u.Port(): "127.0.0.1:1"}
			cl := wire.New(wire.Options{Guard: g})
			target := &url.URL{Scheme: "http", Host: "mcp.example.com:" + u.Port(), Path: "/"}
			assert.Equal(t, c.reach, cl.Classify(context.Background(), target))
			ex := get(cl, target.String())
			assert.Equal(t, c.answered, ex.Response != nil, ex.Error)
		})
	}
}

// A host outside the user's network has its own limits, whichever name is used.
func TestLimitsHoldForEachHost(t *testing.T) {
	var mu sync.Mutex
	var times []time.Time
	u, err := url.Parse(serve(t, func(http.ResponseWriter, *http.Request) {
		mu.Lock()
		times = append(times, time.Now())
		mu.Unlock()
	}))
	require.NoError(t, err)
	g := wire.NewGuard("127.0.0.1", nil)
	g.Resolve = changing([]netip.Addr{netip.MustParseAddr("192.88.99.1")})
	g.ConnectTo = map[string]string{"192.88.99.1:" + u.Port(): u.Host}
	c := wire.New(wire.Options{Guard: g, Limits: wire.Limits{BeyondRate: 20, BeyondConcurrency: 4, Concurrency: 32}})
	assert.Equal(t, wire.Public, c.Reach(context.Background(), "http://a.example:"+u.Port()))
	assert.Equal(t, wire.Loopback, c.Reach(context.Background(), u.String()))
	var together sync.WaitGroup
	for i := range 10 {
		together.Go(func() { get(c, fmt.Sprintf("http://n%d.example:%s/", i, u.Port())) })
	}
	together.Wait()
	require.Len(t, times, 10)
	first, last := slices.MinFunc(times, time.Time.Compare), slices.MaxFunc(times, time.Time.Compare)
	assert.Greater(t, last.Sub(first), 400*time.Millisecond, "ten requests were sent faster than one each 50 ms")
}

// Outside the user's network, fewer concurrent requests are allowed than in the run as a whole.
func TestConcurrencyHoldsBeyondTheOwnNetwork(t *testing.T) {
	var open, most atomic.Int32
	u, err := url.Parse(serve(t, func(http.ResponseWriter, *http.Request) {
		n := open.Add(1)
		defer open.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		time.Sleep(20 * time.Millisecond) // so that others can arrive
	}))
	require.NoError(t, err)
	g := wire.NewGuard("mcp.example.com", nil)
	g.Resolve = changing([]netip.Addr{netip.MustParseAddr("192.88.99.1")})
	g.ConnectTo = map[string]string{"192.88.99.1:" + u.Port(): u.Host}
	c := wire.New(wire.Options{Guard: g, Limits: wire.Limits{BeyondConcurrency: 3, Concurrency: 32}})
	var together sync.WaitGroup
	for i := range 24 {
		together.Go(func() {
			ex := c.Do(t.Context(), "TEST", wire.Request{Method: "GET", URL: fmt.Sprintf("http://n%d.example:%s/", i, u.Port()), Together: true})
			assert.NotNil(t, ex.Response, ex.Error)
		})
	}
	together.Wait()
	assert.LessOrEqual(t, most.Load(), int32(3))
}

func TestProxyVariablesAreIgnored(t *testing.T) {
	hits := &atomic.Int32{}
	proxy := serve(t, func(http.ResponseWriter, *http.Request) { hits.Add(1) })
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "ALL_PROXY"} {
		t.Setenv(name, proxy)
	}
	u, err := url.Parse(serve(t, func(http.ResponseWriter, *http.Request) {}))
	require.NoError(t, err)
	g := wire.NewGuard("127.0.0.1", nil) // loopback, where the proxy is, may be dialled
	g.Resolve = func(context.Context, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}
	ex := get(wire.New(wire.Options{Guard: g}), "http://mcp.example.com:"+u.Port()+"/") // Go uses no proxy for names of this machine
	assert.NotNil(t, ex.Response, ex.Error)
	assert.Zero(t, hits.Load())
}

func TestRedirectIsAnAnswer(t *testing.T) {
	hits := &atomic.Int32{}
	other := serve(t, func(http.ResponseWriter, *http.Request) { hits.Add(1) })
	for _, code := range []int{301, 302, 303, 307, 308} {
		u := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other, code) })
		ex := client(wire.Limits{}).Do(context.Background(), "TEST", wire.Request{
			Method: "POST", URL: u, Body: "x", Header: []reports.Field{{Name: "Authorization", Value: "Bearer t"}},
		})
		require.NotNil(t, ex.Response)
		assert.Equal(t, code, ex.Response.Status)
	}
	assert.Zero(t, hits.Load())
}

func TestGzipBombIsRefused(t *testing.T) {
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, _ = z.Write(make([]byte, 64<<20))
	_ = z.Close()
	u := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(bomb.Bytes())
	})
	ex := get(client(wire.Limits{}), u)
	assert.Contains(t, ex.Error, "grows more than 100 to 1")
	assert.LessOrEqual(t, len(ex.Response.Body), 1<<20)
}

func TestHonestGzipIsRead(t *testing.T) {
	u := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		fmt.Fprint(z, `{"a":1}`)
		_ = z.Close()
	})
	ex := get(client(wire.Limits{}), u)
	assert.Equal(t, `{"a":1}`, ex.Response.Body)
}

func TestBodyIsBounded(t *testing.T) {
	u := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Repeat("x", 4096)) })
	ex := get(client(wire.Limits{Body: 1000}), u)
	assert.Len(t, ex.Response.Body, 1000)
	assert.True(t, ex.Response.Truncated)
}

// An error quotes nothing of a malformed answer.
func TestMalformedAnswersTellNoSecret(t *testing.T) {
	for answer, want := range map[string]string{
		"HTTP/1.1 302 Found\r\nLocation: https://client.example/cb?k=\x00&code=canary-7Hq2xZ9vLm4K\r\n\r\n": `malformed MIME header line: ` +
			`"Location: …`,
		"HTTP/1.1 200 OK\r\nSet-Cookie session=canary-7Hq2xZ9vLm4K\r\n\r\n":         `missing colon: "Set-Cookie…`,
		`{"token_type":"Bearer","access_token":"canary-7Hq2xZ9vLm4K"}` + "\r\n\r\n": `malformed HTTP response "{`,
		"HTTP/1.1 canary-7Hq2xZ9vLm4KpW8sTfBd\r\n\r\n":                              `malformed HTTP status code "canary-7Hq…`,
	} {
		address := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			defer conn.Close()
			_, _ = io.WriteString(conn, answer)
		})
		ex := get(client(wire.Limits{}), address)
		assert.Contains(t, ex.Error, want)
		assert.NotContains(t, ex.Error, "9vLm4K")
	}
}

// A run keeps little of what a target sends: large bodies, large headers, and mcpauth's tokens in requests.
func TestWhatIsKeptIsBounded(t *testing.T) {
	address := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		for i := range 3 {
			w.Header().Set(fmt.Sprintf("X-Filler-%d", i), strings.Repeat("h", 15<<10))
		}
		_, _ = io.WriteString(w, strings.Repeat("b", 900<<10))
	})
	c := client(wire.Limits{})
	kept := 0
	var first *reports.Exchange
	for i := range 150 { // 140 MiB in all
		ex := c.Do(t.Context(), "TEST", wire.Request{Method: "GET", URL: address,
			Header: []reports.Field{{Name: "Authorization", Value: "Bearer " + strings.Repeat("t", 30<<10)}}})
		require.NotNil(t, ex.Response, ex.Error)
		if i == 0 {
			first = ex
			assert.Len(t, ex.Response.Body, 900<<10, "a body is cut although there is room")
			assert.Equal(t, "Bearer … (30727 bytes in all)", ex.Request.Header[1].Value)
		}
		kept += len(ex.Response.Body) + len(ex.Request.Header[1].Value)
		for _, f := range ex.Response.Header {
			kept += len(f.Value)
		}
	}
	assert.Less(t, kept, 44<<20)
	c.Shorten(first)
	assert.Equal(t, "… (921600 bytes in all)", first.Response.Body, "a part of a single long word is shown")
	more := c.Do(t.Context(), "TEST", wire.Request{Method: "GET", URL: address})
	assert.True(t, more.Response.Truncated)
}

// A run keeps all ordinary exchanges, and large pages if they are judged one after another.
func TestOrdinaryAnswersAreKeptWhole(t *testing.T) {
	size := 3 << 10
	address := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, strings.Repeat("word ", size/5))
	})
	c := client(wire.Limits{})
	for range 3_000 {
		ex := c.Do(t.Context(), "TEST", wire.Request{Method: "GET", URL: address})
		require.Len(t, ex.Response.Body, size/5*5)
	}
	size = 300 << 10
	for range 400 { // 120 MiB
		ex := c.Do(t.Context(), "TEST", wire.Request{Method: "GET", URL: address})
		require.Len(t, ex.Response.Body, size/5*5)
		c.Shorten(ex)
	}
}

// Many small header fields need more memory than their text. Once they are no longer judged, only some of each name are kept.
func TestManyFieldsMakeRoom(t *testing.T) {
	address := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		for i := range 300 {
			w.Header().Add("Link", "</"+strconv.Itoa(i)+strings.Repeat("x", 60)+">")
			w.Header().Set("A-Name-"+strconv.Itoa(i), "x")
		}
		w.Header().Set("Cache-Control", "no-store")
	})
	c := client(wire.Limits{})
	fields, first, last := 0, 0, []reports.Field(nil)
	for range 600 {
		ex := c.Do(t.Context(), "TEST", wire.Request{Method: "GET", URL: address})
		require.NotNil(t, ex.Response, ex.Error)
		require.Greater(t, len(ex.Response.Header), 600, "a check does not see all header fields")
		c.Shorten(ex)
		if first == 0 {
			first = len(ex.Response.Header)
		}
		last = ex.Response.Header
		fields += len(last)
	}
	assert.Greater(t, first, 600, "header fields are left out although there is room")
	assert.Less(t, fields, 150_000)
	assert.Less(t, len(last), 80)
	assert.Contains(t, wire.Get(last, "Mcpauth-Left-Out"), "more header fields")
	few := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Long", strings.Repeat("x", 10<<10)) })
	ex := c.Do(t.Context(), "TEST", wire.Request{Method: "GET", URL: few})
	before := len(ex.Response.Header)
	c.Shorten(ex)
	assert.Len(t, ex.Response.Header, before, "one of a few header fields is left out")
}

func TestHeaderIsBounded(t *testing.T) {
	u := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Long", strings.Repeat("x", 100<<10)) })
	ex := get(client(wire.Limits{}), u)
	assert.NotEmpty(t, ex.Error)
}

func TestSlowBodyEnds(t *testing.T) {
	u := serve(t, func(w http.ResponseWriter, r *http.Request) {
		for range 1000 {
			if _, err := w.Write([]byte("x")); err != nil {
				return
			}
			_ = http.NewResponseController(w).Flush()
			select {
			case <-time.After(5 * time.Millisecond):
			case <-r.Context().Done():
				return
			}
		}
	})
	ex := get(client(wire.Limits{Request: 60 * time.Millisecond}), u)
	assert.Contains(t, ex.Error, "no whole answer within the time limit")
}

// What ends with the run or with the check says nothing about the target, unlike an answer that takes too long.
func TestTheEndOfARunIsNoLateAnswer(t *testing.T) {
	t.Parallel()
	u := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	ctx, end := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer end()
	ex := client(wire.Limits{Request: 10 * time.Second}).Do(ctx, "X", wire.Request{Method: "GET", URL: u})
	assert.Equal(t, wire.Canceled, ex.Error)
}

func TestAStreamWithoutAHeaderIsSilent(t *testing.T) {
	t.Parallel()
	u := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	c := client(wire.Limits{Silence: 20 * time.Millisecond, Request: time.Second})
	peek := wire.Request{Method: "GET", URL: u, Peek: time.Second}
	assert.Equal(t, wire.Silent, c.Do(t.Context(), "X", peek).Error)
	peek.Peek = 0
	assert.Contains(t, c.Do(t.Context(), "X", peek).Error, "no whole answer within the time limit")
}

func TestEventStreamIsBounded(t *testing.T) {
	u := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for r.Context().Err() == nil {
			if _, err := fmt.Fprint(w, "data: {}\n\n"); err != nil {
				return
			}
		}
	})
	ex := get(client(wire.Limits{}), u)
	assert.True(t, ex.Response.Truncated)
	assert.Equal(t, 256, strings.Count(ex.Response.Body, "data:"))
}

func TestEventStreamEndsAtTheAnswer(t *testing.T) {
	stop := make(chan struct{})
	u := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "data: other\n\ndata: mine\n\n")
		_ = http.NewResponseController(w).Flush()
		select {
		case <-stop:
		case <-r.Context().Done():
		}
	})
	defer close(stop)
	ex := client(wire.Limits{}).Do(context.Background(), "TEST",
		wire.Request{Method: "GET", URL: u, Until: func(d string) bool { return d == "mine" }})
	assert.Empty(t, ex.Error)
	assert.Contains(t, ex.Response.Body, "mine")
}

func TestBudgetIsAHardStop(t *testing.T) {
	hits := &atomic.Int32{}
	u := serve(t, func(http.ResponseWriter, *http.Request) { hits.Add(1) })
	c := client(wire.Limits{Requests: 3})
	for range 10 {
		get(c, u)
	}
	assert.EqualValues(t, 3, hits.Load())
	assert.Equal(t, wire.ErrBudget.Error(), get(c, u).Error)
	c.Do(context.Background(), "TEST", wire.Request{Method: "DELETE", URL: u, Cleanup: true})
	get(c, u)
	assert.EqualValues(t, 4, hits.Load(), "a request that cleans up is not sent, or another one is")
}

// A server that drops every second request of a connection makes the transport retry.
func TestRequestsRepeatedAtTheLimitAreNotSent(t *testing.T) {
	for range 20 {
		hits := &atomic.Int32{}
		u := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			if hits.Add(1) == 2 {
				conn, _, err := http.NewResponseController(w).Hijack()
				if err == nil {
					conn.Close()
				}
			}
		})
		c := client(wire.Limits{Requests: 2})
		get(c, u)
		assert.Equal(t, wire.ErrBudget.Error(), get(c, u).Error)
		time.Sleep(5 * time.Millisecond) // so that late requests arrive
		assert.EqualValues(t, 2, hits.Load())
	}
}

func TestRateIsKept(t *testing.T) {
	u := serve(t, func(http.ResponseWriter, *http.Request) {})
	c := client(wire.Limits{Rate: 200, Concurrency: 1})
	began := time.Now()
	for range 5 {
		get(c, u)
	}
	assert.GreaterOrEqual(t, time.Since(began), 18*time.Millisecond)
}

func TestErrorsAreSentences(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_ = conn.Close()
		}
	}()
	defer l.Close()
	gone := get(client(wire.Limits{}), "http://"+l.Addr().String()).Error // a server that closes before it reads resets the connection
	assert.Regexp(t, "(closed|reset) the connection without an answer", gone)
	s := httptest.NewTLSServer(http.NotFoundHandler())
	defer s.Close()
	s.Config.ErrorLog = nil
	assert.Contains(t, get(client(wire.Limits{}), s.URL).Error, "an authority that this machine does not trust")
	assert.Contains(t, get(client(wire.Limits{}), "ftp://127.0.0.1/").Error, "not dialled")
}

func TestRawBytesAreSentAsTheyAre(t *testing.T) {
	u := serve(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, len(r.Header["Authorization"])) })
	p, err := url.Parse(u)
	require.NoError(t, err)
	raw := "GET / HTTP/1.1\r\nHost: " + p.Host + "\r\nAuthorization: a\r\nAuthorization: b\r\nConnection: close\r\n\r\n"
	ex := client(wire.Limits{}).Do(context.Background(), "TEST", wire.Request{Method: "GET", URL: u, Raw: []byte(raw)})
	require.NotNil(t, ex.Response, ex.Error)
	assert.Equal(t, "2", ex.Response.Body)
}

// Another request is served before the last byte of a halted one, even where only one may be in flight.
func TestAHaltedRequestLeavesItsPlace(t *testing.T) {
	u := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s of %d", body, r.ContentLength)
	})
	p, err := url.Parse(u)
	require.NoError(t, err)
	c, raw := client(wire.Limits{Concurrency: 1}), "POST / HTTP/1.1\r\nHost: "+p.Host+"\r\nContent-Length: 4\r\nConnection: close\r\n\r\nlast"
	var between *reports.Exchange
	midway := func() { between = get(c, u) }
	ex := c.Do(context.Background(), "TEST", wire.Request{Method: "POST", URL: u, Raw: []byte(raw), Midway: midway, Together: true})
	require.NotNil(t, ex.Response, ex.Error)
	assert.Equal(t, "last of 4", ex.Response.Body)
	require.NotNil(t, between.Response, between.Error)
}

// A request in the style of Node's fetch has its fields in that order and letter case, and no mark of mcpauth.
func TestFetchIsWrittenAsNodeDoes(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	got := make(chan string, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		b := make([]byte, 4096)
		n, _ := conn.Read(b)
		got <- string(b[:n])
		fmt.Fprint(conn, "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 401 Unauthorized\r\ncontent-length: 4\r\n\r\ngone")
	}()
	u := "http://" + l.Addr().String()
	c := wire.New(wire.Options{
		Guard: wire.NewGuard("127.0.0.1", nil), UserAgent: "mcpauth ({check})", Header: []reports.Field{{Name: "X-Gate", Value: "key"}},
		HeaderOrigin: u,
	})
	ex := c.Do(context.Background(), "TEST", wire.Request{Method: "POST", URL: u + "/mcp?a=b", Fetch: true, Body: "{}",
		Header: []reports.Field{
			{Name: "User-Agent", Value: "of the caller"}, {Name: "content-type", Value: "application/json"},
			{Name: "Authorization", Value: "Bearer x"},
		}})
	require.NotNil(t, ex.Response, ex.Error)
	assert.Equal(t, 401, ex.Response.Status)
	assert.Equal(t, "gone", ex.Response.Body)
	assert.Equal(t, "POST /mcp?a=b HTTP/1.1\r\nhost: "+l.Addr().String()+"\r\nconnection: keep-alive\r\nX-Gate: key\r\n"+
		"content-type: application/json\r\nAuthorization: Bearer x\r\naccept-language: *\r\nsec-fetch-mode: cors\r\nuser-agent: node\r\n"+
		"accept-encoding: gzip, deflate\r\ncontent-length: 2\r\n\r\n{}", <-got)
	assert.Equal(t, "host", ex.Request.Header[0].Name, "the fields are not recorded as they were sent")
}

func TestFetchSendsNoLineBreaks(t *testing.T) {
	u := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("the request is sent") })
	ex := client(wire.Limits{}).Do(context.Background(), "TEST", wire.Request{Method: "GET", URL: u, Fetch: true, Header: []reports.Field{
		{Name: "X", Value: "a\r\nY: b"},
	}})
	assert.Contains(t, ex.Error, "line break")
	assert.Contains(t, client(wire.Limits{}).Do(context.Background(), "TEST",
		wire.Request{Method: "GET", URL: "ftp://127.0.0.1/", Fetch: true}).Error,
		"not dialled")
}

func TestDeflateIsRead(t *testing.T) {
	u := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "deflate")
		z := zlib.NewWriter(w)
		fmt.Fprint(z, "plain text")
		z.Close()
	})
	ex := client(wire.Limits{}).Do(context.Background(), "TEST", wire.Request{Method: "GET", URL: u, Fetch: true})
	require.NotNil(t, ex.Response, ex.Error)
	assert.Equal(t, "plain text", ex.Response.Body)
}

func TestGateHeaderStaysAtTheTarget(t *testing.T) {
	var seen atomic.Value
	h := func(_ http.ResponseWriter, r *http.Request) { seen.Store(r.Header.Get("X-Gate")) }
	mine, other := serve(t, h), serve(t, h)
	c := wire.New(wire.Options{Guard: wire.NewGuard("127.0.0.1", nil), Header: []reports.Field{{Name: "X-Gate", Value: "key"}},
		HeaderOrigin: mine})
	get(c, mine)
	assert.Equal(t, "key", seen.Load())
	get(c, other)
	assert.Equal(t, "", seen.Load())
}

// A server that closes idle connections after some seconds must not look like one that crashes.
func TestClosedIdleConnectionIsNotACrash(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { // answers one request on each connection, and closes the connection when the next arrives
				b := make([]byte, 4096)
				_, _ = conn.Read(b)
				_, _ = conn.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
				_, _ = conn.Read(b[:1])
				_ = conn.Close()
			}()
		}
	}()
	c := client(wire.Limits{})
	for range 5 {
		ex := c.Do(context.Background(), "TEST", wire.Request{Method: "POST", URL: "http://" + l.Addr().String(), Body: "x"})
		assert.NotNil(t, ex.Response, ex.Error)
	}
}

func TestUnresolvedNameIsSaid(t *testing.T) {
	g := wire.NewGuard("no-such.invalid", nil)
	g.Resolve = func(context.Context, string) ([]netip.Addr, error) {
		return nil, &net.DNSError{Err: "no such host", Name: "no-such.invalid", IsNotFound: true}
	}
	ex := get(wire.New(wire.Options{Guard: g}), "http://no-such.invalid/")
	assert.Contains(t, ex.Error, "does not resolve")
	assert.NotErrorIs(t, errors.New(ex.Error), wire.ErrBudget)
}

// A name server that gives no answer says nothing about the name.
func TestANameServerWithoutAnAnswerIsNotAVacantAddress(t *testing.T) {
	for _, failure := range []net.DNSError{{IsTimeout: true}, {IsTemporary: true, Err: "server misbehaving"}} {
		g := wire.NewGuard("slow.invalid", nil)
		g.Resolve = func(context.Context, string) ([]netip.Addr, error) {
			failure.Name = "slow.invalid"
			return nil, &failure
		}
		ex := get(wire.New(wire.Options{Guard: g}), "http://slow.invalid/")
		assert.Contains(t, ex.Error, "slow.invalid")
		assert.False(t, wire.Vacant(ex.Error), ex.Error)
	}
}

func TestAsked(t *testing.T) {
	arrived, answer := make(chan bool), make(chan bool)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery == "slow" {
			arrived <- true
			<-answer
		}
		w.WriteHeader(204)
	}))
	defer s.Close()
	c := client(wire.Limits{})
	get(c, s.URL+"/jwks?a=1")
	get(c, s.URL+"/jwks")
	get(c, s.URL+"/other")
	assert.Equal(t, wire.Asked{Answered: 2}, c.Asked(s.URL+"/jwks"))
	done := make(chan bool)
	go func() { get(c, s.URL+"/jwks?slow"); close(done) }()
	<-arrived
	assert.Equal(t, wire.Asked{Answered: 2, Unsure: 1}, c.Asked(s.URL+"/jwks"), "the request in flight is not counted as unsure")
	close(answer)
	<-done
	assert.Equal(t, wire.Asked{Answered: 3}, c.Asked(s.URL+"/jwks"))
	s.Close()
	get(c, s.URL+"/jwks")
	assert.Equal(t, wire.Asked{Answered: 3, Unsure: 1}, c.Asked(s.URL+"/jwks"), "a request without an answer is not counted as unsure")
}

// The reader and the writer of a connection notice a reset one after the other, in either order.
func TestResetWhileARequestIsSent(t *testing.T) {
	t.Parallel()
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		connection, _, err := http.NewResponseController(w).Hijack()
		if !assert.NoError(t, err) {
			return
		}
		if tcp, ok := connection.(*net.TCPConn); assert.True(t, ok) {
			assert.NoError(t, tcp.SetLinger(0))
		}
		_ = connection.Close()
	})
	c := client(wire.Limits{})
	said := map[string]int{}
	for range 300 {
		ex := c.Do(context.Background(), "TEST", wire.Request{Method: "POST", URL: url, Body: strings.Repeat("9", 500_000)})
		said[ex.Error]++
	}
	assert.Equal(t, map[string]int{wire.Reset: 300}, said)
}

// A server may answer before it has read the whole request, and close the connection. The answer counts although the rest of the request
// could not be written, also if the answer ends with the connection.
func TestAnAnswerToAPartOfARequestCounts(t *testing.T) {
	t.Parallel()
	for name, length := range map[string]string{"with a length": "Content-Length: 0\r\n", "without a length": ""} {
		t.Run(name, func(t *testing.T) {
			address, end, err := broken.Serve(func(c *net.TCPConn) {
				_, _ = c.Read(make([]byte, 1<<10))
				_, _ = io.WriteString(c, "HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\n"+length+"\r\n")
			})
			require.NoError(t, err)
			t.Cleanup(end)
			c := client(wire.Limits{})
			said := map[string]int{}
			for range 300 {
				said[get(c, "http://"+address+"/?scope="+strings.Repeat("a", 300_000)).Error]++
			}
			assert.Equal(t, map[string]int{"": 300}, said)
		})
	}
}
