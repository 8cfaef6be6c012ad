from django.db import migrations

HOUR_OF_START = {
    "sqlite": "CAST(strftime('%s', started_at) AS INTEGER) / 3600",
    "postgresql": "floor(extract(epoch FROM started_at) / 3600)::bigint",
}
SPAN_ID = """
    SELECT span.id FROM observability_span AS span
    WHERE span.trace_id = call.trace_id AND span.span_id = call.span_id
"""
MOVE_SCORES = f"""
    UPDATE observability_score AS score
    SET call_id = (SELECT -({SPAN_ID}) FROM observability_call AS call WHERE call.id = score.call_id)
    WHERE call_id IS NOT NULL
"""  # noqa: S608 (constants only)
FINISH_SCORES = "UPDATE observability_score SET call_id = -call_id WHERE call_id < 0"
TAKE_IDS = f"UPDATE observability_call AS call SET id = -({SPAN_ID})"  # noqa: S608 (constants only)
FINISH = """
    UPDATE observability_call
    SET id = -id, is_embedding = (operation = 'embeddings'), place = ({hour}) * 1099511627776 - id
"""


def give_calls_the_ids_of_their_spans(apps, schema_editor):
    """By way of negative ids, since old and new ones overlap."""
    hour = HOUR_OF_START[schema_editor.connection.vendor]
    for statement in (MOVE_SCORES, FINISH_SCORES, TAKE_IDS, FINISH.format(hour=hour)):
        schema_editor.execute(statement, None)


class Migration(migrations.Migration):
    dependencies = [("observability", "0004_calls_of_several_spans")]

    operations = [migrations.RunPython(give_calls_the_ids_of_their_spans, migrations.RunPython.noop)]
