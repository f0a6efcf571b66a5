"""A protected server from the Python SDK's published parts, in the style of its simple-auth example: tokens are opaque, and an
authorization server elsewhere is asked about them (RFC 7662)."""
import httpx2 as httpx
from mcp.server.auth.provider import AccessToken, TokenVerifier
from mcp.server.auth.settings import AuthSettings
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.mcpserver import MCPServer

resource = "http://127.0.0.1:9340/mcp"


class Introspection(TokenVerifier):
    async def verify_token(self, token: str) -> AccessToken | None:
        async with httpx.AsyncClient(timeout=5) as client:
            try:
                answer = await client.post("http://127.0.0.1:9401/introspect", data={"token": token}, auth=("notes", "a-secret-of-the-resource-server"))
                claims = answer.json() if answer.status_code == 200 else {}
            except (httpx.HTTPError, ValueError):
                return None
        if not isinstance(claims, dict) or claims.get("active") is not True:
            return None
        audience = claims.get("aud")
        if resource not in (audience if isinstance(audience, list) else [audience]):
            return None
        return AccessToken(token=token, client_id=claims.get("client_id", "?"), scopes=(claims.get("scope") or "").split(), expires_at=claims.get("exp"), resource=resource, subject=claims.get("sub"))


mcp = MCPServer("notes", token_verifier=Introspection(), auth=AuthSettings(issuer_url="http://127.0.0.1:9400", resource_server_url=resource, required_scopes=[]))


@mcp.tool()
def whoami() -> str:
    """Who is asking."""
    token = get_access_token()
    return (token.subject or token.client_id) if token else "nobody"


mcp.run(transport="streamable-http", host="127.0.0.1", port=9340)
