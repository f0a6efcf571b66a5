package refresh

import (
	"slices"
	"strings"
	"time"

	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/oauth"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func resources() {
	Must("AS-REFRESH-RESOURCE", func(t *T) {
		s, own := t.Sibling.Apart(), t.Session.Resource
		for about, edit := range Sorted(map[string]Edit{"no resource at refresh": Without("resource"), "the same resource at refresh": With("resource", own)}) {
			tokens := t.AS.MustGetRefreshToken()
			ex := t.AS.Refresh(tokens, edit)
			next := t.AS.Tokens(ex, tokens.Client)
			if next == nil {
				t.Finding(ex, about, "a token for "+own, expect.Describe(ex)+" "+oauth.ErrorCode(ex))
				continue
			}
			before, seen := t.AS.Audience(tokens)
			if audience, _ := t.AS.Audience(next); seen && !slices.Equal(audience, before) {
				t.Finding(ex, about, "the audience kept: "+strings.Join(before, " "), "the audience is "+strings.Join(audience, " "))
			} else if !seen && t.MCP.Served(t.Sibling.Use(s, next.Access)) {
				t.Finding(ex, about, "a token for "+own+" only", "the token is served at "+s.Endpoint)
			}
		}
		tokens := t.AS.MustGetRefreshToken()
		t.Sibling.Within(s, t.AS.Refresh(tokens, With("resource", s.Resource)), tokens.Client, "another resource at refresh", s.Resource)
		tokens = t.AS.MustGetRefreshToken()
		t.Sibling.Within(s, t.AS.Refresh(tokens, With("resource", Attacker)), tokens.Client, "a foreign resource at refresh", Attacker)
	})
}

func idle() {
	Should("AS-REFRESH-EXPIRES", func(t *T) {
		tokens := t.AS.MustGetRefreshToken()
		t.Elapse(30*24*time.Hour + time.Hour)
		ex := t.AS.Refresh(tokens)
		if t.AS.Tokens(ex, tokens.Client) != nil {
			t.Unmet(ex, "a refresh token that ends after 30 days without use", "it works")
			return
		}
		t.RefusedWith(ex, "a refresh token after 30 days without use", "invalid_grant")
	})
}
