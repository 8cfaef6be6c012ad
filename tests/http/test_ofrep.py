"""Flag evaluation by OpenFeature's protocol (OFREP), through Django, as a provider sees it."""

import json
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from rollout.core.assignment import unit_bucket
from rollout.serving import snapshot_cache
from tests import make
from tests.served import CANARY_AT_5_PERCENT, SALT, make_prompt, make_rollout, point

BULK = "/ofrep/v1/evaluate/flags"
FLAG = f"{BULK}/order-extractor"
JSON = "application/json"
VALUE = {
    "name": "order-extractor",
    "version": "v2.3",
    "ordinal": 2,
    "ref": "order-extractor@v2.3",
    "type": "text",
    "template": "Extract {{ order }}, 2.3",
    "variables": ["order"],
    "config": {"model": "gpt-4o-mini"},
    "input_schema": None,
    "response_schema": None,
}
NESTED = '{"context": ' + '{"a": ' * 100_000 + "1" + "}" * 100_001


class Provider:
    """Sends evaluation requests, as OpenFeature's providers do."""

    def __init__(self, **headers: str) -> None:
        self.client = Client(headers=headers)

    def post(self, address: str, body: str | bytes, content_type: str = JSON, **headers: str) -> Any:
        return self.client.post(address, body, content_type=content_type, headers=headers)

    def evaluate(self, address: str = FLAG, /, headers: dict[str, str] | None = None, **context: Any) -> Any:
        return self.post(address, json.dumps({"context": context}), **(headers or {}))


@pytest.fixture
def provider(db: None) -> Provider:
    """With a key, of a service where a rollout of production runs at 5 % and staging points at v2.3."""
    prompt = make_prompt()
    point(prompt, "staging", "2.3")
    make_rollout(prompt)
    return refreshed_provider()


def refreshed_provider(scope: str = "read") -> Provider:
    key = make.key(scope)
    snapshot_cache.cache.refresh()
    return Provider(Authorization=f"Bearer {key}")


def failure(response: Any) -> tuple[int, str]:
    """Its status and code. Details are always there, and the key where there is one flag."""
    body = response.json()
    assert set(body) - {"key"} == {"errorCode", "errorDetails"}
    assert body["errorDetails"]
    assert response["Content-Type"] == JSON
    return response.status_code, body["errorCode"]


# One flag


def test_flag__unit_in_canary__split_with_every_member_and_header(
    provider: Provider, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(0):
        response = provider.evaluate(targetingKey=CANARY_AT_5_PERCENT)

    found = response.json()
    rollout_id = found["metadata"]["rollout"]
    exposure = f"{rollout_id}:0:canary:{unit_bucket(SALT, CANARY_AT_5_PERCENT)}"
    assert found["value"].pop("sha256")
    assert found == {
        "key": "order-extractor",
        "value": VALUE,
        "reason": "SPLIT",
        "variant": "v2.3",
        "metadata": {
            "label": "production",
            "sticky": True,
            "rollout": rollout_id,
            "arm": "canary",
            "step": 0,
            "weight_bp": 500,
            "exposure": exposure,
            "gen_ai.prompt.name": "order-extractor",
            "gen_ai.prompt.version": "v2.3",
            "serinus.label": "production",
            "serinus.exposure": exposure,
        },
    }
    assert response["Content-Type"] == JSON
    assert response["Cache-Control"] == "private, no-cache"
    assert response["Vary"] == "Authorization, X-API-Key"
    assert "Serinus-Stale" not in response.headers
