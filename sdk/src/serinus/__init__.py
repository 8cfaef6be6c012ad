"""Prompts of a Serinus server, assigned in the app: without a request per call, and while the server is down."""

from serinus.client import AsyncClient, Client, Status
from serinus.errors import (
    BundleRefused,
    Error,
    InvalidOption,
    MissingVariable,
    NotReady,
    PromptArchived,
    UnknownLabel,
    UnknownPrompt,
    WrongType,
)
from serinus.prompt import Prompt
from serinus.stamping import SpanIds, instrument

__all__ = [
    "AsyncClient",
    "BundleRefused",
    "Client",
    "Error",
    "InvalidOption",
    "MissingVariable",
    "NotReady",
    "Prompt",
    "PromptArchived",
    "SpanIds",
    "Status",
    "UnknownLabel",
    "UnknownPrompt",
    "WrongType",
    "instrument",
]
