"""All that the database holds, for comparing what it was before with what it is afterwards."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from django.apps import apps
from django.db import connection, models, transaction
from django_q.models import OrmQ

Rows = dict[str, list[tuple[Any, ...]]]

# Names and signatures of wake-ups; a place in the order of arrival, which bears the row's number.
BY_CHANCE = {"payload", "lock", "place"}


def everything() -> Rows:
    """Every row of Serinus and every wake-up, to the last column."""
    with connection.cursor() as cursor:  # plain SQL, since this is read after every kill
        return {model._meta.label: _rows(cursor, model._meta) for model in _models()}


def essence() -> Rows:
    """The same without the numbers that the database gives to rows, which nothing depends on."""
    return {
        model._meta.label: sorted(model.objects.values_list(*_lasting(model)), key=repr) if _lasting(model) else []
        for model in _models()
    }


def after_undisturbed(work: Callable[[], object]) -> Rows:
    """The essence of what the work leaves when nothing happens to it; then it is undone."""
    with transaction.atomic():
        work()
        found = essence()
        transaction.set_rollback(True)
    return found


def without_chance(work: Callable[[], object]) -> Callable[[], None]:
    """The work, in which ids, salts and the choice among equal counters are the same in every process."""

    def done() -> None:
        dice = random.Random(7)
        with (
            mock.patch("secrets.randbits", dice.getrandbits),
            mock.patch("secrets.token_hex", lambda size: dice.randbytes(size).hex()),
            mock.patch("threading.get_native_id", return_value=1),
        ):
            work()

    return done


@contextmanager
def nothing_changes() -> Iterator[None]:
    before = everything()
    yield
    assert everything() == before


def _rows(cursor: Any, table: Any) -> list[tuple[Any, ...]]:
    cursor.execute(f'SELECT * FROM "{table.db_table}" ORDER BY "{table.pk.column}"')
    return list(cursor.fetchall())


def _models() -> list[type[models.Model]]:
    ours = [apps.get_app_config(name) for name in ("registry", "observability", "rollout")]
    return [*(model for app in ours for model in app.get_models()), OrmQ]


def _lasting(model: type[models.Model]) -> list[str]:
    return [
        field.attname
        for field in model._meta.concrete_fields
        if not isinstance(getattr(field, "target_field", field), models.AutoField) and field.name not in BY_CHANCE
    ]
