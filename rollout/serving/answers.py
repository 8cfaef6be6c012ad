"""Answers to `GET /prompts/{name}`, encoded before anyone asks: a request then only picks and joins bytes."""

import json
import random
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Any, Literal, NamedTuple

from rollout.core.assignment import bucket, is_canary, unit_bucket
from rollout.serving.counts import ASSIGNMENTS, Cell, requests
from rollout.serving.documents import RolloutDocument
from rollout.serving.responses import Response

ALWAYS = [
    ("Cache-Control", "private, no-cache"),
    ("Vary", "Authorization, Serinus-Unit"),
    ("X-Content-Type-Options", "nosniff"),
]
READY_KEPT = 4096  # of all prompts together: some 10 MB, 64 MB at the most
LARGEST_KEPT = 16_384  # bytes of a body; what is larger is joined for each request


@dataclass(frozen=True, slots=True)
class EncodedVersion:
    """A version and the JSON members that it has in every answer, from the opening brace on."""

    prompt: str
    number: str
    members: bytes


class Ready(NamedTuple):
    """A 200 answer as it is sent, shared by all who get it: nobody may change its headers.

    reason: why this version. served: counts the answer; assigned: counts it for the rollout that assigned it, if any.
    """

    etag: str
    response: Response
    reason: str
    served: Cell
    assigned: Cell | None


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """A 200 answer. version: members shared with the version's other answers; rest: all others; tag: the ETag's text.
    lasts: whether the same request gets it again, until something changes.

    The answer of a rollout's arm lacks its last characters, the exposure's unit bucket and what closes the JSON.
    """

    version: bytes
    rest: bytes
    tag: str
    reason: str
    lasts: bool
    assigned: Cell | None


class Chosen(NamedTuple):
    """What a request gets. unit_bucket: of the unit that an arm answers, or None where no arm does."""

    answer: Answer
    unit_bucket: int | None = None

    def ready(self) -> Ready:
        ready = _kept if len(self.answer.version) <= LARGEST_KEPT else _ready
        return ready(*self)


def _ready(answer: Answer, unit_bucket: int | None) -> Ready:
    if unit_bucket is None:
        etag, body = f'"{answer.tag}"', answer.version + answer.rest
    else:
        etag, body = f'"{answer.tag}-{unit_bucket}"', answer.version + answer.rest + f'{unit_bucket}"}}}}'.encode()
    length = ("Content-Length", str(len(body)))
    headers = [*ALWAYS, ("ETag", etag), ("Content-Type", "application/json"), length]
    return Ready(etag, Response(200, headers, body), answer.reason, requests(200, answer.reason), answer.assigned)


_kept = lru_cache(READY_KEPT)(_ready)


@dataclass(frozen=True, slots=True)
class Arm:
    """An arm's answers: to a unit, which stays in the arm, and to a request without one, which was drawn into it."""

    sticky: Answer
    drawn: Answer


@dataclass(frozen=True, slots=True)
class Split:
    """What a label serves while a rollout of it is active."""

    salt: str
    weight_bp: int
    control: Arm
    canary: Arm

    def choose(self, unit: str) -> Chosen:
        """For a unit, which gets the same again and again."""
        return Chosen(self._arm(unit).sticky, unit_bucket(self.salt, unit))

    def draw(self) -> Chosen:
        """For a request without a unit, which is a unit of its own."""
        unit = str(random.getrandbits(64))
        return Chosen(self._arm(unit).drawn, unit_bucket(self.salt, unit))

    def _arm(self, unit: str) -> Arm:
        return self.canary if is_canary(bucket(self.salt, unit), self.weight_bp) else self.control


def encode_version(members: dict[str, Any]) -> EncodedVersion:
    """members: as registry.representation.served_json gives them."""
    return EncodedVersion(members["name"], members["version"], encode(members).removesuffix(b"}"))


def pinned_answer(version: EncodedVersion) -> Answer:
    return _answer(version, label=None, reason="pinned")


def label_answer(version: EncodedVersion, label: str) -> Answer:
    return _answer(version, label=label, reason="label")


def split(rollout: RolloutDocument, *, label: str, control: EncodedVersion, canary: EncodedVersion) -> Split:
    return Split(
        salt=rollout["salt"],
        weight_bp=rollout["weight_bp"],
        control=_arm(control, label, rollout, "control"),
        canary=_arm(canary, label, rollout, "canary"),
    )


def _arm(version: EncodedVersion, label: str, rollout: RolloutDocument, arm: Literal["control", "canary"]) -> Arm:
    about = {
        "id": rollout["id"],
        "arm": arm,
        "step": rollout["step"],
        "weight": rollout["weight_bp"] / 10_000,
        "weight_bp": rollout["weight_bp"],
    }
    sticky, drawn = (
        _answer(version, label=label, reason=arm, sticky=sticky, rollout=about) for sticky in (True, False)
    )
    return Arm(sticky, drawn)


def _answer(
    version: EncodedVersion,
    *,
    label: str | None,
    reason: Literal["label", "control", "canary", "pinned"],
    sticky: bool = True,
    rollout: dict[str, Any] | None = None,
) -> Answer:
    trace = {"gen_ai.prompt.name": version.prompt, "gen_ai.prompt.version": version.number}
    if label:
        trace["serinus.label"] = label
    if rollout:
        trace["serinus.exposure"] = f"{rollout['id']}:{rollout['step']}:{rollout['arm']}:"
    others = {"label": label, "reason": reason, "sticky": sticky, "rollout": rollout, "trace": trace}
    rest = b"," + encode(others).removeprefix(b"{")
    if rollout:
        rest = rest.removesuffix(b'"}}')
    assigned = ASSIGNMENTS.of(rollout["id"], rollout["arm"]) if rollout else None
    tag = sha256(version.members + rest).hexdigest()[:20]
    return Answer(version.members, rest, tag, reason, sticky and reason != "pinned", assigned)


def encode(value: object) -> bytes:
    """JSON in UTF-8. A lone surrogate, which has no UTF-8, becomes its JSON escape, so that encoding never fails."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")
