# Spring Authorization Server (Boot 4.0.7) with mcp-authorization-server 0.1.5, Spring AI 2.0.1 with mcp-server-security 0.1.5 behind it
url=http://127.0.0.1:9361/mcp
install() {
	cp -r interop/spring/issuer interop/spring/server "$work/"
	for module in issuer server; do
		[ -f "$work/$module/target/$module.jar" ] || mvn -q -B -DskipTests -f "$work/$module/pom.xml" package || return 1
	done
}
serve() {
	java -Xmx300m -jar "$work/issuer/target/issuer.jar" &
	until curl -s -o /dev/null http://127.0.0.1:9360/.well-known/oauth-authorization-server; do sleep 0.5; done
	java -Xmx300m -jar "$work/server/target/server.jar"
}
export ALICE_PASSWORD=alice-password-1 BOB_PASSWORD=bob-password-1 CAROL_PASSWORD=carol-password-1
patience=120
