"""The demo's webhook receiver, over real HTTP, with signatures made by the standardwebhooks package."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook

from demo.errors import DemoFailed
from demo.receiver import Receiver, listening

SECRET = "whsec_c2VyaW51cyBkZW1vIHNlY3JldCBmb3IgdGVzdHM="
OTHER_SECRET = "whsec_YW5vdGhlciBzZWNyZXQgdGhhdCBpcyBub3Qgb3Vycw=="


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with listening() as started:
        started.secret = SECRET
        yield started


def deliver(receiver: Receiver, event_type: str, *, secret: str = SECRET, webhook_id: str = "msg_1") -> int:
    body, sent_at = json.dumps({"type": event_type, "data": {}}), datetime.now(UTC)
    headers = {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(sent_at.timestamp())),
        "webhook-signature": Webhook(secret).sign(webhook_id, sent_at, body),
    }
    try:
        with urllib.request.urlopen(urllib.request.Request(receiver.url, body.encode(), headers)) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_receive__signed__taken(receiver: Receiver) -> None:
    status = deliver(receiver, "rollout.rolled_back")

    assert status == 204
    assert receiver.wait_for("rollout.rolled_back", within_s=5)["data"] == {}


def test_receive__delivered_twice__counts_once(receiver: Receiver) -> None:
    deliver(receiver, "rollout.started")
    deliver(receiver, "rollout.started")

    assert receiver.received == 1


def test_receive__signed_with_another_secret__refused_and_fails_the_demo(receiver: Receiver) -> None:
    status = deliver(receiver, "rollout.rolled_back", secret=OTHER_SECRET)

    assert status == 400
    with pytest.raises(DemoFailed, match="signature"):
        receiver.wait_for("rollout.rolled_back", within_s=5)


def test_wait_for__another_type_arrives__fails_in_time(receiver: Receiver) -> None:
    deliver(receiver, "rollout.started")

    with pytest.raises(DemoFailed, match=r"No webhook rollout\.promoted"):
        receiver.wait_for("rollout.promoted", within_s=0.05)


def test_first__of_those_asked_for__none_until_one_comes(receiver: Receiver) -> None:
    before = receiver.first("alert.fired", lambda event: True)
    deliver(receiver, "alert.fired")

    assert before is None
    assert receiver.first("alert.fired", lambda event: event["data"] == {}) is not None
    assert receiver.first("alert.fired", lambda event: event["data"] != {}) is None
