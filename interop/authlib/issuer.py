"""Authlib's authorization server on Flask, in memory, with open registration: code flow, PKCE, rotated refresh tokens, revocation,
introspection and iss. What Authlib leaves to the program (pages, storage, rules for redirect URIs and scopes) is as plain as it can be."""
import os
import re
import secrets
import threading
import time
from types import SimpleNamespace

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import ClientMixin, TokenMixin, grants, list_to_scope, scope_to_list
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7591 import ClientRegistrationEndpoint
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc7662 import IntrospectionEndpoint
from authlib.oauth2.rfc9207 import IssuerParameter
from flask import Flask, jsonify, redirect, render_template_string, request, session
from markupsafe import Markup

issuer = "http://127.0.0.1:9431"
scopes = ["notes:read", "notes:write"]
users = {name: os.environ[name.upper() + "_PASSWORD"] for name in ("alice", "bob", "carol")}
clients, codes, tokens = {}, {}, []
lock = threading.Lock()

metadata = {
    "issuer": issuer, "authorization_endpoint": issuer + "/authorize", "token_endpoint": issuer + "/token",
    "registration_endpoint": issuer + "/register", "revocation_endpoint": issuer + "/revoke", "introspection_endpoint": issuer + "/introspect",
    "scopes_supported": scopes, "response_types_supported": ["code"], "grant_types_supported": ["authorization_code", "refresh_token"],
    "token_endpoint_auth_methods_supported": ["none", "client_secret_basic", "client_secret_post"],
    "revocation_endpoint_auth_methods_supported": ["none", "client_secret_basic", "client_secret_post"],
    "introspection_endpoint_auth_methods_supported": ["client_secret_basic"],
    "code_challenge_methods_supported": ["S256"], "authorization_response_iss_parameter_supported": True,
}


def anyport(uri):
    """A loopback address may have another port each time (RFC 8252 section 7.3)."""
    return re.sub(r"^http://(127\.0\.0\.1|\[::1\]|localhost)(:\d+)?(?=[/?]|$)", r"http://\1", uri)


class Client(ClientMixin):
    def __init__(self, **fields):
        self.__dict__.update(fields)

    def get_client_id(self): return self.client_id
    def get_default_redirect_uri(self): return self.redirect_uris[0] if len(self.redirect_uris) == 1 else None
    def get_allowed_scope(self, scope): return list_to_scope([s for s in scope_to_list(scope or "notes:read") if s in scopes])
    def check_redirect_uri(self, redirect_uri): return anyport(redirect_uri) in [anyport(uri) for uri in self.redirect_uris]
    def check_client_secret(self, client_secret): return secrets.compare_digest(self.client_secret, client_secret)
    def check_endpoint_auth_method(self, method, endpoint): return method == self.method
    def check_response_type(self, response_type): return response_type in self.response_types
    def check_grant_type(self, grant_type): return grant_type in self.grant_types


class Token(TokenMixin):
    def __init__(self, **fields):
        self.__dict__.update(fields)

    def check_client(self, client): return self.client_id == client.client_id
    def get_scope(self): return self.scope
    def get_expires_in(self): return self.expires_in
    def is_expired(self): return self.issued + self.expires_in < time.time()
    def is_revoked(self): return self.revoked
    def get_user(self): return self.user
    def get_client(self): return clients.get(self.client_id)


def find(value, kind):
    return next((t for t in tokens if getattr(t, kind) == value), None)


class Code(grants.AuthorizationCodeGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = ["none", "client_secret_basic", "client_secret_post"]

    def save_authorization_code(self, code, request):
        data, redirect_uri, scope = request.payload.data, request.payload.redirect_uri, request.scope
        codes[code] = SimpleNamespace(
            code=code, client_id=request.client.client_id, redirect_uri=redirect_uri, scope=scope, user=request.user,
            resource=data.get("resource"), code_challenge=data.get("code_challenge"), code_challenge_method=data.get("code_challenge_method"),
            ends=time.time() + 60, get_redirect_uri=lambda: redirect_uri, get_scope=lambda: scope)

    def query_authorization_code(self, code, client):
        found = codes.get(code)
        return found if found and found.client_id == client.client_id and found.ends > time.time() else None

    def delete_authorization_code(self, authorization_code): codes.pop(authorization_code.code, None)
    def authenticate_user(self, authorization_code): return authorization_code.user


class S256(CodeChallenge):
    SUPPORTED_CODE_CHALLENGE_METHOD = ["S256"]


class Refresh(grants.RefreshTokenGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = ["none", "client_secret_basic", "client_secret_post"]
    INCLUDE_NEW_REFRESH_TOKEN = True

    def authenticate_refresh_token(self, refresh_token):
        found = find(refresh_token, "refresh_token")
        return found if found and not found.revoked and not found.used else None

    def authenticate_user(self, refresh_token): return refresh_token.user
    def revoke_old_credential(self, refresh_token): refresh_token.used = True


class Finding:
    def query_token(self, token_string, token_type_hint):
        return find(token_string, "access_token") or find(token_string, "refresh_token")


class Revocation(Finding, RevocationEndpoint):
    CLIENT_AUTH_METHODS = ["none", "client_secret_basic", "client_secret_post"]

    def revoke_token(self, token, request): token.revoked = True


class Introspection(Finding, IntrospectionEndpoint):
    CLIENT_AUTH_METHODS = ["client_secret_basic"]

    def query_token(self, token_string, token_type_hint): return find(token_string, "access_token")
    def check_permission(self, token, client, request): return client.client_id == "notes"

    def introspect_token(self, token):
        return {"active": True, "client_id": token.client_id, "token_type": "Bearer", "sub": token.user, "scope": token.scope, "iss": issuer,
                "aud": token.resource, "exp": int(token.issued + token.expires_in), "iat": int(token.issued)}


class Registration(ClientRegistrationEndpoint):
    def authenticate_token(self, request): return "anybody"
    def get_server_metadata(self): return metadata

    def save_client(self, client_info, client_metadata, request):
        method = client_metadata.setdefault("token_endpoint_auth_method", "client_secret_basic")
        client = clients[client_info["client_id"]] = Client(
            client_id=client_info["client_id"], client_secret=client_info["client_secret"], method=method, name=client_metadata.get("client_name"),
            redirect_uris=client_metadata.get("redirect_uris", []), grant_types=client_metadata.get("grant_types", ["authorization_code"]),
            response_types=client_metadata.get("response_types", ["code"]))
        return client


class Issuer(IssuerParameter):
    def get_issuer(self): return issuer


def save_token(token, request):
    before = getattr(request, "authorization_code", None) or request.refresh_token
    resource = request.form.get("resource") or before.resource
    tokens.append(Token(client_id=request.client.client_id, user=request.user, resource=resource, issued=time.time(), revoked=False, used=False,
                        access_token=token["access_token"], refresh_token=token.get("refresh_token"), scope=token.get("scope", ""),
                        expires_in=token["expires_in"]))


app = Flask(__name__)
app.secret_key = secrets.token_bytes(32)
app.config.update(OAUTH2_REFRESH_TOKEN_GENERATOR=True, OAUTH2_SCOPES_SUPPORTED=scopes, SESSION_COOKIE_SAMESITE="Lax")
server = AuthorizationServer(app, query_client=clients.get, save_token=save_token)
server.register_grant(Code, [S256(required=True)])
server.register_grant(Refresh)
for endpoint in (Revocation, Introspection, Registration):
    server.register_endpoint(endpoint)
server.register_extension(Issuer())
clients["notes"] = Client(client_id="notes", client_secret="a-secret-of-the-resource-server", method="client_secret_basic", redirect_uris=[],
                          grant_types=[], response_types=[], name="resource server")

form = """<!doctype html><html lang="en"><title>{{ title }}</title><h1>{{ title }}</h1><form method="post">
<input type="hidden" name="csrf_token" value="{{ csrf }}">{{ body }}</form>"""
credentials = Markup("""<label>Username <input name="username" autocomplete="username"></label>
<label>Password <input name="password" type="password"></label><button>Sign in</button>""")


def page(title, body, status=200):
    csrf = session.setdefault("csrf", secrets.token_urlsafe(16))
    return render_template_string(form, title=title, body=body, csrf=csrf), status, {
        "X-Frame-Options": "DENY", "Content-Security-Policy": "frame-ancestors 'none'", "Cache-Control": "no-store"}


@app.route("/authorize", methods=["GET", "POST"])
def authorize():
    if request.method == "POST" and request.form.get("csrf_token") != session.get("csrf"):
        return page("Error", "This form is out of date.", 400)
    if "username" in request.form:
        if not secrets.compare_digest(users.get(request.form["username"], ""), request.form.get("password", "-")):
            return page("Sign in", Markup("<p>Wrong username or password.</p>") + credentials, 401)
        session.clear()
        session["user"] = request.form["username"]
        return redirect(request.full_path, 303)
    user = session.get("user")
    try:
        grant = server.get_consent_grant(end_user=user)
    except OAuth2Error as error:
        return server.handle_error_response(server.create_oauth2_request(None), error)
    if not user:
        return page("Sign in", credentials)
    if request.method == "GET":
        rows = Markup("").join(Markup("<li>{}</li>").format(s) for s in scope_to_list(grant.request.payload.scope or "notes:read"))
        return page("Allow access", Markup("<p>{}, which is at {}, asks for:</p><ul>{}</ul><button name=decision value=allow>Allow</button>"
                                           " <button name=decision value=deny>Deny</button>").format(
            grant.client.name or grant.client.client_id, request.args.get("redirect_uri", ""), rows))
    return server.create_authorization_response(grant_user=user if request.form.get("decision") == "allow" else None, grant=grant)


@app.post("/token")
def token():
    with lock:
        return server.create_token_response()


app.post("/register", endpoint="register")(lambda: server.create_endpoint_response("client_registration"))
app.post("/revoke", endpoint="revoke")(lambda: server.create_endpoint_response("revocation"))
app.post("/introspect", endpoint="introspect")(lambda: server.create_endpoint_response("introspection"))
app.get("/.well-known/oauth-authorization-server", endpoint="metadata")(lambda: jsonify(metadata))
app.run("127.0.0.1", 9431, threaded=True)
