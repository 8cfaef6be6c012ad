"""Operators: one for each prompt, who publishes a version, rolls it out, waits for the end, and publishes the next.

`python -m benchmarks.soak.operators PORT KEY` runs until its standard input is closed, then prints what came of each.
"""

import json
import sys
import threading
import time
from collections import Counter
from typing import Any

from benchmarks.soak.clients import Client, Refused

PROMPTS = ("greeter", "order-extractor", "summarizer", "translator")
PLAN = {
    "steps": [{"weight": "50%", "hold": "4s"}],
    "metrics": [{"name": "error_rate", "kind": "rate", "direction": "lower", "margin": {"ratio": 2}}],
    "look_every": "1s",
    "promote_when": "no_harm_found",
    "min_units": 50,
}
EXPECTED = {"good": "promoted", "bad": "rolled_back"}
ENDS_WITHIN_S = 60
ASK_EVERY_S = 0.5
PAUSED_EVERY = 3  # each third rollout is paused and resumed once


class Operator:
    def __init__(self, client: Client, prompt: str, stopping: threading.Event) -> None:
        self.client, self.prompt, self.stopping = client, prompt, stopping
        self.outcomes: Counter[str] = Counter()

    def work(self) -> None:
        number = 0
        while not self.stopping.is_set():
            number += 1
            self._roll_out(number, "bad" if number % 2 else "good")

    def set_up(self) -> None:
        """The prompt with a first version, which is production."""
        self._call("POST", "/api/v1/prompts", {"name": self.prompt})
        version = self._publish(0, "good")
        self._call("PUT", f"/api/v1/prompts/{self.prompt}/labels/production", {"version": version, "reason": "go live"})

    def _roll_out(self, number: int, quality: str) -> None:
        body = {"prompt": self.prompt, "canary": self._publish(number, quality), "plan": PLAN}
        rollout = self._call("POST", "/api/v1/rollouts", body) or self._active()
        if number % PAUSED_EVERY == 0:
            self._call("POST", f"/api/v1/rollouts/{rollout['id']}/pause", {"reason": "lunch"})
            self._call("POST", f"/api/v1/rollouts/{rollout['id']}/resume", {"reason": "back"})
        status = self._end_of(rollout["id"])
        self.outcomes[f"{quality}: {status}"] += 1

    def _end_of(self, rollout_id: str) -> str:
        deadline = time.monotonic() + ENDS_WITHIN_S
        while time.monotonic() < deadline and not self.stopping.wait(ASK_EVERY_S):
            found = self.client.ask("GET rollout", "GET", f"/api/v1/rollouts/{rollout_id}")
            if found["status"] not in {"running", "paused"}:
                return str(found["status"])
        self._call("POST", f"/api/v1/rollouts/{rollout_id}/cancel", {"reason": "the soak is over"})
        return str(self.client.ask("GET rollout", "GET", f"/api/v1/rollouts/{rollout_id}")["status"])

    def _active(self) -> Any:
        """Of the answer that was lost with its connection."""
        return self.client.ask("GET rollouts", "GET", f"/api/v1/rollouts?prompt={self.prompt}")["items"][0]

    def _publish(self, number: int, quality: str) -> str:
        """Its version's number."""
        body = {
            "type": "text",
            "template": f"{{{{ text }}}}, {self.prompt}, {number}",
            "config": {"quality": quality, "number": number},
            "notes": f"number {number}",
        }
        path = f"/api/v1/prompts/{self.prompt}/versions"
        made = self._call("POST", path, body)
        found = made or self.client.ask("GET versions", "GET", path)["items"][0]
        return str(found["version"])

    def _call(self, method: str, path: str, body: dict[str, Any]) -> Any:
        """The answer, or None when it had been done already by a request whose answer was lost."""
        try:
            return self.client.ask("change", method, path, body)
        except Refused as error:
            if error.status == 409:
                return None
            raise


def main(port: int, key: str) -> None:
    stopping = threading.Event()
    operators = [Operator(Client(port, key), prompt, stopping) for prompt in PROMPTS]
    for operator in operators:
        operator.set_up()
    print("ready", flush=True)
    threads = [threading.Thread(target=operator.work) for operator in operators]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    stopping.set()
    for thread in threads:
        thread.join()
    told = {
        "outcomes": sum((operator.outcomes for operator in operators), Counter()),
        "answers": sum((operator.client.answers for operator in operators), Counter()),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
