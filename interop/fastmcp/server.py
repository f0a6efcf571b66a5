"""FastMCP in four shapes, on 127.0.0.1: python server.py jwt|secret|static|memory [PORT].

jwt     JWTVerifier with the keys of our fake identity provider (mcpauth serves it: fake_idp in the target file)
secret  JWTVerifier with a shared secret (HS256)
static  StaticTokenVerifier
memory  InMemoryOAuthProvider with dynamic registration and revocation
"""
import sys

from fastmcp import FastMCP
from fastmcp.server.auth import RemoteAuthProvider
from fastmcp.server.auth.providers.in_memory import InMemoryOAuthProvider
from fastmcp.server.auth.providers.jwt import JWTVerifier, StaticTokenVerifier
from fastmcp.server.dependencies import get_access_token
from mcp.server.auth.settings import ClientRegistrationOptions, RevocationOptions

shape = sys.argv[1]
port = int(sys.argv[2]) if len(sys.argv) > 2 else 8900
base = f"http://127.0.0.1:{port}"
issuer = "http://127.0.0.1:9400"

if shape == "jwt":
    auth = RemoteAuthProvider(
        token_verifier=JWTVerifier(jwks_uri=f"{issuer}/jwks", issuer=issuer, audience=f"{base}/mcp", jwks_refresh_interval=1.0),
        authorization_servers=[issuer], base_url=base,
    )
elif shape == "secret":
    auth = JWTVerifier(public_key="a-shared-secret-of-32-characters!", issuer="https://issuer.example", audience="my-mcp-server", algorithm="HS256")
elif shape == "static":
    auth = StaticTokenVerifier(tokens={
        "dev-token-of-alice-0123456789": {"client_id": "alice", "sub": "alice", "scopes": ["notes:read", "notes:write"]},
        "dev-token-of-bob-01234567890": {"client_id": "bob", "sub": "bob", "scopes": ["notes:read"]},
    })
else:
    auth = InMemoryOAuthProvider(
        base_url=base, client_registration_options=ClientRegistrationOptions(enabled=True, valid_scopes=["notes:read", "notes:write"], default_scopes=["notes:read"]),
        revocation_options=RevocationOptions(enabled=True),
    )

mcp = FastMCP("notes", auth=auth)


@mcp.tool
def whoami() -> str:
    """Who is asking."""
    token = get_access_token()
    return str((token.claims or {}).get("sub") or token.client_id) if token else "nobody"


@mcp.tool
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


mcp.run(transport="http", host="127.0.0.1", port=port)
