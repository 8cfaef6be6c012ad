"""Something on every page: a bad version that was rolled back, one that is rolled out, and what goes with them."""

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlencode

import pytest

from tests import traces
from tests.browser.instance import PLAN, REACHES_ALL_S, SOON, Instance
from tests.process.server import wait_until

NAME = "order-extractor"
HARMFUL = {"control": 0.02, "canary": 0.3}
LESS_HARMFUL = {"control": 0.02, "canary": 0.06}
"""For README.md's picture: it takes some hundred of its calls, and about ten looks, to be found."""

BAD_PLAN: dict[str, Any] = {
    "steps": [{"weight": weight, "hold": "1h"} for weight in ("5%", "25%", "50%")],
    "metrics": [*PLAN["metrics"], {"name": "error_rate", "margin": {"ratio": 3}}, {"name": "latency"}],
}
ALIKE = {"control": 0.02, "canary": 0.02}
TRIAL = "trial"
CONFIG = {"model": "gpt-4o-mini", "temperature": 0}
TEXTS = {
    "2.2": "List every article with its number.\nWrite null for what the order does not say.",
    "2.3": "List every article with its number.\nFill in what the customer most likely means.",
    "2.4": "List every article with its number, and quote its line.\nWrite null for what the order does not say.",
}
NOBODY_LISTENS = {"url": "http://localhost:1/hook", "events": ["rollout.rolled_back"]}
DECIDED_WITHIN_S = 15
MOST_BATCHES = 40
ORDERS = 400
ANSWERS = 24
FIRST = 70_000
"""Of the numbers of spans, so that they have ids of their own."""

JUDGED_WITHIN_S = 60
WATCH = """
from observability.watching import budgets, objectives
budgets.check()
objectives.check()
"""


@dataclass(frozen=True, slots=True)
class Story:
    """The rollouts that it tells of."""

    rolled_back: str
    running: str


def tell(serinus: Instance, *, at_length: bool = False) -> Story:
    """at_length: harm is found slowly enough for README.md's picture to show how."""
    prompt = NAME
    publish(serinus, prompt)
    have_some_judged(serinus, prompt)
    hooks = [serinus.call("POST", "/api/v1/webhooks", {**NOBODY_LISTENS, "description": each}) for each in "ab"]
    serinus.take_orders(prompt, {}, ORDERS)  # what latency is compared by is learned from calls before the start
    rolled_back = start(serinus, prompt, "2.3", **BAD_PLAN)
    take_orders_until_it_ends(serinus, rolled_back, LESS_HARMFUL if at_length else HARMFUL)
    serinus.call("DELETE", f"/api/v1/webhooks/{hooks[0]['id']}")
    running = start(serinus, prompt, "2.4", canary_spend_cap="25.00")
    serinus.take_orders(prompt, ALIKE)
    start_a_held_one(serinus, prompt)
    draft = {"type": "chat", "template": messages("Be brief."), "config": CONFIG, "notes": "shorter", "revision": None}
    serinus.call("PUT", f"/api/v1/prompts/{prompt}/draft", draft)
    price = {"pattern": "gpt-4o-mini", "effective_from": "2026-01-01T00:00:00Z", "input": "0.15", "output": "0.6"}
    serinus.call("POST", "/api/v1/prices", price)
    have_it_watched(serinus, prompt)
    wait_until(lambda: evaluations(serinus, status="scored"), JUDGED_WITHIN_S)
    return Story(rolled_back, running)


def have_some_judged(serinus: Instance, prompt: str) -> None:
    """A check of a dozen calls, of which some came without their texts. It judges none of the others."""
    serinus.call("POST", "/api/v1/evaluators", {"name": "brevity", "score": "brevity"})
    version = {"kind": "check", "config": {"check": "length", "most": 40}, "notes": "fits on a phone"}
    serinus.call("POST", "/api/v1/evaluators/brevity/versions", version)
    everything = {"active": True, "share_bp": 10_000, "canary_share_bp": 10_000}
    serinus.call("PUT", f"/api/v1/prompts/{prompt}/judgings/brevity", everything)
    serinus.call("PUT", f"/api/v1/prompts/{prompt}/judging-budget", {"calls_a_day": 500, "usd_a_day": "2.50"})
    answers = itertools.count()
    wait_until(lambda: answer(serinus, prompt, next(answers)) and evaluations(serinus), REACHES_ALL_S)
    for _ in range(ANSWERS):
        answer(serinus, prompt, next(answers))
    serinus.call("PUT", f"/api/v1/prompts/{prompt}/judgings/brevity", {"active": False})


def answer(serinus: Instance, prompt: str, number: int) -> bool:
    """A call as OpenTelemetry tells of it, with its text but for every third."""
    told = {"gen_ai.prompt.name": prompt, "gen_ai.prompt.version": "2.2", "serinus.label": "production"}
    text = "One article, number 4711." if number % 4 else "As far as can be told there is one article, number 4711."
    message = [{"role": "assistant", "parts": [{"type": "text", "content": text}]}]
    answered = {"gen_ai.output.messages": json.dumps(message)} if number % 3 else {}
    span = traces.span(traces.CHAT | told | answered, number=FIRST + number, trace=FIRST + number)
    headers = {"Authorization": f"Bearer {serinus.key}", "Content_Type": "application/x-protobuf"}
    status, _ = serinus.server.request("POST", "/v1/traces", traces.body(span), **headers)
    return status == 200


def evaluations(serinus: Instance, **wanted: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = serinus.call("GET", f"/api/v1/evaluations?{urlencode(wanted)}")["items"]
    return found


def have_it_watched(serinus: Instance, prompt: str) -> None:
    """What it promises and may cost, of which not all is kept; the alerts of that, one of them silenced."""
    promises = [
        {"name": "errors", "metric": "error_rate", "comparison": "below", "threshold": 0.02},
        {"name": "first-token", "metric": "ttft", "comparison": "below", "threshold": 240, "target": "90%"},
        {"name": "truth", "metric": "hallucination", "comparison": "below", "threshold": 0.05},
    ]
    for promise in promises:
        serinus.call("POST", "/api/v1/objectives", {"prompt": prompt, **promise})
    for dimension, usd in (("prompt", "0.10"), ("user", "0.01"), ("feature", "400")):
        serinus.call("POST", "/api/v1/spend-budgets", {"dimension": dimension, "period": "daily", "usd": usd})
    serinus.server.manage("shell", "-v0", "-c", WATCH)
    alerts = serinus.call("GET", f"/api/v1/alerts?prompt={prompt}")["items"]
    silence = {"until": f"{datetime.now(UTC) + timedelta(hours=2):%Y-%m-%dT%H:%M:%SZ}", "reason": "the buyers know"}
    serinus.call("POST", f"/api/v1/alerts/{alerts[0]['id']}/silence", silence)


def publish(serinus: Instance, prompt: str) -> None:
    """The three versions, of which production serves the first."""
    serinus.call("POST", "/api/v1/prompts", {"name": prompt, "description": "Reads orders that come by e-mail"})
    for version, text in TEXTS.items():
        body = {"type": "chat", "template": messages(text), "config": CONFIG, "version": version, "notes": "as agreed"}
        serinus.call("POST", f"/api/v1/prompts/{prompt}/versions", body)
    serinus.point(prompt, "2.2")
    for version in ("2.2", "2.3"):
        move = {"version": version, "reason": "to try it"}
        serinus.call("PUT", f"/api/v1/prompts/{prompt}/labels/staging", move)


def take_orders_until_it_ends(serinus: Instance, rollout: str, hallucinated: Mapping[str, float]) -> None:
    """With a look at each few of them, so that it can be seen how the evidence grew."""
    for _ in range(MOST_BATCHES):
        seen = verdict(serinus, rollout)
        serinus.take_orders(NAME, hallucinated, ORDERS)
        wait_until(partial(is_news, serinus, rollout, seen), DECIDED_WITHIN_S)
        if ended(serinus, rollout):
            return
    pytest.fail(f"{MOST_BATCHES * ORDERS} orders were not enough to find the harm")


def start_a_held_one(serinus: Instance, prompt: str) -> None:
    """Of a label of its own. Its control's calls are not reported, so that its sample ratio is broken."""
    serinus.point(prompt, "2.2", TRIAL)
    body = {"prompt": prompt, "canary": "2.4", "label": TRIAL, "plan": PLAN | SOON}
    rollout = serinus.call("POST", "/api/v1/rollouts", body)["id"]
    serinus.wait_for_both_arms(prompt, TRIAL)
    serinus.report([each for each in serinus.serve(prompt, ORDERS, TRIAL) if each["reason"] == "canary"])
    wait_until(lambda: serinus.call("GET", f"/api/v1/rollouts/{rollout}")["hold_reason"], DECIDED_WITHIN_S)


def start(serinus: Instance, prompt: str, canary: str, **plan: Any) -> str:
    body = {"prompt": prompt, "canary": canary, "plan": PLAN | SOON | plan}
    rollout = serinus.call("POST", "/api/v1/rollouts", body)["id"]
    serinus.wait_for_both_arms(prompt)
    return str(rollout)


def messages(system: str) -> list[dict[str, str]]:
    return [{"role": "system", "content": system}, {"role": "user", "content": "{{ order_text }}"}]


def is_news(serinus: Instance, rollout: str, seen: object) -> bool:
    return verdict(serinus, rollout) != seen


def verdict(serinus: Instance, rollout: str) -> object:
    return serinus.call("GET", f"/api/v1/rollouts/{rollout}")["verdict"]


def ended(serinus: Instance, rollout: str) -> bool:
    return serinus.call("GET", f"/api/v1/rollouts/{rollout}")["ended_at"] is not None
