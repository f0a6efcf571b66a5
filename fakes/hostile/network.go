package hostile

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/fixtures/nameserver"
)

// ownName is a target whose name resolves first to a public address, and then to an address of the user's machine.
func ownName() (*Attack, error) {
	inside, err := listen("127.0.0.2:0") // a service that the user has not named
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(inside.Addr().String())
	var asked, told atomic.Int64
	server, err := nameserver.Serve("127.0.0.1:0", func(_ string, six bool) ([]netip.Addr, bool) {
		switch n := asked.Add(1); {
		case six:
			return nil, true
		case n > 8 && n%4 > 1: // two of four each, because the tool asks for both address families
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
	const host = "own.rebinding.example"
	var named atomic.Int64
	_, args, end, err := public(func(o *reference.Options) {
		o.Host = host
		o.Policy.PRM = func(_ string, doc map[string]any) {
			named.Add(1)
			doc["authorization_servers"] = []string{doc["authorization_servers"].([]string)[0], "http://" + host + ":" + port}
		}
		o.Behaviour.Metadata = func(_ string, doc map[string]any) {
			doc["introspection_endpoint"], doc["jwks_uri"] = "http://"+host+":"+port+"/introspect", "http://"+host+":"+port+"/jwks"
		}
	})
	if err != nil {
		closing()
		return nil, err
	}
	for i, a := range args { // by address, because the name changes
		args[i] = strings.Replace(a, host+":443=", nowhere.String()+":443=", 1)
	}
	args = append(args, "--dns", server.Address(), "--connect-to", nowhere.String()+":"+port+"=127.0.0.1:1", "--timeout", "8s",
		"--allow-intrusive=false")
	return &Attack{Args: args, Close: func() { end(); closing() }, Judge: func(o Outcome) error {
		if n := inside.connections(); n > 0 {
			return fmt.Errorf("%d connections to an address of this machine, by the target's own name", n)
		}
		return errors.Join(unsprung(named.Load()), unsprung(told.Load()), notGreen(o))
	}}, nil
}

// elsewhere names endpoints on a third host: in the issuer's metadata, and in a copy that the MCP server serves.
func elsewhere() (*Attack, error) {
	third, err := listen("127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	at := "http://" + third.Addr().String()
	var own, copied, unannounced atomic.Int64
	var tool atomic.Pointer[Process]
	r, err := bend(func(o *reference.Options) {
		o.Apart = true
		o.Behaviour.AccessToken = func(_, _ map[string]any) { // a code has arrived, and a password before it
			if !announced(&tool) {
				unannounced.Add(1)
			}
		}
		o.Behaviour.Metadata = func(place string, doc map[string]any) {
			own.Add(1)
			doc["introspection_endpoint"], doc["pushed_authorization_request_endpoint"] = at+"/introspect", at+"/par"
			doc["mtls_endpoint_aliases"] = map[string]any{"token_endpoint": at + "/token"}
		}
		o.Wrap = func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				if req.URL.Path != "/.well-known/oauth-authorization-server" {
					h.ServeHTTP(w, req)
					return
				}
				copied.Add(1)
				metadataCopy(w, req, h, map[string]string{"revocation_endpoint": at + "/revoke", "userinfo_endpoint": at + "/userinfo",
					"introspection_endpoint": at + "/introspect"})
			})
		}
	})
	if err != nil {
		third.stop()
		return nil, err
	}
	args, env := signedIn(r, "--issuer", r.IDP.Issuer)
	return &Attack{Args: args, Environment: env, Close: func() { r.Close(); third.stop() }, After: func(p Process) { tool.Store(&p) },
		Judge: func(o Outcome) error {
			got := third.received()
			for _, secret := range []string{"Authorization:", "token=", "client_secret=", "code=", "client_assertion=", "password="} {
				if n := strings.Count(got, secret); n > 0 {
					return fmt.Errorf("a host that only metadata name got %q %d times", secret, n)
				}
			}
			if !strings.Contains(o.All(), "--trust-endpoint "+at+"/introspect") {
				return errors.New("the user is not told of the endpoint on another origin")
			}
			if !strings.Contains(o.Stderr, toAnotherOrigin+r.IDP.Issuer) {
				return errors.New("the user is not told which host gets the password")
			}
			if n := unannounced.Load(); n > 0 {
				return fmt.Errorf("%d tokens are issued before the user is told which host gets the password", n)
			}
			return errors.Join(unsprung(own.Load()), unsprung(copied.Load())) // everything else is right
		}}, nil
}

// toAnotherOrigin begins the notice that names the other origins that get secrets.
const toAnotherOrigin = "secrets of this run go to another origin than the target's: "

// announced waits for the notice of a tool that waits for an answer: the notice may still be in transit.
func announced(tool *atomic.Pointer[Process]) bool {
	return soon(func() bool { p := tool.Load(); return p != nil && strings.Contains((*p).Said(), toAnotherOrigin) })
}

// beyond is a target on loopback that names a public authorization server. With leave, the user confirms that the run may attack it.
func beyond(leave bool) (*Attack, error) {
	g := &gauge{}
	var registered, passwords atomic.Int64
	var issuer string
	there, err := wrapped(func(h http.Handler) http.Handler {
		return g.wrap(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			body, _ := io.ReadAll(io.LimitReader(req.Body, 1<<16)) // a part is enough
			req.Body = io.NopCloser(strings.NewReader(string(body)))
			if strings.Contains(string(body), url.QueryEscape(password)) {
				passwords.Add(1)
			}
			if req.URL.Path == "/register" {
				w = &creation{w, &registered}
			}
			h.ServeHTTP(w, req)
		}))
	}, func(o *reference.Options) {
		o.Behaviour.Metadata = func(_ string, doc map[string]any) {
			for name, v := range doc {
				if s, ok := v.(string); ok {
					doc[name] = strings.Replace(s, origin(s), issuer, 1)
				}
			}
			doc["issuer"] = issuer
		}
	})
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(there.URL)
	if err != nil {
		there.Close()
		return nil, err
	}
	issuer = "http://as.public.example:" + u.Port()
	server, err := nameserver.Serve("127.0.0.1:0", func(string, bool) ([]netip.Addr, bool) { return []netip.Addr{nowhere}, true })
	if err != nil {
		there.Close()
		return nil, err
	}
	here, err := bend(func(o *reference.Options) {
		o.Policy.PRM = func(_ string, doc map[string]any) { doc["authorization_servers"] = []string{issuer} }
	})
	if err != nil {
		there.Close()
		server.Close()
		return nil, err
	}
	args, env := signedIn(here, "--dns", server.Address(), "--connect-to", nowhere.String()+":"+u.Port()+"="+u.Host)
	if leave {
		args = append(args, "--i-am-authorized")
	}
	return &Attack{Args: args, Environment: env, Close: func() { here.Close(); there.Close(); server.Close() }, Judge: func(o Outcome) error {
		if n, p := registered.Load(), passwords.Load(); !leave && n+p > 0 {
			return fmt.Errorf("%d clients were registered and %d passwords sent at a public host, and nobody said that it may be attacked", n, p)
		}
		if !leave && !strings.Contains(o.All(), "--i-am-authorized") {
			return errors.New("the user is not told what is missing")
		}
		if n := g.busiest(); n > 75 { // half of them for arrivals that a busy machine delays; without the limit there are hundreds
			return fmt.Errorf("%d requests in a second at a public host, where 50 were allowed", n)
		}
		if leave && g.all.Load() < 50 {
			return errors.New("the run sent next to nothing")
		}
		return errors.Join(unsprung(g.all.Load()), notGreen(o))
	}}, nil
}

// creation counts created resources (HTTP 201).
type creation struct {
	http.ResponseWriter
	made *atomic.Int64
}

func (c *creation) WriteHeader(status int) {
	if status == http.StatusCreated {
		c.made.Add(1)
	}
	c.ResponseWriter.WriteHeader(status)
}

// wrongPassword counts the logins with a wrong password.
func wrongPassword() (*Attack, error) {
	const wrong = "not-her-password"
	var typed, forHer atomic.Int64
	r, err := wrapped(func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			body, _ := io.ReadAll(io.LimitReader(req.Body, 1<<16)) // a part is enough
			req.Body = io.NopCloser(strings.NewReader(string(body)))
			if form, err := url.ParseQuery(string(body)); err == nil && slices.Contains(slices.Concat(slices.Collect(maps.Values(form))...), wrong) {
				typed.Add(1)
			}
			if strings.Contains(string(body), "=alice&") {
				forHer.Add(1)
			}
			h.ServeHTTP(w, req)
		})
	})
	if err != nil {
		return nil, err
	}
	args, _ := signedIn(r)
	return &Attack{Args: args, Environment: []string{"MCPAUTH_PASSWORD=" + wrong}, Close: r.Close, Judge: func(o Outcome) error {
		if n := typed.Load(); n > 1 {
			return fmt.Errorf("a wrong password was sent %d times", n)
		}
		if n := forHer.Load(); n > 1 {
			return fmt.Errorf("%d logins were tried at an account whose password is wrong", n)
		}
		if said := strings.Join(strings.Fields(o.Stdout+o.Stderr), " "); o.Code != 3 || !loginFailed.MatchString(said) {
			return fmt.Errorf("exit %d, and no headline says that the login failed: %.300s", o.Code, said)
		}
		return errors.Join(unsprung(typed.Load()), notGreen(o))
	}}, nil
}

var loginFailed = regexp.MustCompile(`NOTHING WAS TESTED: The login at \S+ failed`)

// origin returns the origin of a URL.
func origin(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return address
	}
	return u.Scheme + "://" + u.Host
}

// metadataCopy serves the metadata of a handler with further members.
func metadataCopy(w http.ResponseWriter, req *http.Request, h http.Handler, more map[string]string) {
	recorded := httptest.NewRecorder()
	h.ServeHTTP(recorded, req)
	var doc map[string]any
	if err := json.Unmarshal(recorded.Body.Bytes(), &doc); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	for name, value := range more {
		doc[name] = value
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(doc) // the client may have left
}
