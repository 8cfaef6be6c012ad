"""The two acts: roll a version out, watch what Serinus decides by itself, and ask what is served afterwards."""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from demo import prompts, telling
from demo.api import Api
from demo.errors import DemoFailed
from demo.judge import CONTROL_SAMPLE
from demo.narrator import Narrator
from demo.order_app import OrderApp, versions_served
from demo.receiver import Receiver
from demo.server import Server
from demo.telling import Rollout

POLL_S = 0.25
WEBHOOK_WITHIN_S = 15
REACHES_EVERY_PROCESS_WITHIN_S = 1
NEWCOMERS = 1000
ALLOWED_BY_ALPHA = "which alpha allows in 5 % of rollouts and which befalls this one about once in 200 times"


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything that plays in an act."""

    server: Server
    api: Api
    app: OrderApp
    receiver: Receiver
    narrator: Narrator

    def check(self) -> None:
        """Raises when a part of the demo has died or met what it must not meet."""
        self.server.check()
        self.app.check()
        self.receiver.check()


def publish(api: Api) -> None:
    """The prompt with its three versions, and `production` at the first of them."""
    api.post("/api/v1/prompts", {"name": prompts.NAME, "description": "Reads orders that customers send by e-mail"})
    for version, content in prompts.VERSIONS.items():
        body = {"type": "chat", "config": prompts.CONFIG, "version": version.removeprefix("v"), **content}
        api.post(f"/api/v1/prompts/{prompts.NAME}/versions", body)
    first = next(iter(prompts.VERSIONS))
    api.put(f"/api/v1/prompts/{prompts.NAME}/labels/production", {"version": first, "reason": "the demo begins"})
    time.sleep(REACHES_EVERY_PROCESS_WITHIN_S)


def take_orders(stage: Stage, orders: int, *, within_s: float) -> None:
    """Some business as usual, which tells Serinus how often the version in production fails."""
    deadline = time.monotonic() + within_s
    while stage.app.orders < orders:
        if time.monotonic() > deadline:
            raise DemoFailed(f"Only {stage.app.orders} of {orders} orders were taken within {within_s:.0f} s")
        time.sleep(POLL_S)
        stage.check()
        stage.narrator.progress(f"{stage.app.orders} orders, {stage.app.orders_per_s:.0f}/s")


def roll_back_the_bad_one(stage: Stage, *, within_s: float) -> None:
    """Act one. Raises DemoFailed unless v2.3 is rolled back, the webhook says so, and everybody gets v2.2."""
    rollout = _roll_out(stage, "v2.3", first_hold="10m", within_s=within_s)
    _expect(stage, rollout, status="rolled_back", event="rollout.rolled_back", served="v2.2")


def promote_the_good_one(stage: Stage, *, within_s: float) -> None:
    """Act two. Raises DemoFailed unless v2.4 is promoted, the webhook says so, and everybody gets v2.4."""
    rollout = _roll_out(stage, "v2.4", first_hold="10s", within_s=within_s)
    if rollout["status"] == "rolled_back":
        stage.narrator.say(f"Bad luck, {ALLOWED_BY_ALPHA}. Start the demo again.")
    _expect(stage, rollout, status="promoted", event="rollout.promoted", served="v2.4")


def plan(first_hold: str) -> dict[str, Any]:
    """Seconds where others have hours; otherwise a plan like any other."""
    return {
        "steps": [
            {"weight": "5%", "hold": first_hold},
            {"weight": "25%", "hold": "10s"},
            {"weight": "50%", "hold": "10s"},
        ],
        "metrics": [
            {
                "name": "hallucination",
                "kind": "rate",
                "margin": {"ratio": 2},
                "judged": {"control": CONTROL_SAMPLE, "canary": 1},
            },
            {"name": "error_rate", "margin": {"ratio": 3}},  # errors are rarer, so more is still few
        ],
        "look_every": "1s",
        "promote_when": "proven_safe",
    }


def _roll_out(stage: Stage, canary: str, *, first_hold: str, within_s: float) -> Rollout:
    """The rollout as it ended, told while it runs."""
    body = {"prompt": prompts.NAME, "canary": canary, "plan": plan(first_hold)}
    rollout: Rollout = stage.api.post("/api/v1/rollouts", body)
    stage.narrator.detail(telling.changes(_diff(stage.api, rollout)))
    page = f"{stage.server.url}/rollouts/{rollout['id']}"
    stage.narrator.say(f"{canary} goes to {telling.weight(rollout)} of the customers. Watch: {page}")
    orders_before, started = stage.app.orders, time.monotonic()
    for latest in _until_ended(stage, rollout, within_s=within_s):
        if latest["step"] > rollout["step"]:
            stage.narrator.say(f"No harm found: {canary} goes to {telling.weight(latest)}")
        rollout = latest
        if rollout["ended_at"] is None:
            stage.narrator.progress(telling.progress(rollout, stage.app.orders - orders_before, stage.app.orders_per_s))
    orders, seconds = stage.app.orders - orders_before, time.monotonic() - started
    stage.narrator.say(telling.outcome(rollout))
    stage.narrator.detail(f"After {orders} orders, in {seconds:.0f} s. Its page has the evidence: {page}")
    return rollout


def _diff(api: Api, rollout: Rollout) -> str:
    query = f"from={rollout['control']}&to={rollout['canary']}"
    diff: str = api.get(f"/api/v1/prompts/{prompts.NAME}/diff?{query}")["template"]
    return diff


def _until_ended(stage: Stage, rollout: Rollout, *, within_s: float) -> Iterator[Rollout]:
    """The rollout as it is now, again and again; last as it ended. Raises DemoFailed when it has not in time."""
    deadline = time.monotonic() + within_s
    while rollout["status"] in {"running", "paused"}:
        if time.monotonic() > deadline:
            raise DemoFailed(
                f"Nothing was decided within {within_s:.0f} s, at {stage.app.orders_per_s:.0f} orders a second: "
                f"the verdict is {telling.verdict(rollout)}"
            )
        time.sleep(POLL_S)
        stage.check()
        rollout = stage.api.get(f"/api/v1/rollouts/{rollout['id']}")
        yield rollout


def _expect(stage: Stage, rollout: Rollout, *, status: str, event: str, served: str) -> None:
    if rollout["status"] != status:
        raise DemoFailed(
            f"{rollout['canary']} should be {status} and is {rollout['status']}: {telling.verdict(rollout)}"
        )
    told = stage.receiver.wait_for(event, within_s=WEBHOOK_WITHIN_S)
    stage.narrator.say(f"The webhook {event} has arrived and its signature is right. It says:")
    stage.narrator.detail(telling.evidence(told["data"]))
    time.sleep(REACHES_EVERY_PROCESS_WITHIN_S)
    answers = versions_served(stage.server, NEWCOMERS)
    if answers != Counter({served: NEWCOMERS}):
        raise DemoFailed(f"{NEWCOMERS} new customers should all get {served}; they got {dict(answers)}")
    stage.narrator.say(f"{NEWCOMERS} new customers asked for the prompt: all got {served}")
