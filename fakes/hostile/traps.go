package hostile

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mcpauth/conformance/fakes/idp"
	"github.com/mcpauth/conformance/fakes/mcpserver"
	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/fixtures/port"
)

// Traps has all traps, in the order of the promises.
var Traps = []Trap{
	{Name: "private addresses", Promise: "addresses that are not public are not dialled, whatever names them", Start: privateAddresses},
	{Name: "private addresses in others", Promise: "nor are addresses that a gateway would translate to such", Start: translatedAddresses},
	{Name: "names that change", Promise: "the address that was judged is the one that is dialled", Start: rebinding},
	{Name: "its own name changes", Promise: "a public target stays public for the whole run, whatever its name means later", Start: ownName},
	{Name: "endpoints of a third host", Promise: "metadata count from the issuer's own place, and no secret goes to an endpoint on another " +
		"origin", Start: elsewhere},
	{Name: "a public server behind loopback", Promise: "nobody signs in or registers at a public host without leave",
		Start: func() (*Attack, error) { return beyond(false) }},
	{Name: "a public server's rate", Promise: "at each host beyond the own network the rate holds",
		Start: func() (*Attack, error) { return beyond(true) }},
	{Name: "a wrong password", Promise: "a password that is refused is not tried again", Start: wrongPassword},
	{Name: "credentials elsewhere", Promise: "no redirect carries a credential to another origin", Start: credentialsElsewhere},
	{Name: "redirects without end", Promise: "only redirects of metadata are followed, at most 10 of each", Start: redirects},
	{Name: "slow answers", Promise: "a run ends at its time, whatever trickles in", Start: slow},
	{Name: "bombs", Promise: "bodies are bounded, after decompression too: at most 128 MiB of memory", Start: bombs},
	{Name: "giant headers", Promise: "header fields are bounded", Start: giantHeaders},
	{Name: "giant secrets", Promise: "tokens and cookies of any size are bounded: at most 128 MiB of memory", Start: giantSecrets},
	{Name: "odd JSON", Promise: "JSON is bounded in depth and members; duplicates and odd cases are findings", Start: oddJSON},
	{Name: "endless streams", Promise: "event streams are bounded", Start: endless},
	{Name: "long events", Promise: "events without an end, on many streams at once, are bounded: at most 128 MiB of memory",
		Start: longEvents},
	{Name: "rate", Promise: "the stated rate is kept", Start: rate},
	{Name: "concurrency", Promise: "no more requests than stated are in flight", Start: concurrency},
	{Name: "budget", Promise: "the request limit is a hard stop", Start: budget},
	{Name: "side effects", Promise: "clients are deleted again; undeclared tools run never, and are called only if read-only, with bad tokens",
		Start: sideEffects},
	{Name: "control characters", Promise: "nothing of a target controls a terminal or a CI system", Start: controlCharacters},
	{Name: "errors of a login by hand", Promise: "notices control no terminal and no CI system either",
		Start: func() (*Attack, error) { return handErrors("code=x") }},
	{Name: "a refused login by hand", Promise: "nor do notices that quote the answer to a login",
		Start: func() (*Attack, error) {
			return handErrors("error=" + url.QueryEscape(nasty) + "&error_description=" + url.QueryEscape(nasty))
		}},
	{Name: "a mix-up", Promise: "the answer to a login by hand counts only if it is of the authorization server that was asked", Start: mixUp},
	{Name: "an endpoint that is not a URL", Promise: "nobody is told to open an address with control characters", Start: handEndpoint},
	{Name: "an address without end", Promise: "nor an address that no browser opens, wherever it comes from", Start: giantAddress},
	{Name: "markup", Promise: "nothing of a target acts in HTML, Markdown, XML or JSON", Start: markup},
	{Name: "paths in names", Promise: "no file is written but the reports", Start: paths},
	{Name: "a link for a report", Promise: "a symbolic link is left alone, and what it leads to",
		Start: func() (*Attack, error) { return besideServer(linkForReport) }},
	{Name: "a pipe for a report", Promise: "a pipe stays one, and gets the report",
		Start: func() (*Attack, error) { return besideServer(pipeForReport) }},
	{Name: "a stranger's report", Promise: "nothing of a report of others acts on a terminal or a CI system",
		Start: func() (*Attack, error) { return strangersReport("report", nasty, "MUST") }},
	{Name: "a stranger's report with words of its own", Promise: "a report is read only if it keeps to the schema and the catalogue",
		Start: func() (*Attack, error) { return strangersReport("report", "x", nasty) }},
	{Name: "a stranger's report to merge", Promise: "so it is merged only then",
		Start: func() (*Attack, error) { return strangersReport("merge", "x", nasty) }},
	{Name: "a stranger's report to compare", Promise: "and compared only then",
		Start: func() (*Attack, error) { return strangersReport("diff", "x", nasty) }},
	{Name: "the browser's environment", Promise: "the browser gets no secret in its environment",
		Start: func() (*Attack, error) { return besideServer(environment) }},
	{Name: "secrets", Promise: "no secret is in any output, in any spelling", Start: secrets},
	{Name: "a secret in the URL", Promise: "the value of a key in the target's query is in no output", Start: secretInURL},
	{Name: "short secrets", Promise: "a password of any length is removed where a field has it as its value", Start: shortSecrets},
	{Name: "foreign schemes", Promise: "javascript: and file: endpoints are text", Start: schemes},
	{Name: "10,000 keys", Promise: "a huge key set is bounded", Start: manyKeys},
	{Name: "costly pages", Promise: "pages of any markup are read in bounded time and 128 MiB of memory", Start: costlyPages},
	{Name: "long lists", Promise: "a run ends at its time, whatever is listed", Start: longLists},
	{Name: "many header fields", Promise: "many small header fields are bounded, too: at most 128 MiB of memory", Start: manyFields},
	{Name: "long words", Promise: "what verdicts quote of an answer is bounded: at most 128 MiB of memory", Start: longWords},
	{Name: "costly keys", Promise: "keys of any size are tried in bounded time", Start: costlyKeys},
	{Name: "floods of frames", Promise: "HTTP/2 frames without end are bounded: at most 128 MiB of memory",
		Start: func() (*Attack, error) { return streams(floods, 100) }},
	{Name: "giant headers of HTTP/2", Promise: "header fields are bounded by HTTP/2, too", Start: giantStreamHeaders},
	{Name: "try again", Promise: "what HTTP/2 has repeated counts as a request",
		Start: func() (*Attack, error) { return streams(repeats, 60) }},
	{Name: "another certificate", Promise: "a certificate is verified on every connection", Start: otherCertificate},
	{Name: "lengths that lie", Promise: "answers that are cut short, or whose length is said twice, are not answers", Start: lengths},
	{Name: "dies in the middle", Promise: "a target that dies leaves no green run", Start: dies},
	{Name: "interrupt", Promise: "an interrupted run says so, with a whole report", Start: interrupt},
	{Name: "callbacks from strangers", Promise: "the answer to a login counts with its state only", Start: strangers},
	{Name: "a closed terminal", Promise: "a run whose terminal is closed ends like an interrupted one", Start: hangup},
	{Name: "a password in clear text", Promise: "the browser types no password into a form that sends it in clear text",
		Start: func() (*Attack, error) { return inClear(false) }, Browser: true},
	{Name: "a form that turns", Promise: "no form reaches another host by plain HTTP", Start: func() (*Attack, error) { return inClear(true) },
		Browser: true},
	{Name: "a man in the middle", Promise: "the certificate is verified on the connection that carries the browser's request",
		Start: func() (*Attack, error) { return intercepted(browserHello) }, Browser: true},
	{Name: "a man behind the proxy", Promise: "the proxy of a browser verifies the server as well",
		Start: func() (*Attack, error) { return intercepted(proxyHello) }, Browser: true},
	{Name: "its own name changes in a browser", Promise: "no page reaches the user's network by the name that it came from",
		Start: ownNameInBrowser, Browser: true},
	{Name: "pages that grow", Promise: "what a browser tells of a page is bounded: at most 128 MiB of memory, the browser aside",
		Start: growing, Browser: true},
	{Name: "datagrams", Promise: "nothing of a page goes past the proxy", Start: datagrams, Browser: true},
	{Name: "a page that mirrors", Promise: "no picture is taken once a secret was typed", Start: mirror, Browser: true},
	{Name: "windows without end", Promise: "a page that opens window after window ends the login", Start: windows, Browser: true},
	{Name: "login pages that attack", Promise: "dialogs, downloads, windows and other schemes come to nothing", Start: loginPages,
		Browser: true},
}

const password = "alice-7-looking-glass"

// signedIn returns the arguments of a run that signs in with plain forms and tests the token endpoint.
func signedIn(r *reference.Reference, more ...string) ([]string, []string) {
	return append([]string{"run", r.URL, "--username", "alice", "--login", "form", "--timeout", "8s"}, more...),
		[]string{"MCPAUTH_PASSWORD=" + password}
}

func privateAddresses() (*Attack, error) {
	trap, err := listen("127.0.0.2:0")
	if err != nil {
		return nil, err
	}
	port := trap.Addr().(interface{ String() string }).String()
	port = port[strings.LastIndexByte(port, ':')+1:]
	var named atomic.Int64
	_, args, end, err := public(func(o *reference.Options) {
		o.Policy.PRM = func(_ string, doc map[string]any) {
			named.Add(1)
			doc["authorization_servers"] = []string{"http://127.0.0.2:" + port, "http://[::ffff:127.0.0.2]:" + port, "http://2130706434:" +
				port, "http://0x7f000002:" + port, "http://169.254.169.254/latest"}
			doc["jwks_uri"], doc["resource_documentation"] = "http://127.0.0.2:"+port+"/jwks", "http://127.0.0.2:"+port+"/docs"
		}
	})
	if err != nil {
		trap.stop()
		return nil, err
	}
	args = append(args, "--timeout", "8s", "--allow-intrusive=false")
	return &Attack{Args: args, Close: func() { end(); trap.stop() }, Judge: func(o Outcome) error {
		if n := trap.connections(); n > 0 {
			return fmt.Errorf("%d connections to a private address", n)
		}
		return errors.Join(unsprung(named.Load()), notGreen(o))
	}}, nil
}

// translated are addresses that some hosts and gateways translate to others, or to those of a site. Nothing answers at them here, so the
// tool's error shows whether it has dialled them.
var translated = []string{"::127.0.0.2", "::ffff:0:127.0.0.2", "fec0::1", "64:ff9b:1::7f00:2", "2002:7f00:2::1"}

func translatedAddresses() (*Attack, error) {
	var named atomic.Int64
	_, args, end, err := public(func(o *reference.Options) {
		o.Policy.PRM = func(_ string, doc map[string]any) {
			named.Add(1)
			var issuers []string
			for _, a := range translated {
				issuers = append(issuers, "http://["+a+"]:9")
			}
			doc["authorization_servers"] = issuers
		}
	})
	if err != nil {
		return nil, err
	}
	return &Attack{Args: append(args, "--timeout", "8s", "--allow-intrusive=false", "--passive"), Close: end, Judge: func(o Outcome) error {
		for _, a := range translated {
			refusal := " resolves to " + netip.MustParseAddr(a).String() + ", which is not public"
			if !strings.Contains(o.Reports["json"], refusal) {
				return fmt.Errorf("%s was dialled, or not even looked at", a)
			}
		}
		return errors.Join(unsprung(named.Load()), notGreen(o))
	}}, nil
}

func credentialsElsewhere() (*Attack, error) {
	trap, err := listen("127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	elsewhere := "http://" + trap.Addr().String()
	var turn atomic.Int64
	r, err := wrapped(func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			credential := req.Header.Get("Authorization") != "" || req.Method == http.MethodPost && req.URL.Path == "/token"
			if credential {
				w.Header().Set("Location", elsewhere+req.URL.Path)
				w.WriteHeader([]int{301, 302, 303, 307, 308}[turn.Add(1)%5])
				return
			}
			h.ServeHTTP(w, req)
		})
	})
	if err != nil {
		trap.stop()
		return nil, err
	}
	args, env := signedIn(r, "--only", "RS-TOKEN-*", "--only", "RS-CHALLENGE-*", "--only", "AS-TOKEN-SUCCESS-SHAPE")
	return &Attack{Args: args, Environment: env, Close: func() { r.Close(); trap.stop() }, Judge: func(o Outcome) error {
		if got := trap.received(); got != "" {
			return fmt.Errorf("another origin got %.200q", got)
		}
		return errors.Join(unsprung(turn.Load()), notGreen(o))
	}}, nil
}

func redirects() (*Attack, error) {
	// The tool looks at where the endpoint redirects, because the user may have meant that, and follows up to 10 redirects of metadata.
	const onward, most = "/onward", 10
	var n, followed atomic.Int64
	r, err := wrapped(func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			n.Add(1)
			depth := strings.Count(req.URL.Path, onward)
			if metadata := strings.Contains(req.URL.Path, "/.well-known/"); depth > most || depth > 1 && !metadata {
				followed.Add(1)
			}
			http.Redirect(w, req, onward+req.URL.Path, http.StatusFound)
		})
	})
	if err != nil {
		return nil, err
	}
	return &Attack{Args: []string{"run", r.URL, "--timeout", "8s"}, Close: r.Close, Judge: func(o Outcome) error {
		if followed.Load() > 0 {
			return fmt.Errorf("%d of %d requests follow redirects", followed.Load(), n.Load())
		}
		return errors.Join(unsprung(n.Load()), notGreen(o))
	}}, nil
}

// slow sends a byte now and then: in the header of some answers, and in the body of others.
func slow() (*Attack, error) {
	r, err := wrapped(func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			if len(req.URL.Path)%2 == 0 {
				w.WriteHeader(http.StatusOK)
			}
			for range 40 {
				select {
				case <-req.Context().Done():
					return
				case <-time.After(500 * time.Millisecond):
				}
				_, _ = io.WriteString(w, " ")
				_ = http.NewResponseController(w).Flush()
			}
		})
	})
	if err != nil {
		return nil, err
	}
	return &Attack{Args: []string{"run", r.URL, "--timeout", "3s"}, Close: r.Close, Judge: func(o Outcome) error {
		return errors.Join(within(o, 6*time.Second), notGreen(o))
	}}, nil
}

// zeros is a compressed body of 64 MiB of zeros.
var zeros = sync.OnceValue(func() []byte {
	var b bytes.Buffer
	z, block := gzip.NewWriter(&b), make([]byte, 1<<20)
	for range 64 {
		_, _ = z.Write(block) // a buffer accepts everything
	}
	_ = z.Close()
	return b.Bytes()
})

func bombs() (*Attack, error) {
	var turn atomic.Int64
	r, err := wrapped(func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			if strings.Contains(req.URL.Path, "well-known") {
				w.Header().Set("Content-Encoding", "gzip")
				_, _ = w.Write(zeros()) // the client may have gone
				return
			}
			block := strings.Repeat("x", 1<<16)
			blocks := 256 // 16 MiB
			if turn.Add(1)%2 == 0 {
				blocks = 15 // a little less than the tool accepts
			}
			for range blocks {
				if _, err := io.WriteString(w, block); err != nil {
					return
				}
			}
		})
	})
	if err != nil {
		return nil, err
	}
	return &Attack{Args: []string{"run", r.URL, "--timeout", "8s"}, Close: r.Close, Judge: func(o Outcome) error {
		return errors.Join(lean(o, 128<<20), notGreen(o))
	}}, nil
}

func giantHeaders() (*Attack, error) {
	r, err := wrapped(func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			for i := range 64 {
				w.Header().Set(fmt.Sprintf("X-Filler-%d", i), strings.Repeat("y", 1<<15)) // 2 MiB in all
			}
			h.ServeHTTP(w, req)
		})
	})
	if err != nil {
		return nil, err
	}
	return &Attack{Args: []string{"run", r.URL, "--timeout", "8s"}, Close: r.Close, Judge: func(o Outcome) error {
		if strings.Contains(o.All(), strings.Repeat("y", 1<<14)) {
			return errors.New("a field of 32 KiB is in an output")
		}
		return errors.Join(lean(o, 128<<20), notGreen(o))
	}}, nil
}

func oddJSON() (*Attack, error) {
	deep := strings.Repeat(`{"a":`, 50_000) + "1" + strings.Repeat("}", 50_000)
	wide := "{" + strings.Repeat(`"k":1,`, 40_000) + `"k":1}`
	first := map[string]string{"/.well-known/oauth-protected-resource/mcp": deep, "/.well-known/oauth-protected-resource": wide}
	others := []string{deep, wide, `{"resource":1e999999,"authorization_servers":{"a":[]},"Resource":null}`, "\ufeff{}",
		`{"issuer":"\ud800"}`, "[]", "null", "{} {}"}
	var turn atomic.Int64
	r, err := wrapped(func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.Method != http.MethodGet {
				h.ServeHTTP(w, req)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, cmp.Or(first[req.URL.Path], others[turn.Add(1)%8]))
		})
	})
	if err != nil {
		return nil, err
	}
	return &Attack{Args: []string{"run", r.URL, "--timeout", "8s"}, Close: r.Close, Judge: func(o Outcome) error {
		if !strings.Contains(o.Reports["json"], "nested deeper than 64") && !strings.Contains(o.Reports["json"], "more than 10000 members") {
			return errors.New("the report does not say that documents are beyond the bounds")
		}
		return errors.Join(lean(o, 128<<20), notGreen(o))
	}}, nil
}

func endless() (*Attack, error) {
	r, err := wrapped(func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.URL.Path != "/mcp" {
				h.ServeHTTP(w, req)
				return
			}
			w.Header().Set("Content-Type", "text/event-stream")
			for i := range 200_000 {
				if _, err := fmt.Fprintf(w, "id: %d\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\"}\n\n", i); err != nil ||
					req.Context().Err() != nil {
					return
				}
			}
			<-req.Context().Done()
		})
	})
	if err != nil {
		return nil, err
	}
	return &Attack{Args: []string{"run", r.URL, "--timeout", "6s"}, Close: r.Close, Judge: func(o Outcome) error {
		return errors.Join(within(o, 10*time.Second), lean(o, 128<<20), notGreen(o))
	}}, nil
}

// longEvents answers everything with a stream of one endless event.
func longEvents() (*Attack, error) {
	part := strings.Repeat("x", 1<<16)
	var sent atomic.Int64
	r, err := wrapped(func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			sent.Add(1)
			w.Header().Set("Content-Type", "text/event-stream")
			_, err := io.WriteString(w, "data: ")
			for err == nil && req.Context().Err() == nil {
				_, err = io.WriteString(w, part)
			}
		})
	})
	if err != nil {
		return nil, err
	}
	return &Attack{Args: []string{"run", r.URL, "--timeout", "6s"}, Close: r.Close, Judge: func(o Outcome) error {
		return errors.Join(unsprung(sent.Load()), lean(o, 128<<20), notGreen(o))
	}}, nil
}

// measured bounds a run with an option, at a slow server, and judges the numbers of its gauge.
func measured(delay time.Duration, judge func(*gauge) error, bound ...string) (*Attack, error) {
	g := &gauge{}
	r, err := wrapped(func(h http.Handler) http.Handler { return g.wrap(delayed(h, delay)) })
	if err != nil {
		return nil, err
	}
	args := append([]string{"run", r.URL, "--timeout", "3s"}, bound...)
	return &Attack{Args: args, Close: r.Close, Judge: func(o Outcome) error {
		if g.all.Load() < 20 {
			return errors.New("the run sent next to nothing")
		}
		return errors.Join(judge(g), reported(o))
	}}, nil
}

func delayed(h http.Handler, by time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(by)
		h.ServeHTTP(w, r)
	})
}

func rate() (*Attack, error) {
	return measured(0, func(g *gauge) error {
		if n := g.busiest(); n > 60 { // half of them for arrivals that a busy machine delays; without the limit there are hundreds
			return fmt.Errorf("%d requests in a second, where 40 were allowed", n)
		}
		return nil
	}, "--rate", "40")
}

func concurrency() (*Attack, error) {
	return measured(50*time.Millisecond, func(g *gauge) error {
		if n := g.most.Load(); n > 6 { // half of them for streams whose end the server learns late; without the limit there are 16
			return fmt.Errorf("%d requests at once, where 3 were allowed", n)
		}
		return nil
	}, "--concurrency", "3")
}

func budget() (*Attack, error) {
	var all atomic.Int64
	r, err := wrapped(func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.Method != http.MethodDelete { // the tool deletes its registrations anyway
				all.Add(1)
			}
			h.ServeHTTP(w, req)
		})
	})
	if err != nil {
		return nil, err
	}
	return &Attack{Args: []string{"run", r.URL, "--max-requests", "50", "--timeout", "8s"}, Close: r.Close, Judge: func(o Outcome) error {
		if n := all.Load(); n > 50 {
			return fmt.Errorf("%d requests, where 50 were allowed", n)
		}
		return notGreen(o)
	}}, nil
}

// sideEffects lists tools that are annotated as read-only and tools that are not. The target file declares none of them. A run may call the
// former with tokens that must be refused; any other call has an effect that the user did not allow.
func sideEffects() (*Attack, error) {
	var refused, ran, undeclared atomic.Int64
	r, err := wrapped(func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			body, _ := io.ReadAll(io.LimitReader(req.Body, 1<<20))
			req.Body = io.NopCloser(strings.NewReader(string(body)))
			tool := calledTool(body)
			if tool == nil {
				h.ServeHTTP(w, req)
				return
			}
			answer := &statusWriter{ResponseWriter: w}
			h.ServeHTTP(answer, req)
			switch {
			case !tool.TellsCaller: // the reference annotates only such tools as read-only
				undeclared.Add(1)
			case answer.status == http.StatusUnauthorized || answer.status == http.StatusForbidden:
				refused.Add(1)
			default:
				ran.Add(1)
			}
		})
	})
	if err != nil {
		return nil, err
	}
	args, env := signedIn(r, "--only", "AS-DCR-*", "--only", "RS-*")
	return &Attack{Args: args, Environment: env, Close: r.Close, Judge: func(o Outcome) error {
		switch {
		case undeclared.Load() > 0:
			return fmt.Errorf("%d calls of tools that nobody declared and that do not say to be read-only", undeclared.Load())
		case ran.Load() > 0:
			return fmt.Errorf("%d calls of a tool that nobody declared with a token that is accepted", ran.Load())
		case r.IDP.Clients() > 0:
			return fmt.Errorf("%d clients were not deleted", r.IDP.Clients())
		case o.Code == 1:
			return fmt.Errorf("findings at a server that is right: %.300s", o.Stderr)
		}
		return errors.Join(unsprung(refused.Load()), reported(o))
	}}, nil
}

var callsTool = regexp.MustCompile(`"method"\s*:\s*"tools/call"`)

// calledTool returns the tool that a message calls; nil if it calls none. If a body names two, it returns the one that is not read-only.
func calledTool(body []byte) (called *mcpserver.Tool) {
	if !callsTool.Match(body) {
		return nil
	}
	for i := range mcpserver.Tools {
		t := &mcpserver.Tools[i]
		if strings.Contains(string(body), `"`+t.Name+`"`) && (called == nil || called.TellsCaller) {
			called = t
		}
	}
	return called
}

// statusWriter records the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// speaks makes the server put a text into every string that the tool shows.
func speaks(text string) (*reference.Reference, error) {
	return bend(func(o *reference.Options) {
		p, b := &o.Policy, &o.Behaviour
		p.Challenge = func(_, _ string) []string {
			safe := strings.Map(func(c rune) rune {
				if c < ' ' && c != '\t' || c == 0x7f {
					return '?'
				}
				return c
			}, text)
			return []string{`Bearer realm="` + strings.ReplaceAll(strings.ReplaceAll(safe, `\`, `\\`), `"`, `\"`) + `", error="` +
				strings.ReplaceAll(strings.ReplaceAll(safe, `\`, `\\`), `"`, `\"`) + `"`}
		}
		p.PRM = func(_ string, doc map[string]any) {
			doc["resource"], doc["resource_name"], doc["scopes_supported"] = text, text, []string{text}
			doc[text] = text
		}
		b.Metadata = func(_ string, doc map[string]any) {
			doc["scopes_supported"], doc["op_policy_uri"], doc["service_documentation"] = []string{text}, text, text
			doc[text] = text
		}
		p.Status = http.StatusPaymentRequired
		p.Capabilities = map[string]any{text: text}
	})
}

const nasty = "\x1b[2J\x1b]0;pwned\x07\n::error::pwned\n##vso[task.complete]\n##teamcity[x]\n\u202egnp.exe\u200b\u2066\x00\x9b31m" +
	"\u009b31m%0A::set-output name=x::y\n  ::warning::pwned and ##vso[task.setvariable]x ##[error]x" +
	" " + "\u00a0::error::pwned ::error::by ::error::a ::error::break ::error::of ::error::the ::error::line"

func controlCharacters() (*Attack, error) {
	r, err := speaks(nasty)
	if err != nil {
		return nil, err
	}
	return &Attack{Args: []string{"run", r.URL, "--verbose", "--timeout", "8s"}, Close: r.Close, Judge: func(o Outcome) error {
		if err := inert(o); err != nil {
			return err
		}
		return notGreen(o)
	}}, nil
}

var (
	// workflowCommand is a command that GitHub reads at the beginning of a line, after white space.
	workflowCommand = regexp.MustCompile(`(?m)^[\s\pZ]*::.*::`)
	// agentCommand is a command that Azure Pipelines, GitHub or TeamCity reads anywhere in a line.
	agentCommand = regexp.MustCompile(`##[A-Za-z]*\[`)
)

// inert returns an error if an output contains something that a terminal or a CI system acts on.
func inert(o Outcome) error {
	texts := map[string]string{"standard error": o.Stderr, "standard output": o.Stdout}
	for name, text := range o.Reports {
		texts["the "+name+" report"] = text
	}
	for where, text := range texts {
		if i := strings.IndexFunc(text, func(c rune) bool {
			return c < ' ' && c != '\n' && c != '\t' || c >= 0x7f && c < 0xa0 || c == 0xad || c == 0x61c || c == 0x200e || c == 0x200f ||
				c >= 0x2028 && c <= 0x202e || c >= 0x2060 && c <= 0x206f || c == 0xfeff
		}); i >= 0 {
			return fmt.Errorf("%s holds the character %q", where, text[i:min(len(text), i+4)])
		}
		if command := workflowCommand.FindString(text) + agentCommand.FindString(text); command != "" {
			return fmt.Errorf("%s holds the command %.100q", where, command)
		}
	}
	return nil
}

// byHand returns the arguments of a run in which a person signs in.
func byHand(r *reference.Reference, callback string) []string {
	return []string{"run", r.URL, "--login", "manual", "--client-id", "somebody", "--redirect-uri", callback, "--timeout", "20s", "--only",
		"RS-CHALLENGE-401-STATUS"}
}

// handErrors answers a login by hand, at the redirect or at the token endpoint, with errors that attack the terminal.
func handErrors(answer string) (*Attack, error) {
	callback, release, err := freeCallback()
	if err != nil {
		return nil, err
	}
	var answered, redeemed atomic.Int64
	r, err := wrapped(func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.URL.Path != "/token" {
				h.ServeHTTP(w, req)
				return
			}
			redeemed.Add(1)
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			_ = json.NewEncoder(w).Encode(map[string]string{"error": nasty, "error_description": nasty}) // strings always marshal
		})
	})
	if err != nil {
		release()
		return nil, err
	}
	return &Attack{Args: byHand(r, callback), Close: func() { r.Close(); release() }, After: func(p Process) {
		if signIn(p, callback, answer+"&iss="+url.QueryEscape(r.IDP.Issuer)) {
			answered.Add(1)
		}
	}, Judge: func(o Outcome) error {
		reached := &answered
		if strings.HasPrefix(answer, "code=") {
			reached = &redeemed
		}
		return errors.Join(unsprung(reached.Load()), inert(o), reported(o))
	}}, nil
}

// signIn sends the answer of a person's browser once the program has printed the address, and reports whether it could.
func signIn(p Process, callback, answer string) bool {
	state := regexp.MustCompile(`[?&]state=([^&\s]+)`)
	var said []string
	if !soon(func() bool { said = state.FindStringSubmatch(p.Said()); return said != nil }) {
		return false
	}
	resp, err := http.Get(callback + "?" + answer + "&state=" + said[1])
	if err == nil {
		_ = resp.Body.Close()
	}
	return err == nil
}

// mixUp answers a login by hand with the code of another authorization server, to which the first one redirects.
func mixUp() (*Attack, error) {
	callback, release, err := freeCallback()
	if err != nil {
		return nil, err
	}
	var answered, redeemed atomic.Int64
	r, err := wrapped(func(h http.Handler) http.Handler { return counted(h, "/token", &redeemed) })
	if err != nil {
		release()
		return nil, err
	}
	return &Attack{Args: byHand(r, callback), Close: func() { r.Close(); release() }, After: func(p Process) {
		if signIn(p, callback, "code=honest-code-of-another&iss=https%3A%2F%2Fhonest.example") {
			answered.Add(1)
		}
	}, Judge: func(o Outcome) error {
		if n := redeemed.Load(); n > 0 {
			return fmt.Errorf("%d codes of another authorization server were sent to the token endpoint", n)
		}
		return errors.Join(unsprung(answered.Load()), notGreen(o))
	}}, nil
}

// counted counts the requests for a path.
func counted(h http.Handler, path string, n *atomic.Int64) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == path {
			n.Add(1)
		}
		h.ServeHTTP(w, req)
	})
}

// unseen are characters that act on a terminal though lenient parsers accept them in a URL.
const unseen = "?x=\u009b2J\u202e\u2066\u200b"

// handEndpoint names an authorization endpoint whose URL attacks the terminal when the notice of a login by hand shows it.
func handEndpoint() (*Attack, error) {
	callback, release, err := freeCallback()
	if err != nil {
		return nil, err
	}
	var named atomic.Int64
	r, err := bend(func(o *reference.Options) {
		o.Behaviour.Metadata = func(_ string, doc map[string]any) {
			named.Add(1)
			doc["authorization_endpoint"] = fmt.Sprint(doc["authorization_endpoint"]) + unseen
		}
	})
	if err != nil {
		release()
		return nil, err
	}
	return &Attack{Args: byHand(r, callback), Close: func() { r.Close(); release() }, Judge: func(o Outcome) error {
		if strings.Contains(o.Stderr, "sign in with a browser at") {
			return errors.New("a person is told to open it")
		}
		return errors.Join(unsprung(named.Load()), inert(o), reported(o))
	}}, nil
}

// endlessPush answers pushed requests with half a megabyte.
func endlessPush(h http.Handler, pushed *atomic.Int64) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path != "/par" {
			h.ServeHTTP(w, req)
			return
		}
		pushed.Add(1)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"request_uri":"urn:`+strings.Repeat("x", 500<<10)+`","expires_in":90}`) // the client may have left
	})
}

// giantAddress answers a pushed request so that the address for the person to open has half a megabyte.
func giantAddress() (*Attack, error) {
	callback, release, err := freeCallback()
	if err != nil {
		return nil, err
	}
	var pushed atomic.Int64
	r, err := wrapped(func(h http.Handler) http.Handler { return endlessPush(h, &pushed) }, func(o *reference.Options) {
		o.Behaviour.Metadata = func(_ string, doc map[string]any) {
			doc["require_pushed_authorization_requests"] = true
			doc["pushed_authorization_request_endpoint"] = origin(fmt.Sprint(doc["token_endpoint"])) + "/par"
		}
	})
	if err != nil {
		release()
		return nil, err
	}
	return &Attack{Args: byHand(r, callback), Close: func() { r.Close(); release() }, Judge: func(o Outcome) error {
		if strings.Contains(o.Stderr, "sign in with a browser at") {
			return errors.New("a person is told to open it")
		}
		return errors.Join(unsprung(pushed.Load()), inert(o))
	}}, nil
}

const payload = `</script><script>alert(1)</script><img src=http://attacker.example/x onerror=alert(1)>![x](http://attacker.example/y)` +
	`[z](javascript:alert(1))]]><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>&e;` + "`|${{ secrets.X }}"

var acts = regexp.MustCompile(`(?i)<(img|iframe|link|object|embed|form|base|meta\s+http-equiv="refresh)[^>]*attacker` +
	`|<[a-z]+[^<>]*\son[a-z]+\s*=`)

func markup() (*Attack, error) {
	r, err := speaks(payload)
	if err != nil {
		return nil, err
	}
	return &Attack{Args: []string{"run", r.URL, "--timeout", "8s"}, Close: r.Close, Judge: func(o Outcome) error {
		page := o.Reports["html"]
		if strings.Count(page, "<script") != 1 || acts.MatchString(page) {
			return errors.New("the page holds an element of the target")
		}
		md := outsideCode(o.Reports["markdown"])
		if strings.Contains(md, "![x](http") || strings.Contains(md, "<img") || strings.Contains(md, "[z](javascript:") {
			return errors.New("the summary holds markup of the target")
		}
		for dec := xml.NewDecoder(strings.NewReader(o.Reports["junit"])); ; {
			if _, err := dec.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return fmt.Errorf("the JUnit report: %w", err)
			}
		}
		for _, name := range []string{"json", "sarif", "har"} {
			if !json.Valid([]byte(o.Reports[name])) {
				return fmt.Errorf("the %s report is not JSON", name)
			}
		}
		return notGreen(o)
	}}, nil
}

// outsideCode returns a Markdown text without its code spans, whose content is inert.
func outsideCode(md string) string {
	var out strings.Builder
	for md != "" {
		i := strings.IndexByte(md, '`')
		if i < 0 {
			break
		}
		out.WriteString(md[:i])
		fence := md[i:][:len(md[i:])-len(strings.TrimLeft(md[i:], "`"))]
		rest := md[i+len(fence):]
		end := 0
		for { // find the next run of as many backticks
			k := strings.Index(rest[end:], fence)
			if k < 0 {
				return out.String() + rest
			}
			end += k
			run := len(rest[end:]) - len(strings.TrimLeft(rest[end:], "`"))
			if run == len(fence) {
				break
			}
			end += run
		}
		md = rest[end+len(fence):]
	}
	return out.String() + md
}

func paths() (*Attack, error) {
	r, err := speaks("../../../../tmp/mcpauth-escaped/../x\x00.html")
	if err != nil {
		return nil, err
	}
	return &Attack{Args: []string{"run", r.URL, "--timeout", "8s"}, Close: r.Close, Judge: func(o Outcome) error {
		if len(o.Strays) > 0 {
			return fmt.Errorf("files were written that are not reports: %v", o.Strays)
		}
		return notGreen(o)
	}}, nil
}

// secrets makes the server repeat the secrets that it was sent, in several encodings.
func secrets() (*Attack, error) {
	canary := "canary-7Hq2xZ9vLm4KpW8sTfBd"
	var said atomic.Int64
	r, err := wrapped(func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if a := req.Header.Get("Authorization"); strings.Contains(a, canary) && req.Method == http.MethodPost {
				said.Add(1)
				for name, value := range spellings(strings.TrimPrefix(a, "Bearer ")) {
					w.Header().Set("X-Echo-"+name, value)
				}
				w.Header().Set("Content-Type", "application/json")
				// strings always marshal
				body, _ := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1,
					"error": map[string]any{"code": -32000, "message": a, "data": spellings(a)}})
				w.WriteHeader(http.StatusTeapot)
				_, _ = w.Write(body)
				return
			}
			h.ServeHTTP(w, req)
		})
	})
	if err != nil {
		return nil, err
	}
	return &Attack{Args: []string{"run", r.URL, "--token-env", "CANARY", "--verbose", "--timeout", "8s"},
		Environment: []string{"CANARY=" + canary}, Close: r.Close, Judge: func(o Outcome) error {
			all := o.All()
			if strings.Contains(strings.ToLower(all), strings.ToLower(canary)) {
				return errors.New("the token is in an output, in another case")
			}
			for name, value := range spellings(canary) {
				if len(value) > 1 && strings.Contains(all, value) {
					return fmt.Errorf("the token is in an output, %s", name)
				}
			}
			return errors.Join(unsprung(said.Load()), notGreen(o))
		}}, nil
}

// sayingKey repeats a key of the query in all encodings.
func sayingKey(h http.Handler, key string, said *atomic.Int64) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Query().Get("api_key") == key {
			said.Add(1)
			for name, value := range spellings(key) {
				w.Header().Set("X-Echo-"+name, value)
			}
			w.Header().Set("Link", "<"+req.URL.String()+">; rel=self")
		}
		h.ServeHTTP(w, req)
	})
}

// secretInURL returns a target with a key in the query of its URL, which it repeats.
func secretInURL() (*Attack, error) {
	const key = "canary-9Kx2mQ7vTz4LpW8s"
	var said atomic.Int64
	r, err := wrapped(func(h http.Handler) http.Handler { return sayingKey(h, key, &said) })
	if err != nil {
		return nil, err
	}
	args, env := signedIn(r, "--verbose", "--only", "RS-*")
	args[1] += "?tenant=acme&api_key=" + key
	return &Attack{Args: args, Environment: env, Close: r.Close, Judge: func(o Outcome) error {
		all := o.All()
		for name, value := range spellings(key) {
			if i := strings.Index(all, value); i >= 0 && len(value) > 1 {
				return fmt.Errorf("the key is in an output, %s: %.120q", name, all[max(0, i-60):])
			}
		}
		if !strings.Contains(o.Reports["json"], "api_key=redacted-") {
			return errors.New("the report does not name its target")
		}
		if o.Code == 1 {
			return fmt.Errorf("findings at a server that is right: %.300s", o.Stderr)
		}
		return unsprung(said.Load())
	}}, nil
}

// shortSecrets has a user with a short password, which the server repeats in fields of all kinds.
func shortSecrets() (*Attack, error) {
	const short = "k9~zQ"
	var said atomic.Int64
	r, err := wrapped(func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			body, _ := io.ReadAll(io.LimitReader(req.Body, 1<<20))
			req.Body = io.NopCloser(strings.NewReader(string(body)))
			if form, _ := url.ParseQuery(string(body)); form.Get("password") == short {
				said.Add(1)
				w.Header().Set("Password", short)
				w.Header().Set("Link", "<https://as.example/?password="+url.QueryEscape(short)+">; rel=x")
				w.Header().Set("X-Said", `{"password" : "`+short+`", "x": "\"password\":\"`+short+`\""} <input name="password" value="`+short+`">`)
			}
			h.ServeHTTP(w, req)
		})
	}, func(o *reference.Options) {
		alice := idp.Alice
		alice.Password = short
		o.Users = []idp.User{alice}
	})
	if err != nil {
		return nil, err
	}
	args, _ := signedIn(r, "--only", "AS-LOGIN-*", "--only", "AS-TOKEN-SUCCESS-SHAPE", "--verbose")
	return &Attack{Args: args, Environment: []string{"MCPAUTH_PASSWORD=" + short}, Close: r.Close, Judge: func(o Outcome) error {
		if i := strings.Index(o.All(), short); i >= 0 {
			return fmt.Errorf("the password is in an output: %.80q", o.All()[max(0, i-40):])
		}
		return errors.Join(unsprung(said.Load()), reported(o))
	}}, nil
}

func spellings(s string) map[string]string {
	twice := base64.StdEncoding.EncodeToString([]byte(base64.StdEncoding.EncodeToString([]byte(s))))
	percent := strings.ToLower(strings.ReplaceAll(fmt.Sprintf("% X", s), " ", "%"))
	decimal := ""
	for _, c := range s {
		decimal += fmt.Sprintf("&#%d;", c)
	}
	return map[string]string{
		"Base32": strings.TrimRight(base32.StdEncoding.EncodeToString([]byte(s)), "="), "Twice": strings.TrimRight(twice, "="),
		"Percent": "%" + percent, "Html": decimal, "Name-" + s: "1",

		"Raw": s, "Query": url.QueryEscape(s), "Hex": hex.EncodeToString([]byte(s)),
		"Base64":    strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(s)), "="),
		"Base64url": base64.RawURLEncoding.EncodeToString([]byte(s)),
	}
}

func schemes() (*Attack, error) {
	r, err := bend(func(o *reference.Options) {
		o.Behaviour.Metadata = func(_ string, doc map[string]any) {
			doc["authorization_endpoint"], doc["token_endpoint"] = "javascript:alert(document.cookie)", "file:///etc/passwd"
			doc["registration_endpoint"], doc["jwks_uri"] = "gopher://127.0.0.1:25/x", "data:application/json,{}"
		}
	})
	if err != nil {
		return nil, err
	}
	args, env := signedIn(r)
	return &Attack{Args: args, Environment: env, Close: r.Close, Judge: func(o Outcome) error {
		if strings.Contains(o.All(), "root:x:0:0") || strings.Contains(o.Reports["html"], `href="javascript:`) {
			return errors.New("a foreign scheme was used")
		}
		return notGreen(o)
	}}, nil
}

func manyKeys() (*Attack, error) {
	r, err := bend(func(o *reference.Options) {
		o.Behaviour.JWKS = func(doc map[string]any) {
			keys, _ := doc["keys"].([]any)
			for i := range 10_000 {
				keys = append(keys, map[string]any{"kty": "RSA", "kid": fmt.Sprint(i), "n": "AQAB", "e": "AQAB"}) // 25 bytes: all are read
			}
			doc["keys"] = keys
		}
	})
	if err != nil {
		return nil, err
	}
	return &Attack{Args: []string{"run", r.URL, "--timeout", "8s"}, Close: r.Close, Judge: func(o Outcome) error {
		if !strings.Contains(o.Reports["json"], "more than 10000 members") {
			return errors.New("the report does not say that the key set is beyond the bound")
		}
		return errors.Join(unsprung(int64(r.IDP.KeyFetches())), lean(o, 128<<20), notGreen(o))
	}}, nil
}

// cuts are ways to send a body so that the client cannot tell whether it is complete.
var cuts = []func(body string) string{
	func(body string) string { return fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body)+64, body) },
	func(body string) string {
		return fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", len(body), body)
	},
	func(body string) string {
		return fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\nzz\r\n", len(body), body)
	},
	func(body string) string {
		return fmt.Sprintf("Content-Length: %d\r\nContent-Length: %d\r\n\r\n%s", len(body), len(body)+1, body)
	},
}

// cutting sends the answers of a right server, each cut in another way.
func cutting(h http.Handler, turn *atomic.Int64) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		right := httptest.NewRecorder()
		if req.Method != http.MethodGet || !strings.Contains(req.Header.Get("Accept"), "text/event-stream") { // a stream has no end
			h.ServeHTTP(right, req)
		}
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = fmt.Fprintf(buffered, "HTTP/1.1 %d %s\r\n", right.Code, http.StatusText(right.Code))
		right.Header().Del("Content-Length")
		_ = right.Header().Write(buffered)
		_, _ = buffered.WriteString(cuts[int(turn.Add(1))%len(cuts)](right.Body.String()))
		_ = buffered.Flush()
	})
}

// lengths answers correctly but for the lengths of the bodies: a client that accepts them anyway sees many requirements pass.
func lengths() (*Attack, error) {
	var turn atomic.Int64
	r, err := wrapped(func(h http.Handler) http.Handler { return cutting(h, &turn) })
	if err != nil {
		return nil, err
	}
	return &Attack{Args: []string{"run", r.URL, "--timeout", "8s"}, Close: r.Close, Judge: func(o Outcome) error {
		var report struct {
			Results []struct{ ID, Verdict string }
		}
		if err := json.Unmarshal([]byte(o.Reports["json"]), &report); err != nil {
			return err
		}
		for _, r := range report.Results {
			if r.Verdict == "PASS" && !strings.HasPrefix(r.ID, "RS-TRANSPORT-") { // they look at sockets
				return fmt.Errorf("%s passes, where no answer is whole", r.ID)
			}
		}
		return errors.Join(unsprung(turn.Load()), notGreen(o))
	}}, nil
}

// dies answers for a while, and then stops for good.
func dies() (*Attack, error) {
	var n atomic.Int64
	r, err := wrapped(func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if n.Add(1) > 60 {
				panic(http.ErrAbortHandler)
			}
			h.ServeHTTP(w, req)
		})
	})
	if err != nil {
		return nil, err
	}
	return &Attack{Args: []string{"run", r.URL, "--timeout", "8s"}, Close: r.Close, Judge: notGreen}, nil
}

// interrupt interrupts a run once it has registered clients.
func interrupt() (*Attack, error) {
	r, err := bend(func(o *reference.Options) { o.Delay = 200 * time.Millisecond })
	if err != nil {
		return nil, err
	}
	args, env := signedIn(r, "--timeout", "25s")
	return &Attack{Args: args, Environment: env, Close: r.Close, After: func(p Process) {
		soon(func() bool { return r.IDP.Clients() > 0 })
		_ = p.Interrupt() // the run may be over
	}, Judge: func(o Outcome) error {
		if o.Code != 130 || !strings.Contains(o.Reports["json"], `"interrupted": true`) {
			return fmt.Errorf("exit %d, and the report does not say that the run was interrupted", o.Code)
		}
		if n := r.IDP.Clients(); n > 0 {
			return fmt.Errorf("%d clients were not deleted", n)
		}
		return nil
	}}, nil
}

// freeCallback reserves a redirect URI on loopback for the tool. release frees it.
func freeCallback() (callback string, release func(), err error) {
	reserved, err := port.Reserve()
	if err != nil {
		return "", nil, err
	}
	return "http://" + reserved.Address + "/callback", reserved.Release, nil
}

// strangers send their own answers to the listener that waits for a person to sign in.
func strangers() (*Attack, error) {
	callback, release, err := freeCallback()
	if err != nil {
		return nil, err
	}
	var answered, redeemed, taken atomic.Int64
	r, err := wrapped(func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.Method == http.MethodPost && req.URL.Path == "/token" {
				body, _ := io.ReadAll(io.LimitReader(req.Body, 1<<16)) // a part is enough
				if strings.Contains(string(body), "stolen") {
					redeemed.Add(1)
				}
				req.Body = io.NopCloser(strings.NewReader(string(body)))
			}
			h.ServeHTTP(w, req)
		})
	})
	if err != nil {
		release()
		return nil, err
	}
	knock := func(query string) {
		resp, err := http.Get(callback + "?" + query)
		if err != nil {
			return // the listener has not started, or has ended
		}
		_ = resp.Body.Close()
		answered.Add(1)
		if resp.StatusCode < 400 {
			taken.Add(1)
		}
	}
	return &Attack{Args: []string{"run", r.URL, "--login", "manual", "--client-id", "somebody", "--redirect-uri", callback, "--timeout",
		"25s"}, Close: func() { r.Close(); release() }, After: func(p Process) {
		soon(func() bool {
			for _, query := range []string{"code=stolen", "code=stolen&state=", "code=stolen&state=guess&state=guess",
				"error=access_denied&state=guess", "code=stolen&iss=http%3A%2F%2Fattacker.example&state=%00"} {
				knock(query)
			}
			return answered.Load() > 100
		})
		_ = p.Interrupt() // there will be no other answer
	}, Judge: func(o Outcome) error {
		if taken.Load() > 0 || redeemed.Load() > 0 {
			return fmt.Errorf("%d answers of strangers were taken, and %d of their codes redeemed", taken.Load(), redeemed.Load())
		}
		return errors.Join(unsprung(answered.Load()), notGreen(o))
	}}, nil
}

// loginPages opens dialogs, windows and downloads, sends the browser to other schemes, and never ends.
func loginPages() (*Attack, error) {
	trap, err := listen("127.0.0.2:0")
	if err != nil {
		return nil, err
	}
	page := `<!doctype html><title>Sign in</title><script>
alert("a dialog"); confirm("another"); window.onbeforeunload=()=>"stay";
for(let i=0;i<3;i++)window.open("about:blank");
const a=document.createElement("a");a.href=URL.createObjectURL(new Blob(["pwned"]));a.download="pwned.exe";
document.documentElement.append(a);a.click();
location.href="mailto:pwned@attacker.example";
fetch("http://` + trap.Addr().String() + `/steal").catch(()=>{});
new Image().src="file:///etc/passwd";
</script><p>Loading</p>`
	var shown atomic.Int64
	_, args, end, err := public(func(o *reference.Options) {
		o.Behaviour.Pages = "javascript"
		o.Wrap = func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				if req.URL.Path == "/authorize" {
					if strings.Contains(req.UserAgent(), "Chrome") {
						shown.Add(1)
					}
					w.Header().Set("Content-Type", "text/html")
					_, _ = io.WriteString(w, page)
					return
				}
				h.ServeHTTP(w, req)
			})
		}
	})
	if err != nil {
		trap.stop()
		return nil, err
	}
	args = append(args, "--username", "alice", "--login", "browser", "--browser-no-sandbox", "--timeout", "25s", "--only",
		"AS-TOKEN-SUCCESS-SHAPE")
	return &Attack{Args: args, Environment: []string{"MCPAUTH_PASSWORD=" + password}, Close: func() { end(); trap.stop() },
		After: func(p Process) {
			if soon(func() bool { return shown.Load() > 0 }) {
				time.Sleep(4 * time.Second) // time for all actions of the page
			}
			_ = p.Interrupt() // the page never ends
		}, Judge: func(o Outcome) error {
			if strings.Contains(o.All(), password) {
				return errors.New("the password is in an output")
			}
			if n := trap.connections(); n > 0 {
				return fmt.Errorf("the page had %d connections made to another private address", n)
			}
			if len(o.Strays) > 0 {
				return fmt.Errorf("something was downloaded: %v", o.Strays)
			}
			return errors.Join(unsprung(shown.Load()), notGreen(o))
		}}, nil
}

// giantSecrets issues tokens of the maximum length of a header field, then others of half a megabyte, and another cookie of 32 KiB with
// every answer.
func giantSecrets() (*Attack, error) {
	var issued, tokens atomic.Int64
	r, err := wrapped(func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			n := issued.Add(1)
			http.SetCookie(w, &http.Cookie{Name: "visit", Value: strings.Repeat(fmt.Sprintf("%08d", n), 4<<10)})
			h.ServeHTTP(w, req)
		})
	}, func(o *reference.Options) {
		o.Behaviour.AccessToken = func(_, claims map[string]any) {
			size := 45 << 10
			if tokens.Add(1) > 3 {
				size = 400 << 10
			}
			claims["padding"] = strings.Repeat("p", size)
		}
	})
	if err != nil {
		return nil, err
	}
	args, env := signedIn(r)
	return &Attack{Args: args, Environment: env, Close: r.Close, Judge: func(o Outcome) error {
		if o.Code == 0 || o.Reports["json"] == "" {
			return fmt.Errorf("exit %d: %.200s", o.Code, o.Stderr)
		}
		return errors.Join(unsprung(issued.Load()), lean(o, 128<<20), within(o, 20*time.Second))
	}}, nil
}
