"""The WSGI application that granian's web processes run."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

application = get_wsgi_application()

from rollout.serving import snapshot_cache  # noqa: E402 (needs the apps that the line above has set up)

snapshot_cache.start()
