"""Versions that are asked for by number and that no label serves: read once, and kept while they are in use."""

from threading import Lock

from rollout.serving.answers import Answer
from rollout.serving.snapshot import load_pinned

MOST_KEPT = 1024
MOST_BYTES = 64 * 2**20  # of all together; a version may have megabytes


class PinnedAnswers:
    """Asked by any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._kept: dict[int, Answer] = {}  # the longest unused first
        self._bytes = 0

    def get(self, version_id: int) -> Answer:
        """Raises PromptVersion.DoesNotExist, and what the database raises."""
        with self._lock:
            if answer := self._kept.pop(version_id, None):
                self._kept[version_id] = answer
                return answer
        answer = load_pinned(version_id)
        with self._lock:
            self._keep(version_id, answer)
        return answer

    def clear(self) -> None:
        with self._lock:
            self._kept.clear()
            self._bytes = 0

    def _keep(self, version_id: int, answer: Answer) -> None:
        if version_id in self._kept:  # another thread was faster
            return
        self._kept[version_id] = answer
        self._bytes += len(answer.version)
        while len(self._kept) > MOST_KEPT or self._bytes > MOST_BYTES:
            self._bytes -= len(self._kept.pop(next(iter(self._kept))).version)
