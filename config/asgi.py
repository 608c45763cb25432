from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

django = get_wsgi_application()

from django.conf import settings  # noqa: E402 - they are read above

from config.web.gateway import Gateway  # noqa: E402

application = Gateway(django, threads=settings.WEB_THREADS)
