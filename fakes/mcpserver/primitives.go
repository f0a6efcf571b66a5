package mcpserver

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
)

// Object is an object of alice that tools do not reach, with the declarations of a test.
type Object struct {
	Resource, Prompt string
	Arguments        map[string]string
	Argument, Value  string // the argument to complete
	Private          string // the part of the answer that only alice may see
	ChangedBy        string // the tool that changes it
}

// Objects are alice's objects.
var Objects = []Object{
	{Resource: diary("alice"), Private: "the diary, 2bd806c9", ChangedBy: "write_diary"},
	{Prompt: "summarize", Arguments: map[string]string{"user": "alice"}, Private: "the diary, 2bd806c9"},
	{Resource: "note://{user}/diary", Argument: "user", Value: "al", Private: "alice"},
}

// diary returns the URI of a resource that belongs to a user.
func diary(user string) string { return "note://" + user + "/diary" }

// mark is what is in texts of a user instead of the name, which an answer could repeat.
func mark(user string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(user)))[:8] }

// mayRead reports whether a user may read a resource.
func (s *Server) mayRead(user, uri string) bool {
	return uri == "note://notes/1" || uri == diary(user) || !s.Policy.has(OwnResources) && strings.HasSuffix(uri, "/diary")
}

// ofUser returns a text that only one user may see; ok is false for any other caller.
func (s *Server) ofUser(who *caller, user string) (text string, ok bool) {
	return "the diary, " + mark(user), user != "" && (user == who.user || !s.Policy.has(OwnResources))
}

func (s *Server) prompt(w http.ResponseWriter, m *message, who *caller) {
	name, _ := m.Params["name"].(string)
	arguments, _ := m.Params["arguments"].(map[string]any)
	user, _ := arguments["user"].(string)
	text, ok := s.ofUser(who, user)
	if name != "summarize" || !ok {
		rpcError(w, http.StatusOK, m.ID, -32602, "There is no such prompt")
		return
	}
	rpcResult(w, m.ID, map[string]any{"messages": []any{map[string]any{"role": "user",
		"content": map[string]any{"type": "text", "text": "Summarize " + text}}}})
}

// complete suggests names of users: each user sees only their own.
func (s *Server) complete(w http.ResponseWriter, r *http.Request, m *message, who *caller) {
	argument, _ := m.Params["argument"].(map[string]any)
	begun, _ := argument["value"].(string)
	if !s.Policy.has(SurviveCompletions) {
		s.mu.Lock()
		s.completions++
		crash := s.completions > 100
		s.mu.Unlock()
		if crash {
			http.Error(w, "out of memory", http.StatusInternalServerError)
			return
		}
	}
	if s.Policy.has(LimitCompletion) && s.overLimit("completion "+who.user, mostCompletions) {
		s.tooMany(w, r)
		return
	}
	known := []string{who.user}
	if !s.Policy.has(CompleteOwn) || !s.Policy.has(OwnResources) {
		known = []string{"alice", "bob", "carol"}
	}
	values := []string{}
	for _, name := range known {
		if strings.HasPrefix(name, begun) {
			values = append(values, name)
		}
	}
	rpcResult(w, m.ID, map[string]any{"completion": map[string]any{"values": values, "total": len(values), "hasMore": false}})
}
