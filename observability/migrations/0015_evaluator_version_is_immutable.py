"""Published versions of evaluators never change and are never deleted: the database itself refuses."""

from django.db import migrations

MESSAGE = "evaluator_version_is_immutable: a published version of an evaluator cannot be changed or deleted"

SQLITE = [
    f"""CREATE TRIGGER evaluator_version_is_immutable_on_{action.lower()}
        BEFORE {action} ON observability_evaluatorversion BEGIN SELECT RAISE(ABORT, '{MESSAGE}'); END"""
    for action in ("UPDATE", "DELETE")
]
POSTGRESQL = [
    f"""CREATE FUNCTION evaluator_version_is_immutable() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION '{MESSAGE}' USING ERRCODE = 'integrity_constraint_violation'; END $$""",
    """CREATE TRIGGER evaluator_version_is_immutable BEFORE UPDATE OR DELETE ON observability_evaluatorversion
        FOR EACH ROW EXECUTE FUNCTION evaluator_version_is_immutable()""",
]
SQLITE_UNDO = [f"DROP TRIGGER evaluator_version_is_immutable_on_{action}" for action in ("update", "delete")]
POSTGRESQL_UNDO = [
    "DROP TRIGGER evaluator_version_is_immutable ON observability_evaluatorversion",
    "DROP FUNCTION evaluator_version_is_immutable()",
]


def run(statements_by_vendor):
    def statements(apps, schema_editor):
        for statement in statements_by_vendor[schema_editor.connection.vendor]:
            schema_editor.execute(statement)

    return statements


class Migration(migrations.Migration):
    dependencies = [("observability", "0014_evaluators_evaluations_and_alerts")]

    operations = [
        migrations.RunPython(
            run({"sqlite": SQLITE, "postgresql": POSTGRESQL}),
            run({"sqlite": SQLITE_UNDO, "postgresql": POSTGRESQL_UNDO}),
        )
    ]
