"""Prompts by OpenFeature's own Python provider, over the wire."""

from collections.abc import Callable, Iterator

import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import FlagEvaluationDetails, Reason
from pytest_django.live_server_helper import LiveServer

from rollout.core.assignment import unit_bucket
from rollout.serving import snapshot_cache
from tests import make
from tests.served import CANARY_AT_5_PERCENT, CONTROL_AT_5_PERCENT, SALT, make_prompt, make_rollout, point

pytestmark = pytest.mark.django_db(transaction=True)

FALLBACK = {"template": "the app's own"}
Connect = Callable[..., OpenFeatureClient]


@pytest.fixture
def connect(live_server: LiveServer) -> Iterator[Connect]:
    """A client of the live server that sends these headers; a read key as Bearer when none are given.

    Of a service where a rollout of production runs at 5 %, and staging points at v2.3.
    """
    prompt = make_prompt()
    point(prompt, "staging", "2.3")
    make_rollout(prompt)
    key = make.key()
    snapshot_cache.cache.refresh()
    providers = []

    def connected(**headers: str) -> OpenFeatureClient:
        sent = {name: value.format(key=key) for name, value in (headers or {"Authorization": "Bearer {key}"}).items()}
        provider = OFREPProvider(live_server.url, headers_factory=lambda: sent)
        providers.append(provider)
        api.set_provider_and_wait(provider, "serinus")
        return api.get_client("serinus")

    yield connected
    api.clear_providers()
    for provider in providers:
        provider.session.close()


def details(
    client: OpenFeatureClient, unit: str | None, name: str = "order-extractor", **attributes: str
) -> FlagEvaluationDetails:
    return client.get_object_details(name, FALLBACK, EvaluationContext(unit, attributes))


@pytest.mark.parametrize(
    ("unit", "arm", "number"), [(CANARY_AT_5_PERCENT, "canary", "v2.3"), (CONTROL_AT_5_PERCENT, "control", "v2.2")]
)
def test_provider__rollout__the_units_arm(connect: Connect, unit: str, arm: str, number: str) -> None:
    found = details(connect(), unit)

    assert (found.reason, found.variant, found.error_code) == (Reason.SPLIT, number, None)
    assert isinstance(found.value, dict)
    assert (found.value["version"], found.value["config"]) == (number, {"model": "gpt-4o-mini"})
    assert (found.flag_metadata["arm"], found.flag_metadata["sticky"]) == (arm, True)
    assert found.flag_metadata["serinus.exposure"] == (
        f"{found.flag_metadata['rollout']}:0:{arm}:{unit_bucket(SALT, unit)}"
    )


def test_provider__label_without_rollout__static(connect: Connect) -> None:
    found = details(connect(), "user-1", label="staging")

    assert (found.reason, found.variant, found.flag_metadata["label"]) == (Reason.STATIC, "v2.3", "staging")


def test_provider__version__pinned(connect: Connect) -> None:
    found = details(connect(), CONTROL_AT_5_PERCENT, version="2.3")

    assert (found.reason, found.variant) == (Reason.TARGETING_MATCH, "v2.3")


def test_provider__no_targeting_key__drawn(connect: Connect) -> None:
    found = details(connect(), None)

    assert (found.reason, found.flag_metadata["sticky"]) == (Reason.SPLIT, False)


def test_provider__key_in_the_other_header__taken(connect: Connect) -> None:
    client = connect(**{"X-API-Key": "{key}"})

    assert details(client, CANARY_AT_5_PERCENT).variant == "v2.3"


@pytest.mark.parametrize(
    ("name", "attributes", "code", "message"),
    [
        ("unknown", {}, ErrorCode.FLAG_NOT_FOUND, "There is no prompt 'unknown'"),
        ("a/b", {}, ErrorCode.FLAG_NOT_FOUND, "There is no prompt 'a/b'"),
        ("order-extractor", {"label": "x"}, ErrorCode.FLAG_NOT_FOUND, "order-extractor has no label 'x'"),
        ("order-extractor", {"version": "9"}, ErrorCode.INVALID_CONTEXT, "order-extractor has no version '9'"),
    ],
)
def test_provider__nothing_to_serve__the_apps_own_value_and_why(
    connect: Connect, name: str, attributes: dict[str, str], code: ErrorCode, message: str
) -> None:
    found = details(connect(), "user-1", name, **attributes)

    assert (found.value, found.reason, found.error_code) == (FALLBACK, Reason.ERROR, code)
    assert found.error_message == message


def test_provider__bad_key__the_apps_own_value_and_why(connect: Connect) -> None:
    found = details(connect(Authorization="Bearer ser_wrong"), "user-1")

    assert (found.value, found.reason, found.error_code) == (FALLBACK, Reason.ERROR, ErrorCode.GENERAL)
    assert found.error_message == "unauthorized"


def test_provider__flag_of_another_type__the_apps_own_value(connect: Connect) -> None:
    found = connect().get_string_details("order-extractor", "the app's own", EvaluationContext("user-1"))

    assert (found.value, found.error_code) == ("the app's own", ErrorCode.TYPE_MISMATCH)
