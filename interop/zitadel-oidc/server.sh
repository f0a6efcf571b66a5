# zitadel/oidc 3.52.0 (op) with its example's storage and login page, the Go SDK's resource server behind it, which introspects
url=http://127.0.0.1:9420/mcp
install() { (cd interop/zitadel-oidc && go build -o "$work/server" .); }
serve() {
	cat >"$work/users.json" <<-USERS
		{"id1": {"ID": "id1", "Username": "alice", "Password": "$ALICE_PASSWORD", "FirstName": "Alice", "Email": "alice@example.test"},
		 "id2": {"ID": "id2", "Username": "bob", "Password": "$BOB_PASSWORD", "FirstName": "Bob", "Email": "bob@example.test"},
		 "id3": {"ID": "id3", "Username": "carol", "Password": "$CAROL_PASSWORD", "FirstName": "Carol", "Email": "carol@example.test"}}
	USERS
	USERS="$work/users.json" "$work/server"
}
export ALICE_PASSWORD=alice-password-1 BOB_PASSWORD=bob-password-1 CAROL_PASSWORD=carol-password-1
export CLIENT_SECRET=a-secret-of-the-third-client RESOURCE_SECRET=a-secret-of-the-resource-server
