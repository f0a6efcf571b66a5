# Authlib 1.9.6 on Flask 3.1 as authorization server with open registration, the Python SDK 2.3.0 behind it
url=http://127.0.0.1:9430/mcp
install() { pip mcp==2.3.0 authlib==1.9.6 'flask==3.1.*'; }
serve() {
	"$venv/bin/python" interop/authlib/issuer.py &
	until curl -s -o /dev/null http://127.0.0.1:9431/.well-known/oauth-authorization-server; do sleep 0.2; done
	"$venv/bin/python" interop/authlib/server.py
}
export ALICE_PASSWORD=alice-password-1 BOB_PASSWORD=bob-password-1 CAROL_PASSWORD=carol-password-1 AUTHLIB_INSECURE_TRANSPORT=1 RESOURCE_SECRET=a-secret-of-the-resource-server
patience=60
