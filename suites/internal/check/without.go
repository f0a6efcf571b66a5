package check

import (
	"slices"
	"strings"
)

// withoutFeature describes each feature for target.without in words, with the needs that cannot be met without it.
var withoutFeature = map[string]struct {
	words string
	needs []string
	// seen, if set, reports whether the target itself shows the feature, or no check could have seen it: the declaration is then ignored.
	seen func(*T) bool
}{
	"api_keys":        {"API keys", []string{"api-key", "api-key-limited", "multi-auth"}, nil},
	"elicitation":     {"tools that elicit", []string{"tool-elicits"}, nil},
	"introspection":   {"validation of opaque tokens by introspection", []string{"fake-introspection"}, nil},
	"jwts":            {"access tokens that are JWTs", []string{"fake-jwt", "fake-jwks", "fake-two-issuers"}, (*T).seesJWT},
	"linked_accounts": {"third-party accounts of its users", []string{"controlled-upstream"}, nil},
	"other_resources": {"other resources under its authorization server", []string{"two-resources"}, nil},
	"second_issuer":   {"a second issuer that it trusts", []string{"fake-two-issuers"}, nil},
	"shared_secret":   {"tokens signed with a shared secret", []string{"hmac-mode"}, nil},
	"static_tokens":   {"static tokens", []string{"static-token", "static-token-2"}, nil},
	"tool_effects":    {"tools whose effect can be read", []string{"tool-effect"}, nil},
	"tool_handles":    {"tools that return handles", []string{"tool-handle"}, nil},
	"tool_scopes":     {"tools that need a scope", []string{"tool-scope", "access-token-narrow", "access-token-broad"}, (*T).seesScopes},
	"upstream_api":    {"tools that call an API", []string{"fake-upstream"}, nil},
	"url_tools":       {"tools that fetch a URL from their arguments", []string{"tool-url"}, nil},
	"user_data":       {"data that belongs to one user", []string{"object-private", "object-owned", "object-changing"}, nil},
	"verify_url":      {"a URL of its own form at which it validates tokens", []string{"fake-verify-url"}, nil},
	"whoami_tools":    {"tools that say who their caller is", []string{"tool-whoami"}, nil},
}

// eitherOf are needs that one of several features meets.
var eitherOf = map[string][]string{
	"static-credential": {"api_keys", "static_tokens"},
	"static-revoked":    {"api_keys", "static_tokens"},
}

// seesJWT reports whether the token in use is a JWT, or no token is known, so that the declaration cannot be checked.
func (t *T) seesJWT() bool { return t.Survey.Token == "" || strings.Count(t.Survey.Token, ".") == 2 }

// seesScopes reports whether the target publishes several scopes, which a server with only one scope would not.
func (t *T) seesScopes() bool {
	d := t.Survey.Resource()
	if d == nil {
		return false
	}
	scopes, _ := d.Object.Strings("scopes_supported")
	return len(scopes) > 1
}

// declaredAbsent returns the features that the owner declares absent and an unmet need requires: by their names in the target file, and in
// words. Both are empty if the server may have one.
func (t *T) declaredAbsent(word string) (features, words string) {
	var names, absent []string
	for f, feature := range Sorted(withoutFeature) {
		if !slices.Contains(feature.needs, word) && !slices.Contains(eitherOf[word], f) || feature.seen != nil && feature.seen(t) {
			continue
		}
		switch {
		case slices.Contains(t.Without, f):
			names, absent = append(names, f), append(absent, feature.words)
		case eitherOf[word] != nil:
			return "", ""
		}
	}
	return strings.Join(names, ", "), strings.Join(absent, " and ")
}
