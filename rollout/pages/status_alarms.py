"""Is the work done that rollouts need? What a person has to mend before anything else on the page can be believed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse

from rollout.formats import count, duration
from rollout.models import WebhookEndpoint
from rollout.wording import State
from rollout.work import Work

# An evaluator is seen every few seconds, and a look or delivery is begun within one.
TOO_LONG_S = 60.0


@dataclass(frozen=True, slots=True)
class Alarm:
    """in_short: for the headline. link: address and words of where to act, or None."""

    state: State
    sentence: str
    in_short: str
    link: tuple[str, str] | None = None


def alarms(work: Work, *, failing: Sequence[WebhookEndpoint], dead: int, active: int, now: datetime) -> list[Alarm]:
    """The worst first. failing: the longest first. dead: webhook deliveries that will not be tried again by
    themselves. active: rollouts."""
    return [*_of_looks(work, active), *_of_deliveries(work), *_of_failing(failing, now), *_of_dead(dead)]


def _of_looks(work: Work, active: int) -> Iterator[Alarm]:
    age = work.evaluator_age_s
    if age is not None and age <= TOO_LONG_S:
        if work.look_late_s > TOO_LONG_S:
            yield Alarm(
                State("held", "Looks are late."),
                f"One has been due for {duration(work.look_late_s)}: the evaluator has more to do than it can, or "
                "waits for the database.",
                "looks at the evidence are late",
            )
    elif active and (age is not None or work.look_late_s > TOO_LONG_S):
        seen = f"One was last seen {duration(age)} ago." if age is not None else "None was ever seen."
        yield Alarm(
            State("harm", "No evaluator is at work."),
            f"{seen} Until one is, no rollout is looked at, so none goes on and harm is not found. Start manage.py "
            "run_evaluator, which serve and run_worker do, or read in its log why it ended.",
            "no evaluator is at work",
        )


def _of_deliveries(work: Work) -> Iterator[Alarm]:
    if work.delivery_late_s > TOO_LONG_S:
        due = f"{count(work.deliveries_due)} {'is' if work.deliveries_due == 1 else 'are'} due"
        yield Alarm(
            State("held", "Webhooks are not sent."),
            f"{due}, the oldest for {duration(work.delivery_late_s)}. Start manage.py run_sender, which serve and "
            "run_worker do, or read in its log why it ended.",
            "webhooks are not sent",
        )


def _of_failing(failing: Sequence[WebhookEndpoint], now: datetime) -> Iterator[Alarm]:
    """Of an address only the host: its path may be a secret, and the page is open."""
    if not failing:
        return
    longest = failing[0]
    since = duration((now - longest.failing_since).total_seconds())  # type: ignore[operator]  # it fails since then
    if len(failing) == 1:
        yield Alarm(
            State("harm", "A webhook fails."),
            f"{longest.host} has taken nothing for {since}, so whoever it tells does not hear what happens here.",
            "a webhook fails",
            (reverse("admin:rollout_webhookendpoint_change", args=[longest.pk]), "See why"),
        )
    else:
        hosts = ", ".join(dict.fromkeys(endpoint.host for endpoint in failing))
        yield Alarm(
            State("harm", f"{count(len(failing))} webhooks fail."),
            f"{hosts} take nothing, the longest for {since}, so whoever they tell does not hear what happens here.",
            f"{count(len(failing))} webhooks fail",
            (reverse("admin:rollout_webhookendpoint_changelist"), "See why"),
        )


def _of_dead(dead: int) -> Iterator[Alarm]:
    if dead:
        one = dead == 1
        number = f"{count(dead)} webhook {'delivery is' if one else 'deliveries are'} dead"
        yield Alarm(
            State("held", number),
            f"and will not be tried again by {'itself' if one else 'themselves'}.",
            number,
            (f"{reverse('admin:rollout_delivery_changelist')}?status__exact=dead", "See why and replay"),
        )
