package flaws

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"

	"github.com/mcpauth/conformance/fakes/answer"
	"github.com/mcpauth/conformance/fakes/idp"
	"github.com/mcpauth/conformance/fakes/reference"
)

// reads makes the authorization endpoint read a changed request.
func reads(change func(q url.Values)) func(o *reference.Options) {
	return wrapping(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if q, err := url.ParseQuery(r.URL.RawQuery); err == nil && atAuthorization(r) {
			change(q)
			r.URL.RawQuery = q.Encode()
		}
		next.ServeHTTP(w, r)
	})
}

// wrapping wraps the authorization server.
func wrapping(serve func(w http.ResponseWriter, r *http.Request, next http.Handler)) func(o *reference.Options) {
	return behaviour(func(b *idp.Behaviour) {
		b.Wrap = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { serve(w, r, next) })
		}
	})
}

func atAuthorization(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/authorize")
}

// authAnswer is an answer of the authorization server before it is sent.
type authAnswer struct{ *answer.Answer }

// params returns the parameters of an answer that redirects to the client; nil for any other answer.
func (a authAnswer) params() url.Values {
	_, query, _ := strings.Cut(a.Fields.Get("Location"), "?")
	q, err := url.ParseQuery(query)
	if err != nil || !q.Has("code") && !q.Has("error") {
		return nil
	}
	return q
}

func (a authAnswer) setParams(q url.Values) {
	to, _, _ := strings.Cut(a.Fields.Get("Location"), "?")
	a.Fields.Set("Location", to+"?"+q.Encode())
}

// requests holds the authorization requests received so far, by the state of an answer and by the transaction of a page.
type requests struct {
	mu   sync.Mutex
	sent map[string]url.Values
}

var transactionField = regexp.MustCompile(`name="transaction" value="([^"]+)"`)

// of returns the authorization request to which an answer belongs, or else the last one received.
func (all *requests) of(r *http.Request, form url.Values, a authAnswer) url.Values {
	all.mu.Lock()
	defer all.mu.Unlock()
	if atAuthorization(r) {
		q := r.URL.Query()
		all.sent["last"] = q
		if q.Has("state") { // an answer without a state does not belong to a request without one
			all.sent["state "+q.Get("state")] = q
		}
		if m := transactionField.FindSubmatch(a.Body.Bytes()); m != nil {
			all.sent["transaction "+string(m[1])] = q
		}
		return q
	}
	for _, key := range []string{"state " + a.params().Get("state"), "transaction " + r.URL.Query().Get("transaction"),
		"transaction " + form.Get("transaction")} {
		if q := all.sent[key]; q != nil {
			return q
		}
	}
	return all.sent["last"]
}

// pageAnswers changes the answers of the pages and of the authorization endpoint. sent is the authorization request to which an answer
// belongs.
func pageAnswers(bend func(r *http.Request, sent url.Values, a authAnswer)) func(o *reference.Options) {
	all := &requests{sent: map[string]url.Values{}}
	return wrapping(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		page := strings.HasSuffix(r.URL.Path, "/login") || strings.HasSuffix(r.URL.Path, "/consent")
		if !page && !strings.HasSuffix(r.URL.Path, "/authorize") {
			next.ServeHTTP(w, r)
			return
		}
		form, _ := url.ParseQuery(string(answer.Peek(r))) // an incomplete form is enough
		a := authAnswer{answer.Of(next, r)}
		bend(r, all.of(r, form, a), a)
		a.Send(w)
	})
}

// toClient changes the parameters of answers to the client.
func toClient(bend func(sent, params url.Values)) func(o *reference.Options) {
	return pageAnswers(func(_ *http.Request, sent url.Values, a authAnswer) {
		if q := a.params(); q != nil {
			bend(sent, q)
			a.setParams(q)
		}
	})
}

// crashes answers an authorization request with a server error.
func crashes(when func(r *http.Request) bool) func(o *reference.Options) {
	return wrapping(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if strings.HasSuffix(r.URL.Path, "/authorize") && when(r) {
			http.Error(w, "internal error", http.StatusInternalServerError)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// all combines several changes. Only one of them may wrap the server.
func all(bends ...func(o *reference.Options)) func(o *reference.Options) {
	return func(o *reference.Options) {
		for _, bend := range bends {
			bend(o)
		}
	}
}
