"""User ids are kept as a keyed hash."""

import hmac

from django.utils.crypto import salted_hmac
from pytest_django import Settings

from observability.privacy import user_hash


def test_user_hash__several_ids__each_the_hmac_of_that_id_alone(settings: Settings) -> None:
    salted = salted_hmac("observability.privacy", "user ids", secret=settings.SECRET_KEY, algorithm="sha256")
    ids = ["user-1", "user-2", "", "\U0001f600" * 200, "user-1"]

    assert [user_hash(id_) for id_ in ids] == [
        hmac.digest(salted.digest(), id_.encode(), "sha256").hex() for id_ in ids
    ]


def test_user_hash__another_secret_key__another_hash(settings: Settings) -> None:
    before = user_hash("user-1")

    settings.SECRET_KEY = "another secret key of more than 32 characters"

    assert user_hash("user-1") != before
