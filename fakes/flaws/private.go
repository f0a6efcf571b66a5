package flaws

import (
	"time"

	"github.com/mcpauth/conformance/fakes/mcpserver"
)

// private are flaws about what belongs to one user: resources, streams, tasks, states, elicitations.
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
		Name: "streams-outlive", Says: "A stream lives on when its token has died.",
		Bend: lacks(mcpserver.StreamsEnd), Noticed: []string{"RS-SESSION-STREAM-EXPIRY"},
	},
	{
		Name: "one-log-of-events", Says: "Events are counted up in one log for all.",
		Bend: lacks(mcpserver.EventsPerStream), Noticed: []string{"RS-SESSION-EVENT-ISOLATION"},
	},
	{
		Name: "tasks-of-anybody", Says: "Who knows a task's id may have it.",
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
		Name: "old-session-is-credential", Says: "The old transport's session id is a credential.",
		Bend: lacks(mcpserver.GuardLegacyMessages), Noticed: []string{"RS-CHALLENGE-LEGACY-SSE"},
		Also: []string{"RS-CHALLENGE-SIDE-ROUTES"},
	},
	{
		Name: "old-stream-of-anybody", Says: "Any token will do for a message to an old stream.",
		Bend: lacks(mcpserver.LegacyOwner), Noticed: []string{"RS-CHALLENGE-LEGACY-SSE"}, Also: []string{"RS-CHALLENGE-SIDE-ROUTES"},
	},
}

// linking are flaws about accounts that are linked, which only somebody sees who signs in.
var linking = []Flaw{
	{
		Name: "link-page-knows-the-user", Says: "Who opens the address is taken for the user who was asked.",
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
}

// remote are flaws about other issuers, endpoints that verify tokens, and comparing secrets.
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
		Name: "screens-nothing", Says: "What was said to be refused in arguments is taken.",
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
