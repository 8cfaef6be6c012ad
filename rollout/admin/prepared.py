"""A rollout before its start, as its page shows it: the fields, what stands against it, and what it may come to."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from django import forms
from django.utils.datastructures import MultiValueDict

from common.errors import Conflict, DomainError, FieldError
from registry import selectors as registry
from registry.models import Label, Prompt, PromptVersion
from registry.rights import PRODUCTION
from registry.services import LATEST
from rollout.admin.plan_editor import ABOVE, PlanEditor
from rollout.admin.plan_fields import SPARE
from rollout.admin.usual import usual_metrics
from rollout.admission import check_canary
from rollout.core.plan import Plan
from rollout.forecast_words import ForecastInWords, forecast_in_words
from rollout.models import Rollout
from rollout.past import seen_lately
from rollout.plans import read_plan

VERSIONS_OFFERED = 500
ASKS_WHY = {
    "major_change": (
        "{canary} breaks the contract of {control}: callers that were written for {control} may fail. "
        "Say why it is to be rolled out all the same."
    ),
    "text_rolled_back_before": "What {canary} says was rolled back before. Say why it is to be tried again.",
    "budget_spent": "{detail}.",
}
"""Refusals that a reason overcomes."""

Result = TypeVar("Result")


class SubjectForm(forms.Form):
    """What is rolled out. The prompt is in the page's address."""

    canary = forms.ChoiceField(label="Canary version", help_text="What is rolled out.")
    label = forms.ChoiceField(help_text="What moves. The version that it points at now is the control.")
    force_reason = forms.CharField(
        label="Why all the same",
        required=False,
        max_length=2000,
        widget=forms.Textarea(attrs={"class": "vLargeTextField", "rows": 3}),
        help_text="Kept with the rollout and in the audit trail.",
    )

    def __init__(self, *arguments: Any, prompt: Prompt, **options: Any) -> None:
        super().__init__(*arguments, **options)
        versions = prompt.versions.only("prompt", "major", "minor", "patch")[:VERSIONS_OFFERED]
        labels = labels_of(prompt).select_related("version")
        self._offer("canary", ((version.number, version.number) for version in versions))
        self._offer("label", ((label.name, f"{label.name}, now at {label.version.number}") for label in labels))

    def _offer(self, name: str, choices: Iterable[tuple[str, str]]) -> None:
        self.fields[name].choices = list(choices)  # type: ignore[attr-defined]  # of ChoiceField


@dataclass(frozen=True, slots=True)
class Cell:
    """A field with what is wrong with it."""

    field: forms.BoundField
    told: list[str]


@dataclass(slots=True)
class Prepared:
    """obstacle: what keeps it from starting now, but for a rollout that is active; None for nothing."""

    prompt: Prompt
    canary: PromptVersion
    label: Label
    subject: SubjectForm
    editor: PlanEditor
    obstacle: Conflict | None
    forecast: ForecastInWords | None = None
    told: dict[str, list[str]] = field(default_factory=dict)

    @property
    def warning(self) -> str:
        if self.obstacle is None:
            return ""
        words = ASKS_WHY.get(self.obstacle.code, f"{self.obstacle.detail}.")
        return words.format(canary=self.canary.number, control=self.label.version.number, detail=self.obstacle.detail)

    @property
    def about(self) -> list[Cell]:
        asks_why = self.subject["force_reason"].value() or (self.obstacle and self.obstacle.code in ASKS_WHY)
        return self._cells(cell for cell in self.subject if cell.name != "force_reason" or asks_why)

    @property
    def steps(self) -> list[list[Cell]]:
        return [self._cells(row) for row in self.editor.steps]

    @property
    def metrics(self) -> list[list[Cell]]:
        return [self._cells(row) for row in self.editor.metrics]

    @property
    def once(self) -> list[Cell]:
        return self._cells(self.editor.once)

    @property
    def json(self) -> list[Cell]:
        return self._cells(self.editor.json)

    def is_filled_in(self) -> bool:
        """Whether the forms can be read; what the plan says is judged when it is."""
        readable = True
        for form in (self.subject, *self.editor.forms):
            for name, messages in form.errors.items():
                readable = False
                shown = name in form.fields and not form[name].is_hidden
                self.tell(form[name].id_for_label if shown else ABOVE, *map(str, messages))
        return readable

    def attempt(self, change: Callable[[], Result]) -> Result | None:
        """What the change returned; None when it was refused, as is then told where it belongs."""
        try:
            return change()
        except DomainError as error:
            self._refuse(error)
            return None

    def plan(self) -> Plan:
        """Raises Invalid."""
        return read_plan(self.editor.written(), seen=seen_lately(self.prompt, self.canary))

    def foresee(self) -> None:
        """Raises Invalid."""
        from rollout import forecasting  # numpy and scipy: whoever asks first waits for them, not the server's start

        forecast = forecasting.forecast(
            prompt_name=self.prompt.name,
            label=self.label.name,
            canary=self.canary.number,
            plan=self.editor.written(),
        )
        self.forecast = forecast_in_words(forecasting.forecast_json(forecast))

    def tell(self, place: str, *messages: str) -> None:
        self.told.setdefault(place, []).extend(messages)

    def _refuse(self, error: DomainError) -> None:
        if error.code in ASKS_WHY and isinstance(error, Conflict):
            self.obstacle = error
            self.tell("id_force_reason", "This takes a reason.")
            return
        for found in error.errors or [FieldError("", error.code, error.detail)]:
            if found.field in self.subject.fields:
                self.tell(self.subject[found.field].id_for_label, found.message)
            else:
                place, message = self.editor.place(found)
                self.tell(place, message)

    def _cells(self, fields: Iterable[forms.BoundField]) -> list[Cell]:
        return [Cell(field, self.told.get(field.id_for_label, [])) for field in fields]


def prepare(prompt: Prompt, asked: MultiValueDict[str, str], posted: MultiValueDict[str, str] | None) -> Prepared:
    """asked: of the page's address, which may name the canary and the label. Raises NotFound."""
    chosen = posted or asked
    label = registry.find_label(prompt, chosen.get("label") or _usual_label(prompt))
    canary = registry.find_version(prompt, chosen.get("canary") or _newest_but_at(label))
    return Prepared(
        prompt,
        canary,
        label,
        SubjectForm(posted, initial={"canary": canary.number, "label": label.name}, prompt=prompt),
        PlanEditor(_with_more_rows(posted), usual_metrics(canary=canary, label=label)),
        _obstacle(canary, label),
    )


def labels_of(prompt: Prompt) -> Any:
    """Those that a rollout can move."""
    return prompt.labels.exclude(name=LATEST).order_by("name")


def _usual_label(prompt: Prompt) -> str:
    names: list[str] = list(labels_of(prompt).values_list("name", flat=True))
    return names[0] if names and PRODUCTION not in names else PRODUCTION


def _newest_but_at(label: Label) -> str:
    """What the label could be moved to: of the prompt's versions the newest that it does not point at already."""
    others = label.prompt.versions.exclude(pk=label.version_id)
    return str(others.values_list("ordinal", flat=True).first())


def _with_more_rows(posted: MultiValueDict[str, str] | None) -> MultiValueDict[str, str] | None:
    """With SPARE more rows of the table that more were asked for."""
    if not posted or not (table := posted.get("_more")):
        return posted
    count = f"{table}-TOTAL_FORMS"
    more = posted.copy()
    rows = str(more.get(count, ""))
    if rows.isdecimal():
        more[count] = str(int(rows) + SPARE)
    return more


def _obstacle(canary: PromptVersion, label: Label) -> Conflict | None:
    try:
        check_canary(Rollout(prompt=canary.prompt, label=label, control=label.version, canary=canary))
    except Conflict as error:
        return error
    return None
