"""What is not stored as it came: user ids, which are kept only as a keyed hash."""

import hmac
from functools import cache

from django.conf import settings
from django.utils.crypto import salted_hmac


def user_hash(user_id: str) -> str:
    """HMAC-SHA256 of the id: the same user has the same hash, and without the key nobody can try ids out."""
    keyed = _keyed(settings.SECRET_KEY).copy()  # a third of the time of taking the key in anew for every id
    keyed.update(user_id.encode())
    return keyed.hexdigest()


@cache
def _keyed(secret_key: str) -> hmac.HMAC:
    key = salted_hmac("observability.privacy", "user ids", secret=secret_key, algorithm="sha256").digest()
    return hmac.new(key, digestmod="sha256")
