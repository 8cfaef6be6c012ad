"""Calls of litellm's OpenTelemetry callback."""

import pytest

from tests import spoken

FAILED = {
    "gen_ai.operation.name": "chat",
    "llm.request.type": "completion",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.response.id": "5bc402fb-bf79-47e4-927e-aad9774c879c",
    "litellm.call_id": "5bc402fb-bf79-47e4-927e-aad9774c879c",
    "error.code": "429",
}
EMBEDDING = {
    "gen_ai.operation.name": "embedding",
    "llm.request.type": "embedding",
    "gen_ai.response.id": "f5a50b45-5006-4a86-a2e3-b4f6babbce94",
    "litellm.call_id": "f5a50b45-5006-4a86-a2e3-b4f6babbce94",
    "gen_ai.usage.input_tokens": 11,
}


@pytest.mark.parametrize("scope", ["litellm", "order-app"])
@pytest.mark.parametrize("sent", [FAILED, EMBEDDING])
def test_response_without_an_id__not_the_id_of_its_own_request(sent: dict[str, object], scope: str) -> None:
    assert spoken.call(sent, scope=scope).response_id is None


def test_response_with_an_id__kept() -> None:
    assert spoken.call(FAILED | {"gen_ai.response.id": "chatcmpl-1"}, scope="litellm").response_id == "chatcmpl-1"
