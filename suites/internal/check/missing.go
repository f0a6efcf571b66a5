package check

// options are what the user can add so that a need is met: a flag, or a part of the target file.
var options = map[string]string{
	"access-token": "--token-env", "access-token-jwt": "--token-env", "caller": "--token-env", "session": "--token-env",

	"login": "--username", "user-credentials": "--username", "revocable-token": "--username",
	"refresh-grant": "--username", "login-or-controlled-upstream": "--username", "proxy": "--username", "token-visible": "--username",
	"userinfo-or-introspection": "--username", "access-token-narrow": "--username", "access-token-broad": "--username",
	"login-2": "--second-username", "access-token-second-user": "--second-username",

	"dcr": "--register", "dcr-mgmt": "--register", "client-fresh": "--register", "client-two-redirects": "--register",
	"client-https-redirect": "--register", "client-loopback": "--register", "client-query-redirect": "--register",
	"client-public": "--register", "client-public-2": "--register", "client-confidential": "--register",
	"client-confidential-or-pkce-optional": "--register", "introspection-creds": "client.clients in the target file",

	"intrusive": "--allow-intrusive", "time": "--max-wait", "clock": "--max-wait", "cimd-host": "--cimd-listen",

	"client-machine": "client.clients in the target file", "client-jwt": "client.clients in the target file",
	"sacrificial-user": "login.users in the target file", "grants-page": "login.grants_page in the target file",
	"id-token-callback": "login.id_token_callback in the target file",

	"static-token": credentials, "static-token-2": credentials, "static-revoked": credentials, "static-credential": credentials,
	"api-key": credentials, "api-key-limited": credentials, "multi-auth": credentials, "declared-limits": credentials, "foreign-token": credentials,

	"tool-whoami": tools, "tool-effect": tools, "object-owned": tools, "tool-free": tools, "tools-matrix": tools, "tool-url": tools,
	"tool-args": tools, "tool-handle": tools, "tool-elicits": tools, "tool-scope": tools, "step-up-auth": tools,
	"object-private": "objects in the target file", "object-changing": "objects in the target file",
	"privileged-scope": "scopes.privileged in the target file", "scopes-2": "scopes.request in the target file",
	"declared-size": "target.body_limit in the target file", "two-resources": "target.other_resource in the target file",

	"fake-jwt": "fake_idp in the target file", "fake-jwks": "fake_idp in the target file", "fake-two-issuers": "second_idp in the target file",
	"fake-introspection": "introspection in the target file", "fake-verify-url": "verify in the target file",
	"fake-upstream": "upstream_api in the target file", "controlled-upstream": "upstream in the target file",
	"controlled-idp": "enterprise in the target file", "controlled-dns": "rebinding in the target file",
	"hmac-mode": "shared_secret in the target file",
}

const (
	credentials = "credentials in the target file"
	tools       = "tools in the target file"
)
