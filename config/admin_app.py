from typing import Any

from django.contrib.admin import apps, autodiscover
from django.contrib.admin.checks import check_admin_app, check_dependencies
from django.core.checks import CheckMessage, Tags, register


class SerinusAdminConfig(apps.SimpleAdminConfig):
    """What the admin shows is found when the addresses are loaded (config.urls): only web processes need it."""

    default_site = "config.admin_site.SerinusAdmin"

    def ready(self) -> None:
        register(check_dependencies, Tags.admin)
        register(check_admin, Tags.admin)


def check_admin(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Django's own check would only see what is found by then."""
    autodiscover()
    messages: list[CheckMessage] = check_admin_app(app_configs)
    return messages
