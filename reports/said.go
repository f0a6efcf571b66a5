package reports

import (
	"net/url"
	"strings"
)

// Said is a finding in words, in the order of events: what was sent, what came, and what should be instead. Where something was only
// looked at, Sent and Came are what it is and what was found there.
type Said struct {
	Sent, Came, Should string
	Looked             bool
}

// First and Then are the labels of Sent and Came.
func (s Said) First() string {
	if s.Looked {
		return "about"
	}
	return "sent"
}

func (s Said) Then() string {
	if s.Looked {
		return "found"
	}
	return "came"
}

// Said returns a finding in words. A finding without a name for its request has that of its exchange.
func (r *Run) Said(f *Finding) Said {
	s := f.Said()
	ex, ok := r.Exchange(f.Exchange)
	switch {
	case !ok, s.Looked && s.Sent != "":
	case s.Sent == "":
		s.Sent = ex.Request.Method + " " + withoutQuery(ex.Request.URL)
	case s.Sent == ex.Request.URL:
		s.Sent = ex.Request.Method + " " + s.Sent
	}
	return s
}

// Said is Run.Said where the run is not known.
func (f *Finding) Said() Said { return Said{f.About, f.Observed, f.Expected, f.Looked} }

// Reason returns why a verdict is not PASS, where it is a finding with what was sent.
func (r *Run) Reason(res *Result) string {
	for i := range res.Findings {
		f := &res.Findings[i]
		if rest, is := strings.CutPrefix(res.Reason, f.Said().String()); is {
			return r.Said(f).String() + rest
		}
	}
	return res.Reason
}

// withoutQuery returns the path of an address: its host is that of the target, and its query may be long.
func withoutQuery(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Path == "" {
		bare, _, _ := strings.Cut(address, "?")
		return bare
	}
	return u.EscapedPath()
}

// String returns the finding in one line.
func (s Said) String() string {
	out := s.Then() + ": " + s.Came + "; should be: " + s.Should
	if s.Sent != "" {
		out = s.First() + ": " + s.Sent + "; " + out
	}
	return out
}
