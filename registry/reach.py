"""What of the prompts and labels may a key touch? Outside of its reach all is as if it did not exist."""

from dataclasses import dataclass
from typing import Any

from django.db.models import F, Q, Value
from django.db.models.functions import Left
from django.db.models.lookups import Exact


@dataclass(frozen=True, slots=True)
class Reach:
    """prompt_prefix: of the names of the prompts that are seen, "" for every prompt. labels: empty for every label."""

    prompt_prefix: str = ""
    labels: frozenset[str] = frozenset()

    @property
    def is_everything(self) -> bool:
        return not (self.prompt_prefix or self.labels)

    def sees(self, prompt_name: str | None) -> bool:
        """Whether it may know of this prompt; of what names none only who sees every prompt."""
        return not self.prompt_prefix or (prompt_name is not None and prompt_name.startswith(self.prompt_prefix))

    def may_use(self, label: str | None) -> bool:
        """Whether it may know of this label; of what names none only who may use every label."""
        return not self.labels or label in self.labels

    def holds(self, inner: "Reach") -> bool:
        """Whether the other one reaches nothing that this one does not."""
        within_labels = not self.labels or (bool(inner.labels) and inner.labels <= self.labels)
        return within_labels and inner.prompt_prefix.startswith(self.prompt_prefix)

    def rows(self, *, prompt: str, label: str | None = None) -> Q:
        """The rows that it reaches. prompt, label: paths of the columns with the names; label None where it has none.

        Not `startswith`, which SQLite compares without regard to case.
        """
        condition = Q()
        if self.prompt_prefix:
            of_prefix: Any = Exact(Left(F(prompt), len(self.prompt_prefix)), Value(self.prompt_prefix))
            condition &= Q(of_prefix)
        if self.labels and label is not None:
            condition &= Q(**{f"{label}__in": sorted(self.labels)})
        return condition


EVERYTHING = Reach()
