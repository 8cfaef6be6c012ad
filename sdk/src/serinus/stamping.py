"""Minimal stand-in: replaced when stamping is merged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar, Token
from typing import Any, TypeVar

_Called = TypeVar("_Called", bound=Callable[..., Any])
_current: ContextVar[Mapping[str, str] | None] = ContextVar("serinus_trace", default=None)


def enter(prompt_trace: Mapping[str, str]) -> Token[Mapping[str, str] | None]:
    return _current.set(prompt_trace)


def leave(token: Token[Mapping[str, str] | None]) -> None:
    _current.reset(token)


def in_context(prompt_trace: Mapping[str, str], called: _Called) -> _Called:
    def run(*args: Any, **kwargs: Any) -> Any:
        token = enter(prompt_trace)
        try:
            return called(*args, **kwargs)
        finally:
            leave(token)

    return run  # type: ignore[return-value]
