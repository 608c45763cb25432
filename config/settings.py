"""The composition root's settings: names every part, is imported by none."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.templatetags.static import static
from django.utils.translation import gettext_lazy as _

from config.databases import database
from config.env import (
    BASE_DIR,
    comma_separated,
    embedded_broker_socket,
    read_environment,
)
from router import api_settings

ENV = read_environment()

DEBUG = ENV.debug
VAR_DIR = ENV.var_dir
SECRET_KEY = ENV.secret_key or ("only-for-debug" if DEBUG else "")
if not SECRET_KEY:
    raise ImproperlyConfigured(
        "SECRET_KEY is not set. On your own machine start `make run` and keep it "
        "running, or set DEBUG=true; in production set SECRET_KEY to a long random "
        "text."
    )
SECRET_KEY_FALLBACKS = comma_separated(ENV.secret_key_fallbacks)
TRUSTED_PROXIES = ENV.trusted_proxies or 0
ALLOWED_HOSTS = comma_separated(ENV.allowed_hosts) or (["*"] if DEBUG else [])
CSRF_TRUSTED_ORIGINS = comma_separated(ENV.csrf_trusted_origins)
ALERT_MAIL_TO = comma_separated(ENV.alert_mail_to)
SITE_URL = (ENV.site_url or f"http://127.0.0.1:{ENV.port}").rstrip("/")

INSTALLED_APPS = [
    "config.apps.SiteConfig",
    "unfold",
    "config.apps.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django_htmx",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "django_otp.plugins.otp_static",
    "rest_framework",
    "drf_spectacular",
    "shop",
    "router",
    "subscribers.receipts",
    "subscribers.inventory",
    "subscribers.fulfilment",
    "subscribers.order_history",
    "subscribers.customer_profiles",
    "subscribers.slack_alerts",
    *(["subscribers.mail_alerts"] if ALERT_MAIL_TO else []),
]

MIDDLEWARE = [
    # Before all others: their log lines carry its id.
    "config.web.request_id.RequestIdMiddleware",
    # Before all that counts or logs by the client's address.
    "config.web.client_address.ClientAddressMiddleware",
    # Before all that answers with a page.
    "config.web.language.LanguageMiddleware",
    "config.web.body_limits.BodyLimitMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    # After static files, of which there are many.
    "config.web.tracing.TracingMiddleware",
    "config.web.content_security.ContentSecurityPolicyMiddleware",
    "config.web.private_pages.PrivatePagesMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "config.sign_in.staff_sessions.StaffSessionMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "config.sign_in.second_factor.SecondFactorMiddleware",
    "config.sign_in.backend.SignInMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    # It replaces the answers of all that comes after it.
    "config.admin_site.errors.AdminErrorsMiddleware",
    "config.admin_site.input.AdminInputMiddleware",
]

# No form takes files: none is ever written to disk.
FILE_UPLOAD_HANDLERS: list[str] = []
# The admin's largest form has an event or a schema, with every letter escaped.
DATA_UPLOAD_MAX_MEMORY_SIZE = 4 * 1024 * 1024
WEB_THREADS = ENV.web_threads

ROOT_URLCONF = "config.urls"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "config" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.debug",
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "config.context.site",
            ]
        },
    }
]

DATABASES = {
    "default": database(
        ENV.database_url, var_dir=VAR_DIR, is_pooled=ENV.database_pooler
    )
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTHENTICATION_BACKENDS = ["config.sign_in.SignInBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
] + [{"NAME": "config.sign_in.passwords.MaximumLengthValidator"}]

LANGUAGE_CODE = "en"
# By their own names; a browser chooses.
LANGUAGES = [("en", "English"), ("de", "Deutsch"), ("fr", "Français")]
# Before those of the installed apps: for the same word, the theme's own would win.
LOCALE_PATHS = [
    BASE_DIR / folder / "locale"
    for folder in ("shop", "subscribers", "router", "config")
]
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True
FORMAT_MODULE_PATH = ["config.formats"]

STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"
ADMIN_REQUIRES_SECOND_FACTOR = ENV.admin_requires_second_factor
OTP_TOTP_ISSUER = "Fanfare"
# Wrong codes wait as wrong passwords do: the owner's own browser has its own count.
OTP_TOTP_THROTTLE_FACTOR = OTP_STATIC_THROTTLE_FACTOR = 0
STAFF_SESSION_IDLE_SECONDS = 2 * 3600
STAFF_SESSION_MAXIMUM_SECONDS = 12 * 3600
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not DEBUG
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_SSL_REDIRECT = not DEBUG
# Health checks come from the load balancer, without TLS.
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_HSTS_SECONDS = 0 if DEBUG else 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = not DEBUG
X_FRAME_OPTIONS = "DENY"

# Celery. Its database handling must keep the connection over tasks: reopening it
# around each one costs three quarters of the throughput.
CELERY_BROKER_URL = ENV.broker_url or (
    f"redis+socket://{embedded_broker_socket(VAR_DIR)}?virtual_host=0"
)
CELERY_DB_REUSE_MAX = 10_000
# What a handler prints is read as it is; in production all output is log records.
CELERY_WORKER_REDIRECT_STDOUTS = not DEBUG

ROUTER: dict[str, Any] = {
    "SOURCES": {
        "shop.signals.purchase_completed": "/shop",
        "shop.signals.stock_received": "/shop",
    },
    "SCHEMAS": {
        "purchase.completed": [BASE_DIR / "shop/schemas/purchase.completed.v1.json"],
        "stock.received": [BASE_DIR / "shop/schemas/stock.received.v1.json"],
        "shipment.dispatched": [
            BASE_DIR / "subscribers/fulfilment/schemas/shipment.dispatched.v1.json"
        ],
    },
    # The orders that are older than the router: `manage.py import_history`.
    "HISTORY": {
        "purchase.completed": {"facts": "shop.history.purchases", "source": "/shop"},
    },
    # One line for each subscriber that is a single file: its dotted name. One that
    # is an installed app with a module `handler` is found without a line here.
    "HANDLERS": [],
    # The order's number leads to its events in the admin's search, and names them.
    "SUBJECT_SEARCH": "config.order_search.subjects",
    "SUBJECT_TITLE": "config.order_search.title",
    "CUSTOMER_IDS": "shop.erasing.customer_ids",
    "ERASERS": ["shop.erasing.erase"],
    "ENCRYPTION_KEYS": comma_separated(ENV.encryption_keys),
    "WEBHOOK_ALLOWED_NETWORKS": comma_separated(ENV.webhook_allowed_networks),
    "METRICS_TOKEN": ENV.metrics_token,
    "PORTAL": {"name": "Fanfare"},
    **{name.upper(): value for name, value in ENV.router.items()},
}

SHOP: dict[str, Any] = {
    "AVAILABILITY": "subscribers.inventory.availability.available",
    "GATEWAY": "shop.payments.sandbox.SandboxGateway",
    "CURRENCY": "EUR",
    # On one's own machine one person is all customers.
    "MAX_CHECKOUTS_PER_NETWORK": 600 if DEBUG else 60,
    "MAX_ORDERS_PER_EMAIL": 600 if DEBUG else 30,
}

SILENCED_SYSTEM_CHECKS = [
    *comma_separated(ENV.silenced_checks),
    *(["shop.W004"] if ENV.sandbox_payments else []),
]

RECEIPTS: dict[str, Any] = {
    "HISTORY_LINK": "config.customer_links.history_link",
    "SHOP_NAME": "Fanfare",
}

ORDER_HISTORY: dict[str, Any] = {"PARCEL_SOURCES": ["/fulfilment"]}

SLACK_WEBHOOK_URL = ENV.slack_webhook_url

# Mail: without EMAIL_HOST, files under `var/mail/` that a page shows in debug.
DEFAULT_FROM_EMAIL = ENV.default_from_email
EMAIL_HOST = ENV.email_host
EMAIL_PORT = ENV.email_port
EMAIL_HOST_USER = ENV.email_host_user
EMAIL_HOST_PASSWORD = ENV.email_host_password
EMAIL_USE_TLS = ENV.email_use_tls
EMAIL_TIMEOUT = 20
EMAIL_FILE_PATH = VAR_DIR / "mail"
EMAIL_BACKEND = (
    "django.core.mail.backends.smtp.EmailBackend"
    if EMAIL_HOST
    else "subscribers.receipts.file_mail.EmailBackend"
)

REST_FRAMEWORK = api_settings.REST_FRAMEWORK
SPECTACULAR_SETTINGS: dict[str, Any] = {
    **api_settings.SPECTACULAR_SETTINGS,
    "TITLE": "Fanfare",
    "DESCRIPTION": "Publish events, consume what is owed, manage subscribers.",
}

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Fanfare",
    "SITE_HEADER": "Fanfare",
    "SITE_SUBHEADER": _("Operations"),
    "SITE_URL": "/",
    "SITE_SYMBOL": "campaign",
    "SITE_FAVICONS": [
        {
            "rel": "icon",
            "type": "image/svg+xml",
            "href": lambda request: static("router/favicon.svg"),
        }
    ],
    "LOGIN": {"form": "config.sign_in.backend.SignInForm"},
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "DASHBOARD_CALLBACK": "router.admin.dashboard.dashboard",
    "STYLES": [lambda request: static("router/admin.css")],
    "SIDEBAR": {"navigation": "config.admin_site.navigation.navigation"},
    # Brass; 600 carries white text and 500 stands on the dark ground, both WCAG AA.
    "COLORS": {
        "base": {
            "50": "oklch(98.5% .004 80)",
            "100": "oklch(96.7% .006 80)",
            "200": "oklch(92% .009 80)",
            "300": "oklch(86% .011 78)",
            "400": "oklch(74% .012 75)",
            "500": "oklch(52% .012 75)",
            "600": "oklch(44% .012 72)",
            "700": "oklch(36% .012 70)",
            "800": "oklch(27.5% .012 70)",
            "900": "oklch(21% .012 70)",
            "950": "oklch(14% .01 70)",
        },
        "primary": {
            "50": "oklch(97.8% .022 88)",
            "100": "oklch(95% .048 88)",
            "200": "oklch(90.5% .085 87)",
            "300": "oklch(85% .118 85)",
            "400": "oklch(79% .125 82)",
            "500": "oklch(74% .125 80)",
            "600": "oklch(52.5% .103 76)",
            "700": "oklch(46% .092 74)",
            "800": "oklch(39% .077 72)",
            "900": "oklch(33% .062 70)",
            "950": "oklch(24% .045 68)",
        },
    },
}

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "text": {
            "()": "config.log_format.SecretAddressFormatter",
            "format": "%(levelname)s %(name)s: %(message)s",
        },
        "json": {"()": "config.log_format.JsonFormatter"},
    },
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": ENV.log_format}
    },
    "root": {"handlers": ["stderr"], "level": "INFO"},
    "loggers": {
        # Its own handler would print a second time what the root prints.
        "django": {"handlers": [], "level": "INFO"},
    },
}
