"""Django settings, all read from the environment; docs/reference/settings.md lists them."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

from csp.constants import NONE, SELF

from config import env

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = env.data_folder()

SECRET_KEY = env.secret_key(DATA_DIR)
DEBUG = env.flag("SERINUS_DEBUG", default=False)
ALLOWED_HOSTS = env.words("SERINUS_ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = env.words("SERINUS_CSRF_TRUSTED_ORIGINS")
BASE_URL = env.address("SERINUS_BASE_URL", "http://127.0.0.1:8000")
STATUS_PAGES = env.one_of("SERINUS_STATUS_PAGES", ("open", "login"))
TRUSTED_PROXIES = env.networks("SERINUS_TRUSTED_PROXIES")
WEBHOOK_ALLOW = env.reachable("SERINUS_WEBHOOK_ALLOW")

MAX_BODY_BYTES = env.integer("SERINUS_MAX_BODY_BYTES", 8 * 2**20, least=1024)
MAX_DECOMPRESSED_BYTES = env.integer("SERINUS_MAX_DECOMPRESSED_BYTES", 32 * 2**20, least=1024)
DATA_UPLOAD_MAX_MEMORY_SIZE = MAX_BODY_BYTES  # of a form, which is refused by common.requests.bad_request
API_RATE = env.integer("SERINUS_API_RATE", 1200, least=1)
MAX_SPANS_PER_REQUEST = env.integer("SERINUS_MAX_SPANS_PER_REQUEST", 10_000, least=1)
SCORES_WAIT = env.duration("SERINUS_SCORES_WAIT", "7d")
ALERT_RENOTIFY = env.duration("SERINUS_ALERT_RENOTIFY", "4h")
ALERT_RESOLVE_AFTER = env.duration("SERINUS_ALERT_RESOLVE_AFTER", "15m")
ROLLBACK_COOL_DOWN = env.duration("SERINUS_ROLLBACK_COOL_DOWN", "1h", least="0s")
SPEND_ANOMALY_FLOOR = env.dollars("SERINUS_SPEND_ANOMALY_FLOOR", "5")

STORE_TEXT = env.flag("SERINUS_STORE_TEXT", default=False)
TEXT_SAMPLE_BP = env.share_bp("SERINUS_TEXT_SAMPLE", "5%")
TEXT_LIMIT = env.integer("SERINUS_TEXT_LIMIT", 100_000, least=1)
SCRUB_PATTERNS = env.patterns("SERINUS_SCRUB_PATTERNS")
KEEP_TEXTS = env.duration("SERINUS_KEEP_TEXTS", "14d")
KEEP_CALLS = env.duration("SERINUS_KEEP_CALLS", "90d", least="8d")  # baselines look back seven days
# By its spans a call is found, and known again when it is sent again.
KEEP_SPANS = env.duration("SERINUS_KEEP_SPANS", "90d", least=env.text("SERINUS_KEEP_CALLS", "90d"))
KEEP_ROLLUPS = env.duration("SERINUS_KEEP_ROLLUPS", "400d")
KEEP_EVENTS = env.duration("SERINUS_KEEP_EVENTS", "400d", least="7d")  # deliveries are tried for three days

JUDGE_URL = env.optional_address("SERINUS_JUDGE_URL")
JUDGE_API_KEY = env.text("SERINUS_JUDGE_API_KEY")
JUDGE_DEADLINE = env.duration("SERINUS_JUDGE_DEADLINE", "30s")
JUDGE_RETRY_FOR = env.duration("SERINUS_JUDGE_RETRY_FOR", "1h")
JUDGE_PARALLEL = env.integer("SERINUS_JUDGE_PARALLEL", 4, least=1)

INSTALLED_APPS = [
    "config",
    "rollout",
    "observability",
    "registry",
    "common",
    "rest_framework",
    "django_q",
    "config.admin_app.SerinusAdminConfig",  # in the place of django.contrib.admin
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "axes",
    "drf_spectacular",
    "drf_spectacular_sidecar",
]

MIDDLEWARE = [
    "common.requests.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "common.requests.ProblemMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
# An exporter takes a redirect for success and its spans would be lost, so no address is ever completed by a redirect.
APPEND_SLASH = False

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]


# Else a connection to a host that is gone hangs for a quarter of an hour. Seconds, the last one milliseconds.
NOTICE_A_LOST_HOST = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}


def _postgres(name: str) -> dict[str, Any] | None:
    if postgres := env.postgres(name, conn_max_age=60, conn_health_checks=True):
        postgres["OPTIONS"] = {**NOTICE_A_LOST_HOST, **postgres.get("OPTIONS", {})}
    return postgres


def _database() -> dict[str, Any]:
    """PostgreSQL from DATABASE_URL, else SQLite in the data folder.

    SQLite: WAL lets readers go on while one writes; IMMEDIATE takes the write lock at BEGIN, where waiting for it is
    safe (a lock taken later in a transaction fails at once); FULL makes a commit outlive a power cut.
    """
    if postgres := _postgres("DATABASE_URL"):
        # Behind a pooler of transactions a cursor would outlive its connection (config.pooler).
        return {**postgres, "DISABLE_SERVER_SIDE_CURSORS": DATABASE_DIRECT is not None}
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": env.writable(DATA_DIR) / "serinus.sqlite3",
        "CONN_MAX_AGE": None,
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 5,  # seconds, after 4 at the gate: an exporter gives up after 10, and must hear the 503 before
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
        },
        # A file, as in production: a database in memory would know neither WAL nor writers that wait for each other.
        "TEST": {"NAME": DATA_DIR / "test.sqlite3"},
    }


DATABASE_DIRECT = _postgres("DATABASE_DIRECT_URL")
DATABASES = {"default": _database()}
SERVING_STATE = DATA_DIR / "serving.sqlite3"

# Read by prometheus_client when it is imported: each process counts in a file of its own there (config.metrics).
os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(env.writable(DATA_DIR / "metrics"))
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "/admin/login/"
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
# By name and address together: else anybody could lock out anybody, or all at one address lock out each other.
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_CLIENT_IP_CALLABLE = "common.requests.address_of_request"
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_RESET_ON_SUCCESS = True
AXES_DISABLE_ACCESS_LOG = True
AXES_LOCKOUT_TEMPLATE = "locked_out.html"

# Pages load nothing from elsewhere and run no script that stands in them.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = BASE_URL.startswith("https://")

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False

STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["registry.keys.ApiKeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["registry.keys.HasScope"],
    "DEFAULT_THROTTLE_CLASSES": ["registry.rates.KeyRate"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["common.parsers.BoundedJSONParser"],
    "DEFAULT_PAGINATION_CLASS": "common.rest.CursorPages",
    "PAGE_SIZE": 50,
    "DEFAULT_METADATA_CLASS": None,
    "EXCEPTION_HANDLER": "common.rest.problem_for_exception",
    "UNAUTHENTICATED_USER": None,
}

SPECTACULAR_SETTINGS = {
    "TITLE": "Serinus",
    "DESCRIPTION": (
        "Prompts, rollouts, calls and scores. Lists are pages, newest first; every refusal is a problem document "
        "(RFC 9457) with a `code` for programs. Unknown fields and parameters are refused by name, fields of answers "
        "may be added. A method that an address does not have is answered by 405."
    ),
    "VERSION": "1",
    "OAS_VERSION": "3.1.1",
    "DEFAULT_GENERATOR_CLASS": "config.openapi.Generator",
    "ENFORCE_NON_BLANK_FIELDS": True,
}

Q_CLUSTER = {
    "name": "serinus",
    "orm": "default",
    "workers": 2,  # one costs 4 MB, and so a long task holds up nobody else
    "poll": 0.5,
    "timeout": 60,
    "retry": 120,
    "max_attempts": 3,
    "save_limit": -1,
    "catch_up": False,
    "label": "Background work",
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"text": {"()": "common.logs.EventFormatter"}, "json": {"()": "common.logs.JsonFormatter"}},
    "filters": {"suspicions": {"()": "common.logs.NoTracebackOfSuspicions"}},
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": env.one_of("SERINUS_LOG_FORMAT", ("text", "json")),
            "filters": ["suspicions"],
        }
    },
    "root": {"handlers": ["console"], "level": env.one_of("SERINUS_LOG_LEVEL", ("INFO", "DEBUG", "WARNING", "ERROR"))},
    "loggers": {
        "axes": {"level": "ERROR"},  # it tells names that were tried, and some people type their password there
        "django-q": {"level": "WARNING"},
        "django.request": {"level": "ERROR"},  # a refused request is the caller's affair, and there may be very many
    },
}
