"""Acting in the admin: who acts, and what becomes of a refusal."""

from collections.abc import Callable
from typing import TypeVar

from django import forms
from django.http import HttpRequest

from common.actors import Actor
from common.errors import DomainError
from registry.admin.forms import show_refusal

Result = TypeVar("Result")


def actor_of(request: HttpRequest) -> Actor:
    return Actor("user", request.user.get_username())


def attempt(form: forms.Form, change: Callable[[], Result]) -> Result | None:
    """What the change returned; None when the form is not filled in right or the change refused, as it then shows."""
    if not form.is_valid():
        return None
    try:
        return change()
    except DomainError as error:
        show_refusal(form, error)
        return None
