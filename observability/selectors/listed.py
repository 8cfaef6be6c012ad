"""Calls and scores one by one, as people and programs list them."""

from collections.abc import Collection
from datetime import datetime, timedelta

from django.db.models import Min, Q, QuerySet

from observability.models import Call, CallText, Score
from observability.models.calls import CallQuerySet
from registry.core.versions import SemVer, parse_version
from registry.reach import EVERYTHING, Reach

CLOCKS_APART = timedelta(hours=1)  # at most: clocks of hosts, and one from itself when it is set


def calls(
    *,
    trace_id: bytes | None = None,
    prompt: str | None = None,
    version: str | None = None,
    since: datetime | None = None,
    reach: Reach = EVERYTHING,
) -> CallQuerySet:
    """Calls, the newest first, with their versions and scores. version: in any way of writing it, or as it was sent."""
    found: CallQuerySet = Call.objects.select_related("version").prefetch_related("scores")
    found = found.filter(reach.rows(prompt="prompt_name", label="label"))
    if trace_id is not None:
        found = found.of_trace(trace_id)
    if prompt is not None:
        found = found.filter(prompt_name=prompt)
    if version is not None:
        found = found.filter(_named(version))
    if since is not None:
        found = found.since(since)
    return found


def text_of_call(*, trace_id: str, span_id: str) -> CallText | None:
    """What is stored of the texts of the call with this span, in hexadecimal; None also for what are no ids."""
    try:
        of_span = Call.objects.of_span(bytes.fromhex(trace_id), bytes.fromhex(span_id))
    except ValueError:
        return None
    return CallText.objects.select_related("call").filter(call__in=of_span).first()


def calls_with_text(call_ids: Collection[int]) -> frozenset[int]:
    """Those of these calls of which a text is stored, and not only its hash."""
    stored = CallText.objects.filter(call__in=call_ids, kept_because__isnull=False)
    return frozenset(stored.values_list("call_id", flat=True))


def scores(
    *,
    joined: bool | None = None,
    name: str | None = None,
    source: str | None = None,
    since: datetime | None = None,
    reach: Reach = EVERYTHING,
) -> QuerySet[Score]:
    """Scores with their calls, the newest first. joined: false for those that look for a call, or did in vain.

    A score without a call names no prompt: only a reach of everything holds it.
    """
    found = Score.objects.select_related("call").filter(reach.rows(prompt="call__prompt_name", label="call__label"))
    if joined:
        found = found.filter(call__isnull=False)
    elif joined is not None:
        found = found.filter(Q(waiting=True) | Q(gave_up=True), call__isnull=True)
    if name is not None:
        found = found.filter(name=name)
    if source is not None:
        found = found.filter(source=source)
    if since is not None:
        first = _first_id(since)
        found = found.none() if first is None else found.filter(received_at__gte=since, id__gte=first)
    return found


def _named(version: str) -> Q:
    as_sent = Q(version__isnull=True, version_text=version)
    try:
        number = parse_version(version)
    except ValueError:
        return as_sent
    if isinstance(number, SemVer):
        return as_sent | Q(version__major=number.major, version__minor=number.minor, version__patch=number.patch)
    return as_sent | Q(version__ordinal=number)


def _first_id(since: datetime) -> int | None:
    """The least id of the scores received since then, so that a list by id ends there; None where there are none.

    Ids follow the time of arrival, but for what came at once on several hosts and clocks that were set.
    """
    received = Score.objects.filter(received_at__gte=since).order_by()
    earliest = received.aggregate(at=Min("received_at"))["at"]
    if earliest is None:
        return None
    first: int | None = received.filter(received_at__lt=earliest + CLOCKS_APART).aggregate(id=Min("id"))["id"]
    return first
