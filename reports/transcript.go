package reports

import (
	"fmt"
	"strings"
)

// mostShown bounds a body in text reports, in bytes.
const mostShown = 2 << 10

// Transcript writes an exchange as text. Untrusted lines have a prefix, so that none is a command for a CI system.
func Transcript(e *Exchange) string {
	var b strings.Builder
	fmt.Fprintf(&b, "exchange %d\n", e.Number)
	write := func(prefix, s string) {
		for _, line := range strings.Split(strings.TrimRight(Printable(s), "\n"), "\n") {
			b.WriteString(prefix + line + "\n")
		}
	}
	write("> ", e.Request.Method+" "+e.Request.URL)
	for _, f := range e.Request.Header {
		write("> ", f.Name+": "+f.Value)
	}
	if e.Request.Body != "" {
		write("> ", "\n"+cut(e.Request.Body))
	}
	if r := e.Response; r != nil {
		write("< ", fmt.Sprintf("%s %d", r.Proto, r.Status))
		for _, f := range r.Header {
			write("< ", f.Name+": "+f.Value)
		}
		if r.Body != "" {
			write("< ", "\n"+cut(r.Body))
		}
	}
	if e.Error != "" {
		write("! ", e.Error)
	}
	return b.String()
}

func cut(s string) string {
	if len(s) > mostShown {
		return strings.ToValidUTF8(s[:mostShown], "") + "…"
	}
	return s
}
