package flaws

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/mcpauth/conformance/fakes/mcpserver"
	"github.com/mcpauth/conformance/fakes/reference"
)

// private are flaws of objects that belong to one user: resources, streams, tasks, states, elicitations.
var private = []Flaw{
	{
		Name: "diaries-of-everybody", Says: "Everybody reads every diary, by whatever way.",
		Bend: lacks(mcpserver.OwnResources), Noticed: []string{"RS-SCOPE-OTHER-PRIMITIVES"},
		Also: []string{"RS-SESSION-SUBSCRIPTION-ACCESS"},
	},
	{
		Name: "completes-anybody", Says: "Completion suggests the names of all users.",
		Bend: lacks(mcpserver.CompleteOwn), Noticed: []string{"RS-SCOPE-OTHER-PRIMITIVES"},
	},
	{
		Name: "watches-anybody", Says: "Everybody may watch every resource.",
		Bend: lacks(mcpserver.SubscribeOwn), Noticed: []string{"RS-SESSION-SUBSCRIPTION-ACCESS"},
	},
	{
		Name: "streams-outlive", Says: "A stream stays open after its token has expired.",
		Bend: lacks(mcpserver.StreamsEnd), Noticed: []string{"RS-SESSION-STREAM-EXPIRY"},
	},
	{
		Name: "one-log-of-events", Says: "Events are counted up in one log for all.",
		Bend: lacks(mcpserver.EventsPerStream), Noticed: []string{"RS-SESSION-EVENT-ISOLATION"},
	},
	{
		Name: "tasks-of-anybody", Says: "Who knows a task's id may have it.",
		Rows: []string{
			"tasks/get by another user", "tasks/result by another user", "tasks/update by another user", "tasks/cancel by another user",
		},
		Bend: lacks(mcpserver.TaskOwner), Noticed: []string{"RS-SESSION-TASK-OWNERSHIP"},
	},
	{
		Name: "tasks-listed", Says: "Everybody sees all tasks.",
		Bend: lacks(mcpserver.ListOwnTasks), Noticed: []string{"RS-SESSION-TASK-OWNERSHIP"},
	},
	{
		Name: "tasks-counted", Says: "Tasks are counted up.",
		Bend: lacks(mcpserver.RandomTasks), Noticed: []string{"RS-SESSION-TASK-OWNERSHIP"},
	},
	{
		Name: "state-unsealed", Says: "What the client returns is believed.",
		Bend: lacks(mcpserver.SealState), Noticed: []string{"RS-SESSION-REQUESTSTATE-INTEGRITY"},
	},
	{
		Name: "state-of-anybody", Says: "A state may be another user's.",
		Bend: lacks(mcpserver.StateUser), Noticed: []string{"RS-SESSION-REQUESTSTATE-BINDING"},
	},
	{
		Name: "state-for-anything", Says: "A state may be that of another request.",
		Bend: lacks(mcpserver.StateRequest), Noticed: []string{"RS-SESSION-REQUESTSTATE-BINDING"},
	},
	{
		Name: "state-for-ever", Says: "A state does not expire.",
		Bend: lacks(mcpserver.StateExpires), Noticed: []string{"RS-SESSION-REQUESTSTATE-BINDING"},
	},
	{
		Name: "state-twice", Says: "A state may be used again.",
		Bend: lacks(mcpserver.StateOnce), Noticed: []string{"RS-SESSION-REQUESTSTATE-BINDING"},
	},
	{
		Name: "asks-for-a-token", Says: "A form asks for a credential.",
		Bend: lacks(mcpserver.AskNoPassword), Noticed: []string{"RS-ELICIT-NO-SECRETS-IN-FORM"},
	},
	{
		Name: "link-with-token", Says: "The address at which an account is linked has the caller's token.",
		Bend: lacks(mcpserver.NoTokenInLinks), Noticed: []string{"RS-ELICIT-URL-SAFE"},
	},
	asks("by-title", `asks for password`, "Your account", map[string]any{"type": "string", "title": "Password"}),
	asks("by-description", "asks for api key", "Your account",
		map[string]any{"type": "string", "description": "The API key of your account."}),
	asks("by-message", "asks for access token", "Please enter your access token.", map[string]any{"type": "string"}),
	linkWith("mail", "an e-mail address is in who", "who=alice%40users.example"),
	linkWith("claims", "a JWT with the claim email is in state", "state="+unsigned(`{"email":"alice@users.example"}`)),
	linkWith("password", "the URL has the parameter password", "password=4711"),
	{
		Name: "link-for-strangers", Says: "A tool answers who has no token by a link for signing in.",
		Bend: func(o *reference.Options) {
			o.Wrap = before(func(w http.ResponseWriter, r *http.Request) bool {
				var m struct {
					ID     json.RawMessage
					Method string
				}
				body := peek(r)
				shown := r.Header.Get("Authorization") == "" && json.Unmarshal(body, &m) == nil && m.Method == "tools/call" &&
					bytes.Contains(body, []byte("connect_account"))
				if shown {
					w.Header().Set("Content-Type", "application/json")
					fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":{"resultType":"complete","isError":true,"content":[{"type":"text",`+
						`"text":"Please sign in at https://mcp.example.com/login"}]}}`, m.ID)
				}
				return shown
			})
		},
		Noticed: []string{"RS-ELICIT-NOT-MCP-AUTH"}, Row: "a result with a link", Also: []string{"RS-CHALLENGE-*"},
	},
	{
		Name: "asks-strangers-to-sign-in", Says: "Who has no token is asked to sign in by elicitation.",
		Bend: lacks(mcpserver.NoLoginByElicitation), Noticed: []string{"RS-ELICIT-NOT-MCP-AUTH"},
	},
	{
		Name: "old-stream-open", Says: "The old transport's stream opens for anybody.",
		Bend: lacks(mcpserver.GuardLegacyStream), Noticed: []string{"RS-CHALLENGE-LEGACY-SSE"},
		Also: []string{"RS-CHALLENGE-SIDE-ROUTES"},
	},
	{
		Name: "old-stream-open-late", Says: "The old transport's stream opens for anybody, and is silent for a while.",
		Bend: func(o *reference.Options) {
			lacks(mcpserver.GuardLegacyStream)(o)
			o.Policy.LateEvents = 900 * time.Millisecond
		},
		Noticed: []string{"RS-CHALLENGE-LEGACY-SSE"}, Also: []string{"RS-CHALLENGE-SIDE-ROUTES"},
	},
	{
		Name: "old-session-is-credential", Says: "The old transport's session id is a credential.",
		Bend: lacks(mcpserver.GuardLegacyMessages), Noticed: []string{"RS-CHALLENGE-LEGACY-SSE"},
		Also: []string{"RS-CHALLENGE-SIDE-ROUTES"},
	},
	{
		Name: "old-stream-of-anybody", Says: "Any token will do for a message to an old stream.",
		Bend: lacks(mcpserver.LegacyOwner), Noticed: []string{"RS-CHALLENGE-LEGACY-SSE"}, Also: []string{"RS-CHALLENGE-SIDE-ROUTES"},
	},
	{
		Name: "old-stream-of-anybody-late", Says: "Any token will do for a message to an old stream, which is slow.",
		Bend: func(o *reference.Options) {
			lacks(mcpserver.LegacyOwner)(o)
			o.Policy.LateEvents = 400 * time.Millisecond
		},
		Noticed: []string{"RS-CHALLENGE-LEGACY-SSE"}, Also: []string{"RS-CHALLENGE-SIDE-ROUTES"},
	},
}

// asks returns the flaw of a form with a field that holds a secret.
func asks(name, row, message string, field map[string]any) Flaw {
	return Flaw{
		Name: "asks-for-a-secret-" + name, Says: "A form asks for a credential, as one sees " + strings.ReplaceAll(name, "-", " ") + ".",
		Bend: policy(func(p *mcpserver.Policy) {
			p.Form = func(params map[string]any) {
				params["message"] = message
				params["requestedSchema"] = map[string]any{"type": "object", "properties": map[string]any{"value": field}}
			}
		}),
		Noticed: []string{"RS-ELICIT-NO-SECRETS-IN-FORM"}, Row: row,
	}
}

// linkWith returns the flaw of a link with a parameter that gives something away.
func linkWith(name, row, parameter string) Flaw {
	return Flaw{
		Name: "link-with-" + name, Says: "The address at which an account is linked has " + name + " in it.",
		Bend: policy(func(p *mcpserver.Policy) {
			p.Link = func(address string) string { return address + "?" + parameter }
		}),
		Noticed: []string{"RS-ELICIT-URL-SAFE"}, Row: row,
	}
}

// unsigned returns a JWT without a signature.
func unsigned(claims string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256"}`)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims)) +
		".c2ln"
}

// linking are flaws of linked accounts, which only a run that signs in can see.
var linking = []Flaw{
	linkWith("name", "the URL has the name of the user", "of=alice"),
	{
		Name: "link-page-knows-the-user", Says: "Who opens the address is treated as the user who was asked.",
		Bend: lacks(mcpserver.LinkIsNoLogin), Noticed: []string{"RS-ELICIT-URL-SAFE"},
	},
	{
		Name: "account-of-another", Says: "Everybody uses the account that was linked last.",
		Bend: lacks(mcpserver.OwnLinkedAccount), Noticed: []string{"RS-PASS-UPSTREAM-PER-USER"},
		Also: []string{"RS-ELICIT-URL-USER-BOUND"},
	},
	{
		Name: "linked-by-anybody", Says: "Whoever opens the address links an account.",
		Bend: lacks(mcpserver.LinkOwner), Noticed: []string{"RS-ELICIT-URL-USER-BOUND"}, Also: []string{"RS-PASS-UPSTREAM-PER-USER"},
	},
	{
		Name: "link-without-login", Says: "Opening the address links the account, whoever does.",
		Bend:    lacks(mcpserver.LinkNeedsLogin),
		Noticed: []string{"RS-ELICIT-URL-USER-BOUND"}, Also: []string{"RS-ELICIT-*", "RS-PASS-*"},
	},
}

// remote are flaws of other issuers, of endpoints that verify tokens, and of comparing secrets.
var remote = []Flaw{
	{
		Name: "keys-of-all-issuers", Says: "The keys of all issuers are in one set.",
		Bend: lacks(mcpserver.KeysPerIssuer), Noticed: []string{"RS-TOKEN-ISS-KEY-BINDING"}, Also: []string{"RS-TOKEN-KEY-CONFUSION"},
	},
	{
		Name: "verify-status-only", Says: "Of the verify endpoint's answer, the status is read.",
		Bend: lacks(mcpserver.ReadVerification), Noticed: []string{"RS-TOKEN-REMOTE-VERIFY"},
		Also: []string{
			"RS-TOKEN-*", "RS-CHALLENGE-*", "RS-AUD-*", "RS-STATIC-*", "RS-APIKEY-*", "RS-MULTI-*", "RS-SESSION-*", "RS-ABUSE-*",
			"RS-ELICIT-*", "RS-PASS-*", "RS-TRANSPORT-*",
		},
	},
	{
		Name: "verify-truthy", Says: "Any word in valid will do.",
		Bend: lacks(mcpserver.ValidIsTrue), Noticed: []string{"RS-TOKEN-REMOTE-VERIFY"},
	},
	{
		Name: "verify-redirected", Says: "A redirect of the verify endpoint is followed.",
		Bend: lacks(mcpserver.VerifyNoRedirects), Noticed: []string{"RS-TOKEN-REMOTE-VERIFY"},
	},
	{
		Name: "asks-one-by-one", Says: "While introspection hangs, everything waits.",
		Bend: lacks(mcpserver.AskInParallel), Noticed: []string{"RS-ABUSE-VALIDATION-LATENCY"},
	},
	{
		Name: "screens-nothing", Says: "What was said to be refused in arguments is accepted.",
		Bend: policy(func(p *mcpserver.Policy) { p.Screens = nil }), Noticed: []string{"RS-ABUSE-INPUT-SCREENING"},
	},
	{
		Name: "screens-raw", Says: "Arguments are screened as they are written.",
		Bend: lacks(mcpserver.ScreenDecoded), Noticed: []string{"RS-ABUSE-INPUT-SCREENING"},
	},
	{
		Name: "screens-honest-text", Says: "Honest words are refused.",
		Bend:    policy(func(p *mcpserver.Policy) { p.Screens = append(p.Screens, "select", "../", "drop") }),
		Noticed: []string{"RS-ABUSE-INPUT-SCREENING"},
	},
	{
		Name: "address-block-forwarded", Says: "The address that is blocked is the one that a header names.",
		Bend: policy(func(p *mcpserver.Policy) {
			p.BlockAfter, p.BlockFor = 60, time.Second
			p.Lacks = append(p.Lacks, mcpserver.BlockByPeer)
		}),
		Noticed: []string{"RS-ABUSE-ADDRESS-BLOCK"},
	},
	{
		Name: "compares-bytewise", Says: "Static credentials are compared byte by byte.",
		Bend: lacks(mcpserver.ConstantTime), Noticed: []string{"RS-STATIC-TIMING"},
	},
}
