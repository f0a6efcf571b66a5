"""What an owner sets up at Keycloak for an MCP server: registration from this machine, a client for the server, which may ask about
tokens, and the audience of tokens."""
import json
import sys
import urllib.parse
import urllib.request

base = sys.argv[1]
resource = "http://127.0.0.1:8940/mcp"


def ask(method, path, token=None, body=None, form=None):
    data = urllib.parse.urlencode(form).encode() if form else json.dumps(body).encode() if body else None
    headers = {"Content-Type": "application/json"} if body else {}
    if token:
        headers["Authorization"] = "Bearer " + token
    with urllib.request.urlopen(urllib.request.Request(base + path, method=method, data=data, headers=headers)) as answer:
        text = answer.read()
    return json.loads(text) if text else None


admin = {"grant_type": "password", "client_id": "admin-cli", "username": "admin", "password": "admin-password-1"}
token = ask("POST", "/realms/master/protocol/openid-connect/token", form=admin)["access_token"]
realm = "/admin/realms/mcp"
policy = "org.keycloak.services.clientregistration.policy.ClientRegistrationPolicy"
for component in ask("GET", f"{realm}/components?type={policy}", token):
    if component["providerId"] == "trusted-hosts":
        component["config"]["trusted-hosts"] = ["127.0.0.1", "localhost", "[::1]", "client.example"]
        component["config"]["host-sending-registration-request-must-match"] = ["false"]
        ask("PUT", f"{realm}/components/{component['id']}", token, component)
# Keycloak tells about a token only the client that is its audience.
ask("POST", f"{realm}/clients", token, {"clientId": resource, "secret": "the-secret-of-the-mcp-server", "publicClient": False, "standardFlowEnabled": False})
audience = {"included.custom.audience": resource, "access.token.claim": "true", "id.token.claim": "false"}
ask("POST", f"{realm}/client-scopes", token, {
    "name": "mcp-audience", "protocol": "openid-connect",
    "attributes": {"include.in.token.scope": "false", "display.on.consent.screen": "false"},
    "protocolMappers": [{"name": "aud", "protocol": "openid-connect", "protocolMapper": "oidc-audience-mapper", "config": audience}],
})
scope = next(s["id"] for s in ask("GET", f"{realm}/client-scopes", token) if s["name"] == "mcp-audience")
ask("PUT", f"{realm}/default-default-client-scopes/{scope}", token)
