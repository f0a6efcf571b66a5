# FastMCP 4.1.2: secret, see ../fastmcp-jwt/server.py
url=http://127.0.0.1:8900/mcp
venv=$cache/fastmcp
install() { pip fastmcp==4.1.2; } # one for all shapes
serve() { "$venv/bin/python" interop/fastmcp-jwt/server.py secret 8900; }
export SHARED_SECRET='a-shared-secret-of-32-characters!'
