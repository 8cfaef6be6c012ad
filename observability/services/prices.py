"""The project's own prices: adding and removing them, those in force now, and pricing stored calls anew.

Each process asks for the overrides at most once in REFRESHED_AFTER_S, so that a change counts everywhere within that.
"""

import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple

from django.db import IntegrityError, connection, transaction
from django.db.models import Q

from common.actors import COMMAND_LINE, Actor
from common.clock import now
from common.errors import Conflict, NotFound
from observability.core import conversions
from observability.core.calls import EMBEDDINGS
from observability.core.prices import NO_OVERRIDES, REPORTED, Override, Overrides, cost_of
from observability.core.times import bucket_of, nanoseconds
from observability.models import Call, PriceOverride
from observability.models.calls import CallQuerySet
from observability.rollups import mark_stale
from observability.selectors.hours import hour_of
from registry import audit

REFRESHED_AFTER_S = 5.0
BATCH = 1000
UPDATE = (
    "UPDATE observability_call SET cost_usd = %s, cost_source = %s, price_version = %s, reported_usd = %s WHERE id = %s"
)

logger = logging.getLogger(__name__)


class StoredCall(NamedTuple):
    """What a stored call's price depends on (core.prices.Usage), and the price that it has."""

    id: int
    provider: str | None
    request_model: str | None
    response_model: str | None
    operation: str
    input_tokens: int | None
    output_tokens: int | None
    cached_tokens: int | None
    cache_write_tokens: int | None
    stored_reported_usd: Decimal | None
    started_at: datetime
    cost_usd: Decimal | None
    cost_source: str | None
    price_version: str | None

    @property
    def is_llm_call(self) -> bool:
        return self.operation != EMBEDDINGS

    @property
    def started_ns(self) -> int:
        return nanoseconds(self.started_at)

    @property
    def reported_usd(self) -> Decimal | None:
        """Calls of releases that did not keep it apart have it as their cost."""
        if self.stored_reported_usd is None and self.cost_source == REPORTED:
            return self.cost_usd
        return self.stored_reported_usd

    @property
    def has_tokens(self) -> bool:
        return bool(self.input_tokens or self.output_tokens)


COLUMNS = [name.removeprefix("stored_") for name in StoredCall._fields]


@dataclass(slots=True)
class Repriced:
    """before, after: what the changed calls cost in all, USD. unpriced: calls with tokens that still have no cost.

    buckets: the five minutes in which changed calls started.
    """

    calls: int = 0
    changed: int = 0
    unpriced: int = 0
    before: Decimal = Decimal(0)
    after: Decimal = Decimal(0)
    buckets: set[datetime] = field(default_factory=set)

    def add(self, other: "Repriced") -> None:
        self.calls += other.calls
        self.changed += other.changed
        self.unpriced += other.unpriced
        self.before += other.before
        self.after += other.after
        self.buckets |= other.buckets

    @property
    def hours(self) -> set[datetime]:
        return {hour_of(bucket) for bucket in self.buckets}


class _Current:
    """The overrides as this process knows them, and until when it believes that (time.monotonic)."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.forget()

    def forget(self) -> None:
        self.overrides, self.until = NO_OVERRIDES, 0.0


_current = _Current()


def current_overrides() -> Overrides:
    """The overrides in force, at most REFRESHED_AFTER_S old. Asks the database only when they are older than that."""
    if time.monotonic() < _current.until:
        return _current.overrides
    with _current.lock:
        if time.monotonic() >= _current.until:
            found = stored_overrides()
            if found.in_order != _current.overrides.in_order:  # the same object keeps what is remembered of it
                _current.overrides = found
            _current.until = time.monotonic() + REFRESHED_AFTER_S
        return _current.overrides


def forget_overrides() -> None:
    """Ask the database at the next call."""
    _current.forget()


def stored_overrides() -> Overrides:
    return Overrides.of([_as_plain(override) for override in PriceOverride.objects.all()])


def add_override(*, actor: Actor, **fields: Any) -> PriceOverride:
    """A price from a time on. Raises Conflict when there is one for that provider, pattern and time."""
    fields["provider"], fields["pattern"] = provider_of(fields.get("provider", "")), pattern_of(fields["pattern"])
    try:
        with transaction.atomic():
            override = PriceOverride.objects.create(**fields, created_at=now())
            audit.record(
                action="price.added", target=f"prices/{override.pk}", before=None, after=_audited(override), actor=actor
            )
            _announce("price_override.added", override.pk, actor)
    except IntegrityError as error:
        if PriceOverride.objects.filter(
            provider=fields["provider"], pattern=fields["pattern"], effective_from=fields["effective_from"]
        ).exists():
            raise Conflict(
                "price_exists", "There is a price for this provider, pattern and time; delete it first"
            ) from error
        raise
    return override


@transaction.atomic
def remove_override(*, override_id: int, actor: Actor) -> None:
    """Calls that were priced by it keep their cost until they are priced anew. Raises NotFound."""
    override = PriceOverride.objects.select_for_update().filter(pk=override_id).first()
    if override is None:
        raise NotFound("unknown_price", f"There is no price override {override_id}")
    override.delete()
    audit.record(
        action="price.removed", target=f"prices/{override_id}", before=_audited(override), after=None, actor=actor
    )
    _announce("price_override.removed", override_id, actor)


def reprice(
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    prompt: str | None = None,
    model: str | None = None,
    dry_run: bool = False,
    batch: int = BATCH,
) -> Iterator[Repriced]:
    """Price the stored calls anew by today's overrides and table, in transactions of one batch each, the oldest first.

    model: as requested or as it answered. May be stopped at any time and begun again: what is right already is not
    written. Evidence that was counted stays as it is.
    """
    if not dry_run:
        chosen = {"since": since, "until": until, "prompt": prompt, "model": model}
        audit.record(action="calls.repriced", target="prices", before=None, after=chosen, actor=COMMAND_LINE)
    overrides = stored_overrides()
    for ids in _batches(_calls(since=since, until=until, prompt=prompt, model=model), batch):
        with transaction.atomic():
            calls = Call.objects.filter(id__in=ids).order_by("id")
            locked = calls if dry_run else calls.select_for_update(no_key=True)
            done = _reprice([StoredCall(*row) for row in locked.values_list(*COLUMNS)], overrides, dry_run=dry_run)
            if not dry_run:
                mark_stale(done.buckets)
        yield done


def provider_of(written: str) -> str:
    """The provider as calls tell it; empty for any."""
    return conversions.provider(written) or ""


def pattern_of(written: str) -> str:
    return conversions.lower(written) or ""


def _calls(*, since: datetime | None, until: datetime | None, prompt: str | None, model: str | None) -> CallQuerySet:
    found: CallQuerySet = Call.objects.all()
    if since is not None:
        found = found.since(since)
    if until is not None:
        found = found.before(until)
    if prompt is not None:
        found = found.filter(prompt_name=prompt)
    if model is not None:
        found = found.filter(Q(request_model=model) | Q(response_model=model))
    return found


def _batches(calls: CallQuerySet, size: int) -> Iterator[list[int]]:
    """Ids of the calls. By place, as their indexes are, so that none is read twice; outside any transaction."""
    after = -1
    while rows := list(calls.filter(place__gt=after).order_by("place").values_list("place", "id")[:size]):
        after = rows[-1][0]
        yield [id_ for _, id_ in rows]


def _reprice(calls: list[StoredCall], overrides: Overrides, *, dry_run: bool) -> Repriced:
    done, updates = Repriced(calls=len(calls)), []
    for call in calls:
        cost = cost_of(call, overrides)
        done.unpriced += cost is None and call.has_tokens
        usd, source, version = cost or (None, None, None)
        priced = (usd, source, version, call.reported_usd)
        if priced != (call.cost_usd, call.cost_source, call.price_version, call.stored_reported_usd):
            done.changed += 1
            done.before += call.cost_usd or 0
            done.after += usd or 0
            done.buckets.add(bucket_of(call.started_at))
            updates.append((_adapted(usd), source, version, _adapted(call.reported_usd), call.id))
    if updates and not dry_run:
        with connection.cursor() as cursor:
            cursor.executemany(UPDATE, updates)
    return done


def _adapted(usd: Decimal | None) -> Any:
    return connection.ops.adapt_decimalfield_value(usd, max_digits=20, decimal_places=12)


def _as_plain(override: PriceOverride) -> Override:
    def of_cache(price: Decimal | None) -> Decimal:
        return override.input if price is None else price

    return Override(
        id=override.pk,
        provider=override.provider,
        pattern=override.pattern,
        since_ns=nanoseconds(override.effective_from),
        input=override.input,
        cached=of_cache(override.cached_input),
        written=of_cache(override.cache_write),
        output=override.output,
        call=override.call,
    )


def _audited(override: PriceOverride) -> dict[str, Any]:
    names = ("provider", "pattern", "effective_from", "input", "cached_input", "cache_write", "output", "call", "note")
    return {name: getattr(override, name) for name in names}


def _announce(event: str, override_id: int, actor: Actor) -> None:
    transaction.on_commit(forget_overrides)
    transaction.on_commit(partial(logger.info, event, extra={"override": override_id, "actor": str(actor)}))
