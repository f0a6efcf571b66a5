# oidc-provider 9.13.3 as authorization server, the Go SDK's resource server behind it
url=http://127.0.0.1:9310/mcp
install() {
	npm oidc-provider@9.13.3
	(cd interop/gosdk && go build -o "$work/gosdk" .)
}
serve() {
	cp interop/oidc-provider/server.mjs "$work/npm/server.mjs" # which finds its packages beside itself
	node "$work/npm/server.mjs" &
	until curl -s -o /dev/null http://127.0.0.1:9320/jwks; do sleep 0.2; done
	"$work/gosdk" -issuer http://127.0.0.1:9320 -jwks http://127.0.0.1:9320/jwks -scopes "notes:read notes:write"
}
export ALICE_PASSWORD=any-password BOB_PASSWORD=any-password
