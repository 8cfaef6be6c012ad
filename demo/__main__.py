"""The story: a bad prompt is rolled back by itself, a good one is promoted.

python -m demo           plays both acts, then keeps serving until Ctrl-C
python -m demo --watch   plays what nobody looks at: a model that changes, a budget that is spent, a judge that is down
python -m demo --exit    ends after the acts: status 0 when all came out right, else 1
"""

import argparse
import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from types import FrameType

from demo import acts, history, judge_api, prompts, receiver, server, watched
from demo.acts import Stage
from demo.api import Api, Refused
from demo.crew import Crew
from demo.errors import DemoFailed
from demo.judge import Judge
from demo.narrator import Narrator
from demo.order_app import QUIET, THREADS, OrderApp
from demo.telemetry import Telemetry, otlp_exporter
from demo.watched import WatchedStage
from demo.wholesale import WholesaleApp

ORDERS_BEFORE = 2000
BEFORE_S = 20
ACT_ONE_S = 130
ALL_DECIDED_S = 225
"""Deadlines, the last one from the start of the demo, so that all is over in four minutes."""

ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> int:
    arguments = argparse.ArgumentParser(prog="python -m demo", description="See a bad prompt rolled back by itself.")
    arguments.add_argument("--exit", action="store_true", help="end after the acts instead of serving on")
    arguments.add_argument("--watch", action="store_true", help="play the alerts instead of the two rollouts")
    options = arguments.parse_args()
    narrator = Narrator(sys.stdout)
    for ending in ENDINGS:
        signal.signal(ending, _end)
    try:
        return _run(narrator, _watch if options.watch else _roll_out, serve_on=not options.exit)
    except (DemoFailed, Refused, OSError) as error:
        narrator.say(f"The demo failed. {error}")
        narrator.detail("\n".join(getattr(error, "__notes__", ())))
        return 1


def _run(narrator: Narrator, play: Callable[[ExitStack, Narrator], Stage | WatchedStage], *, serve_on: bool) -> int:
    with ExitStack() as stack:
        try:
            stage = play(stack, narrator)
            if serve_on:
                _serve_on(stage)
        finally:
            _undisturbed()
            narrator.say("Ending the server and removing its data folder")
    return 0


def _roll_out(stack: ExitStack, narrator: Narrator) -> Stage:
    stage = _set_up(stack, narrator)
    _play(stage)
    return stage


def _set_up(stack: ExitStack, narrator: Narrator) -> Stage:
    narrator.title("Serinus: a bad prompt is rolled back by itself, a good one is promoted")
    serinus, api, hooks = _started(stack, narrator)
    acts.publish(api)
    narrator.say(f"Published {prompts.NAME} {', '.join(prompts.VERSIONS)}; production is v2.2")
    telemetry = _telemetry(stack, serinus)
    app = OrderApp(serinus, telemetry, Judge(), stack.enter_context(Crew()))
    narrator.say(f"The order app takes orders in {THREADS} threads. Each asks for the prompt, as you can:")
    narrator.detail(_curl(serinus))
    return Stage(serinus, api, app, hooks, narrator)


def _watch(stack: ExitStack, narrator: Narrator) -> WatchedStage:
    narrator.title("Serinus: what goes wrong while nobody looks is told")
    judge = stack.enter_context(judge_api.listening())
    serinus, api, hooks = _started(stack, narrator, SERINUS_JUDGE_URL=judge.url, **watched.SETTINGS)
    watched.publish(api)
    sent = history.send(api, version="v1.0", evaluator=watched.VERSION)
    narrator.say(f"Sent {sent} calls of {history.DAYS} days with their scores, as they would have come day by day")
    watched.have_judged(api)
    narrator.say(f"{watched.VERSION} judges every order from now on, by a judge's model at {judge.url}")
    telemetry = _telemetry(stack, serinus)
    app = WholesaleApp(serinus, telemetry, stack.enter_context(Crew()), rate=watched.FIRST_RATE)
    stage = WatchedStage(serinus, api, app, hooks, judge, narrator)
    watched.learn_the_baseline(stage)
    narrator.title("A model changes silently, and a customer spends all of its budget")
    watched.change_the_model(stage)
    narrator.title("The judge goes down, and nothing is decided on missing scores")
    watched.lose_the_judge(stage)
    watched.see_it_resolved(stage)
    narrator.title(f"All came out right; {hooks.received} webhooks came, each with a right signature.")
    return stage


def _started(stack: ExitStack, narrator: Narrator, **settings: str) -> tuple[server.Server, Api, receiver.Receiver]:
    """A server, a connection to it, and who takes its webhooks."""
    narrator.say("Starting `manage.py serve` on SQLite in a temporary data folder")
    hooks = stack.enter_context(receiver.listening())
    serinus = stack.enter_context(server.running(**settings))
    api = serinus.api()
    narrator.say(f"Serinus is ready. Its status page: {serinus.url}/")
    narrator.detail(f"Admin: {serinus.url}/admin/ (user demo, password {serinus.password})")
    hooks.secret = api.post("/api/v1/webhooks", {"url": hooks.url, "description": "the demo's receiver"})["secret"]
    return serinus, api, hooks


def _telemetry(stack: ExitStack, serinus: server.Server) -> Telemetry:
    telemetry = Telemetry(otlp_exporter(serinus.url, serinus.key))
    stack.callback(telemetry.close)
    return telemetry


def _play(stage: Stage) -> None:
    acts.take_orders(stage, ORDERS_BEFORE, within_s=BEFORE_S)
    stage.narrator.title("Act one: v2.3 is meant to be helpful, and hallucinates more than twice as often as v2.2")
    acts.roll_back_the_bad_one(stage, within_s=ACT_ONE_S)
    stage.narrator.title("Act two: v2.4 keeps to what the order says, and is healthy")
    acts.promote_the_good_one(stage, within_s=ALL_DECIDED_S - stage.narrator.elapsed_s)
    stage.narrator.title(
        f"Both acts came out right; {stage.receiver.received} webhooks came, each with a right signature."
    )


def _serve_on(stage: Stage | WatchedStage) -> None:
    """A quiet business, to look around in, until Ctrl-C; by now that is a success."""
    stage.app.rate = QUIET
    stage.narrator.say(f"Serving on. Look around at {stage.server.url}/ and end with Ctrl-C.")
    with suppress(SystemExit):
        while True:
            time.sleep(1)
            stage.check()
            stage.narrator.progress(f"{stage.app.orders} orders, {stage.app.orders_per_s:.0f}/s")


def _curl(serinus: server.Server) -> str:
    return f"curl -s -H 'Authorization: Bearer {serinus.key}' '{serinus.url}/prompts/{prompts.NAME}?unit=customer-42'"


def _end(number: int, frame: FrameType | None) -> None:
    """The first signal ends the demo in order."""
    _undisturbed()
    raise SystemExit(128 + number)


def _undisturbed() -> None:
    """From here on everything is put away; a second Ctrl-C must not leave a process or a folder behind."""
    for ending in ENDINGS:
        signal.signal(ending, signal.SIG_IGN)


if __name__ == "__main__":
    sys.exit(main())
