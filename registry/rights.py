"""What may a person do? Django's permissions under the words that people know them by (docs/reference/access.md).

Whoever logs in has them from groups or directly; a superuser has all. `under_right` checks them where they count.
"""

from collections.abc import Callable
from typing import TypeVar

from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest

from registry.models import Scope

PRODUCTION = "production"

CREATE_PROMPTS = "registry.add_prompt"
EDIT_DRAFTS = "registry.change_draft"
PUBLISH = "registry.add_promptversion"
MOVE_LABELS = "registry.change_label"
MOVE_PRODUCTION = "registry.move_production"
ARCHIVE = "registry.change_prompt"
ISSUE_KEYS = "registry.add_apikey"
REVOKE_KEYS = "registry.change_apikey"
START = "rollout.start_rollout"
STEER = "rollout.steer_rollout"
PROMOTE = "rollout.promote_rollout"
ADD_WEBHOOKS = "rollout.add_webhookendpoint"
CHANGE_WEBHOOKS = "rollout.change_webhookendpoint"
REPLAY = "rollout.change_delivery"
VIEW_VERSIONS = "registry.view_promptversion"
VIEW_WEBHOOKS = "rollout.view_webhookendpoint"
VIEW_CALLS = "observability.view_call"
READ_TEXTS = "observability.view_calltext"
ADD_PRICES = "observability.add_priceoverride"
DELETE_PRICES = "observability.delete_priceoverride"
CHANGE_EVALUATORS = "observability.change_evaluator"
CHANGE_BUDGETS = "observability.change_spendbudget"
CHANGE_OBJECTIVES = "observability.change_objective"
HANDLE_ALERTS = "observability.handle_alert"

WORDS = {
    CREATE_PROMPTS: "create prompts",
    EDIT_DRAFTS: "edit drafts",
    PUBLISH: "publish versions",
    MOVE_LABELS: "move labels other than production",
    MOVE_PRODUCTION: "move the label production",
    ARCHIVE: "archive prompts and serve them again",
    ISSUE_KEYS: "issue API keys",
    REVOKE_KEYS: "revoke API keys",
    START: "start rollouts",
    STEER: "pause, resume, roll back and cancel rollouts",
    PROMOTE: "promote rollouts by hand",
    ADD_WEBHOOKS: "add webhooks",
    CHANGE_WEBHOOKS: "change and disable webhooks",
    REPLAY: "replay deliveries",
    VIEW_VERSIONS: "look at versions",
    VIEW_WEBHOOKS: "look at webhooks",
    VIEW_CALLS: "look at calls and traces",
    READ_TEXTS: "read the texts of calls",
    ADD_PRICES: "add prices",
    DELETE_PRICES: "delete prices",
    CHANGE_EVALUATORS: "set up evaluators and what they judge",
    CHANGE_BUDGETS: "change spend budgets",
    CHANGE_OBJECTIVES: "add, change and delete objectives",
    HANDLE_ALERTS: "acknowledge and silence alerts",
}

OF_WRITE = (
    *(CREATE_PROMPTS, EDIT_DRAFTS, PUBLISH, MOVE_LABELS, MOVE_PRODUCTION, ARCHIVE, START, STEER, PROMOTE),
    *(CHANGE_EVALUATORS, CHANGE_BUDGETS, CHANGE_OBJECTIVES, HANDLE_ALERTS),
)
"""What a key of the scope `write` may do: only who may do all of it may issue one."""

Result = TypeVar("Result")


def of_label(label: str) -> str:
    """The right that moving this label takes."""
    return MOVE_PRODUCTION if label == PRODUCTION else MOVE_LABELS


def require(request: HttpRequest, *any_of: str) -> None:
    """Raises PermissionDenied unless the person has one of these rights."""
    if not any(map(request.user.has_perm, any_of)):
        raise PermissionDenied(f"It takes the right to {' or to '.join(WORDS[right] for right in any_of)}.")


def under_right(request: HttpRequest, right: str, change: Callable[[], Result]) -> Result:
    """What the change returns, if the person has the right before it and still when it is about to be committed.

    Meanwhile the change may have waited for locks, and the right been taken away: all is then undone.
    """
    require(request, right)
    with transaction.atomic():
        result = change()
        person = User.objects.filter(username=request.user.get_username()).first()
        if person is None or not person.has_perm(right):  # of one who is not active any more it is always false
            raise PermissionDenied(f"The right to {WORDS[right]} has just been taken away.")
        return result


def scopes_to_give(request: HttpRequest) -> list[str]:
    """The scopes that a key may have which this person issues: a key can do nothing that its maker cannot."""
    given: list[str] = [Scope.READ, Scope.INGEST]
    if all(map(request.user.has_perm, OF_WRITE)):
        given.append(Scope.WRITE)
    return [*given, Scope.ADMIN] if request.user.is_superuser else given
