# FastMCP 4.1.2: static, see ../fastmcp-jwt/server.py
url=http://127.0.0.1:8900/mcp
venv=$cache/fastmcp
install() { pip fastmcp==4.1.2; } # one for all shapes
serve() { "$venv/bin/python" interop/fastmcp-jwt/server.py static 8900; }
export ALICE_TOKEN=dev-token-of-alice-0123456789 BOB_TOKEN=dev-token-of-bob-01234567890
