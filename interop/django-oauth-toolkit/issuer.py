"""django-oauth-toolkit as it comes, in one file: registration is switched on and open to everybody, and the gates that its documentation
recommends are closed. Users sign in with Django's own form. OpenID Connect is off: a client that registered itself has no algorithm for
ID tokens, and its requests with openid end in HTTP 500 at the token endpoint."""
import os
import sys
from wsgiref.simple_server import WSGIServer, make_server
from socketserver import ThreadingMixIn

import django
from django.conf import settings

origin = "http://127.0.0.1:9391"
gates = "IMPLICIT_GRANT PASSWORD_GRANT PKCE_METHOD ACCESS_TOKEN_TRANSPORT AUTHZ_RESPONSE_ISS TOKEN_STORAGE REFRESH_TOKEN".split()

settings.configure(
    SECRET_KEY="only for tests", ALLOWED_HOSTS=["127.0.0.1"], ROOT_URLCONF="issuer", LOGIN_URL="/login/", USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["DATABASE"],
                           "OPTIONS": {"timeout": 20, "transaction_mode": "IMMEDIATE", "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"}}},
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "django.contrib.messages", "oauth2_provider"],
    MIDDLEWARE=["django.middleware.security.SecurityMiddleware", "django.contrib.sessions.middleware.SessionMiddleware",
                "django.middleware.common.CommonMiddleware", "django.middleware.csrf.CsrfViewMiddleware",
                "django.contrib.auth.middleware.AuthenticationMiddleware", "django.contrib.messages.middleware.MessageMiddleware",
                "django.middleware.clickjacking.XFrameOptionsMiddleware"],
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],  # a test makes thousands of hashes
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True, "OPTIONS": {
        "context_processors": ["django.template.context_processors.request", "django.contrib.auth.context_processors.auth",
                               "django.contrib.messages.context_processors.messages"],
        "loaders": [("django.template.loaders.locmem.Loader", {"registration/login.html": """<!doctype html><title>Sign in</title><h1>Sign in</h1>
<form method="post">{% csrf_token %}{{ form.as_p }}<input type="hidden" name="next" value="{{ next }}"><button>Sign in</button></form>"""}),
                    "django.template.loaders.app_directories.Loader"]}}],
    OAUTH2_PROVIDER={
        "SCOPES": {"notes:read": "Read your notes", "notes:write": "Write your notes"}, "DEFAULT_SCOPES": ["notes:read"],
        "DCR_ENABLED": True, "DCR_REGISTRATION_PERMISSION_CLASSES": ("oauth2_provider.dcr.AllowAllDCRPermission",),
        "REFRESH_TOKEN_REUSE_PROTECTION": True,
        **{"COMPLIANT_BCP_RFC9700_" + gate: True for gate in gates},
    },
)
settings.TEMPLATES[0].pop("APP_DIRS")
django.setup()

from django.contrib.auth.views import LoginView  # noqa: E402
from django.urls import include, path  # noqa: E402

urlpatterns = [path("login/", LoginView.as_view()), path("", include("oauth2_provider.urls", namespace="oauth2_provider"))]


def prepare():
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from oauth2_provider.models import Application

    call_command("migrate", verbosity=0)
    for name in ("alice", "bob", "carol"):
        User.objects.create_user(name, password=os.environ[name.upper() + "_PASSWORD"])
    Application.objects.create(name="resource server", client_id="notes", client_secret="a-secret-of-the-resource-server",
                               client_type="confidential", authorization_grant_type="client-credentials")


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 64


if __name__ == "__main__":
    sys.modules["issuer"] = sys.modules["__main__"]
    from django.core.wsgi import get_wsgi_application

    prepare()
    make_server("127.0.0.1", 9391, get_wsgi_application(), Server).serve_forever()
