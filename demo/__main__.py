"""The story: a bad prompt is rolled back by itself, a good one is promoted.

python -m demo           plays both acts, then keeps serving until Ctrl-C
python -m demo --exit    ends after the acts: status 0 when both came out right, else 1
"""

import argparse
import signal
import sys
import time
from contextlib import ExitStack, suppress
from types import FrameType

from demo import acts, prompts, receiver, server
from demo.acts import Stage
from demo.api import Refused
from demo.crew import Crew
from demo.errors import DemoFailed
from demo.judge import Judge
from demo.narrator import Narrator
from demo.order_app import QUIET, THREADS, OrderApp
from demo.telemetry import Telemetry, otlp_exporter

ORDERS_BEFORE = 2000
BEFORE_S = 20
ACT_ONE_S = 130
ALL_DECIDED_S = 225
"""Deadlines, the last one from the start of the demo, so that all is over in four minutes."""

ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> int:
    arguments = argparse.ArgumentParser(prog="python -m demo", description="See a bad prompt rolled back by itself.")
    arguments.add_argument("--exit", action="store_true", help="end after the two acts instead of serving on")
    options = arguments.parse_args()
    narrator = Narrator(sys.stdout)
    for ending in ENDINGS:
        signal.signal(ending, _end)
    try:
        return _run(narrator, serve_on=not options.exit)
    except (DemoFailed, Refused, OSError) as error:
        narrator.say(f"The demo failed. {error}")
        narrator.detail("\n".join(getattr(error, "__notes__", ())))
        return 1


def _run(narrator: Narrator, *, serve_on: bool) -> int:
    with ExitStack() as stack:
        try:
            stage = _set_up(stack, narrator)
            _play(stage)
            if serve_on:
                _serve_on(stage)
        finally:
            _undisturbed()
            narrator.say("Ending the server and removing its data folder")
    return 0


def _set_up(stack: ExitStack, narrator: Narrator) -> Stage:
    narrator.title("Serinus: a bad prompt is rolled back by itself, a good one is promoted")
    narrator.say("Starting `manage.py serve` on SQLite in a temporary data folder")
    hooks = stack.enter_context(receiver.listening())
    serinus = stack.enter_context(server.running())
    api = serinus.api()
    narrator.say(f"Serinus is ready. Its status page: {serinus.url}/")
    narrator.detail(f"Admin: {serinus.url}/admin/ (user demo, password {serinus.password})")
    acts.publish(api)
    hooks.secret = api.post("/api/v1/webhooks", {"url": hooks.url, "description": "the demo's receiver"})["secret"]
    narrator.say(f"Published {prompts.NAME} {', '.join(prompts.VERSIONS)}; production is v2.2")
    telemetry = Telemetry(otlp_exporter(serinus.url, serinus.key))
    stack.callback(telemetry.close)
    app = OrderApp(serinus, telemetry, Judge(), stack.enter_context(Crew()))
    narrator.say(f"The order app takes orders in {THREADS} threads. Each asks for the prompt, as you can:")
    narrator.detail(_curl(serinus))
    return Stage(serinus, api, app, hooks, narrator)


def _play(stage: Stage) -> None:
    acts.take_orders(stage, ORDERS_BEFORE, within_s=BEFORE_S)
    stage.narrator.title("Act one: v2.3 is meant to be helpful, and hallucinates more than twice as often as v2.2")
    acts.roll_back_the_bad_one(stage, within_s=ACT_ONE_S)
    stage.narrator.title("Act two: v2.4 keeps to what the order says, and is healthy")
    acts.promote_the_good_one(stage, within_s=ALL_DECIDED_S - stage.narrator.elapsed_s)
    stage.narrator.title(
        f"Both acts came out right; {stage.receiver.received} webhooks came, each with a right signature."
    )


def _serve_on(stage: Stage) -> None:
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
