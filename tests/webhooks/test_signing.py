import base64
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from rollout.webhooks.signing import new_secret, signed_headers

# The example of the specification's reference implementations (standard-webhooks, libraries/*/test).
EXAMPLE_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
EXAMPLE_SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_signature__the_reference_example__equal() -> None:
    headers = signed_headers(
        keys=[EXAMPLE_SECRET],
        message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp=1614265330,
        body=b'{"test": 2432232314}',
    )

    assert headers["webhook-signature"] == EXAMPLE_SIGNATURE


@given(body=st.dictionaries(st.text(), st.text()))
def test_signature__any_json__believed_by_the_independent_package(body: dict[str, str]) -> None:
    secret, encoded = new_secret(), json.dumps(body, ensure_ascii=False).encode(errors="backslashreplace")

    headers = signed_headers(keys=[secret], message_id="evt_1", timestamp=int(time.time()), body=encoded)

    assert Webhook(secret).verify(encoded, headers) == body


def test_signature__another_body_or_secret__not_believed() -> None:
    secret = new_secret()
    headers = signed_headers(keys=[secret], message_id="evt_1", timestamp=int(time.time()), body=b"{}")

    for wrong_secret, wrong_body in ((secret, b"{} "), (new_secret(), b"{}")):
        with pytest.raises(WebhookVerificationError):
            Webhook(wrong_secret).verify(wrong_body, headers)


def test_new_secret__random_and_of_a_length_the_specification_allows() -> None:
    first, second = new_secret(), new_secret()

    assert first != second
    assert first.startswith("whsec_")
    assert 24 <= len(base64.b64decode(first.removeprefix("whsec_"))) <= 64
