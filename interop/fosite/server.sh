# ory/fosite 0.49.0 with its memory store, login and consent pages of a plain program, the Go SDK's resource server behind it, which looks
# tokens up by the library
url=http://127.0.0.1:9440/mcp
install() { (cd interop/fosite && go build -o "$work/server" .); }
serve() { "$work/server"; }
export ALICE_PASSWORD=alice-password-1 BOB_PASSWORD=bob-password-1 CAROL_PASSWORD=carol-password-1
export CLIENT_SECRET=a-secret-of-the-third-client RESOURCE_SECRET=a-secret-of-the-resource-server
