package flaws

import (
	"time"

	"github.com/mcpauth/conformance/fakes/mcpserver"
)

// private are flaws about what belongs to one user: resources, streams, tasks, states, elicitations.
var private = []Flaw{
	own("diaries-of-everybody", "Everybody reads every diary, by whatever way.", func(p *mcpserver.Policy) { p.EverybodysResources = true }, []string{"RS-SCOPE-OTHER-PRIMITIVES"}, "RS-SESSION-SUBSCRIPTION-ACCESS"),
	own("completes-anybody", "Completion suggests the names of all users.", func(p *mcpserver.Policy) { p.CompletesAnybody = true }, []string{"RS-SCOPE-OTHER-PRIMITIVES"}),
	own("watches-anybody", "Everybody may watch every resource.", func(p *mcpserver.Policy) { p.SubscribesAnybody = true }, []string{"RS-SESSION-SUBSCRIPTION-ACCESS"}),
	own("streams-outlive", "A stream lives on when its token has died.", func(p *mcpserver.Policy) { p.StreamsOutlive = true }, []string{"RS-SESSION-STREAM-EXPIRY"}),
	own("one-log-of-events", "Events are counted up in one log for all.", func(p *mcpserver.Policy) { p.GlobalEvents = true }, []string{"RS-SESSION-EVENT-ISOLATION"}),
	own("tasks-of-anybody", "Who knows a task's id may have it.", func(p *mcpserver.Policy) { p.TasksOfAnybody = true }, []string{"RS-SESSION-TASK-OWNERSHIP"}),
	own("tasks-listed", "Everybody sees all tasks.", func(p *mcpserver.Policy) { p.TasksListed = true }, []string{"RS-SESSION-TASK-OWNERSHIP"}),
	own("tasks-counted", "Tasks are counted up.", func(p *mcpserver.Policy) { p.TasksCounted = true }, []string{"RS-SESSION-TASK-OWNERSHIP"}),
	own("state-unsealed", "What the client returns is believed.", func(p *mcpserver.Policy) { p.StateUnsealed = true }, []string{"RS-SESSION-REQUESTSTATE-INTEGRITY"}),
	own("state-of-anybody", "A state may be another user's.", func(p *mcpserver.Policy) { p.StateOfAnybody = true }, []string{"RS-SESSION-REQUESTSTATE-BINDING"}),
	own("state-for-anything", "A state may be that of another request.", func(p *mcpserver.Policy) { p.StateForAnything = true }, []string{"RS-SESSION-REQUESTSTATE-BINDING"}),
	own("state-for-ever", "A state does not expire.", func(p *mcpserver.Policy) { p.StateForEver = true }, []string{"RS-SESSION-REQUESTSTATE-BINDING"}),
	own("state-twice", "A state may be used again.", func(p *mcpserver.Policy) { p.StateTwice = true }, []string{"RS-SESSION-REQUESTSTATE-BINDING"}),
	own("asks-for-a-token", "A form asks for a credential.", func(p *mcpserver.Policy) { p.AsksPassword = true }, []string{"RS-ELICIT-NO-SECRETS-IN-FORM"}),
	own("link-with-token", "The address at which an account is linked has the caller's token.", func(p *mcpserver.Policy) { p.ConnectByToken = true }, []string{"RS-ELICIT-URL-SAFE"}),
	own("asks-strangers-to-sign-in", "Who has no token is asked to sign in by elicitation.", func(p *mcpserver.Policy) { p.ElicitsLogin = true }, []string{"RS-ELICIT-NOT-MCP-AUTH"}, "RS-*"),
	own("old-stream-open", "The old transport's stream opens for anybody.", func(p *mcpserver.Policy) { p.LegacyOpen = true }, []string{"RS-CHALLENGE-LEGACY-SSE"}, "RS-CHALLENGE-SIDE-ROUTES"),
	own("old-session-is-credential", "The old transport's session id is a credential.", func(p *mcpserver.Policy) { p.LegacyBySession = true }, []string{"RS-CHALLENGE-LEGACY-SSE"}, "RS-CHALLENGE-SIDE-ROUTES"),
	own("old-stream-of-anybody", "Any token will do for a message to an old stream.", func(p *mcpserver.Policy) { p.LegacyOfAnybody = true }, []string{"RS-CHALLENGE-LEGACY-SSE"}, "RS-CHALLENGE-SIDE-ROUTES"),
}

func own(name, says string, bend func(p *mcpserver.Policy), noticed []string, also ...string) Flaw {
	return Flaw{name, says, policy(bend), noticed, also}
}

// linking are flaws about accounts that are linked, which only somebody sees who signs in.
var linking = []Flaw{
	own("link-page-knows-the-user", "Who opens the address is taken for the user who was asked.", func(p *mcpserver.Policy) { p.ConnectLoggedIn = true }, []string{"RS-ELICIT-URL-SAFE"}),
	own("account-of-another", "Everybody uses the account that was linked last.", func(p *mcpserver.Policy) { p.LinkedLast = true }, []string{"RS-PASS-UPSTREAM-PER-USER"}, "RS-ELICIT-URL-USER-BOUND"),
	own("linked-by-anybody", "Whoever opens the address links an account.", func(p *mcpserver.Policy) { p.ConnectAnybody = true }, []string{"RS-ELICIT-URL-USER-BOUND"}, "RS-PASS-UPSTREAM-PER-USER"),
}

// remote are flaws about other issuers, endpoints that verify tokens, and comparing secrets.
var remote = []Flaw{
	own("keys-of-all-issuers", "The keys of all issuers are in one set.", func(p *mcpserver.Policy) { p.MergedKeys = true }, []string{"RS-TOKEN-ISS-KEY-BINDING"}, "RS-TOKEN-KEY-CONFUSION"),
	own("verify-status-only", "Of the verify endpoint's answer, the status is read.", func(p *mcpserver.Policy) { p.VerifyByStatus = true }, []string{"RS-TOKEN-REMOTE-VERIFY"}, "RS-TOKEN-*", "RS-CHALLENGE-*", "RS-AUD-*", "RS-STATIC-*", "RS-APIKEY-*", "RS-MULTI-*", "RS-SESSION-*", "RS-ABUSE-*", "RS-ELICIT-*", "RS-PASS-*", "RS-TRANSPORT-*"),
	own("verify-truthy", "Any word in valid will do.", func(p *mcpserver.Policy) { p.VerifyTruthy = true }, []string{"RS-TOKEN-REMOTE-VERIFY"}),
	own("verify-redirected", "A redirect of the verify endpoint is followed.", func(p *mcpserver.Policy) { p.VerifyFollows = true }, []string{"RS-TOKEN-REMOTE-VERIFY"}),
	own("asks-one-by-one", "While introspection hangs, everything waits.", func(p *mcpserver.Policy) { p.AsksOneByOne = true }, []string{"RS-ABUSE-VALIDATION-LATENCY"}),
	own("screens-nothing", "What was said to be refused in arguments is taken.", func(p *mcpserver.Policy) { p.Screens = nil }, []string{"RS-ABUSE-INPUT-SCREENING"}),
	own("screens-raw", "Arguments are screened as they are written.", func(p *mcpserver.Policy) { p.ScreensRaw = true }, []string{"RS-ABUSE-INPUT-SCREENING"}),
	own("screens-honest-text", "Honest words are refused.", func(p *mcpserver.Policy) { p.Screens = append(p.Screens, "select", "../", "drop") }, []string{"RS-ABUSE-INPUT-SCREENING"}),
	own("address-block-forwarded", "The address that is blocked is the one that a header names.", func(p *mcpserver.Policy) {
		p.BlockAfter, p.BlockFor, p.BlockForwarded = 60, 50*time.Millisecond, true
	}, []string{"RS-ABUSE-ADDRESS-BLOCK"}),
	own("compares-bytewise", "Static credentials are compared byte by byte.", func(p *mcpserver.Policy) { p.SlowCompare = true }, []string{"RS-STATIC-TIMING"}),
}
