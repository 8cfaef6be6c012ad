"""The plan of a rollout that is to be started: edited as fields or as JSON, in one of the two at a time.

So that they cannot contradict each other: the page shows the one that counts, a button turns it into the other, and it
is the shown one that is forecast and started.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from django import forms
from django.utils.datastructures import MultiValueDict

from common.errors import FieldError, Invalid
from registry.admin.forms import JSONField
from rollout.admin import plan_fields as fields
from rollout.admin.usual import Usual
from rollout.core.plan import Plan

AS_FIELDS, AS_JSON = "fields", "json"
ROW = re.compile(r"plan\.(steps|metrics)\[(\d+)\](?:\.(\w+))?")
FIELD_OF = {"margin": "by", "limit": "by", "measure": "name"}
ABOVE = "above"
"""Where messages stand that belong to no field."""


class JSONPlan(forms.Form):
    plan = JSONField(
        help_text="The whole plan, as the API takes it; what it does not say has its default. Empty: the default plan."
    )


class PlanEditor:
    """data: what was posted; None for the default plan as fields. usual: the metrics of the default plan, by name.

    Only the forms of the edited kind are there: `once`, `steps` and `metrics`, or `json`.
    """

    def __init__(self, data: MultiValueDict[str, str] | None, usual: Mapping[str, Usual]) -> None:
        self.usual = usual
        self.as_json = data is not None and data.get("plan_as") == AS_JSON
        if self.as_json:
            self.json = JSONPlan(data)
        elif data is None:
            self._fill_in(Plan(metrics=()), [{"name": name} for name in usual])
        else:
            self.once = fields.PlanFields(data)
            self.steps = fields.StepRows(data, prefix="steps")
            self.metrics = fields.MetricRows(data, prefix="metrics")
            self._name_the_usual()

    @property
    def forms(self) -> Iterator[Any]:
        if self.as_json:
            yield self.json
        else:
            yield from (self.steps.management_form, self.metrics.management_form, self.once)
            yield from (*self.steps, *self.metrics)

    def written(self) -> Any:
        """The plan, as people write one. Of posted forms only valid ones."""
        if self.as_json:
            plan = self.json.cleaned_data["plan"] if self.json.is_bound else self.json.initial["plan"]
            return {} if plan is None else plan
        return {
            "steps": [step for _, step in fields.steps_written(self.steps)],
            "metrics": [metric for _, metric in fields.metrics_written(self.metrics)],
            **fields.once_written(self.once),
        }

    def written_out(self) -> str:
        return json.dumps(self.written(), indent=2, ensure_ascii=False)

    def turn_into_json(self) -> None:
        written = self.written()
        self.as_json, self.json = True, JSONPlan(initial={"plan": written})

    def turn_into_fields(self, plan: Plan) -> None:
        """plan: what was read of what is written. Raises Invalid when the fields have no place for something of it."""
        written = self.written()
        if beyond := fields.beyond_fields(written):
            raise Invalid.field("plan", f"The fields have no place for {', '.join(beyond)}: it stays JSON.")
        self.as_json = False
        self._fill_in(plan, written.get("metrics") or [{"name": name} for name in self.usual])

    def place(self, found: FieldError) -> tuple[str, str]:
        """The id of the field, or the name of the table, where the message belongs, or ABOVE; and the message there."""
        if self.as_json:
            return ("id_plan" if found.field.startswith("plan") else ABOVE), _named(found)
        if row := ROW.match(found.field):
            return self._cell(row[1], int(row[2]), row[3] or ""), found.message
        name = found.field.removeprefix("plan.")
        if name in ("steps", "metrics"):
            return name, found.message
        if name in fields.ONCE:
            return self.once[name].id_for_label, found.message
        return ABOVE, _named(found)

    def _cell(self, table: str, index: int, name: str) -> str:
        rows: Any = self.steps if table == "steps" else self.metrics
        written = fields.steps_written(rows) if table == "steps" else fields.metrics_written(rows)
        row = rows[[place for place, _ in written][index]]
        name = FIELD_OF.get(name, name)
        return str(row[name if name in row.fields else next(iter(row.fields))].id_for_label)

    def _fill_in(self, plan: Plan, metrics: Any) -> None:
        """metrics: as they are written."""
        self.once = fields.PlanFields(initial=fields.once_as_initial(plan))
        self.steps = fields.StepRows(initial=fields.steps_as_rows(plan.steps), prefix="steps")
        self.metrics = fields.MetricRows(initial=fields.metrics_as_rows(metrics), prefix="metrics")
        self._name_the_usual()

    def _name_the_usual(self) -> None:
        """Each row of a metric of the default plan says its own default; its kind is known and not asked for."""
        for row in self.metrics:
            usual = self.usual.get((row["name"].value() or "").strip())
            if usual and not row["kind"].value():
                row.fields["kind"].widget = forms.HiddenInput()
                row["kind"].help_text = usual.kind
            if usual:
                compared = row.fields["compared"].widget
                compared.choices = [(fields.USUAL, f"the default: {usual.margin}"), *compared.choices[1:]]


def _named(found: FieldError) -> str:
    return f"{found.field}: {found.message}" if found.field not in ("", "plan") else found.message
