"""Who asks the judges: threads without a database, while one thread with one connection claims and settles.

No more questions are under way than SERINUS_JUDGE_PARALLEL. After each round of work on the database there is as long
a pause as it took: on SQLite, where one writer keeps all others waiting, taking in goes on meanwhile.
"""

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue

from django.conf import settings

from common.clock import now
from observability.core.prices import Overrides
from observability.judging import queue
from observability.judging.evaluating import evaluate
from observability.judging.judgements import Missed
from observability.judging.queue import Claimed, Outcome
from observability.models import Missing
from observability.services.prices import current_overrides

logger = logging.getLogger(__name__)

URGENT_IN_A_ROW = 9  # then one that is not, if there is any


class Judges:
    def __init__(self, *, parallel: int) -> None:
        self._parallel = parallel
        self._back: SimpleQueue[tuple[Claimed, Outcome]] = SimpleQueue()
        self._under_way: dict[int, Claimed] = {}
        self._urgent_in_a_row = 0  # since one of another kind, by which a claim begins

    @property
    def under_way(self) -> int:
        return len(self._under_way)

    def start_due(self) -> int:
        """Start asking what is due, as far as there are places; how many were started."""
        self._forget_lost()
        free = self._parallel - self.under_way
        if free <= 0:
            return 0
        others = 1 if self._urgent_in_a_row + free > URGENT_IN_A_ROW else 0
        claims = queue.claim(most=free, others=others)
        for claimed in claims:
            self._under_way[claimed.id] = claimed
            ask = (claimed, current_overrides())
            threading.Thread(target=self._ask, args=ask, name="judging", daemon=True).start()
        urgent = sum(claimed.urgent for claimed in claims)
        self._urgent_in_a_row = urgent if urgent < len(claims) else self._urgent_in_a_row + urgent
        return len(claims)

    def settle_back(self, *, wait_s: float) -> int:
        """Settle what has come back; when nothing has, wait for it so long. How many these were."""
        answers = list(self._come_back(wait_s))
        for claimed, _ in answers:
            if self._under_way.get(claimed.id) is claimed:
                del self._under_way[claimed.id]
        self._settle(answers)
        return len(answers)

    def finish(self, *, within_s: float) -> None:
        """Start nothing any more, settle what comes back in time, and give the rest back."""
        deadline = time.monotonic() + within_s
        while self.under_way and (left_s := deadline - time.monotonic()) > 0:
            self.settle_back(wait_s=left_s)
        queue.release(list(self._under_way.values()))

    def _settle(self, answers: Sequence[tuple[Claimed, Outcome]]) -> None:
        """Together; where that fails each by itself, so that one does not cost the others their answers, which are paid
        for. A database that is away: the leases run out, and they are asked again."""
        if not answers:
            return
        try:
            queue.settle(answers)
        except Exception:
            logger.exception("judging.settling_failed", extra={"evaluations": [claim.id for claim, _ in answers]})
            for one in answers if len(answers) > 1 else ():
                self._settle([one])

    def _ask(self, claimed: Claimed, overrides: Overrides) -> None:
        """In a thread of its own. Must give the place back, whatever happens."""
        try:
            outcome: Outcome = evaluate(
                claimed.version,
                claimed.material,
                deadline_s=settings.JUDGE_DEADLINE.total_seconds(),
                overrides=overrides,
            )
        except Exception as error:  # its message may quote the texts
            logger.error("judging.failed", extra={"evaluation": claimed.id, "error": type(error).__name__})
            outcome = Missed(Missing.FAILED, f"the evaluator failed: {type(error).__name__}", try_again=True)
        self._back.put((claimed, outcome))

    def _come_back(self, wait_s: float) -> Iterator[tuple[Claimed, Outcome]]:
        with suppress(Empty):
            yield self._back.get(timeout=wait_s)
            while True:
                yield self._back.get_nowait()

    def _forget_lost(self) -> None:
        """What has not come back within its lease is another's now."""
        moment = now()
        self._under_way = {id_: claim for id_, claim in self._under_way.items() if claim.lease_until > moment}
