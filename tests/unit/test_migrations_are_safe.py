"""Migrations run while the release before still serves: what they may do, and that each one since does no more."""

from collections.abc import Iterator

import pytest
from django.db import migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

BASELINE = {
    "registry": "0002_version_is_immutable",
    "observability": "0011_roll_up_every_minute",
    "rollout": "0005_causes_of_any_length",
}
"""The last migrations of the release before this one: what came up to them is not looked at any more."""

REVIEWED = {
    ("registry", "0004_audit_trail"): "a trigger on a table that old code does not know",
    ("observability", "0015_evaluator_version_is_immutable"): "a trigger on a table that old code does not know",
    (
        "observability",
        "0018_watch_every_minute",
    ): "adds schedules; a worker of the release before fails at their tasks, and those of the next minute are not lost",
    (
        "observability",
        "0023_watch_when_the_series_are_written",
    ): "one schedule of two; a worker of the release before fails at its task, and the next minute's is not lost",
    (
        "rollout",
        "0006_webhook_rotation_format_and_health",
    ): "takes away a schedule whose work old evaluators do",
    ("rollout", "0014_rights_to_quality"): "adds rights that old code does not ask for",
    ("rollout", "0008_rights_and_groups"): "adds rights and groups; old code asks for the rights that there were",
}
"""Of (app, migration): why the release before works on although the rules do not see that it does."""

ALWAYS = (
    migrations.CreateModel,
    migrations.AddIndex,
    migrations.RemoveIndex,
    migrations.RenameIndex,
    migrations.AlterModelOptions,
    migrations.AlterModelManagers,
)


def test_migrations_since_the_last_release__old_code_works_on() -> None:
    loader = MigrationLoader(None)

    found = {
        f"{app}.{name}: {complaint}"
        for (app, name), migration in loader.disk_migrations.items()
        if name > BASELINE.get(app, "~") and (app, name) not in REVIEWED
        for complaint in complaints_of(migration.operations, app, loader.project_state((app, name), at_end=False))
    }

    assert found == set()


def test_baseline__names_what_exists() -> None:
    assert set(BASELINE.items()) | set(REVIEWED) <= set(MigrationLoader(None).disk_migrations)


def complaints_of(operations: list[Operation], app: str, state: ProjectState) -> Iterator[str]:
    """What of these breaks code that was written for the state before them."""
    before = state.clone()
    for operation in operations:
        if not is_of_what_is_new(operation, app, before) and (complaint := complaint_of(operation, app, state)):
            yield f"{operation.describe()}: {complaint}"
        operation.state_forwards(app, state)


def is_of_what_is_new(operation: Operation, app: str, before: ProjectState) -> bool:
    """Old code does not know the table; or, of a check, any of its columns."""
    if (name := getattr(operation, "model_name", None)) is None:
        return False
    known = before.models.get((app, name.lower()))
    if known is None or not isinstance(operation, migrations.AddConstraint):
        return known is None
    constraint = operation.constraint
    is_check = isinstance(constraint, models.CheckConstraint)
    return is_check and not constraint.condition.referenced_base_fields & set(known.fields)


def complaint_of(operation: Operation, app: str, state: ProjectState) -> str:
    match operation:
        case migrations.AddField(field=field):
            return "" if is_filled_by_itself(field) else "old code does not fill it; give it a db_default or null=True"
        case migrations.AlterField(model_name=model, name=name, field=field):
            return narrowing(state.models[app, model.lower()].fields[name], field)
        case migrations.AddConstraint():
            return "old code may write what it forbids"
        case migrations.RemoveConstraint(model_name=model, name=name):
            kept = {c.name: c for c in state.models[app, model.lower()].options["constraints"]}[name]
            return "" if isinstance(kept, models.CheckConstraint) else "old code may name it in ON CONFLICT"
        case migrations.SeparateDatabaseAndState(database_operations=database):
            return "; ".join(complaints_of(list(database), app, state.clone()))
        case migrations.RunPython() | migrations.RunSQL():
            return "nobody but a person can tell; say in REVIEWED why old code works on"
    return "" if isinstance(operation, ALWAYS) else "old code uses what was there; remove it a release later"


def is_filled_by_itself(field: models.Field) -> bool:
    return field.null or field.has_db_default() or isinstance(field, models.ManyToManyField)


def narrowing(old: models.Field, new: models.Field) -> str:
    if old.null and not new.null:
        return "old code may write NULL"
    if new.unique and not old.unique:
        return "old code may write a value twice"
    if is_text(old) and isinstance(new, models.TextField):
        return ""
    if old.get_internal_type() != new.get_internal_type():
        return "old code writes and reads the old type"
    if old.max_length and new.max_length and new.max_length < old.max_length:
        return "old code may write longer values"
    return ""


def is_text(field: models.Field) -> bool:
    return isinstance(field, models.CharField | models.TextField)


UNSAFE: list[Operation] = [
    migrations.AddField("prompt", "owner", models.CharField(max_length=20, default="")),
    migrations.AlterField("prompt", "name", models.CharField(max_length=20, unique=True)),
    migrations.AlterField("prompt", "archived_at", models.DateTimeField()),
    migrations.AlterField("prompt", "description", models.IntegerField()),
    migrations.RemoveField("prompt", "description"),
    migrations.RenameField("prompt", "description", "summary"),
    migrations.DeleteModel("event"),
    migrations.RenameModel("event", "fact"),
    migrations.AlterModelTable("event", "facts"),
    migrations.AddConstraint("prompt", models.CheckConstraint(condition=~models.Q(name="a"), name="not_a")),
    migrations.RemoveConstraint("promptversion", "one_version_per_ordinal"),
    migrations.RunSQL("DROP TABLE registry_event"),
    migrations.SeparateDatabaseAndState([migrations.RemoveField("prompt", "description")]),
]
SAFE: list[Operation] = [
    migrations.AddField("prompt", "owner", models.CharField(max_length=20, db_default="")),
    migrations.AddField("prompt", "owner", models.CharField(max_length=20, null=True)),
    migrations.AlterField("prompt", "name", models.TextField(unique=True)),
    migrations.RemoveConstraint("promptversion", "version_type_is_text_or_chat"),
    migrations.CreateModel("Owner", [("id", models.BigAutoField(primary_key=True))]),
]


@pytest.mark.parametrize("operation", UNSAFE, ids=lambda operation: operation.describe())
def test_operation__old_code_would_break__found(operation: Operation) -> None:
    assert list(complaints_of([operation], "registry", baseline()))


@pytest.mark.parametrize("operation", SAFE, ids=lambda operation: operation.describe())
def test_operation__old_code_does_not_mind__not_complained_of(operation: Operation) -> None:
    assert list(complaints_of([operation], "registry", baseline())) == []


def test_operations__on_a_table_or_columns_that_they_made__not_complained_of() -> None:
    not_a = models.CheckConstraint(condition=~models.Q(owner="a"), name="not_a")
    made: list[Operation] = [
        migrations.CreateModel("Owner", [("id", models.BigAutoField(primary_key=True))]),
        migrations.AddField("owner", "name", models.CharField(max_length=20)),
        migrations.AddField("prompt", "owner", models.CharField(max_length=20, null=True)),
        migrations.AddConstraint("prompt", not_a),
    ]

    assert list(complaints_of(made, "registry", baseline())) == []


def baseline() -> ProjectState:
    return MigrationLoader(None).project_state(list(BASELINE.items()))
