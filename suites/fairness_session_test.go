package suites_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/mcpauth/conformance/fakes/answer"
	"github.com/mcpauth/conformance/fakes/mcpserver"
	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites"
	"github.com/mcpauth/conformance/suites/internal/survey"
)

// One check judges the sessions and streams of each MCP server that is right and differs from the reference.
func TestFairnessOfStreams(t *testing.T) {
	t.Parallel()
	expectFairness(t, map[string]fairness{
		"no sessions, and the other HTTP methods of the endpoint": {func(o *reference.Options) { o.Policy.Sessions = false }, nil,
			"RS-CHALLENGE-EVERY-HTTP-METHOD", reports.Pass},
		"failures over responses of the session's own user": {func(o *reference.Options) { o.Wrap = failsOverResponses(false) }, nil,
			"RS-SESSION-NOT-AUTHENTICATION", reports.Pass},
		"failures over responses of everybody": {func(o *reference.Options) { o.Wrap = failsOverResponses(true) }, nil,
			"RS-SESSION-NOT-AUTHENTICATION", reports.Inconclusive},
		"subscriptions are forbidden, without a word":            {forbidsSubscriptions, nil, "RS-SESSION-STREAM-EXPIRY", reports.NotApplicable},
		"one message at a time, from its first byte to its last": {takesTurns, nil, "RS-SESSION-IDENTITY-BLEED", reports.Pass},
		"requests whose connection ends with them are refused, so that none can be halted": {refusesClosing, nil,
			"RS-SESSION-IDENTITY-BLEED", reports.Pass},
		"the stream has no header before its first event, and there is no old transport": {holdsHeader, nil,
			"RS-CHALLENGE-LEGACY-SSE", reports.NotApplicable},
		"neither subscriptions nor logging": {func(o *reference.Options) {
			o.Wrap = answering(isChange, -32601, "Method not found")
		}, nil, "RS-SESSION-BOUND-TO-USER", reports.Pass},
		"another user's change of a session is answered as one of a resource that does not exist": {func(o *reference.Options) {
			o.Policy.SessionShared = func(_ *http.Request, method string) bool { return isSubscription(method) }
			o.Wrap = answeringStrangers
		}, nil, "RS-SESSION-BOUND-TO-USER", reports.Pass},
		"session ids are UUIDs of version 5 for a random name": {namesAtRandom, nil, "RS-SESSION-ID-ENTROPY", reports.Pass},
		"session ids are a hash of a counter and a secret":     {hashesCounterWithSecret, nil, "RS-SESSION-ID-ENTROPY", reports.Pass},
	})
}

func isSubscription(method string) bool {
	return method == "resources/subscribe" || method == "resources/unsubscribe"
}

func isChange(_ *http.Request, method string) bool {
	return isSubscription(method) || method == "logging/setLevel"
}

// answering answers some messages with an error.
func answering(to func(r *http.Request, method string) bool, code int, text string) func(next http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var m struct {
				ID     any
				Method string
			}
			_ = json.Unmarshal(answer.Peek(r), &m) // a message that cannot be read has no method
			if r.Header.Get("Authorization") == "" || !to(r, m.Method) {
				next.ServeHTTP(w, r)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(map[string]any{"jsonrpc": "2.0", "id": m.ID, "error": map[string]any{"code": code, "message": text}})
		})
	}
}

// answeringStrangers tells users who change the subscriptions of other sessions that there is no such resource.
func answeringStrangers(next http.Handler) http.Handler {
	var owners sync.Map // session id -> user
	user := func(r *http.Request) string {
		_, rest, _ := strings.Cut(r.Header.Get("Authorization"), ".")
		payload, _, _ := strings.Cut(rest, ".")
		var claims struct{ Sub string }
		_ = json.Unmarshal([]byte(decoded(payload)), &claims) // another token names nobody
		return claims.Sub
	}
	recording := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r)
		if id := w.Header().Get("Mcp-Session-Id"); id != "" {
			owners.Store(id, user(r))
		}
	})
	return answering(func(r *http.Request, method string) bool {
		owner, known := owners.Load(r.Header.Get("Mcp-Session-Id"))
		return isSubscription(method) && known && owner != user(r)
	}, -32002, "Resource not found")(recording)
}

// namesAtRandom makes UUIDs of a name that is unknown.
func namesAtRandom(o *reference.Options) {
	o.Policy.NewSessionID = func(*http.Request) string {
		sum := sha256.Sum256([]byte(mcpserver.RandomID()))
		text := fmt.Appendf(nil, "%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
		text[14], text[19] = '5', 'a'
		return string(text)
	}
}

// hashesCounterWithSecret makes session ids that nobody can compute without the secret.
func hashesCounterWithSecret(o *reference.Options) {
	secret, counter := mcpserver.RandomID(), new(atomic.Int64)
	o.Policy.NewSessionID = func(*http.Request) string {
		return fmt.Sprintf("%x", sha256.Sum256(fmt.Appendf(nil, "%s%d", secret, counter.Add(1))))
	}
}

// failsOverResponses answers a JSON-RPC response with HTTP 500: to users, or to everybody.
func failsOverResponses(everybody bool) func(next http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(bytes.NewReader(body))
			given := r.Header.Get("Authorization")
			if bytes.Contains(body, []byte(`"result":{}`)) && (everybody || given != "" && given != "Bearer "+survey.BogusToken) {
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// refusesClosing refuses messages with Connection: close.
func refusesClosing(o *reference.Options) {
	o.Wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost && r.Close {
				http.Error(w, "keep the connection", http.StatusBadRequest)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// forbidsSubscriptions refuses subscriptions with HTTP 403 and an empty body.
func forbidsSubscriptions(o *reference.Options) {
	o.Wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			if text := string(body); strings.Contains(text, "resources/subscribe") || strings.Contains(text, "subscriptions/listen") {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			next.ServeHTTP(w, r)
		})
	}
}

// holdsHeader sends no header on a stream before its first event.
func holdsHeader(o *reference.Options) {
	o.Policy.LegacySSE = false
	o.Wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet || r.URL.Path != "/mcp" || r.Header.Get("Authorization") == "" {
				next.ServeHTTP(w, r)
				return
			}
			<-r.Context().Done()
		})
	}
}

// forgetsCompletedTasks knows a task no longer once its result was fetched.
func forgetsCompletedTasks(o *reference.Options) {
	var gone sync.Map
	o.Wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var m struct {
				ID     json.RawMessage
				Method string
				Params struct{ TaskID string }
			}
			if json.Unmarshal(answer.Peek(r), &m) != nil || !strings.HasPrefix(m.Method, "tasks/") {
				next.ServeHTTP(w, r)
				return
			}
			if _, is := gone.Load(m.Params.TaskID); is && r.Header.Get("Authorization") != "" {
				w.Header().Set("Content-Type", "application/json")
				_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":`+string(m.ID)+`,"error":{"code":-32602,"message":"Task not found"}}`)
				return
			}
			a := answer.Of(next, r)
			if m.Method == "tasks/result" && strings.Contains(a.Body.String(), `"content"`) {
				gone.Store(m.Params.TaskID, true)
			}
			a.Send(w)
		})
	}
}

func TestFairnessOfTasks(t *testing.T) {
	t.Parallel()
	onlyStateful := func(c *suites.Config) { c.Revisions = []string{"2025-11-25"} }
	expectFairness(t, map[string]fairness{
		"completed tasks are forgotten": {forgetsCompletedTasks, onlyStateful, "RS-SESSION-TASK-OWNERSHIP", reports.Pass},
	})
}

// takesTurns serves a message when the one before is over, as a program with a single worker does.
func takesTurns(o *reference.Options) {
	var turn sync.Mutex
	o.Wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost && r.URL.Path == "/mcp" {
				turn.Lock()
				defer turn.Unlock()
			}
			next.ServeHTTP(w, r)
		})
	}
}
