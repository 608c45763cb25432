"""The settings that the API needs of Django REST framework and drf-spectacular.

A project imports them in its own settings file, as it does with
`router.celery_settings.DEFAULTS`. This module imports nothing, so that a settings file
may import it.
"""

from __future__ import annotations

from typing import Any

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "router.api.auth.authentication.ApiKeyAuthentication"
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["router.api.http.rendering.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["router.api.http.json_parser.StrictJSONParser"],
    "EXCEPTION_HANDLER": "router.api.http.problems.problem_response",
    # `?format=` would be a query parameter that no call describes.
    "URL_FORMAT_OVERRIDE": None,
    "UNAUTHENTICATED_USER": None,
    "DEFAULT_SCHEMA_CLASS": "router.api.openapi.ProblemSchema",
}

#: `TITLE` and the like are the project's own to add.
SPECTACULAR_SETTINGS: dict[str, Any] = {
    "VERSION": "1",
    "OAS_VERSION": "3.1.1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": [],
    "SCHEMA_PATH_PREFIX": "/api",
    "TAGS": [
        {"name": "events", "description": "Publish what has happened."},
        {"name": "subscribers", "description": "Who is owed which events, and how."},
        {
            "name": "runs",
            "description": "Backfills give a subscriber the events from before it,"
            " replays give events once more.",
        },
        {
            "name": "pull",
            "description": "A subscriber with the transport `pull` leases what it is"
            " owed, works, and acknowledges it.",
        },
    ],
    # What is sent and what is answered are classes of their own here already.
    "COMPONENT_SPLIT_PATCH": False,
    "ENUM_ADD_EXPLICIT_BLANK_NULL_CHOICE": False,
    "WEBHOOKS": ["router.api.webhooks.EVENT_WEBHOOK"],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "router.api.openapi.add_server",
    ],
}
