"""Who changed what, from where. The database itself refuses to change or delete an entry."""

import django.core.serializers.json
from django.db import migrations, models

MESSAGE = "audit_is_append_only: an entry of the audit trail cannot be changed or deleted"

SQLITE = [
    f"""CREATE TRIGGER audit_is_append_only_on_{action.lower()} BEFORE {action} ON registry_auditentry
        BEGIN SELECT RAISE(ABORT, '{MESSAGE}'); END"""
    for action in ("UPDATE", "DELETE")
]
POSTGRESQL = [
    f"""CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION '{MESSAGE}' USING ERRCODE = 'integrity_constraint_violation'; END $$""",
    """CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE ON registry_auditentry
        FOR EACH ROW EXECUTE FUNCTION audit_is_append_only()""",
]
SQLITE_UNDO = [f"DROP TRIGGER audit_is_append_only_on_{action}" for action in ("update", "delete")]
POSTGRESQL_UNDO = [
    "DROP TRIGGER audit_is_append_only ON registry_auditentry",
    "DROP FUNCTION audit_is_append_only()",
]


def run(statements_by_vendor):
    def statements(apps, schema_editor):
        for statement in statements_by_vendor[schema_editor.connection.vendor]:
            schema_editor.execute(statement)

    return statements


class Migration(migrations.Migration):
    dependencies = [("registry", "0003_keys_reach_and_expire")]

    operations = [
        migrations.CreateModel(
            name="AuditEntry",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", models.DateTimeField()),
                ("actor", models.CharField(max_length=200)),
                ("action", models.CharField(max_length=60)),
                ("target", models.CharField(max_length=300)),
                ("before", models.JSONField(encoder=django.core.serializers.json.DjangoJSONEncoder, null=True)),
                ("after", models.JSONField(encoder=django.core.serializers.json.DjangoJSONEncoder, null=True)),
                ("reason", models.TextField(blank=True)),
                ("address", models.CharField(blank=True, max_length=45)),
                ("request_id", models.CharField(blank=True, max_length=64)),
            ],
            options={
                "verbose_name": "audit entry",
                "verbose_name_plural": "audit trail",
                "ordering": ["-id"],
            },
        ),
        migrations.RunPython(
            run({"sqlite": SQLITE, "postgresql": POSTGRESQL}),
            run({"sqlite": SQLITE_UNDO, "postgresql": POSTGRESQL_UNDO}),
        ),
    ]
