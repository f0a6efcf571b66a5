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

// listened is a connection that is read to its end though the server no longer reads: one may answer before it has read the whole
// request, and close the connection. What could not be written is told where no answer comes.
type listened struct {
	net.Conn
	writing   sync.Mutex
	unwritten error
}

// listenedTo returns dialFrom to a server that may answer before it has read the whole request.
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
	_ = l.SetWriteDeadline(time.Now()) // of a write that is under way: the system tells of a reset once, to who writes or to who reads
	l.writing.Lock()
	defer l.writing.Unlock()
	if l.unwritten != nil {
		err = l.unwritten
	}
	return n, err
}

// readAtOnce is what servers read of a request before they look at it, or more.
const readAtOnce = 4 << 10

// endsUnread reports whether the error of an answer that ends with its connection is such an end: a connection that is closed before all
// of a long request has been read is reset (RFC 9112 section 9.6).
func endsUnread(req Request, resp *http.Response, err error) bool {
	size := len(req.URL) + len(req.Body) + len(req.Raw)
	for _, f := range req.Header {
		size += len(f.Name) + len(f.Value)
	}
	withConnection := resp.ProtoMajor == 1 && resp.ContentLength < 0 && len(resp.TransferEncoding) == 0
	return size > readAtOnce && withConnection && isAny(err, resets)
}
