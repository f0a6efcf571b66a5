# mcp-go 1.2.1 (mark3labs): streamable HTTP transport and protected-resource handler, JWTs verified with golang-jwt and keyfunc
url=http://127.0.0.1:9330/mcp
install() { (cd interop/mcp-go && go build -o "$work/mcp-go" .); }
serve() { "$work/mcp-go"; }
