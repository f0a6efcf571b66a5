# django-oauth-toolkit 3.4.1 (Django 5.2) as authorization server with open registration, the Python SDK 2.3.0 behind it
url=http://127.0.0.1:9390/mcp
install() { pip mcp==2.3.0 django-oauth-toolkit==3.4.1 'django==5.2.*'; }
serve() {
	rm -f "$work"/issuer.db*
	DATABASE="$work/issuer.db" "$venv/bin/python" interop/django-oauth-toolkit/issuer.py &
	until curl -s -o /dev/null http://127.0.0.1:9391/.well-known/oauth-authorization-server; do sleep 0.2; done
	"$venv/bin/python" interop/django-oauth-toolkit/server.py
}
export ALICE_PASSWORD=alice-password-1 BOB_PASSWORD=bob-password-1 CAROL_PASSWORD=carol-password-1
patience=60
