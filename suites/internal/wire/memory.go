package wire

import (
	"fmt"
	"io"
	"unique"

	"github.com/mcpauth/conformance/reports"
)

// A run keeps its exchanges, so that verdicts can show them. The memory is bounded, whatever a target sends: answers are kept completely
// for the checks while there is room, and shortened after the check that requested them.
const (
	ordinary  = 4 << 10  // bytes of an exchange that are not counted: a run has thousands of that size
	easy      = 8 << 20  // counted bytes, up to which 64 KiB of a body are shown; beyond, 2 KiB
	plenty    = 16 << 20 // counted bytes, up to which every answer is kept as far as Limits.Body goes
	tight     = 22 << 20 // counted bytes, up to which 64 KiB of each answer are kept; beyond, 2 KiB
	long      = 64 << 10 // of a body that is too long to read
	atOnce    = 8 << 20  // of long bodies in progress: beyond, each is cut off
	short     = 2 << 10
	longField = 8 << 10 // of a header field
	fields    = 4 << 10 // of all header fields of an answer, if there is not plenty of room
	ofAField  = 64      // overhead of a field in bytes
	sameName  = 2       // fields of a name, and
	names     = 64      // names, that are kept after the judgement
)

// room returns how many bytes of the next body are kept.
func (c *Client) room() int64 {
	switch kept := c.kept.Load(); {
	case kept < plenty:
		return c.opt.Limits.Body
	case kept < tight:
		return min(long, c.opt.Limits.Body)
	}
	return min(short, c.opt.Limits.Body)
}

// sharing reads a long body while there is shared room for all long bodies in progress: dozens may arrive at once.
type sharing struct {
	io.Reader
	client  *Client
	read    int64
	counted int64 // of read, at the client
	cut     bool  // there was not enough room
}

func (s *sharing) Read(p []byte) (int, error) {
	if s.read >= long && s.client.reading.Load() > atOnce {
		s.cut = true
		return 0, io.EOF
	}
	n, err := s.Reader.Read(p)
	if s.read += int64(n); s.read > long {
		s.client.reading.Add(s.read - s.counted)
		s.counted = s.read
	}
	return n, err
}

// end frees the room.
func (s *sharing) end() { s.client.reading.Add(-s.counted) }

// weight returns the additional memory of an exchange beyond an ordinary one, in bytes.
func weight(ex *reports.Exchange) int64 {
	n := len(ex.Request.URL) + len(ex.Request.Body) + len(ex.Error)
	n += size(ex.Request.Header)
	if ex.Response != nil {
		n += len(ex.Response.Body) + size(ex.Response.Header)
	}
	return int64(max(0, n-ordinary))
}

// once returns one shared copy of a short text that many exchanges have, such as a media type. It does not keep the text around it in
// memory.
func once(text string) string {
	if len(text) > 256 {
		return text
	}
	return unique.Make(text).Value()
}

func size(fields []reports.Field) (n int) {
	for _, f := range fields {
		n += len(f.Name) + len(f.Value) + ofAField
	}
	return n
}

// Shorten frees memory: this exchange is no longer judged, and only the beginning of a long body, or of many header fields, is shown.
func (c *Client) Shorten(ex *reports.Exchange) {
	if ex.Response == nil {
		return
	}
	before, keep := weight(ex), long
	if c.kept.Load() > easy {
		keep = short
		ex.Response.Header = fewer(ex.Response.Header)
	}
	if len(ex.Response.Body) > keep {
		ex.Response.Body = reports.Beginning(ex.Response.Body, keep)
	}
	c.kept.Add(weight(ex) - before)
}

// fewer returns the first fields of each name. A last field says how many are omitted.
func fewer(all []reports.Field) []reports.Field {
	if size(all) <= 2*fields {
		return all
	}
	var out []reports.Field
	of := map[string]int{}
	for _, f := range all {
		if of[f.Name]++; of[f.Name] <= sameName && len(of) <= names {
			out = append(out, f)
		}
	}
	if left := len(all) - len(out); left > 0 {
		out = append(out, reports.Field{Name: "Mcpauth-Left-Out", Value: fmt.Sprintf("%d more header fields", left)})
	}
	return out
}

// keptFields returns the header fields of an answer, with only the beginning of very long ones.
func (c *Client) keptFields(all []reports.Field) []reports.Field {
	scarce, n := c.kept.Load() >= plenty, 0
	for i := range all {
		f := &all[i]
		if n += len(f.Name) + len(f.Value); len(f.Value) > 2*longField || scarce && n > fields {
			f.Value = reports.Beginning(f.Value, min(len(f.Value), 256))
		}
	}
	return all
}
