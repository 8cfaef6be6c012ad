"""Events as one sentence, for receivers that take Slack's text format."""

import json
from typing import Any

import pytest
from django.utils import timezone

from registry.events import EVENT_TYPES, OF_NO_LABEL
from registry.models import Event
from rollout.models import WebhookEndpoint, WebhookFormat
from rollout.webhooks import services
from rollout.webhooks.fan_out import payload_of
from rollout.webhooks.slack import slack_text
from tests import make
from tests import rollouts as given
from tests.make import ANNA
from tests.webhooks.stage import Receiver, happen, work

HARMFUL = {"control": (19_000, 342), "canary": (1_000, 80)}  # 1.8 % against 8 %: far beyond any threshold
ROLLOUT = {"label": "production", "control": "v2.2", "canary": "v2.3", "url": "https://serinus.example/rollouts/rol_1"}


def event(type: str, **data: Any) -> Event:  # noqa: A002 (the field's name)
    return Event(sequence=1, id="evt_1", type=type, prompt="order-extractor", occurred_at=timezone.now(), data=data)


@pytest.fixture
def channel(db: None, receiver: Receiver) -> WebhookEndpoint:
    return services.create_endpoint(url=receiver.url, format=WebhookFormat.SLACK, actor=ANNA)


def test_rollback__verdicts_reasons_versions_and_the_address_of_the_page(
    channel: WebhookEndpoint, receiver: Receiver
) -> None:
    rollout = given.rollout()
    given.observe(rollout, "hallucination", **HARMFUL)

    given.look_now(rollout)
    work()

    told = receiver.verified(channel)  # signed as ever
    assert list(told) == ["text"]
    assert told["text"].startswith(
        "*order-extractor (production)*: the rollout of v1.1 over v1.0 is rolled back: everyone gets v1.0 again,"
        " by system:evaluator: "
    )
    assert "hallucination" in told["text"]
    assert told["text"].endswith(f" <http://127.0.0.1:8000/rollouts/{rollout.pk}>")


@pytest.mark.django_db
def test_registry__version_published_and_label_moved__who_and_why() -> None:
    prompt = make.prompt()
    make.label(make.version(prompt, "1.0", notes="the first one"))
    make.label(make.version(prompt, "1.1"))

    published, first, _, moved = map(slack_text, Event.objects.order_by("sequence"))

    assert published == ("*order-extractor*: v1.0 was published by user:anna: the first one <http://127.0.0.1:8000/>")
    assert first == "*order-extractor*: production was set to v1.0 by user:anna: it is ready <http://127.0.0.1:8000/>"
    assert moved.startswith("*order-extractor*: production was moved from v1.0 to v1.1 by user:anna: it is ready")


@pytest.mark.parametrize("name", [name for name in EVENT_TYPES if name.startswith("rollout.")])
def test_rollout__every_event__a_sentence_of_its_own(name: str) -> None:
    text = slack_text(event(name, rollout=ROLLOUT, transition={"actor": "user:anna", "reason": "too early"}))

    assert text.startswith("*order-extractor (production)*: the rollout of v2.3 over v2.2 ")
    assert text.endswith(", by user:anna: too early <https://serinus.example/rollouts/rol_1>")
    assert "rollout." not in text


@pytest.mark.parametrize("name", EVENT_TYPES)
def test_every_event__a_subject_and_words_of_its_own(name: str) -> None:
    text = slack_text(event(name, rollout=ROLLOUT, webhook="whk_1", transition={}))

    assert not text.startswith("**")
    assert name not in text


def test_prompt__archived_and_served_again__by_whom() -> None:
    archived, unarchived = (slack_text(event(name, actor="user:anna")) for name in OF_NO_LABEL)

    assert archived.startswith("*order-extractor*: was archived by user:anna: it is served no longer <")
    assert unarchived.startswith("*order-extractor*: is served again, by user:anna <")


@pytest.mark.parametrize(("description", "subject"), [("on call", "on call"), ("", "whk_1")])
def test_webhook_disabled__which_by_whom_and_why(description: str, subject: str) -> None:
    told = {"webhook": "whk_1", "description": description, "reason": "endpoint_gone", "actor": "system:sender"}

    text = slack_text(event("webhook.disabled", **told))

    assert text.startswith(
        f"*webhook {subject}*: was disabled by system:sender and gets nothing any more: endpoint gone <"
    )


def test_reason__markup_of_slack__shown_as_it_was_written() -> None:
    reason = "<!channel> & <https://evil.example|click>"

    text = slack_text(event("rollout.paused", rollout=ROLLOUT, transition={"actor": "user:anna", "reason": reason}))

    assert "&lt;!channel&gt; &amp; &lt;https://evil.example|click&gt;" in text


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("rollout.rolled_back", {}),
        ("rollout.rolled_back", {"rollout": None, "transition": "x"}),
        ("rollout.rolled_back", {"rollout": {"control": 5}, "transition": {"verdict": {"reasons": None}, "reason": 7}}),
        ("rollout.rolled_back", {"transition": {"reason": "\ud83d" + "x" * 100_000}}),
        ("version.published", {}),
        ("prompt.archived", {}),
        ("something.new", {"anything": ["at all"]}),
    ],
)
def test_payload__of_any_shape__a_sentence_that_can_be_sent(name: str, data: dict[str, Any]) -> None:
    body = json.loads(payload_of(event(name, **data), WebhookFormat.SLACK))

    assert "order-extractor" in body["text"]
    assert len(body["text"]) < 2000


def test_format__changed__what_was_recorded_before_stays_as_it_was(
    endpoint: WebhookEndpoint, receiver: Receiver
) -> None:
    happen()
    services.change_endpoint(endpoint_id=endpoint.pk, format=WebhookFormat.SLACK, actor=ANNA)
    happen()

    work()

    assert [list(json.loads(received.body))[-1] for received in receiver.received] == ["type", "text"]
