"""A plan as fields of a form: steps and metrics as rows, and what a person writes in them as a plan is written.

What is wrong with it is said by the reading of the plan alone (rollout.plans), so that the form refuses what the API
does, in the same words. An empty field is silent, as one that is missing in a plan: its default holds.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django import forms

from rollout.core.plan import DEFAULT_STEPS, SECONDS, Plan, PlanStep, dollars
from rollout.plans import KINDS_OF_SCORES, MOST_METRICS, MOST_STEPS

SPARE = 2  # empty rows, for those who want more than there are
MOST_ROWS = 100
NUMBER = re.compile(r"[+-]?\d+(\.\d+)?", re.ASCII)
SHORT = {"class": "vTextField plan-short", "autocomplete": "off"}
GUARDRAIL, OBSERVED, LEFT_OUT = "guardrail", "observed", ""
USUAL = ""


class StepRow(forms.Form):
    weight = forms.CharField(
        label="Canary's share, %", required=False, widget=forms.TextInput(attrs=SHORT | {"inputmode": "decimal"})
    )
    hold = forms.CharField(label="Hold at least", required=False, widget=forms.TextInput(attrs=SHORT))


class MetricRow(forms.Form):
    name = forms.CharField(
        label="Metric", required=False, widget=forms.TextInput(attrs=SHORT | {"class": "vTextField"})
    )
    kind = forms.CharField(
        required=False, widget=forms.Select(choices=[(USUAL, "kind?"), *((kind, kind) for kind in KINDS_OF_SCORES)])
    )
    role = forms.CharField(
        required=False,
        initial=GUARDRAIL,
        widget=forms.Select(choices=[(GUARDRAIL, "guardrail"), (OBSERVED, "observed"), (LEFT_OUT, "left out")]),
    )
    compared = forms.CharField(
        label="Not worse is",
        required=False,
        widget=forms.Select(
            choices=[
                (USUAL, "the default"),
                ("ratio", "up to a factor of"),
                ("absolute", "worse by at most"),
                ("limit", "what keeps the limit"),
            ]
        ),
    )
    by = forms.CharField(label="Number", required=False, widget=forms.TextInput(attrs=SHORT | {"inputmode": "decimal"}))

    def clean(self) -> None:
        if self.cleaned_data.get("by") and self.cleaned_data.get("compared") == USUAL:
            self.add_error("by", "Choose what the number is: a factor, a difference or a limit.")


class PlanFields(forms.Form):
    """What a plan says once. Each field has the plan's own name, default and words (docs/reference/rollouts.md)."""

    promote_when = forms.CharField(
        required=False,
        widget=forms.Select(
            choices=[
                ("proven_safe", "every guardrail is proven safe"),
                ("no_harm_found", "no harm was found, though nothing is proven"),
            ]
        ),
        help_text="What it takes, beside the last hold and enough units. Default: every guardrail is proven safe.",
    )
    on_inconclusive = forms.CharField(
        label="When time is up",
        required=False,
        widget=forms.Select(
            choices=[
                ("hold", "hold it for a person"),
                ("rollback", "roll back"),
                ("promote", "promote if every guardrail looks safe"),
            ]
        ),
        help_text="What becomes of it when its longest time is over without a decision. Default: it is held.",
    )
    max_duration = forms.CharField(
        label="Longest time",
        required=False,
        widget=forms.TextInput(attrs=SHORT),
        help_text="90s, 15m, 24h, 7d. Default: 7d.",
    )
    min_units = forms.CharField(
        label="Least units",
        required=False,
        widget=forms.TextInput(attrs=SHORT | {"inputmode": "numeric"}),
        help_text=(
            "Units that saw the canary before any step or promotion; a rollback waits for nothing. Default: 100."
        ),
    )
    auto_promote = forms.BooleanField(
        label="Promote by itself",
        required=False,
        help_text="Unticked: the verdict is shown and announced, and a person acts. Default: by itself.",
    )
    auto_rollback = forms.BooleanField(
        label="Roll back by itself",
        required=False,
        help_text="Unticked: harm is shown and announced, and a person acts. Default: by itself.",
    )
    canary_spend_cap = forms.CharField(
        label="Spend cap of the canary, USD",
        required=False,
        widget=forms.TextInput(attrs=SHORT | {"inputmode": "decimal"}),
        help_text="What the canary's calls may cost: then it is rolled back, or held for a person. Default: no cap.",
    )
    when_superseded = forms.CharField(
        label="If another rollout is active",
        required=False,
        widget=forms.Select(
            choices=[("reject", "refuse this one"), ("replace", "cancel that one and start this one in its place")]
        ),
        help_text="What becomes of a rollout of the label that is still active at this one's start. Default: it stays.",
    )
    needs_budget = forms.CharField(
        label="Error budget left, %",
        required=False,
        widget=forms.TextInput(attrs=SHORT | {"inputmode": "decimal"}),
        help_text="How much must be left of the error budgets of all the label's objectives when it starts. Default: "
        "nothing is asked.",
    )


# More rows than a plan may have are read, so that it is the plan that is refused.
StepRows = forms.formset_factory(StepRow, extra=SPARE, max_num=MOST_STEPS, absolute_max=MOST_ROWS)
MetricRows = forms.formset_factory(MetricRow, extra=SPARE, max_num=MOST_METRICS, absolute_max=MOST_ROWS)
TIMES = ("max_duration",)
NEEDS_BUDGET = "needs_budget"
ONCE = tuple(PlanFields.base_fields)
IN_A_METRIC = {"name", "kind", "role", "margin", "limit"}


def steps_written(rows: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each row that says something, by its place, as a step of a plan."""
    for place, row in enumerate(rows):
        weight, hold = _said(row, "weight"), _said(row, "hold")
        if weight or hold:
            share = {"weight": weight if weight.endswith("%") else f"{weight}%"} if weight else {}
            yield place, share | ({"hold": hold} if hold else {})


def metrics_written(rows: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each row that is not left out, by its place, as a metric of a plan."""
    for place, row in enumerate(rows):
        name, role = _said(row, "name"), _said(row, "role")
        if name and role != LEFT_OUT:
            kind = {"kind": _said(row, "kind")} if _said(row, "kind") else {}
            yield place, {"name": name, **kind, "role": role, **_comparison(row)}


def once_written(form: forms.Form) -> dict[str, Any]:
    said = {name: form[name].value() for name in ONCE}
    if (share := said.pop(NEEDS_BUDGET) or "").strip():
        said[NEEDS_BUDGET] = f"{share.strip().removesuffix('%')}%"
    return {
        name: value if isinstance(value, bool) else _number(value.strip())
        for name, value in said.items()
        if isinstance(value, bool) or (value and value.strip())
    }


def steps_as_rows(steps: Sequence[PlanStep] = DEFAULT_STEPS) -> list[dict[str, str]]:
    return [{"weight": f"{step.weight_bp / 100:g}", "hold": duration_written(step.hold_s)} for step in steps]


def metrics_as_rows(metrics: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """metrics: as a plan writes them, with nothing that `beyond_fields` tells of."""
    return [
        {"name": str(metric["name"]), "kind": metric.get("kind", USUAL), "role": metric.get("role", GUARDRAIL)}
        | _compared(metric)
        for metric in metrics
    ]


def once_as_initial(plan: Plan) -> dict[str, Any]:
    values = {name: getattr(plan, name) for name in ONCE if name not in (*TIMES, NEEDS_BUDGET)}
    values["canary_spend_cap"] = "" if plan.canary_spend_cap is None else dollars(plan.canary_spend_cap)
    needed = plan.needs_budget_bp
    return {
        **{name: value if isinstance(value, bool) else str(value) for name, value in values.items()},
        **{name: duration_written(getattr(plan, f"{name}_s")) for name in TIMES},
        NEEDS_BUDGET: f"{needed / 100:g}" if isinstance(needed, int) else "",
    }


def beyond_fields(written: Mapping[str, Any]) -> list[str]:
    """What a plan says, such as `alpha` and `metrics[1].judged`, that the fields have no place for."""
    return [
        *sorted(written.keys() - {"steps", "metrics", *ONCE}),
        *([NEEDS_BUDGET] if isinstance(written.get(NEEDS_BUDGET), Mapping) else []),
        *(
            f"metrics[{index}].{name}"
            for index, metric in enumerate(written.get("metrics") or ())
            for name in sorted(metric.keys() - IN_A_METRIC)
        ),
    ]


def duration_written(seconds: int) -> str:
    """`24h`, `7d`: whole days from two on, and else the largest unit that is left with no fraction."""
    if seconds >= 2 * SECONDS["d"] and seconds % SECONDS["d"] == 0:
        return f"{seconds // SECONDS['d']}d"
    unit = next(unit for unit in ("h", "m", "s") if seconds % SECONDS[unit] == 0)
    return f"{seconds // SECONDS[unit]}{unit}" if seconds else "0s"


def _comparison(row: forms.Form) -> dict[str, Any]:
    compared, by = _said(row, "compared"), _number(_said(row, "by"))
    if compared == USUAL:
        return {}
    return {"limit": by} if compared == "limit" else {"margin": {compared: by}}


def _compared(metric: Mapping[str, Any]) -> dict[str, Any]:
    if metric.get("limit") is not None:
        return {"compared": "limit", "by": _as_written(metric["limit"])}
    ((compared, by),) = (metric.get("margin") or {USUAL: None}).items()
    return {"compared": compared, "by": "" if by is None else _as_written(by)}


def _as_written(number: float | str) -> str:
    """A plan may have a number as text; all of its digits count."""
    return f"{float(number):.15g}"


def _said(row: forms.Form, name: str) -> str:
    return (row[name].value() or "").strip()


def _number(text: str) -> Any:
    """A number where it is one; else as it was typed, for the reading of the plan to refuse."""
    if not NUMBER.fullmatch(text):
        return text
    return float(text) if "." in text else int(text)
