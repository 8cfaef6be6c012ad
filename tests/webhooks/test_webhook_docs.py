"""docs/reference/webhooks.md says what is true."""

import re
from pathlib import Path
from typing import Any

import pytest

from registry.events import EVENT_TYPES
from rollout.models import DeadReason, DeliveryStatus, WebhookEndpoint, WebhookFormat
from rollout.webhooks import lanes, post, sender, services
from rollout.webhooks.retries import BACK_OFF_S
from rollout.webhooks.urls import urlpatterns
from tests import rollouts as given
from tests.webhooks.stage import Receiver, happen, work

PAGE = (Path(__file__).parents[2] / "docs/reference/webhooks.md").read_text(encoding="utf-8")
HARMFUL = {"control": (19_000, 342), "canary": (1_000, 80)}  # 1.8 % against 8 %: far beyond any threshold


def in_words(seconds: int) -> str:
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def values_at(path: str, data: Any) -> list[Any]:
    """What stands at a path such as `metrics[].name`. Raises KeyError when nothing does."""
    found = [data]
    for name in path.split("."):
        found = [value[name.removesuffix("[]")] for value in found]
        if name.endswith("[]"):
            found = [item for value in found for item in value]
    assert found
    return found


def test_page__numbers__those_of_the_code() -> None:
    assert ", ".join(map(in_words, BACK_OFF_S)) in PAGE
    assert f"After the {len(BACK_OFF_S) + 1}th, {round(sum(BACK_OFF_S) / 3600)} hours after the first" in PAGE
    assert f"no answer within {post.DEADLINE_S:g} s" in PAGE
    assert f"at most {post.MAX_ANSWER_BYTES // 1024} KiB are read" in PAGE
    assert f"within {post.CONNECT_TIMEOUT_S:g} s, and {post.READ_TIMEOUT_S:g} s\nwithout a byte" in PAGE
    assert f"again after {sender.LEASE.seconds} s" in PAGE
    assert f"up to {lanes.PLACES_OF_A_LIVELY_ENDPOINT}. A sender has {lanes.PLACES} places" in PAGE
    assert f"which {lanes.PLACES - lanes.PLACES_OF_THE_UNPROVEN} are kept" in PAGE
    assert f"`{services.KEEP_OLD_FOR.total_seconds() / 3600:g}h` if not given" in PAGE
    assert f"at most `{services.LONGEST_KEPT.days}d`" in PAGE
    assert f"at most {services.MOST_KEPT}\nold ones" in PAGE


@pytest.mark.parametrize("word", [*EVENT_TYPES, *DeliveryStatus.values, *DeadReason.values, *WebhookFormat.values])
def test_page__words__all_named(word: str) -> None:
    assert f"`{word}`" in PAGE


def test_page__calls__those_that_there_are() -> None:
    table = PAGE.split("| call |")[1].split("\n\n")[0]
    named = set(re.findall(r"`(GET|POST|PATCH|DELETE) (?:/api/v1/webhooks|…)(\S*?)`", table))

    served = {
        (
            method.upper(),
            re.sub(r"<str:(?:webhook_|delivery_)?id>", "{}", str(url.pattern)).removeprefix("api/v1/webhooks"),
        )
        for url in urlpatterns
        for method in ("get", "post", "patch", "delete")
        if hasattr(url.callback.view_class, method)  # type: ignore[attr-defined]  # of APIView.as_view()
    }
    assert {(method, re.sub(r"\{\w+\}", "{}", path)) for method, path in named} == served


def test_page__receiver__takes_each_event_once_and_nothing_forged(
    endpoint: WebhookEndpoint, receiver: Receiver
) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    handled: list[Any] = []
    names: dict[str, Any] = {"handle": handled.append}
    exec(code.replace("whsec_…", endpoint.secret), names)
    happen(rollout="rol_1")
    work()
    (message,) = receiver.received

    assert names["receive"](message.body, message.headers) == 204
    assert names["receive"](message.body, message.headers) == 204
    assert names["receive"](message.body + b" ", message.headers) == 400
    assert [event["data"] for event in handled] == [{"rollout": "rol_1"}]


def test_page__rolled_back__every_path_is_in_a_real_payload(endpoint: WebhookEndpoint, receiver: Receiver) -> None:
    table = PAGE.split("## rollout.rolled_back")[1]
    paths = [
        path for line in table.splitlines() if line[:3] == "| `" for path in re.findall("`(.+?)`", line.split("|")[1])
    ]
    rollout = given.rollout()
    given.observe(rollout, "hallucination", **HARMFUL)

    given.look_now(rollout)
    work()

    told = receiver.verified(endpoint)
    assert told["type"] == "rollout.rolled_back"
    assert len(paths) > 20
    for path in paths:
        values_at(path, told["data"])
    assert values_at("transition.verdict.guilty", told["data"]) == [["hallucination"]]
