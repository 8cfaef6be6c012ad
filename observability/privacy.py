"""What is not stored as it came: user ids, which are kept only as a keyed hash."""

import hmac
from functools import cache

from django.conf import settings
from django.utils.crypto import salted_hmac


def user_hash(user_id: str) -> str:
    """HMAC-SHA256 of the id: the same user has the same hash, and without the key nobody can try ids out."""
    return hmac.digest(_key(settings.SECRET_KEY), user_id.encode(), "sha256").hex()


@cache
def _key(secret_key: str) -> bytes:
    return salted_hmac("observability.privacy", "user ids", secret=secret_key, algorithm="sha256").digest()
