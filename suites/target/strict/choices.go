package strict

import "strings"

// named are choices that are too long for a tag, which then has the name: enum:"@methods".
var named = map[string][]string{
	"@methods": {
		"initialize", "server/discover", "ping", "notifications/initialized", "tools/list", "tools/call", "resources/list",
		"resources/templates/list", "resources/read", "prompts/list", "prompts/get", "completion/complete",
		"logging/setLevel",
	},
	"@features": {
		"api_keys", "elicitation", "introspection", "jwts", "linked_accounts", "other_resources",
		"second_issuer", "shared_secret", "static_tokens", "tool_effects", "tool_handles", "tool_scopes",
		"upstream_api", "url_tools", "user_data", "verify_url", "whoami_tools",
	},
}

// Choices returns those of a tag enum.
func Choices(tag string) []string {
	if choices, ok := named[tag]; ok {
		return choices
	}
	return strings.Split(tag, ",")
}
