"""The log of facts told to the outside (product.md, section 6): written with the change itself, delivered later.

Numbers have no gaps and follow the commits, and what is deleted is always the oldest: so one number tells a reader
where it is, and what is missing before it.
"""

from dataclasses import dataclass
from typing import Any

from django.db.models import Min, Q

from common.clock import now
from common.errors import Conflict, Gone, NotFound
from common.ids import new_id
from registry.models import Event, Sequence
from registry.reach import EVERYTHING, Reach
from registry.sequences import next_value

EVENT_TYPES = (
    "version.published",
    "label.moved",
    "prompt.archived",
    "prompt.unarchived",
    "rollout.started",
    "rollout.step_advanced",
    "rollout.paused",
    "rollout.resumed",
    "rollout.promoted",
    "rollout.rolled_back",
    "rollout.cancelled",
    "rollout.invalid",
    "rollout.inconclusive",
    "rollout.harm_found",
    "rollout.spend_cap_reached",
    "rollout.proven_safe",
    "rollout.evaluation_failed",
    "rollout.recovered",
    "webhook.disabled",
    "alert.fired",
    "alert.renotified",
    "alert.acknowledged",
    "alert.silenced",
    "alert.unsilenced",
    "alert.resolved",
)
OF_NO_LABEL = ("prompt.archived", "prompt.unarchived")


@dataclass(frozen=True, slots=True)
class Page:
    """events: in order. last: they are all that was asked for up to this number. more: some have higher ones."""

    events: list[Event]
    last: int
    more: bool


def record(*, type: str, prompt: str, data: dict[str, Any]) -> Event:  # noqa: A002 (the field's name on the wire)
    """Write one event. Must run inside the transaction that makes the fact true. prompt: empty if it is of none."""
    return Event.objects.create(
        sequence=next_value("event"), id=new_id("evt"), type=type, prompt=prompt, occurred_at=now(), data=data
    )


def after(
    sequence: int | None,
    *,
    limit: int,
    type: str | None = None,  # noqa: A002 (the field's name on the wire)
    prompt: str | None = None,
    reach: Reach = EVERYTHING,
) -> Page:
    """The events with higher numbers within reach, at most so many; None for all that are kept.

    Raises Gone events_pruned when some of those were deleted, or Conflict unknown_sequence for a number that none had.
    """
    newest = newest_sequence()
    begun = _oldest_sequence(newest) - 1 if sequence is None else sequence
    wanted = {name: value for name, value in {"type": type, "prompt": prompt}.items() if value is not None}
    rows = Event.objects.filter(_within(reach), sequence__gt=begun, sequence__lte=newest, **wanted)
    events = list(rows.order_by("sequence")[: limit + 1])
    _refuse_unless_all_are_there(begun, newest)  # afterwards, so that what was deleted while reading is missed
    more = len(events) > limit
    return Page(events[:limit], events[limit - 1].sequence if more else newest, more)


def newest(
    *,
    before: int | None,
    limit: int,
    type: str | None = None,  # noqa: A002 (the field's name on the wire)
    prompt: str | None = None,
) -> tuple[list[Event], bool]:
    """For people: the last events below a number, the newest first, at most so many; and whether there are more."""
    wanted = {"type": type, "prompt": prompt, "sequence__lt": before}
    rows = Event.objects.filter(**{name: value for name, value in wanted.items() if value is not None})
    events = list(rows.order_by("-sequence")[: limit + 1])
    return events[:limit], len(events) > limit


def find_event(event_id: str, reach: Reach = EVERYTHING) -> Event:
    """Raises NotFound unknown_event, also for one that was deleted or is out of reach."""
    event = Event.objects.filter(_within(reach), id=event_id).first()
    if event is None:
        raise NotFound("unknown_event", f"There is no event {event_id}")
    return event


def newest_sequence() -> int:
    """0 where nothing has happened yet."""
    return Sequence.objects.filter(name="event").values_list("value", flat=True).first() or 0


def event_json(event: Event) -> dict[str, Any]:
    """As the body of its webhooks, and with its id."""
    return {
        "id": event.id,
        "sequence": event.sequence,
        "type": event.type,
        "timestamp": event.occurred_at,
        "prompt": event.prompt,
        "data": event.data,
    }


def _within(reach: Reach) -> Q:
    """The events of the prompts that it sees, and of what names a label, or moves `latest`, those that it may use."""
    within = reach.rows(prompt="prompt")
    if not reach.labels:
        return within
    labels = sorted(reach.labels)
    whatever_label = [*OF_NO_LABEL, *(["version.published"] if reach.may_use("latest") else [])]
    return within & (
        Q(type__in=whatever_label)
        | Q(data__label__in=labels)
        | Q(data__rollout__label__in=labels)
        | Q(data__alert__label__in=labels)
    )


def _oldest_sequence(newest: int) -> int:
    """Of the events that are kept; of the next one where there are none."""
    return Event.objects.aggregate(oldest=Min("sequence"))["oldest"] or newest + 1


def _refuse_unless_all_are_there(begun: int, newest: int) -> None:
    if begun > newest:
        detail = f"There is no event {begun}: the newest is {newest}. Was a backup restored?"
        raise Conflict("unknown_sequence", detail, extra={"newest": newest})
    if begun < (oldest := _oldest_sequence(newest)) - 1:
        raise Gone(
            "events_pruned",
            f"The events after {begun} are not kept any more: the oldest is {oldest}. Read anew what you follow, "
            f"then go on with after={oldest - 1}",
            extra={"oldest": oldest},
        )
