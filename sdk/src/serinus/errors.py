"""What the SDK raises into the app, all of it `serinus.Error`. A message names what is wrong, and what there is."""

from __future__ import annotations

from collections.abc import Iterable


class Error(Exception):
    """The base of all others."""


class InvalidOption(Error, ValueError):
    """An option of the client, or the time of a flush, cannot be what was given."""


class NotReady(Error):
    """There is no ruleset yet: none came from the server, and neither cache nor bundle had one."""


class UnknownPrompt(Error):
    """The ruleset has no prompt of this name. Another one is never returned in its place."""


class UnknownLabel(Error):
    """The prompt has no such label, or the client was told not to follow it."""


class PromptArchived(Error):
    """The prompt was archived and is served no more."""


class MissingVariable(Error):
    """The template needs values that were not given: `variables` names all of them."""

    def __init__(self, message: str, variables: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.variables = tuple(variables)


class WrongType(Error, TypeError):
    """A value, or the prompt itself, is not of the type that was asked for."""


class BundleRefused(Error):
    """The bundle is not used: it cannot be read, is no bundle, or was not signed with this key."""
