"""What serving reads, and an app that reads it.

Rollouts are written by the ORM here: with a known salt, and in states that services reach only by a long way.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from django.db import OperationalError, connection, transaction

from common.clock import now
from common.ids import new_id
from registry.models import Label, Prompt, PromptVersion
from registry.selectors import find_version
from registry.sequences import touch
from rollout.models import Rollout, Status
from rollout.serving.endpoint import get_prompt
from tests import make

SALT = "4f1d0c9a7b3e58265d0e94c1a2b3f607"  # the first salt of tests/vectors/assignment.json
CANARY_AT_5_PERCENT = "user-8"  # bucket 432, unit bucket 182
CONTROL_AT_5_PERCENT = "user-31"  # bucket 580, unit bucket 71


def make_prompt(name: str = "order-extractor") -> Prompt:
    """A prompt with v2.2, which is production, and v2.3, which is latest."""
    prompt = make.prompt(name)
    make.label(make_version(prompt, "2.2"))
    make_version(prompt, "2.3")
    return prompt


def make_version(prompt: Prompt, number: str) -> PromptVersion:
    return make.version(prompt, number, template=f"Extract {{{{ order }}}}, {number}", config={"model": "gpt-4o-mini"})


def point(prompt: Prompt, label: str, number: str) -> Label:
    return make.label(find_version(prompt, number), label)


@transaction.atomic
def make_rollout(prompt: Prompt, *, canary: str = "2.3", weight_bp: int = 500, label: str = "production") -> Rollout:
    target = prompt.labels.get(name=label)
    rollout = Rollout.objects.create(
        id=new_id("rol"),
        prompt=prompt,
        label=target,
        control=target.version,
        canary=find_version(prompt, canary),
        plan={},
        salt=SALT,
        status=Status.RUNNING,
        weight_bp=weight_bp,
        created_at=now(),
        created_by="user:anna",
        next_look_at=now(),
    )
    touch(prompt)
    return rollout


@transaction.atomic
def change(rollout: Rollout, **fields: Any) -> None:
    Rollout.objects.filter(pk=rollout.pk).update(**fields)
    touch(rollout.prompt)


def end(rollout: Rollout) -> None:
    change(rollout, status=Status.ROLLED_BACK, weight_bp=0, next_look_at=None)


@contextmanager
def database_away() -> Iterator[None]:
    """Each statement of this thread fails meanwhile."""

    def refuse(*_: object) -> NoReturn:
        raise OperationalError("the connection is closed")

    with connection.execute_wrapper(refuse):
        yield


class Reader:
    """An app with a key: a new one, unless another is given."""

    def __init__(self, key: str | None = None) -> None:
        self.authorization = f"Bearer {key or make.key()}"

    def status(self, query: str = "", name: str = "order-extractor") -> int:
        return get_prompt(method="GET", name=name, query=query, authorization=self.authorization).status

    def body(self, query: str = "", name: str = "order-extractor") -> dict[str, Any]:
        response = get_prompt(method="GET", name=name, query=query, authorization=self.authorization)
        assert response.status == 200
        found: dict[str, Any] = json.loads(response.body)
        return found

    def served(self, query: str = "") -> tuple[str, str]:
        found = self.body(query)
        return found["version"], found["reason"]
