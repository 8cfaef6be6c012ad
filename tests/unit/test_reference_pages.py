"""docs/reference says what there is, and nothing that is gone: settings, checks, commands, metrics, plans, verdicts."""

import ast
import re
from pathlib import Path

import pytest
from django.apps import apps
from django.core.management import find_commands
from rest_framework import serializers

from rollout import plans
from rollout.models import HoldReason

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference"
OURS = ("common", "config", "registry", "observability", "rollout")


@pytest.fixture(scope="module")
def settings_page() -> str:
    return (REFERENCE / "settings.md").read_text()


@pytest.fixture(scope="module")
def rollouts_page() -> str:
    return (REFERENCE / "rollouts.md").read_text()


def in_first_column(page: str, pattern: str) -> set[str]:
    return set(re.findall(rf"^\| `({pattern})` \|", page, re.MULTILINE))


def table(page: str, heading: str) -> list[tuple[set[str], str]]:
    """The rows below the first column's heading: the names in the first cell, and the others as they stand."""
    _, _, rest = page.partition(f"| {heading} |")
    rows = [line.removeprefix("| ").partition(" | ") for line in rest.partition("\n\n")[0].splitlines()[2:]]
    return [(set(re.findall(r"`(\w+)`", first)), others) for first, _, others in rows]


def names(page: str, heading: str) -> set[str]:
    return set().union(*(found for found, _ in table(page, heading)))


def told_of(page: str, heading: str, name: str) -> str:
    (others,) = [others for found, others in table(page, heading) if name in found]
    return others.replace("\u00a0", "").replace("10 000 000", "10000000")


def test_settings_page__names_what_is_read(settings_page: str) -> None:
    sources = [(ROOT / "config" / name).read_text() for name in ("settings.py", "env.py")]
    read = set(re.findall(r'"(SERINUS_[A-Z_]+|DATABASE_[A-Z_]*URL)"', "".join(sources)))

    assert in_first_column(settings_page, "[A-Z_]+") == read


def test_settings_page__names_the_checks(settings_page: str) -> None:
    made = set(re.findall(r'id="(serinus\.[EW]\d+)"', (ROOT / "config" / "checks.py").read_text()))

    assert in_first_column(settings_page, r"serinus\.[EW]\d+") == made


def test_commands_page__names_every_command() -> None:
    page = (REFERENCE / "commands.md").read_text()
    headings = set(re.findall(r"\w+", " ".join(re.findall(r"^##+ (.+)$", page, re.MULTILINE))))
    commands = {
        command for name in OURS for command in find_commands(str(Path(apps.get_app_config(name).path) / "management"))
    }

    assert commands <= headings


def test_serving_page__names_every_metric() -> None:
    sources = [(ROOT / path).read_text() for path in ("config/metrics.py", "rollout/serving/counts.py")]
    counted = set(re.findall(r'"(serinus_\w+)"', "".join(sources)))

    page = (REFERENCE / "serving.md").read_text()
    told = set(re.findall(r"`(serinus_\w+?)(?:_total)?`", "\n".join(re.findall(r"^\| (.+?) \|", page, re.MULTILINE))))
    assert told == counted


@pytest.mark.parametrize(("heading", "form"), [("field", plans.PlanForm()), ("field of a metric", plans.MetricForm())])
def test_rollouts_page__fields_of_a_plan__each_with_its_bounds_and_choices(
    rollouts_page: str, heading: str, form: serializers.Serializer[object]
) -> None:
    assert names(rollouts_page, heading) == set(form.fields)
    for name, field in form.fields.items():
        told = told_of(rollouts_page, heading, name)
        bounds = [getattr(field, bound, None) for bound in ("min_value", "max_value")]
        assert all(f"{bound:.10g}" in told for bound in bounds if bound is not None), name
        if isinstance(field, serializers.ChoiceField) and name != "kind":
            assert all(f"`{choice}`" in told for choice in field.choices), name


def test_rollouts_page__plan__as_many_steps_and_metrics_as_are_taken(rollouts_page: str) -> None:
    assert f"1 to {plans.MOST_STEPS}, each" in told_of(rollouts_page, "field", "steps")
    assert f"1 to {plans.MOST_METRICS}, at least" in told_of(rollouts_page, "field", "metrics")
    for name, field in plans.MarginForm().fields.items():
        assert f'`{{"{name}"}}`, {field.min_value:g} to {field.max_value:g}' in rollouts_page  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("function", "heading"), [("verdict_body", "field of a verdict"), ("_metric", "field of a verdict's metric")]
)
def test_rollouts_page__verdict__every_member(rollouts_page: str, function: str, heading: str) -> None:
    tree = ast.parse((ROOT / "rollout" / "core" / "verdict_body.py").read_text())
    (made,) = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == function]
    (answer,) = [node.value for node in made.body if isinstance(node, ast.Return) and isinstance(node.value, ast.Dict)]

    not_always = {"spend"} if function == "verdict_body" else set()
    assert names(rollouts_page, heading) - not_always == {
        key.value for key in answer.keys if isinstance(key, ast.Constant)
    }


def test_rollouts_page__every_reason_to_hold(rollouts_page: str) -> None:
    assert all(f"`{reason}`" in rollouts_page for reason in HoldReason.values)
