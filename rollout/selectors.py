"""Reading rollouts; nothing here writes."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db.models import F, QuerySet

from common.errors import Invalid, NotFound
from registry import selectors as registry
from registry.core.contract import says_the_same
from registry.models import Event, PromptVersion
from registry.reach import EVERYTHING, Reach
from registry.selectors import content_of
from rollout.models import ACTIVE, DISABLED_BY, Delivery, DeliveryStatus, Rollout, Status, Transition, WebhookEndpoint

ENDED = (Status.PROMOTED, Status.ROLLED_BACK, Status.CANCELLED)
EVENTS_READ = 500
TOLD_WITHIN = timedelta(hours=1)  # of a rollout's end: its event is of the same transaction


def rollouts(
    *,
    prompt: str | None = None,
    label: str | None = None,
    status: str | None = None,
    reach: Reach = EVERYTHING,
) -> QuerySet[Rollout]:
    """All rollouts that match, newest first, with everything that their representation needs."""
    if status is not None and status not in Status.values:
        raise Invalid.field("status", f"expected one of {', '.join(Status.values)}, got {status!r}")
    wanted = {"prompt__name": prompt, "label__name": label, "status": status}
    return Rollout.objects.select_related("prompt", "label", "control", "canary", "verdict", "outlook").filter(
        reach.rows(prompt="prompt__name", label="label__name"),
        **{field: value for field, value in wanted.items() if value is not None},
    )


def find_rollout(rollout_id: str, reach: Reach = EVERYTHING) -> Rollout:
    """The rollout. Raises NotFound, also for one that is out of reach."""
    found = rollouts(reach=reach).filter(pk=rollout_id).first()
    if found is None:
        raise NotFound("unknown_rollout", f"There is no rollout {rollout_id}")
    return found


def active_rollouts() -> QuerySet[Rollout]:
    return _named_only().filter(status__in=ACTIVE)


def ended_rollouts(*, limit: int) -> QuerySet[Rollout]:
    """The newest ends first."""
    return _named_only().filter(status__in=ENDED).order_by("-ended_at")[:limit]


def rolled_back_since(moment: datetime) -> QuerySet[Rollout]:
    return _named_only().filter(status=Status.ROLLED_BACK, ended_at__gte=moment).order_by("-ended_at")


def rollbacks_of(version: PromptVersion) -> list[Rollout]:
    """The rollouts of the prompt that took away what this version says, white space apart; the newest end first."""
    rolled_back = rollouts().filter(prompt=version.prompt_id, status=Status.ROLLED_BACK).order_by("-ended_at")
    content = content_of(version)
    return [rollout for rollout in rolled_back if says_the_same(content_of(rollout.canary), content)]


def newest_transitions(shown: Iterable[Rollout]) -> dict[str, Transition]:
    """By rollout id, of those that have any: the transition that made their present revision, with its verdict."""
    newest = Transition.objects.filter(rollout__in=[rollout.pk for rollout in shown], revision=F("rollout__revision"))
    return {transition.rollout_id: transition for transition in newest.select_related("verdict")}


def weight_changes(rollout: Rollout) -> QuerySet[Transition]:
    """The transitions that gave the canary another weight: its start, its steps, its end. The oldest first."""
    return rollout.transitions.exclude(from_weight_bp=F("to_weight_bp")).order_by("id")


def dead_deliveries() -> int:
    """Of endpoints that nobody disabled on purpose: what those were not told asks nothing of anybody."""
    dead = Delivery.objects.filter(status=DeliveryStatus.DEAD)
    return dead.exclude(endpoint__disabled_reason__startswith=DISABLED_BY).count()


def endpoints_failing_since(moment: datetime) -> QuerySet[WebhookEndpoint]:
    """Those that are enabled and took nothing since then or before, the longest first."""
    return WebhookEndpoint.objects.filter(disabled_at=None, failing_since__lte=moment).order_by("failing_since")


def deliveries_about(rollout: Rollout, *, limit: int) -> QuerySet[Delivery]:
    """Of the rollout's newest EVENTS_READ events, newest first, with their attempts; without what was sent."""
    events = list(
        _events_about(rollout).order_by("-occurred_at", "-sequence").values_list("pk", flat=True)[:EVENTS_READ]
    )
    return (
        Delivery.objects.filter(event__in=events)
        .select_related("event", "endpoint")
        .prefetch_related("log")
        .defer("payload", "event__data", "endpoint__secret")
        .order_by("-event_id", "-id")[:limit]  # by the index of events: the newest of all are of other rollouts
    )


def find_subject(*, prompt: str, label: str, canary: str, reach: Reach) -> None:
    """Raises NotFound for a prompt, label or canary version (but for "", which is none) that is out of reach."""
    if not reach.is_everything:
        found = registry.find_prompt(prompt, reach)
        registry.find_label(found, label, reach)
        if canary:
            registry.find_version(found, canary, reach)


def refuse_latest(label: str) -> None:
    """Raises Invalid for the one label that no rollout can move."""
    if label == "latest":
        raise Invalid.field(
            "label", "the label latest moves by itself; expected production, staging or one of your own"
        )


def _events_about(rollout: Rollout) -> QuerySet[Event]:
    """Those of its prompt while it ran are few, and only they are opened to see which rollout they name."""
    of_prompt = Event.objects.filter(prompt=rollout.prompt.name, occurred_at__gte=rollout.created_at)
    if rollout.ended_at:
        of_prompt = of_prompt.filter(occurred_at__lte=rollout.ended_at + TOLD_WITHIN)
    return of_prompt.filter(data__rollout__id=rollout.pk)


def _named_only() -> QuerySet[Rollout]:
    """For lists of many: without what their versions say."""
    said = ("template", "config", "input_schema", "response_schema", "notes")
    return rollouts().defer(*(f"{version}__{field}" for version in ("control", "canary") for field in said))
