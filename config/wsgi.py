"""The WSGI application that granian's web processes run: the read path, and behind it Django."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

django = get_wsgi_application()

from rollout.serving import front, snapshot_cache  # noqa: E402 (needs the apps that the line above has set up)

application = front.in_front_of(django)

snapshot_cache.start()
