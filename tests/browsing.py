"""The admin as a browser drives it: read the form, fill it in, send it back, read the answer."""

import html
import re
from typing import Any

from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from registry.models import Prompt


def someone_who_may(*permissions: str, name: str = "ben") -> Client:
    user = User.objects.create_user(name, is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def page(prompt: Prompt, name: str) -> str:
    return reverse(f"admin:registry_prompt_{name}", args=[prompt.pk])


def fields_of(client: Client, path: str) -> dict[str, Any]:
    """What the form on the page would send if nothing were typed."""
    form = client.get(path).context["form"]
    return {field.name: "" if (value := field.value()) is None else value for field in form}


def text_of(answer: Any) -> str:
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode())))


def send(client: Client, path: str, **typed: Any) -> Any:
    return client.post(path, fields_of(client, path) | typed, follow=True)
