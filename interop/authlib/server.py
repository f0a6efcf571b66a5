"""A protected server from the Python SDK's published parts, which asks Authlib about its opaque tokens (RFC 7662)."""
import httpx2 as httpx
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.provider import AccessToken, TokenVerifier
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import MCPServer

issuer = "http://127.0.0.1:9431"
resource = "http://127.0.0.1:9430/mcp"


class Introspection(TokenVerifier):
    async def verify_token(self, token: str) -> AccessToken | None:
        async with httpx.AsyncClient(timeout=5) as client:
            answer = await client.post(issuer + "/introspect", data={"token": token}, auth=("notes", "a-secret-of-the-resource-server"))
        claims = answer.json() if answer.status_code == 200 else {}
        if claims.get("active") is not True or claims.get("aud") != resource:
            return None
        return AccessToken(token=token, client_id=claims["client_id"], scopes=claims["scope"].split(), expires_at=claims["exp"],
                           resource=resource, subject=claims.get("sub"))


mcp = MCPServer("notes", token_verifier=Introspection(),
                auth=AuthSettings(issuer_url=issuer, resource_server_url=resource, required_scopes=["notes:read"]))


@mcp.tool()
def whoami() -> str:
    """Who is asking."""
    token = get_access_token()
    return (token.subject or token.client_id) if token else "nobody"


mcp.run(transport="streamable-http", host="127.0.0.1", port=9430)
