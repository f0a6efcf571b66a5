# FastMCP 4.1.2: memory, see ../fastmcp-jwt/server.py
url=http://127.0.0.1:8900/mcp
venv=$cache/fastmcp
install() { pip fastmcp==4.1.2; } # one for all shapes
serve() { "$venv/bin/python" interop/fastmcp-jwt/server.py memory 8900; }
export PASSWORD=any-password
