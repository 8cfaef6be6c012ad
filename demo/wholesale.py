"""The order app of a wholesaler, whose answers are judged: it reports the texts of its calls, and who ordered."""

import json
import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from demo import llm, orders, prompts
from demo.api import Api
from demo.crew import Crew
from demo.judge import Judge
from demo.order_app import OrderApp, fetch_prompt
from demo.server import Server
from demo.telemetry import Telemetry

NAME = "wholesale-orders"
MODEL = "gpt-4o"
CONFIG = {"model": MODEL, "temperature": 0}
VERSIONS: Mapping[str, dict[str, Any]] = {"v1.0": prompts.VERSIONS["v2.2"], "v1.1": prompts.VERSIONS["v2.3"]}

GOOD_MODEL, WORSE_MODEL = "gpt-4o-2024-08-06", "gpt-4o-2024-11-20"
INVENTS = {GOOD_MODEL: 0.06, WORSE_MODEL: 0.13}
"""How many of an answer's lines say what the order does not, by the model that answers."""
INVENTS_MORE = {"v1.0": 0.0, "v1.1": 0.06}
"""How many more do, by version."""

BIG_CUSTOMER = "customer-that-orders-for-all-its-branches"


class WholesaleApp(OrderApp):
    """model: the snapshot that answers from now on, which nobody announces. of_one_customer: how many of the next
    orders are of BIG_CUSTOMER."""

    def __init__(self, server: Server, telemetry: Telemetry, crew: Crew, *, rate: float) -> None:
        self.model = GOOD_MODEL
        self.of_one_customer = 0
        super().__init__(server, telemetry, Judge(), crew, rate=rate)

    def _take_order(self, api: Api, customer: str, rng: random.Random) -> None:
        with self._counting:
            if self.of_one_customer:
                customer, self.of_one_customer = BIG_CUSTOMER, self.of_one_customer - 1
        prompt = fetch_prompt(api, customer, NAME)
        order, model = orders.written(rng), prompt["config"]["model"]
        answer = replace(llm.complete(model, rng), model=self.model, error=None)
        invents = INVENTS[self.model] + INVENTS_MORE[prompt["version"]]
        said = orders.read(order, invents=invents, rng=rng)
        more = {"user.id": customer, **texts_of(order, said)}
        self._telemetry.report(model=model, trace=prompt["trace"] | more, answer=answer)
        with self._counting:
            self.orders += 1


def texts_of(order: str, said: str) -> dict[str, str]:
    """As OpenTelemetry's GenAI conventions have the texts of a call."""
    asked = [{"role": "user", "parts": [{"type": "text", "content": order}]}]
    answered = [{"role": "assistant", "parts": [{"type": "text", "content": said}], "finish_reason": "stop"}]
    return {"gen_ai.input.messages": json.dumps(asked), "gen_ai.output.messages": json.dumps(answered)}
