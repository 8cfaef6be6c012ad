"""Builders of what serving reads, by the ORM: weights, steps and states that services reach only by a long way."""

from typing import Any

from django.db import transaction

from common.clock import now
from common.ids import new_id
from registry.keys import hash_key, new_key
from registry.models import ApiKey, Label, Prompt, PromptVersion
from registry.sequences import touch
from rollout.models import Rollout, Status

SALT = "4f1d0c9a7b3e58265d0e94c1a2b3f607"  # the first salt of tests/vectors/assignment.json
CANARY_AT_5_PERCENT = "user-8"  # bucket 432, unit bucket 182
CONTROL_AT_5_PERCENT = "user-31"  # bucket 580, unit bucket 71


@transaction.atomic
def make_prompt(name: str = "order-extractor", *, numbers: tuple[str, ...] = ("2.2", "2.3")) -> Prompt:
    """A prompt with these versions; production is the first of them."""
    prompt = Prompt.objects.create(name=name, created_at=now(), created_by="user:anna")
    versions = [make_version(prompt, number) for number in numbers]
    point(prompt, "production", versions[0])
    return prompt


@transaction.atomic
def make_version(prompt: Prompt, number: str, **content: Any) -> PromptVersion:
    major, minor = map(int, number.split("."))
    ordinal = prompt.versions.count() + 1
    version = PromptVersion.objects.create(
        prompt=prompt,
        ordinal=ordinal,
        major=major,
        minor=minor,
        patch=0,
        sha256=f"{ordinal:064x}",
        published_at=now(),
        published_by="user:anna",
        **{"template": f"Extract {{{{ order }}}}, {number}", "config": {"model": "gpt-4o-mini"}} | content,
    )
    touch(prompt)
    return version


@transaction.atomic
def point(prompt: Prompt, label: str, version: PromptVersion) -> Label:
    pointer, _ = Label.objects.update_or_create(
        prompt=prompt, name=label, defaults={"version": version, "updated_at": now()}
    )
    touch(prompt)
    return pointer


@transaction.atomic
def make_rollout(prompt: Prompt, *, canary: str = "2.3", weight_bp: int = 500, label: str = "production") -> Rollout:
    major, minor = map(int, canary.split("."))
    target = prompt.labels.get(name=label)
    rollout = Rollout.objects.create(
        id=new_id("rol"),
        prompt=prompt,
        label=target,
        control=target.version,
        canary=prompt.versions.get(major=major, minor=minor),
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


@transaction.atomic
def make_key(*scopes: str) -> str:
    """The key itself, as its bearer sends it."""
    token = new_key()
    key = ApiKey.objects.create(
        name="app",
        prefix=token[:12],
        sha256=hash_key(token),
        scopes=scopes or ("read",),
        created_at=now(),
        created_by="user:anna",
    )
    touch(key)
    return token
