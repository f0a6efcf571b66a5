# Keycloak 26.7.3 (its distribution on Maven Central) as authorization server, FastMCP 4.1.2's KeycloakAuthProvider behind it
arguments='--concurrency 4' # a JVM on a small machine: more at once take longer than they save
url=http://127.0.0.1:8940/mcp
venv=$cache/fastmcp
keycloak=$work/keycloak-26.7.3
install() {
	pip fastmcp==4.1.2
	[ -x "$keycloak/bin/kc.sh" ] || (
		cd "$work"
		curl -sSf -o keycloak.zip https://repo1.maven.org/maven2/org/keycloak/keycloak-quarkus-dist/26.7.3/keycloak-quarkus-dist-26.7.3.zip
		python3 -m zipfile -e keycloak.zip . && rm keycloak.zip && chmod +x keycloak-26.7.3/bin/kc.sh
	)
	[ -d "$keycloak/lib/quarkus/built" ] || { "$keycloak/bin/kc.sh" build --db=dev-mem && mkdir "$keycloak/lib/quarkus/built"; }
}
serve() {
	mkdir -p "$keycloak/data/import" && cp interop/keycloak/realm.json "$keycloak/data/import/"
	KC_BOOTSTRAP_ADMIN_USERNAME=admin KC_BOOTSTRAP_ADMIN_PASSWORD=admin-password-1 JAVA_OPTS_KC_HEAP="-Xms64m -Xmx600m" \
		"$keycloak/bin/kc.sh" start --optimized --import-realm --http-enabled=true --http-host=127.0.0.1 --http-port=9340 --hostname=http://127.0.0.1:9340 &
	until curl -sf -o /dev/null http://127.0.0.1:9340/realms/mcp/.well-known/openid-configuration; do sleep 0.5; done
	python3 interop/keycloak/configure.py http://127.0.0.1:9340 && "$venv/bin/python" interop/keycloak/server.py
}
export PASSWORD=alice-password-1 OTHER_PASSWORD=bob-password-1 THIRD_PASSWORD=carol-password-1 RESOURCE_SECRET=the-secret-of-the-mcp-server
patience=240
