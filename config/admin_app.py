from django.contrib.admin import apps


class SerinusAdminConfig(apps.AdminConfig):
    default_site = "config.admin_site.SerinusAdmin"
