"""A Serinus as people meet it: served, with accounts of every kind, and an app that uses its prompts."""

import itertools
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests import migrated
from tests.process.operators import Operator
from tests.process.server import HOST, Server, serving, wait_until

EDITOR, OTHER_EDITOR, RELEASER, OPERATOR, NEWCOMER, SUPERUSER = "emma", "eric", "rosa", "otto", "nina", "sam"
GROUPS = {EDITOR: "editor", OTHER_EDITOR: "editor", RELEASER: "releaser", OPERATOR: "operator"}
PEOPLE = (*GROUPS, NEWCOMER, SUPERUSER)
REACHES_ALL_S = 5
"""The promise is one second (tests of rollbacks hold it); others only wait until it is so."""

PASSWORD = "correct horse battery staple"
PLAN: dict[str, Any] = {
    "steps": [{"weight": "50%", "hold": "10m"}],
    "metrics": [{"name": "hallucination", "kind": "rate", "margin": {"ratio": 2}}],
}
SOON: dict[str, Any] = {"look_every": "1s"}
"""Of the plans of rollouts whose verdict somebody waits for: a rollout that nobody ends is looked at until the end."""

MAKE_PEOPLE = f"""
import json
from django.contrib.auth.hashers import make_password
from django.test import Client
password = make_password({PASSWORD!r})  # once: it takes its time
sessions = dict()
for name in {PEOPLE!r}:
    user = User.objects.create(username=name, password=password, is_staff=True, is_superuser=name == {SUPERUSER!r})
    user.groups.set(Group.objects.filter(name={GROUPS!r}.get(name)))
    client = Client()
    client.force_login(user)
    sessions[name] = client.cookies["sessionid"].value
print(json.dumps(sessions))
"""


class Instance(Operator):
    """What operators and apps do over HTTP, beside what people do in the browser.

    sessions: of everybody, who have all logged in before: a login takes longer than most pages do.
    """

    def __init__(self, server: Server, sessions: Mapping[str, str]) -> None:
        super().__init__(server)
        self.sessions = sessions
        self._customers = (f"customer-{number}" for number in itertools.count())

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.server.port}"

    def roll_out(self, name: str, **plan: Any) -> str:
        """The id of a rollout of the prompt's version 1.1, which production is to become."""
        self.publish(name)
        started = self.call("POST", "/api/v1/rollouts", {"prompt": name, "canary": "1.1", "plan": PLAN | plan})
        self.wait_for_both_arms(name)
        return str(started["id"])

    def wait_for_both_arms(self, name: str, label: str = "production") -> None:
        """Until the canary is served in every process, or near enough."""
        both = {"control", "canary"}
        wait_until(lambda: {each["reason"] for each in self.serve(name, 20, label)} == both, REACHES_ALL_S)

    def serve(self, name: str, units: int, label: str = "production") -> list[dict[str, Any]]:
        """What that many customers get, each of whom has never asked before; nothing while the prompt is not known."""
        headers = {"Authorization": f"Bearer {self.key}"}
        asked = [f"/prompts/{name}?label={label}&unit={unit}" for unit in itertools.islice(self._customers, units)]
        answers = [self.server.request("GET", path, **headers) for path in asked]
        return [json.loads(body) for status, body in answers if status == 200]

    def take_orders(self, name: str, hallucinated: Mapping[str, float], units: int = 200) -> None:
        """A call of each of that many new customers, reported and judged. hallucinated: which share of an arm's."""
        served = self.serve(name, units)
        scores, seen = [], Counter[str]()
        for each, call in zip(served, self.report(served), strict=True):
            arm = each["reason"]
            seen[arm] += 1
            share = hallucinated.get(arm, 0)
            bad = round(seen[arm] * share) > round((seen[arm] - 1) * share)  # spread evenly, and none of them by chance
            scores.append({**call, "name": "hallucination", "value": int(bad), "source": "judge"})
        self.call("POST", "/api/v1/scores", scores)

    def report(self, served: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """A call with each of these answers; what scores name the calls by."""
        calls = [_call(each, number) for number, each in enumerate(served)]
        stored: list[dict[str, Any]] = self.call("POST", "/api/v1/calls", calls)["items"]
        return stored


def _call(served: Mapping[str, Any], number: int) -> dict[str, Any]:
    """One that is stamped as the prompt's answer asks for; the canary's are a bit slower, but not worse."""
    slower = 7 if served["reason"] == "canary" else 0
    return {
        "prompt": served["name"],
        "version": served["version"],
        "label": served["label"],
        "exposure": served["trace"].get("serinus.exposure"),
        "provider": "openai",
        "request_model": "gpt-4o-mini",
        "input_tokens": 700 + number % 200,
        "output_tokens": 80 + number % 40,
        "cached_tokens": 200 if served["reason"] == "canary" else 600,
        "ttft_ms": 200 + number % 90,
        "duration_ms": 1200 + slower + 7 * (number % 90),
        "user": f"user-{number % 20}",
        "feature": ("mail", "phone")[number % 2],
        "environment": "production",
        **({"error_class": "timeout"} if number % 200 == 100 else {}),
    }


@contextmanager
def running(folder: Path) -> Iterator[Instance]:
    """With everybody's account."""
    with serving(migrated.installation(folder), SERINUS_WEBHOOK_ALLOW="localhost", SERINUS_API_RATE="100000") as server:
        sessions = json.loads(server.manage("shell", "-v0", "-c", MAKE_PEOPLE))
        yield Instance(server, sessions)
