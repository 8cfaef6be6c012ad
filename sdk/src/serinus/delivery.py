"""One batch of items to the server, apart from those of it that are wrong.

Where the server names the wrong ones, the rest is sent without them; where it does not, halves are, until the wrong one
is alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from http.client import HTTPException

from serinus.answers import Failed, Outcome, Taken, outcome_of
from serinus.asking import Connection

REQUEST_S, CONNECT_S = 10.0, 5.0  # all of a request, and connecting for it
MOST_READ = 4 * 1024 * 1024  # of an answer


@dataclass
class Delivery:
    """What became of a batch. refused: of each item a kind, which quotes nothing, and the reason.

    failed: why some are unsent.
    """

    sent: int = 0
    refused: list[tuple[str, str]] = field(default_factory=list)
    unsent: list[bytes] = field(default_factory=list)
    failed: Failed | None = None


def deliver(connection: Connection, headers: Mapping[str, str], path: str, batch: Sequence[bytes]) -> Delivery:
    """path: of the address that takes arrays of such items."""
    delivery, groups = Delivery(), [list(batch)]
    while groups:
        group = groups.pop()
        outcome = _post(connection, headers, path, group)
        if isinstance(outcome, Failed):
            delivery.failed = outcome
            delivery.unsent = [item for part in (group, *reversed(groups)) for item in part]
            break
        if isinstance(outcome, Taken):
            delivery.sent += len(group)
        elif outcome.items:
            delivery.refused += outcome.items.values()
            groups.append([item for index, item in enumerate(group) if index not in outcome.items])
        elif len(group) == 1:
            delivery.refused.append((f"{path}: {outcome.kind}", outcome.reason))
        else:
            middle = len(group) // 2
            groups += [group[middle:], group[:middle]]
        groups = [part for part in groups if part]
    return delivery


def _post(connection: Connection, headers: Mapping[str, str], path: str, items: Sequence[bytes]) -> Outcome:
    """Over a connection of its own, so that no request meets one that was closed in the meantime."""
    body = b"[" + b",".join(items) + b"]"
    try:
        with closing(connection):
            answer = connection.request(
                "POST", path, headers, body, answer_s=REQUEST_S, body_s=REQUEST_S, within_s=REQUEST_S
            )
    except (OSError, HTTPException) as error:
        return Failed(0.0, f"{type(error).__name__}: {error}"[:200])
    return outcome_of(path, len(items), answer)
