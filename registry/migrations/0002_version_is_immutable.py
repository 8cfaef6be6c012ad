"""Published versions never change and are never deleted: the database itself refuses."""

from django.db import migrations

MESSAGE = "version_is_immutable: a published version cannot be changed or deleted"

SQLITE = [
    f"""CREATE TRIGGER version_is_immutable_on_{action.lower()} BEFORE {action} ON registry_promptversion
        BEGIN SELECT RAISE(ABORT, '{MESSAGE}'); END"""
    for action in ("UPDATE", "DELETE")
]
POSTGRESQL = [
    f"""CREATE FUNCTION version_is_immutable() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION '{MESSAGE}' USING ERRCODE = 'integrity_constraint_violation'; END $$""",
    """CREATE TRIGGER version_is_immutable BEFORE UPDATE OR DELETE ON registry_promptversion
        FOR EACH ROW EXECUTE FUNCTION version_is_immutable()""",
]
SQLITE_UNDO = [f"DROP TRIGGER version_is_immutable_on_{action}" for action in ("update", "delete")]
POSTGRESQL_UNDO = [
    "DROP TRIGGER version_is_immutable ON registry_promptversion",
    "DROP FUNCTION version_is_immutable()",
]


def run(statements_by_vendor):
    def statements(apps, schema_editor):
        for statement in statements_by_vendor[schema_editor.connection.vendor]:
            schema_editor.execute(statement)

    return statements


class Migration(migrations.Migration):
    dependencies = [("registry", "0001_initial")]

    operations = [
        migrations.RunPython(
            run({"sqlite": SQLITE, "postgresql": POSTGRESQL}),
            run({"sqlite": SQLITE_UNDO, "postgresql": POSTGRESQL_UNDO}),
        )
    ]
