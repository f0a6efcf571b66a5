package flaws

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/mcpauth/conformance/fakes/answer"
	"github.com/mcpauth/conformance/fakes/mcpserver"
	"github.com/mcpauth/conformance/fakes/reference"
)

// private are flaws of objects that belong to one user: resources, streams, tasks, states, elicitations.
var private = []Flaw{
	{
		Name: "diaries-of-everybody", Says: "Every user reads every diary, in each way.",
		Bend: lacks(mcpserver.OwnResources), Noticed: []string{"RS-SCOPE-OTHER-PRIMITIVES"},
		Also: []string{"RS-SESSION-SUBSCRIPTION-ACCESS"},
	},
	{
		Name: "completes-anybody", Says: "Completion suggests the names of all users.",
		Bend: lacks(mcpserver.CompleteOwn), Noticed: []string{"RS-SCOPE-OTHER-PRIMITIVES"},
	},
	{
		Name: "watches-anybody", Says: "Every user may subscribe to every resource.",
		Bend: lacks(mcpserver.SubscribeOwn), Noticed: []string{"RS-SESSION-SUBSCRIPTION-ACCESS"},
	},
	{
		Name: "streams-outlive", Says: "A stream stays open after its token has ended.",
		Bend: lacks(mcpserver.StreamsEnd), Noticed: []string{"RS-SESSION-STREAM-EXPIRY"},
	},
	{
		Name: "streams-outlive-expiry", Says: "A stream stays open after its token has expired.", Row: "the token expires",
		Bend: lacks(mcpserver.StreamsExpire), Noticed: []string{"RS-SESSION-STREAM-EXPIRY"},
	},
	{
		Name: "one-log-of-events", Says: "The events of all users have consecutive ids in one log.",
		Bend: lacks(mcpserver.EventsPerStream), Noticed: []string{"RS-SESSION-EVENT-ISOLATION"},
	},
	{
		Name: "tasks-of-anybody", Says: "A task is returned to every caller who knows its id.",
		Rows: []string{
			"tasks/get by another user", "tasks/result by another user", "tasks/update by another user", "tasks/cancel by another user",
		},
		Bend: lacks(mcpserver.TaskOwner), Noticed: []string{"RS-SESSION-TASK-OWNERSHIP"},
	},
	{
		Name: "tasks-listed-later", Says: "Every user sees all tasks, one on a page.",
		Bend: policy(func(p *mcpserver.Policy) {
			p.Lacks = append(p.Lacks, mcpserver.ListOwnTasks)
			p.Pages = func(method string) int { return map[string]int{"tasks/list": 1}[method] }
		}),
		Noticed: []string{"RS-SESSION-TASK-OWNERSHIP"},
	},
	{
		Name: "tasks-listed", Says: "Every user sees all tasks.",
		Bend: lacks(mcpserver.ListOwnTasks), Noticed: []string{"RS-SESSION-TASK-OWNERSHIP"},
	},
	{
		Name: "tasks-counted", Says: "Ids of tasks are consecutive numbers.",
		Bend: lacks(mcpserver.RandomTasks), Noticed: []string{"RS-SESSION-TASK-OWNERSHIP"},
	},
	{
		Name: "state-unsealed", Says: "The state that the client returns is not verified.",
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
		Name: "link-for-strangers", Says: "Without a token, a tool answers with a link for signing in.",
		Bend: func(o *reference.Options) {
			o.Wrap = before(func(w http.ResponseWriter, r *http.Request) bool {
				var m struct {
					ID     json.RawMessage
					Method string
				}
				body := answer.Peek(r)
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
		Name: "asks-strangers-to-sign-in", Says: "A caller without a token is asked to sign in by elicitation.",
		Bend: lacks(mcpserver.NoLoginByElicitation), Noticed: []string{"RS-ELICIT-NOT-MCP-AUTH"},
	},
	{
		Name: "asks-bad-tokens-to-sign-in", Says: "A caller with a bad token is asked to sign in by elicitation.",
		Row: "connect_account with a bad token", Bend: lacks(mcpserver.NoLoginForBadTokens),
		Noticed: []string{"RS-ELICIT-NOT-MCP-AUTH"}, Also: []string{"RS-CHALLENGE-*", "RS-TOKEN-*"},
	},
	{
		Name: "old-stream-open", Says: "The stream of the old transport opens without a token.",
		Bend: lacks(mcpserver.GuardLegacyStream), Noticed: []string{"RS-CHALLENGE-LEGACY-SSE"},
		Also: []string{"RS-CHALLENGE-SIDE-ROUTES"},
	},
	{
		Name: "old-stream-open-late", Says: "The stream of the old transport opens without a token, and is silent for a while.",
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
		Name: "old-stream-of-anybody", Says: "A message to a stream of the old transport is accepted with any token.",
		Bend: lacks(mcpserver.LegacyOwner), Noticed: []string{"RS-CHALLENGE-LEGACY-SSE"}, Also: []string{"RS-CHALLENGE-SIDE-ROUTES"},
	},
	{
		Name: "old-stream-unnamed", Says: "A message that names no stream of the old transport is answered on those of others.",
		Bend:    lacks(mcpserver.MessagesNameStreams),
		Noticed: []string{"RS-CHALLENGE-LEGACY-SSE"}, Row: "a message without a token that names no stream",
		Rows: []string{"a message with another user's token that names no stream"}, Also: []string{"RS-CHALLENGE-SIDE-ROUTES"},
	},
	{
		Name: "old-stream-of-anybody-late", Says: "A message to a slow stream of the old transport is accepted with any token.",
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
		Name: "link-page-knows-the-user", Says: "The visitor of the address is treated as the user who was asked.",
		Bend: lacks(mcpserver.LinkIsNoLogin), Noticed: []string{"RS-ELICIT-URL-SAFE"},
	},
	{
		Name: "account-of-another", Says: "All users share the account that was linked last.",
		Bend: lacks(mcpserver.OwnLinkedAccount), Noticed: []string{"RS-PASS-UPSTREAM-PER-USER"},
		Also: []string{"RS-ELICIT-URL-USER-BOUND"},
	},
	{
		Name: "linked-by-anybody", Says: "Any visitor of the address links an account.",
		Bend: lacks(mcpserver.LinkOwner), Noticed: []string{"RS-ELICIT-URL-USER-BOUND"}, Also: []string{"RS-PASS-UPSTREAM-PER-USER"},
	},
	{
		Name: "link-without-login", Says: "A visit of the address alone links the account.",
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
		Name: "verify-status-only", Says: "Of the answer of the verification endpoint, only the status is read.",
		Bend: lacks(mcpserver.ReadVerification), Noticed: []string{"RS-TOKEN-REMOTE-VERIFY"},
		Also: []string{
			"RS-TOKEN-*", "RS-CHALLENGE-*", "RS-AUD-*", "RS-STATIC-*", "RS-APIKEY-*", "RS-MULTI-*", "RS-SESSION-*", "RS-ABUSE-*",
			"RS-ELICIT-*", "RS-PASS-*", "RS-TRANSPORT-*",
		},
	},
	{
		Name: "verify-truthy", Says: "Every word in valid is accepted.",
		Bend: lacks(mcpserver.ValidIsTrue), Noticed: []string{"RS-TOKEN-REMOTE-VERIFY"},
	},
	{
		Name: "verify-redirected", Says: "A redirect of the verify endpoint is followed.",
		Bend: lacks(mcpserver.VerifyNoRedirects), Noticed: []string{"RS-TOKEN-REMOTE-VERIFY"},
	},
	{
		Name: "asks-one-by-one", Says: "While introspection hangs, all requests wait.",
		Bend: lacks(mcpserver.AskInParallel), Noticed: []string{"RS-ABUSE-VALIDATION-LATENCY"},
	},
	{
		Name: "screens-nothing", Says: "Arguments are accepted that were declared as refused.",
		Bend: policy(func(p *mcpserver.Policy) { p.Screens = nil }), Noticed: []string{"RS-ABUSE-INPUT-SCREENING"},
	},
	{
		Name: "screens-raw", Says: "Arguments are screened before they are decoded.",
		Bend: lacks(mcpserver.ScreenDecoded), Noticed: []string{"RS-ABUSE-INPUT-SCREENING"},
	},
	{
		Name: "screens-honest-text", Says: "Arguments with ordinary words are refused.",
		Bend:    policy(func(p *mcpserver.Policy) { p.Screens = append(p.Screens, "select", "../", "drop") }),
		Noticed: []string{"RS-ABUSE-INPUT-SCREENING"},
	},
	{
		Name: "address-block-forwarded", Says: "The blocked address is the one in a header field.",
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
