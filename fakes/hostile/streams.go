package hostile

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/mcpauth/conformance/fakes/reference"
)

// floods are frames that an HTTP/2 server can send instead of an answer on a stream. Each ends with an error when the client has left.
var floods = []func(f *http2.Framer, stream uint32) error{
	func(f *http2.Framer, stream uint32) error { // a window beyond its limit, at which some clients hang: every run gets it
		return many(20_000, func(int) error { return f.WriteWindowUpdate(stream, 1<<31-1) })
	},
	func(f *http2.Framer, _ uint32) error { // the client has to answer each
		return many(20_000, func(i int) error { return f.WritePing(false, [8]byte{byte(i), byte(i >> 8)}) })
	},
	func(f *http2.Framer, _ uint32) error { // and each of these
		return many(20_000, func(i int) error {
			return f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: uint32(i)})
		})
	},
	func(f *http2.Framer, stream uint32) error { // a header of 16 MiB
		block := []byte(strings.Repeat("\x00\x01a\x01b", 3_000)) // a field a: b, 5 bytes long
		if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block}); err != nil {
			return err
		}
		return many(1_100, func(int) error { return f.WriteContinuation(stream, false, block) })
	},
	func(f *http2.Framer, stream uint32) error { // an endless body of empty frames
		// :status: 200
		if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: []byte{0x88}, EndHeaders: true}); err != nil {
			return err
		}
		return many(50_000, func(int) error { return f.WriteData(stream, false, nil) })
	},
	func(f *http2.Framer, stream uint32) error { // interim responses
		return many(20_000, func(int) error {
			return f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: []byte("\x08\x03103"), EndHeaders: true}) // :status: 103
		})
	},
	func(f *http2.Framer, stream uint32) error { // streams that the client has not requested
		return many(1_000, func(i int) error {
			return f.WritePushPromise(http2.PushPromiseParam{StreamID: stream, PromiseID: uint32(2 * (i + 1)), BlockFragment: []byte{0x82},
				EndHeaders: true})
		})
	},
}

// repeats ask the client to try again: here, or on another connection.
var repeats = []func(f *http2.Framer, stream uint32) error{
	func(f *http2.Framer, stream uint32) error {
		return f.WriteRSTStream(stream, http2.ErrCodeRefusedStream)
	},
	func(f *http2.Framer, _ uint32) error { return f.WriteGoAway(0, http2.ErrCodeNo, nil) },
}

// giantFields answers with a complete header of 300 KB.
func giantFields(f *http2.Framer, stream uint32) error {
	var block bytes.Buffer
	e := hpack.NewEncoder(&block)
	field := func(name, value string) { // never indexed, so that the block is the same on each stream
		_ = e.WriteField(hpack.HeaderField{Name: name, Value: value, Sensitive: true}) // writing to a buffer never fails
	}
	field(":status", "401")
	for i := range 20 {
		field(fmt.Sprintf("%s%d", giantField, i), strings.Repeat("y", 15_000))
	}
	const most = 16_000 // in a frame
	first := block.Next(most)
	if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: first, EndStream: true}); err != nil {
		return err
	}
	for block.Len() > 0 {
		part := block.Next(most)
		if err := f.WriteContinuation(stream, block.Len() == 0, part); err != nil {
			return err
		}
	}
	return nil
}

// giantField begins the names of giant fields.
const giantField = "x-giant-"

// giantStreamHeaders answers with giantFields alone, and expects the client to reject such answers.
func giantStreamHeaders() (*Attack, error) {
	a, err := streams([]func(*http2.Framer, uint32) error{giantFields}, 60)
	if err != nil {
		return nil, err
	}
	judge := a.Judge
	a.Judge = func(o Outcome) error {
		if strings.Contains(strings.ToLower(o.Reports["json"]), giantField) {
			return errors.New("a header of 300 KB is accepted")
		}
		return judge(o)
	}
	return a, nil
}

// silent is the log of servers whose connections fail as they should.
var silent = log.New(io.Discard, "", 0)

func many(n int, write func(i int) error) error {
	for i := range n {
		if err := write(i); err != nil {
			return err
		}
	}
	return nil
}

// streams answers for a while, and then sends HTTP/2 clients only frames, of another kind on each connection. most bounds the client's
// requests, without those that delete its registrations.
func streams(manners []func(*http2.Framer, uint32) error, most int64) (*Attack, error) {
	const ordinary = 40 // requests: the survey, and a few more
	var flooded, requests atomic.Int64
	_, args, end, err := public(func(o *reference.Options) {
		o.Wrap = func(h http.Handler) http.Handler { // by HTTP/1.1
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodDelete {
					requests.Add(1)
				}
				w.Header().Set("Connection", "close")
				h.ServeHTTP(w, r)
			})
		}
		o.TLS = func(c *tls.Config) {
			newer := c.Clone()
			newer.NextProtos = []string{"h2"}
			c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
				if requests.Load() < ordinary {
					return nil, nil // no HTTP/2
				}
				return newer, nil
			}
		}
		o.Server = func(s *http.Server) {
			s.ErrorLog = silent
			s.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){"h2": func(_ *http.Server, conn *tls.Conn, _ http.Handler) {
				_ = conn.SetDeadline(time.Now().Add(time.Second))
				flood(conn, manners[int(flooded.Add(1)-1)%len(manners)], &requests)
				_ = conn.Close()
			}}
		}
	})
	if err != nil {
		return nil, err
	}
	args = append(args, "--timeout", "6s", "--allow-intrusive=false", "--max-requests", fmt.Sprint(most))
	return &Attack{Args: args, Close: end, Judge: func(o Outcome) error {
		if n := requests.Load(); n > most {
			return fmt.Errorf("%d requests, where %d were allowed", n, most)
		}
		if n := flooded.Load(); n < max(1, int64(len(manners))/2) { // the machine decides how many fit into the time
			return fmt.Errorf("only %d connections were answered so", n)
		}
		return errors.Join(within(o, 10*time.Second), lean(o, 128<<20), notGreen(o))
	}}, nil
}

// flood answers each request on a connection in one way, and counts them.
func flood(conn net.Conn, answer func(*http2.Framer, uint32) error, requests *atomic.Int64) {
	preface := make([]byte, len(http2.ClientPreface))
	if _, err := io.ReadFull(conn, preface); err != nil {
		return
	}
	f := http2.NewFramer(conn, conn)
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	if f.WriteSettings() != nil {
		return
	}
	asked := make(chan uint32, 1_000)
	go func() { // read all the time: the client must never block on a write
		defer close(asked)
		for {
			frame, err := f.ReadFrame()
			if err != nil {
				return
			}
			if h, ok := frame.(*http2.MetaHeadersFrame); ok {
				if h.PseudoValue("method") != http.MethodDelete {
					requests.Add(1)
				}
				asked <- h.StreamID
			}
		}
	}()
	for stream := range asked {
		if answer(f, stream) != nil {
			return
		}
	}
}

// otherCertificate changes its certificate during a run, to one that an untrusted authority has signed.
func otherCertificate() (*Attack, error) {
	const host, before = "mcp.example.com", 8
	stranger, err := reference.Stranger(host)
	if err != nil {
		return nil, err
	}
	var handshakes, changed, taken atomic.Int64
	_, args, end, err := public(func(o *reference.Options) {
		o.TLS = func(c *tls.Config) {
			genuine := c.Clone()
			other := &tls.Config{Certificates: []tls.Certificate{stranger}, MaxVersion: tls.VersionTLS12, MinVersion: tls.VersionTLS12}
			c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
				if handshakes.Add(1) <= before {
					return genuine, nil
				}
				changed.Add(1)
				return other, nil
			}
		}
		o.Wrap = func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				if req.TLS != nil && req.TLS.Version == tls.VersionTLS12 {
					taken.Add(1)
				}
				w.Header().Set("Connection", "close") // the next request takes another connection
				h.ServeHTTP(w, req)
			})
		}
	})
	if err != nil {
		return nil, err
	}
	args = append(args, "--username", "alice", "--login", "form", "--i-am-authorized", "--timeout", "8s")
	return &Attack{Args: args, Environment: []string{"MCPAUTH_PASSWORD=" + password}, Close: end, Judge: func(o Outcome) error {
		if n := taken.Load(); n > 0 {
			return fmt.Errorf("%d requests were sent to a server with a certificate that nobody trusts", n)
		}
		return errors.Join(unsprung(changed.Load()), notGreen(o))
	}}, nil
}
