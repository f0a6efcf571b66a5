package wire

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// listened is a connection that is read to its end even if the server stops reading: a server may answer before it has read the whole
// request, and close the connection. A write error counts only without an answer.
type listened struct {
	net.Conn
	writing   sync.Mutex
	unwritten error
}

// listenedTo is dialFrom for a server that may answer before it has read the whole request.
func (c *Client) listenedTo(ctx context.Context, network, address string, from *net.TCPAddr) (net.Conn, error) {
	conn, err := c.dialFrom(ctx, network, address, from)
	if err != nil {
		return nil, err
	}
	return &listened{Conn: conn}, nil
}

func (l *listened) Write(p []byte) (int, error) {
	l.writing.Lock()
	defer l.writing.Unlock()
	if l.unwritten != nil {
		return len(p), nil
	}
	n, err := l.Conn.Write(p)
	if err != nil && isAny(err, resets) {
		l.unwritten = err
		return len(p), nil
	}
	return n, err
}

func (l *listened) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p)
	if !errors.Is(err, io.EOF) {
		return n, err
	}
	_ = l.SetWriteDeadline(time.Now()) // ends a write in progress: the system reports a reset only once, to the writer or to the reader
	l.writing.Lock()
	defer l.writing.Unlock()
	if l.unwritten != nil {
		err = l.unwritten
	}
	return n, err
}

// readAtOnce is at least the part of a request that servers read before they process it.
const readAtOnce = 4 << 10

// endsUnread reports whether an error at the end of an answer means that the server closed the connection before it had read all of a long
// request, which resets it (RFC 9112 section 9.6).
func endsUnread(req Request, resp *http.Response, err error) bool {
	size := len(req.URL) + len(req.Body) + len(req.Raw)
	for _, f := range req.Header {
		size += len(f.Name) + len(f.Value)
	}
	withConnection := resp.ProtoMajor == 1 && resp.ContentLength < 0 && len(resp.TransferEncoding) == 0
	return size > readAtOnce && withConnection && isAny(err, resets)
}
