"""Who may read the pages."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse

from registry import rights

View = Callable[..., HttpResponse]


def for_readers(view: View) -> View:
    """The view, for everyone who reaches the server or, with settings.STATUS_PAGES "login", after a login."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if settings.STATUS_PAGES == "login" and not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        return view(request, *args, **kwargs)

    return guarded


def for_people(*any_of: str) -> Callable[[View], View]:
    """The view after a login, as the admin has it, and for those who have one of these rights, if any is named.

    To be put above the decorators that look at the method, so that strangers are led to the login whatever they send.
    """

    def guard(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if not is_person(request):
                return redirect_to_login(request.get_full_path())
            if any_of:
                rights.require(request, *any_of)
            return view(request, *args, **kwargs)

        return guarded

    return guard


def is_person(request: HttpRequest) -> bool:
    """Whether somebody is logged in who may use the admin: the login lets nobody else in."""
    return request.user.is_active and getattr(request.user, "is_staff", False)
