"""While hosts are upgraded one by one, the release before works on the migrated database, and what it writes counts.

Its code is stood in for by its models, as the migrations up to its last ones describe them: they write what it wrote.
"""

from typing import Any

import pytest
from django.apps.registry import Apps
from django.db import connection
from django.test import Client

from common.clock import now
from observability.models import Call, Span
from registry.keys import hash_key, new_key
from rollout import services
from rollout.models import Rollout, Status
from rollout.serving import snapshot_cache
from tests import make, traces
from tests.served import SALT
from tests.unit.test_migrations_are_safe import baseline

pytestmark = pytest.mark.django_db

PLAN = {
    "metrics": [
        {
            "name": "error_rate",
            "kind": "rate",
            "direction": "lower",
            "role": "guardrail",
            "margin": None,
            "weight": 1.0,
            "measure": "error_rate",
            "limit": None,
            "judged": {"control": 1.0, "canary": 1.0},
        }
    ],
    "steps": [{"weight_bp": 10_000, "hold_s": 86_400}],
    "alpha": 0.05,
    "promote_when": "proven_safe",
    "on_inconclusive": "hold",
    "max_duration_s": 604_800,
    "min_units": 100,
    "look_every_s": 60,
    "warm_up_s": 0,
    "auto_promote": True,
    "auto_rollback": True,
}
"""As the release before stores it."""


@pytest.fixture(scope="module")
def old() -> Apps:
    """The models of the release before."""
    return baseline().apps


def test_columns__unknown_to_old_code__are_filled_by_themselves(old: Apps) -> None:
    for model in old.get_models():
        if model._meta.app_label in {"registry", "observability", "rollout"}:
            written = {field.column for field in model._meta.concrete_fields}
            with connection.cursor() as cursor:
                there = connection.introspection.get_table_description(cursor, model._meta.db_table)

            assert written <= {column.name for column in there}
            unfilled = {c.name for c in there if not c.null_ok and c.default is None} - written
            assert unfilled == set(), f"{model._meta.db_table}: old code does not fill these"


class OldRelease:
    """What it writes."""

    def __init__(self, apps: Apps) -> None:
        self._apps = apps
        self.key = new_key()

    def write(self, model: str, **columns: Any) -> Any:
        return self._apps.get_model(model).objects.create(**columns)

    def start_rollout(self) -> str:
        """Of a new prompt; its id."""
        by = {"created_at": now(), "created_by": "user:anna"}
        self.write("registry.ApiKey", name="app", prefix="ser_", sha256=hash_key(self.key), scopes=["read"], **by)
        prompt = self.write("registry.Prompt", name="order-extractor", generation=1, **by)
        control, canary = (self._version(prompt, ordinal) for ordinal in (1, 2))
        label = self.write(
            "registry.Label", prompt=prompt, name="production", version=control, held_by="rol_old", updated_at=now()
        )
        self.write(
            "rollout.Rollout",
            id="rol_old",
            prompt=prompt,
            label=label,
            control=control,
            canary=canary,
            plan=PLAN,
            salt=SALT,
            status="running",
            weight_bp=10_000,
            next_look_at=now(),
            **by,
        )
        self.write("rollout.WebhookEndpoint", id="whk_old", url="https://example.org", secret="whsec_QUFB", **by)
        return "rol_old"

    def _version(self, prompt: Any, ordinal: int) -> Any:
        return self.write(
            "registry.PromptVersion",
            prompt=prompt,
            ordinal=ordinal,
            major=1,
            minor=ordinal - 1,
            patch=0,
            template=f"Extract, {ordinal}",
            notes="as it was",
            sha256=str(ordinal) * 64,
            published_at=now(),
            published_by="user:anna",
        )


def test_rollout__started_by_old_code__served_and_rolled_back_by_new(old: Apps, client: Client) -> None:
    release = OldRelease(old)
    rollout_id = release.start_rollout()
    headers = {"Authorization": f"Bearer {release.key}"}

    snapshot_cache.cache.refresh()
    assert client.get("/prompts/order-extractor?unit=user-1", headers=headers).json()["version"] == "v1.1"

    services.rollback(rollout_id=rollout_id, actor=make.ANNA, reason="looks wrong", expected_revision=1)
    snapshot_cache.cache.refresh()
    assert client.get("/prompts/order-extractor?unit=user-1", headers=headers).json()["version"] == "v1.0"
    rollout = Rollout.objects.get()
    assert (rollout.status, rollout.transitions.count()) == (Status.ROLLED_BACK, 1)
    delivery = old.get_model("rollout.Delivery").objects.get()  # as old code reads what new code writes
    assert delivery.event.type == "rollout.rolled_back"


def test_ingest__column_of_a_newer_release__spans_are_stored(client: Client) -> None:
    """The other way round: this code when the next release has migrated the database."""
    add_column = "ALTER TABLE {} ADD COLUMN of_tomorrow integer NOT NULL DEFAULT 7"
    with connection.cursor() as cursor:
        for model in (Span, Call):
            cursor.execute(add_column.format(model._meta.db_table))

    answer = client.post(
        "/v1/traces",
        traces.body(traces.span()),
        content_type="application/x-protobuf",
        headers={"Authorization": f"Bearer {make.key('ingest')}"},
    )

    assert answer.status_code == 200
    assert (Span.objects.count(), Call.objects.count()) == (1, 1)
