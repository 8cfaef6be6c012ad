"""The WSGI application that granian's web processes run: the read path, and behind it Django."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

django = get_wsgi_application()

from config import arrivals  # noqa: E402 (needs the apps that the line above has set up)
from rollout.serving import front, snapshot_cache  # noqa: E402 (likewise)

application = front.in_front_of(arrivals.bounded(django))

snapshot_cache.start()
