"""FastMCP in five shapes, on 127.0.0.1: python server.py jwt|secret|static|memory|proxy [PORT].

jwt     JWTVerifier with the keys of our fake identity provider (mcpauth serves it: fake_idp in the target file)
secret  JWTVerifier with a shared secret (HS256)
static  StaticTokenVerifier
memory  InMemoryOAuthProvider with dynamic registration and revocation
proxy   OAuthProxy before our fake identity provider (upstream in the target file)
"""
import sys

from fastmcp import FastMCP
from fastmcp.server.auth import OAuthProxy, RemoteAuthProvider
from fastmcp.server.auth.providers.in_memory import InMemoryOAuthProvider
from fastmcp.server.auth.providers.jwt import JWTVerifier, StaticTokenVerifier
from fastmcp.server.dependencies import get_access_token
from key_value.aio.stores.memory import MemoryStore
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
elif shape == "proxy":
    upstream = "http://127.0.0.1:9500"
    auth = OAuthProxy(
        upstream_authorization_endpoint=f"{upstream}/authorize", upstream_token_endpoint=f"{upstream}/token",
        upstream_client_id="the-mcp-server", upstream_client_secret="the-secret-of-the-mcp-server", token_endpoint_auth_method="client_secret_basic",
        token_verifier=JWTVerifier(jwks_uri=f"{upstream}/jwks", issuer=upstream, algorithm="ES256"), base_url=base, valid_scopes=["notes:read"],
        client_storage=MemoryStore(), jwt_signing_key="a-signing-key-for-tests-only-0123456789",
    )
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
