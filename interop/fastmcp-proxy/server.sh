# FastMCP 4.1.2: proxy, see ../fastmcp-jwt/server.py
url=http://127.0.0.1:8900/mcp
venv=$cache/fastmcp
install() { pip fastmcp==4.1.2; } # one for all shapes
serve() { "$venv/bin/python" interop/fastmcp-jwt/server.py proxy 8900; }
export ALICE_PASSWORD=alice-7-looking-glass BOB_PASSWORD=bob-4-rabbit-hole UPSTREAM_SECRET=the-secret-of-the-mcp-server
