"""FastMCP's KeycloakAuthProvider, on 127.0.0.1:8940, with the realm of realm.json: python server.py."""
from fastmcp import FastMCP
from fastmcp.server.auth.providers.keycloak import KeycloakAuthProvider
from fastmcp.server.dependencies import get_access_token

base = "http://127.0.0.1:8940"
mcp = FastMCP("notes", auth=KeycloakAuthProvider(realm_url="http://127.0.0.1:9340/realms/mcp", base_url=base, audience=f"{base}/mcp"))


@mcp.tool
def whoami() -> str:
    """Who is asking."""
    token = get_access_token()
    return str((token.claims or {}).get("preferred_username") or token.client_id) if token else "nobody"


@mcp.tool
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


mcp.run(transport="http", host="127.0.0.1", port=8940)
