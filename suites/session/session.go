// Package session contains the checks on MCP sessions, whose ids are never credentials.
package session

import (
	. "github.com/mcpauth/conformance/suites/internal/check"
)

// Register registers the area.
func Register() {
	Describe("MCP Security Best Practices: state handles", func() {
		Must("RS-SESSION-HANDLE-OWNERSHIP", checksOwnersOfHandles)
	})
	Describe("MCP Security Best Practices: Session Hijacking", func() {
		Must("RS-SESSION-NOT-AUTHENTICATION", refusesSessionAlone)
		Must("RS-SESSION-STREAM-NEEDS-TOKEN", guardsStreamsAndEnding)
		Must("RS-SESSION-ID-ENTROPY", makesUnguessableIDs)
		Practice("RS-SESSION-FIXATION", choosesItsOwnIDs)
		Practice("RS-SESSION-NOT-BEFORE-AUTH", opensNoSessionForStrangers)
		Should("RS-SESSION-BOUND-TO-USER", bindsSessionToUser)
		Practice("RS-SESSION-TOKEN-RENEWAL", goesOnWithRenewedToken)
		Must("RS-SESSION-SCOPE-PER-REQUEST", judgesScopesByRequest)
	})
	Describe("MCP Transports: Session Management", func() {
		Must("RS-SESSION-ID-CHARSET", usesVisibleASCII)
		Must("RS-SESSION-UNKNOWN-ID", refusesEndedSessions)
		Should("RS-SESSION-HEADER-IGNORED", ignoresSessionIDs)
	})
	Describe("MCP: notifications and their streams", func() {
		Practice("RS-SESSION-STREAM-EXPIRY", endsStreamsWithTheirToken)
		Should("RS-SESSION-SUBSCRIPTION-ACCESS", tellsOnlyWhoMayRead)
		Must("RS-SESSION-EVENT-ISOLATION", replaysOnlyTheirOwnEvents)
	})
	Describe("MCP Tasks: Task Isolation and Access Control", func() {
		Must("RS-SESSION-TASK-OWNERSHIP", bindsTasksToTheirMaker)
	})
	Describe("MCP 2026-07-28: multi round-trip requests", func() {
		Must("RS-SESSION-REQUESTSTATE-INTEGRITY", verifiesRequestState)
		Should("RS-SESSION-REQUESTSTATE-BINDING", bindsRequestState)
	})
	Describe("MCP Transports: requests of several callers at once", func() {
		Must("RS-SESSION-EXPIRY-MIDWAY", verifiesTokensEachTime)
		Must("RS-SESSION-IDENTITY-BLEED", keepsCallersApart)
		Must("RS-SESSION-REQUEST-ID-ISOLATION", keepsRequestIDsApart)
	})
}
