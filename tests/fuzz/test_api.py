"""Schemathesis asks every operation of the OpenAPI document for what it allows and for what it does not.

Seen: no answer of 5xx, no status, content type or body that the document does not tell of, no key needed that is not
asked for, and nothing taken that the document forbids. `make fuzz` asks 2 000 times what the suite asks 50 times.
"""

import re
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import schemathesis
import yaml
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, transaction
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import negative_data_rejection
from schemathesis.config import SchemathesisConfig
from schemathesis.core.parameters import ParameterLocation

from config.arrivals import bounded
from observability.api.new_calls import read_calls
from observability.ingest import writer
from registry import services as registry
from registry.models import Event
from rollout import api_events
from rollout.serving import front, ruleset_endpoint, snapshot_cache
from rollout.webhooks import services as webhooks
from tests import make
from tests import rollouts as given
from tests.rollouts import ANNA

FUZZ = settings.get_current_profile_name() == "fuzz"
EXAMPLES = 2_000 if FUZZ else 50
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "reference" / "openapi.yaml"
TRACE_ID, SPAN_ID = "a" * 32, "b" * 16

PROTOBUF = "application/x-protobuf"
TWINS = re.compile(r"(/otel|/api/public/otel)/")  # the same views as those of /v1/
METHODS = {"get", "post", "put", "patch", "delete"}

pytestmark = pytest.mark.django_db


def closed(schema: Any) -> Any:
    """The schema, but an object may hold nothing that it does not name: what answers gain must be told of."""
    if isinstance(schema, list):
        return [closed(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {name: closed(value) for name, value in schema.items()}
    is_an_object = inner.get("type") == "object" and "properties" in inner
    return {"additionalProperties": False, **inner} if is_an_object else inner


def described() -> dict[str, Any]:
    document: dict[str, Any] = yaml.load(DOCUMENT.read_text(), Loader=yaml.CSafeLoader)  # in a tenth of the time
    problem = document["components"]["schemas"]["Problem"]
    document = closed(document)
    document["components"]["schemas"]["Problem"] = problem  # a refusal may have members of its own
    return document


@schemathesis.serializer(PROTOBUF)
def protobuf(context: Any, value: Any) -> bytes:
    return repr(value).encode()


# Not positive_data_acceptance: forms also refuse what no schema can say.
config = SchemathesisConfig.from_dict(
    {
        "checks": {"positive_data_acceptance": {"enabled": False}},
        "generation": {"with-security-parameters": False},  # the test gives the key
    }
)
DESCRIBED = described()
OPERATIONS = [
    (method.upper(), path)
    for path, item in DESCRIBED["paths"].items()
    for method in item
    if method in METHODS and not TWINS.match(path)
]


@pytest.fixture(scope="module")
def api() -> Any:
    api = schemathesis.openapi.from_dict(DESCRIBED, config=config)
    api.app = front.in_front_of(bounded(get_wsgi_application()))
    return api


@pytest.fixture
def _connection_of_the_test(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Requests leave it open, as those of Django's test client do."""
    monkeypatch.setattr(front, "close_old_connections", lambda: None)
    for module in (api_events, ruleset_endpoint):
        monkeypatch.setattr(module, "a_place", lambda: nullcontext(False))  # nobody waits
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture(scope="module")
def _world(django_db_setup: None, django_db_blocker: Any) -> Iterator[dict[str, str]]:
    """Made once for all operations: what the requests of one change of it is rolled back."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield what_there_is()
        transaction.set_rollback(True)


def what_there_is() -> dict[str, str]:
    """What there is to ask for, and the key to ask with."""
    rollout = given.rollout()
    make.draft(rollout.prompt)
    given.look_now(rollout)
    webhook = webhooks.create_endpoint(url="https://hooks.example.com/serinus", actor=ANNA)
    writer.store_calls(read_calls({"trace_id": TRACE_ID, "span_id": SPAN_ID, "prompt": "order-extractor"}))
    _, key = registry.issue_key(name="fuzz", scopes=["admin"], actor=ANNA)
    return {
        "name": "order-extractor",
        "key": "order-extractor",
        "version": "1.0",
        "label": "production",
        "rollout_id": rollout.pk,
        "webhook_id": webhook.pk,
        "event_id": Event.objects.latest("sequence").id,
        "trace_id": TRACE_ID,
        "span_id": SPAN_ID,
        "bearer": key,
    }


@pytest.fixture
def ids(_world: dict[str, str], db: None, _connection_of_the_test: None) -> dict[str, str]:
    """What there is, also in the memory of serving."""
    snapshot_cache.cache.refresh()
    return _world


@pytest.mark.parametrize("operation", OPERATIONS, ids=" ".join)
def test_operation__asked_for_whatever_may_come__answers_as_documented(
    operation: tuple[str, str], request: pytest.FixtureRequest
) -> None:
    """Its cases are made here rather than when tests are collected, which each worker does for all of them."""
    method, path = operation
    asked = schemathesis.pytest.from_fixture("api").include(method=method, path=path).parametrize()

    asked(answers_as_documented)(request=request)


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=not FUZZ,  # the suite asks the same each time, and so fails only for who changed something
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)
def answers_as_documented(case: Any, ids: dict[str, str]) -> None:
    if case.meta.generation.mode.is_positive:
        case.path_parameters = {name: ids.get(name, value) for name, value in (case.path_parameters or {}).items()}

    checks = [negative_data_rejection] if is_coerced(case) else []
    case.call_and_validate(headers={"Authorization": f"Bearer {ids['bearer']}"}, excluded_checks=checks)


def is_coerced(case: Any) -> bool:
    """Whether forms read what is wrong as what was meant: 3 for "3", or a text too long but for the space around it."""
    about = case.meta.phase.data
    wrong = (about.description or "").lower()
    is_body = about.parameter_location is ParameterLocation.BODY
    return is_body and ("type" in wrong or ("maxlength" in wrong and has_space_around(case.body)))


def has_space_around(value: Any) -> bool:
    """Whether a text in it has."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return any(map(has_space_around, value))
    return isinstance(value, str) and value != value.strip()
